"""What a backup reads of this machine, and what `up` does so that the clock can take one daily."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from hubdeploy.blueprint import backup as drawn
from hubdeploy.blueprint import draw, jobs
from hubdeploy.blueprint.components import clock
from hubdeploy.contract import backups, labels
from hubdeploy.contract.documents import Backup, Secret, from_bytes, to_bytes
from hubdeploy.engine import Engine
from hubdeploy.errors import read_file
from hubdeploy.plan import operations as op
from hubdeploy.plan.snapshot import Snapshot
from hubdeploy.plan.steps import Step
from hubdeploy.settings import env_local, kinds
from hubdeploy.settings.declarations import Settings

# A daily backup may take hours.
_TOO_OLD = timedelta(hours=36)
_PROVED_FOR = timedelta(days=30)


def documents(settings: Settings, snapshot: Snapshot, steps: Iterable[Step] = ()) -> dict[str, Secret[bytes]]:
    """Path in a backup's helper -> content, once `steps` have written their files. Needs the password."""
    files, own = _after(steps, settings, operators_files(settings)), access(settings)
    return drawn.documents(settings, files, own, running_images(snapshot), draw.kept(settings))


def operators_files(settings: Settings) -> dict[str, Secret[bytes]]:
    """The files of this machine that a backup takes, by their paths in the checkout."""
    root = settings.root
    bundles = [path for path in (settings.extra_ca_bundle, settings.acme_ca_bundle, settings.hub_logo) if path]
    wanted = [
        root / ".env", settings.local_path, root / "userlist", root / kinds.FILE, root / "jupyterhub" / "cert.conf",
        settings.certificate_path, settings.key_path, *(path for path in bundles if path.is_relative_to(root)),
    ]  # fmt: skip
    return {
        str(path.relative_to(root)): Secret(read_file(path, path.name, "a file that can be read"))
        for path in wanted
        if path.is_file()
    }


def access(settings: Settings) -> dict[str, Secret[bytes]]:
    """What restic needs for a repository elsewhere: a key of SSH, known hosts, the keys of an object store."""
    folder = settings.root / "jupyterhub" / "secrets" / "backup"
    return {
        name: Secret(read_file(folder / name, name, "a file that can be read"))
        for name in sorted(drawn.ACCESS)
        if (folder / name).is_file()
    }


def running_images(snapshot: Snapshot) -> dict[str, tuple[str, ...]]:
    """Container -> the id of its image, and what a registry calls it."""
    digests = {image.id: image.digests for image in snapshot.images.values()}
    return {
        one.name: (one.image_id, *digests.get(one.image_id, ())[:1])
        for one in (*snapshot.containers.values(), *snapshot.servers)
        if one.role not in (labels.ONE_OFF, labels.JOB)
    }


# -- what the clock's backup reads ------------------------------------------------------------------------------------


def steps(settings: Settings, snapshot: Snapshot, before: Iterable[Step], engine: Engine) -> tuple[Step, ...]:
    """The step that puts it there, where BACKUP_AT is set and it is not there, or is another. `before` are steps of the same
    plan for files of this machine."""
    if settings.backup_at is None:
        return ()
    volume = settings.backup_documents_volume
    whole = documents(settings, snapshot, before)
    files = {path.removeprefix(f"{backups.DOCUMENTS}/"): content for path, content in whole.items()}
    told = _digest(files)
    held = engine.read_volume(volume, backups.TOLD).get(backups.TOLD) if volume in snapshot.volumes else None
    if held is not None and held.reveal() == told:
        return ()
    cause = "they are new" if held is None else "settings or files that they take have changed"
    return (Step(op.VolumeHolds(volume, {**files, backups.TOLD: Secret(told)}, "what daily backups read"), cause),)


def _after(steps: Iterable[Step], settings: Settings, files: dict[str, Secret[bytes]]) -> dict[str, Secret[bytes]]:
    """The operator's files as they are after these steps."""
    for operation in (step.operation for step in steps):
        match operation:
            case op.SecretsRemembered():
                name = str(operation.path.relative_to(settings.root))
                text = files[name].reveal().decode() if name in files else ""
                values = {key: value.reveal() for key, value in operation.values.items()}
                files[name] = Secret(env_local.added(text, values, operation.reason).encode())
            case op.CertificateWritten():
                files[str(operation.certificate_path.relative_to(settings.root))] = Secret(operation.pair.certificate)
                files[str(operation.key_path.relative_to(settings.root))] = operation.pair.key
    return files


