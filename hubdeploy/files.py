"""Files of this machine: replaced as a whole or not at all, under a lock of the checkout. Knows nothing of their content."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hubdeploy.errors import DeployError


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lets one run of a checkout at a time inside. Two that read, add and replace at once would lose an addition, and each
    would remove the other's throw-away container as a leftover."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def replace(path: Path, content: bytes, *, mode: int) -> None:
    """Put `content` at `path` as a whole or not at all. Owner and group are the old file's, or the folder's: a
    checkout's owner can read what root wrote. Raises DeployError if the folder cannot be written.

    The new file has one name until it is whole, so the next run takes the place of one that was killed.
    """
    owner = (path if path.exists() else path.parent).stat()
    new = path.with_name(f"{path.name}.new")
    try:
        handle = _taken(new)
    except OSError as error:
        raise DeployError(
            wanted=f"to write {path.name}",
            found=f"its folder cannot be written ({error.strerror})",
            fix="run this as the owner of the checkout, or make the folder writable",
        ) from None
    with os.fdopen(handle, "wb") as file:
        try:
            os.fchmod(handle, mode)
            if os.geteuid() == 0:
                os.fchown(handle, owner.st_uid, owner.st_gid)
            file.truncate()
            file.write(content)
            file.flush()
            os.fsync(handle)
            os.replace(new, path)
        except BaseException:
            new.unlink()
            raise


def private_folder(path: Path) -> Path:
    """The folder, which is made if need be: only its owner can open it, who is the owner of the folder around it."""
    if not path.is_dir():
        path.mkdir(mode=0o700)
        if os.geteuid() == 0:
            around = path.parent.stat()
            os.chown(path, around.st_uid, around.st_gid)
    return path


def _taken(new: Path) -> int:
    """The handle of a file that no other run writes meanwhile."""
    while True:
        handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        fcntl.flock(handle, fcntl.LOCK_EX)
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(handle), os.lstat(new)):
                return handle
        # Another run has put it in its place.
        os.close(handle)
