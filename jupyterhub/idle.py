"""Stops the servers in which nothing runs, and those that have run for too long, each with a word to its user before.

What counts as use: what a server reports as its activity (requests of its user, messages of kernels, a kernel that is busy),
and any use of the processor by its container. Nobody is stopped whom this hub has not warned for the whole time that a warning
lasts. So a hub that was away takes no silence of that time for idleness. All of it runs on the hub's event loop.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import as_user
import stopping
from contract.documents import ServerKind
from docker.errors import DockerException
from ends import End
from notices import Notice, Notices
from tornado.httpclient import HTTPError

log = logging.getLogger("idle")

# Seconds between the word to a user and the stop. Where a limit is short, a share of the limit.
_WARNED_FOR, _WARNED_SHARE = 600.0, 0.5
# In the time of a warning a server reports so many times, and the hub looks so many times; seconds between two looks at most.
_REPORTS, _LOOKS, _LOOK_EVERY = 3, 5, 30.0
# A container that takes more of one processor, or of what it may take, is in use. An idle one takes less than a hundredth.
_BUSY, _BUSY_SHARE = 0.1, 0.5
# A message to a user who was away.
_STOPPED = "idle-stopped"
_AGAIN = "Start it again when you need it."


@dataclass(frozen=True)
class Due:
    """When a server is stopped, and from when on its user is warned, in seconds since the epoch. `by_age`: whatever runs."""

    at: float
    warned_from: float
    by_age: bool = False


@dataclass(frozen=True)
class Limits:
    """Seconds: how long nothing may run in a server, and how long a server may run. None: for ever."""

    idle: float | None = None
    age: float | None = None

    def due(self, started: float, active: float) -> Due | None:
        """The end of a server that was last in use at `active`; both are seconds since the epoch."""
        ends = []
        if self.idle:
            ends.append(Due(active + self.idle, active + self.idle - warned_for(self.idle)))
        if self.age:
            ends.append(Due(started + self.age, started + self.age - warned_for(self.age), by_age=True))
        return min(ends, key=lambda end: end.at, default=None)


def warned_for(limit: float) -> float:
    """Seconds between the warning and the stop."""
    return min(_WARNED_FOR, _WARNED_SHARE * limit)


def report_every(limit: float | None) -> int | None:
    """Seconds between two reports of a server's activity; None leaves JupyterHub's own."""
    return max(1, int(warned_for(limit) / _REPORTS)) if limit else None


@dataclass
class _Server:
    """What this hub knows of one running server. Times are monotonic."""

    user: Any
    # The processor's seconds that its container has taken, and when that was asked.
    used: tuple[float, float] | None = None
    # The warning: its id, what is due, and since when it has stood.
    warning: tuple[str, Due, float] | None = None


class IdleWatch:
    """`kinds` are what servers are made from, `keeps` are the users whose servers are never stopped."""

    def __init__(self, kinds: Sequence[ServerKind], notices: Notices, keeps: Collection[str] = ()) -> None:
        self._keeps = frozenset(keeps)
        self._zone, self._notices = kinds[0].timezone, notices
        warnings = [warned_for(one) for kind in kinds for one in (kind.idle_timeout, kind.max_age) if one]
        self.look_every = min(_LOOK_EVERY, min(warnings, default=0.0) / _LOOKS)
        # The longest time between two reports of a server.
        self._reported = max((report_every(kind.idle_timeout) or 0 for kind in kinds), default=0)
        # By the container's id.
        self._servers: dict[str, _Server] = {}
        self._running: asyncio.Task[None] | None = None

    def begin(self, users: Mapping[Any, Any]) -> None:
        """Looks after the servers of JupyterHub's `users` from now on."""
        if self.look_every:
            self._running = asyncio.ensure_future(self._rounds(users))

    async def _rounds(self, users: Mapping[Any, Any]) -> None:
        # Servers report soon what the hub missed while it was away. A server that an earlier hub started may report later.
        await asyncio.sleep(2 * self._reported)
        while True:
            try:
                await self.look(users)
            except Exception:
                # The next look may succeed, and nobody else looks.
                log.exception("servers could not be looked after")
            await asyncio.sleep(self.look_every)

    async def look(self, users: Mapping[Any, Any]) -> None:
        """Once: warns and stops whose time has come."""
        limited = [user for user in users.values() if user.name not in self._keeps]
        spawners = [one for user in limited for one in user.spawners.values() if one.ready]
        there = {one.object_id: self._servers.get(one.object_id) or _Server(one.user) for one in spawners}
        for gone in self._servers.keys() - there.keys():
            self._take_back(self._servers[gone])
        self._servers = there
        await asyncio.gather(*(self._look_at(one) for one in spawners))

    async def _look_at(self, spawner: Any) -> None:
        try:
            await self._treat(spawner, self._servers[spawner.object_id])
        except (DockerException, OSError) as error:
            log.warning("whether the server of %s is in use cannot be seen: %s", spawner.user.name, error)
        except Exception:
            # The next look may succeed, and other servers have a look of their own.
            log.exception("the server of %s could not be looked after", spawner.user.name)

    async def _treat(self, spawner: Any, server: _Server) -> None:
        due = self._due(spawner)
        if due is None or time.time() < due.warned_from:
            self._take_back(server)
            server.used = None
            return
        if not due.by_age:
            busy = await self._is_busy(spawner, server)
            if busy is False:
                busy = await _has_busy_kernel(spawner)
            if busy:
                _mark_active(spawner)
            # Meanwhile it may have reported something, or its user may have asked to keep it.
            if busy is not False or self._due(spawner) != due or not spawner.ready:
                return
        if server.warning is None or server.warning[1].by_age != due.by_age:
            self._warn(spawner, server, due)
        elif time.time() >= due.at and time.monotonic() - server.warning[2] >= due.at - due.warned_from:
            await self._stop(spawner, server, due)

    def is_ending(self, spawner: Any) -> bool:
        """Whether its user has been warned that the server will be stopped."""
        known = self._servers.get(spawner.object_id)
        return known is not None and known.warning is not None

    def outlook(self, spawner: Any) -> tuple[float | None, Due | None]:
        """When the server was last in use, in seconds since the epoch, and when it will be stopped if nothing more happens; None
        where that is not known, or never."""
        active = spawner.orm_spawner.last_activity
        due = None if spawner.user.name in self._keeps else self._due(spawner)
        known = self._servers.get(spawner.object_id)
        if due and known and known.warning:
            # The whole time of a warning passes first.
            _, due, since = known.warning
            due = replace(due, at=max(due.at, time.time() + due.at - due.warned_from - (time.monotonic() - since)))
        return _seconds(active) if active else None, due

    def _due(self, spawner: Any) -> Due | None:
        row = spawner.orm_spawner
        known = [_seconds(one) for one in (row.started, row.last_activity) if one]
        return _limits(spawner).due(known[0], max(known)) if known else None

    async def _is_busy(self, spawner: Any, server: _Server) -> bool | None:
        """Whether its container has used the processor since the last look; None at the first one."""
        before, server.used = server.used, (await spawner.processor_seconds(), time.monotonic())
        if before is None:
            return None
        (used, at), cpus = server.used, spawner.kind.cpu_limit
        busy = min(_BUSY, _BUSY_SHARE * cpus) if cpus else _BUSY
        return used - before[0] > busy * (at - before[1])

    def _warn(self, spawner: Any, server: _Server, due: Due) -> None:
        self._take_back(server)
        at = max(due.at, time.time() + due.at - due.warned_from)
        notice = f"idle-{int(at)}"
        server.warning = (notice, due, time.monotonic())
        stays = "Files stay, variables of notebooks are lost."
        if due.by_age:
            age = in_words(spawner.kind.max_age)
            text = f"Your server will be stopped at {self._clock(at)}, as it has run for {age}. {stays}"
            self._notices.show(spawner.user, Notice(notice, text, "warning"))
        else:
            text = f"Your server will be stopped at {self._clock(at)}, as nothing runs in it. {stays}"
            shown = Notice(notice, text, "warning", button="Keep my server")
            self._notices.show(spawner.user, shown, read=lambda: _mark_active(spawner))
        log.info("server of %s: its user is told that it will be stopped at %s", spawner.user.name, self._clock(at))

    def _take_back(self, server: _Server) -> None:
        if server.warning:
            self._notices.withdraw(server.user, server.warning[0])
            server.warning = None

    async def _stop(self, spawner: Any, server: _Server, due: Due) -> None:
        now = datetime.now(ZoneInfo(self._zone))
        when = f"Your server was stopped at {now:%H:%M} on {now.day} {now:%B},"
        if due.by_age:
            reason = f"{when} as it had run for {in_words(spawner.kind.max_age)}, the most that a server may."
            operator = "MAX_AGE says how long a server may run."
        else:
            reason = f"{when} as nothing ran in it for {in_words(spawner.kind.idle_timeout)}."
            operator = "IDLE_TIMEOUT says after how long."
        spawner.tell_end(End(reason, _AGAIN, operator), logging.INFO)
        self._take_back(server)
        await stopping.stop(spawner.user, spawner.name)
        self._notices.send(spawner.user, Notice(_STOPPED, reason))

    def _clock(self, at: float) -> str:
        return f"{datetime.fromtimestamp(at, ZoneInfo(self._zone)):%H:%M}"


