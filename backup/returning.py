"""Brings volumes back from one snapshot. Cut anywhere, it can be run again, with the same end.

What is in a volume is touched last: everything comes into a folder of ours inside the volume first, and renames put it in its
place once all volumes are complete. An empty volume is filled as it is.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from contract import backups
from contract.documents import Restore, Return

from backup import comparing, filling
from backup.names import OURS
from backup.restic import Failed, Restic

# In our folder, in a volume that is not empty: the snapshot's files and the volume's own; the marks that the first are all
# there (it holds the snapshot's id), and that the second are all away.
_NEW, _OLD, _COMPLETE, _EMPTIED = "new", "old", "complete", "emptied"
# Bytes that a disk must have left beside what comes back.
_SPARE = 64 * 1024**2
_MB = 10**6
_SHORT = 8
Tell = Callable[[Mapping[str, Any]], None]


class Returning:
    """One run. `tell` hears how far it is."""

    def __init__(
        self,
        wanted: Restore,
        restic: Restic,
        tell: Tell,
        documents: Path = Path(backups.DOCUMENTS),
        volumes: Path = Path(backups.VOLUMES),
    ) -> None:
        self._wanted, self._restic, self._tell = wanted, restic, tell
        self._documents, self._volumes = documents, volumes
        self._id = wanted.snapshot

    def run(self) -> dict[str, Any]:
        """What came back. Raises Failed; then whatever was in the volumes is still there."""
        begun = time.monotonic()
        for one in self._wanted.returns:
            filling.tidy(self._volumes / one.volume)
        self._check_room()
        straight = [
            one for one in self._wanted.returns if not one.folder and filling.may_be_filled(self._volumes / one.volume)
        ]
        staged = [one for one in self._wanted.returns if one not in straight]
        with _told(self._tell, self._disk, self._wanted.size):
            if any(one.volume == self._wanted.databases for one in self._wanted.returns):
                self._restic.restore(self._id, [self._databases], "/")
            for one in staged:
                self._stage(one)
            filling.fill(
                self._restic, self._id, {self._volumes / one.volume: self._paths(one) for one in straight},
                verify=bool(self._wanted.proves), finish=lambda root: self._put_databases(root.name, root),
            )  # fmt: skip
        folders = {one.volume: self._put_in_place(one) for one in staged}
        told = {"snapshot": self._id, "folders": folders, "seconds": round(time.monotonic() - begun, 1)}
        return told | (self._proved() if self._wanted.proves else {})

    def _proved(self) -> dict[str, Any]:
        names = [one.volume for one in self._wanted.returns]
        found = comparing.compared(self._restic, self._id, self._volumes, names, self._wanted.databases)
        # The volume of the hub's data is no user's.
        has_user = self._wanted.proves != self._wanted.databases
        return {"compared": found, "file": comparing.to_read(self._volumes / self._wanted.proves) if has_user else {}}

    def _check_room(self) -> None:
        """Raises Failed if the disk has no room for what comes back."""
        size, room = self._wanted.size, _free_bytes(self._disk)
        if size + _SPARE > room:
            raise Failed(f"{size / _MB:.0f} MB come back, and the engine's disk has {room / _MB:.0f} MB left")

    @property
    def _disk(self) -> Path:
        """A folder on the disk that fills."""
        return next((self._volumes / one.volume for one in self._wanted.returns), self._volumes)

    @property
    def _databases(self) -> str:
        return str(self._documents / backups.DATABASES)

    def _ours(self, one: Return) -> Path:
        return self._volumes / one.volume / OURS

    def _paths(self, one: Return) -> list[str]:
        root = self._volumes / one.volume
        return [str(root / path) for path in one.paths] or [str(root)]

    def _put_databases(self, volume: str, root: Path) -> None:
        """The copies that stand for the databases become the databases, of the volume's owner."""
        copies = self._documents / backups.DATABASES
        if volume != self._wanted.databases or not copies.exists():
            return
        owner = root.stat()
        for copy in copies.iterdir():
            target = root / copy.name
            shutil.copyfile(copy, target)
            target.chmod(0o600)
            os.chown(target, owner.st_uid, owner.st_gid)

    # -- volumes that hold something ----------------------------------------------------------------------------------

    def _stage(self, one: Return) -> None:
        ours = self._ours(one)
        if _read(ours / _COMPLETE) == self._id:
            return
        if (ours / _OLD).exists():
            raise Failed(
                f"another snapshot was being put into {one.volume}, and was cut: run ./invoke restore --at"
                f" {_read(ours / _COMPLETE)[:_SHORT]} first"
            )
        filling.remove(ours)
        ours.mkdir(mode=0o700)
        self._restic.restore(self._id, self._paths(one), str(ours / _NEW))
        new = self._new(one)
        missing = [path for path in one.paths if not os.path.lexists(new / path)]
        if missing or not new.exists():
            filling.remove(ours)
            raise Failed(
                f"the snapshot {self._id[:_SHORT]} has no {missing[0] if missing else 'such volume'} in {one.volume}"
            )
        self._put_databases(one.volume, new)
        (ours / _COMPLETE).write_text(self._id)

    def _new(self, one: Return) -> Path:
        return self._ours(one) / _NEW / (self._volumes / one.volume).relative_to("/")

    def _put_in_place(self, one: Return) -> str:
        """The name of the new folder; empty where everything is in its own place."""
        root, ours, new = self._volumes / one.volume, self._ours(one), self._new(one)
        name = ""
        if one.folder:
            name = _free(root, one.folder)
            _hand_over([new, *(parent for path in one.paths for parent in _between(new, new / path))], root)
            new.rename(root / name)
        elif one.paths:
            for path in one.paths:
                self._swap(new / path, root / path, ours)
        else:
            self._swap_all(root, new, ours)
        filling.remove_ours(root)
        return name

    def _swap(self, new: Path, there: Path, ours: Path) -> None:
        if not os.path.lexists(new):
            return
        root = ours.parent
        if not there.parent.resolve().is_relative_to(root.resolve()):
            raise Failed(f"{there.parent} leads out of the volume: remove that link, then run it again")
        made = [parent for parent in _between(root, there) if not parent.exists()]
        there.parent.mkdir(parents=True, exist_ok=True)
        _hand_over(made, root)
        if os.path.lexists(there):
            (ours / _OLD).mkdir(exist_ok=True)
            there.rename(_unused(ours / _OLD))
        new.rename(there)

    def _swap_all(self, root: Path, new: Path, ours: Path) -> None:
        old = ours / _OLD
        old.mkdir(exist_ok=True)
        if not (ours / _EMPTIED).exists():
            for name in os.listdir(root):
                if name != OURS:
                    (root / name).rename(old / name)
            (ours / _EMPTIED).touch()
        for name in os.listdir(new):
            (new / name).rename(root / name)
        looks = new.stat()
        os.chown(root, looks.st_uid, looks.st_gid)
        shutil.copystat(new, root)


