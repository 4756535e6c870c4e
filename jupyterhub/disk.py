"""Keeps one user from filling the disk for all, and tells users how much of theirs they take.

Every few seconds it looks how much is free. Where that is less than a reserve, the server that wrote most is stopped, and a
part of the reserve is given back, so that the hub's database, routes and other users have room. Every few minutes it measures
what each user takes. All of it runs on the hub's event loop; who is asked is the filter.
"""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import os
import shutil
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from contract import servers
from contract.disk import Disk
from contract.documents import Folder, ServerKind
from contract.use import Use
from ends import End
from notices import Notice, Notices

from filter import question

log = logging.getLogger("disk")

# Seconds between two looks at what is free, and between two measures of what users take.
LOOK_EVERY, MEASURE_EVERY = 5.0, 300.0
# Seconds in which the filter must answer.
_LOOKED_WITHIN, _MEASURED_WITHIN = 4.0, 60.0
# In the directory of the hub's data: which users were told of their limit.
LEVELS = "disk_limits.json"
# The reserve is so many parts, each twice as large as what counts as no room.
PARTS = 2
# A server that wrote less than this share of what counts as no room is not why there is none. The less is left, the less it
# takes.
_LEAST_GROWTH = 0.25
# Where nobody was found, all is measured again when so much more of what counts as no room is gone, or after so many seconds.
_AGAIN_AFTER, _AGAIN_WITHIN = 0.1, 60.0
# A share of what counts as no room, with less of which the engine makes no container.
_TOO_LITTLE = 0.25
# Servers that share a folder run for so many seconds, so many times, to see which of them writes; with less than so many bytes,
# and so much of a processor's time, none does.
_WATCHED_FOR, _TIMES_WATCHED, _LEAST_WRITTEN, _LEAST_WORK = 0.5, 3, 1024**2, 0.3
# Who was stopped so often for filling the disk gets no server before there is room again.
_MOST_STOPS = 2
# Shares of a user's limit from which a message says so.
_WARNED, _FULL = 0.8, 1.0
# Messages to a user: their ids, and sentences that stand in several.
_STOPPED, _LIMIT = "disk-stopped", "disk-limit"
ASK_TO_DELETE = "Delete what you do not need."
SAFE_THEN = "Your next server starts without your settings and packages."


class Taken(NamedTuple):
    """What something takes of the disk."""

    bytes: int = 0
    files: int = 0

    def plus(self, other: Taken) -> Taken:
        return Taken(self.bytes + other.bytes, self.files + other.files)

    def minus(self, other: Taken) -> Taken:
        return Taken(self.bytes - other.bytes, self.files - other.files)


@dataclass(frozen=True)
class Measure:
    """`measured`: name of a volume, or of a server's own layer -> what it takes. `servers`: id of a running server's container ->
    the names of all that is its own."""

    measured: Mapping[str, Taken] = field(default_factory=dict)
    servers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Measure:
        """The filter's answer."""
        return cls(
            {name: Taken(*one) for name, one in answer["measured"].items()},
            {container: tuple(names) for container, names in answer["servers"].items()},
        )

    def after(self, before: Measure) -> Measure:
        """With what the earlier one knows of what could not be measured now, and running servers write to."""
        written = {name for names in self.servers.values() for name in names}
        known = {name: taken for name, taken in before.measured.items() if name in written}
        return Measure({**known, **self.measured}, self.servers)

    def growth(self, before: Measure) -> dict[str, Taken]:
        """Container -> how much more it takes than before. What is new has grown from nothing."""
        return {
            container: _sum(self._of(name).minus(before._of(name)) for name in names)
            for container, names in self.servers.items()
        }

    def sharers(self, container: str, before: Measure, disk: Disk) -> frozenset[str]:
        """The containers that write to what has most to do with it, of all that this one writes to, that the disk has no room;
        itself at least."""

        def part(name: str) -> float:
            return part_of_room(self._of(name).minus(before._of(name)), disk)

        most = max(self.servers[container], key=part, default="")
        return frozenset(one for one, written in self.servers.items() if most in written) | {container}

    def of_user(self, kind: ServerKind, user: str) -> Taken:
        """What a user's volumes take."""
        return _sum(self._of(volume.name) for volume in servers.volumes(kind, user))

    def _of(self, name: str) -> Taken:
        return self.measured.get(name, Taken())


