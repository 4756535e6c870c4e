"""The hub's program for states, on databases that real JupyterHubs made: users, a group, tokens, and a server that runs."""

from __future__ import annotations

import sqlite3
import sysconfig
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from hubdeploy.contract.states import DATABASE, TRIAL
from tests.unit.hub import hub_image

HERE = Path(__file__).parent
# Each made by that version's own start and its own classes.
MADE_BY = ("2_3", "3_1", "4_1", "5_5")
OLDEST = HERE.parent / "jupyterhub_0_7.sql"


@pytest.fixture
def states(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    # JupyterHub upgrades a database by the command `alembic`, as the hub image has it on its PATH.
    monkeypatch.setenv("PATH", sysconfig.get_path("scripts"), prepend=":")
    monkeypatch.delenv("SQLITE_TMPDIR", raising=False)
    # The program imports it where it needs it, as that takes long.
    hub_image.load("database")
    return hub_image.load("states")


@pytest.fixture
def store(states: ModuleType, tmp_path: Path) -> Any:
    """A store without a state, of a hub without data."""
    for folder in ("data", "states"):
        (tmp_path / folder).mkdir()
    return states.Store(tmp_path / "data", tmp_path / "states")


def write_database(tmp_path: Path, dump: Path) -> Path:
    file = tmp_path / "data" / DATABASE
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(dump.read_text())
    return file


@pytest.mark.parametrize("version", MADE_BY)
def test_a_copy_of_a_database_is_upgraded_and_the_database_itself_is_not(
    store: Any, tmp_path: Path, version: str
) -> None:
    file = write_database(tmp_path, HERE / f"jupyterhub_{version}.sql")
    before = file.read_bytes()
    assert store.prove() == "3 users, 1 groups, 1 servers, 4 api_tokens"
    assert file.read_bytes() == before
    assert list((tmp_path / "data").iterdir()) == [file]
    assert not list((tmp_path / "states").iterdir())


def test_the_users_of_a_database_that_jupyterhub_cannot_upgrade_are_what_counts(store: Any, tmp_path: Path) -> None:
    write_database(tmp_path, OLDEST)
    assert store.prove() == "2 users"


def test_a_hub_that_never_ran_has_nothing_to_prove(store: Any, tmp_path: Path) -> None:
    assert store.prove() == "there is no database yet"
    (tmp_path / "data" / DATABASE).touch()
    assert store.prove() == "there is no database yet"


def test_a_damaged_database_is_not_upgraded(states: ModuleType, store: Any, tmp_path: Path) -> None:
    file = write_database(tmp_path, HERE / "jupyterhub_5_5.sql")
    content = bytearray(file.read_bytes())
    # Not the first page, which says that it is a database at all.
    content[8192:] = b"\x55" * len(content[8192:])
    file.write_bytes(content)
    with pytest.raises((states.Unfit, sqlite3.DatabaseError), match=r"damaged|malformed"):
        store.prove()
    assert file.read_bytes() == content
    assert not list((tmp_path / "states").iterdir())


def test_an_upgrade_that_loses_rows_or_fails_is_refused(
    states: ModuleType, store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose_a_user(file: Path) -> None:
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.execute("delete from users where name = 'ada'")

    write_database(tmp_path, HERE / "jupyterhub_5_5.sql")
    database = hub_image.load("database")
    monkeypatch.setattr(database, "upgrade_if_needed", lose_a_user)
    with pytest.raises(states.Unfit, match="the upgrade loses rows: users: 3 -> 2"):
        store.prove()
    monkeypatch.setattr(database, "upgrade_if_needed", lambda file: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        store.prove()
    assert not list((tmp_path / "states").iterdir())


def test_what_a_killed_trial_left_is_removed(store: Any, tmp_path: Path) -> None:
    (tmp_path / "states" / TRIAL).mkdir()
    (tmp_path / "states" / TRIAL / DATABASE).write_bytes(b"half")
    store.tidy()
    assert not list((tmp_path / "states").iterdir())
