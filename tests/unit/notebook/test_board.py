"""Which messages a server shows to its pages, and until when."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.notebook import notebook_image

board = notebook_image.load("hub_notices.board")
OF_HUB = {"id": "announcement-1", "text": "Sunday: <b>no</b> hub", "level": "info"}


@pytest.fixture
def changes() -> list[str]:
    return []


@pytest.fixture
def shown(changes: list[str]) -> Any:
    return board.Board(lambda: changes.append("changed"))


def ids(shown: Any) -> list[str]:
    return [one["id"] for one in shown.shown()]


def test_a_message_stays_until_it_was_read(shown: Any, changes: list[str]) -> None:
    shown.post(board.Notice("memory-1", "A kernel ran out of memory", "warning", "a-kernel"))
    assert shown.shown() == [
        {
            "id": "memory-1",
            "text": "A kernel ran out of memory",
            "level": "warning",
            "kernel": "a-kernel",
            "until": "read",
            "button": "Dismiss",
        }
    ]
    shown.mark_read("memory-1")
    assert shown.shown() == []
    assert len(changes) == 2


def test_a_message_for_each_page_is_never_read(shown: Any) -> None:
    shown.post(board.Notice("safe-start", "Started without your settings.", until="page"))
    shown.mark_read("safe-start")
    assert ids(shown) == ["safe-start"]


def test_a_message_of_the_hub_is_gone_at_once_and_the_hub_learns_it_later(shown: Any) -> None:
    shown.take_from_hub([OF_HUB])
    shown.mark_read("announcement-1")
    # The hub, which does not know yet, sends it once more.
    shown.take_from_hub([OF_HUB])
    assert (ids(shown), shown.unconfirmed) == ([], {"announcement-1"})


def test_a_message_of_the_hub_has_the_button_that_the_hub_gives_it(shown: Any) -> None:
    shown.take_from_hub([OF_HUB, {**OF_HUB, "id": "idle-1", "button": "Keep my server"}])
    assert [one["button"] for one in shown.shown()] == ["Dismiss", "Keep my server"]


def test_pages_hear_only_of_changes(shown: Any, changes: list[str]) -> None:
    shown.take_from_hub([OF_HUB])
    shown.take_from_hub([OF_HUB])
    shown.mark_read("unknown")
    assert len(changes) == 1


def test_what_the_hub_takes_back_is_gone(shown: Any) -> None:
    shown.take_from_hub([OF_HUB])
    shown.take_from_hub([])
    assert ids(shown) == []
