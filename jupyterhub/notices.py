"""Messages from the hub to a user's JupyterLab, each kept until the user has read it.

They lie in a file of their own on the data volume, so they outlive pages, servers and hubs. Messages of the moment lie in no
file: this hub alone knows them. A server asks with its own token and waits for an answer; a user gets no message of another one,
nor of an earlier user of the same name. All of this runs on the hub's event loop.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from broadcasts import Broadcasts
from jupyterhub.apihandlers.base import APIHandler
from jupyterhub.scopes import needs_scope
from tornado import web

FILE = "notices.sqlite"
# Seconds. A server's request is answered then, changed or not: each answer is a line in the hub's log.
HOLD = 600.0
# Seconds: so soon a changed announcement is noticed.
LOOK_EVERY = 5.0
_TABLES = """
create table if not exists notice (account text, id text, text text, level text, primary key (account, id));
create table if not exists seen (account text, announcement text, primary key (account, announcement));
"""


@dataclass(frozen=True)
class Notice:
    """A message in plain text. A second one with the same `id` replaces the first. `button` is what a user who has read it
    presses."""

    id: str
    text: str
    level: Literal["info", "warning"] = "info"
    button: str = "Dismiss"


class Notices:
    """All users' messages. `announcement()` gives the text that everybody shall read now, or an empty one; `broadcasts` are the
    notices of admins. A user is an object of JupyterHub's; the file at `path` is made at first use."""

    def __init__(self, path: Path, announcement: Callable[[], str] = str, broadcasts: Broadcasts | None = None) -> None:
        self._path = path
        self._broadcasts = broadcasts
        self._announcement = announcement
        self._last_announced: Notice | None = None
        self._connected: sqlite3.Connection | None = None
        self._waiting: set[asyncio.Future[None]] = set()
        # Account -> id -> message that is shown, and what follows when it was read.
        self._shown: dict[str, dict[str, tuple[Notice, Callable[[], None]]]] = {}

    def __deepcopy__(self, memo: dict[int, Any]) -> Notices:
        """Itself: JupyterHub copies its configuration, and what one part shows another answers with."""
        return self

    def send(self, user: Any, notice: Notice) -> None:
        """Keeps a message for a user and wakes the user's server, if there is one."""
        row = (_account(user), notice.id, notice.text, notice.level)
        self._write("insert or replace into notice values (?, ?, ?, ?)", row)

    def show(self, user: Any, notice: Notice, read: Callable[[], None] = lambda: None) -> None:
        """Shows a message that this hub alone vouches for: another hub does not know it. `read` is called once the user has
        read it."""
        self._shown.setdefault(_account(user), {})[notice.id] = (notice, read)
        self.wake()

    def withdraw(self, user: Any, notice: str) -> None:
        """Forgets a message that is no longer true."""
        self._shown.get(_account(user), {}).pop(notice, None)
        self._write("delete from notice where account = ? and id = ?", (_account(user), notice))

    def mark_read(self, user: Any, notice: str) -> None:
        shown = self._shown.get(_account(user), {}).get(notice)
        self.withdraw(user, notice)
        if shown:
            shown[1]()
        announced = self._announced()
        if announced and announced.id == notice:
            self._write("insert or replace into seen values (?, ?)", (_account(user), notice))
        elif self._broadcasts:
            self._broadcasts.mark_read(user, _account(user), notice)

    def unread(self, user: Any) -> list[Notice]:
        """What the user has not read: the announcement, notices of admins, then messages to this user, the oldest first."""
        return self._unread(user, _account(user))

    def _unread(self, user: Any, account: str) -> list[Notice]:
        broadcasts = self._broadcasts.unread(user, account) if self._broadcasts else []
        to_user = [*(Notice(one.id, one.text) for one in broadcasts), *self._to(account)]
        announced = self._announced()
        if announced is None:
            return to_user
        seen = "select 1 from seen where account = ? and announcement = ?"
        was_read = self._file().execute(seen, (account, announced.id)).fetchone()
        return to_user if was_read else [announced, *to_user]

    def _to(self, account: str) -> list[Notice]:
        found = self._file().execute("select id, text, level from notice where account = ? order by rowid", (account,))
        return [Notice(*row) for row in found] + [notice for notice, _ in self._shown.get(account, {}).values()]

    async def changed(self, user: Any, known: str, within: float = HOLD) -> tuple[str, list[Notice]]:
        """The user's unread messages and their mark: at once if the mark is not `known`, else as soon as it is another one,
        after `within` seconds at the latest."""
        # Now: while this waits, the user may be deleted.
        account = _account(user)
        deadline = time.monotonic() + within
        while True:
            notices = self._unread(user, account)
            mark = hashlib.sha256(json.dumps([asdict(one) for one in notices]).encode()).hexdigest()[:16]
            left = deadline - time.monotonic()
            if mark != known or left <= 0:
                return mark, notices
            woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.add(woken)
            try:
                await asyncio.wait({woken}, timeout=min(left, LOOK_EVERY))
            finally:
                self._waiting.discard(woken)

    def _announced(self) -> Notice | None:
        text = self._announcement().strip()
        announced = Notice(f"announcement-{hashlib.sha256(text.encode()).hexdigest()[:16]}", text)
        if announced != self._last_announced:
            # One that comes back after another, or after none, is a new one. (If no server asked meanwhile, it is the same.)
            self._last_announced = announced
            self._write("delete from seen where announcement <> ?", (announced.id,))
        return announced if text else None

    def _write(self, statement: str, row: tuple[str, ...]) -> None:
        with self._file() as transaction:
            transaction.execute(statement, row)
        self.wake()

    def wake(self) -> None:
        """Lets all who wait look whether they have other messages now."""
        for woken in self._waiting:
            if not woken.done():
                woken.set_result(None)

    def _file(self) -> sqlite3.Connection:
        if self._connected is None:
            self._connected = sqlite3.connect(self._path)
            self._connected.executescript(_TABLES)
        return self._connected