def _sum(parts: Iterable[Taken]) -> Taken:
    return functools.reduce(Taken.plus, parts, Taken())


def part_of_room(one: Taken, disk: Disk) -> float:
    """How much of what counts as no room it took, of that which there is too little of."""
    of_bytes, of_files = disk.reserve
    parts = [one.bytes / of_bytes] if disk.free < of_bytes else []
    parts += [one.files / of_files] if disk.free_files < of_files else []
    return max(parts, default=0.0)


def grew_most(growth: Mapping[str, Taken], disk: Disk) -> str | None:
    """The container that has most to do with it that the disk has no room; None if none has much."""
    found = max(growth, key=lambda container: part_of_room(growth[container], disk), default=None)
    return found if found is not None and part_of_room(growth[found], disk) > _LEAST_GROWTH * disk.room else None


class Reserve:
    """Room on the disk that nobody can take: parts, each a folder with a file of some length and many empty ones."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def give(self) -> bool:
        """Gives a part back to the disk; False if none is left."""
        part = next(iter(sorted(self._folder.glob("part-*"))), None)
        if part is None:
            return False
        shutil.rmtree(part)
        return True

    def fill(self, disk: Disk) -> None:
        """Takes the parts that are missing, as long as the disk has room for each of them."""
        least_bytes, least_files = disk.reserve
        half = self._folder / "half"
        for part in (self._folder / f"part-{number}" for number in range(PARTS)):
            if part.exists() or disk.is_nearly_full or Disk.of(os.statvfs(self._folder)).free < 4 * least_bytes:
                continue
            shutil.rmtree(half, ignore_errors=True)
            half.mkdir()
            with (half / "bytes").open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, 2 * least_bytes)
            for one in range(2 * least_files):
                (half / str(one)).touch()
            half.rename(part)


class DiskWatch:
    """`kind` is what servers are made from; `levels` the file that says which users were told of their limit, and of the limits
    of the `folders` that they write to."""

    def __init__(
        self, kind: ServerKind, notices: Notices, reserve: Reserve, levels: Path, folders: Sequence[Folder] = ()
    ) -> None:
        self._kind, self._notices, self._reserve, self._levels = kind, notices, reserve, levels
        self._folders = tuple(one for one in folders if one.limit)
        self._disk: Disk | None = None
        # What growth counts from, and the last measure.
        self._before: Measure | None = None
        self._known = Measure()
        self._measured_at = -MEASURE_EVERY
        self._stops: Counter[str] = Counter()
        # How much room there was when nobody was found who took it, and when that was.
        self._nobody_at: tuple[float, float] | None = None
        # What the last look failed with.
        self._trouble = ""
        self._running: asyncio.Task[None] | None = None

    def begin(self, users: Mapping[Any, Any]) -> None:
        """Looks after the servers of JupyterHub's `users` from now on."""
        self._running = asyncio.ensure_future(self._rounds(users))

    async def _rounds(self, users: Mapping[Any, Any]) -> None:
        # An earlier hub may have ended in between.
        await _thaw(_active(users))
        while True:
            trouble = ""
            try:
                await self.look(users)
            except OSError as error:
                trouble = str(error)
                if trouble != self._trouble:
                    log.warning("the disk could not be looked at: %s", error)
            except Exception:
                # The next look may succeed, and nobody else looks.
                log.exception("the disk could not be looked at")
            self._trouble = trouble
            await asyncio.sleep(LOOK_EVERY)

    async def look(self, users: Mapping[Any, Any]) -> None:
        """Once: stops who fills the disk, or measures what users take where it is time to."""
        self._disk = disk = Disk(**await _asked("/disk", _LOOKED_WITHIN))
        if not disk.is_nearly_full:
            self._stops.clear()
        if disk.has_no_room:
            await self._stop_who_fills(disk, users)
            return
        self._nobody_at = None
        if time.monotonic() - self._measured_at >= MEASURE_EVERY:
            await self._measure(users)
            self._before = self._known
        await asyncio.to_thread(self._reserve.fill, disk)

    async def _measure(self, users: Mapping[Any, Any]) -> None:
        self._measured_at = time.monotonic()
        found = Measure.of(await _asked("/growth", _MEASURED_WITHIN))
        self._known = found.after(self._known)
        self._tell_limits(users)

    async def _stop_who_fills(self, disk: Disk, users: Mapping[Any, Any]) -> None:
        now = time.monotonic()
        if self._nobody_at is not None:
            room, at = self._nobody_at
            if disk.room > room - _AGAIN_AFTER and now - at < _AGAIN_WITHIN:
                return
        self._nobody_at = disk.room, now
        async with _frozen(users):
            # Without room the engine can make no container, so nobody could measure.
            has_given = disk.room < _TOO_LITTLE and await asyncio.to_thread(self._reserve.give)
            await self._measure(users)
            self._before = self._before or self._known
            growth = self._known.growth(self._before)
            container = grew_most(growth, disk)
            sharers = self._known.sharers(container, self._before, disk) if container else frozenset()
            suspects = [one for one in _active(users) if one.object_id in sharers]
            spawner = await _who_writes(suspects) if len(suspects) > 1 else next(iter(suspects), None)
            if spawner is None:
                log.error("the engine's disk has no room (%s), and no server wrote much of late", _words(disk))
                return
            self._nobody_at = None
            wrote = growth[spawner.object_id]
            reason = (
                "Your server was stopped, as it filled the disk that all share: it wrote"
                f" {_amount(wrote.bytes)} in {wrote.files} files in a few minutes."
                if len(suspects) == 1
                else "Your server was stopped, as it filled the disk that all share, by a folder that it shares with others."
            )
            operator = f"The engine's disk has no room ({_words(disk)}). ./invoke usage shows what takes it."
            self._stops[spawner.user.name] += 1
            await spawner.end_because(End(reason, ASK_TO_DELETE, operator))
            if not has_given:
                await asyncio.to_thread(self._reserve.give)
            self._before = self._known
        self._notices.send(spawner.user, Notice(_STOPPED, f"{reason} {ASK_TO_DELETE}", "warning"))

    def taken(self, user: str) -> Taken | None:
        """What the user's volumes took at the last measure; None where they were in none."""
        known = any(volume.name in self._known.measured for volume in servers.volumes(self._kind, user))
        return self._known.of_user(self._kind, user) if known else None

    async def why_safe(self, user: str) -> str:
        """Why the user's next server starts safely, as a sentence; empty for an ordinary start."""
        if self._disk and self._disk.is_nearly_full:
            return f"The disk that all share is nearly full. {ASK_TO_DELETE}"
        limit = self._kind.disk_limit
        if limit and self._known.of_user(self._kind, user).bytes >= limit:
            try:
                # They may have deleted files since.
                await self._measure({})
            except OSError as error:
                log.warning("what %s takes could not be measured: %s", user, error)
            taken = self._known.of_user(self._kind, user).bytes
            if taken >= limit:
                return f"{_of_limit(taken, limit)} {ASK_TO_DELETE}"
        return ""

    def why_none(self, user: str) -> str:
        """Why the user gets no server at all, as a sentence; empty if they get one."""
        if self._stops[user] >= _MOST_STOPS:
            return "Your servers filled the disk that all share more than once, and it is still nearly full."
        return ""

    def _tell_limits(self, users: Mapping[Any, Any]) -> None:
        """A message to each of these users who has reached another share of a limit since the last message."""
        told: dict[str, float] = json.loads(self._levels.read_text()) if self._levels.exists() else {}
        levels = dict(told)
        for user in users.values():
            for key, notice, taken, limit, words in self._limits(user.name):
                level = max((one for one in (_WARNED, _FULL) if taken >= one * limit), default=0.0)
                if level == told.get(key, 0.0):
                    continue
                levels[key] = level
                if level:
                    then = f" {SAFE_THEN}" if level == _FULL and notice == _LIMIT else ""
                    self._notices.send(user, Notice(notice, f"{words}{then} {ASK_TO_DELETE}", "warning"))
                else:
                    self._notices.withdraw(user, notice)
        if levels != told:
            self._levels.write_text(json.dumps(levels))

    def _limits(self, user: str) -> Iterator[tuple[str, str, int, int, str]]:
        """Of each limit that concerns a user: its key in the file, the message's id, what is taken, the limit, both in words."""
        if limit := self._kind.disk_limit:
            taken = self._known.of_user(self._kind, user).bytes
            yield user, _LIMIT, taken, limit, _of_limit(taken, limit)
        for one in self._folders:
            # Where no server has it, it is not measured.
            if one.limit and user in one.writers and one.volume in self._known.measured:
                taken = self._known.measured[one.volume].bytes
                words = f"The shared folder {one.name} takes {_amount(taken)} of its {_amount(one.limit)}."
                yield f"{user}/{one.name}", f"{_LIMIT}-{one.name}", taken, one.limit, words


