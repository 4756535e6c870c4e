"""Looks at all files of the volumes before they are read: how many, how large, and what will not come back as it is.

Restic leaves out sockets; it keeps no target of a symbolic link that is no UTF-8, and no holes of a sparse file.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

# Names in a receipt, of each kind; the rest is counted.
MOST_NAMED = 50
# Bytes: less than this is a file system's own way to keep a short file.
_LEAST_HOLE = 1024**2
_BLOCK = 512


@dataclass
class Survey:
    """`size` is bytes of contents, as long as the files say they are. The others are paths that somebody can read."""

    files: int = 0
    size: int = 0
    sockets: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    sparse: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)

    def oddities(self) -> dict[str, dict[str, object]]:
        """Kind -> how many there are, and the first of them."""
        kinds = {"sockets": self.sockets, "links": self.links, "sparse": self.sparse, "unread": self.unread}
        return {
            kind: {"count": len(paths), "paths": sorted(paths)[:MOST_NAMED]} for kind, paths in kinds.items() if paths
        }


def look(root: bytes) -> Survey:
    """A survey of everything below a folder; no symbolic link is followed."""
    survey = Survey()
    linked: set[tuple[int, int]] = set()
    for path, found in walk(root, survey.unread):
        survey.files += 1
        name = shown(path)
        if stat.S_ISSOCK(found.st_mode):
            survey.sockets.append(name)
        elif stat.S_ISLNK(found.st_mode):
            if not _is_text(os.readlink(path)):
                survey.links.append(name)
        elif stat.S_ISREG(found.st_mode):
            if found.st_size - found.st_blocks * _BLOCK >= _LEAST_HOLE:
                survey.sparse.append(name)
            # A file with several names is one.
            if found.st_nlink == 1 or (found.st_dev, found.st_ino) not in linked:
                survey.size += found.st_size
            if found.st_nlink > 1:
                linked.add((found.st_dev, found.st_ino))
    return survey


def together(surveys: Iterable[Survey]) -> Survey:
    """What does not come back as it is, of all of them."""
    whole = Survey()
    for one in surveys:
        whole.sockets += one.sockets
        whole.links += one.links
        whole.sparse += one.sparse
        whole.unread += one.unread
    return whole


def shown(path: bytes) -> str:
    """A path as a line of text can show it."""
    text = path.decode(errors="backslashreplace")
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def walk(root: bytes, unread: list[str]) -> Iterator[tuple[bytes, os.stat_result]]:
    """Everything below a folder, but for what `unread` gets: folders that cannot be read, and why."""
    folders = [root]
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    try:
                        found = entry.stat(follow_symlinks=False)
                    except FileNotFoundError:
                        continue
                    if stat.S_ISDIR(found.st_mode):
                        folders.append(entry.path)
                    yield entry.path, found
        except FileNotFoundError:
            continue
        except OSError as error:
            unread.append(f"{shown(folder)}: {error.strerror}")


def _is_text(target: bytes) -> bool:
    try:
        target.decode()
    except UnicodeDecodeError:
        return False
    return True
