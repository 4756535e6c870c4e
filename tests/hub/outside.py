"""Another machine in front of a deployment: a network namespace of this machine with addresses of its own, where nginx or Caddy
runs as docs/going-public.md has it.
"""

from __future__ import annotations

import re
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from hubdeploy.machine import debian
from tests import documents
from tests.hub.authority import Authority
from tests.hub.waiting import until

_PACKAGES = {"nginx": "nginx-light", "caddy": "caddy", "ip": "iproute2", "curl": "curl"}
# What stands in the document, where it differs from machine to machine.
_HOST, _PATH, _LISTENS = "www.example.org", "jupyter", "127.0.0.1:8000"


@dataclass(frozen=True)
class Machine:
    """`here` is this machine's address in the network of the two; `proxy` and `stranger` are addresses of the other machine, the
    first of which it takes by itself."""

    namespace: str
    here: str
    proxy: str
    stranger: str

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["ip", "netns", "exec", self.namespace, *command], capture_output=True, text=True, timeout=60, check=False
        )

    def status(self, address: str, url: str, *headers: str) -> int:
        """What a request from one of its addresses is answered with; 0 where nobody answers within three seconds."""
        named = [word for header in headers for word in ("-H", header)]
        command = [
            "curl",
            "-s",
            "-o",
            "/dev/null",
            "-m",
            "3",
            "-w",
            "%{http_code}",
            "--interface",
            address,
            *named,
            url,
        ]
        return int(self.run(*command).stdout)

    def route(self, network: str) -> None:
        """Sends what is for this network through this machine."""
        assert self.run("ip", "route", "replace", network, "via", self.here).returncode == 0


@contextmanager
def machine() -> Iterator[Machine]:
    """The other machine, as long as it is used."""
    if missing := [package for program, package in _PACKAGES.items() if shutil.which(program) is None]:
        debian.install(missing, print)
    name = f"hubtest-{secrets.token_hex(3)}"
    ours, theirs = f"{name}-0"[-15:], f"{name}-1"[-15:]
    # Of a network that no test and no engine uses.
    network = f"10.253.{secrets.randbelow(250) + 1}"
    made = Machine(name, f"{network}.1", f"{network}.2", f"{network}.3")
    inside = ["ip", "-n", name]
    try:
        for command in (
            ["ip", "netns", "add", name],
            ["ip", "link", "add", ours, "type", "veth", "peer", "name", theirs, "netns", name],
            ["ip", "address", "add", f"{made.here}/24", "dev", ours],
            ["ip", "link", "set", ours, "up"],
            [*inside, "address", "add", f"{made.proxy}/24", "dev", theirs],
            [*inside, "address", "add", f"{made.stranger}/24", "dev", theirs],
            [*inside, "link", "set", theirs, "up"],
            [*inside, "link", "set", "lo", "up"],
        ):
            subprocess.run(command, check=True, capture_output=True)
        yield made
    finally:
        with suppress(subprocess.CalledProcessError):
            subprocess.run(["ip", "netns", "delete", name], check=True, capture_output=True)


def block(program: str, other: Machine, path: str, listens: str, certificate: Path, key: Path) -> str:
    """The document's configuration for nginx or Caddy, with names, paths and addresses of the tests."""
    found = documents.fenced(documents.DOCS / "going-public.md", program)
    text = found.replace(_HOST, other.proxy).replace(_PATH, path).replace(_LISTENS, listens)
    assert text.count(listens) == 1
    text = re.sub(r"(ssl_certificate +)\S+;", rf"\g<1>{certificate};", text)
    return re.sub(r"(ssl_certificate_key +)\S+;", rf"\g<1>{key};", text)


def nginx(other: Machine, path: str, listens: str, folder: Path) -> list[str]:
    """The command that runs nginx; its files are in `folder`."""
    certificate, key = _pair(other, folder)
    places = "".join(
        f"{one}_temp_path {folder}/{one};\n" for one in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    configuration = folder / "nginx.conf"
    configuration.write_text(
        f"daemon off;\nuser root;\npid {folder}/pid;\nerror_log stderr;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{places}{block('nginx', other, path, listens, certificate, key)}}}\n"
    )
    return ["nginx", "-p", str(folder), "-c", str(configuration)]


def caddy(other: Machine, path: str, listens: str, folder: Path) -> list[str]:
    """The command that runs Caddy; its files are in `folder`. It brings its certificate along, as no authority is asked here."""
    certificate, key = _pair(other, folder)
    text = block("caddy", other, path, listens, certificate, key)
    configuration = folder / "Caddyfile"
    first, _, rest = text.partition("\n")
    asked = f"{{\nadmin off\nauto_https disable_redirects\nstorage file_system {folder}\n}}\n"
    configuration.write_text(f"{asked}{first}\ntls {certificate} {key}\n{rest}")
    return ["caddy", "run", "--config", str(configuration), "--adapter", "caddyfile"]


@contextmanager
def running(
    program: Callable[[Machine, str, str, Path], list[str]], other: Machine, path: str, listens: str, folder: Path
) -> Iterator[Path]:
    """The program on the other machine, at port 443, until it is left; gives what browsers must trust."""
    command = ["ip", "netns", "exec", other.namespace, *program(other, path, listens, folder)]
    (folder / "ca.pem").write_bytes(Authority().pem)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        until(lambda: other.status(other.proxy, f"http://{other.proxy}:443/") > 0, 20, f"{command[4]} answers")
        yield folder / "ca.pem"
    finally:
        process.terminate()
        process.wait(20)


def _pair(other: Machine, folder: Path) -> tuple[Path, Path]:
    certificate, key = Authority().pair(other.proxy)
    paths = folder / "site.crt", folder / "site.key"
    for path, content in zip(paths, (certificate, key), strict=True):
        path.write_bytes(content)
    return paths
