"""What `up` puts there for a daily backup, and what `status` says of backups."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, cast

import pytest

from hubdeploy.commands import daily
from hubdeploy.contract import labels
from hubdeploy.contract.documents import Secret
from hubdeploy.engine import Engine
from hubdeploy.plan import operations as op
from hubdeploy.plan.snapshot import ContainerState, EngineFacts, Snapshot, VolumeState
from hubdeploy.plan.steps import Step
from hubdeploy.settings.declarations import Settings, defaults

DOCUMENTS = "lab-backup-documents"


class Held:
    """An engine with one volume, and a clock that says something."""

    def __init__(self, clock: str = "", /, **files: object) -> None:
        self.files = {f"{name}.json": Secret(json.dumps(content).encode()) for name, content in files.items()}
        self.clock = clock

    def read_volume(self, volume: str, below: str) -> dict[str, Secret[bytes]]:
        assert volume == DOCUMENTS
        return {below: self.files[below]} if below in self.files else {}

    def health(self, name: str) -> tuple[bool, str]:
        return True, self.clock


def settings(root: Path, **given: object) -> Settings:
    return defaults(name="lab", backup_password=Secret("p" * 16), root=root, **given)


def snapshot(*servers: str) -> Snapshot:
    carried = {labels.ROLE: "clock"}
    clock = ContainerState("1", "lab-clock", "sha256:1", "running", "Up", carried, {})
    running = tuple(ContainerState(name, name, "sha256:2", "running", "Up", {}, {}) for name in servers)
    volumes = {DOCUMENTS: VolumeState(DOCUMENTS, {})}
    return Snapshot(EngineFacts("24.0", 2**33, None, True), {}, {}, volumes, {"lab-clock": clock}, running, {})


def steps(found: Settings, engine: Held, *before: Step, servers: tuple[str, ...] = ()) -> tuple[Step, ...]:
    return daily.steps(found, snapshot(*servers), before, cast("Engine", engine))


def done(engine: Held, found: tuple[Step, ...]) -> dict[str, Secret[bytes]]:
    (step,) = found
    assert isinstance(step.operation, op.VolumeHolds)
    engine.files |= step.operation.files
    return dict(step.operation.files)


def test_what_a_daily_backup_reads_is_put_there_once_and_anew_where_it_changed(tmp_path: Path) -> None:
    engine, found = Held(), settings(tmp_path, backup_at="03:00")
    (tmp_path / ".env").write_text("A=1")
    put = done(engine, steps(found, engine))
    assert put["files/.env"].reveal() == b"A=1"
    assert put["password"].reveal() == b"p" * 16
    assert list(put)[-1] == "told"
    # Who works at the moment is no reason.
    assert steps(found, engine, servers=("lab-user-ada",)) == ()
    (tmp_path / "userlist").write_text("ada")
    assert done(engine, steps(found, engine))["files/userlist"].reveal() == b"ada"
    assert steps(found, engine) == ()
    assert steps(settings(tmp_path), Held()) == ()


def test_files_that_the_same_plan_writes_are_taken_as_they_will_be(tmp_path: Path) -> None:
    engine, found = Held(), settings(tmp_path, backup_at="03:00")
    path = tmp_path / ".env.local"
    path.write_text("B=2\n")
    remembered = op.SecretsRemembered(path, {"BACKUP_PASSWORD": Secret("p" * 16)}, "generated")
    put = done(engine, steps(found, engine, Step(remembered, "nobody set it")))
    path.write_bytes(put["files/.env.local"].reveal())
    assert f"BACKUP_PASSWORD={'p' * 16}" in path.read_text()
    assert steps(found, engine) == ()


def receipt(days: float) -> dict[str, Any]:
    return {"at": time.time() - days * 86400, "kept": 3, "snapshot": "0123abcd", "compared": {"files": 5}}


FAILED = "login-page: comes\nbackup: FAILED since 2026-11-28 03:00: no route to host"


@pytest.mark.parametrize(
    ("at", "engine", "line", "wrong"),
    [
        (None, Held(), "none yet: ./invoke backup takes one", ""),
        ("03:00", Held(), "none yet: the first is taken at 03:00", ""),
        (None, Held(receipt=receipt(9)), "3 are kept", ""),
        ("03:00", Held(receipt=receipt(0.9)), "3 are kept", ""),
        ("03:00", Held(receipt=receipt(1.6)), "3 are kept", "too old"),
        (
            "03:00",
            Held(FAILED, receipt=receipt(0.9)),
            "FAILED since 2026-11-28 03:00: no route to host",
            "no route to host",
        ),
    ],
)
def test_status_says_how_the_last_backup_went(
    tmp_path: Path, at: str | None, engine: Held, line: str, wrong: str
) -> None:
    found = daily.state(cast("Engine", engine), settings(tmp_path, backup_at=at), snapshot())
    assert line in found.lines[0]
    assert wrong in found.wrong
    assert bool(wrong) == bool(found.wrong)
    assert "the engine's own disk" in found.lines[-1]


@pytest.mark.parametrize(
    ("proof", "said"),
    [
        (None, "no backup was ever proved"),
        (receipt(29), "proved last"),
        (receipt(31), "31 days ago: run ./invoke drill"),
    ],
)
def test_status_says_when_a_backup_was_proved(tmp_path: Path, proof: dict[str, Any] | None, said: str) -> None:
    engine = Held(receipt=receipt(1), **({"proof": proof} if proof else {}))
    found = daily.state(cast("Engine", engine), settings(tmp_path, backup_repository="sftp:a@b:/c"), snapshot())
    assert said in "\n".join(found.lines)
    assert "own disk" not in "\n".join(found.lines)
    assert not found.wrong
