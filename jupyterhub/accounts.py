"""Makes the userlist take away as well as give: JupyterHub's database remembers users and admins for ever.

Runs before the hub, on its database. A user who left the list loses server and account, unless an admin had
added that user; a user who lost the flag `admin` is no longer an admin. Whom nobody named stays as long as a group of theirs
lets them in. Another login ends all sessions, as its names are others'. Never touches a volume.
"""

import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import database
import groups
from audit import Audit
from contract.documents import GROUP_TRAITS, Login, User
from jupyterhub import orm, roles
from sqlalchemy.orm import Session

log = logging.getLogger("accounts")

RECORD = "userlist.json"
StopServer = Callable[[str], None]
# In the log of changes: who it was.
_LIST = "userlist"


@dataclass(frozen=True)
class Record:
    """Who is named beside the list. `listed` and `admins` are the list at the hub's last start; `added` are the users whom an
    admin has added, who stay when their line goes, and `promoted` those whom an admin has made admins. `names`: whose names users
    had at the last start, as Login.names; empty where that is not known."""

    listed: frozenset[str] = frozenset()
    admins: frozenset[str] = frozenset()
    added: frozenset[str] = frozenset()
    promoted: frozenset[str] = frozenset()
    names: str = ""


@dataclass(frozen=True)
class Known:
    """A user in the database: whether an admin, and the groups that the last login named. `is_watched`: the hub asks for
    their groups by itself, at once (membership.py)."""

    admin: bool
    groups: frozenset[str] = frozenset()
    is_watched: bool = False


@dataclass(frozen=True)
class Changes:
    """What to take away, and the record that is true afterwards. `end_sessions`: of everybody."""

    delete: frozenset[str]
    demote: frozenset[str]
    end_sessions: bool
    record: Record


def decide(users: Iterable[User], known: Mapping[str, Known], record: Record, login: Login) -> Changes:
    """`users` and `login` as in the contract; `known`: the users in the database, by name."""
    listed, admins = _on_the_list(users)
    is_other = record.names not in ("", login.names)

    def comes_by(name: str, *traits: str) -> bool:
        named = login.groups(*traits)
        return not is_other and bool(named) and (known[name].is_watched or bool(known[name].groups & named))

    left = record.listed - listed - record.added
    named = listed | record.added | (record.promoted - left)
    delete = {name for name in known if name not in named and (name in left or not comes_by(name, *GROUP_TRAITS))}
    lost = record.admins - admins - record.promoted
    demote = {
        name for name, user in known.items()
        if user.admin and name not in admins | record.promoted and (name in lost or not comes_by(name, "admin_groups"))
    }  # fmt: skip
    after = replace(record, listed=listed, admins=admins, promoted=record.promoted - left, names=login.names)
    return Changes(frozenset(delete), frozenset(demote), is_other, after)


def _on_the_list(users: Iterable[User]) -> tuple[frozenset[str], frozenset[str]]:
    """Who is listed, and who is an admin there."""
    users = list(users)
    return (
        frozenset(user.name.lower() for user in users),
        frozenset(user.name.lower() for user in users if user.admin),
    )


def apply(users: Iterable[User], data: Path, stop_server: StopServer, login: Login) -> None:
    """Brings the database in the directory `data` in line with the contract's users and login. It may be killed at any point
    and run again: the record is written last, and each change may be made twice."""
    users = list(users)
    with opened(data / database.FILE) as session:
        known = {user.name: _known(user) for user in session.query(orm.User)} if session else {}
        record = read_record(data / RECORD, users, {name: one.admin for name, one in known.items()})
        changes = decide(users, known, record, login)
        if session:
            groups.take_away(session, groups.listed(users))
            take_away(session, changes, stop_server)
    _tell(Audit(data), record, changes)
    write_record(data / RECORD, changes.record)


def _known(user: orm.User) -> Known:
    named = frozenset(group.name for group in user.groups if not groups.is_listed(group))
    return Known(bool(user.admin), named, is_watched=user.encrypted_auth_state is not None)


