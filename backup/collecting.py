"""`python3 -m backup.collecting NAME FOLDER MOST`, in a helper: a folder of one user's volume into an archive, NAME.tar.gz.

The files are somebody else's, and may change meanwhile. So no link is followed, also none that takes a folder's place at this
moment; what is neither file nor folder is left out; and nothing is read beyond MOST bytes. The archive holds plain files and
folders alone, below NAME, so nothing of it surprises who unpacks it.
"""

from __future__ import annotations

import json
import os
import stat
import sys
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from contract import collections

from backup import survey

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
# A pipe would keep its reader waiting.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK


class Refused(Exception):
    """Why there is no archive, in words."""


class Collecting:
    """Puts files into `tar`. `files` and `bytes` are what it took, `left_out` counts what is neither file nor folder."""

    def __init__(self, tar: tarfile.TarFile, most: int) -> None:
        self._tar, self._most = tar, most
        self.files = self.bytes = self.left_out = 0

    def take(self, folder: int, name: str, depth: int = 0) -> None:
        """Everything in an open folder, under this name. Raises Refused."""
        if depth > collections.DEEPEST:
            raise Refused(f"folders in it are more than {collections.DEEPEST} deep")
        self._tar.addfile(_entry(name, os.fstat(folder), tarfile.DIRTYPE, 0o755))
        for one in sorted(os.listdir(folder)):
            below = f"{name}/{one}"
            try:
                found = os.stat(one, dir_fd=folder, follow_symlinks=False)
                if stat.S_ISDIR(found.st_mode):
                    with _open(one, _FOLDER, folder) as inner:
                        self.take(inner, below, depth + 1)
                elif stat.S_ISREG(found.st_mode):
                    with _open(one, _FILE, folder) as file:
                        self._take_file(file, below)
                else:
                    self.left_out += 1
            except OSError as error:
                raise Refused(
                    f"{survey.shown(os.fsencode(below))} changed while it was read, or cannot be read ({error.strerror or error})"
                ) from None

    def _take_file(self, file: int, name: str) -> None:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode):
            self.left_out += 1
            return
        self.files, self.bytes = self.files + 1, self.bytes + found.st_size
        if self.bytes > self._most:
            raise Refused(f"it has more than {self._most / 10**6:.0f} MB")
        if self.files > collections.MOST_FILES:
            raise Refused(f"it has more than {collections.MOST_FILES} files")
        with os.fdopen(os.dup(file), "rb") as content:
            self._tar.addfile(_entry(name, found, tarfile.REGTYPE, 0o644), content)


def _entry(name: str, found: os.stat_result, kind: bytes, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.mtime = kind, mode, int(found.st_mtime)
    entry.size = found.st_size if kind == tarfile.REGTYPE else 0
    return entry


@contextmanager
def _open(name: str, flags: int, folder: int | None = None) -> Iterator[int]:
    handle = os.open(name, flags, dir_fd=folder)
    try:
        yield handle
    finally:
        os.close(handle)


def _inside(volume: Path, folder: str, opened: ExitStack) -> int:
    """The folder of the volume, open until `opened` ends. Raises Refused where there is none; a link is none."""
    found = opened.enter_context(_open(str(volume), _FOLDER))
    for part in folder.split("/"):
        try:
            found = opened.enter_context(_open(part, _FOLDER, found))
        except OSError:
            raise Refused(collections.NO_FOLDER) from None
    return found


def collect(volume: Path, name: str, folder: str, most: int, into: Path) -> dict[str, Any]:
    """What is in the archive, or why there is none: `files`, `bytes` and `left_out`, or `refused`."""
    archive = into / f"{name}{collections.SUFFIX}"
    try:
        with ExitStack() as opened:
            found = _inside(volume, folder, opened)
            tar = opened.enter_context(tarfile.open(archive, "w:gz", format=tarfile.PAX_FORMAT))
            collecting = Collecting(tar, most)
            collecting.take(found, f"{name}/{folder}")
    except Refused as refused:
        archive.unlink(missing_ok=True)
        return {"refused": str(refused)}
    return {"files": collecting.files, "bytes": collecting.bytes, "left_out": collecting.left_out}


if __name__ == "__main__":
    user, wanted, size = sys.argv[1:]
    print(json.dumps(collect(Path(collections.VOLUME), user, wanted, int(size), Path(collections.COLLECTED))))
