"""`backup` and `backups`: everything that cannot be made again, in a restic repository that a helper on the engine writes.

No file of a user passes this machine. What does are the operator's own files, which go into the helper's volume.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from rich.console import Console
from rich.table import Table

from hubdeploy.blueprint import backup as drawn
from hubdeploy.blueprint import draw, jobs
from hubdeploy.blueprint.specs import Mount
from hubdeploy.commands import daily
from hubdeploy.commands.deployment import Deployment
from hubdeploy.contract import backups
from hubdeploy.contract.documents import Secret
from hubdeploy.engine import Ended, Helper
from hubdeploy.errors import DeployError, EngineError, Interrupted, indented
from hubdeploy.plan import operations as op
from hubdeploy.plan.reconcile import volume_steps
from hubdeploy.plan.snapshot import Snapshot
from hubdeploy.plan.steps import Plan, Step
from hubdeploy.settings import generated
from hubdeploy.settings.declarations import Settings, keys_of_fields

# Seconds between two lines of progress, where no terminal shows it in one.
_BETWEEN = 10.0
_MB = 10**6
# A function that hears how far a program is.
Hear = Callable[[Mapping[str, Any]], None]
_KINDS = {
    "sockets": "sockets, which a program makes anew",
    "links": "symbolic links whose target is no UTF-8: it comes back changed",
    "sparse": "sparse files: they come back without holes, and need room for their whole length",
    "unread": "folders that cannot be read",
}


def take(deployment: Deployment, *, new: bool = False) -> None:
    """Takes one snapshot and prints its receipt; with `new` into another repository, where the one of earlier backups is gone.
    Raises DeployError if nothing was taken, or files are missing in it."""
    snapshot = deployment.observe(files=False)
    prepare(deployment, snapshot)
    settings = deployment.settings
    display = deployment.display
    progress = Progress(deployment)
    taken = volumes(settings, snapshot)
    ended, receipt = _run(deployment, program("take", *(["new"] if new else [])), snapshot, taken, progress)
    progress.close()
    if not receipt:
        raise EngineError(
            wanted="a snapshot of everything that cannot be made again",
            found=f"the backup ended with code {ended.code}:\n{indented(ended.errors)}",
            fix="correct what stands there, then run ./invoke backup again: it goes on from what is in the repository",
        )
    for line in _report(receipt):
        display.line(line)
    if settings.backup_repository is None:
        display.line("It lies on the engine's own disk: set BACKUP_REPOSITORY to keep backups on another machine.")
    if receipt["missed"]:
        raise DeployError(
            wanted="every file in the backup",
            found=f"the snapshot is there, and {len(receipt['missed'])} files are not in it, such as {receipt['missed'][0]}",
            fix="see why they cannot be read, then run ./invoke backup again",
        )


def show(deployment: Deployment) -> None:
    """Prints the snapshots in the repository, the oldest first."""
    settings = deployment.settings
    if settings.backup_password is None:
        deployment.display.line("there is no backup yet: ./invoke backup takes one")
        return
    snapshot = deployment.observe(files=False)
    ended, found = _run(deployment, program("list"), snapshot, (), lambda said: None)
    if not found:
        raise EngineError(
            wanted="the list of backups",
            found=f"it ended with code {ended.code}:\n{indented(ended.errors)}",
            fix="see whether the repository can be reached, and BACKUP_PASSWORD",
        )
    proof = daily.proof(deployment.engine, settings, snapshot)
    table = Table("snapshot", "taken", "MB", "proved", box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for one in found["snapshots"]:
        taken = datetime.fromisoformat(one["time"])
        table.add_row(
            one["id"], f"{taken.astimezone():%Y-%m-%d %H:%M}", f"{one['bytes'] / _MB:.0f}", proof.get(one["id"], "")
        )
    console = Console(width=None if sys.stdout.isatty() else 200, highlight=False, markup=False)
    console.print(table)
    for one in found["archives"]:
        taken = datetime.fromisoformat(one["time"])
        until = taken + timedelta(days=backups.ARCHIVED_DAYS)
        line = f"{one['id']}  {taken.astimezone():%Y-%m-%d %H:%M}  the files of {one['user']}, who was forgotten"
        console.print(f"{line}: {one['bytes'] / _MB:.0f} MB, kept until {until.astimezone():%Y-%m-%d}")


def volumes(settings: Settings, snapshot: Snapshot) -> tuple[str, ...]:
    """Every volume that a backup takes, of those that are there."""
    parts = draw.kept(settings).values()
    kept = [name for name in parts if name in snapshot.volumes or name == settings.secrets_volume]
    return tuple(sorted({*kept, *snapshot.users_volumes(settings.name)}))


def prepare(deployment: Deployment, snapshot: Snapshot) -> None:
    """Makes the volumes of backups, and a password, and says once to keep that elsewhere."""
    settings = deployment.settings
    own = {settings.backup_volume, settings.backup_documents_volume}
    for step in volume_steps((one for one in draw.volumes(settings) if one.name in own), snapshot):
        deployment.apply(step.operation)
    if settings.backup_password is not None:
        return
    password = Secret(generated.password_of_backups())
    key = keys_of_fields()["backup_password"]
    made = op.SecretsRemembered(settings.local_path, {key: password}, "generated: the password of all backups")
    deployment.show_and_do(Plan((Step(made, "nobody set it"),)))
    deployment.settings = dataclasses.replace(settings, backup_password=password)
    deployment.display.line(
        f"Keep {key} elsewhere too, such as in a password safe: without it nobody can read a backup.\n"
    )


def _run(
    deployment: Deployment, command: tuple[str, ...], snapshot: Snapshot, taken: tuple[str, ...], progress: Hear
) -> tuple[Ended, dict[str, Any]]:
    settings = deployment.settings
    files = daily.documents(settings, snapshot)
    mounts = drawn.mounts(settings, taken)
    try:
        return run_program(deployment, command, mounts, files, capabilities=drawn.READING, progress=progress)
    except KeyboardInterrupt:
        raise Interrupted("no snapshot was taken; what was read is in the repository or is read again") from None


def program(word: str, *more: str) -> tuple[str, ...]:
    """The command of one of backup/'s programs."""
    return (jobs.PYTHON, "-m", "backup", word, "json", *more)


