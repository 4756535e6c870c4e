"""Which long groups run: those without a green record first, then two by turns, within the minutes."""

from __future__ import annotations

import pytest

from develop import turns
from develop.groups import Group
from develop.records import Record
from develop.turns import Standing


def standing(name: str, last: str = "", holds: bool = True, seconds: int = 100) -> Standing:
    """A group of 8 minutes, last green on the day `last` of a month, if at all."""
    record = Record("now" if holds else "then", (), f"2026-11-{last}T00:00:00Z", seconds) if last else None
    return Standing(Group(name, (), (), 8), "now", record)


def order(standings: list[Standing], turn: int = 0) -> list[str]:
    return [one.group.name for one in turns.in_order(standings, turn)]


def test_the_longest_unrun_comes_first_and_the_never_run_before_all() -> None:
    waiting = [standing("new", "20", holds=False), standing("old", "03", holds=False), standing("never")]
    assert order(waiting) == ["never", "old", "new"]


@pytest.mark.parametrize(
    ("turn", "expected"), [(0, ["a", "b"]), (1, ["b", "c"]), (3, ["d", "a"]), (4, ["a", "b"]), (4002, ["c", "d"])]
)
def test_two_that_hold_run_by_turns(turn: int, expected: list[str]) -> None:
    assert order([standing(name, "01") for name in "abcd"], turn) == expected


def test_what_runs_for_its_inputs_takes_nobodys_turn() -> None:
    table = [standing("a", "01"), standing("b", "02", holds=False), standing("c", "01"), standing("d", "01")]
    assert order(table, turn=1) == ["b", "c", "d"]


def test_each_group_has_its_turn() -> None:
    table = [standing(name, "01") for name in "abcde"]
    assert {name for turn in range(len(table)) for name in order(table, turn)} == set("abcde")


def test_where_there_are_few_groups_all_run_once() -> None:
    assert order([], turn=7) == []
    assert order([standing("a", "01")], turn=7) == ["a"]
    assert order([standing("a"), standing("b")], turn=7) == ["a", "b"]


LONG, SHORT, UNKNOWN = (
    standing("long", "01", seconds=400), standing("short", "01", seconds=50), standing("unknown"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("waiting", "left", "begun", "expected"),
    [
        ([LONG, SHORT], 400, True, LONG),
        ([LONG, SHORT], 399, True, SHORT),
        ([LONG, SHORT], 49, True, None),
        ([LONG, SHORT], -1, True, None),
        ([LONG, SHORT], 49, False, LONG),
        ([UNKNOWN], 8 * 60, True, UNKNOWN),
        ([UNKNOWN], 8 * 60 - 1, True, None),
        ([LONG, SHORT], None, True, LONG),
        ([], None, True, None),
        ([], 400, False, None),
    ],
)
def test_none_begins_that_does_not_fit_but_the_very_first(
    waiting: list[Standing], left: float | None, begun: bool, expected: Standing | None
) -> None:
    assert turns.next_that_fits(waiting, left, begun) is expected


def test_it_says_when_a_group_was_last_green() -> None:
    assert standing("a").when() == "never green"
    assert standing("a", "07").when() == "last green 2026-11-07T00:00:00Z"
    assert standing("a", "07", holds=False).when() == "last green 2026-11-07T00:00:00Z, with other inputs"
