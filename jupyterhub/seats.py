"""Lets a server start when the host has memory for it and its turn has come, and tells who waits why.

Nothing is ever stopped to make room. Whoever waits is served in the order in which they came, admins first. No more
start at once than the processors bear, or all of them would be late. Who waits for a card (GPU) holds up nobody who needs
none. All of it runs on the hub's event loop.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from contract import cards, rehearsals, seats
from docker.errors import DockerException
from ends import End

from filter import question

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
# Seconds in which the filter must say who holds a card.
_HELD_WITHIN = 10.0


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
    """Who waited does not look any more; `end` is what they read when they come back. `lacks` as in _Waiting."""

    def __init__(self, lacks: str = "") -> None:
        why = "The cards (GPUs) were taken" if lacks else "This host was full"
        self.end = End(f"{why}, and you left the page on which you waited.", "Start your server again.")
        super().__init__(self.end.reason)


@dataclass(eq=False)
class _Waiting:
    """`seen`: when a page of theirs last showed their place; None where no page ever did, as with a program's request.
    `lacks`: what their card waits for, as a sentence; empty where none is wanted, or enough are free. `must_wait`: a look
    has found that it is not their turn."""

    spawner: Any
    turn: asyncio.Future[None]
    seen: float | None = None
    lacks: str = ""
    must_wait: bool = False

    @property
    def wants(self) -> int:
        return int(self.spawner.kind.gpus)


def held_cards() -> Mapping[str, str]:
    """Each card that some container holds -> its user, empty where it is another deployment's. Raises OSError."""
    found: Mapping[str, str] = question.ask(question.SOCKET, "GET", "/cards", _HELD_WITHIN)
    return found


