"""`python -m backup.proving URL USER FILE KIND FOLDER...`, in a helper, with the hub's own Python: is that user of a throw-away
deployment for a moment.

It logs in, has a server of that kind started, and has a kernel read a file; without one, the kernel writes to the folders, the
user's volumes. Without a kind the hub chooses. It prints a line of JSON when the login page has come and when the server answers,
and one at the end. The password comes from a file.
"""

from __future__ import annotations

import asyncio
import json
import sys
import uuid
from collections.abc import AsyncIterable
from http import HTTPStatus
from pathlib import Path
from typing import Any

from aiohttp import ClientError, ClientSession, CookieJar, TCPConnector, WSServerHandshakeError
from contract import backups
from yarl import URL

# Seconds: for the hub's first page, for a server, and for a cell.
_PAGE_WITHIN, _SERVER_WITHIN, _CELL_WITHIN = 20, 200, 60
_STEP = 0.2
_EVENT = b"data: "
_HASH = """
import hashlib, pathlib
print(hashlib.sha256(pathlib.Path(PATH).read_bytes()).hexdigest())
"""
_WRITE = """
import pathlib
for folder in FOLDERS:
    file = pathlib.Path(folder, ".written-by-a-trial")
    file.write_text("written")
    file.unlink()
"""


class Failed(Exception):
    """What did not happen."""


class Visitor:
    """One user at one hub, which has a certificate that nobody signed."""

    def __init__(self, session: ClientSession, url: str, user: str) -> None:
        self._session, self._url, self._user = session, URL(url), user
        self._token = ""

    async def come_to_the_login_page(self) -> None:
        seen = "there is no answer"
        try:
            async with asyncio.timeout(_PAGE_WITHIN):
                while True:
                    try:
                        async with self._session.get(self._url / "hub" / "login") as answer:
                            if answer.status == HTTPStatus.OK:
                                return
                            seen = f"it answers {answer.status}"
                    except ClientError as error:
                        seen = str(error)
                    await asyncio.sleep(_STEP)
        except TimeoutError:
            raise Failed(f"the login page does not come within {_PAGE_WITHIN} s: {seen}") from None

    async def log_in(self, password: str) -> None:
        form = {"username": self._user, "password": password, "_xsrf": self._xsrf("/hub/")}
        async with self._session.post(self._url / "hub" / "login", data=form) as answer:
            if answer.status != 200 or answer.url.path == "/hub/login":
                raise Failed(f"{self._user} cannot log in: {answer.status}")
        headers = {"X-XSRFToken": self._xsrf("/hub/"), "Referer": str(self._url / "hub" / "token")}
        where = self._url / "hub" / "api" / "users" / self._user / "tokens"
        async with self._session.post(where, json={}, headers=headers) as answer:
            if answer.status != 201:
                raise Failed(f"{self._user} gets no token: {answer.status}")
            self._token = (await answer.json())["token"]

    async def start_server(self, kind: str = "") -> None:
        account = self._url / "hub" / "api" / "users" / self._user
        asked = {"kind": kind} if kind else None
        async with self._session.post(account / "server", json=asked, headers=self._headers) as answer:
            if answer.status not in (201, 202):
                raise Failed(f"{self._user}'s server does not start: {await answer.text()}")

        try:
            async with (
                asyncio.timeout(_SERVER_WITHIN),
                self._session.get(account / "server" / "progress", headers=self._headers) as answer,
            ):
                last = await _last_event(answer.content)
        except TimeoutError:
            raise Failed(f"{self._user}'s server does not start within {_SERVER_WITHIN} s") from None
        if not last.get("ready"):
            raise Failed(f"{self._user}'s server does not start: {last.get('message') or 'the hub does not say why'}")

    async def run(self, code: str) -> str:
        """What the code prints in a new kernel. Raises Failed."""
        kernels = self._url / "user" / self._user / "api" / "kernels"
        async with self._session.post(kernels, json={"name": "python3"}, headers=self._headers) as answer:
            if answer.status != 201:
                raise Failed(f"{self._user} gets no kernel: {answer.status}")
            kernel = (await answer.json())["id"]
        request = uuid.uuid4().hex
        header = {"msg_id": request, "msg_type": "execute_request", "username": "", "session": request}
        content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False}
        try:
            async with (
                asyncio.timeout(_CELL_WITHIN),
                self._session.ws_connect(kernels / kernel / "channels", headers=self._headers) as socket,
            ):
                await socket.send_json(
                    {
                        "header": {**header, "version": "5.3", "date": ""}, "parent_header": {}, "metadata": {},
                        "content": content, "channel": "shell",
                    }
                )  # fmt: skip
                return await _printed(socket, request)
        except TimeoutError:
            raise Failed(f"{self._user}'s kernel does not answer within {_CELL_WITHIN} s") from None
        except WSServerHandshakeError as refused:
            # The server has given it up.
            raise Failed(f"{self._user}'s kernel does not start: the server answers {refused.status}") from None

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"token {self._token}"}

    def _xsrf(self, path: str) -> str:
        return self._session.cookie_jar.filter_cookies(self._url.with_path(path))["_xsrf"].value


async def _last_event(lines: AsyncIterable[bytes]) -> dict[str, Any]:
    """The last of the hub's events about a start, which says how it ended."""
    last: dict[str, Any] = {}
    async for line in lines:
        if line.startswith(_EVENT):
            last = json.loads(line.removeprefix(_EVENT))
    return last


async def _printed(socket: Any, request: str) -> str:
    printed = ""
    while True:
        said = await socket.receive_json()
        if said["msg_type"] == "status" and said["content"]["execution_state"] == "dead":
            raise Failed("the kernel does not start: it dies each time")
        if said["parent_header"].get("msg_id") != request:
            continue
        if said["msg_type"] == "error":
            raise Failed(f"the kernel cannot run a cell: {said['content']['evalue']}")
        if said["msg_type"] == "stream":
            printed += said["content"]["text"]
        if said["msg_type"] == "status" and said["content"]["execution_state"] == "idle":
            return printed.strip()


async def prove(url: str, user: str, password: str, path: str, kind: str, folders: list[str]) -> str:
    """The SHA-256 of the file that the kernel finds; empty without a path."""
    jar = CookieJar(unsafe=True)
    async with ClientSession(connector=TCPConnector(ssl=False), cookie_jar=jar) as session:
        visitor = Visitor(session, url, user)
        await visitor.come_to_the_login_page()
        _tell(backups.LOGIN_PAGE)
        await visitor.log_in(password)
        await visitor.start_server(kind)
        _tell(backups.SERVER)
        return await visitor.run(
            _HASH.replace("PATH", repr(path)) if path else _WRITE.replace("FOLDERS", repr(folders))
        )


def _tell(what: str) -> None:
    print(json.dumps({backups.PROGRESS: {what: True}}), flush=True)


def main(words: list[str]) -> int:
    url, user, path, kind, *folders = words
    password = Path(backups.DOCUMENTS, backups.PASSWORD).read_text()
    try:
        found = asyncio.run(prove(url, user, password, path, kind, folders))
    except (Failed, ClientError, TimeoutError) as error:
        print(error or type(error).__name__, file=sys.stderr)
        return 1
    print(json.dumps({backups.RESULT: {"sha256": found}}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
