"""`python -m states VERB`: proves that this image upgrades the hub's database, and keeps states to go back to.

A container without a network runs it. It never changes the hub's data, except to bring a state back. It may be killed at any
point and run again: what is half done has a name that the next run removes.
"""

from __future__ import annotations

import filecmp
import json
import os
import shutil
import sqlite3
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from contract import states
from contract.documents import CONTRACT_FILE, SECRETS_FILE, from_bytes, to_bytes
from contract.states import DATABASE, Listed, Listing, State

from backup import databases

# Rows of these must not become fewer by an upgrade. JupyterHub's own step to version 2, which brought roles, drops all tokens.
_COUNTED = ("users", "groups", "servers", "api_tokens")
_BEFORE_ROLES = _COUNTED[:-1]
# All that a database older than JupyterHub 0.9 brings over.
_CARRIED_OVER = _COUNTED[:1]
# How the folder of a state is called until it is whole.
_HALF = ".half"
_MB = 10**6
# How often the database must fit into the rest of its volume: JupyterHub copies it before it changes the schema, and the change
# itself takes as much for a moment, as does a way back later. Besides, so many bytes for all else that a hub writes.
_TIMES, _SPARE = 2, 1024**2
# The hub on a copy must not look after servers of the real one.
_NO_SERVERS = """
UPDATE spawners SET server_id = NULL, state = NULL;
UPDATE services SET _server_id = NULL;
DELETE FROM servers;
"""


class Unfit(Exception):
    """The image, or the database, is not fit for an upgrade; says why."""


