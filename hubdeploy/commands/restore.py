"""`restore`: a whole deployment, or one user's files, from a snapshot in the repository.

Files of users go from the repository into volumes by a helper on the engine, as `backup` takes them. The operator's own files
come to this machine; what they replace is kept beside them.
"""

from __future__ import annotations

import copy
import dataclasses
import os
import stat
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from hubdeploy import files
from hubdeploy.blueprint import restoring
from hubdeploy.blueprint.specs import VolumeSpec
from hubdeploy.commands import backup, daily, images
from hubdeploy.commands.deployment import Deployment
from hubdeploy.contract import backups, labels
from hubdeploy.contract.documents import Restore, Return, Secret
from hubdeploy.errors import DeployError, EngineError, InputError, Interrupted, indented
from hubdeploy.plan import operations as op
from hubdeploy.plan.snapshot import Snapshot
from hubdeploy.settings import dotenv, env_local, kinds, loading
from hubdeploy.settings.declarations import Settings, keys_of_fields

_ENV_LOCAL = ".env.local"
_MB = 10**6


@dataclass(frozen=True)
class Found:
    """A snapshot: its whole id, whose it is, when it was taken, what it says of itself, and the operator's files in it, by their
    paths in the checkout."""

    id: str
    deployment: str
    taken: datetime
    manifest: Mapping[str, Any]
    files: Mapping[str, Secret[bytes]]

    @property
    def short_id(self) -> str:
        """As `backups` lists it."""
        return self.id[:8]

    @property
    def title(self) -> str:
        return f"snapshot {self.short_id} of {self.deployment}, taken {self.taken:%Y-%m-%d %H:%M}"


def restore(deployment: Deployment, *, user: str, path: str, at: str, of: str, replace: bool) -> None:
    """One user's files if `user` is given, else all, see below."""
    if user:
        of_user(deployment, user, path=path, at=at, of=of, replace=replace)
    elif path or replace:
        raise DeployError(
            wanted="--path and --replace with --user", found="no --user", fix="add --user NAME, or leave them out"
        )
    else:
        everything(deployment, at=at, of=of)


def everything(deployment: Deployment, *, at: str, of: str) -> None:
    """Brings a whole deployment back: volumes, the hub's data, certificates, the operator's files. Raises DeployError if it
    runs, or if a volume is somebody else's; asks where volumes hold something."""
    found = look(deployment, at, of)
    settings = _settings_with(deployment.settings, found.files)
    restored = copy.copy(deployment)
    restored.settings = settings
    snapshot = restored.observe(files=False)
    targets = restoring.targets(settings, found.manifest)
    _refuse_running(settings, snapshot)
    _refuse_others(settings, snapshot, targets.values())
    changed = {path: content for path, content in found.files.items() if _differs(settings.root / path, content)}
    display = deployment.display
    display.line(f"{found.title}, comes back as {settings.name}:")
    size = sum(found.manifest["volumes"][name]["bytes"] for name in targets)
    display.line(f"  {len(targets)} volumes, {size / _MB:.0f} MB")
    for path in sorted(changed):
        display.line(f"  {path}{_what_becomes_of(settings.root / path)}")
    left_out = sorted(found.manifest["volumes"].keys() - targets.keys())
    if left_out:
        display.line(f"  not brought back, as these settings have no place for them: {', '.join(left_out)}")
    there = sorted(one.name for one in targets.values() if one.name in snapshot.volumes)
    if there:
        display.line(f"  {len(there)} of these volumes are there and get what the snapshot holds, such as {there[0]}")
        display.typed_back(settings.name, "What was written to them since the snapshot is lost.")
    _bring_files(settings.root, changed)
    bring(
        deployment,
        found,
        targets,
        tuple(Return(name) for name in targets),
        databases=data_of(found.manifest),
    )
    display.line("Everything is back. Run ./invoke up.")


def of_user(deployment: Deployment, user: str, *, path: str, at: str, of: str, replace: bool) -> None:
    """Brings a user's files back: into a folder with the snapshot's date beside the present ones, or with `replace` in their
    place. `path` is below the user's home; empty, it is all. Raises DeployError."""
    found = look(deployment, at, of)
    settings, display = deployment.settings, deployment.display
    own = restoring.volumes_of(settings, user)
    targets = {name: one for name, one in restoring.targets(settings, found.manifest).items() if one.name in own}
    paths = _paths(settings, path, own) if path else {one.name: () for one in targets.values()}
    targets = {name: one for name, one in targets.items() if one.name in paths}
    if not targets:
        raise DeployError(
            wanted=f"files of {user} in the {found.title}",
            found="it holds no volume of theirs",
            fix="write the name as the hub has it, or choose another snapshot by --at: ./invoke backups lists them",
        )
    snapshot = deployment.observe(files=False)
    _refuse_others(settings, snapshot, targets.values())
    if replace:
        if any(one.running and one.user == user for one in snapshot.servers):
            raise DeployError(
                wanted=f"{user}'s server stopped, as its files are replaced",
                found="it runs",
                fix="stop it on the hub's page Admin, or leave --replace out: the files come into a folder beside",
            )
        if any(one.name in snapshot.volumes for one in targets.values()):
            what = f"{user}'s {path}" if path else f"all files of {user}"
            display.line(f"{found.title}: {what} come back in place of the present ones.")
            display.typed_back(user, "What was changed since the snapshot is lost.")
    folder = f"restored-{found.taken:%Y-%m-%d-%H%M}"
    returns = tuple(
        Return(name, "" if replace or one.name not in snapshot.volumes else folder, paths[one.name])
        for name, one in targets.items()
    )
    told = bring(deployment, found, targets, returns)
    for name, one in targets.items():
        made = told["folders"].get(name)
        place = _place_of(settings, own, one.name)
        display.line(f"{user}'s files of {found.taken:%Y-%m-%d %H:%M} are in {place}{f'/{made}' if made else ''}")


