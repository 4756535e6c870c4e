"""Let's Encrypt's own small authority for tests, pebble, with its challenge test server, which plays the DNS: processes of this
machine that listen on addresses of it alone.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from hubdeploy.machine import debian
from tests.hub.authority import Authority
from tests.ports import free_port

_READY_WITHIN = 15
# The one customer that it takes, and their key.
BINDING = {"kid-1": "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"}


@dataclass(frozen=True)
class Pebble:
    """`directory` is what ACME_SERVER must be, `ca_bundle` what its own certificate needs; `root` signs what it issues."""

    directory: str
    ca_bundle: Path
    root: Path
    _dns: str

    @property
    def orders(self) -> int:
        """How many orders it was asked for."""
        return self.root.with_name("pebble.log").read_text().count("orders in the db")

    def resolve(self, host: str, *addresses: str) -> None:
        """Makes the authority find a name at these addresses instead of 127.0.0.1."""
        requests.post(f"{self._dns}/clear-a", json={"host": host}, timeout=5).raise_for_status()
        requests.post(f"{self._dns}/add-a", json={"host": host, "addresses": addresses}, timeout=5).raise_for_status()


@contextmanager
def pebble(address: str, http_port: int, folder: Path, *, seconds: int = 90 * 86400) -> Iterator[Pebble]:
    """An authority at `address` that asks for challenges at `http_port` and issues certificates for so many seconds."""
    if shutil.which("pebble") is None:
        debian.install(["pebble"], print)
    authority = Authority()
    (folder / "ca.pem").write_bytes(authority.pem)
    certificate, key = authority.pair(address)
    (folder / "pebble.crt").write_bytes(certificate)
    (folder / "pebble.key").write_bytes(key)
    asked, managed, dns, dns_managed = (free_port() for _ in range(4))
    config = {
        "listenAddress": f"{address}:{asked}",
        "managementListenAddress": f"{address}:{managed}",
        "certificate": str(folder / "pebble.crt"),
        "privateKey": str(folder / "pebble.key"),
        "httpPort": http_port,
        "tlsPort": free_port(),
        "certificateValidityPeriod": seconds,
        "externalAccountBindingRequired": True,
        "externalAccountMACKeys": BINDING,
    }
    (folder / "pebble.json").write_text(json.dumps({"pebble": config}))
    off = [word for name in ("http01", "https01", "tlsalpn01") for word in (f"-{name}", "")]
    found = Pebble(
        f"https://{address}:{asked}/dir", folder / "ca.pem", folder / "root.pem", f"http://127.0.0.1:{dns_managed}"
    )
    with ExitStack() as stack:
        stack.enter_context(
            _process(
                ["pebble-challtestsrv", "-defaultIPv4", "127.0.0.1", "-defaultIPv6", "", *off,
                 "-dns01", f"127.0.0.1:{dns}", "-management", f"127.0.0.1:{dns_managed}"], folder / "dns.log"
            )
        )  # fmt: skip
        stack.enter_context(
            _process(
                ["pebble", "-config", str(folder / "pebble.json"), "-dnsserver", f"127.0.0.1:{dns}"],
                folder / "pebble.log",
            )
        )
        root = _answer(f"https://{address}:{managed}/roots/0", folder / "ca.pem")
        found.root.write_text(root)
        yield found


@contextmanager
def _process(command: Sequence[str], log: Path) -> Iterator[None]:
    # It waits before it asks for a challenge, and refuses good nonces now and then, unless told.
    environment = {**os.environ, "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0"}
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)


def _answer(url: str, ca: Path) -> str:
    deadline = time.monotonic() + _READY_WITHIN
    while True:
        try:
            answer = requests.get(url, verify=str(ca), timeout=5)
            answer.raise_for_status()
            return answer.text
        except requests.ConnectionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
