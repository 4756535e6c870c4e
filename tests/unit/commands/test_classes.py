"""What is typed behind `class`: which words make sense, when a time of day comes, and what the table of starts says."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from hubdeploy.commands import classes, collection, rehearsal
from hubdeploy.errors import DeployError

_ASKED = rehearsal.Asked(1, 0, 1, 1)


@pytest.mark.parametrize(
    "words",
    [
        ("", "", ""),
        ("dance", "", ""),
        ("rehearse", "@physics", ""),
        ("prepare", "@physics", "homework"),
        ("close", "", ""),
    ],
    ids=" ".join,
)
def test_words_that_make_no_sense_are_refused_before_anything_is_read(words: tuple[str, str, str]) -> None:
    with pytest.raises(DeployError, match="rehearse, prepare @GROUP, or close"):
        classes.of_class(
            lambda: pytest.fail("it was read"),
            classes.Words(*words),
            _ASKED,
            at="",
            withdraw=False,
            most="1",
            yes=False,
        )


@pytest.mark.parametrize(
    ("typed", "now", "due"),
    [
        ("08:50", "2026-11-29 08:49", "2026-11-29 08:50"),
        ("08:50", "2026-11-29 08:50", "2026-11-30 08:50"),
        ("00:00", "2026-12-31 23:59", "2027-01-01 00:00"),
        ("", "2026-11-29 08:49", "2026-11-29 08:49"),
        # The clocks go back in this night, so a day has 25 hours.
        ("08:50", "2026-10-24 09:00", "2026-10-25 08:50"),
    ],
)
def test_a_time_of_day_is_the_next_one_on_the_clock_of_the_deployment(typed: str, now: str, due: str) -> None:
    zone = ZoneInfo("Europe/Berlin")
    found = classes._moment(typed, datetime.fromisoformat(now).replace(tzinfo=zone))
    assert found == datetime.fromisoformat(due).replace(tzinfo=zone)


@pytest.mark.parametrize("typed", ["8:50", "24:00", "08:60", "0850", "soon"])
def test_what_is_no_time_of_day_is_refused(typed: str) -> None:
    with pytest.raises(DeployError, match="--at"):
        classes._moment(typed, datetime.now(ZoneInfo("UTC")))


@pytest.mark.parametrize("folder", ["/homework", "..", "homework/../..", "a//b", ".", "home\nwork", "/"])
def test_what_is_no_folder_below_the_one_of_jupyterlab_is_refused(folder: str) -> None:
    with pytest.raises(DeployError, match="without a slash in front"):
        collection.Wanted.read(folder, "100")


@pytest.mark.parametrize("most", ["0", "2001", "-1", "1.5", "many"])
def test_what_is_no_size_is_refused(most: str) -> None:
    with pytest.raises(DeployError, match="MB for each person"):
        collection.Wanted.read("homework", most)


def test_a_folder_may_have_a_slash_behind_it_and_spaces_in_it() -> None:
    assert collection.Wanted.read("home work/week 3/", "5") == collection.Wanted("home work/week 3", 5_000_000)


@pytest.mark.parametrize(
    ("at", "outcome", "words"),
    [
        (4e9, None, "to come"),
        (1.0, None, "servers are being started"),
        (1.0, {"missed": True}, "missed: the hub did not run"),
        (1.0, {"error": "odd"}, "failed: odd"),
        (1.0, {"users": {"ada": "started", "bob": "ran", "eve": "no room"}}, "1 of 3 people started, 1 ran, 1 failed"),
        (1.0, {"users": {"ada": "started"}}, "1 of 1 person started, 0 ran, 0 failed"),
    ],
)
def test_the_table_says_what_came_of_a_start(at: float, outcome: Any, words: str) -> None:
    assert classes._state({"at": at, "outcome": outcome}) == words
