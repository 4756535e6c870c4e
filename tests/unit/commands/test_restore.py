"""What of a snapshot comes back where: volumes under another name, paths of a home, and the operator's own files."""

from __future__ import annotations

import dataclasses
import importlib
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from hubdeploy import files
from hubdeploy.blueprint import restoring
from hubdeploy.commands import restore
from hubdeploy.commands.deployment import Deployment
from hubdeploy.contract import backups, labels
from hubdeploy.contract.documents import Restore, Secret, from_bytes
from hubdeploy.contract.servers import escaped, unescaped
from hubdeploy.engine import Ended, Helper
from hubdeploy.errors import DeployError
from hubdeploy.settings import volume_names
from hubdeploy.settings.declarations import Settings, defaults
from tests import hub_modules

with hub_modules.importable():
    program = importlib.import_module("backup.__main__")


def settings(**given: object) -> Settings:
    return defaults(name="new", backup_password=Secret("p" * 16), root=Path("/checkout"), **given)


def manifest(*users: str, **changed: Any) -> dict[str, Any]:
    """Of a deployment `old`, in which each user has a home and a notebook directory."""
    names = ["old-data", "old-proxy", *(f"old-{kind}-{user}" for user in users for kind in ("home", "user"))]
    found = {
        "deployment": "old",
        "parts": {"data": "old-data", "proxy": "old-proxy"},
        "user_volumes": ["old-home-{username}", "old-user-{username}"],
        "volumes": {name: {"files": 1, "bytes": 2} for name in names},
    }
    return found | changed


def names(found: Any) -> dict[str, str]:
    return {there: one.name for there, one in found.items()}


def test_a_deployment_comes_back_under_another_name() -> None:
    found = restoring.targets(settings(), manifest("ada", "octo-2dcat"))
    assert names(found) == {
        "old-data": "new-data",
        "old-proxy": "new-proxy",
        "old-home-ada": "new-home-ada",
        "old-user-ada": "new-user-ada",
        "old-home-octo-2dcat": "new-home-octo-2dcat",
        "old-user-octo-2dcat": "new-user-octo-2dcat",
    }
    assert found["old-user-ada"].labels[labels.DEPLOYMENT] == "new"
    assert labels.UID in found["old-user-ada"].labels


def test_volumes_follow_the_settings_that_name_them() -> None:
    chosen = settings(data_volume="chosen", user_volume="{raw_username}-files", home_volume="none")
    found = names(restoring.targets(chosen, manifest("octo-2dcat")))
    assert found == {"old-data": "chosen", "old-proxy": "new-proxy", "old-user-octo-2dcat": "octo-cat-files"}


def test_a_snapshot_without_parts_is_one_of_the_first_version() -> None:
    first = manifest("ada") | {"data_volume": "old-data"}
    del first["parts"]
    assert names(restoring.targets(settings(), first))["old-data"] == "new-data"


@pytest.mark.parametrize("user", ["ada", "octo-cat", "bob@example.org", "zoë", "-", "a--2d"])
def test_a_volumes_name_says_whose_it_is(user: str) -> None:
    assert unescaped(escaped(user)) == user
    assert volume_names.user_of("lab-{username}-home", f"lab-{escaped(user)}-home") == user
    assert volume_names.user_of("lab-{raw_username}", f"lab-{user}") == user


@pytest.mark.parametrize("volume", ["lab-Ada", "lab-a-zz", "lab-", "other-ada", "lab-a-ff"])
def test_a_name_that_no_user_can_give_is_nobodys(volume: str) -> None:
    assert volume_names.user_of("lab-{username}", volume) is None


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("work/thesis.ipynb", {"new-user-ada": ("thesis.ipynb",)}),
        ("work", {"new-user-ada": ()}),
        (".ssh", {"new-home-ada": (".ssh",)}),
        ("~/a b/c", {"new-home-ada": ("a b/c",)}),
        ("/home/cryptic/work/x", {"new-user-ada": ("x",)}),
        (".", {"new-home-ada": ()}),
    ],
)
def test_a_path_of_a_home_lies_in_one_of_its_volumes(path: str, found: dict[str, tuple[str, ...]]) -> None:
    chosen = settings(nb_user="cryptic", notebook_dir="/home/cryptic/work", home_volume="new-home-{username}")
    assert restore._paths(chosen, path, restoring.volumes_of(chosen, "ada")) == found


@pytest.mark.parametrize("path", ["../bob", "/etc/passwd", "work/../../x"])
def test_a_path_outside_a_home_is_refused(path: str) -> None:
    with pytest.raises(DeployError):
        restore._paths(settings(), path, ("new-home-ada", "new-user-ada"))


class Repository:
    """Restic on a repository with one snapshot of each of these deployments."""

    def __init__(self, *deployments: str) -> None:
        self.deployments, self.host = deployments, ""

    def snapshots(self) -> list[dict[str, Any]]:
        found = [one for one in self.deployments if self.host in ("", one)]
        return [
            {"id": f"{one}1", "short_id": one, "time": "2026-11-28T03:00:00+00:00", "hostname": one, "tags": []}
            for one in found
        ]

    def restore(self, snapshot: str, paths: list[str], target: str) -> None:
        (manifest,) = [path for path in paths if path.endswith(backups.MANIFEST)]
        Path(manifest).write_text("{}")


