"""The engine's own API, over its socket: the few requests that the filter makes of it."""

from __future__ import annotations

import base64
import io
import json
import tarfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, UnixConnector
from contract import servers

# Where the engine's socket lies in the filter's container.
SOCKET = "/run/docker.sock"
# The versions of the API that the filter was written for; an engine that speaks none of them takes its oldest.
OLDEST: tuple[int, ...] = (1, 41)
# Seconds of a request to the engine without a byte; a stop waits for the server's own end.
WITHIN = 300


class Away(Exception):
    """The engine does not answer."""


@dataclass(frozen=True)
class Answer:
    """Status, and the body with its type."""

    status: int
    body: bytes
    kind: str = "application/json"

    @property
    def found(self) -> bool:
        return self.status < HTTPStatus.MULTIPLE_CHOICES

    @property
    def content(self) -> Any:
        return json.loads(self.body)


class Engine:
    """One session with the engine, from `begin` to `end`."""

    def __init__(self) -> None:
        self._session = ClientSession(
            connector=UnixConnector(SOCKET, limit=0),
            timeout=ClientTimeout(total=None, sock_connect=10, sock_read=None),
            auto_decompress=False,
        )
        self._version = OLDEST

    async def begin(self) -> None:
        """Learns which version of its API the engine speaks. Raises Away."""
        oldest = (await self._whole("GET", "/version", {}, None)).content["MinAPIVersion"]
        self._version = max(OLDEST, servers.api_version(oldest))

    async def end(self) -> None:
        await self._session.close()

    @property
    def mac_in_endpoint(self) -> bool:
        return self._version >= servers.MAC_IN_ENDPOINT

    async def ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: object | None = None,
        within: float = WITHIN,
    ) -> Answer:
        """The whole answer. Raises Away, also after so many seconds without a byte."""
        return await self._whole(method, self._versioned(path), query or {}, body, within)

    @asynccontextmanager
    async def stream(self, path: str, query: Mapping[str, str]) -> AsyncIterator[ClientResponse]:
        """An answer that is read piece by piece. Raises Away."""
        try:
            async with self._session.get(f"http://engine{self._versioned(path)}", params=query) as answer:
                yield answer
        except (ClientError, OSError) as error:
            raise Away(str(error)) from error

    async def link_target(self, container: str, path: str) -> str:
        """What `path` is a link to in a container that need not run, its volumes mounted; empty if it is none.

        By HEAD, which reads no file and locks nothing. Raises Away, also if the engine cannot say.
        """
        url = f"http://engine{self._versioned(f'/containers/{container}/archive')}"
        try:
            async with self._session.head(url, params={"path": path}) as answer:
                if answer.status != HTTPStatus.OK:
                    raise Away(f"{path} cannot be looked at")
                stat = answer.headers["X-Docker-Container-Path-Stat"]
        except (ClientError, OSError) as error:
            raise Away(str(error)) from error
        return str(json.loads(base64.b64decode(stat))["linkTarget"])

    async def file(self, container: str, path: str) -> bytes:
        """A file in a container, whoever it belongs to. Raises Away where there is none."""
        answer = await self.ask("GET", f"/containers/{container}/archive", {"path": path})
        if not answer.found:
            raise Away(answer.content["message"])
        with tarfile.open(fileobj=io.BytesIO(answer.body)) as archive:
            file = archive.extractfile(archive.getmembers()[0])
            if file is None:
                raise Away(f"{path} is no file")
            return file.read()

    def _versioned(self, path: str) -> str:
        return f"/v{'.'.join(map(str, self._version))}{path}"

    async def _whole(
        self, method: str, path: str, query: Mapping[str, str], body: object | None, within: float = WITHIN
    ) -> Answer:
        try:
            async with self._session.request(
                method, f"http://engine{path}", params=query, json=body, timeout=ClientTimeout(sock_read=within)
            ) as answer:
                return Answer(answer.status, await answer.read(), answer.content_type)
        except (ClientError, TimeoutError, OSError) as error:
            raise Away(str(error)) from error
