"""What users' servers take, and when each is stopped, for the admin page and for programs of admins.

The filter is asked for memory and processors while somebody looks, and for all servers at once, so that it costs the same however
many look. Nobody waits for that: an answer says what was known. Nothing is changed. All of it runs on the hub's event loop.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import ends
from contract.documents import ServerKind
from contract.use import Use
from disk import DiskWatch
from idle import IdleWatch
from jupyterhub.apihandlers.base import APIHandler
from jupyterhub.scopes import needs_scope
from seats import Host, Seats, held_cards

from filter import question

log = logging.getLogger("load")

# Seconds between two questions to the engine, while somebody looks.
ASK_EVERY = 10.0
# Seconds between the two questions that the first share of a processor takes; then an earlier answer serves, if it is no older.
_FIRST_STEP, _SERVES_FOR = 1.5, 60.0
# Seconds in which the filter must answer; engine 20.10 takes one or two.
_WITHIN = 30.0


@dataclass(frozen=True)
class Load:
    """`memory`: bytes. `processor`: the share of one processor since the last look; None where there was none."""

    memory: int
    processor: float | None = None

    @classmethod
    def between(cls, before: Use | None, now: Use) -> Load:
        passed = ends.seconds(now.at) - ends.seconds(before.at) if before else 0.0
        if before is None or passed <= 0:
            return cls(now.memory)
        return cls(now.memory, max(now.processor - before.processor, 0.0) / passed)


@dataclass(frozen=True)
class _Look:
    """What each container had taken at `asked`, in monotonic seconds."""

    asked: float
    use: Mapping[str, Use] = field(default_factory=dict)


class LoadWatch:
    """The `loads` of all servers: id of a container -> Load. To read them is to look. `cards` are as known with these, as
    held_cards has them."""

    def __init__(self, *, has_cards: bool = False) -> None:
        self._has_cards = has_cards
        self.cards: Mapping[str, str] = {}
        self._loads: Mapping[str, Load] = {}
        self._before: _Look | None = None
        self._began = -ASK_EVERY
        self._asking: asyncio.Task[None] | None = None
        # What the last question failed with.
        self._trouble = ""

    @property
    def loads(self) -> Mapping[str, Load]:
        is_asking = self._asking is not None and not self._asking.done()
        if not is_asking and time.monotonic() - self._began >= ASK_EVERY:
            self._began = time.monotonic()
            self._asking = asyncio.ensure_future(self._ask())
        return self._loads

    async def _ask(self) -> None:
        trouble = ""
        try:
            before = self._before
            if before is None or time.monotonic() - before.asked > _SERVES_FOR:
                before = await _look()
                await asyncio.sleep(_FIRST_STEP)
            now = await _look()
            self.cards = await asyncio.to_thread(held_cards) if self._has_cards else {}
            self._loads = {one: Load.between(before.use.get(one), use) for one, use in now.use.items()}
            self._before = now
        except OSError as error:
            # Old figures would be taken for new ones.
            self._loads, self._before, self.cards, trouble = {}, None, {}, str(error)
            if trouble != self._trouble:
                log.warning("what servers take cannot be seen: %s", error)
        except Exception:
            log.exception("what servers take cannot be seen")
        self._trouble = trouble


async def _look() -> _Look:
    asked = time.monotonic()
    found = await asyncio.to_thread(question.ask, question.SOCKET, "GET", "/use", _WITHIN)
    return _Look(asked, {container: Use(**one) for container, one in found.items()})


class Overview:
    """What the parts of the hub know of the servers of these kinds."""

    def __init__(self, kinds: Sequence[ServerKind], disk: DiskWatch, idle: IdleWatch, seats: Seats) -> None:
        self._kinds, self._disk, self._idle, self._seats = kinds, disk, idle, seats
        self._load = LoadWatch(has_cards=bool(seats.cards))

    def __deepcopy__(self, memo: dict[int, Any]) -> Overview:
        """Itself: JupyterHub copies its configuration."""
        return self

    def now(self, users: Mapping[Any, Any]) -> dict[str, Any]:
        """`servers`: a row for each of JupyterHub's `users` whose server runs, starts, stops or waits. `host`: the memory of the
        engine's host, what servers take of it, how many more servers of each kind have room, and how many cards there are and
        are free. Amounts are bytes, times seconds since the epoch; None is what is not known or does not apply."""
        loads = self._load.loads
        places = {id(one): place for place, one in enumerate(self._seats.waiting(), start=1)}
        spawners = [one for user in users.values() for one in user.spawners.values() if one.active]
        rows = [self._row(one, loads.get(one.object_id), places.get(id(one))) for one in spawners]
        return {"servers": rows, "host": self._host({one: load.memory for one, load in loads.items()})}

    def _row(self, spawner: Any, load: Load | None, place: int | None) -> dict[str, Any]:
        kind, user = spawner.kind, spawner.user.name
        disk = self._disk.taken(user)
        active, due = self._idle.outlook(spawner) if spawner.ready else (None, None)
        return {
            "user": user,
            "kind": kind.title or kind.name,
            "cards": [card for card, holder in self._load.cards.items() if holder == user],
            "state": "waits" if place else spawner.pending or "runs",
            "place": place,
            "memory": load.memory if load else None,
            "memory_limit": kind.memory_limit,
            "processor": load.processor if load else None,
            "cpu_limit": kind.cpu_limit,
            "disk": disk.bytes if disk else None,
            "disk_limit": kind.disk_limit,
            "active": active,
            "stops": due.at if due else None,
            "by_age": bool(due and due.by_age),
        }

    def _host(self, taken: Mapping[str, int]) -> dict[str, Any]:
        host, there = Host.now(), len(self._seats.cards)
        free = there - len(self._load.cards)

        def left(kind: ServerKind) -> int | None:
            by_memory = self._seats.left(kind.memory_guarantee, taken)
            found = [one for one in (by_memory, free // kind.gpus if kind.gpus else None) if one is not None]
            return min(found, default=None)

        return {
            "memory": host.total,
            "available": host.available,
            "taken": sum(taken.values()),
            "room": [{"kind": one.title or one.name, "left": left(one)} for one in self._kinds],
            "cards": {"all": there, "free": free} if there else None,
        }


class LoadHandler(APIHandler):  # type: ignore[misc]  # its package has no types
    """GET /hub/api/load: as Overview.now."""

    def initialize(self, overview: Overview) -> None:
        self.overview = overview

    @needs_scope("read:servers")  # type: ignore[untyped-decorator]
    def get(self) -> None:
        self.write(self.overview.now(self.users))

    def _log(self) -> None:
        """Not each look of a page that is open all day. Tornado lets handlers override this."""
        if self.get_status() >= HTTPStatus.BAD_REQUEST:
            super()._log()