class AtTheEngine:
    """A deployment whose helper runs its program here."""

    def __init__(self, repository: Repository) -> None:
        self.settings, self.engine = settings(backup_repository="sftp:a@b:/c"), self
        self._repository = repository

    def observe(self, **named: object) -> Any:
        return SimpleNamespace(images=[self.settings.image_reference("hub")], volumes={})

    def run_helper(self, helper: Helper, hear: Callable[[str], None]) -> Ended:
        asked = from_bytes(Restore, helper.files[f"{backups.DOCUMENTS}/{backups.WANTED}"].reveal())
        self._repository.host = asked.deployment
        try:
            with tempfile.TemporaryDirectory() as documents:
                found = program._looked_at(asked, self._repository, Path(documents))
        except program.Failed as failed:
            return Ended(1, str(failed), {})
        hear(json.dumps({backups.RESULT: found}))
        return Ended(0, "", {})


def looked(*deployments: str, of: str = "") -> str:
    """Whose backup comes back to the deployment `new`."""
    return restore.look(cast("Deployment", AtTheEngine(Repository(*deployments))), at="", of=of).deployment


def test_of_says_whose_backup_comes_back_where_several_lie_in_one_repository() -> None:
    assert looked("chemistry", "physics", of="physics") == "physics"
    assert looked("chemistry", "new", "physics") == "new"
    # A fresh clone does not know the name yet.
    assert looked("physics") == "physics"
    with pytest.raises(DeployError, match=r"chemistry, physics[^-]*--of chemistry"):
        looked("chemistry", "physics")
    with pytest.raises(DeployError, match="holds no backup"):
        looked("chemistry", "physics", of="biology")


def test_a_file_is_kept_aside_once_however_often_a_restoration_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("DOCKER_MACHINE_NAME=fresh\n")
    brought = {".env": Secret(b"DOCKER_MACHINE_NAME=lab\n")}
    replace = files.replace

    def dying(path: Path, content: bytes, *, mode: int) -> None:
        if path.name == ".env":
            raise KeyboardInterrupt
        replace(path, content, mode=mode)

    monkeypatch.setattr(files, "replace", dying)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            restore._bring_files(tmp_path, brought)
        assert (tmp_path / ".env").read_text() == "DOCKER_MACHINE_NAME=fresh\n"
    monkeypatch.undo()
    restore._bring_files(tmp_path, brought)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        ".env": "DOCKER_MACHINE_NAME=lab\n",
        ".env.before-restore-1": "DOCKER_MACHINE_NAME=fresh\n",
    }


def test_what_this_machine_says_stays_and_the_rest_comes_back(tmp_path: Path) -> None:
    root = tmp_path / "checkout"
    root.mkdir()
    (root / ".env").write_text("DOCKER_MACHINE_NAME=fresh\n")
    (root / ".env.local").write_text(f"BACKUP_PASSWORD={'p' * 16}\nHUB_PORT=8555\n")
    (root / ".env.local").chmod(0o600)
    brought = {
        ".env": Secret(b"DOCKER_MACHINE_NAME=lab\nHUB_PORT=443\n"),
        ".env.local": Secret(
            f"USER_PASSWORD='four words are here'\nBACKUP_PASSWORD={'q' * 16}\nAPI_TOKEN=of-servers\n".encode()
        ),
        "userlist": Secret(b"ada admin\n"),
        "servers.yml": Secret(b"secrets: [API_TOKEN]\nkinds: {a: {title: A}}\n"),
        "jupyterhub/secrets/lab.key": Secret(b"key"),
    }
    before = dataclasses.replace(settings(), root=root)
    found = restore._settings_with(before, brought)
    assert (found.name, found.hub_port, [one.name for one in found.users]) == ("lab", 8555, ["ada"])
    assert found.backup_password == Secret("p" * 16)
    assert found.user_password == Secret("four words are here")
    assert found.server_secrets == {"API_TOKEN": Secret("of-servers")}
    assert not (root / "userlist").exists()

    for _ in range(2):
        changed = {path: content for path, content in brought.items() if restore._differs(root / path, content)}
        restore._bring_files(root, changed)
    assert (root / ".env").read_bytes() == brought[".env"].reveal()
    assert (root / ".env.before-restore-1").read_text() == "DOCKER_MACHINE_NAME=fresh\n"
    assert not (root / ".env.before-restore-2").exists()
    assert (root / "jupyterhub" / "secrets" / "lab.key").stat().st_mode & 0o777 == 0o600
    text = (root / ".env.local").read_text()
    assert text.startswith(f"BACKUP_PASSWORD={'p' * 16}\nHUB_PORT=8555\n")
    assert "USER_PASSWORD='four words are here'" in text
