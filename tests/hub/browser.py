"""A Chromium in a container of its own. On the engine's own host pages would break: Chromium drops its connections
whenever a network interface appears or goes, and each container's start makes one. A user's browser never sees that.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import docker
from cryptography import x509
from cryptography.hazmat.primitives import serialization
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
_FORWARD = f"socat TCP-LISTEN:{_PUBLISHED},fork,reuseaddr TCP:127.0.0.1:{_INSIDE}"
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
        self.container.reload()
        if network.name not in self.container.attrs["NetworkSettings"]["Networks"]:
            network.connect(self.container)
        self.container.exec_run(
            ["socat", f"TCP-LISTEN:{port},bind=127.0.0.1,fork,reuseaddr", f"TCP:{target}"], detach=True
        )
        check = ["socat", "-u", "OPEN:/dev/null", f"TCP:127.0.0.1:{port}"]
        until(lambda: self.container.exec_run(check).exit_code == 0, _ANSWERS_WITHIN, f"{target} can be reached")


@contextmanager
def browser_machine(
    client: docker.DockerClient,
    run: str,
    trusted: Sequence[Path] = (),
    *,
    authorities: Sequence[Path] = (),
    here: str = "",
) -> Iterator[BrowserMachine]:
    """Chromium started, ready for commands. It takes the `trusted` certificates for good ones; of a site whose certificate
    was only waved through it would keep nothing in its cache. It trusts the `authorities` as a person's own, and finds the
    names that fit the pattern `here` at its own loopback address."""
    keys = ",".join(_key_digest(certificate) for certificate in trusted)
    rules = f"MAP {here} 127.0.0.1" if here else ""
    flags = f"{_FLAGS} --ignore-certificate-errors-spki-list={keys} --host-resolver-rules='{rules}'"
    command = f"{_trusting(len(authorities))}{_FORWARD} & exec chromium {flags} about:blank"
    packages = ["ca-certificates", "chromium", "fonts-dejavu-core", "libnss3-tools", "socat"]
    image = nested.image(client, "chromium", "bookworm", packages)
    ports: dict[str, tuple[str, int]] = {f"{_PUBLISHED}/tcp": ("127.0.0.1", 0)}
    try:
        container = client.containers.run(
            image,
            ["sh", "-c", command],
            labels={nested.LABEL: run},
            environment={f"AUTHORITY{number}": path.read_text() for number, path in enumerate(authorities)},
            init=True,
            ports=ports,
            shm_size="1g",
            detach=True,
        )
        until(lambda: _takes_commands(container), _ANSWERS_WITHIN, "Chromium takes commands")
        yield BrowserMachine(container)
    finally:
        nested.clear(client, run)


def _trusting(authorities: int) -> str:
    """Commands that put so many authorities, which lie in the environment, where Chromium looks for a person's own."""
    store = "sql:$HOME/.pki/nssdb"
    add = [
        f'printf %s "$AUTHORITY{number}" | certutil -d {store} -A -n authority{number} -t C,, -a; '
        for number in range(authorities)
    ]
    return f"mkdir -p $HOME/.pki/nssdb; certutil -d {store} -N --empty-password; {''.join(add)}" if add else ""


def _key_digest(certificate: Path) -> str:
    key = x509.load_pem_x509_certificate(certificate.read_bytes()).public_key()
    encoded = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(encoded).digest()).decode()


def _port(container: Container) -> int:
    container.reload()
    return int(container.attrs["NetworkSettings"]["Ports"][f"{_PUBLISHED}/tcp"][0]["HostPort"])


def _takes_commands(container: Container) -> bool:
    check = ["socat", "-u", "OPEN:/dev/null", f"TCP:127.0.0.1:{_INSIDE}"]
    return bool(container.exec_run(check).exit_code == 0)
