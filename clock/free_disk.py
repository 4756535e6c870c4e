"""A job: how much of the engine's disk is free. Ends with 1 where it is nearly full."""

from __future__ import annotations

import os
import sys

from contract.disk import Disk

_GB = 10**9


def judged(disk: Disk) -> tuple[bool, str]:
    """Whether enough is free, and how much that is."""
    words = f"{disk.free / _GB:.1f} of {disk.size / _GB:.1f} GB free"
    if disk.can_hold_few_files:
        return False, f"the engine's disk can hold few more files: {disk.free_files} of {disk.files}; {words}"
    if disk.is_nearly_full:
        return False, f"the engine's disk is nearly full: {words}"
    return True, words


if __name__ == "__main__":
    well, words = judged(Disk.of(os.statvfs(sys.argv[1])))
    print(words)
    sys.exit(not well)
