"""Runs without a network and without a capability. The hub reaches it by the socket in the volume that both mount."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from http import HTTPStatus
from pathlib import Path

from aiohttp import web
from contract.documents import Servers, from_bytes

from filter import reading
from filter.engine import SOCKET as ENGINE_SOCKET
from filter.engine import Answer, Away, Engine
from filter.question import SOCKET, VERSION
from filter.reading import Refused
from filter.table import Asked, Gate, message, row_for

# What turns a request into something else than one request.
_TURNING = ("Upgrade", "Transfer-Encoding", "Content-Encoding", "Expect", "Trailer", "TE")

log = logging.getLogger("filter")


class Filter:
    """Answers each request by its row."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def answer(self, request: web.Request) -> web.StreamResponse:
        try:
            answer = await self._answer(request)
        except Refused as refused:
            self._gate.refused += 1
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
        row, place = row_for(request.method, path[len(begin) - 1 :])
        turning = [one for one in _TURNING if one in request.headers]
        if turning:
            raise Refused(f"a request with {turning[0]}")
        body = await self._body(request)
        if body and not row.body:
            raise Refused("a request with a body")
        return await row.answer(self._gate, Asked(request, place, reading.query(query, row.query), body))

    async def _body(self, request: web.Request) -> bytes:
        try:
            return await request.read()
        except web.HTTPRequestEntityTooLarge as error:
            raise Refused(f"a body of more than {reading.LONGEST_BODY} bytes") from error


def runner(gate: Gate) -> web.AppRunner:
    """The server, which listens nowhere yet. A stream lasts as long as the hub listens, and no longer."""
    application = web.Application(client_max_size=reading.LONGEST_BODY)
    application.router.add_route("*", "/{path:.*}", Filter(gate).answer)
    return web.AppRunner(application, access_log=None, handler_cancellation=True, shutdown_timeout=1)


async def main() -> None:
    engine = Engine()
    try:
        await engine.begin()
    except Away as error:
        sys.exit(f"the engine does not answer at {ENGINE_SOCKET}: {error}")
    serving = runner(Gate(engine, from_bytes(Servers, os.environ["SERVERS"].encode())))
    await serving.setup()
    Path(SOCKET).unlink(missing_ok=True)
    await web.UnixSite(serving, SOCKET).start()
    # Only the hub mounts the folder, and its root has no capability to pass over a mode.
    Path(SOCKET).chmod(0o666)
    log.info("the hub may ask")
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    await stopped.wait()
    await serving.cleanup()
    await engine.end()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="[%(levelname).1s %(asctime)s] %(message)s", stream=sys.stdout)
    asyncio.run(main())
