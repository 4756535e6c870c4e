"""`python3 -m backup.usage FOLDER`, in a helper: how much of the engine's disk each volume below the folder takes, as JSON. No
file is opened.
"""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

from backup import survey

_BLOCK = 512


def of(root: bytes) -> dict[str, float]:
    """Of everything in a folder: `bytes` on the disk, how many `files`, when the `newest` of them was written, and when
    anything `changed`; both in seconds since 1970, 0 for no file. A file with several names is one."""
    top = os.lstat(root)
    taken, files, newest, changed = top.st_blocks, 0, 0.0, top.st_ctime
    linked: set[tuple[int, int]] = set()
    for _, found in survey.walk(root, []):
        changed = max(changed, found.st_ctime)
        if not stat.S_ISDIR(found.st_mode):
            if found.st_nlink > 1:
                if (found.st_dev, found.st_ino) in linked:
                    continue
                linked.add((found.st_dev, found.st_ino))
            files += 1
            newest = max(newest, found.st_mtime)
        taken += found.st_blocks
    return {"bytes": taken * _BLOCK, "files": files, "newest": newest, "changed": changed}


def main(volumes: Path) -> dict[str, Any]:
    """`volumes`: name -> as in `of`; `free` and `size` of the disk in bytes."""
    # The container's own file system lies on the disk of the volumes.
    disk = os.statvfs("/")
    return {
        "volumes": {path.name: of(os.fsencode(path)) for path in sorted(volumes.glob("*"))},
        "free": disk.f_bavail * disk.f_frsize,
        "size": disk.f_blocks * disk.f_frsize,
    }


if __name__ == "__main__":
    json.dump(main(Path(sys.argv[1])), sys.stdout)
