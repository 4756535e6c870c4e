"""The log of logins and changes, in a real file."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pytest

from tests.unit.hub import hub_image


@pytest.fixture
def audit() -> ModuleType:
    return hub_image.load("audit")


def test_what_was_recorded_is_printed_a_line_each(
    audit: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = audit.Audit(tmp_path, lambda: 5.0)
    kept.record("login", user="ann", address="192.0.2.7")
    kept.record("user added", user="zoë", by="kaben")
    audit.main(str(tmp_path), "0")
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [
        {"at": 5.0, "event": "login", "user": "ann", "by": "", "address": "192.0.2.7"},
        {"at": 5.0, "event": "user added", "user": "zoë", "by": "kaben", "address": ""},
    ]
    audit.main(str(tmp_path), "6")
    assert capsys.readouterr().out == ""


def test_there_need_be_no_log(audit: ModuleType, tmp_path: Path) -> None:
    assert list(audit.entries(tmp_path)) == []
    assert list(tmp_path.iterdir()) == []


def test_it_forgets_after_90_days(audit: ModuleType, tmp_path: Path) -> None:
    for day in (0, 1, 91):
        audit.Audit(tmp_path, lambda day=day: day * 86400.0).record(f"day {day}")
    assert [one.event for one in audit.entries(tmp_path)] == ["day 1", "day 91"]


def test_its_size_is_bounded(audit: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "MOST", 2)
    for number in range(4):
        audit.Audit(tmp_path).record(str(number))
    assert [one.event for one in audit.entries(tmp_path)] == ["2", "3"]


def test_a_guesser_is_one_entry_a_minute(audit: ModuleType, tmp_path: Path) -> None:
    for second in (0, 1, 59, 60.5):
        for address in ("192.0.2.7", "192.0.2.8"):
            audit.Audit(tmp_path, lambda second=second: 1000.0 + second).record_failure("login failed", address=address)
    assert [(one.at, one.address) for one in audit.entries(tmp_path)] == [
        (1000.0, "192.0.2.7"), (1000.0, "192.0.2.8"), (1060.5, "192.0.2.7"), (1060.5, "192.0.2.8"),
    ]  # fmt: skip


def test_a_log_that_cannot_be_written_stops_nobody(audit: ModuleType, tmp_path: Path) -> None:
    audit.Audit(tmp_path / "missing").record("login", user="ann")
