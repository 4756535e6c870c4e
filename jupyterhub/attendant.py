"""Carries out what the command line has ordered for a class: starts servers at a time, stops servers, tells users.

A start is what the user's own request would be, so every rule of a start holds; it waits in the queue behind the people who are
there. All of it runs on the hub's event loop.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import as_user
import stopping
from ends import End
from jupyterhub import orm
from jupyterhub.utils import url_escape_path
from notices import Notice, Notices
from orders import START, STOP, TELL, Order, Orders
from seats import Seats
from tornado.httpclient import HTTPError

log = logging.getLogger("attendant")

# Seconds between two looks at orders, and between two at a server that starts.
_LOOK_EVERY, _STEP = 2.0, 0.2
# Seconds after its time in which a start is carried out: afterwards the class has begun without it.
LATEST = 1800.0
_AGAIN = "Start your server again when you need it."
_OPERATOR = "`./invoke class close` stopped it."


class Attendant:
    """Serves the users of JupyterHub's application `app`."""

    def __init__(self, app: Any, notices: Notices, seats: Seats | None) -> None:
        self._app, self._notices, self._seats = app, notices, seats
        self._orders = Orders(Path(app.authenticator.data_dir))
        # By number.
        self._at_work: dict[int, asyncio.Task[None]] = {}
        self._running: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Looks for orders from now on."""
        self._running = asyncio.ensure_future(self._rounds())

    async def _rounds(self) -> None:
        while True:
            try:
                self.look()
            except Exception:
                # The next look may succeed, and nobody else looks.
                log.exception("the orders for classes could not be read")
            await asyncio.sleep(_LOOK_EVERY)

    def look(self) -> None:
        """Once: begins what is due. An order that a hub before this one did not finish is begun anew."""
        self._at_work = {number: one for number, one in self._at_work.items() if not one.done()}
        for order in self._orders.due():
            if order.number not in self._at_work:
                self._at_work[order.number] = asyncio.ensure_future(self._carry_out(order))

    async def _carry_out(self, order: Order) -> None:
        ways: dict[str, Callable[[Order], Awaitable[dict[str, Any]]]] = {
            START: self._start_all, STOP: self._stop_all, TELL: self._tell_all,
        }  # fmt: skip
        try:
            outcome = await ways[order.what](order)
        except Exception as error:
            log.exception("the %s of %s failed", order.what, order.people)
            outcome = {"error": str(error)}
        self._orders.close(order.number, outcome)

    # -- start ------------------------------------------------------------------------------------------------------

    async def _start_all(self, order: Order) -> dict[str, Any]:
        """User -> how it went: `started`, `ran` already, or why not."""
        late = order.at + LATEST
        if time.time() > late:
            log.warning("servers of %s were to be started at a time at which no hub ran", order.people)
            return {"missed": True}
        names = self.members(order.people)
        log.info("servers of %s are started: %d people", order.people, len(names))
        # The first one brings the image's files into memory, which the others find there.
        found = {name: await self._start(name, late) for name in names[:1]}
        rest = names[1:]
        found |= dict(zip(rest, await asyncio.gather(*(self._start(name, late) for name in rest)), strict=True))
        return {"users": found}

    def members(self, people: str) -> list[str]:
        """Who is in a group, by userlist or by their last login; a name without @ is one user."""
        if not people.startswith("@"):
            return [people]
        listed = {name for name, groups in self._app.authenticator.listed_groups.items() if people[1:] in groups}
        group = orm.Group.find(self._app.db, people[1:])
        return sorted(listed | {one.name for one in (group.users if group else ())})

    async def _start(self, name: str, late: float) -> str:
        row = orm.User.find(self._app.db, name)
        if row is None:
            return "has no account yet"
        user = self._app.users[row]
        spawner = user.get_spawner("", replace_failed=True)
        if spawner.ready:
            return "ran"
        if not spawner.pending:
            spawner.is_prepared = True
            try:
                await self._ask(user, spawner.options_again())
            except (HTTPError, OSError) as error:
                return _words(error)
        while spawner.pending:
            if time.time() > late and self._seats:
                self._seats.dismiss(spawner, unless_seen=True)
            await asyncio.sleep(_STEP)
        if spawner.ready:
            return "started"
        ended = spawner._spawn_future
        why = ended.exception() if ended and ended.done() and not ended.cancelled() else None
        return getattr(why, "jupyterhub_message", None) or str(why or "it did not start")

    async def _ask(self, user: Any, options: Mapping[str, Any]) -> None:
        """The user's own request for a start. Raises HTTPError, OSError."""
        # The port for users' servers, where no proxy stands before the hub.
        hub = f"http://127.0.0.1:{self._app.port_for_servers}{self._app.hub_prefix}"
        url = f"{hub}api/users/{url_escape_path(user.name)}/server"
        await as_user.fetch(
            user, url, scope="servers", note="class prepare", method="POST", body=json.dumps(dict(options))
        )

    # -- stop -------------------------------------------------------------------------------------------------------

    async def _stop_all(self, order: Order) -> dict[str, Any]:
        names = list(order.words)
        ended = await asyncio.gather(*(self._stop(name, order.words[name]) for name in names))
        return {"users": dict(zip(names, ended, strict=True))}

    async def _stop(self, name: str, words: str) -> str:
        row = orm.User.find(self._app.db, name)
        if row is None or not self._app.users[row].spawner.active:
            return "did not run"
        user = self._app.users[row]
        spawner = user.spawner
        if not await stopping.settle(spawner, self._seats):
            return f"is in the middle of a {spawner.pending}"
        if spawner.active:
            spawner.tell_end(End(words, _AGAIN, _OPERATOR), logging.INFO)
            try:
                await stopping.stop(user)
            except Exception as error:
                log.exception("the server of %s could not be stopped", name)
                return str(error)
        return "stopped"

    # -- tell -------------------------------------------------------------------------------------------------------

    async def _tell_all(self, order: Order) -> dict[str, Any]:
        there = {name: row for name in order.words if (row := orm.User.find(self._app.db, name))}
        for name, row in there.items():
            self._notices.send(row, Notice(f"class-{order.number}", order.words[name]))
        return {"users": dict.fromkeys(there, "told")}


def _words(error: HTTPError | OSError) -> str:
    """What the hub's API says."""
    response = getattr(error, "response", None)
    try:
        return str(json.loads(response.body)["message"]) if response else str(error)
    except (ValueError, KeyError):
        return str(error)
