"""When a time of day comes, also where a day has 23 or 25 hours."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from hubdeploy.contract import time_of_day

_ZONE = "Europe/Zurich"


@pytest.fixture(autouse=True)
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", _ZONE)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def moment(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(_ZONE)).timestamp()


@pytest.mark.parametrize(
    ("now", "last", "after"),
    [
        ("2026-11-28T02:59", "2026-11-27T03:00", "2026-11-28T03:00"),
        ("2026-11-28T03:00", "2026-11-28T03:00", "2026-11-29T03:00"),
        ("2026-12-31T23:59", "2026-12-31T03:00", "2027-01-01T03:00"),
        ("2026-03-28T12:00", "2026-03-28T03:00", "2026-03-29T03:00"),
        ("2026-10-25T12:00", "2026-10-25T03:00", "2026-10-26T03:00"),
    ],
    ids=["before it", "at it", "at the end of a year", "before a day of 23 hours", "on a day of 25 hours"],
)
def test_a_time_of_day_came_last_and_comes_next(now: str, last: str, after: str) -> None:
    assert time_of_day.last("03:00", moment(now)) == moment(last)
    assert time_of_day.after("03:00", moment(now)) == moment(after)