class Seats:
    """`cap` is what the deployment may take of the host's memory, in bytes; None: all of it. `cards` are those of its host that
    servers may have, `held` says who has one, and `is_ending` whether somebody's server is about to be stopped."""

    def __init__(
        self,
        cap: int | None,
        processors: int | None = None,
        *,
        cards: Sequence[str] = (),
        held: Callable[[], Mapping[str, str]] = held_cards,
        is_ending: Callable[[Any], bool] = lambda _: False,
    ) -> None:
        self._cap = cap
        self._cards, self._held, self._is_ending = cards, held, is_ending
        # Somebody came.
        self._came = asyncio.Event()
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
        self._came.set()
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
        mine = next((one for one in queue if one.spawner is spawner), None)
        if mine is None:
            return ""
        mine.seen = time.monotonic()
        if not mine.must_wait:
            return ""
        # Who waits for a card and who waits for memory are in no one's way but each other's.
        before = [one for one in queue[: queue.index(mine)] if bool(one.lacks) == bool(mine.lacks)]
        return _words(len(before), is_full=self._is_full, lacks=mine.lacks)

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

    @property
    def cards(self) -> Sequence[str]:
        return self._cards

    def dismiss(self, spawner: Any, *, unless_seen: bool = False) -> None:
        """Who waits with this spawner waits no longer; `unless_seen`: except where a page of theirs shows it."""
        for one in self._queue():
            if one.spawner is spawner and not (unless_seen and one.seen is not None):
                one.turn.set_exception(Left(one.lacks))

    def _queue(self) -> list[_Waiting]:
        """Who waits, who is first first. Who has left does not count."""
        present = (one for one in self._waiting if not one.turn.done())
        return sorted(present, key=_rank)

    async def _turns(self) -> None:
        self._was_full = False
        while self._waiting:
            self._came.clear()
            looked_at = self._queue()
            try:
                pause = await self._next()
            except Exception:
                # The next look may succeed, and nobody else looks.
                log.exception("whether a server may start could not be seen")
                pause = _FULL_STEP
            for one in looked_at:
                one.must_wait = True
            # Who comes may need none of what the others wait for.
            with suppress(TimeoutError):
                await asyncio.wait_for(self._came.wait(), pause)

    async def _next(self) -> float:
        """Gives as many turns as there are; seconds until the next look."""
        self._let_go()
        self._admitted = {one for one in self._admitted if one._spawn_pending}
        while self._queue() and sum(one._start_pending for one in self._admitted) < self.at_once:
            held = await self._held_cards()
            queue = self._queue()
            first = self._first(queue, held)
            if first is None:
                return _FULL_STEP if queue else _STEP
            self._is_full = not await self._has_room(first.spawner)
            if self._is_full:
                if not self._was_full:
                    log.warning("the host has no memory for another server: %d wait until there is", len(queue))
                self._was_full = True
                return _FULL_STEP
            # They may have left meanwhile.
            if not first.turn.done():
                # Nothing is awaited from here on until they count as holders of the cards.
                lent = self._free(first, held)[: first.wants]
                if len(lent) < first.wants:
                    continue
                first.spawner.cards = tuple(lent)
                self._waiting.remove(first)
                self._admitted.add(first.spawner)
                first.turn.set_result(None)
        return _STEP

    async def _held_cards(self) -> Mapping[str, str]:
        """As `held_cards`; nothing is asked where nobody wants one."""
        return await asyncio.to_thread(self._held) if any(one.wants for one in self._queue()) else {}

    def _first(self, queue: Sequence[_Waiting], held: Mapping[str, str]) -> _Waiting | None:
        """Who is the first that waits for no card. Whoever comes after somebody who waits for cards gets none before them."""
        found, is_ahead = None, False
        for one in queue:
            one.lacks = ""
            if one.wants:
                free = len(self._free(one, held))
                if is_ahead or free < one.wants:
                    one.lacks = _lacks(one.wants, free, len(self._cards), self._ending(held))
                    is_ahead = True
            if found is None and not one.lacks:
                found = one
        return found

    def _free(self, one: _Waiting, held: Mapping[str, str]) -> list[str]:
        """The cards that are free for somebody. What their own server of before holds is, as it is removed first."""
        others = [card for card, user in held.items() if user != one.spawner.user.name]
        lent = [card for other in self._others() if other is not one.spawner for card in other.cards]
        return cards.free(self._cards, {cards.own_device(card) for card in (*others, *lent)})

    def _ending(self, held: Mapping[str, str]) -> int:
        """How many cards are had by servers that are about to be stopped."""
        spawners = (one for user in self._users.values() for one in user.spawners.values())
        ending = {one.user.name for one in spawners if one.active and self._is_ending(one)}
        return sum(user in ending for user in held.values())

    def _let_go(self) -> None:
        """Who has closed the page on which they waited gives their place up."""
        long_ago = time.monotonic() - _AWAY
        for one in self._queue():
            if one.seen is not None and one.seen < long_ago:
                one.turn.set_exception(Left(one.lacks))

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


def _lacks(wants: int, free: int, there: int, ending: int) -> str:
    """Why a server that wants so many cards does not get them yet. `ending`: how many may be free within minutes."""
    soon = f"; {ending} may be free within minutes" if ending else ""
    if free >= wants:
        return "Somebody before you waits for more cards (GPUs) than are free."
    if free:
        are = "is" if free == 1 else "are"
        return f"{free} of {there} cards (GPUs) of this host {are} free, and your server needs {wants}{soon}."
    if there > 1:
        return f"All {there} cards (GPUs) of this host are taken{soon}."
    return f"The card (GPU) of this host is taken{soon.replace('1 may', 'it may')}."


def _words(before: int, *, is_full: bool, lacks: str = "") -> str:
    people = {0: "You are the first in the queue.", 1: "One person is before you in the queue."}
    place = people.get(before, f"{before} people are before you in the queue.")
    if lacks:
        return f"{lacks} {place} Your server starts by itself when a card is free for it. Keep this page open."
    if is_full:
        return f"This host is full. {place} Your server starts by itself when there is room. Keep this page open."
    return f"Many servers start at this moment. {place} Yours starts by itself."
