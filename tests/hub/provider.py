"""The OpenID Connect provider as hub and browsers reach it: at an address of this machine, behind TLS."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests import nanoidp
from tests.hub.authority import Authority
from tests.nanoidp import NanoIDP
from tests.ports import free_port


@contextmanager
def behind_tls(address: str, authority: Authority, folder: Path, secret: str) -> Iterator[NanoIDP]:
    """At `address`, with a certificate of the authority; its files are in `folder`."""
    outer, inner = free_port(), free_port()
    issuer = f"https://{address}:{outer}"
    with (
        _tls_front(address, outer, inner, authority.tls(address, folder)),
        nanoidp.running(folder, secret, issuer, inner) as idp,
    ):
        yield idp


@contextmanager
def _tls_front(address: str, port: int, inner: int, tls: ssl.SSLContext) -> Iterator[None]:
    """What listens with TLS and passes everything on to a port of this machine."""

    async def passed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
        writer.close()

    async def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", inner)
        await asyncio.gather(passed(reader, back), passed(there, writer), return_exceptions=True)

    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(met, address, port, ssl=tls))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
