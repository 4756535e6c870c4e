"""`usage`: what takes the engine's disk, of this deployment: users' volumes, its own volumes, images, logs. It changes nothing.

A helper looks at the volumes, so a remote engine is no special case, and other deployments cost no time.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.console import Console
from rich.table import Table

from hubdeploy.blueprint import backup, jobs
from hubdeploy.blueprint.specs import Mount
from hubdeploy.commands import access
from hubdeploy.commands.deployment import Deployment
from hubdeploy.contract import backups, labels
from hubdeploy.engine import Helper
from hubdeploy.errors import EngineError, indented
from hubdeploy.plan import people
from hubdeploy.plan.snapshot import Snapshot

_MB = 10**6


@dataclass(frozen=True)
class Used:
    """What volumes hold: `bytes` on the disk, how many `files`, when the `newest` was written and when anything `changed`,
    both in seconds since 1970; 0 without a file."""

    bytes: int = 0
    files: int = 0
    newest: float = 0.0
    changed: float = 0.0

    def is_same(self, other: Used) -> bool:
        """Whether nothing changed in between. Some file systems take or give back room later."""
        return (self.files, self.newest, self.changed) == (other.files, other.newest, other.changed)

    def __add__(self, other: Used) -> Used:
        return Used(
            self.bytes + other.bytes,
            self.files + other.files,
            max(self.newest, other.newest),
            max(self.changed, other.changed),
        )


@dataclass(frozen=True)
class Disk:
    """What each volume holds, by name; bytes of the engine's disk."""

    volumes: dict[str, Used]
    free: int
    size: int

    def of(self, volumes: Iterable[str]) -> Used:
        return sum((self.volumes.get(one, Used()) for one in volumes), Used())


def show(deployment: Deployment) -> None:
    """Tables of volumes, the largest first, then a line each for images, logs and what is free."""
    snapshot = deployment.observe(files=False)
    show_volumes(deployment, snapshot)
    engine, line = deployment.engine, deployment.display.line
    images = {one.id for one in snapshot.own_images}
    together = f"{mb(engine.image_bytes(images))} MB, layers that they share counted once"
    line(f"images: {len(images)}, {together}; ./invoke status lists them")
    logs = engine.log_bytes(one.id for one in (*snapshot.components, *snapshot.servers))
    if logs is not None:
        line(f"logs of containers: {mb(logs)} MB")


def show_volumes(deployment: Deployment, snapshot: Snapshot) -> None:
    """Tables of volumes, the largest first, and what is free."""
    settings, disk = deployment.settings, look(deployment, snapshot.volumes)
    known = people.everybody(settings, snapshot, access.hear(deployment), access.listed_at(settings))
    rows = [(one.name, disk.of(one.volumes), one.missing) for one in known if one.volumes]
    rows += [(one, disk.of([one]), people.NOBODYS) for one in people.without_a_user(settings, snapshot)]
    _table("users' volumes", "user", rows)
    own = snapshot.volumes.keys() - snapshot.users_volumes(settings.name)
    scratch = {one for one in own if snapshot.volumes[one].labels.get(labels.ROLE) == labels.SCRATCH}
    rows = [(one, disk.of([one]), "") for one in own - scratch]
    rows += [("(temporary files of servers)", disk.of(scratch), "")] if scratch else []
    _table("other volumes", "volume", rows)
    deployment.display.line(f"\nfree on the engine's disk: {mb(disk.free)} of {mb(disk.size)} MB")


def look(deployment: Deployment, volumes: Iterable[str]) -> Disk:
    """Raises EngineError if nobody can look."""
    settings, said = deployment.settings, list[str]()
    helper = Helper(
        name=f"{settings.name}-job-usage",
        image=settings.image_reference("hub"),
        command=(jobs.PYTHON, "-m", "backup.usage", backups.VOLUMES),
        deployment=settings.name,
        mounts=tuple(Mount(one, f"{backups.VOLUMES}/{one}", read_only=True) for one in volumes),
        files={},
        # Users may close their folders to all others.
        capabilities=backup.READING,
        network="none",
        environment={},
        task="a look at the volumes",
    )
    ended = deployment.engine.run_helper(helper, said.append)
    if ended.code != 0:
        raise EngineError(
            wanted="how large volumes are",
            found=f"the helper that looks ended with code {ended.code}:\n{indented(ended.errors)}",
            fix="run ./invoke up, which brings the hub's image up to date, then try again",
        )
    found = json.loads("".join(said))
    return Disk({name: Used(**one) for name, one in found["volumes"].items()}, found["free"], found["size"])


def _table(title: str, first: str, rows: Sequence[tuple[str, Used, str]]) -> None:
    """The largest first, and a total."""
    if not rows:
        return
    table = Table(
        first,
        "MB",
        "files",
        "newest file",
        "",
        title=f"\n{title}",
        title_justify="left",
        box=None,
        padding=(0, 2, 0, 0),
    )
    total = ("total", sum((used for _, used, _ in rows), Used()), "")
    for name, used, note in (*sorted(rows, key=lambda one: (-one[1].bytes, one[0])), total):
        newest = f"{datetime.fromtimestamp(used.newest).astimezone():%Y-%m-%d %H:%M}" if used.newest else ""
        table.add_row(name, mb(used.bytes), str(used.files), newest, note)
    for column in table.columns[1:3]:
        column.justify = "right"
    Console(width=None if sys.stdout.isatty() else 200, highlight=False, markup=False).print(table)


def mb(number: int) -> str:
    """Bytes as tables show them."""
    return f"{number / _MB:.1f}"
