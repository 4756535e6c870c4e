"""What is remembered of a long group's green run: one committed file a group, and whether it still holds.

A record holds while the group's inputs are what they were: names, modes and contents of files, never their dates. Nothing is
run or chosen here.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from develop import checkout
from develop.groups import Group

FOLDER = Path("develop", "records")


@dataclass(frozen=True)
class Record:
    """A green run: the inputs' digest (SHA-256, hexadecimal), pytest's names of the tests, when it ended (UTC, ISO 8601,
    to the second), how long it took."""

    digest: str
    tests: tuple[str, ...]
    date: str
    seconds: int


def read(root: Path, group: Group) -> Record | None:
    """The group's last green run; None if there is none."""
    path = root / FOLDER / f"{group.name}.json"
    if not path.exists():
        return None
    kept = json.loads(path.read_text(encoding="utf-8"))
    return Record(**{**kept, "tests": tuple(kept["tests"])})


def write(root: Path, group: Group, record: Record) -> Path:
    """The record kept, instead of an older one; the path of its file."""
    path = root / FOLDER / f"{group.name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(record), indent=2) + "\n", encoding="utf-8")
    return path


def digest(root: Path, group: Group) -> str:
    """SHA-256, hexadecimal, over the names, modes and contents of the group's inputs."""
    found = hashlib.sha256()
    for name in checkout.files(root, group.inputs):
        path = root / name
        if path.is_symlink():
            mode, content = "link", os.fsencode(path.readlink())
        elif path.is_file():
            mode, content = "program" if os.access(path, os.X_OK) else "file", path.read_bytes()
        else:
            # Git still tracks what was deleted a moment ago.
            continue
        for part in (os.fsencode(name), mode.encode(), content):
            found.update(f"{len(part)}:".encode() + part)
    return found.hexdigest()
