"""Behind another proxy on another machine, which takes browsers' TLS: nginx and Caddy as the document has them, in front of a
deployment below a path, and whoever tries to pass for them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hubdeploy.blueprint.routing import HTTPS_PORT
from tests.hub import outside
from tests.hub.clone import Clone
from tests.hub.conftest import GITHUB_USERLIST
from tests.hub.github_standin import GitHubStandIn
from tests.hub.outside import Machine
from tests.hub.person import Person
from tests.hub.waiting import until
from tests.hub.walls import without_walls

pytestmark = pytest.mark.slow

_PATH = "lab/physics"
_FORGED = (
    "X-Forwarded-For: 192.0.2.99",
    "X-Real-Ip: 192.0.2.99",
    "Forwarded: for=192.0.2.99;proto=http",
    "X-Scheme: http",
)
# Asks from within a server, and prints the status; 0 where nobody answers.
_ASK = """
import http.client, sys
try:
    connection = http.client.HTTPConnection(sys.argv[1], int(sys.argv[2]), timeout=3)
    connection.request("GET", sys.argv[3], headers={"X-Forwarded-For": "192.0.2.99"})
    print(connection.getresponse().status)
except OSError:
    print(0)
"""


@dataclass(frozen=True)
class Behind:
    """A deployment, and the machine of the proxy in front of it."""

    clone: Clone
    other: Machine

    @property
    def listens(self) -> str:
        return f"{self.other.here}:{self.clone.settings.listen_port}"

    @property
    def login_page(self) -> str:
        """Its address past the proxy in front."""
        return f"http://{self.listens}/{_PATH}/hub/login"

    def person(self, name: str, trusted: Path) -> Person:
        return Person(self.clone.url, name, trusted)

    def asked_in_a_server(self, server: str, host: str, port: int) -> int:
        command = ["python3", "-c", _ASK, host, str(port), f"/{_PATH}/hub/login"]
        asked = self.clone.container(self.clone.server_name(server)).exec_run(command)
        assert isinstance(asked.output, bytes)
        return int(asked.output)


@pytest.fixture(scope="module")
def behind(hub: Clone, new_clone: Callable[..., Clone], github: GitHubStandIn) -> Iterator[Behind]:
    with outside.machine() as other:
        clone = new_clone(GITHUB_USERLIST)
        clone.share_images_of(hub)
        keys = {"GITHUB_CLIENT_ID": github.client_id, "GITHUB_CLIENT_SECRET": github.client_secret}
        clone.set_local(
            TLS="outside", HUB_HOST=other.proxy, HUB_PORT="443", HUB_PATH=f"/{_PATH}/", BIND_ADDRESS=other.here,
            LISTEN_PORT=str(clone.port), TRUSTED_PROXIES=other.proxy, GITHUB_URL=github.url, **keys,
        )  # fmt: skip
        told = clone.up()
        assert f"the proxy in front does not lead here yet: nobody answers with TLS at {other.proxy} port 443" in told
        yield Behind(clone, other)


@pytest.mark.parametrize("program", [outside.nginx, outside.caddy])
def test_a_user_works_behind_the_documents_proxy(
    behind: Behind, tmp_path: Path, program: Callable[[Machine, str, str, Path], list[str]]
) -> None:
    clone = behind.clone
    with outside.running(program, behind.other, _PATH, behind.listens, tmp_path) as trusted:
        assert f"proxy in front: leads here from {clone.url}" in clone.invoke("status")
        user = behind.person("octocat", trusted)
        user._window.headers.update(dict(one.split(": ") for one in _FORGED))
        answer = user.log_in_with_github()
        assert answer.status_code == 200
        assert answer.url.startswith(f"{clone.url}/")
        assert "octocat" in answer.url
        # A server's own cookie against forged requests is for every connection.
        assert {cookie.secure for cookie in user._window.cookies if cookie.name != "_xsrf"} == {True}
        user.take_token()
        user.start_server()
        kernel = user.open_kernel()
        assert kernel.run("print(6 * 7)") == "42\n"
        large = "x" * 3_000_000
        written = {"type": "file", "format": "text", "content": large}
        assert user.call("PUT", "/user/octocat/api/contents/large.txt", json=written).status_code in (200, 201)
        read = user.call("GET", "/user/octocat/api/contents/large.txt").json()
        assert read["content"] == large
        # A page that is asked for without the slash at the end of the path.
        assert user._window.get(clone.url, timeout=30).url.startswith(f"{clone.url}/")
        kernel.close()
    lines = [line for line in clone.invoke("audit", "--user", "octocat").splitlines() if "login" in line]
    assert {re.split(r"\s{2,}", line.strip())[-1] for line in lines} == {behind.other.here}


def test_nobody_else_reaches_the_port_of_the_proxy_in_front(behind: Behind) -> None:
    other = behind.other
    assert other.status(other.proxy, behind.login_page) == 200
    assert other.status(other.stranger, behind.login_page, *_FORGED) == 0
    with without_walls(behind.clone):
        # They reach the proxy then, which takes nobody who does not come by the engine's host.
        assert other.status(other.stranger, behind.login_page, *_FORGED) == 403
    assert other.status(other.stranger, behind.login_page) == 0


def test_neither_a_neighbour_nor_a_users_server_passes_for_the_proxy_in_front(behind: Behind, tmp_path: Path) -> None:
    clone, other = behind.clone, behind.other
    network = clone.client.networks.get(clone.settings.network_name)
    proxy = clone.container(clone.settings.proxy_name).attrs["NetworkSettings"]["Networks"][network.name]["IPAddress"]
    other.route(network.attrs["IPAM"]["Config"][0]["Subnet"])
    straight = f"http://{proxy}:{HTTPS_PORT}/{_PATH}/hub/login"
    # Older engines let neighbours send packets straight to a container that publishes a port.
    assert {other.status(address, straight, *_FORGED) for address in (other.proxy, other.stranger)} <= {0, 403}
    with outside.running(outside.nginx, other, _PATH, behind.listens, tmp_path) as trusted:
        user = behind.person("hubot", trusted)
        assert user.log_in_with_github().status_code == 200
        user.take_token()
        user.start_server()
    assert behind.asked_in_a_server("hubot", clone.settings.proxy_name, HTTPS_PORT) == 403
    assert behind.asked_in_a_server("hubot", other.here, clone.settings.listen_port) == 0


def test_the_proxy_opens_no_port_before_the_guard_has_closed_the_door(behind: Behind) -> None:
    clone, other = behind.clone, behind.other
    for server in [one for one in clone.containers() if one.labels.get("hubdeploy.role") == "server"]:
        server.stop()
    guard, proxy = (clone.container(f"{clone.name}-{role}") for role in ("guard", "proxy"))
    # It takes its rules along where no server runs.
    guard.stop()
    proxy.restart(timeout=5)
    assert other.status(other.proxy, behind.login_page) == 0
    assert proxy.exec_run(["sh", "-c", "pidof traefik"]).exit_code == 1
    guard.start()
    until(lambda: other.status(other.proxy, behind.login_page) == 200, 30, "the proxy opens its port")


def test_the_deployment_takes_browsers_tls_itself_again(behind: Behind) -> None:
    clone, other = behind.clone, behind.other
    clone.set_local(TLS=None, TRUSTED_PROXIES=None, LISTEN_PORT=None, HUB_PORT=str(clone.port), HUB_HOST=other.here)
    told = clone.up()
    assert "TRUSTED_PROXIES" in told
    asked = Person(clone.url, "octocat", clone.settings.certificate_path).call(
        "GET", "/hub/login", allow_redirects=False
    )
    assert asked.status_code == 200
    assert json.loads(_variable(clone, "guard", "WALLS"))["door"] is None


def _variable(clone: Clone, role: str, name: str) -> str:
    environment = clone.container(f"{clone.name}-{role}").attrs["Config"]["Env"]
    return str(dict(line.split("=", 1) for line in environment)[name])