async def _asked(path: str, within: float) -> Any:
    return await asyncio.to_thread(question.ask, question.SOCKET, "GET", path, within)


@asynccontextmanager
async def _frozen(users: Mapping[Any, Any]) -> AsyncIterator[None]:
    """Inside, no server runs: else whoever fills the disk takes at once what is given back. It lasts a second or two."""
    spawners = _active(users)
    await asyncio.gather(*(one.freeze() for one in spawners), return_exceptions=True)
    try:
        yield
    finally:
        await _thaw(spawners)


async def _who_writes(spawners: Sequence[Any]) -> Any | None:
    """Of servers that are frozen and share a folder the one that writes most when they run for a moment; None where none writes.
    Where the kernel does not know who wrote, as with control groups of the first version, what waits to be written tells."""
    looks = [await _uses(spawners)]
    await _thaw(spawners)
    for _ in range(_TIMES_WATCHED):
        await asyncio.sleep(_WATCHED_FOR)
        looks.append(await _uses(spawners))

    def writes(spawner: Any) -> tuple[int, float]:
        seen = [look[spawner.object_id] for look in looks if spawner.object_id in look]
        if not seen:
            return 0, 0.0
        wrote = seen[-1].written - seen[0].written + max(one.unwritten for one in seen)
        worked = seen[-1].processor - seen[0].processor
        return wrote if wrote >= _LEAST_WRITTEN else 0, worked if worked >= _LEAST_WORK else 0.0

    found = max(spawners, key=writes)
    return found if any(writes(found)) else None


async def _uses(spawners: Sequence[Any]) -> dict[str, Use]:
    """Container -> what it takes; without one that has ended."""
    found = await asyncio.gather(*(one.use() for one in spawners), return_exceptions=True)
    return {one.object_id: use for one, use in zip(spawners, found, strict=True) if isinstance(use, Use)}


async def _thaw(spawners: Iterable[Any]) -> None:
    await asyncio.gather(*(one.thaw() for one in spawners), return_exceptions=True)


def _active(users: Mapping[Any, Any]) -> list[Any]:
    """The spawners of running servers."""
    return [spawner for user in users.values() for spawner in user.spawners.values() if spawner.active]


def _words(disk: Disk) -> str:
    files = f", {disk.free_files} of {disk.files} files" if disk.files else ""
    return f"{_amount(disk.free)} of {_amount(disk.size)}{files} free"


def _of_limit(taken: int, limit: int) -> str:
    return f"Your files take {_amount(taken)} of your {_amount(limit)}."


def _amount(number: int) -> str:
    return f"{number / 10**9:.1f} GB" if number >= 10**10 else f"{number / 10**6:.0f} MB"
