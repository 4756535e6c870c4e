"""What the hub has of one user, and that all of it goes, in a database of JupyterHub's own."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.unit.hub import hub_image


@pytest.fixture
def removal() -> ModuleType:
    return hub_image.load("account_removal")


@pytest.fixture
def data(tmp_path: Path, removal: ModuleType) -> Path:
    """A hub's data, with ada and eve, who have tokens, a session and a password; ada has a server, and an admin added her."""
    database, orm = removal.database, removal.orm
    with database.orm.new_session_factory(database.url(tmp_path / database.FILE))() as session:
        for name in ("ada", "eve"):
            user = orm.User(name=name)
            session.add_all([user, orm.Spawner(user=user, name="")])
            session.flush()
            session.add_all(
                orm.APIToken(user=user, hashed=f"{name}{number}", prefix=f"{name}{number}", session_id=one)
                for number, one in enumerate((None, "window", "window"))
            )
        session.commit()
    store = removal.passwords.Passwords(tmp_path / removal.passwords.FILE)
    for name, account in removal.passwords.accounts(tmp_path / database.FILE).items():
        store.keep(account, "hash")
        store.invite(account, name)
    removal.accounts.Named(tmp_path / removal.accounts.RECORD).admit("ada")
    return tmp_path


def show(removal: ModuleType, data: Path, name: str) -> Any:
    return removal.main([str(data), "show", name])


WHOLE = {"account": True, "by_admin": True, "tokens": 1, "sessions": 1, "password": True, "invitation": True}
NOTHING = {"account": False, "by_admin": False}


def test_all_that_the_hub_has_of_a_user_is_shown_and_nothing_changes(removal: ModuleType, data: Path) -> None:
    before = {path.name: path.read_bytes() for path in data.iterdir()}
    assert show(removal, data, "ada") == WHOLE
    assert show(removal, data, "nobody") == NOTHING
    assert {path.name: path.read_bytes() for path in data.iterdir()} == before


def test_a_removed_user_has_nothing_and_others_have_all(removal: ModuleType, data: Path) -> None:
    assert removal.main([str(data), "remove", "ada"]) == NOTHING
    assert show(removal, data, "eve") == {**WHOLE, "by_admin": False}
    assert "ada" not in removal.accounts.Named(data / removal.accounts.RECORD).added
    audit = hub_image.load("audit")
    assert [(one.event, one.user, one.by) for one in audit.entries(data)] == [("user forgotten", "ada", "command line")]
    assert removal.main([str(data), "remove", "ada"]) == NOTHING
    assert len(list(audit.entries(data))) == 1


@pytest.mark.parametrize("step", ["passwords.Passwords.forget", "orm.User.find", "accounts.Named.dismiss"])
def test_a_removal_that_was_killed_is_completed(
    removal: ModuleType, data: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        module, kind, name = step.split(".")
        patched.setattr(getattr(getattr(removal, module), kind), name, killed)
        with pytest.raises(KeyboardInterrupt):
            removal.main([str(data), "remove", "ada"])
    assert removal.main([str(data), "remove", "ada"]) == NOTHING
    assert show(removal, data, "eve") == {**WHOLE, "by_admin": False}


def test_a_hub_that_never_started_has_nobody(removal: ModuleType, tmp_path: Path) -> None:
    assert removal.main([str(tmp_path), "remove", "ada"]) == NOTHING
    assert list(tmp_path.iterdir()) == []
