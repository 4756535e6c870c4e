"""Collects a folder of each user into archives in the checkout, which only its owner can read.

A helper for each user has this user's volume alone, read-only, and no network. No link in it is followed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from hubdeploy import files
from hubdeploy.blueprint import backup, jobs
from hubdeploy.blueprint.specs import Mount
from hubdeploy.commands.access import print_table
from hubdeploy.commands.deployment import Deployment
from hubdeploy.contract import collections
from hubdeploy.contract.servers import escaped, filled
from hubdeploy.engine import Helper
from hubdeploy.errors import DeployError, EngineError, Interrupted, indented
from hubdeploy.plan.snapshot import Snapshot

# In the checkout: a folder for each collection.
FOLDER = "collected"
_MB = 10**6


@dataclass(frozen=True)
class Wanted:
    """A folder below the one that JupyterLab shows, and the bytes that it may have."""

    folder: str
    most: int

    @classmethod
    def read(cls, folder: str, most: str) -> Wanted:
        """From what was typed; `most` in MB. Raises DeployError for what is no path below a folder, or no number."""
        parts = folder.strip("/").split("/")
        if folder.startswith("/") or not folder.isprintable() or any(one in ("", ".", "..") for one in parts):
            raise DeployError(
                wanted="a folder as people see it in JupyterLab, such as homework/week3",
                found=folder,
                fix="write it without a slash in front, and without . and ..",
            )
        if not most.isdecimal() or not 1 <= int(most) <= 2000:
            raise DeployError(
                wanted="MB for each person, from 1 to 2000", found=f"--most {most}", fix="write --most 100"
            )
        return cls("/".join(parts), int(most) * _MB)


@dataclass
class Collected:
    """`words`: user -> what they read; `missed`: user -> why nothing of theirs was collected."""

    words: dict[str, str] = field(default_factory=dict)
    missed: dict[str, str] = field(default_factory=dict)

    def refuse_missed(self) -> None:
        """Raises DeployError unless everybody who has the folder is collected."""
        failed = {name: why for name, why in self.missed.items() if why != collections.NO_FOLDER}
        if failed:
            raise DeployError(
                wanted="the folder of everybody who has it",
                found="; ".join(f"{name}: {why}" for name, why in failed.items()),
                fix="correct the cause, then run this again: it collects everybody into a new folder",
            )


def collect(deployment: Deployment, snapshot: Snapshot, who: str, members: Sequence[str], wanted: Wanted) -> Collected:
    """Prints a row for each user and where the archives are."""
    settings = deployment.settings
    now = datetime.now(ZoneInfo(settings.timezone))
    folder = files.private_folder(settings.root / FOLDER) / f"{escaped(who.removeprefix('@'))}-{now:%Y-%m-%d-%H%M%S}"
    files.private_folder(folder)
    collected, rows = Collected(), list[tuple[str, ...]]()
    try:
        for name in members:
            volume = filled(settings.user_volume, name)
            said: Mapping[str, Any] = {"refused": collections.NO_FOLDER}
            if volume in snapshot.volumes:
                said = _one(deployment, name, volume, wanted, folder)
            rows.append((name, *_cells(said)))
            if "refused" in said:
                collected.missed[name] = said["refused"]
            else:
                collected.words[name] = (
                    f"Your folder {wanted.folder} was collected at {now:%H:%M on %-d %B}: {_count(said['files'])}."
                )
    except KeyboardInterrupt:
        raise Interrupted(f"{len(collected.words)} archives are in {folder}; users were not told") from None
    finally:
        if rows:
            print_table(("user", "files", "MB", ""), rows)
    where = folder.relative_to(settings.root)
    deployment.display.line(f"{len(collected.words)} of {len(members)} collected into {where}, which only you can read")
    return collected


def _one(deployment: Deployment, name: str, volume: str, wanted: Wanted, folder: Path) -> Mapping[str, Any]:
    said = list[str]()
    ended = deployment.engine.run_helper(_helper(deployment, name, volume, wanted), said.append)
    if ended.code != 0:
        raise EngineError(
            wanted=f"the folder of {name}",
            found=f"the helper that collects ended with code {ended.code}:\n{indented(ended.errors)}",
            fix="run ./invoke up, which brings the hub's image up to date, then run this again",
        )
    for path, content in ended.files.items():
        files.replace(folder / path.rpartition("/")[2], content.reveal(), mode=0o600)
    found: dict[str, Any] = json.loads("".join(said))
    return found


def _helper(deployment: Deployment, name: str, volume: str, wanted: Wanted) -> Helper:
    settings = deployment.settings
    return Helper(
        name=f"{settings.name}-job-collect",
        image=settings.image_reference("hub"),
        command=(jobs.PYTHON, "-m", "backup.collecting", escaped(name), wanted.folder, str(wanted.most)),
        deployment=settings.name,
        mounts=(Mount(volume, collections.VOLUME, read_only=True), Mount("", collections.COLLECTED)),
        files={},
        # Users may close their folders to all others.
        capabilities=backup.READING,
        network="none",
        environment={},
        task="a collection of folders",
        gives=collections.COLLECTED,
    )


def _cells(said: Mapping[str, Any]) -> tuple[str, ...]:
    if "refused" in said:
        return ("", "", said["refused"])
    left = f"{said['left_out']} links or the like are left out" if said["left_out"] else ""
    return (str(said["files"]), f"{said['bytes'] / _MB:.1f}", left)


def _count(number: int) -> str:
    return "1 file" if number == 1 else f"{number} files"