def _account(user: Any) -> str:
    """Who a message is for. A user who is deleted and added again is another one."""
    return f"{user.name} {user.created.isoformat()}"


class NoticesHandler(APIHandler):  # type: ignore[misc]  # its package has no types
    """GET ?known=MARK: the unread messages and their mark."""

    def initialize(self, notices: Notices) -> None:
        self.notices = notices
        self._answer: asyncio.Future[tuple[str, list[Notice]]] | None = None

    def on_connection_close(self) -> None:
        if self._answer:
            self._answer.cancel()
        super().on_connection_close()

    # A server's own token has this scope for its user; whoever may open the server reads them there anyway.
    @needs_scope("access:servers")  # type: ignore[untyped-decorator]
    async def get(self, user_name: str, server_name: str = "") -> None:
        user = self.find_user(user_name)
        if user is None:
            raise web.HTTPError(404)
        self._answer = asyncio.ensure_future(self.notices.changed(user.orm_user, self.get_argument("known", "")))
        try:
            mark, notices = await self._answer
        except asyncio.CancelledError:
            # The server went away.
            return
        self.write({"known": mark, "notices": [asdict(one) for one in notices]})


class NoticeHandler(NoticesHandler):
    """DELETE: the user has read the message."""

    @needs_scope("access:servers")  # type: ignore[untyped-decorator]
    async def delete(self, user_name: str, notice: str, server_name: str = "") -> None:
        user = self.find_user(user_name)
        if user is None or self.current_user is None or self.current_user.name != user.name:
            raise web.HTTPError(403, "only the user can have read it")
        self.notices.mark_read(user.orm_user, notice)
        self.set_status(204)


def handlers(notices: Notices) -> list[tuple[str, type, dict[str, Notices]]]:
    """For JupyterHub.extra_handlers."""
    given = {"notices": notices}
    return [
        (r"/api/users/([^/]+)/notices", NoticesHandler, given),
        (r"/api/users/([^/]+)/notices/([^/]+)", NoticeHandler, given),
    ]
