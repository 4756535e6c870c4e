"""Lets a server start when the host has memory for it and its turn has come, and tells who waits why.

Nothing is ever stopped to make room. Whoever waits is served in the order in which they came, admins first. No more
start at once than the processors bear, or all of them would be late. All of it runs on the hub's event loop.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from contract import rehearsals, seats
from docker.errors import DockerException
from ends import End

log = logging.getLogger("seats")

MEMINFO = Path("/proc/meminfo")
# Seconds between two looks whether it is somebody's turn, and between two where the host was full.
_STEP, _FULL_STEP = 0.05, 2.0
# Seconds for which a measure of a server's memory serves. Meanwhile the kernel's own figure says what is left.
_MEASURED_FOR = 15.0
# Seconds after which somebody whose page is not open any more waits no longer.
_AWAY = 120.0
# Starts at once for each processor: a start waits for the engine and for the disk half of its time.
_STARTS_EACH = 2


class Host(NamedTuple):
    """The memory of the engine's host, in bytes."""

    total: int
    available: int

    @classmethod
    def now(cls) -> Host:
        lines = (line.split() for line in MEMINFO.read_text().splitlines())
        found = {name.rstrip(":"): int(number) * 1024 for name, number, *_ in lines}
        return cls(found["MemTotal"], found["MemAvailable"])


class Left(Exception):
    """Who waited does not look any more; `end` is what they read when they come back."""

    def __init__(self) -> None:
        self.end = End("This host was full, and you left the page on which you waited.", "Start your server again.")
        super().__init__(self.end.reason)


@dataclass(eq=False)
class _Waiting:
    """`seen`: when a page of theirs last showed their place; None where no page ever did, as with a program's request."""

    spawner: Any
    turn: asyncio.Future[None]
    seen: float | None = None


