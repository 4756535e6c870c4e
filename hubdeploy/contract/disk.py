"""How full a file system is. One measure for all who look: the clock, the filter and the hub. Pure."""

from __future__ import annotations

import os
from dataclasses import dataclass

# The share that is taken of a disk that is nearly full, of its bytes or of the files that it can hold.
NEARLY_FULL = 0.95
# Less room than this is no room: as a share, and at most so many bytes and files.
_RESERVED, _RESERVED_BYTES, _RESERVED_FILES = 0.02, 128 * 1024**2, 1000


@dataclass(frozen=True)
class Disk:
    """What is `free` for everybody and what is `taken`, in bytes; the same in files, 0 and 0 where a file system counts none.
    What only root may use is neither."""

    free: int
    taken: int
    free_files: int = 0
    taken_files: int = 0

    @classmethod
    def of(cls, found: os.statvfs_result) -> Disk:
        return cls(
            found.f_bavail * found.f_frsize,
            (found.f_blocks - found.f_bfree) * found.f_frsize,
            found.f_favail,
            found.f_files - found.f_ffree,
        )

    @property
    def size(self) -> int:
        return self.free + self.taken

    @property
    def files(self) -> int:
        return self.free_files + self.taken_files

    @property
    def can_hold_few_files(self) -> bool:
        return self.taken_files > NEARLY_FULL * self.files

    @property
    def is_nearly_full(self) -> bool:
        return self.taken > NEARLY_FULL * self.size or self.can_hold_few_files

    @property
    def reserve(self) -> tuple[int, int]:
        """Bytes and files without which the disk has no room."""
        return min(int(_RESERVED * self.size), _RESERVED_BYTES), min(int(_RESERVED * self.files), _RESERVED_FILES)

    @property
    def room(self) -> float:
        """How much of the reserve is free, as a share: the smaller one of its bytes' share and its files' share."""
        of_bytes, of_files = self.reserve
        return min(self.free / of_bytes if of_bytes else 0.0, self.free_files / of_files if of_files else 1.0)

    @property
    def has_no_room(self) -> bool:
        return self.room < 1.0
