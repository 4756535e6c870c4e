"""The engine's border: docker-py's own client and Docker's command line, whose requests are remembered and answered here
instead of being sent.

Above it everything is real: it remembers what the engine would get (path, parameters, body). It plays an engine that
holds pulled images only, and a volume with a certificate if the settings name one.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import shlex
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from types import SimpleNamespace
from typing import IO, Any
from urllib.parse import unquote

import docker
import requests

from tests.archive import tar

# Not a round number: no limit in a setting is half of it.
MEMORY = 7_700_000_000
SUBNET = "172.30.0.0/16"
VERSION = "1.41"


@dataclass(frozen=True)
class Request:
    """One request: `body` is read from JSON, or is the bytes of an archive. A command is a request too: its method is RUN,
    `path` is its words, `body` the archive on its standard input."""

    method: str
    path: str
    params: Mapping[str, Any]
    body: Any = field(repr=False)

    def is_for(self, method: str, start: str, end: str = "") -> bool:
        return self.method == method and self.path.startswith(start) and self.path.endswith(end)


class Finished(contextlib.nullcontext[None]):
    """A process that has ended well and printed nothing."""

    stdout: Sequence[bytes] = ()
    returncode = 0

    def wait(self) -> int:
        return self.returncode

    poll = wait


class Wire(docker.APIClient):
    """A client of an engine that is empty at first. `requests` are those since the last `clear`."""

    def __init__(self) -> None:
        super().__init__(base_url="tcp://engine:2375", version=VERSION)
        self.clear()

    def clear(self, volume: Mapping[str, bytes] | None = None) -> None:
        """Forgets all; `volume` are the files in any volume that is read."""
        self.requests: list[Request] = []
        self._volume = volume or {}
        self._networks: dict[str, dict[str, Any]] = {}
        self._images = [_image("stranger:latest")]

    def request(self, method: str, url: str, params: Any = None, data: Any = None, **_: Any) -> requests.Response:  # type: ignore[override]
        path = unquote(url.partition(f"/v{VERSION}")[2] or url.partition("2375")[2])
        if hasattr(data, "read"):
            data = data.read()
        body = json.loads(data) if isinstance(data, str) else data
        self.requests.append(Request(method.upper(), path, params or {}, body))
        return self._answer(self.requests[-1])

    def run_command(self, words: Sequence[str], *, stdin: IO[bytes], **_: Any) -> Finished:
        """Stands for subprocess.Popen."""
        self.requests.append(Request("RUN", shlex.join(words), {}, stdin.read()))
        return Finished()

    def _answer(self, asked: Request) -> requests.Response:
        if asked.is_for("GET", "/containers/", "/archive"):
            stat = base64.b64encode(b"{}").decode()
            below = {f"volume/{name}": data for name, data in self._volume.items()}
            return response(200, tar(below), {"x-docker-container-path-stat": stat})
        if asked.is_for("POST", "/images/", "/tag"):
            return response(201, b"")
        if asked.is_for("POST", "/networks/create"):
            self._networks[asked.body["Name"]] = asked.body
        if asked.is_for("POST", "/images/create"):
            self._images.append(_image(reference(asked)))
        known = {
            "/version": {"ApiVersion": VERSION},
            "/info": {"ServerVersion": "28.5", "MemTotal": MEMORY},
            "/images/json": self._images,
            "/networks": [],
            "/volumes": {"Volumes": []},
            "/containers/json": [],
        }
        if asked.method == "GET" and asked.path in known:
            return response(200, json.dumps(known[asked.path]).encode())
        if asked.is_for("GET", "/networks/"):
            return response(200, json.dumps(self._network(asked.path.removeprefix("/networks/"))).encode())
        return response(200, json.dumps({"Id": "0123456789ab", "Warnings": None}).encode())

    def _network(self, name: str) -> dict[str, Any]:
        """A network as it was requested; without a subnet in the request, the engine chooses one."""
        body = self._networks.get(name, {})
        ipam = body.get("IPAM") or {"Config": [{"Subnet": SUBNET}]}
        return {"Id": "0123456789ab", "Name": name, "Labels": body.get("Labels"), "IPAM": ipam}


def reference(pull: Request) -> str:
    """The reference that a pull asked for."""
    tag = pull.params["tag"]
    return f"{pull.params['fromImage']}{'@' if tag.startswith('sha256:') else ':'}{tag}"


def _image(name: str) -> dict[str, Any]:
    """As the engine lists it. Another name is another image here."""
    names = {"RepoDigests" if "@" in name else "RepoTags": [name]}
    return {"Id": f"sha256:{sha256(name.encode()).hexdigest()}", "Created": 0, "Size": 0, **names}


def response(status: int, content: bytes, headers: Mapping[str, str] | None = None) -> requests.Response:
    made = requests.Response()
    made.status_code = status
    made._content = content
    made._content_consumed = True  # type: ignore[attr-defined]
    made.headers.update(headers or {})
    # as docker-py reaches for the socket, to take its time limit off
    made.raw = SimpleNamespace(_fp=SimpleNamespace(chunked=False, fp=SimpleNamespace(raw=None)))
    return made


def put(asked: Request) -> dict[str, bytes]:
    """Path without a leading slash -> content, of the files that a request puts into a container."""
    folder = asked.params["path"].strip("/")
    return {f"{folder}/{name}".lstrip("/"): content for name, content in untar(asked.body).items()}


def untar(archive: bytes) -> dict[str, bytes]:
    """Name -> content of an archive's files, in its order."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as given:
        return {member.name: given.extractfile(member).read() for member in given if member.isreg()}  # type: ignore[union-attr]
