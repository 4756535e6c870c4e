"""Copies SQLite's databases while they are used, each as of one moment. The originals are opened for reading alone."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

_HEAD = b"SQLite format 3\0"
# What lies beside a database and is part of it while it is used.
BESIDE = ("-journal", "-wal", "-shm")
_LOCKED_WITHIN = 30.0


def found(folder: Path) -> Iterator[Path]:
    """The databases directly in a folder."""
    for path in sorted(folder.iterdir()):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                if file.read(len(_HEAD)) == _HEAD:
                    yield path


def copy(database: Path, target: Path) -> None:
    """A copy with all that was committed before. Raises sqlite3.Error for one that is damaged."""
    target.unlink(missing_ok=True)
    try:
        _online(database, target)
    except sqlite3.OperationalError:
        # One whose program was killed has a journal that must be rolled back, for which it is opened for writing: the copy
        # is. Nobody has it open then, or reading it would have been possible.
        beside = target.with_name(f"{target.name}.left")
        for end in ("", *BESIDE[:2]):
            part = database.with_name(database.name + end)
            if part.exists():
                shutil.copyfile(part, beside.with_name(beside.name + end))
        target.unlink(missing_ok=True)
        try:
            _online(beside, target, "rw")
        finally:
            for end in ("", *BESIDE):
                beside.with_name(beside.name + end).unlink(missing_ok=True)


def _online(database: Path, target: Path, mode: str = "ro") -> None:
    uri = f"{database.resolve().as_uri()}?mode={mode}"
    with (
        closing(sqlite3.connect(uri, uri=True, timeout=_LOCKED_WITHIN)) as source,
        closing(sqlite3.connect(target)) as copied,
    ):
        source.backup(copied)
        (whole,) = copied.execute("PRAGMA quick_check").fetchone()
        if whole != "ok":
            raise sqlite3.DatabaseError(f"{database.name} is damaged: {whole}")
