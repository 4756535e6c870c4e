"""The filter in front of the real engine, in this process: for whoever asks as hub or clock do."""

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

from hubdeploy.contract.documents import Jobs, Servers
from tests import hub_modules

with hub_modules.importable():
    engine, jobs, process, question, table = (
        importlib.import_module(f"filter.{name}") for name in ("engine", "jobs", "__main__", "question", "table")
    )


@contextmanager
def serving(made_from: Servers, folder: Path, its_jobs: Jobs | None = None) -> Iterator[Callable[[], docker.APIClient]]:
    """Inside, the filter serves the hub's socket in `folder`; gives what makes a client of it."""
    socket = str(folder / "engine.sock")

    def runner(one: Any) -> web.AppRunner:
        desk = jobs.Desk(one, its_jobs or Jobs({}, ()))
        serving: web.AppRunner = process.runner(table.Gate(one, made_from, desk.measured, str(folder)), table.ROWS)
        return serving

    with _listening(runner, socket):
        yield lambda: docker.APIClient(base_url=f"unix://{socket}", version=question.VERSION)


@contextmanager
def serving_jobs(made_from: Jobs, folder: Path) -> Iterator[Callable[[str, str], Any]]:
    """Inside, the filter serves the clock's socket in `folder`; gives what asks it: ask(method, path)."""
    socket = str(folder / "jobs.sock")
    with _listening(lambda one: process.runner(jobs.Desk(one, made_from), jobs.ROWS), socket):
        yield lambda method, path: question.ask(socket, method, path, 60)


@contextmanager
def _listening(runner: Callable[[Any], web.AppRunner], socket: str) -> Iterator[None]:
    loop = asyncio.new_event_loop()

    async def begin() -> tuple[Any, web.AppRunner]:
        asked = engine.Engine()
        await asked.begin()
        listening = runner(asked)
        await listening.setup()
        await web.UnixSite(listening, socket).start()
        return asked, listening

    async def end() -> None:
        await listening.cleanup()
        await asked.end()

    asked, listening = loop.run_until_complete(begin())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield
    finally:
        asyncio.run_coroutine_threadsafe(end(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
