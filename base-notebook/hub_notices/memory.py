"""How much of its memory limit a container uses, and how many of its processes were ended as the limit was reached.

It reads the files of control groups, version 2 or 1. It starts no program, keeps nothing, and needs no library.
"""

from dataclasses import dataclass
from pathlib import Path

CONTROL_GROUPS = Path("/sys/fs/cgroup")
# Version 1 has no word for "no limit", but a number near the largest one.
_NO_LIMIT = 2**60


@dataclass(frozen=True)
class Memory:
    """`used` and `limit` are bytes, and `used` leaves out the cache that can be dropped, as `docker stats` does. `kills`
    counts the processes that were ended for want of memory since the container's start."""

    used: int
    limit: int
    kills: int


@dataclass(frozen=True)
class _Files:
    """Where a version of control groups has what we need; `cache` is a line of `stat`."""

    used: str
    limit: str
    stat: str
    cache: str
    events: str


_VERSIONS = (
    _Files("memory.current", "memory.max", "memory.stat", "inactive_file", "memory.events"),
    _Files(
        "memory/memory.usage_in_bytes",
        "memory/memory.limit_in_bytes",
        "memory/memory.stat",
        "total_inactive_file",
        "memory/memory.oom_control",
    ),
)


def read(root: Path = CONTROL_GROUPS) -> Memory | None:
    """This container's memory; None if it has no limit, or the files cannot be read."""
    for files in _VERSIONS:
        try:
            limit = (root / files.limit).read_text().strip()
            if limit == "max" or int(limit) >= _NO_LIMIT:
                return None
            used = int((root / files.used).read_text())
            used -= _number(root / files.stat, files.cache)
            return Memory(max(used, 0), int(limit), _number(root / files.events, "oom_kill"))
        except (OSError, ValueError):
            continue
    return None


def _number(path: Path, name: str) -> int:
    """The number in the line `name NUMBER`; 0 without such a line (kernels before 4.13 count no kills)."""
    for line in path.read_text().splitlines():
        key, _, value = line.partition(" ")
        if key == name:
            return int(value)
    return 0


def in_words(size: int) -> str:
    """Bytes as a person reads them: `256 MiB`, `1.5 GiB`."""
    mebibytes = size / 1024**2
    return f"{mebibytes:.0f} MiB" if mebibytes < 1024 else f"{mebibytes / 1024:.1f} GiB".replace(".0 ", " ")
