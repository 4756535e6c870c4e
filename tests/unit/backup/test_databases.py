"""Copies of databases in use: all that was committed is in the copy, nothing else is, and the original is not touched."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from backup import databases


def rows(path: Path) -> list[int]:
    with closing(sqlite3.connect(path)) as read:
        return [number for (number,) in read.execute("SELECT number FROM numbers ORDER BY number")]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "data" / "hub.sqlite"
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as made, made:
        made.execute("CREATE TABLE numbers (number INTEGER, filler TEXT)")
        made.executemany("INSERT INTO numbers VALUES (?, ?)", [(one, "x" * 500) for one in range(2000)])
    return path


def test_databases_are_known_by_their_content(database: Path) -> None:
    (database.parent / "named.sqlite").write_text("no database")
    (database.parent / "link").symlink_to(database)
    assert list(databases.found(database.parent)) == [database]


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_what_is_not_committed_is_not_copied(database: Path, tmp_path: Path, mode: str) -> None:
    with closing(sqlite3.connect(database)) as writing:
        writing.execute(f"PRAGMA journal_mode={mode}")
        with writing:
            writing.execute("INSERT INTO numbers VALUES (2000, '')")
        writing.execute("INSERT INTO numbers VALUES (2001, '')")
        databases.copy(database, tmp_path / "copy")
    assert rows(tmp_path / "copy") == list(range(2001))


def test_a_killed_transaction_is_rolled_back_in_the_copy_alone(database: Path, tmp_path: Path) -> None:
    """A journal that a killed program left: a database in the middle of a transaction, as the disk has it."""
    killed = tmp_path / "killed"
    killed.mkdir()
    with closing(sqlite3.connect(database)) as writing:
        writing.execute("PRAGMA cache_size=1")
        writing.execute("UPDATE numbers SET number = number + 5000")
        for path in database.parent.iterdir():
            shutil.copy(path, killed)
    left = {path.name: path.read_bytes() for path in killed.iterdir()}
    assert "hub.sqlite-journal" in left
    # As from a volume that is mounted read-only.
    (killed / "hub.sqlite").chmod(0o444)
    databases.copy(killed / "hub.sqlite", tmp_path / "copy")
    assert rows(tmp_path / "copy") == list(range(2000))
    assert {path.name: path.read_bytes() for path in killed.iterdir()} == left
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "data", "killed"]


def test_a_damaged_database_is_not_taken_for_a_good_one(database: Path, tmp_path: Path) -> None:
    content = bytearray(database.read_bytes())
    content[8192:40000] = b"\xff" * (40000 - 8192)
    database.write_bytes(content)
    with pytest.raises(sqlite3.DatabaseError):
        databases.copy(database, tmp_path / "copy")