def look(deployment: Deployment, at: str, of: str) -> Found:
    """The snapshot that is asked for. Makes the hub's image where it is missing: it holds the programs."""
    settings = deployment.settings
    if settings.backup_password is None:
        keys = keys_of_fields()
        raise DeployError(
            wanted=f"the repository's password in {keys['backup_password']}, and where it is in {keys['backup_repository']}",
            found="no password is set",
            fix=f"write both into {settings.local_path.name}: the first backup said to keep the password elsewhere",
        )
    snapshot = deployment.observe(files=False)
    if settings.backup_repository is None and settings.backup_volume not in snapshot.volumes:
        raise DeployError(
            wanted="a repository with backups",
            found=f"BACKUP_REPOSITORY is not set, and the engine has no volume {settings.backup_volume}",
            fix="set BACKUP_REPOSITORY to where the backups went",
        )
    if settings.image_reference("hub") not in snapshot.images:
        images.build(deployment, "hub")
    wanted = Restore(of or settings.name, settings.backup_repository or "", at)
    ended, found = _ask(deployment, wanted)
    if not found and not of:
        # In a fresh clone nothing knows the name yet.
        ended, found = _ask(deployment, dataclasses.replace(wanted, deployment=""))
    if not found:
        raise EngineError(
            wanted="a backup to bring back",
            found=f"the repository gives none:\n{indented(ended.errors)}",
            fix="see BACKUP_REPOSITORY, BACKUP_PASSWORD and --at; ./invoke backups lists what there is",
        )
    if "id" not in found:
        raise DeployError(
            wanted="to know whose backup comes back",
            found=f"the repository holds those of {', '.join(found['deployments'])}",
            fix=f"say which: --of {found['deployments'][0]}",
        )
    start = f"{backups.DOCUMENTS}/{backups.FILES}/"
    return Found(
        found["id"],
        found["deployment"],
        datetime.fromisoformat(found["time"]).astimezone(),
        found["manifest"],
        {path.removeprefix(start): content for path, content in ended.files.items()},
    )


def _ask(deployment: Deployment, wanted: Restore) -> tuple[Any, dict[str, Any]]:
    settings = deployment.settings
    return backup.run_program(
        deployment,
        backup.program("look"),
        restoring.mounts(settings, {}),
        restoring.documents(settings, wanted, daily.access(settings)),
        capabilities=restoring.CAPABILITIES,
        gives=f"{backups.DOCUMENTS}/{backups.FILES}",
    )


def bring(
    deployment: Deployment,
    found: Found,
    targets: Mapping[str, VolumeSpec],
    returns: tuple[Return, ...],
    databases: str = "",
    proves: str = "",
) -> dict[str, Any]:
    """Makes volumes that are missing, and has the helper fill them; what it tells. `databases` and `proves` as in Restore."""
    settings, display = deployment.settings, deployment.display
    for one in targets.values():
        deployment.apply(op.VolumeExists(one))
    progress = backup.Progress(deployment)
    sizes = found.manifest["volumes"]
    size = sum(sizes[one.volume]["bytes"] for one in returns if one.volume in sizes and not one.paths)
    wanted = Restore(found.deployment, settings.backup_repository or "", found.id, returns, databases, proves, size)
    names = {name: one.name for name, one in targets.items()}
    again = "run the same command again: what is there already is not lost, and the end is the same"
    try:
        ended, told = backup.run_program(
            deployment,
            backup.program("restore"),
            restoring.mounts(settings, names),
            restoring.documents(settings, wanted, daily.access(settings)),
            capabilities=restoring.CAPABILITIES,
            progress=progress,
            tmpfs=restoring.TMPFS,
        )
    except KeyboardInterrupt:
        raise Interrupted("some volumes are half there") from None
    finally:
        progress.close()
    if not told:
        raise EngineError(
            wanted="the files of the snapshot",
            found=f"the restoration ended with code {ended.code}:\n{indented(ended.errors)}",
            fix=again,
        )
    display.line(f"{len(returns)} volumes in {told['seconds']:.0f} s")
    return told


