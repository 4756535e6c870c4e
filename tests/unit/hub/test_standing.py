"""What the hub has on record of its users, in a database of JupyterHub's own."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.unit.hub import hub_image


def said(folder: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    hub_image.load("standing").main(str(folder))
    return json.loads(capsys.readouterr().out)


def test_accounts_are_told_with_when_each_was_active_last(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    database = hub_image.load("database")
    with database.orm.new_session_factory(database.url(tmp_path / database.FILE))() as session:
        ann = database.orm.User(name="ann", last_activity=datetime(2026, 11, 28, 12, 30))
        ann.groups.append(database.orm.Group(name="staff"))
        session.add_all([ann, database.orm.User(name="zoë")])
        session.commit()
    found = said(tmp_path, capsys)
    assert found["groups"] == {"ann": ["staff"]}
    assert {name: one and datetime.fromisoformat(one) for name, one in found["accounts"].items()} == {
        "ann": datetime(2026, 11, 28, 12, 30), "zoë": None
    }  # fmt: skip


def test_groups_of_userlist_are_not_told_as_groups_of_a_login(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database, groups = hub_image.load("database"), hub_image.load("groups")
    with database.orm.new_session_factory(database.url(tmp_path / database.FILE))() as session:
        ann = database.orm.User(name="ann")
        session.add(ann)
        groups.give(ann, ["physics"])
        ann.groups.append(database.orm.Group(name="staff", properties={"made": "by an admin"}))
        session.commit()
    assert said(tmp_path, capsys)["groups"] == {"ann": ["staff"]}


def test_a_hub_that_never_started_has_nobody(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(tmp_path, capsys) == {"added": [], "promoted": [], "groups": {}, "accounts": {}}
