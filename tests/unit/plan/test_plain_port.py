"""The port for requests without TLS: when it is published, when it is left to others, and what a plan says of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hubdeploy.plan import checks, plain_port
from hubdeploy.plan.checks import Case
from hubdeploy.plan.reconcile import reconcile
from hubdeploy.settings import loading
from hubdeploy.settings.declarations import Settings
from tests.unit.plan.test_plan import drawn_blueprint, empty, up

GITHUB = "GITHUB_CLIENT_ID=Iv1.0123456789abcdef\nGITHUB_CLIENT_SECRET=0123456789abcdef0123456789abcdef01234567\n"
Load = Callable[[str], Settings]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def read(text: str) -> Settings:
        (tmp_path / "userlist").write_text("kaben admin\n")
        (tmp_path / ".env.local").write_text(f"DOCKER_MACHINE_NAME=lab\nBASE_IMAGE=debian:12\n{GITHUB}{text}\n")
        (tmp_path / ".env.local").chmod(0o600)
        return loading.load(tmp_path, {})

    return read


@pytest.mark.parametrize(
    ("text", "port"),
    [
        ("HUB_HOST=hub.example.org", 80),
        ("HUB_HOST=192.0.2.7\nBIND_ADDRESS=192.0.2.7", 80),
        ("HUB_HOST=hub.example.org\nHUB_PORT=8443", None),
        ("HUB_HOST=hub.example.org\nHTTP_PORT=none", None),
        ("HUB_HOST=hub.example.org\nHUB_PORT=8443\nACME_EMAIL=admin@example.org", 80),
        # Nobody but this machine comes there.
        ("HUB_HOST=hub.example.org\nBIND_ADDRESS=127.0.0.1", None),
        ("HUB_HOST=localhost", None),
    ],
)
def test_it_is_80_where_others_reach_the_hub_at_443_or_an_authority_asks(
    load: Load, text: str, port: int | None
) -> None:
    assert load(text).http_port == port


def test_a_taken_one_is_left_to_others_with_a_warning_where_nobody_asked_for_it(load: Load) -> None:
    settings = load("HUB_HOST=hub.example.org")
    program = {("0.0.0.0", 80): "nginx (pid 7)"}
    left, (caution,) = plain_port.where_free(settings, empty(), lambda *where: program.get(where))
    assert left.http_port is None
    assert str(caution).splitlines()[0] == (
        "port 80 is taken by nginx (pid 7), so http://hub.example.org does not lead to https"
    )
    by_container = empty(port_holders={("127.0.0.1", 80): ("stranger",)})
    left, (caution,) = plain_port.where_free(settings, by_container, lambda *where: None)
    assert (left.http_port, "the container stranger" in caution.found) == (None, True)
    # What listens is our own container.
    ours = empty(port_holders={("0.0.0.0", 80): ("lab-proxy",)})
    assert plain_port.where_free(settings, ours, lambda *where: "docker-proxy (pid 8)") == (settings, ())
    assert plain_port.where_free(settings, empty(), lambda *where: None) == (settings, ())


@pytest.mark.parametrize("wish", ["HTTP_PORT=80", "ACME_EMAIL=admin@example.org"])
def test_a_taken_one_is_refused_where_somebody_wants_it(load: Load, wish: str) -> None:
    settings = load(f"HUB_HOST=hub.example.org\n{wish}")
    taken = empty(port_holders={("0.0.0.0", 80): ("stranger",)})
    assert plain_port.where_free(settings, taken, lambda *where: "nginx") == (settings, ())
    drawn = drawn_blueprint(settings)
    found = checks.findings(Case(reconcile(drawn, taken), drawn, taken, checks.Evidence()))
    assert any("port 80 is taken by the container stranger" in str(one) for one in found)


def test_an_existing_deployment_gets_it_by_a_blink_that_the_plan_shows(load: Load) -> None:
    before = up(drawn_blueprint(load("HUB_HOST=hub.example.org\nHTTP_PORT=none")))
    plan = str(reconcile(drawn_blueprint(load("HUB_HOST=hub.example.org")), before))
    assert "container lab-proxy is stopped - ports: none -> 0.0.0.0:80 to 8080" in plan
    assert "the proxy restarts, connections blink" in plan
