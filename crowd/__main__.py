"""`python -m crowd`, in a helper on the network of the engine's host: the simulated people of a rehearsal.

It prints a line of JSON for each thing that happened, and every few seconds how busy the host was. It ends when all are done, and
as soon as nobody holds its standard input any more, as when the operator's process was killed. Then no pass is good any more.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from contract import rehearsals
from contract.documents import from_bytes
from contract.rehearsals import Event, Host, Wanted

from crowd import browser
from crowd.person import Failed, KernelFailed, Person

_HOST_EVERY = 2.0
# Seconds: for the stop of a server whose user has failed, and for the end.
_STOP_WITHIN = 15.0


class Crowd:
    """All people of a rehearsal; `tokens` are their passes, `end` the one that ends it."""

    def __init__(self, wanted: Wanted, tokens: list[str], end: str) -> None:
        self._wanted, self._tokens, self._end = wanted, tokens, end
        self._begun = time.monotonic()

    async def live(self) -> None:
        _print(rehearsals.HOST, Host(0.0, 0.0, 0.0, _available(), os.cpu_count() or 1))
        lives = asyncio.gather(*(self._live(number, token) for number, token in enumerate(self._tokens, start=1)))
        watch = asyncio.ensure_future(self._watch_host(lives))
        try:
            async with asyncio.timeout(self._wanted.within):
                await lives
        except TimeoutError:
            print(f"the rehearsal was not over after {self._wanted.within:.0f} s", file=sys.stderr)
        finally:
            watch.cancel()
            await _quietly(self._close())

    async def _close(self) -> None:
        """The hub removes whoever is left."""
        async with browser.opened(self._wanted, lambda took: None) as own:
            page = await own.page(own.base / "hub" / "login")
            form = {rehearsals.PASS: self._end, "_xsrf": page.fields.get("_xsrf", "")}
            await own.page(own.base / "hub" / rehearsals.LOGIN, form)

    async def _live(self, number: int, token: str) -> None:
        def tell(what: str, took: float = 0.0, why: str = "") -> None:
            at = time.monotonic() - self._begun
            _print(rehearsals.EVENT, Event(round(at, 3), number, what, round(took, 4), why))

        await asyncio.sleep(self._wanted.over * (number - 1) / max(1, len(self._tokens) - 1))
        tell(rehearsals.ARRIVED)
        async with browser.opened(self._wanted, lambda took: tell(rehearsals.PAGE, took)) as own:
            form = {rehearsals.PASS: token}
            person = Person(own, self._wanted, rehearsals.name(number), rehearsals.LOGIN, form, tell)
            try:
                await person.live()
                tell(rehearsals.DONE)
            except (Failed, KernelFailed) as error:
                tell(rehearsals.FAILED, why=str(error))
                await _quietly(person.stop())

    async def _watch_host(self, lives: asyncio.Future[Any]) -> None:
        before = _processors()
        while True:
            await asyncio.sleep(_HOST_EVERY)
            now = _processors()
            passed = max(now[1] - before[1], 1e-9)
            busy, own = (now[0] - before[0]) / passed, (now[2] - before[2]) / passed
            at = time.monotonic() - self._begun
            host = Host(round(at, 1), round(busy, 3), round(own, 3), _available(), os.cpu_count() or 1)
            _print(rehearsals.HOST, host)
            if host.available < rehearsals.LEAST_MEMORY:
                print("the host had no memory left, so all simulated people have left", file=sys.stderr)
                lives.cancel()
            before = now


async def _quietly(work: Awaitable[Any]) -> None:
    with suppress(Failed, TimeoutError):
        async with asyncio.timeout(_STOP_WITHIN):
            await work


def _processors() -> tuple[float, float, float]:
    """Seconds of all processors since the host's start: at work, in all, and what this process took."""
    first = Path("/proc/stat").read_text().partition("\n")[0].split()[1:9]
    ticks = [int(one) for one in first]
    a_second = os.sysconf("SC_CLK_TCK")
    whole, idle = sum(ticks) / a_second, (ticks[3] + ticks[4]) / a_second
    return whole - idle, whole, time.process_time()


def _available() -> int:
    (line,) = [line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemAvailable:")]
    return int(line.split()[1]) * 1024


def _print(key: str, what: Event | Host) -> None:
    print(json.dumps({key: asdict(what)}), flush=True)


async def main(folder: Path) -> None:
    wanted = from_bytes(Wanted, (folder / rehearsals.WANTED).read_bytes())
    *tokens, end = json.loads((folder / rehearsals.PASSES).read_bytes())
    life = asyncio.ensure_future(Crowd(wanted, tokens, end).live())
    loop = asyncio.get_running_loop()
    for one in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(one, life.cancel)
    # Whoever began it writes nothing; the end of the file is their end.
    loop.add_reader(sys.stdin.fileno(), _end_of_input, loop, life)
    with suppress(asyncio.CancelledError):
        await life


def _end_of_input(loop: asyncio.AbstractEventLoop, life: asyncio.Future[None]) -> None:
    if not os.read(sys.stdin.fileno(), 1):
        loop.remove_reader(sys.stdin.fileno())
        life.cancel()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
