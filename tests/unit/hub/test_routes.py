"""The hub's routes in the proxy's file, drawn by the package's own code and ours."""

from __future__ import annotations

import asyncio
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from hubdeploy.blueprint import routing
from tests.unit.hub import hub_image

FRONT = "http://hub-front:8082"
HUB, ANN = ("/", "http://lab-hub:8081", {"hub": True}), ("/user/ann/", "http://172.18.0.2:8888", {"user": "ann"})
BOB = ("/user/bob@example.org/", ANN[1], {"user": "bob@example.org"})
# As an earlier version of this project left it: no pages, and no priorities.
OLD = """
[http.routers.router__2F]
service = "service__2F"
rule = "PathPrefix(`/`)"
entryPoints = [ "https",]

[http.services.service__2F.loadBalancer]
passHostHeader = true
[[http.services.service__2F.loadBalancer.servers]]
url = "http://lab-hub:8081"

[jupyterhub.routes.router__2F]
routespec = "/"
target = "http://lab-hub:8081"
router = "router__2F"
service = "service__2F"

[jupyterhub.routes.router__2F.data]
hub = true
"""


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    return tmp_path / "rules.toml"


async def routes(rules: Path) -> Any:
    """The hub's side of the proxy, which no Traefik answers."""
    made = hub_image.load("routes").Routes(
        should_start=False,
        enable_setup_dynamic_config=False,
        dynamic_config_file=str(rules),
        traefik_entrypoint="https",
        front_url=FRONT,
    )
    made._start_future.cancel()
    made._start_future = None
    return made


async def added(rules: Path, *specs: tuple[str, str, dict[str, Any]]) -> Any:
    made = await routes(rules)
    for spec in specs:
        await made._apply_dynamic_config(*made._dynamic_config_for_route(*spec))
    return made


def routers(rules: Path) -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads(rules.read_text())["http"]["routers"]
    return found


def test_the_proxy_asks_the_hub_where_users_servers_cannot(rules: Path) -> None:
    made = asyncio.run(added(rules, HUB, ANN))
    led = {
        one["loadBalancer"]["servers"][0]["url"]
        for one in tomllib.loads(rules.read_text())["http"]["services"].values()
    }
    assert led == {FRONT, ANN[1]}
    # What JupyterHub asks for again, unless it finds it.
    assert {one["target"] for one in made.dynamic_config["jupyterhub"]["routes"].values()} == {HUB[1], ANN[1]}


def test_beside_each_route_is_one_for_pages_that_leads_to_the_same_server(rules: Path) -> None:
    asyncio.run(added(rules, HUB, ANN))
    drawn = routers(rules)
    for plain, page in (("router__2F", "page__2F"), ("router__2Fuser_2Fann_2F", "page__2Fuser_2Fann_2F")):
        assert drawn[page]["service"] == drawn[plain]["service"]
        assert "middlewares" not in drawn[plain]
        assert "HeaderRegexp(`Accept`, `text/html`)" in drawn[page]["rule"]
    assert drawn["page__2F"]["middlewares"] == [f"{routing.HUB_AWAY}@file"]
    assert drawn["page__2Fuser_2Fann_2F"]["middlewares"] == [f"{routing.SERVER_AWAY}@file"]


def test_a_users_routes_win_over_the_hubs_and_pages_over_the_rest(rules: Path) -> None:
    asyncio.run(added(rules, HUB, ("/user/a/", ANN[1], {"user": "a"})))
    order = sorted(routers(rules).items(), key=lambda one: -one[1]["priority"])
    assert [name.split("_")[0] for name, _ in order] == ["page", "router", "page", "router"]
    assert [name for name, _ in order][2:] == ["page__2F", "router__2F"]
    assert min(one["priority"] for _, one in order) > 1


def test_a_route_that_is_deleted_takes_its_pages_along(rules: Path) -> None:
    async def story() -> None:
        made = await added(rules, HUB, ANN)
        await made.delete_route(ANN[0])

    asyncio.run(story())
    assert set(routers(rules)) == {"router__2F", "page__2F"}


def test_routes_of_an_earlier_version_get_their_pages(rules: Path) -> None:
    async def story() -> None:
        await (await routes(rules))._apply_dynamic_config({})

    rules.write_text(OLD)
    asyncio.run(story())
    assert set(routers(rules)) == {"router__2F", "page__2F"}
    assert routers(rules)["router__2F"]["rule"] == "PathPrefix(`/`)"


def test_a_name_of_several_spellings_is_rewritten_to_the_hubs_own(rules: Path) -> None:
    asyncio.run(added(rules, HUB, ANN, BOB))
    drawn = routers(rules)
    ordinary, several = drawn["router__2Fuser_2Fann_2F"], drawn["router__2Fuser_2Fbob_40example_2Eorg_2F"]
    assert "middlewares" not in ordinary
    assert "PathPrefix" in ordinary["rule"]
    (name,) = several["middlewares"]
    rewriting = tomllib.loads(rules.read_text())["http"]["middlewares"][name]["replacePathRegex"]
    for sent in ("/user/bob%40example.org", "/user/bob@example.org"):
        assert (
            re.sub(rewriting["regex"], rewriting["replacement"].replace("$1", r"\1"), f"{sent}/lab") == f"{BOB[0]}lab"
        )


def test_a_name_is_no_template_for_traefik(rules: Path) -> None:
    name = "{{ env `HOME` }}"
    user = ("/user/%7B%7B%20env%20%60HOME%60%20%7D%7D/", ANN[1], {"user": name})
    asyncio.run(added(rules, HUB, user))
    assert "{{" not in rules.read_text()
    held = tomllib.loads(rules.read_text())["jupyterhub"]["routes"].values()
    assert {one["data"].get("user") for one in held} == {None, name}


def test_the_last_name_of_several_spellings_leaves_no_empty_table(rules: Path) -> None:
    async def story() -> None:
        made = await added(rules, HUB, BOB)
        await made.delete_route(BOB[0])

    asyncio.run(story())
    assert "middlewares" not in tomllib.loads(rules.read_text())["http"]


def test_a_name_with_a_backslash_does_not_break_the_file(rules: Path) -> None:
    name = r"a\x41"
    asyncio.run(added(rules, HUB, ("/user/a%5Cx41/", ANN[1], {"user": name})))
    written = tomllib.loads(rules.read_text())["jupyterhub"]["routes"].values()
    assert [route["data"] for route in written] == [{"hub": True}, {"user": name}]


def test_a_file_that_cannot_be_read_is_written_anew(rules: Path) -> None:
    rules.write_text('broken = "\\x"')
    asyncio.run(added(rules, HUB))
    assert set(routers(rules)) == {"router__2F", "page__2F"}