# -- what may come back -----------------------------------------------------------------------------------------------


def _settings_with(settings: Settings, brought: Mapping[str, Secret[bytes]]) -> Settings:
    """The settings as the checkout's files will be. Raises InputError."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in (".env", _ENV_LOCAL, "userlist", kinds.FILE):
            there = settings.root / name
            if name == _ENV_LOCAL:
                files.replace(root / name, _merged(there, brought.get(name)).encode(), mode=0o600)
            elif name in brought:
                (root / name).write_bytes(brought[name].reveal())
            elif there.exists():
                (root / name).write_bytes(there.read_bytes())
        return dataclasses.replace(loading.load(root, os.environ), root=settings.root)


def _merged(there: Path, brought: Secret[bytes] | None) -> str:
    """What .env.local becomes: what this machine says stays, and the rest comes from the snapshot."""
    text = there.read_text() if there.exists() else ""
    values, problems = dotenv.parse(brought.reveal().decode() if brought else "", source=_ENV_LOCAL, environ={})
    if problems:
        raise InputError(problems)
    return env_local.added(text, {key: entry.value for key, entry in values.items()}, "from a backup")


def _refuse_running(settings: Settings, snapshot: Snapshot) -> None:
    own = [one for one in snapshot.containers.values() if one.labels.get(labels.DEPLOYMENT) == settings.name]
    running = sorted(one.name for one in (*own, *snapshot.servers) if one.running)
    if running:
        raise DeployError(
            wanted=f"{settings.name} stopped, as all its data is replaced",
            found=f"{len(running)} of its containers run, such as {running[0]}",
            fix="run ./invoke down --servers; or bring one user's files back: ./invoke restore --user NAME",
        )


def _refuse_others(settings: Settings, snapshot: Snapshot, wanted: Iterable[VolumeSpec]) -> None:
    for one in wanted:
        there = snapshot.volumes.get(one.name)
        owner = there.labels.get(labels.DEPLOYMENT, settings.name) if there else settings.name
        if owner != settings.name:
            raise DeployError(
                wanted=f"volumes of {settings.name}",
                found=f"the volume {one.name} belongs to the deployment {owner}",
                fix=f"give {one.key} another value in {settings.local_path.name}, which wins over the snapshot's files",
            )


def data_of(manifest: Mapping[str, Any]) -> str:
    """The volume with the hub's databases, by its name in the snapshot."""
    return str(manifest["parts"][backups.DATA] if "parts" in manifest else manifest["data_volume"])


def _paths(settings: Settings, path: str, own: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """The volume that holds a path of a user's home -> the path in it; none where it is the volume's root."""
    root, notebooks = PurePosixPath(settings.home), PurePosixPath(settings.notebook_dir)
    full = root / path.removeprefix("~/")
    if ".." in full.parts or not full.is_relative_to(root):
        raise DeployError(wanted=f"a path below {root}", found=path, fix="write such as work/notes.ipynb")
    in_notebooks = full.is_relative_to(notebooks)
    inside = str(full.relative_to(notebooks if in_notebooks else root))
    volume = own[-1] if in_notebooks else own[0] if len(own) > 1 else ""
    if not volume:
        raise DeployError(
            wanted=f"a path below {notebooks}, as nothing else of a home is kept", found=path, fix="write such a path"
        )
    return {volume: () if inside == "." else (inside,)}


def _place_of(settings: Settings, own: tuple[str, ...], volume: str) -> str:
    return settings.notebook_dir if volume == own[-1] else settings.home


# -- the operator's files ---------------------------------------------------------------------------------------------


def _differs(path: Path, content: Secret[bytes]) -> bool:
    if path.name == _ENV_LOCAL:
        return not path.exists() or _merged(path, content) != path.read_text()
    return not path.exists() or path.read_bytes() != content.reveal()


def _what_becomes_of(path: Path) -> str:
    if not path.exists():
        return ""
    return (
        ": gets what it does not say yet"
        if path.name == _ENV_LOCAL
        else f": the present one becomes {_aside(path).name}"
    )


def _aside(path: Path) -> Path:
    """Where the present file is kept: a name that nothing has, or that a run which was killed has given to the same content."""
    number = 1
    while (found := path.with_name(f"{path.name}.before-restore-{number}")).exists() and not _is_same(found, path):
        number += 1
    return found


def _is_same(one: Path, other: Path) -> bool:
    return one.read_bytes() == other.read_bytes()


def _bring_files(root: Path, brought: Mapping[str, Secret[bytes]]) -> None:
    for name, content in sorted(brought.items()):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.name == _ENV_LOCAL:
            files.replace(path, _merged(path, content).encode(), mode=0o600)
            continue
        if path.exists():
            # A copy: a run that is killed here must find its settings.
            files.replace(_aside(path), path.read_bytes(), mode=stat.S_IMODE(path.stat().st_mode))
        is_secret = "secrets" in path.relative_to(root).parts
        files.replace(path, content.reveal(), mode=0o600 if is_secret else 0o644)
