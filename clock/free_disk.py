"""A job: how much of the engine's disk is free. Ends with 1 where it is nearly full."""

from __future__ import annotations

import os
import sys

# Shares of the disk's bytes, and of the files that it can hold.
LEAST = 0.05
_GB = 10**9


def judged(found: os.statvfs_result) -> tuple[bool, str]:
    """Whether enough is free, and how much that is."""
    free, size = found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize
    words = f"{free / _GB:.1f} of {size / _GB:.1f} GB free"
    if free < LEAST * size:
        return False, f"the engine's disk is nearly full: {words}"
    # Some file systems count no files.
    if found.f_favail < LEAST * found.f_files:
        return False, f"the engine's disk can hold few more files: {found.f_favail} of {found.f_files}; {words}"
    return True, words


if __name__ == "__main__":
    well, words = judged(os.statvfs(sys.argv[1]))
    print(words)
    sys.exit(not well)
