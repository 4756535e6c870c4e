"""The filter in front of the real engine, in this process: for whoever asks as the hub does."""

from __future__ import annotations

import asyncio
import importlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
from aiohttp import web

from hubdeploy.contract.documents import Servers
from tests import hub_modules


@contextmanager
def serving(made_from: Servers, folder: Path) -> Iterator[Callable[[], docker.APIClient]]:
    """Inside, the filter serves a socket in `folder`; gives what makes a client of it."""
    with hub_modules.importable():
        process, table = (importlib.import_module(f"filter.{name}") for name in ("__main__", "table"))
        version = importlib.import_module("filter.question").VERSION
    loop, socket = asyncio.new_event_loop(), str(folder / "engine.sock")

    async def begin() -> tuple[Any, web.AppRunner]:
        engine = table.Engine()
        await engine.begin()
        runner: web.AppRunner = process.runner(table.Gate(engine, made_from, str(folder)))
        await runner.setup()
        await web.UnixSite(runner, socket).start()
        return engine, runner

    async def end() -> None:
        await runner.cleanup()
        await engine.end()

    engine, runner = loop.run_until_complete(begin())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield lambda: docker.APIClient(base_url=f"unix://{socket}", version=version)
    finally:
        asyncio.run_coroutine_threadsafe(end(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