class Store:
    """The states in the directory `folder`, of the hub whose data and documents lie in `data` and `documents`."""

    def __init__(self, data: Path, documents: Path, folder: Path) -> None:
        self._data, self._documents, self._folder = data, documents, folder

    def tidy(self) -> None:
        """Removes what a killed run left."""
        for left in (self._folder / states.TRIAL, *self._folder.glob(f"*{_HALF}")):
            shutil.rmtree(left, ignore_errors=True)

    def prove(self) -> str:
        """Upgrades a copy of the database by this image's own code, and says what is in it. The copy stays for `lend`. Raises
        Unfit if the copy is damaged or has lost rows, or where the new hub would have no room; any error of the upgrade itself
        comes as it is."""
        import database

        if not _has_content(self._data / DATABASE):
            return "there is no database yet"
        self._assert_room()
        trial = self._folder / states.TRIAL
        trial.mkdir(mode=0o700)
        # What SQLite writes beside a database, it else writes to a small /tmp.
        os.environ["SQLITE_TMPDIR"] = str(trial)
        copy = trial / DATABASE
        try:
            databases.copy(self._data / DATABASE, copy)
            _assert_whole(copy, "the database")
            has_roles, is_too_old = bool(database.columns_of(copy, "roles")), database.is_too_old(copy)
            counted = _CARRIED_OVER if is_too_old else _COUNTED if has_roles else _BEFORE_ROLES
            before = _rows(copy, counted)
            database.upgrade_if_needed(copy)
            _assert_whole(copy, "the upgraded database")
            after = _rows(copy, counted)
            lost = [
                f"{table}: {before[table]} -> {after.get(table, 0)}"
                for table in before
                if after.get(table, 0) < before[table]
            ]
            if lost:
                raise Unfit(f"the upgrade loses rows: {', '.join(lost)}")
        except BaseException:
            self.tidy()
            raise
        return ", ".join(f"{count} {table}" for table, count in after.items())

    def lend(self, target: str = states.LENT) -> None:
        """Moves the upgraded copy into the folder `target`, for a hub that finds no server running. Without a database it does
        nothing."""
        copy = self._folder / states.TRIAL / DATABASE
        if copy.exists():
            with closing(sqlite3.connect(copy)) as connection, connection:
                connection.executescript(_NO_SERVERS)
            shutil.copyfile(copy, Path(target) / DATABASE)
        self.tidy()

    def note(self) -> None:
        """Puts on record what runs. Of containers that no longer run the hub's image, as an upgrade was cut short, the record
        from before stays, or that of the state which was kept then."""
        state, before = _read(self._folder / states.RUNNING), self._noted()
        before = before or next((_read(folder / states.STATE) for folder in self._folders()), None)
        if before and before.image == state.image:
            state = replace(state, containers={**before.containers, **state.containers})
        _write(self._folder / states.NOTED, to_bytes(state))
        (self._folder / states.RUNNING).unlink()

    def keep(self) -> str:
        """Makes what is noted a state, with the database and the documents as the hub has left them, and lists all. Only the
        newest few stay. Of two that hold the same, as an upgrade was cut short and run again, the later stays."""
        noted = self._noted()
        if noted is None:
            raise Unfit("what runs was not noted")
        state = replace(noted, at=time.time())
        half = self._folder / f"{state.id}{_HALF}"
        half.mkdir(mode=0o700)
        if _has_content(self._data / DATABASE):
            databases.copy(self._data / DATABASE, half / DATABASE)
        for document in self._documents.iterdir():
            if document.is_file() and not document.is_symlink():
                shutil.copyfile(document, half / document.name)
        _write(half / states.STATE, to_bytes(state))
        older = tuple(self._folders())
        os.rename(half, self._folder / state.id)
        (self._folder / states.NOTED).unlink()
        (self._folder / states.WENT_BACK).unlink(missing_ok=True)
        for number, one in enumerate(older, start=1):
            if number >= states.MOST or _hold_the_same(one, self._folder / state.id):
                shutil.rmtree(one)
        return self.listing()

    def listing(self) -> str:
        """All states, as a document."""
        noted = self._noted()
        found = [Listed(noted, 0, is_noted=True)] if noted else []
        for folder in self._folders():
            size = sum(file.stat().st_size for file in folder.iterdir())
            found.append(Listed(_read(folder / states.STATE), size))
        return to_bytes(Listing(tuple(found))).decode()

    def bring(self, name: str) -> None:
        """Gives the hub the database and the documents of a state. Its database of now stays beside it, under a name as
        JupyterHub gives its own copies. Who has lost access since stays without it: the users are those of now."""
        kept = self._folder / name
        for document in kept.iterdir():
            if document.name not in (DATABASE, states.STATE):
                content = document.read_bytes()
                present = self._documents / document.name
                if present.exists() and document.name in _OF_NOW:
                    content = _OF_NOW[document.name](json.loads(content), json.loads(present.read_bytes()))
                _write(present, content)
        if (kept / DATABASE).exists():
            self._replace_database(kept / DATABASE)

    def old(self) -> str:
        """How many of the database's copies in the data volume are beyond those that are kept, and their bytes."""
        copies = self._old_copies()
        return f"{len(copies)} {sum(copy.stat().st_size for copy in copies)}"

    def prune(self) -> None:
        """Removes these copies, with what may lie beside them."""
        for copy in self._old_copies():
            for end in ("", *databases.BESIDE):
                copy.with_name(f"{copy.name}{end}").unlink(missing_ok=True)

    def _old_copies(self) -> list[Path]:
        # As JupyterHub names them: the time follows.
        copies = [copy for copy in self._data.glob(f"{DATABASE}.[0-9]*") if not copy.name.endswith(databases.BESIDE)]
        return sorted(copies, reverse=True)[states.MOST :]

    def _replace_database(self, wanted: Path) -> None:
        file, new = self._data / DATABASE, self._data / f"{DATABASE}{_HALF}"
        # As in _write.
        new.unlink(missing_ok=True)
        shutil.copyfile(wanted, new)
        _sync(new)
        if file.exists():
            aside = file.with_name(f"{DATABASE}.{time.strftime('%Y-%m-%d-%H%M%S')}")
            aside.unlink(missing_ok=True)
            os.link(file, aside)
            # A journal would be applied to the other database.
            for end in databases.BESIDE:
                if file.with_name(f"{DATABASE}{end}").exists():
                    os.replace(file.with_name(f"{DATABASE}{end}"), aside.with_name(f"{aside.name}{end}"))
        os.replace(new, file)

    def _assert_room(self) -> None:
        wanted = _TIMES * (self._data / DATABASE).stat().st_size + _SPARE
        free = shutil.disk_usage(self._data).free
        if free < wanted:
            raise Unfit(
                f"the volume of the hub's data has {free / _MB:.1f} MB free, and the new hub may need {wanted / _MB:.1f}:"
                " it copies the database before it changes it"
            )

    def _noted(self) -> State | None:
        file = self._folder / states.NOTED
        return _read(file) if file.exists() else None

    def _folders(self) -> Iterator[Path]:
        """The folders of whole states, the newest first."""
        found = (one.parent for one in self._folder.glob(f"*/{states.STATE}"))
        yield from sorted((one for one in found if not one.name.endswith(_HALF)), reverse=True)


