"""The hub's watch over the engine's events, with an engine whose streams the tests write."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Iterator
from typing import Any

import pytest

from tests.unit.hub import hub_image

events = hub_image.load("events")
BREAK = object()


class Engine:
    """Each stream gives what the test puts in; BREAK is an engine that goes away."""

    def __init__(self) -> None:
        self.written: queue.Queue[Any] = queue.Queue()
        self.filters: list[dict[str, Any]] = []

    def __call__(self) -> Engine:
        return self

    def events(self, decode: bool, filters: dict[str, Any]) -> Iterator[dict[str, Any]]:
        self.filters.append(filters)

        def stream() -> Iterator[dict[str, Any]]:
            while (container := self.written.get(timeout=30)) is not BREAK:
                yield {"Actor": {"ID": container}}
            raise ConnectionResetError("the engine restarts")

        return stream()

    def close(self) -> None:
        pass

    def ends(self, container: str) -> None:
        self.written.put(container)

    def breaks(self) -> None:
        self.written.put(BREAK)


class Servers:
    """Counts checks of servers by container."""

    def __init__(self) -> None:
        self.checked: asyncio.Queue[str] = asyncio.Queue()

    def check(self, container: str, error: Exception | None = None) -> Any:
        async def checked() -> None:
            await self.checked.put(container)
            if error is not None:
                raise error

        return checked

    async def next(self) -> str:
        return await asyncio.wait_for(self.checked.get(), 30)


def story(steps: Any) -> None:
    """Runs `steps(engine, watch, servers)`; the stream is open and the first look is over."""

    async def run() -> None:
        engine, servers = Engine(), Servers()
        watch = events.EndWatch(engine, {"hubdeploy.deployment": "lab", "hubdeploy.role": "server"})
        watch.follow("first", servers.check("first"))
        assert await servers.next() == "first"
        assert engine.filters[0]["label"] == ["hubdeploy.deployment=lab", "hubdeploy.role=server"]
        try:
            await steps(engine, watch, servers)
        finally:
            asyncio.get_running_loop().call_soon(engine.breaks)

    asyncio.run(run())


def test_a_server_is_checked_when_the_engine_reports_its_end() -> None:
    async def steps(engine: Engine, watch: Any, servers: Servers) -> None:
        watch.follow("second", servers.check("second"))
        engine.ends("second")
        assert await servers.next() == "second"

    story(steps)


def test_neither_a_stranger_nor_a_forgotten_server_is_checked() -> None:
    async def steps(engine: Engine, watch: Any, servers: Servers) -> None:
        watch.follow("second", servers.check("second"))
        watch.forget("first")
        for container in ("stranger", "first", "second"):
            engine.ends(container)
        assert await servers.next() == "second"
        assert servers.checked.empty()

    story(steps)


def test_after_a_restart_of_the_engine_every_server_is_checked() -> None:
    async def steps(engine: Engine, watch: Any, servers: Servers) -> None:
        watch.follow("second", servers.check("second"))
        engine.breaks()
        assert {await servers.next(), await servers.next()} == {"first", "second"}
        engine.ends("second")
        assert await servers.next() == "second"

    story(steps)


def test_a_check_that_fails_is_logged_and_the_watch_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    async def steps(engine: Engine, watch: Any, servers: Servers) -> None:
        watch.follow("second", servers.check("second", RuntimeError("no database")))
        for _ in range(2):
            engine.ends("second")
            assert await servers.next() == "second"

    story(steps)
    assert "a server that ended could not be checked" in caplog.text
