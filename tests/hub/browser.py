"""A Chromium in a container of its own. On the engine's own host pages would break: Chromium drops its connections
whenever a network interface appears or goes, and each container's start makes one. A user's browser never sees that.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import docker
from docker.models.containers import Container
from docker.models.networks import Network
from playwright.sync_api import Browser, Playwright

from hubdeploy.blueprint.routing import HTTPS_PORT
from tests import nested
from tests.hub.clone import Clone
from tests.hub.waiting import until

# Chromium takes commands on its own loopback address only; socat passes them on.
_INSIDE, _PUBLISHED = 9222, 9223
_FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --disable-dev-shm-usage --no-first-run"
    " --disable-background-networking --disable-component-update --disable-sync"
    f" --user-data-dir=/tmp/profile --remote-debugging-port={_INSIDE}"
)
_COMMAND = f"socat TCP-LISTEN:{_PUBLISHED},fork,reuseaddr TCP:127.0.0.1:{_INSIDE} & exec chromium {_FLAGS} about:blank"
_ANSWERS_WITHIN = 60


@dataclass(frozen=True)
class BrowserMachine:
    """The container, and the deployments that it can reach under the URLs that their users type."""

    container: Container
    reached: set[str] = field(default_factory=set)

    def connect(self, playwright: Playwright) -> Browser:
        # Asked now: the engine may publish another port when the container joins one more network.
        return playwright.chromium.connect_over_cdp(f"http://127.0.0.1:{_port(self.container)}")

    def reach(self, clone: Clone) -> None:
        """Makes the clone's proxy, which listens on the loopback address of the engine's host, reachable here."""
        if clone.name in self.reached or not clone.has_container(clone.settings.proxy_name):
            return
        network = clone.client.networks.get(clone.settings.network_name)
        self.forward(clone.port, network, f"{clone.settings.proxy_name}:{HTTPS_PORT}")
        self.reached.add(clone.name)

    def forward(self, port: int, network: Network, target: str) -> None:
        """Forwards `port` here to `target` (host:port) on that network."""
        network.connect(self.container)
        self.container.exec_run(
            ["socat", f"TCP-LISTEN:{port},bind=127.0.0.1,fork,reuseaddr", f"TCP:{target}"], detach=True
        )
        check = ["socat", "-u", "OPEN:/dev/null", f"TCP:127.0.0.1:{port}"]
        until(lambda: self.container.exec_run(check).exit_code == 0, _ANSWERS_WITHIN, f"{target} can be reached")


@contextmanager
def browser_machine(client: docker.DockerClient, run: str) -> Iterator[BrowserMachine]:
    """Chromium started, ready for commands."""
    packages = ["ca-certificates", "chromium", "socat", "fonts-dejavu-core"]
    image = nested.image(client, "browser", "bookworm", packages)
    ports: dict[str, tuple[str, int]] = {f"{_PUBLISHED}/tcp": ("127.0.0.1", 0)}
    try:
        container = client.containers.run(
            image,
            ["sh", "-c", _COMMAND],
            labels={nested.LABEL: run},
            init=True,
            ports=ports,
            shm_size="1g",
            detach=True,
        )
        until(lambda: _takes_commands(container), _ANSWERS_WITHIN, "Chromium takes commands")
        yield BrowserMachine(container)
    finally:
        nested.clear(client, run)


def _port(container: Container) -> int:
    container.reload()
    return int(container.attrs["NetworkSettings"]["Ports"][f"{_PUBLISHED}/tcp"][0]["HostPort"])


def _takes_commands(container: Container) -> bool:
    check = ["socat", "-u", "OPEN:/dev/null", f"TCP:127.0.0.1:{_INSIDE}"]
    return bool(container.exec_run(check).exit_code == 0)
