"""Files of this machine: replaced as a whole or not at all, under a lock of the checkout. Knows nothing of their content."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
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
    """
    owner = (path if path.exists() else path.parent).stat()
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name + ".")
    except OSError as error:
        raise DeployError(
            wanted=f"to write {path.name}",
            found=f"its folder cannot be written ({error.strerror})",
            fix="run this as the owner of the checkout, or make the folder writable",
        ) from None
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), mode)
            if os.geteuid() == 0:
                os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