def chosen(snapshots: list[dict[str, Any]], wanted: str) -> dict[str, Any]:
    """The snapshot of an id, or the newest as of a time; without either the newest of all. Raises Failed."""
    if not snapshots:
        raise Failed("the repository holds no backup of this deployment")
    if not wanted:
        return snapshots[-1]
    named = [one for one in snapshots if one["id"].startswith(wanted)]
    if len(named) == 1:
        return named[0]
    before = [one for one in snapshots if datetime.fromisoformat(one["time"]) <= _moment(wanted)]
    if not before:
        raise Failed(f"no backup is as old as {wanted}: the first is of {snapshots[0]['time'][:16]}")
    return before[-1]


def _moment(text: str) -> datetime:
    """A time of the helper's zone; a day alone is its end. Raises Failed."""
    try:
        if len(text) == len("2026-01-31"):
            return datetime.combine(date.fromisoformat(text) + timedelta(days=1), datetime.min.time()).astimezone()
        return datetime.fromisoformat(text).astimezone()
    except ValueError:
        raise Failed(
            f"{text} is no snapshot that ./invoke backups lists, and no time such as 2026-01-31 or 2026-01-31T08:30"
        ) from None


def _free(root: Path, name: str) -> str:
    """The name, or one like it that nothing has."""
    number, found = 1, name
    while os.path.lexists(root / found):
        number += 1
        found = f"{name}-{number}"
    return found


def _between(folder: Path, path: Path) -> list[Path]:
    """The folders below `folder` that a path leads through, the innermost first."""
    return [one for one in path.parents if folder in one.parents]


def _hand_over(folders: Iterable[Path], root: Path) -> None:
    """Gives folders that we made the owner of the volume."""
    owner = root.stat()
    for one in folders:
        os.chown(one, owner.st_uid, owner.st_gid)
        one.chmod(0o700)


def _unused(folder: Path) -> Path:
    return folder / str(len(os.listdir(folder)))


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


@contextmanager
def _told(tell: Tell, folder: Path, total: int) -> Iterator[None]:
    """Tells each second how many bytes of the disk were taken meanwhile: restic 0.14 says nothing of how far it is."""
    ended, before = threading.Event(), _free_bytes(folder)

    def watch() -> None:
        while not ended.wait(1):
            tell({"bytes": min(total, max(0, before - _free_bytes(folder))), "total": total})

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _free_bytes(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize
