"""Takes one snapshot of all that cannot be made again, and applies what is to be kept. Users go on meanwhile.

A run that is killed leaves a mark; the next one unlocks, takes its snapshot and prunes what the killed one left.
"""

from __future__ import annotations

import errno
import json
import os
import sqlite3
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from contract import backups
from contract.documents import Backup

from backup import databases, survey
from backup.names import NAMES
from backup.restic import SOME_UNREAD, Failed, Restic, escaped
from backup.survey import Survey

# Where a run that has begun and not ended says so.
BEGUN = "begun"
_KNOWN = "repository.json"
# How a tag with a snapshot's bytes begins.
SIZE = "bytes="
Tell = Callable[[Mapping[str, Any]], None]


class Taking:
    """One run. `tell` hears how far it is. `anew`: where the repository of earlier runs is gone, another one is made."""

    def __init__(
        self,
        wanted: Backup,
        restic: Restic,
        tell: Tell,
        documents: Path = Path(backups.DOCUMENTS),
        volumes: Path = Path(backups.VOLUMES),
        *,
        anew: bool = False,
    ) -> None:
        self._wanted, self._restic, self._tell, self._anew = wanted, restic, tell, anew
        self._documents, self._volumes = documents, volumes
        self._missed: list[str] = []
        self._vanished = 0
        self._summary: Mapping[str, Any] = {}

    def run(self) -> dict[str, Any]:
        """The receipt. Raises Failed; then the receipt of the last good run stands."""
        begun = time.time()
        repository = opened(self._wanted, self._restic, self._documents, anew=self._anew)
        was_cut = self._restic.unlock() | (self._documents / BEGUN).exists()
        (self._documents / BEGUN).touch()
        seen = self._looked_at()
        self._keep_databases()
        self._keep_manifest(seen)
        self._take(seen)
        pruned = self._prune(always=was_cut)
        kept = self._restic.snapshots()
        receipt = {
            "snapshot": self._summary["snapshot_id"],
            "repository": repository,
            "at": begun,
            "seconds": round(time.time() - begun, 1),
            "volumes": len(seen),
            "files": sum(one.files for one in seen.values()),
            "bytes": sum(one.size for one in seen.values()),
            "added": self._summary["data_added"],
            "oddities": survey.together(seen.values()).oddities(),
            "missed": self._missed[: survey.MOST_NAMED],
            "vanished": self._vanished,
            "kept": len(kept),
            "left": pruned,
        }
        _write(self._documents / backups.RECEIPT, receipt)
        (self._documents / BEGUN).unlink()
        return receipt

    def _looked_at(self) -> dict[str, Survey]:
        names = sorted(os.listdir(self._volumes))
        return {name: survey.look(os.fsencode(self._volumes / name)) for name in names}

    def _keep_databases(self) -> None:
        target = self._documents / backups.DATABASES
        target.mkdir(mode=0o700, exist_ok=True)
        for old in target.iterdir():
            old.unlink()
        for database in databases.found(self._data):
            try:
                databases.copy(database, target / database.name)
            except (sqlite3.Error, OSError) as error:
                raise Failed(f"{database.name} in the volume {self._data.name}: {error}") from error

    @property
    def _data(self) -> Path:
        return self._volumes / self._wanted.parts[backups.DATA]

    def _keep_manifest(self, seen: Mapping[str, Survey]) -> None:
        """What a restoration needs to know beside the files, and the operator's files that are no longer there removed."""
        files = self._documents / backups.FILES
        for path in sorted(files.rglob("*"), reverse=True):
            if path.is_file() and str(path.relative_to(files)) not in self._wanted.files:
                path.unlink()
        manifest = {
            "deployment": self._wanted.deployment,
            "parts": self._wanted.parts,
            "user_volumes": self._wanted.user_volumes,
            "images": self._wanted.images,
            "volumes": {name: {"files": one.files, "bytes": one.size} for name, one in seen.items()},
        }
        _write(self._documents / backups.MANIFEST, manifest)

    def _take(self, seen: Mapping[str, Survey]) -> None:
        copied = [path.name for path in (self._documents / backups.DATABASES).iterdir()]
        # The copies stand for them.
        left_out = [str(self._data / f"{name}{end}") for name in copied for end in ("", *databases.BESIDE)]
        total = max(1, sum(one.size for one in seen.values()))
        order = list(seen)

        def hear(said: Mapping[str, Any]) -> None:
            if said["message_type"] == "status":
                self._tell(progress(said, order, total, str(self._volumes)))
            elif said["message_type"] == "summary":
                self._summary = said
            elif said["message_type"] == "error":
                self._hear_error(said)

        paths = [str(self._volumes), *(str(self._documents / name) for name in _BESIDE_VOLUMES)]
        ended = self._restic.run(
            "backup", "--json", "--host", self._restic.host, "--tag", f"{backups.WHOLE},{SIZE}{total}",
            *(f"--exclude={escaped(path)}" for path in left_out),
            # What a restoration that was cut left, or somebody made under its name.
            *(f"--exclude={escaped(str(self._volumes))}/*/{name}" for name in NAMES), *paths, hear=hear,
        )  # fmt: skip
        if ended.code not in (0, SOME_UNREAD) or not self._summary:
            raise Failed(f"restic backup: {ended.words}")

    def _hear_error(self, said: Mapping[str, Any]) -> None:
        error, path = said.get("error"), survey.shown(str(said.get("item", "")).encode(errors="surrogateescape"))
        number = error.get("Err") if isinstance(error, Mapping) else None
        # Somebody removed it after restic had seen its name.
        if number == errno.ENOENT or "no such file or directory" in json.dumps(error):
            self._vanished += 1
        elif path not in self._missed:
            self._missed.append(path)

    def _prune(self, *, always: bool) -> str:
        """Applies what is to be kept. Why nothing was removed, where somebody else uses the repository; else empty."""
        keep = [word for one in self._wanted.keep for word in _option(one)]
        ended = self._restic.run(
            "forget", "--json", "--host", self._restic.host, "--tag", backups.WHOLE, "--group-by", "host", *keep, "--prune"
        )  # fmt: skip
        if ended.code == 0 and always:
            ended = self._restic.run("prune")
        if ended.code != 0 and "already locked" in ended.errors:
            return "somebody else uses the repository, so nothing old was removed; the next backup does"
        if ended.code != 0:
            raise Failed(f"the snapshot is taken; restic forget: {ended.words}")
        return ""