@contextmanager
def opened(file: Path) -> Iterator[Session | None]:
    """A session in the hub's database; None as long as it holds no table of users."""
    if not file.exists() or file.stat().st_size == 0:
        yield None
        return
    # an older schema cannot be asked for users
    database.upgrade_if_needed(file)
    if not database.columns_of(file, orm.User.__tablename__):
        yield None
        return
    with orm.new_session_factory(database.url(file))() as session:
        database.restore_names(session)
        yield session


def take_away(session: Session, changes: Changes, stop_server: StopServer) -> None:
    for name in sorted(changes.delete):
        log.warning("nothing lets %s in any more: server and account are removed, volumes stay", name)
        stop_server(name)
        session.delete(orm.User.find(session, name))
    for name in sorted(changes.demote - changes.delete):
        log.warning("%s is no longer an admin", name)
        user = orm.User.find(session, name)
        user.admin = False
        roles.assign_default_roles(session, entity=user)
    if changes.end_sessions:
        log.warning("the login has changed: everybody must log in again, servers go on")
        for user in session.query(orm.User):
            end_sessions(session, user)
            # What the other login said of them.
            user.encrypted_auth_state = None
            user.groups = [group for group in user.groups if groups.is_listed(group)]
    session.commit()


def end_sessions(session: Session, user: orm.User, keep: str | None = None) -> None:
    """Ends a user's sessions with the hub and with their server, except in the browser with the session id `keep`. Tokens
    that the user or the hub made for programs stay. Nothing is committed."""
    user.cookie_id = orm.new_token()
    for kind in (orm.APIToken, orm.OAuthCode):
        for one in session.query(kind).filter(kind.user_id == user.id, kind.session_id.isnot(None)):
            if one.session_id != keep:
                session.delete(one)


def _tell(audit: Audit, before: Record, changes: Changes) -> None:
    """Records what list and settings have changed."""
    after = changes.record
    for name in sorted(changes.delete - before.listed):
        audit.record("user removed", user=name, by="settings")
    if changes.end_sessions:
        audit.record("all sessions ended", by="settings")
    for event, names in (
        ("user added", after.listed - before.listed),
        ("user removed", before.listed - after.listed),
        ("made an admin", after.admins - before.admins),
        ("no admin any more", (before.admins - after.admins) & after.listed),
    ):
        for name in sorted(names):
            audit.record(event, user=name, by=_LIST)


class Named:
    """The record while the hub runs: an admin adds and deletes users then. The file at `path` is written at each change."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._record = read_record(path, [], {})

    @property
    def added(self) -> frozenset[str]:
        return self._record.added

    @property
    def promoted(self) -> frozenset[str]:
        return self._record.promoted

    def admit(self, name: str) -> None:
        self._write(added=self.added | {name})

    def promote(self, name: str, *, admin: bool) -> None:
        self._write(promoted=self.promoted | {name} if admin else self.promoted - {name})

    def dismiss(self, name: str) -> None:
        self._write(added=self.added - {name}, promoted=self.promoted - {name})

    def _write(self, **changed: Any) -> None:
        self._record = replace(self._record, **changed)
        write_record(self._path, self._record)


def read_record(path: Path, users: Iterable[User], known: Mapping[str, bool]) -> Record:
    """The record in the file `path`. What an older version did not record follows from list and database: whoever is known,
    and was not listed, was added by an admin."""
    document: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    names = {field: frozenset(given) for field, given in document.items() if field != "names"}
    now = _on_the_list(users)
    listed, admins = names.get("listed", now[0]), names.get("admins", now[1])
    known_admins = frozenset(name for name, admin in known.items() if admin)
    return Record(
        listed,
        admins,
        names.get("added", frozenset(known.keys() - listed) | names.get("added_before", frozenset())),
        names.get("promoted", known_admins - admins),
        document.get("names", ""),
    )


def write_record(path: Path, record: Record) -> None:
    document = {field: given if isinstance(given, str) else sorted(given) for field, given in vars(record).items()}
    new = path.with_suffix(".new")
    new.write_text(json.dumps(document, indent=2) + "\n")
    os.replace(new, path)