def _hold_the_same(one: Path, other: Path) -> bool:
    if _read(one / states.STATE).image != _read(other / states.STATE).image:
        return False
    database, others = one / DATABASE, other / DATABASE
    return database.exists() and others.exists() and filecmp.cmp(database, others, shallow=False)


def _with_users_of(document: dict[str, Any], present: Mapping[str, Any]) -> bytes:
    """A contract with the users of the present one. Where that writes them in another form, only those of its own stay whom the
    present one names."""
    users = present["users"]
    if len({frozenset(user) for user in (*users, *document["users"])}) > 1:
        names = {user["name"] for user in users}
        users = [user for user in document["users"] if user["name"] in names]
    return _as_bytes({**document, "users": users})


def _with_password_of(document: dict[str, Any], present: Mapping[str, Any]) -> bytes:
    """Secrets with the password that the proxy has now: an `up` that finds no hub makes another one."""
    return _as_bytes({**document, "proxy_api_password": present["proxy_api_password"]})


# What a document keeps of the present one when a state is brought back.
_OF_NOW = {Path(CONTRACT_FILE).name: _with_users_of, Path(SECRETS_FILE).name: _with_password_of}


def _as_bytes(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False).encode() + b"\n"


def _read(file: Path) -> State:
    return from_bytes(State, file.read_bytes())


def _write(file: Path, content: bytes) -> None:
    """Writes a file as a whole, or not at all."""
    new = file.with_name(f"{file.name}.new")
    # A hub that somebody took over may have put a link there, which would lead into another volume.
    new.unlink(missing_ok=True)
    new.write_bytes(content)
    _sync(new)
    os.replace(new, file)


def _sync(file: Path) -> None:
    with file.open("rb") as opened:
        os.fsync(opened.fileno())


def _has_content(file: Path) -> bool:
    return file.exists() and file.stat().st_size > 0


def _assert_whole(file: Path, what: str) -> None:
    with closing(sqlite3.connect(file)) as connection:
        (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if found != "ok":
        raise Unfit(f"{what} is damaged: {found}")


def _rows(file: Path, tables: tuple[str, ...]) -> dict[str, int]:
    """Table -> its number of rows, of those that are there."""
    with closing(sqlite3.connect(file)) as connection:
        there = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        return {
            table: int(connection.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0])
            for table in tables
            if table in there
        }


def main(verb: str, *words: str) -> None:
    os.umask(0o077)
    store = Store(Path(states.DATA), Path(states.DOCUMENTS), Path(states.STATES))
    # The one program that goes on where another has ended.
    if verb != "lend":
        store.tidy()
    try:
        print(getattr(store, verb)(*words) or "")
    except (Unfit, sqlite3.Error, OSError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(*sys.argv[1:])
