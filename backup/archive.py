"""Puts the volumes of a user who left into a snapshot of their own, and brings them back from it.

Backups leave such a snapshot alone until it is ARCHIVED_DAYS old. Whoever removes a volume asks first that the snapshot is there.
"""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from contract import backups
from contract.documents import Backup

from backup import filling, survey, taking, usage
from backup.restic import Failed, Restic
from backup.survey import Survey
from backup.taking import SIZE, Tell

USER = "user="


class Archive:
    """The archives of one deployment. `tell` hears how far it is."""

    def __init__(
        self,
        wanted: Backup,
        restic: Restic,
        tell: Tell,
        documents: Path = Path(backups.DOCUMENTS),
        volumes: Path = Path(backups.VOLUMES),
    ) -> None:
        self._wanted, self._restic, self._tell = wanted, restic, tell
        self._documents, self._volumes = documents, volumes

    def take(self, user: str) -> dict[str, Any]:
        """A receipt of one snapshot with all volumes that are there: what each held before it was read, as usage.of. Raises
        Failed unless all of it is in the repository."""
        taking.opened(self._wanted, self._restic, self._documents)
        begun = time.time()
        # What a run leaves that is cut short the next backup prunes.
        mark = self._documents / taking.BEGUN
        was_cut = self._restic.unlock() | mark.exists()
        mark.touch()
        paths = sorted(self._volumes.iterdir())
        held = {path.name: usage.of(os.fsencode(path)) for path in paths}
        seen = {path.name: survey.look(os.fsencode(path)) for path in paths}
        total = sum(one.size for one in seen.values())
        summary = self._read(user, paths, seen, total)
        there, here = self._in_snapshot(summary["snapshot_id"], list(held)), _in_folders(paths)
        if there != here:
            raise Failed(f"the snapshot holds {there}, and the volumes hold {here}")
        if not was_cut:
            mark.unlink()
        return {
            "snapshot": summary["snapshot_id"],
            "at": begun,
            "bytes": total,
            "added": summary["data_added"],
            "seconds": round(time.time() - begun, 1),
            "volumes": held,
            "oddities": survey.together(seen.values()).oddities(),
        }

    def _read(self, user: str, paths: list[Path], seen: Mapping[str, Survey], total: int) -> Mapping[str, Any]:
        summary: dict[str, Any] = {}
        errors: list[str] = []

        def hear(said: Mapping[str, Any]) -> None:
            if said["message_type"] == "status":
                self._tell(taking.progress(said, list(seen), max(1, total), str(self._volumes)))
            elif said["message_type"] == "summary":
                summary.update(said)
            elif said["message_type"] == "error":
                errors.append(json.dumps(said))

        ended = self._restic.run(
            "backup", "--json", "--host", self._restic.host,
            "--tag", f"{backups.ARCHIVE},{USER}{user},{SIZE}{total}", *map(str, paths), hear=hear,
        )  # fmt: skip
        if ended.code != 0 or not summary:
            raise Failed(f"restic backup: {errors[0] if errors else ended.words}")
        return summary

    def _in_snapshot(self, snapshot: str, volumes: list[str]) -> _Counted:
        """What the snapshot's own list of files holds of these volumes. Raises Failed."""
        found, below = _Counted(), tuple(f"{self._volumes / one}/" for one in volumes)
        for node in self._restic.nodes(snapshot):
            if node["path"].startswith(below):
                found.add(node.get("size", 0) if node["type"] == "file" else 0)
        return found

    def listed(self) -> list[dict[str, Any]]:
        """Every archive, the oldest first."""
        return [
            {
                "id": one["short_id"],
                "time": one["time"],
                "user": taking.tagged(one, USER),
                "bytes": int(taking.tagged(one, SIZE) or 0),
                "volumes": [path.removeprefix(f"{self._volumes}/") for path in one["paths"]],
            }
            for one in self._restic.snapshots(backups.ARCHIVE)
        ]

    def bring_back(self, user: str) -> dict[str, Any]:
        """Fills each volume that is mounted from the newest archive of it. Raises Failed, with nothing changed, where other
        files are in one."""
        newest = {volume: one["id"] for one in self.listed() if one["user"] == user for volume in one["volumes"]}
        paths = sorted(self._volumes.iterdir())
        unknown = [path.name for path in paths if path.name not in newest]
        if unknown:
            raise Failed(f"no archive of {user} holds {unknown[0]}")
        for path in paths:
            filling.tidy(path)
        missing = [path for path in paths if filling.may_be_filled(path)]
        for path in paths:
            # One that an earlier run brought back is no other one's.
            if path not in missing and self._in_snapshot(newest[path.name], [path.name]) != _in_folders([path]):
                raise Failed(f"other files are in the volume {path.name}")
        for path in missing:
            filling.fill(self._restic, newest[path.name], {path: [str(path)]}, verify=True)
        return {"volumes": {path.name: usage.of(os.fsencode(path)) for path in paths}}

    def drop_old(self) -> None:
        """Removes the archives that nobody may bring back any more. Raises Failed."""
        before = datetime.now().astimezone() - timedelta(days=backups.ARCHIVED_DAYS)
        old = [one["id"] for one in self.listed() if datetime.fromisoformat(one["time"]) < before]
        ended = self._restic.run("forget", "--prune", *old) if old else None
        # Where somebody else uses the repository, the next backup does it.
        if ended and ended.code != 0 and "already locked" not in ended.errors:
            raise Failed(f"the snapshot is taken; restic forget: {ended.words}")


@dataclass
class _Counted:
    """How many files and folders, and the length of all files."""

    files: int = 0
    bytes: int = 0

    def add(self, size: int) -> None:
        self.files += 1
        self.bytes += size

    def __str__(self) -> str:
        return f"{self.files} files of {self.bytes} bytes"


def _in_folders(folders: list[Path]) -> _Counted:
    """What a snapshot of them holds."""
    counted = _Counted()
    for folder in folders:
        for _, found in survey.walk(os.fsencode(folder), []):
            # Restic leaves sockets out.
            if not stat.S_ISSOCK(found.st_mode):
                counted.add(found.st_size if stat.S_ISREG(found.st_mode) else 0)
    return counted
