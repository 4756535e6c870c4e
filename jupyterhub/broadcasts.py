"""Notices of admins to everybody or to a group, each shown for a while: in JupyterLab until its reader dismisses it, and on the
hub's pages.

They lie in a file of their own on the data volume, so they outlive hubs. A notice is plain text without control characters.
Only who may change all users sends one or takes one back, and each of both is in the log of `./invoke audit`. All of it runs on
the hub's event loop.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jupyterhub import orm
from jupyterhub.apihandlers.base import APIHandler
from jupyterhub.scopes import needs_scope
from sqlalchemy import inspect
from tornado.web import HTTPError

FILE = "broadcasts.sqlite"
# Characters of a notice, minutes for which it may be shown, and how many may be shown at a time.
LONGEST, LONGEST_SHOWN, MOST = 1000, 7 * 24 * 60, 20
_ID = "broadcast-"
# Numbers are never given twice: who has read a notice would have read the next one.
_TABLES = """
create table if not exists broadcast
    (number integer primary key autoincrement, text text, people text, by text, at real, until real);
create table if not exists has_read (account text, number integer, primary key (account, number));
"""


@dataclass(frozen=True)
class Broadcast:
    """`people`: the name of a group; empty for everybody. `at` and `until` are seconds since the epoch."""

    number: int
    text: str
    people: str
    by: str
    at: float
    until: float

    @property
    def id(self) -> str:
        """What it is called among a user's messages."""
        return f"{_ID}{self.number}"


class Broadcasts:
    """The notices in the file at `path`, which is made at first use. A user is an object of JupyterHub's."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path, self._clock = path, clock
        self._connected: sqlite3.Connection | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> Broadcasts:
        """Itself: JupyterHub copies its configuration."""
        return self

    def send(self, text: str, people: str, by: str, minutes: int) -> Broadcast:
        now = self._clock()
        row = (text, people, by, now, now + 60 * minutes)
        with self._file() as file:
            made = file.execute("insert into broadcast (text, people, by, at, until) values (?, ?, ?, ?, ?)", row)
        assert made.lastrowid is not None
        return Broadcast(made.lastrowid, *row)

    def take_back(self, number: int) -> Broadcast | None:
        """The notice, which is shown no longer; None if there is none of this number."""
        found = next((one for one in self.shown() if one.number == number), None)
        if found:
            self._remove(number)
        return found

    def shown(self) -> list[Broadcast]:
        """All that are shown now, the oldest first."""
        now = self._clock()
        found = [
            Broadcast(*row)
            for row in self._file().execute("select number, text, people, by, at, until from broadcast order by number")
        ]
        for one in found:
            if one.until <= now:
                self._remove(one.number)
        return [one for one in found if one.until > now]

    def to(self, user: Any) -> list[Broadcast]:
        """Those for this user."""
        shown = self.shown()
        groups = _groups(user) if any(one.people for one in shown) else frozenset()
        return [one for one in shown if not one.people or one.people in groups]

    def unread(self, user: Any, account: str) -> list[Broadcast]:
        """Those for this user that the account has not dismissed."""
        found = self.to(user)
        if not found:
            return []
        has_read = {
            number for (number,) in self._file().execute("select number from has_read where account = ?", (account,))
        }
        return [one for one in found if one.number not in has_read]

    def mark_read(self, user: Any, account: str, notice: str) -> None:
        for one in self.unread(user, account):
            if one.id == notice:
                with self._file() as file:
                    file.execute("insert or ignore into has_read values (?, ?)", (account, one.number))

    def _remove(self, number: int) -> None:
        with self._file() as file:
            file.execute("delete from broadcast where number = ?", (number,))
            file.execute("delete from has_read where number = ?", (number,))

    def _file(self) -> sqlite3.Connection:
        if self._connected is None:
            self._connected = sqlite3.connect(self._path)
            self._connected.executescript(_TABLES)
        return self._connected


def _groups(user: Any) -> frozenset[str]:
    """The names of the user's groups; none of a user who was deleted meanwhile."""
    row = getattr(user, "orm_user", user)
    return frozenset(group.name for group in row.groups) if inspect(row).persistent else frozenset()


def plain(text: Any) -> str:
    """The text of a notice. Raises HTTPError for what is none."""
    lines = str(text).strip().splitlines() if isinstance(text, str) else []
    if not lines or not all(_is_plain(line) for line in lines) or len(text) > LONGEST:
        raise HTTPError(400, f"A notice is plain text of at most {LONGEST} characters.")
    return "\n".join(lines)


def _is_plain(line: str) -> bool:
    """Without control characters, among them those that turn the direction of a text."""
    return all(one.isprintable() or one in "\t\u00a0\u200d" for one in line)


class BroadcastsHandler(APIHandler):  # type: ignore[misc]  # its package has no types
    """GET: the notices that are shown, and the names of all groups. POST {text, group, minutes}: a new one, without a group to
    everybody."""

    def initialize(self, broadcasts: Broadcasts, wake: Callable[[], None]) -> None:
        self.broadcasts, self.wake = broadcasts, wake

    @needs_scope("admin:users")  # type: ignore[untyped-decorator]
    def get(self) -> None:
        groups = [name for (name,) in self.db.query(orm.Group.name).order_by(orm.Group.name)]
        self.write({"notices": [asdict(one) for one in self.broadcasts.shown()], "groups": groups})

    @needs_scope("admin:users")  # type: ignore[untyped-decorator]
    def post(self) -> None:
        asked = self.get_json_body()
        asked = asked if isinstance(asked, dict) else {}
        text, people, minutes = plain(asked.get("text")), asked.get("group") or "", asked.get("minutes")
        if not isinstance(people, str) or (people and orm.Group.find(self.db, people) is None):
            raise HTTPError(400, "There is no such group.")
        if not isinstance(minutes, int) or isinstance(minutes, bool) or not 1 <= minutes <= LONGEST_SHOWN:
            raise HTTPError(400, f"A notice is shown for 1 to {LONGEST_SHOWN} minutes.")
        if len(self.broadcasts.shown()) >= MOST:
            raise HTTPError(409, f"No more than {MOST} notices are shown at a time. Take one back first.")
        made = self.broadcasts.send(text, people, self.current_user.name, minutes)
        self.record("notice", made)
        self.set_status(201)
        self.write(asdict(made))

    def record(self, event: str, notice: Broadcast) -> None:
        """In the log, and in JupyterLab at once."""
        line = " / ".join(notice.text.splitlines())
        event = f"{event} to {notice.people or 'everybody'}: {line}"
        self.authenticator.audit.record(event, by=self.current_user.name, address=self.request.remote_ip)
        self.wake()


class BroadcastHandler(BroadcastsHandler):
    """DELETE: the notice is shown no longer."""

    @needs_scope("admin:users")  # type: ignore[untyped-decorator]
    def delete(self, number: str) -> None:
        taken = self.broadcasts.take_back(int(number))
        if taken is None:
            raise HTTPError(404, "This notice is not shown any more.")
        self.record("notice taken back", taken)
        self.set_status(204)


def handlers(broadcasts: Broadcasts, wake: Callable[[], None]) -> list[tuple[str, type, dict[str, Any]]]:
    """For JupyterHub.extra_handlers. `wake` lets the servers that wait for messages look anew."""
    given = {"broadcasts": broadcasts, "wake": wake}
    return [(r"/api/broadcasts", BroadcastsHandler, given), (r"/api/broadcasts/(\d{1,9})", BroadcastHandler, given)]
