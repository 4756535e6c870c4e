"""Compares volumes that came back with what the snapshot says of each file: kind, size, owner, mode, time. Contents are compared
by restic itself, which reads every file again.
"""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3
import stat
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

from backup import databases
from backup.names import NAMES
from backup.restic import Restic

# Differences that are named; the others are counted.
MOST_NAMED = 20
# Bytes of a file that a kernel reads.
_MOST_READ = 10 * 10**6
# What Go calls these bits of a mode.
_BITS = {1 << 23: stat.S_ISUID, 1 << 22: stat.S_ISGID, 1 << 20: stat.S_ISVTX}
_UNREADABLE = "\ufffd"


def compared(restic: Restic, snapshot: str, volumes: Path, names: list[str], data: str) -> dict[str, Any]:
    """How many files there are, their bytes, and what differs. The databases in the volume `data` are looked at alone."""
    expected = {path: node for path, node in _listed(restic, snapshot) if _volume(path, volumes) in names}
    differences = [f"{path}: {what}" for path, node in expected.items() if (what := _difference(path, node))]
    there = {str(path) for name in names for path in _below(volumes / name)}
    left_out = {str(path) for path in databases.found(volumes / data)} if data else set()
    differences += [f"{path}: is not in the snapshot" for path in sorted(there - expected.keys() - left_out)]
    differences += [f"{path}: {what}" for path in sorted(left_out) if (what := _damage(Path(path)))]
    sizes = [node.get("size", 0) for node in expected.values() if node["type"] == "file"]
    return {
        "files": len(expected),
        "bytes": sum(sizes),
        "differences": differences[:MOST_NAMED],
        "different": len(differences),
    }


def to_read(volume: Path) -> dict[str, str]:
    """A file of a volume that its user reads, by its path in it, and its SHA-256; nothing where there is none."""
    owner = volume.stat().st_uid
    for path in sorted(_below(volume)):
        found = path.lstat()
        if (
            stat.S_ISREG(found.st_mode)
            and found.st_uid == owner
            and 0 < found.st_size < _MOST_READ
            and found.st_mode & 0o400
        ):
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            return {"path": str(path.relative_to(volume)), "sha256": digest}
    return {}


def _listed(restic: Restic, snapshot: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each file of a snapshot. A name that is no UTF-8 cannot be told, so it is left out."""
    for node in restic.nodes(snapshot):
        if _UNREADABLE not in node["path"]:
            yield node["path"], node


def _volume(path: str, volumes: Path) -> str:
    inside = path.removeprefix(f"{volumes}/")
    return "" if inside == path or "/" not in inside else inside.partition("/")[0]


def _below(volume: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(volume):
        for name in (*folders, *names):
            if not _is_odd(name) and name not in NAMES:
                yield Path(folder, name)


def _is_odd(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return True
    return _UNREADABLE in name


def _difference(path: str, node: Mapping[str, Any]) -> str:
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return "did not come back"
    mode = node.get("mode", 0) & 0o777 | sum(bit for go, bit in _BITS.items() if node.get("mode", 0) & go)
    pairs = {
        "owner": (f"{found.st_uid}:{found.st_gid}", f"{node['uid']}:{node['gid']}"),
        "mode": (
            oct(stat.S_IMODE(found.st_mode)),
            oct(stat.S_IMODE(found.st_mode) if node["type"] == "symlink" else mode),
        ),
        "time": (found.st_mtime_ns, _nanoseconds(node["mtime"])),
    }
    if node["type"] == "file":
        pairs["size"] = (found.st_size, node.get("size", 0))
    return ", ".join(f"{what} {is_now} instead of {was}" for what, (is_now, was) in pairs.items() if is_now != was)


def _nanoseconds(text: str) -> int:
    """Of a time as Go writes it, such as 2026-11-28T10:56:10.201288368+01:00."""
    found = re.fullmatch(r"(.{19})(?:\.(\d+))?(.*)", text)
    assert found is not None
    whole = datetime.fromisoformat(f"{found[1]}{found[3].replace('Z', '+00:00')}")
    return int(whole.timestamp()) * 10**9 + int((found[2] or "0").ljust(9, "0"))


def _damage(database: Path) -> str:
    try:
        with closing(sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True)) as opened:
            (words,) = opened.execute("PRAGMA integrity_check").fetchone()
    except sqlite3.Error as error:
        return f"is damaged: {error}"
    return "" if words == "ok" else f"is damaged: {words}"
