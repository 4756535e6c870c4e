"""What a backup takes, and what its helper gets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hubdeploy.blueprint import backup as drawn
from hubdeploy.commands import backup, daily
from hubdeploy.contract import labels
from hubdeploy.contract.documents import Secret
from hubdeploy.plan.snapshot import EngineFacts, Snapshot, VolumeState
from hubdeploy.settings import readers
from hubdeploy.settings.declarations import Settings, defaults


def settings(root: Path = Path("/checkout"), **given: object) -> Settings:
    return defaults(name="lab", backup_password=Secret("p" * 16), root=root, **given)


def holding(*volumes: VolumeState) -> Snapshot:
    engine = EngineFacts("24.0", 2**33, None, True)
    return Snapshot(engine, {}, {}, {one.name: one for one in volumes}, {}, (), {})


def volume(name: str, deployment: str = "", *, user: bool = False, templated: bool = False) -> VolumeState:
    carried = {labels.DEPLOYMENT: deployment} if deployment else {}
    return VolumeState(name, carried | ({labels.UID: "1000"} if user else {}), templated)


def test_all_that_cannot_be_made_again_is_taken_and_no_more() -> None:
    there = holding(
        volume("lab-data", "lab"),
        volume("lab-proxy", "lab"),
        volume("lab-routes", "lab"),
        volume("lab-backup", "lab"),
        volume("lab-backup-documents", "lab"),
        volume("lab-user-ada", "lab", user=True),
        volume("lab-user-of-older-deployment", templated=True),
        volume("lab-user-of-others", "other", user=True, templated=True),
    )
    taken = backup.volumes(settings(secrets_volume="brought"), there)
    assert taken == ("brought", "lab-data", "lab-proxy", "lab-user-ada", "lab-user-of-older-deployment")


def test_a_helper_may_write_its_documents_and_the_repository_alone() -> None:
    for address, writable in ((None, {"/documents", "/repository"}), ("sftp:a@b:/c", {"/documents"})):
        mounts = drawn.mounts(settings(backup_repository=address), ("lab-data", "lab-user-ada"))
        assert {one.target for one in mounts if not one.read_only} == writable
    assert drawn.network(settings()) == "none"


def test_no_secret_is_in_what_the_helper_is_told_to_do(tmp_path: Path) -> None:
    found = drawn.documents(settings(), {".env.local": Secret(b"A=1")}, {"ssh_key": Secret(b"key")}, {}, {})
    assert found["/documents/password"].reveal() == b"p" * 16
    assert found["/documents/files/.env.local"].reveal() == b"A=1"
    assert found["/documents/access/ssh_key"].reveal() == b"key"
    wanted = found["/documents/backup.json"].reveal().decode()
    assert "pppp" not in wanted
    assert json.loads(wanted)["files"] == [".env.local"]


def test_the_operators_own_files_are_taken_if_they_are_there(tmp_path: Path) -> None:
    (tmp_path / "jupyterhub" / "secrets" / "backup").mkdir(parents=True)
    made = (".env", ".env.local", "userlist", "jupyterhub/cert.conf", "jupyterhub/secrets/lab.crt", "logo.svg")
    for name in (*made, "other", "jupyterhub/secrets/backup/ssh_key", "jupyterhub/secrets/backup/other"):
        (tmp_path / name).write_text(name)
    found = settings(tmp_path, hub_logo=tmp_path / "logo.svg", extra_ca_bundle=Path("/etc/hosts"))
    assert sorted(daily.operators_files(found)) == sorted(made)
    assert list(daily.access(found)) == ["ssh_key"]


@pytest.mark.parametrize(
    "text", ["/srv/backup", "local:/srv", "sftp:", "rest:https://user:word@host/", "ftp:x", "s3:a b"]
)
def test_an_address_that_means_nothing_in_a_helper_is_refused(text: str) -> None:
    with pytest.raises(readers.Unfit):
        readers.repository(text)


@pytest.mark.parametrize(
    "text", ["sftp:u@h:/p", "sftp://u@h:2222//p", "rest:https://h:8000/", "s3:s3.amazonaws.com/b", "b2:b:p"]
)
def test_an_address_of_another_machine_is_taken(text: str) -> None:
    assert readers.repository(text) == text


@pytest.mark.parametrize("text", ["", "7", "daily", "0 daily", "7 days", "7 daily, 8 daily", "7 daily,"])
def test_what_does_not_say_which_backups_stay_is_refused(text: str) -> None:
    with pytest.raises(readers.Unfit):
        readers.kept(text)


def test_what_stays_has_one_spelling() -> None:
    assert readers.kept("07 daily,2  yearly") == ("7 daily", "2 yearly")
