"""An older deployment's volumes are used: users' files under their old names, and the hub's users."""

from __future__ import annotations

import asyncio
import sqlite3
import sysconfig
from contextlib import closing
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from jupyterhub import orm

from hubdeploy.blueprint import documents
from hubdeploy.contract.documents import User
from hubdeploy.contract.servers import may_name
from hubdeploy.settings import loading, readers, volume_names
from hubdeploy.settings.declarations import Settings
from tests.unit.hub import hub_image
from tests.unit.hub.test_spawner import FakeEngine

DATABASE = Path(__file__).with_name("jupyterhub_0_7.sql")


def settings(root: Path, env: str) -> Settings:
    (root / "userlist").write_text("kaben admin\nocto-cat\n")
    (root / ".env").write_text(env)
    return loading.load(root, {})


def mounted(user: str, found: Settings, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The volume that the real spawner asks for, configured by the document that these settings give."""
    contract = documents.contract(found, 2**33)
    config = hub_image.load_config(contract, folder)
    server = config.JupyterHub.spawner_class(config=config, user=SimpleNamespace(name=user, groups=[]))
    engine = FakeEngine()
    engine.made_from = contract.servers
    monkeypatch.setattr(type(server), "client", engine)
    monkeypatch.setattr(type(server), "get_env", lambda self: {})
    server._stages = []
    asyncio.run(server.create_object())
    home, mount, _ = engine.created["HostConfig"]["Mounts"]
    assert (home["Source"], home["Target"]) == ("crypticlabs-jupyterhub-home-octo-2dcat", "/home/cryptic")
    assert engine.name.startswith("crypticlabs-jupyterhub-user-"), "the container's name is the deployment's"
    return str(mount["Source"])


@pytest.mark.parametrize(
    ("env", "volume"),
    [
        ("", "crypticlabs-jupyterhub-user-octo-2dcat"),
        ("USER_VOLUME=jupyterhub-user-{raw_username}", "jupyterhub-user-octo-cat"),
        ("USER_VOLUME=jupyterhub-user-{username}", "jupyterhub-user-octo-2dcat"),
        ("USER_VOLUME=files-of-{raw_username}.lab", "files-of-octo-cat.lab"),
    ],
)
def test_a_users_volume_has_the_name_that_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, env: str, volume: str
) -> None:
    assert mounted("octo-cat", settings(tmp_path, env), tmp_path, monkeypatch) == volume


@pytest.mark.parametrize(
    "text",
    [
        "jupyterhub-user", "{username}", "user-{name}", "user-{username", "user-username}", "user-{username}-{username}",
        "/srv/{username}", "user {username}", "user-{username}\n", "user-{username}/work", "user-{{username}}", "",
    ],
)  # fmt: skip
def test_a_template_that_would_not_give_each_user_a_volume_is_refused(text: str) -> None:
    with pytest.raises(readers.Unfit):
        volume_names.template(text)


@pytest.mark.parametrize(
    ("volume", "may"),
    [("lab-user-data", True), ("lab-user-", False), ("lab-data", False), ("my-lab-user-data", False)],
)
def test_a_template_can_name_a_volume_with_its_beginning_and_end(volume: str, may: bool) -> None:
    assert may_name("lab-user-{username}", volume) is may


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    # JupyterHub upgrades a database by the command `alembic`, as the hub image has it on its PATH.
    monkeypatch.setenv("PATH", sysconfig.get_path("scripts"), prepend=":")
    return hub_image.load("database")


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A database as JupyterHub 0.7 left it, which JupyterHub cannot upgrade by itself."""
    file = tmp_path / "jupyterhub.sqlite"
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(DATABASE.read_text())
    return file


def users(file: Path) -> dict[str, bool]:
    with orm.new_session_factory(f"sqlite:///{file}")() as session:
        return {user.name: user.admin for user in session.query(orm.User)}


def test_the_users_of_a_database_that_jupyterhub_cannot_upgrade_come_over(database: ModuleType, old: Path) -> None:
    before = old.read_bytes()
    database.upgrade_if_needed(old)
    assert users(old) == {"kaben": True, "octo-cat": False}
    (copy,) = set(old.parent.glob("jupyterhub.sqlite.*"))
    assert copy.read_bytes() == before


def test_a_database_that_came_over_is_left_alone_from_then_on(database: ModuleType, old: Path) -> None:
    database.upgrade_if_needed(old)
    files = {path.name: path.read_bytes() for path in old.parent.iterdir()}
    database.upgrade_if_needed(old)
    assert {path.name: path.read_bytes() for path in old.parent.iterdir()} == files


def test_killed_before_the_new_database_is_in_place_the_old_one_is(
    database: ModuleType, old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = old.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(database.os, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            database.upgrade_if_needed(old)
    assert old.read_bytes() == before
    database.upgrade_if_needed(old)
    assert users(old) == {"kaben": True, "octo-cat": False}


def test_the_hub_of_an_older_deployment_starts_on_its_database(tmp_path: Path, database: ModuleType, old: Path) -> None:
    accounts = hub_image.load("accounts")
    stopped = lambda name: pytest.fail(f"the server of {name} is stopped")  # noqa: E731
    accounts.apply([User("kaben", admin=True)], tmp_path, stopped, hub_image.SHARED)
    assert users(old) == {"kaben": True, "octo-cat": False}, "whom an admin had added stays"


def test_a_server_that_version_2_started_goes_on_after_the_upgrade(tmp_path: Path, database: ModuleType) -> None:
    """JupyterHub's own step fails on it."""
    file = tmp_path / "jupyterhub.sqlite"
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript((DATABASE.parent / "hub" / "jupyterhub_2_3.sql").read_text())
    database.upgrade_if_needed(file)
    with orm.new_session_factory(f"sqlite:///{file}")() as session:
        (server,) = orm.User.find(session, "ada").orm_spawners.values()
        assert server.server.base_url == "/user/ada/"
        assert "access:servers!server=ada/" in server.oauth_client.allowed_scopes
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert len(files) == 2, "the database, and a copy of the old one"
    database.upgrade_if_needed(file)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == files