def run_program(
    deployment: Deployment,
    command: tuple[str, ...],
    mounts: tuple[Mount, ...],
    files: Mapping[str, Secret[bytes]],
    *,
    capabilities: tuple[str, ...] = (),
    progress: Hear = lambda said: None,
    gives: str = "",
    tmpfs: tuple[str, ...] = (),
    network: str = "",
) -> tuple[Ended, dict[str, Any]]:
    """Runs one of backup/'s programs in its helper: how it ended, and what it tells at its end (nothing where it failed).
    `network` is the repository's, unless another is named."""
    settings, result = deployment.settings, dict[str, Any]()

    def hear(line: str) -> None:
        said = json.loads(line)
        if backups.PROGRESS in said:
            progress(said[backups.PROGRESS])
        else:
            result.update(said[backups.RESULT])

    helper = Helper(
        name=backups.helper_name(settings.name),
        image=settings.image_reference("hub"),
        command=command,
        deployment=settings.name,
        mounts=mounts,
        files=files,
        capabilities=capabilities,
        network=network or drawn.network(settings),
        environment={"TZ": settings.timezone},
        gives=gives,
        tmpfs=tmpfs,
        task="a backup or a restoration",
    )
    # Without the checkout's lock, which would stop every other command for hours: the helper's name is taken once.
    return deployment.engine.run_helper(helper, hear), result


class Progress:
    """How far a backup or a restoration is: one line that changes on a terminal, else a line now and then."""

    def __init__(self, deployment: Deployment) -> None:
        self._display, self._last, self._shown = deployment.display, 0.0, False

    def __call__(self, said: Mapping[str, Any]) -> None:
        now = time.monotonic()
        if not self._display.terminal and now - self._last < _BETWEEN:
            return
        self._last = now
        left = f", {_duration(said['left'])} left" if said.get("left") is not None else ""
        volume = f"volume {said['volume'] + 1} of {said['of']}, " if said.get("volume") is not None else ""
        line = f"{volume}{said['bytes'] / _MB:.0f} of {said['total'] / _MB:.0f} MB{left}"
        if self._display.terminal:
            print(f"\r\033[K{line}", end="", flush=True)
            self._shown = True
        else:
            self._display.line(line)

    def close(self) -> None:
        if self._shown:
            print("\r\033[K", end="", flush=True)


def _report(receipt: Mapping[str, Any]) -> list[str]:
    lines = [
        f"snapshot {receipt['snapshot'][:8]}: {receipt['volumes']} volumes, {receipt['files']} files,"
        f" {receipt['bytes'] / _MB:.0f} MB, {receipt['added'] / _MB:.1f} MB of it new, in {receipt['seconds']:.0f} s;"
        f" {receipt['kept']} kept"
    ]
    lines += oddities(receipt)
    if receipt["vanished"]:
        lines.append(f"  {receipt['vanished']} files were removed by their users meanwhile")
    return [*lines, *([f"  {receipt['left']}"] if receipt["left"] else [])]


def oddities(receipt: Mapping[str, Any]) -> list[str]:
    """What will not come back as it is."""
    return [
        f"  {found['count']} {_KINDS[kind]}, such as {found['paths'][0]}" for kind, found in receipt["oddities"].items()
    ]


def _duration(seconds: int) -> str:
    return f"{seconds // 60} min" if seconds >= 120 else f"{seconds} s"
