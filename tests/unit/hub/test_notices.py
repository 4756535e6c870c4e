"""The hub's messages to users: who gets which, and that each is kept until it was read."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.unit.hub import hub_image

notices = hub_image.load("notices")
ANN = SimpleNamespace(name="ann", created=datetime(2026, 11, 1))
BOB = SimpleNamespace(name="bob", created=datetime(2026, 11, 2))
DISK = notices.Notice("disk", "Your home is nearly full.", "warning")


@pytest.fixture
def announcement(tmp_path: Path) -> Path:
    return tmp_path / "announcement.txt"


@pytest.fixture
def kept(tmp_path: Path, announcement: Path) -> Any:
    return opened(tmp_path, announcement)


def opened(folder: Path, announcement: Path) -> Any:
    return notices.Notices(folder / notices.FILE, lambda: announcement.read_text() if announcement.exists() else "")


def texts(kept: Any, user: Any) -> list[str]:
    return [one.text for one in kept.unread(user)]


def test_a_message_is_kept_until_its_user_has_read_it(kept: Any, tmp_path: Path, announcement: Path) -> None:
    kept.send(ANN, DISK)
    # The hub was replaced.
    later = opened(tmp_path, announcement)
    assert (later.unread(ANN), later.unread(BOB)) == ([DISK], [])
    later.mark_read(BOB, "disk")
    assert later.unread(ANN) == [DISK]
    later.mark_read(ANN, "disk")
    assert opened(tmp_path, announcement).unread(ANN) == []


def test_a_message_replaces_the_one_of_the_same_name(kept: Any) -> None:
    kept.send(ANN, DISK)
    kept.send(ANN, notices.Notice("disk", "Your home is full."))
    assert texts(kept, ANN) == ["Your home is full."]
    kept.withdraw(ANN, "disk")
    assert texts(kept, ANN) == []


def test_a_message_of_the_moment_is_gone_with_the_hub_and_says_once_that_it_was_read(
    kept: Any, tmp_path: Path, announcement: Path
) -> None:
    heard: list[str] = []
    kept.show(
        ANN, notices.Notice("idle-1", "Your server will be stopped.", button="Keep"), read=lambda: heard.append("ann")
    )
    assert [(one.id, one.button) for one in kept.unread(ANN)] == [("idle-1", "Keep")]
    assert opened(tmp_path, announcement).unread(ANN) == kept.unread(BOB) == []
    kept.mark_read(BOB, "idle-1")
    assert heard == []
    kept.mark_read(ANN, "idle-1")
    kept.mark_read(ANN, "idle-1")
    assert (heard, kept.unread(ANN)) == (["ann"], [])
    kept.show(ANN, DISK)
    kept.withdraw(ANN, "disk")
    assert kept.unread(ANN) == []


def test_a_later_user_of_the_same_name_gets_no_message_of_the_earlier_one(kept: Any) -> None:
    kept.send(ANN, DISK)
    assert kept.unread(SimpleNamespace(name="ann", created=datetime(2027, 1, 1))) == []


def test_everybody_reads_an_announcement_for_themselves(kept: Any, announcement: Path) -> None:
    announcement.write_text("No hub on Sunday.\n")
    (seen,) = kept.unread(ANN)
    kept.mark_read(ANN, seen.id)
    assert (texts(kept, ANN), texts(kept, BOB)) == ([], ["No hub on Sunday."])


def test_a_new_announcement_is_read_anew_and_an_old_one_is_forgotten(kept: Any, announcement: Path) -> None:
    announcement.write_text("No hub on Sunday.")
    kept.mark_read(ANN, kept.unread(ANN)[0].id)
    announcement.write_text("No hub on Monday.")
    assert texts(kept, ANN) == ["No hub on Monday."]
    announcement.unlink()
    assert texts(kept, ANN) == []


def test_an_announcement_that_was_taken_back_is_new_when_it_returns(kept: Any, announcement: Path) -> None:
    for _ in range(2):
        announcement.write_text("No hub on Sunday.")
        assert texts(kept, ANN) == ["No hub on Sunday."]
        kept.mark_read(ANN, kept.unread(ANN)[0].id)
        assert texts(kept, ANN) == []
        announcement.unlink()
        assert texts(kept, BOB) == []


def test_a_message_wakes_the_server_that_waits_for_one(kept: Any) -> None:
    async def story(send: Any) -> list[Any]:
        kept.withdraw(ANN, DISK.id)
        mark, nothing = await kept.changed(ANN, "")
        waiting = asyncio.ensure_future(kept.changed(ANN, mark))
        await asyncio.sleep(0)
        assert (nothing, waiting.done()) == ([], False)
        send(BOB, DISK)
        await asyncio.sleep(0)
        send(ANN, DISK)
        found: list[Any] = (await asyncio.wait_for(waiting, 60))[1]
        return found

    assert asyncio.run(story(kept.send)) == asyncio.run(story(kept.show)) == [DISK]


def test_a_server_that_waited_in_vain_gets_the_same_answer_again(kept: Any) -> None:
    async def story() -> None:
        mark, _ = await kept.changed(ANN, "")
        assert await kept.changed(ANN, mark, within=0) == (mark, [])

    asyncio.run(story())