class Seats:
    """`cap` is what the deployment may take of the host's memory, in bytes; None: all of it."""

    def __init__(self, cap: int | None, processors: int | None = None) -> None:
        self._cap = cap
        self.at_once = _STARTS_EACH * (processors or os.cpu_count() or 1)
        self._users: Mapping[Any, Any] = {}
        # In the order in which they came.
        self._waiting: list[_Waiting] = []
        # Whose turn has come, and whose servers do not run yet.
        self._admitted: set[Any] = set()
        self._is_full = False
        # Since the queue began.
        self._was_full = False
        # The container's id -> what it took, and when that was asked.
        self._measured: dict[str, tuple[int, float]] = {}
        self._running: asyncio.Task[None] | None = None

    def begin(self, users: Mapping[Any, Any]) -> None:
        """Counts the servers of JupyterHub's `users` from now on."""
        self._users = users

    async def take(self, spawner: Any) -> None:
        """Returns when the spawner's turn has come. From then on it counts as starting, until JupyterHub says that it has started
        or failed. Raises Left."""
        mine = _Waiting(spawner, asyncio.get_running_loop().create_future())
        self._waiting.append(mine)
        if self._running is None or self._running.done():
            self._running = asyncio.ensure_future(self._turns())
        try:
            await mine.turn
        finally:
            if mine in self._waiting:
                self._waiting.remove(mine)

    def place(self, spawner: Any) -> str:
        """What the page of who waits shows; empty for everybody else. To ask is to have the page open."""
        queue = self._queue()
        for before, one in enumerate(queue):
            if one.spawner is spawner:
                one.seen = time.monotonic()
                return _words(before, is_full=self._is_full)
        return ""

    def waiting(self) -> list[Any]:
        """The spawners of who waits, who is first first."""
        return [one.spawner for one in self._queue()]

    def left(self, guarantee: int | None, taken: Mapping[str, int]) -> int | None:
        """How many more servers with this guarantee have room beside what runs; None where none is asked for. `taken`: the
        container's id -> what it takes."""
        if not guarantee:
            return None
        servers = [seats.Server(one.kind.memory_guarantee or 0, taken.get(one.object_id, 0)) for one in self._others()]
        host = Host.now()
        return seats.left(guarantee, servers, cap=self._cap or host.total, available=host.available)

    def dismiss(self, spawner: Any, *, unless_seen: bool = False) -> None:
        """Who waits with this spawner waits no longer; `unless_seen`: except where a page of theirs shows it."""
        for one in self._queue():
            if one.spawner is spawner and not (unless_seen and one.seen is not None):
                one.turn.set_exception(Left())

    def _queue(self) -> list[_Waiting]:
        """Who waits, who is first first. Who has left does not count."""
        present = (one for one in self._waiting if not one.turn.done())
        return sorted(present, key=_rank)

    async def _turns(self) -> None:
        self._was_full = False
        while self._waiting:
            try:
                pause = await self._next()
            except Exception:
                # The next look may succeed, and nobody else looks.
                log.exception("whether a server may start could not be seen")
                pause = _FULL_STEP
            await asyncio.sleep(pause)

    async def _next(self) -> float:
        """Gives as many turns as there are; seconds until the next look."""
        self._let_go()
        self._admitted = {one for one in self._admitted if one._spawn_pending}
        while (queue := self._queue()) and sum(one._start_pending for one in self._admitted) < self.at_once:
            self._is_full = not await self._has_room(queue[0].spawner)
            if self._is_full:
                if not self._was_full:
                    log.warning("the host has no memory for another server: %d wait until there is", len(queue))
                self._was_full = True
                return _FULL_STEP
            # They may have left meanwhile.
            if not queue[0].turn.done():
                self._waiting.remove(queue[0])
                self._admitted.add(queue[0].spawner)
                queue[0].turn.set_result(None)
        return _STEP

    def _let_go(self) -> None:
        """Who has closed the page on which they waited gives their place up."""
        long_ago = time.monotonic() - _AWAY
        for one in self._queue():
            if one.seen is not None and one.seen < long_ago:
                one.turn.set_exception(Left())

    async def _has_room(self, spawner: Any) -> bool:
        guarantee = spawner.kind.memory_guarantee
        if not guarantee:
            return True
        others = list(self._others())
        servers = await asyncio.gather(*(self._counted(one) for one in others))
        present = {one.object_id for one in others}
        self._measured = {container: one for container, one in self._measured.items() if container in present}
        host = Host.now()
        return seats.has_room(guarantee, servers, cap=self._cap or host.total, available=host.available)

    def _others(self) -> Iterator[Any]:
        """The spawners of all servers that run, start or stop; who waits, or is about to, has none."""
        for user in self._users.values():
            for one in user.spawners.values():
                if one.active and (not one._spawn_pending or one in self._admitted):
                    yield one

    async def _counted(self, spawner: Any) -> seats.Server:
        return seats.Server(spawner.kind.memory_guarantee or 0, await self._taken(spawner))

    async def _taken(self, spawner: Any) -> int:
        container, now = spawner.object_id, time.monotonic()
        before = self._measured.get(container)
        if not container or (before and now - before[1] < _MEASURED_FOR):
            return before[0] if before else 0
        try:
            taken: int = await spawner.memory_taken()
        except (DockerException, OSError, KeyError):
            # It has just ended, or has not begun.
            return before[0] if before else 0
        self._measured[container] = taken, now
        return taken


def _rank(one: _Waiting) -> int:
    """Admins, then everybody else who waits, then servers that are made ready for a class, last who only rehearses one."""
    user = one.spawner.user
    if rehearsals.is_simulated(user.name):
        return 3
    return 2 if one.spawner.is_prepared and one.seen is None else int(not user.admin)


def _words(before: int, *, is_full: bool) -> str:
    people = {0: "You are the first in the queue.", 1: "One person is before you in the queue."}
    place = people.get(before, f"{before} people are before you in the queue.")
    if is_full:
        return f"This host is full. {place} Your server starts by itself when there is room. Keep this page open."
    return f"Many servers start at this moment. {place} Yours starts by itself."