async def _has_busy_kernel(spawner: Any) -> bool:
    """Whether a kernel of the server is busy, as the server says itself. Servers of our images report it unasked; those of
    others, and of earlier versions, do not. A server that cannot say has none: the use of its processor decides."""
    url = f"{spawner.server.url}api/kernels?no_track_activity=1"
    try:
        answer = await as_user.fetch(spawner.user, url, scope="access:servers", note="busy kernels")
        return any(one["execution_state"] == "busy" for one in json.loads(answer.body))
    except (HTTPError, OSError, ValueError, TypeError, KeyError) as error:
        log.info("server of %s: its kernels cannot be seen: %s", spawner.user.name, error)
        return False


def _limits(spawner: Any) -> Limits:
    return Limits(spawner.kind.idle_timeout, spawner.kind.max_age)


def _mark_active(spawner: Any) -> None:
    """As if the server had just reported activity. A later hub knows it too."""
    spawner.orm_spawner.last_activity = datetime.now(UTC).replace(tzinfo=None)
    spawner.db.commit()


def _seconds(moment: datetime) -> float:
    """JupyterHub's times are in UTC, without saying so."""
    return moment.replace(tzinfo=UTC).timestamp()


def in_words(seconds: float | None) -> str:
    """A limit as a person reads it: `90 minutes`, `12 hours`, `7 days`."""
    minutes = int(seconds or 0) // 60
    units = ((1440, "day"), (60, "hour"), (1, "minute"))
    number, unit = next((minutes // size, unit) for size, unit in units if minutes % size == 0)
    return f"{number} {unit}{'' if number == 1 else 's'}"
