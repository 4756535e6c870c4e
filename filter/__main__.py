"""Runs without a network and without a capability. Hub and clock reach it by a socket each, in a volume that both sides mount."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path
from socket import gethostname
from typing import Generic, TypeVar

from aiohttp import web
from contract.documents import SERVER_SECRETS_FILE, Jobs, Servers, ServerSecrets, from_bytes

from filter import reading
from filter.engine import SOCKET as ENGINE_SOCKET
from filter.engine import Answer, Away, Engine
from filter.jobs import ROWS as JOB_ROWS
from filter.jobs import Desk
from filter.question import JOBS_SOCKET, SOCKET, VERSION
from filter.reading import Refused
from filter.table import ROWS, Asked, Gate, Row, Side, message, row_for

# What turns a request into something else than one request.
_TURNING = ("Upgrade", "Transfer-Encoding", "Content-Encoding", "Expect", "Trailer", "TE")

_Side = TypeVar("_Side", bound=Side)

log = logging.getLogger("filter")


class Filter(Generic[_Side]):
    """Answers each request of one side by its row."""

    def __init__(self, side: _Side, rows: Sequence[Row[_Side]]) -> None:
        self._side, self._rows = side, rows

    async def answer(self, request: web.Request) -> web.StreamResponse:
        try:
            answer = await self._answer(request)
        except Refused as refused:
            self._side.refused += 1
            log.warning(
                "refused: %s %s: %s", request.method, json.dumps(request.raw_path[:200]), json.dumps(str(refused))
            )
            answer = message(HTTPStatus.FORBIDDEN, f"the filter refuses this: {refused}")
        except Away as error:
            log.error("the engine does not answer: %s", error)
            answer = message(HTTPStatus.BAD_GATEWAY, f"the engine does not answer: {error}")
        if isinstance(answer, web.StreamResponse):
            return answer
        return web.Response(status=answer.status, body=answer.body, content_type=answer.kind)

    async def _answer(self, request: web.Request) -> Answer | web.StreamResponse:
        path, _, query = request.raw_path.partition("?")
        begin = f"/v{VERSION}/"
        if not path.startswith(begin):
            raise Refused(f"another version of the API than {VERSION}")
        row, place = row_for(self._rows, request.method, path[len(begin) - 1 :])
        turning = [one for one in _TURNING if one in request.headers]
        if turning:
            raise Refused(f"a request with {turning[0]}")
        body = await self._body(request)
        if body and not row.body:
            raise Refused("a request with a body")
        return await row.answer(self._side, Asked(request, place, reading.query(query, row.query), body))

    async def _body(self, request: web.Request) -> bytes:
        try:
            return await request.read()
        except web.HTTPRequestEntityTooLarge as error:
            raise Refused(f"a body of more than {reading.LONGEST_BODY} bytes") from error


def runner(side: _Side, rows: Sequence[Row[_Side]]) -> web.AppRunner:
    """The server, which listens nowhere yet. A stream or a job lasts as long as who asked listens, and no longer."""
    application = web.Application(client_max_size=reading.LONGEST_BODY)
    application.router.add_route("*", "/{path:.*}", Filter(side, rows).answer)
    return web.AppRunner(application, access_log=None, handler_cancellation=True, shutdown_timeout=1)


async def main() -> None:
    engine = Engine()
    try:
        await engine.begin()
    except Away as error:
        sys.exit(f"the engine does not answer at {ENGINE_SOCKET}: {error}")
    desk = Desk(engine, from_bytes(Jobs, os.environ["JOBS"].encode()))
    gate = Gate(
        engine, from_bytes(Servers, os.environ["SERVERS"].encode()), desk.measured, secrets=await _secrets(engine)
    )
    sides = {SOCKET: runner(gate, ROWS), JOBS_SOCKET: runner(desk, JOB_ROWS)}
    for socket, serving in sides.items():
        await _listen(serving, socket)
    log.info("hub and clock may ask")
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    await stopped.wait()
    for serving in sides.values():
        await serving.cleanup()
    await engine.end()


async def _secrets(engine: Engine) -> ServerSecrets:
    """What lies in its own volume. The engine reads the file: it is root's, and this process need not be."""
    own_container = gethostname()
    try:
        return from_bytes(ServerSecrets, await engine.file(own_container, SERVER_SECRETS_FILE))
    except (Away, ValueError) as error:
        sys.exit(f"the secrets of servers cannot be read: {error}; ./invoke up puts them there")


async def _listen(serving: web.AppRunner, socket: str) -> None:
    await serving.setup()
    Path(socket).unlink(missing_ok=True)
    await web.UnixSite(serving, socket).start()
    # Only who may ask mounts the folder, and the hub's root has no capability to pass over a mode.
    Path(socket).chmod(0o666)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="[%(levelname).1s %(asctime)s] %(message)s", stream=sys.stdout)
    asyncio.run(main())
