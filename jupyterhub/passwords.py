"""Who has a password of this hub's own, and who was invited to choose one: a file of its own on the data volume.

It holds hashes of passwords and digests of invitations' tokens, never a password or a token. An account is a row of JupyterHub's
database and not a name: a user who is deleted and added again starts from nothing. Standard library only; each call opens the
file anew, so hub, commands and threads may use it at the same time.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

FILE = "passwords.sqlite"
_DAY = 24 * 3600.0
# Seconds.
INVITATION_LASTS = 7 * _DAY
# So long a link that is no longer good can say why.
_REMEMBERED = 90 * _DAY
_LOCKED_WITHIN = 10.0
_TABLES = """
create table if not exists password (account text primary key, hash text not null, since real not null);
create table if not exists invitation (
    digest text primary key, account text not null, expires real not null, used real, withdrawn real);
"""
_OPEN = "used is null and withdrawn is null and expires > ?"

State = Literal["open", "used", "expired", "withdrawn", "unknown"]


@dataclass(frozen=True)
class Invitation:
    """`account` is empty for an unknown one."""

    state: State
    account: str = ""


@dataclass(frozen=True)
class Status:
    """Of an account, in seconds since the epoch: since when it has its password, until when its link is good; None without."""

    password_since: float | None = None
    invited_until: float | None = None


def account(number: int, created: datetime | str | None) -> str:
    """The key of a row of JupyterHub's table `users`. SQLite gives the number of a deleted row to the next one, so the time at
    which the row was made is part of it; it may come as SQLite holds it."""
    when = datetime.fromisoformat(created) if isinstance(created, str) else created
    return f"{number} {when.isoformat() if when else ''}"


def digest(token: str) -> str:
    """What the file holds instead of a token, which is 256 random bits: no slow hash makes these safer."""
    return hashlib.sha256(token.encode()).hexdigest()


class Passwords:
    """The file at `path`, which is made at first use. `now` is a clock in seconds since the epoch."""

    def __init__(self, path: Path, now: Callable[[], float] = time.time) -> None:
        self.path = path
        self._now = now

    def hash_of(self, account: str) -> str | None:
        with self._file() as file:
            row = file.execute("select hash from password where account = ?", (account,)).fetchone()
        return row[0] if row else None

    def keep(self, account: str, hash: str) -> None:
        """From now on the account has the password with this hash, and no open invitation."""
        with self._file() as file:
            self._keep(file, account, hash)

    def renew(self, account: str, before: str, hash: str) -> None:
        """Another hash of the same password; nothing happens if the password is another one by now."""
        with self._file() as file:
            file.execute("update password set hash = ? where account = ? and hash = ?", (hash, account, before))

    def invite(self, account: str, digest: str) -> float:
        """Until when the token with this digest lets the account choose a password. Earlier ones are withdrawn."""
        now = self._now()
        with self._file() as file:
            self._withdraw(file, account)
            file.execute("delete from invitation where expires < ?", (now - _REMEMBERED,))
            file.execute(
                "insert into invitation values (?, ?, ?, null, null)", (digest, account, now + INVITATION_LASTS)
            )
        return now + INVITATION_LASTS

    def withdraw(self, account: str) -> bool:
        """False if there was no open invitation."""
        with self._file() as file:
            return self._withdraw(file, account) > 0

    def invitation(self, digest: str) -> Invitation:
        with self._file() as file:
            return self._invitation(file, digest)

    def redeem(self, digest: str, hash: str) -> Invitation:
        """Gives the invited account its password and uses the invitation up, if it is open. The invitation as it was before:
        of two that come at once, one finds it used."""
        with self._file() as file:
            found = self._invitation(file, digest)
            if found.state == "open":
                file.execute("update invitation set used = ? where digest = ?", (self._now(), digest))
                self._keep(file, found.account, hash)
        return found

    def statuses(self) -> dict[str, Status]:
        """Of every account with a password or an open invitation."""
        with self._file() as file:
            since = dict(file.execute("select account, since from password").fetchall())
            until = dict(
                file.execute(f"select account, expires from invitation where {_OPEN}", (self._now(),)).fetchall()
            )
        return {one: Status(since.get(one), until.get(one)) for one in since.keys() | until.keys()}

    def forget(self, account: str) -> None:
        """Its password and its invitations."""
        with self._file() as file:
            for table in ("password", "invitation"):
                file.execute(f"delete from {table} where account = ?", (account,))

    def keep_only(self, accounts: Collection[str]) -> None:
        """Forgets every other account."""
        with self._file() as file:
            found = file.execute("select account from password union select account from invitation").fetchall()
        for (one,) in found:
            if one not in accounts:
                self.forget(one)

    def _keep(self, file: sqlite3.Connection, account: str, hash: str) -> None:
        self._withdraw(file, account)
        file.execute("insert or replace into password values (?, ?, ?)", (account, hash, self._now()))

    def _withdraw(self, file: sqlite3.Connection, account: str) -> int:
        open_ones = f"update invitation set withdrawn = ? where account = ? and {_OPEN}"
        return file.execute(open_ones, (self._now(), account, self._now())).rowcount

    def _invitation(self, file: sqlite3.Connection, digest: str) -> Invitation:
        columns = "account, expires, used, withdrawn"
        row = file.execute(f"select {columns} from invitation where digest = ?", (digest,)).fetchone()
        if row is None:
            return Invitation("unknown")
        account, expires, used, withdrawn = row
        if used is not None:
            return Invitation("used", account)
        if withdrawn is not None:
            return Invitation("withdrawn", account)
        return Invitation("expired" if expires <= self._now() else "open", account)

    @contextmanager
    def _file(self) -> Iterator[sqlite3.Connection]:
        """One transaction, which nobody else's can come between."""
        # SQLite would make it with the umask's rights.
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        connected = sqlite3.connect(self.path, timeout=_LOCKED_WITHIN, isolation_level=None)
        try:
            connected.executescript(_TABLES)
            connected.execute("begin immediate")
            yield connected
            connected.execute("commit")
        finally:
            # What was not committed is rolled back.
            connected.close()


def accounts(database: Path) -> dict[str, str]:
    """Name -> account of every user in JupyterHub's database, which may be in use; nobody where it holds no users yet."""
    if not database.exists():
        return {}
    connected = sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True, timeout=_LOCKED_WITHIN)
    try:
        there = connected.execute("select 1 from sqlite_master where name = 'users'").fetchone()
        found = connected.execute("select id, name, created from users") if there else ()
        rows: list[tuple[int, str | None, str | None]] = list(found)
    finally:
        connected.close()
    return {name: account(number, created) for number, name, created in rows if name}


def forget_strangers(folder: Path, database: Path) -> None:
    """Forgets in `folder` who is no user in JupyterHub's `database` any more."""
    if (folder / FILE).exists():
        Passwords(folder / FILE).keep_only(accounts(database).values())
