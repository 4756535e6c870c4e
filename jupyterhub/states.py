"""`python -m states VERB`: proves that this image upgrades the hub's database, and keeps states to go back to.

A container without a network runs it. It never changes the hub's data, except to bring a state back. It may be killed at any
point and run again: what is half done has a name that the next run removes.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from contract import states
from contract.states import DATABASE

from backup import databases

# Rows of these must not become fewer by an upgrade. JupyterHub's own step to version 2, which brought roles, drops all tokens.
_COUNTED = ("users", "groups", "servers", "api_tokens")
_BEFORE_ROLES = _COUNTED[:-1]
# All that a database older than JupyterHub 0.9 brings over.
_CARRIED_OVER = _COUNTED[:1]


class Unfit(Exception):
    """The image, or the database, is not fit for an upgrade; says why."""


class Store:
    """The states in the directory `states`, of the hub whose data lie in `data`."""

    def __init__(self, data: Path, folder: Path) -> None:
        self._data, self._folder = data, folder

    def tidy(self) -> None:
        """Removes what a killed run left."""
        shutil.rmtree(self._folder / states.TRIAL, ignore_errors=True)

    def prove(self) -> str:
        """Upgrades a copy of the database by this image's own code, and says what is in it. Raises Unfit if the copy is
        damaged, or has lost rows; any error of the upgrade itself comes as it is."""
        import database

        if not _has_content(self._data / DATABASE):
            return "there is no database yet"
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
        finally:
            self.tidy()
        lost = [
            f"{table}: {before[table]} -> {after.get(table, 0)}"
            for table in before
            if after.get(table, 0) < before[table]
        ]
        if lost:
            raise Unfit(f"the upgrade loses rows: {', '.join(lost)}")
        return ", ".join(f"{count} {table}" for table, count in after.items())


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
    store = Store(Path(states.DATA), Path(states.STATES))
    store.tidy()
    try:
        print(getattr(store, verb)(*words) or "")
    except (Unfit, sqlite3.Error, OSError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(*sys.argv[1:])
