"""Makes the userlist take away as well as give: JupyterHub's database remembers users and admins for ever.

Runs before the hub, on its database. A user who left the list loses server and account, unless an admin had
added that user; a user who lost the flag `admin` is no longer an admin. Never touches a volume, or a user who was
never listed.
"""

import json
import logging
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import database
from contract.documents import User
from jupyterhub import orm, roles
from sqlalchemy.orm import Session

log = logging.getLogger("accounts")

RECORD = "userlist.json"
StopServer = Callable[[str], None]


@dataclass(frozen=True)
class Record:
    """The userlist at the hub's last start: who was listed, who was an admin there, and whom an admin had
    added before. These users stay when their line goes."""

    listed: frozenset[str] = frozenset()
    admins: frozenset[str] = frozenset()
    added_before: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Changes:
    """What to take away, and the record that is true afterwards."""

    delete: frozenset[str]
    demote: frozenset[str]
    record: Record


def decide(users: Iterable[User], known: Iterable[str], record: Record | None) -> Changes:
    """`users` as in the contract, `known`: names in the database, `record`: None if there never was one.

    Without a record, in the database of a new or an older deployment, a listed user counts as added by the
    list: else the list could never remove that user.
    """
    users = list(users)
    listed = frozenset(user.name.lower() for user in users)
    admins = frozenset(user.name.lower() for user in users if user.admin)
    if record is None:
        return Changes(frozenset(), frozenset(), Record(listed, admins))
    known = frozenset(known)
    new_on_the_list = listed - record.listed
    added_before = (record.added_before & listed) | (new_on_the_list & known)
    return Changes(
        delete=(record.listed - listed - record.added_before) & known,
        demote=(record.admins - admins) & known,
        record=Record(listed, admins, added_before),
    )


def apply(users: Iterable[User], data: Path, stop_server: StopServer) -> None:
    """Brings the database in the directory `data` in line with the contract's users. It may be killed at any point and run
    again: the record is written last, and each change may be made twice."""
    changes = decide_on_database(users, data, stop_server)
    write_record(data / RECORD, changes.record)


def decide_on_database(users: Iterable[User], data: Path, stop_server: StopServer) -> Changes:
    record = read_record(data / RECORD)
    file = data / database.FILE
    if not file.exists() or file.stat().st_size == 0:
        return decide(users, [], record)
    # an older schema cannot be asked for users
    database.upgrade_if_needed(file)
    if not database.columns_of(file, orm.User.__tablename__):
        return decide(users, [], record)
    with orm.new_session_factory(database.url(file))() as session:
        database.restore_names(session)
        changes = decide(users, (user.name for user in session.query(orm.User)), record)
        take_away(session, changes, stop_server)
    return changes


def take_away(session: Session, changes: Changes, stop_server: StopServer) -> None:
    for name in sorted(changes.delete):
        log.warning("%s is no longer on the userlist: server and account are removed, volumes stay", name)
        stop_server(name)
        session.delete(orm.User.find(session, name))
    for name in sorted(changes.demote - changes.delete):
        log.warning("%s is no longer an admin on the userlist", name)
        user = orm.User.find(session, name)
        user.admin = False
        roles.assign_default_roles(session, entity=user)
    session.commit()


def read_record(path: Path) -> Record | None:
    if not path.exists():
        return None
    document = json.loads(path.read_text())
    return Record(**{field: frozenset(names) for field, names in document.items()})


def write_record(path: Path, record: Record) -> None:
    document = {field: sorted(names) for field, names in vars(record).items()}
    new = path.with_suffix(".new")
    new.write_text(json.dumps(document, indent=2) + "\n")
    os.replace(new, path)