def _digest(files: Mapping[str, Secret[bytes]]) -> bytes:
    """Of all but the images that run: they change all day, and are no reason to tell anything anew."""
    wanted = dataclasses.replace(from_bytes(Backup, files[backups.WANTED].reveal()), images={})
    found = hashlib.sha256()
    for path, content in sorted({**files, backups.WANTED: Secret(to_bytes(wanted))}.items()):
        found.update(f"{path}\0{len(content.reveal())}\0".encode() + content.reveal())
    return found.hexdigest().encode()


# -- what `status` says -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class State:
    """`lines` are what an operator reads; `wrong` is why `status` ends badly, empty where it does not."""

    lines: tuple[str, ...]
    wrong: str = ""


def state(engine: Engine, settings: Settings, snapshot: Snapshot) -> State:
    """How the last backup went, when one was proved last, and whether they are safe from the loss of the engine's disk."""
    receipt, proof = (_read(engine, settings, snapshot, name) for name in (backups.RECEIPT, backups.PROOF))
    failed = _failure(engine, settings, snapshot) if settings.backup_at else ""
    last = f"the last one was begun {_moment(receipt):%Y-%m-%d %H:%M}, {receipt['kept']} are kept" if receipt else ""
    none = (
        f"the first is taken at {settings.backup_at}"
        if settings.backup_at
        else "./invoke backup takes one, BACKUP_AT daily"
    )
    lines = (
        f"backup: {failed or last or f'none yet: {none}'}",
        *(_proved(proof) if receipt or proof else ()),
        *where(settings),
    )
    if failed:
        return State(lines, f"the daily backup {failed}")
    if settings.backup_at and receipt and _age(receipt) > _TOO_OLD:
        return State(lines, f"the last backup is too old: it was begun {_moment(receipt):%Y-%m-%d %H:%M}")
    return State(lines)


def proof(engine: Engine, settings: Settings, snapshot: Snapshot) -> dict[str, str]:
    """The id of the snapshot that was proved last -> when; nothing if none was."""
    found = _read(engine, settings, snapshot, backups.PROOF)
    return {found["snapshot"]: f"{_moment(found):%Y-%m-%d %H:%M}"} if found else {}


def _proved(proof: Mapping[str, Any]) -> tuple[str, ...]:
    if not proof:
        return ("no backup was ever proved: ./invoke drill brings the newest one up beside this deployment",)
    line = f"proved last: {_moment(proof):%Y-%m-%d %H:%M}, snapshot {proof['snapshot']}, {proof['compared']['files']} files"
    again = f"warning: that was {_age(proof).days} days ago: run ./invoke drill again"
    return (line, again) if _age(proof) > _PROVED_FOR else (line,)


def where(settings: Settings) -> tuple[str, ...]:
    """What must be said of a repository on the engine itself, where backups are taken."""
    if settings.backup_repository or settings.backup_password is None:
        return ()
    return (
        "backups lie on the engine's own disk, and go with it: set BACKUP_REPOSITORY to keep them on another machine",
    )


def _read(engine: Engine, settings: Settings, snapshot: Snapshot, name: str) -> Mapping[str, Any]:
    """A receipt in the volume of documents; empty if there is none."""
    volume = settings.backup_documents_volume
    if settings.backup_password is None or volume not in snapshot.volumes:
        return {}
    found = engine.read_volume(volume, name).get(name)
    return dict(json.loads(found.reveal())) if found else {}


def _failure(engine: Engine, settings: Settings, snapshot: Snapshot) -> str:
    """What the clock says of a backup that failed; empty if the last one did not."""
    running = snapshot.containers.get(draw.container_name(settings, clock.ROLE))
    told = engine.health(running.name)[1].splitlines() if running and running.running else []
    start = f"{jobs.BACKUP}: FAILED"
    return next((line.removeprefix(f"{jobs.BACKUP}: ") for line in told if line.startswith(start)), "")


def _moment(receipt: Mapping[str, Any]) -> datetime:
    return datetime.fromtimestamp(receipt["at"]).astimezone()


def _age(receipt: Mapping[str, Any]) -> timedelta:
    return datetime.now().astimezone() - _moment(receipt)
