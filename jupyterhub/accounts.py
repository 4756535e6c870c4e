"""Makes the userlist take away as well as give: JupyterHub's database remembers users and admins for ever.

Runs before the hub, on its database. A user who left the list loses server and account, unless an admin had
added that user; a user who lost the flag `admin` is no longer an admin. Where no group lets anybody in, nobody stays who
is neither listed nor added. Never touches a volume.
"""

import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import database
from audit import Audit
from contract.documents import User
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
    admin has added, who stay when their line goes, and `promoted` those whom an admin has made admins."""

    listed: frozenset[str] = frozenset()
    admins: frozenset[str] = frozenset()
    added: frozenset[str] = frozenset()
    promoted: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Changes:
    """What to take away, and the record that is true afterwards."""

    delete: frozenset[str]
    demote: frozenset[str]
    record: Record


def decide(users: Iterable[User], known: Mapping[str, bool], record: Record, *, groups: bool) -> Changes:
    """`users` as in the contract; `known`: the names in the database, and whether each is an admin. With `groups` some may
    be there because a group lets them in, and only the record says who came by the list."""
    listed, admins = _on_the_list(users)
    were_listed, were_admins = (record.listed, record.admins) if groups else (known.keys(), known.keys())
    return Changes(
        delete=frozenset((were_listed - listed - record.added) & known.keys()),
        demote=frozenset(name for name in were_admins - admins - record.promoted if known.get(name)),
        record=replace(record, listed=listed, admins=admins),
    )


def _on_the_list(users: Iterable[User]) -> tuple[frozenset[str], frozenset[str]]:
    """Who is listed, and who is an admin there."""
    users = list(users)
    return (
        frozenset(user.name.lower() for user in users),
        frozenset(user.name.lower() for user in users if user.admin),
    )


def apply(users: Iterable[User], data: Path, stop_server: StopServer, *, groups: bool) -> None:
    """Brings the database in the directory `data` in line with the contract's users. It may be killed at any point and run
    again: the record is written last, and each change may be made twice."""
    users = list(users)
    with _database(data / database.FILE) as session:
        known = {user.name: bool(user.admin) for user in session.query(orm.User)} if session else {}
        record = read_record(data / RECORD, users, known)
        changes = decide(users, known, record, groups=groups)
        if session:
            take_away(session, changes, stop_server)
    _tell(Audit(data), record, changes.record)
    write_record(data / RECORD, changes.record)


@contextmanager
def _database(file: Path) -> Iterator[Session | None]:
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
        log.warning("%s is on no list of users any more: server and account are removed, volumes stay", name)
        stop_server(name)
        session.delete(orm.User.find(session, name))
    for name in sorted(changes.demote - changes.delete):
        log.warning("%s is no longer an admin", name)
        user = orm.User.find(session, name)
        user.admin = False
        roles.assign_default_roles(session, entity=user)
    session.commit()


def _tell(audit: Audit, before: Record, after: Record) -> None:
    """Records what the list has changed."""
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

    def _write(self, **changed: frozenset[str]) -> None:
        self._record = replace(self._record, **changed)
        write_record(self._path, self._record)


def read_record(path: Path, users: Iterable[User], known: Mapping[str, bool]) -> Record:
    """The record in the file `path`. What an older version did not record follows from list and database: whoever is known,
    and was not listed, was added by an admin."""
    document: dict[str, list[str]] = json.loads(path.read_text()) if path.exists() else {}
    names = {field: frozenset(given) for field, given in document.items()}
    now = _on_the_list(users)
    listed, admins = names.get("listed", now[0]), names.get("admins", now[1])
    known_admins = frozenset(name for name, admin in known.items() if admin)
    return Record(
        listed,
        admins,
        names.get("added", frozenset(known.keys() - listed) | names.get("added_before", frozenset())),
        names.get("promoted", known_admins - admins),
    )


def write_record(path: Path, record: Record) -> None:
    document = {field: sorted(names) for field, names in vars(record).items()}
    new = path.with_suffix(".new")
    new.write_text(json.dumps(document, indent=2) + "\n")
    os.replace(new, path)
