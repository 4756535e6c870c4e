"""The hub's program for states, on databases that real JupyterHubs made: users, a group, tokens, and a server that runs."""

from __future__ import annotations

import json
import sqlite3
import sysconfig
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from jupyterhub import orm

from hubdeploy.contract.documents import from_bytes, to_bytes
from hubdeploy.contract.states import DATABASE, RUNNING, TRIAL, Listed, Listing, State
from tests.unit.hub import hub_image

HERE = Path(__file__).parent
# Each made by that version's own start and its own classes.
MADE_BY = ("2_3", "3_1", "4_1", "5_5")
OLDEST = HERE.parent / "jupyterhub_0_7.sql"


@pytest.fixture
def states(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    # JupyterHub upgrades a database by the command `alembic`, as the hub image has it on its PATH.
    monkeypatch.setenv("PATH", sysconfig.get_path("scripts"), prepend=":")
    monkeypatch.delenv("SQLITE_TMPDIR", raising=False)
    # The program imports it where it needs it, as that takes long.
    hub_image.load("database")
    return hub_image.load("states")


@pytest.fixture
def store(states: ModuleType, tmp_path: Path) -> Any:
    """A store without a state, of a hub without data."""
    folders = [tmp_path / name for name in ("data", "documents", "states")]
    for folder in folders:
        folder.mkdir()
    return states.Store(*folders)


def write_database(tmp_path: Path, dump: Path) -> Path:
    file = tmp_path / "data" / DATABASE
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(dump.read_text())
    return file


@pytest.mark.parametrize("version", MADE_BY)
def test_a_copy_of_a_database_is_upgraded_and_the_database_itself_is_not(
    store: Any, tmp_path: Path, version: str
) -> None:
    file = write_database(tmp_path, HERE / f"jupyterhub_{version}.sql")
    before = file.read_bytes()
    assert store.prove() == "3 users, 1 groups, 1 servers, 4 api_tokens"
    assert file.read_bytes() == before
    assert list((tmp_path / "data").iterdir()) == [file]
    store.tidy()
    assert not list((tmp_path / "states").iterdir())


def test_the_users_of_a_database_that_jupyterhub_cannot_upgrade_are_what_counts(store: Any, tmp_path: Path) -> None:
    write_database(tmp_path, OLDEST)
    assert store.prove() == "2 users"


def test_a_hub_that_never_ran_has_nothing_to_prove(store: Any, tmp_path: Path) -> None:
    assert store.prove() == "there is no database yet"
    (tmp_path / "data" / DATABASE).touch()
    assert store.prove() == "there is no database yet"


def test_a_damaged_database_is_not_upgraded(states: ModuleType, store: Any, tmp_path: Path) -> None:
    file = write_database(tmp_path, HERE / "jupyterhub_5_5.sql")
    content = bytearray(file.read_bytes())
    # Not the first page, which says that it is a database at all.
    content[8192:] = b"\x55" * len(content[8192:])
    file.write_bytes(content)
    with pytest.raises((states.Unfit, sqlite3.DatabaseError), match=r"damaged|malformed"):
        store.prove()
    assert file.read_bytes() == content
    assert not list((tmp_path / "states").iterdir())


def test_an_upgrade_that_loses_rows_or_fails_is_refused(
    states: ModuleType, store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose_a_user(file: Path) -> None:
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.execute("delete from users where name = 'ada'")

    write_database(tmp_path, HERE / "jupyterhub_5_5.sql")
    database = hub_image.load("database")
    monkeypatch.setattr(database, "upgrade_if_needed", lose_a_user)
    with pytest.raises(states.Unfit, match="the upgrade loses rows: users: 3 -> 2"):
        store.prove()
    monkeypatch.setattr(database, "upgrade_if_needed", lambda file: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        store.prove()
    assert not list((tmp_path / "states").iterdir())


@pytest.mark.parametrize("version", MADE_BY)
def test_a_hub_on_the_lent_copy_has_all_users_and_finds_no_server_running(
    store: Any, tmp_path: Path, version: str
) -> None:
    file = write_database(tmp_path, HERE / f"jupyterhub_{version}.sql")
    before, lent = file.read_bytes(), tmp_path / "lent"
    lent.mkdir()
    store.prove()
    store.lend(str(lent))
    assert [one.name for one in lent.iterdir()] == [DATABASE]
    assert users(lent / DATABASE) == {"kaben", "ada", "octo-cat"}
    assert orm.new_session_factory(f"sqlite:///{lent / DATABASE}")().query(orm.Server).all() == []
    with closing(sqlite3.connect(lent / DATABASE)) as connection:
        assert set(connection.execute("select server_id, state from spawners")) == {(None, None)}
    assert file.read_bytes() == before
    assert not list((tmp_path / "states").iterdir())


def test_a_hub_without_a_database_lends_none(store: Any, tmp_path: Path) -> None:
    store.prove()
    store.lend(str(tmp_path))
    assert not (tmp_path / DATABASE).exists()


def test_what_a_killed_trial_left_is_removed(store: Any, tmp_path: Path) -> None:
    (tmp_path / "states" / TRIAL).mkdir()
    (tmp_path / "states" / TRIAL / DATABASE).write_bytes(b"half")
    store.tidy()
    assert not list((tmp_path / "states").iterdir())


# -- states -----------------------------------------------------------------------------------------------------------


def note(store: Any, tmp_path: Path, image: str = "sha256:old", **containers: str) -> None:
    state = State(at=1.0, image=image, containers=containers)
    (tmp_path / "states" / RUNNING).write_bytes(to_bytes(state))
    store.note()


def listed(store: Any) -> tuple[Listed, ...]:
    return from_bytes(Listing, store.listing().encode()).states


def kept_at(states: ModuleType, monkeypatch: pytest.MonkeyPatch, store: Any, at: float) -> None:
    monkeypatch.setattr(states.time, "time", lambda: at)
    store.keep()


def users(file: Path) -> set[str]:
    with closing(sqlite3.connect(file)) as connection:
        return {name for (name,) in connection.execute("select name from users")}


def add_user(file: Path, name: str) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("insert into users (name, admin, cookie_id) values (?, 0, ?)", (name, name))


def write_contract(tmp_path: Path, *names: str, **more: Any) -> None:
    contract = {"deployment": "lab", "users": [{"name": name, "admin": False, **more} for name in names]}
    (tmp_path / "documents" / "contract.json").write_text(json.dumps(contract))


def test_a_state_holds_database_documents_and_what_ran(
    states: ModuleType, store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_database(tmp_path, HERE / "jupyterhub_5_5.sql")
    (tmp_path / "documents" / "secrets.json").write_text("secret")
    (tmp_path / "documents" / "assets").mkdir()
    note(store, tmp_path, **{"lab-hub": "{}"})
    (noted,) = listed(store)
    assert (noted.is_noted, noted.state.image) == (True, "sha256:old")

    kept_at(states, monkeypatch, store, 0)
    (kept,) = listed(store)
    assert (kept.is_noted, kept.state.id, kept.state.containers) == (False, "19700101-000000", {"lab-hub": "{}"})
    folder = tmp_path / "states" / kept.state.id
    assert {one.name for one in folder.iterdir()} == {DATABASE, "secrets.json", "state.json"}
    assert users(folder / DATABASE) == {"kaben", "ada", "octo-cat"}
    assert [one.name for one in (tmp_path / "states").iterdir()] == [kept.state.id]


def test_of_an_upgrade_that_was_cut_short_the_first_record_of_each_container_stays(store: Any, tmp_path: Path) -> None:
    note(store, tmp_path, **{"lab-guard": "first", "lab-hub": "first"})
    # The guard runs the new image by now.
    note(store, tmp_path, **{"lab-hub": "second"})
    (noted,) = listed(store)
    assert noted.state.containers == {"lab-guard": "first", "lab-hub": "second"}
    note(store, tmp_path, image="sha256:other", **{"lab-hub": "third"})
    (noted,) = listed(store)
    assert noted.state.containers == {"lab-hub": "third"}


def test_an_upgrade_that_was_cut_short_after_its_state_was_kept_loses_no_container(
    states: ModuleType, store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_database(tmp_path, HERE / "jupyterhub_5_5.sql")
    note(store, tmp_path, **{"lab-guard": "{}", "lab-hub": "{}"})
    kept_at(states, monkeypatch, store, 0)
    note(store, tmp_path, **{"lab-hub": "{}"})
    kept_at(states, monkeypatch, store, 1)
    (kept,) = listed(store)
    assert kept.state.containers == {"lab-guard": "{}", "lab-hub": "{}"}


def test_five_states_are_kept_the_newest(
    states: ModuleType, store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_database(tmp_path, HERE / "jupyterhub_5_5.sql")
    for number in range(7):
        add_user(file, f"user-{number}")
        note(store, tmp_path, **{"lab-hub": "{}"})
        kept_at(states, monkeypatch, store, number)
    assert [one.state.at for one in listed(store)] == [6, 5, 4, 3, 2]


def test_a_state_that_is_kept_again_with_the_same_content_is_one(
    states: ModuleType, store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_database(tmp_path, HERE / "jupyterhub_5_5.sql")
    for at, image in enumerate(("sha256:old", "sha256:old", "sha256:new")):
        note(store, tmp_path, image=image, **{"lab-hub": "{}"})
        kept_at(states, monkeypatch, store, at)
    assert [(one.state.at, one.state.image) for one in listed(store)] == [(2, "sha256:new"), (1, "sha256:old")]


def test_a_state_that_a_killed_run_left_half_is_none(
    states: ModuleType, store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_database(tmp_path, HERE / "jupyterhub_5_5.sql")
    note(store, tmp_path, **{"lab-hub": "{}"})
    with monkeypatch.context() as patch:
        patch.setattr(states.os, "rename", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            store.keep()
    assert [one.is_noted for one in listed(store)] == [True]
    store.tidy()
    kept_at(states, monkeypatch, store, 0)
    assert [one.name for one in (tmp_path / "states").iterdir()] == ["19700101-000000"]


def test_a_state_comes_back_and_the_database_of_now_stays_beside_it(
    states: ModuleType, store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_database(tmp_path, HERE / "jupyterhub_5_5.sql")
    write_contract(tmp_path, "kaben", "ada")
    note(store, tmp_path, **{"lab-hub": "{}"})
    kept_at(states, monkeypatch, store, 0)
    add_user(file, "newcomer")
    write_contract(tmp_path, "kaben", "grace")
    journal = file.with_name(f"{DATABASE}-journal")
    journal.write_bytes(b"of the other database")

    with monkeypatch.context() as patch:
        patch.setattr(states.os, "link", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            store.bring("19700101-000000")
    assert "newcomer" in users(file), "killed in between, the database is one of the two"
    journal.write_bytes(b"of the other database")
    store.bring("19700101-000000")
    assert users(file) == {"kaben", "ada", "octo-cat"}
    assert not journal.exists()
    aside = [one for one in file.parent.glob(f"{DATABASE}.*") if not one.name.endswith("-journal")]
    assert [users(one) >= {"newcomer"} for one in aside] == [True]


def test_the_hub_that_comes_back_knows_the_password_that_the_proxy_has_now(
    states: ModuleType, store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = tmp_path / "documents" / "secrets.json"
    secrets.write_text('{"login": {"client_secret": "old"}, "proxy_api_password": "old"}')
    note(store, tmp_path, **{"lab-hub": "{}"})
    kept_at(states, monkeypatch, store, 0)
    secrets.write_text('{"login": {"client_secret": "new"}, "proxy_api_password": "new"}')
    store.bring("19700101-000000")
    assert json.loads(secrets.read_text()) == {"login": {"client_secret": "old"}, "proxy_api_password": "new"}


def test_who_has_lost_access_since_does_not_get_it_back(
    states: ModuleType, store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def named() -> list[str]:
        return [user["name"] for user in json.loads((tmp_path / "documents" / "contract.json").read_text())["users"]]

    write_contract(tmp_path, "kaben", "leaver")
    note(store, tmp_path, **{"lab-hub": "{}"})
    kept_at(states, monkeypatch, store, 0)
    write_contract(tmp_path, "kaben")
    store.bring("19700101-000000")
    assert named() == ["kaben"]
    # A later version writes users in another form, which this one may not read.
    write_contract(tmp_path, "kaben", "newcomer", quota=1)
    store.bring("19700101-000000")
    assert named() == ["kaben"]


def test_links_that_a_hub_left_in_its_volumes_lead_a_way_back_nowhere(
    states: ModuleType, store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_database(tmp_path, HERE / "jupyterhub_5_5.sql")
    write_contract(tmp_path, "kaben")
    note(store, tmp_path, **{"lab-hub": "{}"})
    kept_at(states, monkeypatch, store, 0)
    (kept,) = listed(store)
    target = tmp_path / "states" / kept.state.id / "state.json"
    before = target.read_bytes()
    (tmp_path / "documents" / "contract.json.new").symlink_to(target)
    file.with_name(f"{DATABASE}.half").symlink_to(target)
    store.bring(kept.state.id)
    assert target.read_bytes() == before
    assert users(file) == {"kaben", "ada", "octo-cat"}


def test_of_the_copies_that_jupyterhub_made_five_stay(store: Any, tmp_path: Path) -> None:
    data = tmp_path / "data"
    for day in range(1, 8):
        (data / f"{DATABASE}.2026-11-0{day}-120000").write_bytes(b"x" * 10)
    for other in (DATABASE, f"{DATABASE}-journal", "audit.sqlite", "cookie_secret"):
        (data / other).write_bytes(b"kept")
    assert store.old() == "2 20"
    store.prune()
    assert store.old() == "0 0"
    assert {one.name[-17:-7] for one in data.glob(f"{DATABASE}.*")} == {f"2026-11-0{day}" for day in range(3, 8)}
    assert len(list(data.iterdir())) == 9