def opened(wanted: Backup, restic: Restic, documents: Path, *, anew: bool = False) -> str:
    """The id of the repository, which is remembered by its address; `anew` forgets one that is not there. Raises Failed."""
    file = documents / _KNOWN
    known = json.loads(file.read_text()) if file.exists() else {}
    address = wanted.repository
    found = restic.opened(None if anew else known.get(address))
    _write(file, {**known, address: found})
    return found


def tagged(snapshot: Mapping[str, Any], tag: str) -> str:
    """What stands behind the beginning of a snapshot's tag; empty without such a tag."""
    return next((one.removeprefix(tag) for one in snapshot.get("tags") or () if one.startswith(tag)), "")


# In the volume of documents, in the order in which a restoration needs them.
_BESIDE_VOLUMES = (backups.MANIFEST, backups.FILES, backups.DATABASES)


def _option(kept: str) -> tuple[str, str]:
    """Restic's option for such as `7 daily`."""
    count, what = kept.split()
    return f"--keep-{what}", count


def progress(said: Mapping[str, Any], order: list[str], total: int, volumes: str) -> dict[str, Any]:
    """What of all is done: restic reads volumes in the order of their names."""
    names = [path.removeprefix(f"{volumes}/").partition("/")[0] for path in said.get("current_files") or ()]
    done = [order.index(name) for name in names if name in order]
    read = int(said.get("bytes_done", 0))
    seconds = float(said.get("seconds_elapsed", 0))
    left = round(seconds * (total - read) / read) if read and seconds >= 1 else None
    return {"volume": min(done, default=None), "of": len(order), "bytes": read, "total": total, "left": left}


def _write(path: Path, content: object) -> None:
    new = path.with_name(f"{path.name}.new")
    new.write_text(json.dumps(content, indent=1, sort_keys=True))
    os.replace(new, path)
