"""Let's Encrypt's own small authority for tests, pebble, with two of its challenge test servers, which play the DNS as the
authority sees it and as this machine does: processes of this machine that listen on addresses of it alone. What pebble cannot
do stands in front of it: a limit of orders, its name in CAA records, another time.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import requests

from hubdeploy.machine import debian
from tests.hub.authority import Authority
from tests.ports import free_port

_READY_WITHIN = 15
# The name by which it goes in CAA records.
CAA_NAME = "pebble.test"
# The one customer that it takes, and their key.
BINDING = {"kid-1": "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"}


@dataclass
class Front:
    """What stands before pebble: whether it has enough of orders, and how far its clock is from this machine's."""

    limited: bool = False
    apart: timedelta = timedelta(0)


@dataclass(frozen=True)
class Dns:
    """A name server, at `place` as ACME_DNS takes it. It knows the names that were given to it, and no others."""

    place: str
    _managed: str

    def resolve(self, host: str, *addresses: str, caa: str = "") -> None:
        """Makes a name have these addresses, of IPv4 or IPv6, and no others. `caa`: who may sign for it."""
        six = [one for one in addresses if ":" in one]
        four = [one for one in addresses if ":" not in one]
        policies = [{"tag": "issue", "value": caa}] if caa else []
        for kind, given in (("a", {"addresses": four}), ("aaaa", {"addresses": six}), ("caa", {"policies": policies})):
            self._ask(f"clear-{kind}", {"host": host})
            if any(given.values()):
                self._ask(f"add-{kind}", {"host": host, **given})

    def _ask(self, verb: str, body: object) -> None:
        requests.post(f"{self._managed}/{verb}", json=body, timeout=5).raise_for_status()


@dataclass(frozen=True)
class Pebble:
    """`directory` is what ACME_SERVER must be, `ca_bundle` what its own certificate needs; `root` signs what it issues. It asks
    `dns`; `seen_here` is for ACME_DNS. `staging` is the directory of a server for rehearsals, which asks the same names."""

    directory: str
    staging: str
    ca_bundle: Path
    root: Path
    dns: Dns
    seen_here: Dns
    front: Front = field(default_factory=Front)

    @property
    def orders(self) -> int:
        """How many orders it was asked for."""
        return self.root.with_name("pebble.log").read_text().count("orders in the db")

    def resolve(self, host: str, *addresses: str, caa: str = "") -> None:
        """Makes a name have these addresses everywhere."""
        for one in (self.dns, self.seen_here):
            one.resolve(host, *addresses, caa=caa)


@contextmanager
def pebble(address: str, folder: Path, *, seconds: int = 90 * 86400) -> Iterator[Pebble]:
    """An authority at `address` that asks for challenges at port 80 and issues certificates for so many seconds. For CAA records
    it is CAA_NAME."""
    if shutil.which("pebble") is None:
        debian.install(["pebble"], print)
    authority = Authority()
    (folder / "ca.pem").write_bytes(authority.pem)
    certificate, key = authority.pair(address)
    (folder / "pebble.crt").write_bytes(certificate)
    (folder / "pebble.key").write_bytes(key)
    asked, managed, rehearses = free_port(), free_port(), free_port()
    config: dict[str, object] = {
        "listenAddress": f"{address}:{asked}",
        "managementListenAddress": f"{address}:{managed}",
        "certificate": str(folder / "pebble.crt"),
        "privateKey": str(folder / "pebble.key"),
        "httpPort": 80,
        "tlsPort": free_port(),
        "certificateValidityPeriod": seconds,
        "externalAccountBindingRequired": True,
        "externalAccountMACKeys": BINDING,
    }
    staging = {
        **config,
        "listenAddress": f"{address}:{rehearses}",
        "managementListenAddress": f"{address}:{free_port()}",
    }
    staging["externalAccountBindingRequired"] = False
    for name, one in (("pebble", config), ("staging", staging)):
        (folder / f"{name}.json").write_text(json.dumps({"pebble": one}))
    with ExitStack() as stack:
        dns, seen_here = (stack.enter_context(_name_server(folder / f"dns-{number}.log")) for number in range(2))
        for name in ("pebble", "staging"):
            command = ["pebble", "-config", str(folder / f"{name}.json"), "-dnsserver", dns.place]
            stack.enter_context(_process(command, folder / f"{name}.log"))
        (folder / "root.pem").write_text(_answer(f"https://{address}:{managed}/roots/0", folder / "ca.pem"))
        front = Front()
        port = stack.enter_context(_in_front(front, authority, address, asked, folder))
        directory, staged = (f"https://{address}:{one}/dir" for one in (port, rehearses))
        yield Pebble(directory, staged, folder / "ca.pem", folder / "root.pem", dns, seen_here, front)


@contextmanager
def _name_server(log: Path) -> Iterator[Dns]:
    port, managed = free_port(), free_port()
    off = [word for name in ("http01", "https01", "tlsalpn01") for word in (f"-{name}", "")]
    nothing = ["-defaultIPv4", "", "-defaultIPv6", ""]
    dns = Dns(f"127.0.0.1:{port}", f"http://127.0.0.1:{managed}")
    command = ["pebble-challtestsrv", *nothing, *off, "-dns01", dns.place, "-management", f"127.0.0.1:{managed}"]
    with _process(command, log):
        yield dns


@contextmanager
def _in_front(front: Front, authority: Authority, address: str, behind: int, folder: Path) -> Iterator[int]:
    """The port of what leads to pebble, which builds its URLs from the Host that it was asked by."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _lead(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if front.limited and self.path == "/order-plz":
                told = {
                    "type": "urn:ietf:params:acme:error:rateLimited",
                    "detail": "too many certificates already issued",
                }
                self._say(429, {"Content-Type": "application/problem+json"}, json.dumps(told).encode())
                return
            sent = {key: self.headers[key] for key in ("Host", "Content-Type", "User-Agent") if key in self.headers}
            answer = requests.request(
                self.command, f"https://{address}:{behind}{self.path}", headers=sent, data=body, timeout=20,
                verify=str(folder / "ca.pem"),
            )  # fmt: skip
            content = answer.content
            if self.path == "/dir":
                document = answer.json()
                document["meta"]["caaIdentities"] = [CAA_NAME]
                content = json.dumps(document).encode()
            kept = ("Content-Type", "Location", "Link", "Replay-Nonce", "Retry-After")
            self._say(answer.status_code, {key: answer.headers[key] for key in kept if key in answer.headers}, content)

        do_GET = do_HEAD = do_POST = _lead

        def _say(self, code: int, headers: dict[str, str], content: bytes) -> None:
            self.send_response_only(code)
            date = format_datetime(datetime.now(UTC) + front.apart, usegmt=True)
            for key, value in {**headers, "Date": date, "Content-Length": str(len(content))}.items():
                self.send_header(key, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def log_message(self, format: str, *arguments: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer((address, 0), Handler)
    server.daemon_threads = True
    server.socket = authority.tls(address, folder).wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


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
