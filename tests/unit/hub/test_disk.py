"""Who is stopped when the engine's disk has no room, and what users hear of what they take of it.

The filter's answers are given here. Real disks are filled in tests/hub/test_full_disk.py.
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hubdeploy.contract.disk import Disk
from hubdeploy.contract.documents import Folder
from tests.unit.hub import hub_image

disk = hub_image.load("disk")
notices = hub_image.load("notices")
GB, MB = 10**9, 10**6
EMPTY = Disk(80 * GB, 20 * GB, 9000, 1000)
# A reserve of 128 MiB and 200 files.
FULL, FULL_OF_FILES = Disk(100 * MB, 99 * GB, 9000, 1000), Disk(80 * GB, 20 * GB, 100, 9900)
Taken = disk.Taken


@pytest.mark.parametrize("low", [FULL, FULL_OF_FILES], ids=["bytes", "files"])
def test_the_server_is_chosen_that_wrote_most_of_what_there_is_too_little_of(low: Disk) -> None:
    growth = {"much": Taken(5 * GB, 10), "many": Taken(10 * MB, 5000), "some": Taken(4 * GB, 4000)}
    assert disk.grew_most(growth, low) == ("much" if low is FULL else "many")


def test_nobody_is_chosen_for_little_but_the_less_is_left_the_less_is_much() -> None:
    growth = {"ann": Taken(20 * MB, 3), "bob": Taken(-GB)}
    assert disk.grew_most(growth, FULL) is None
    assert disk.grew_most(growth, Disk(0, 100 * GB, 9000, 1000)) == "ann"
    assert disk.grew_most({}, FULL) is None


def test_what_could_not_be_measured_counts_as_before() -> None:
    before = disk.Measure({"home": Taken(5, 1), "work": Taken(7, 1)}, {})
    now = disk.Measure({"work": Taken(9, 2), "@layer": Taken(100, 3)}, {"container": ("home", "work", "@layer")})
    assert now.after(before).growth(before) == {"container": Taken(102, 4)}


def test_the_reserve_is_taken_in_parts_and_given_back_in_parts(tmp_path: Path) -> None:
    reserve = disk.Reserve(tmp_path)
    small = Disk(5 * MB, 5 * MB, 500, 500)
    (tmp_path / "half").mkdir()
    reserve.fill(small)
    reserve.fill(small)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["part-0", "part-1"]
    assert (tmp_path / "part-0" / "bytes").stat().st_blocks * 512 >= 2 * small.reserve[0]
    assert len(list((tmp_path / "part-1").iterdir())) == 2 * small.reserve[1] + 1
    reserve.fill(FULL)
    assert [reserve.give(), reserve.give(), reserve.give()] == [True, True, False]
    assert list(tmp_path.iterdir()) == []
    reserve.fill(FULL)
    assert list(tmp_path.iterdir()) == [], "a disk that is nearly full has none to take"


class Hub(SimpleNamespace):
    """A hub with the running servers of ann and bob, a watch, and a filter whose answers are `now` and `measured`."""

    now: Disk
    measured: dict[str, tuple[int, int]]

    def look(self) -> None:
        asyncio.run(self.watch.look(self.users))

    def take(self, user: str, size: int, files: int = 1) -> None:
        self.measured[f"lab-user-{user}"] = (size, files)

    def messages(self, user: str) -> list[str]:
        return [one.text for one in self.notices.unread(self.users[user])]

    def share(self, folder: str, size: int) -> None:
        """All servers write to this folder."""
        self.measured[folder] = (size, 1)
        self.shared = folder

    def opened(self, limit: int | None = None, *folders: Folder) -> None:
        """A new hub on the same files."""
        kind = hub_image.contract(disk_limit=limit).kinds[0]
        self.notices = notices.Notices(self.folder / notices.FILE)
        self.watch = disk.DiskWatch(
            kind, self.notices, disk.Reserve(self.folder / "reserve"), self.folder / "levels", folders
        )


def user(hub: Any, name: str) -> Any:
    made = SimpleNamespace(name=name, created=datetime(2026, 11, 1), spawners={})

    async def end_because(end: Any) -> None:
        hub.ended.append((name, end))

    async def freeze() -> None:
        hub.frozen.add(name)

    async def thaw() -> None:
        hub.frozen.discard(name)

    async def use() -> Any:
        """Its processes write, and work, only while they run."""
        if name not in hub.frozen and name in hub.writes:
            hub.written[name] = tuple(map(sum, zip(hub.written[name], hub.writes[name], strict=True)))
        processor, written, unwritten = hub.written[name]
        return disk.Use(0, processor, "", written, unwritten)

    made.spawners[""] = SimpleNamespace(
        active=True, object_id=f"c-{name}", user=made, end_because=end_because, freeze=freeze, thaw=thaw, use=use
    )
    return made


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    made = Hub(folder=tmp_path, now=EMPTY, measured={}, ended=[], frozen=set(), clock=1000.0, measures=0)
    # User -> what their server writes between two looks, and has written: processor's seconds, bytes written, bytes that wait.
    made.shared, made.writes, made.written = "", {}, dict.fromkeys(("ann", "bob"), (0.0, 0, 0))
    (tmp_path / "reserve").mkdir()
    made.users = {name: user(made, name) for name in ("ann", "bob")}
    made.opened()

    async def asked(path: str, within: float) -> Any:
        if path == "/disk":
            return asdict(made.now)
        made.measures += 1
        assert made.frozen == (made.users.keys() if made.now.has_no_room else set()), "nobody takes what is given back"
        own = {f"c-{name}": [f"lab-user-{name}", *filter(None, [made.shared])] for name in made.users}
        return {"measured": dict(made.measured), "servers": own}

    monkeypatch.setattr(disk, "_asked", asked)
    monkeypatch.setattr(disk, "time", SimpleNamespace(monotonic=lambda: made.clock))
    monkeypatch.setattr(disk.Reserve, "fill", lambda reserve, now: None)
    monkeypatch.setattr(disk, "_WATCHED_FOR", 0.0)
    (tmp_path / "reserve" / "part-0").mkdir()
    return made


def test_who_fills_the_disk_is_stopped_and_told_why_and_others_get_room(hub: Hub) -> None:
    hub.take("ann", GB)
    hub.look()
    hub.take("ann", 2 * GB)
    hub.take("bob", 70 * GB, 7)
    hub.now = FULL
    hub.look()
    ((name, end),) = hub.ended
    assert name == "bob"
    assert end.for_user.startswith(
        "Your server was stopped, as it filled the disk that all share: it wrote 70.0 GB in 7 files"
    )
    assert "100 MB of 99.1 GB, 9000 of 10000 files free" in end.for_operator
    assert hub.messages("bob")[0].startswith("Your server was stopped, as it filled the disk")
    assert hub.messages("ann") == []
    assert list((hub.folder / "reserve").iterdir()) == []
    assert hub.frozen == set()
    # What was written before counts no more.
    hub.look()
    assert len(hub.ended) == 1


def test_who_writes_slowly_is_found_too(hub: Hub) -> None:
    hub.look()
    for step in range(1, 40):
        hub.clock += disk.LOOK_EVERY
        hub.take("ann", step * 2 * MB)
        hub.now = Disk(100 * MB - step * 2 * MB, 99 * GB + step * 2 * MB, 9000, 1000)
        hub.look()
        if hub.ended:
            break
    assert [name for name, _ in hub.ended] == ["ann"]


@pytest.mark.parametrize(
    "wrote", [(0.1, 50 * MB, 0), (0.1, 0, 50 * MB), (1.4, 0, 0)], ids=["written", "waiting", "full"]
)
def test_of_servers_that_share_a_folder_the_one_is_stopped_that_fills_it(hub: Hub, wrote: Any) -> None:
    """By what the kernel says, by what waits to be written, or, where nothing can be written any more, by its work."""
    hub.share("lab-shared-physics", GB)
    hub.look()
    hub.share("lab-shared-physics", 70 * GB)
    hub.take("ann", 10 * MB)
    hub.now, hub.writes = FULL, {"ann": (0.01, 1000, 1000), "bob": wrote}
    hub.look()
    ((name, end),) = hub.ended
    assert name == "bob"
    assert "by a folder that it shares with others" in end.for_user
    assert hub.frozen == set()


def test_who_fills_a_shared_folder_with_many_files_is_found_whatever_was_written_elsewhere(hub: Hub) -> None:
    hub.share("lab-shared-physics", GB)
    hub.look()
    hub.measured["lab-shared-physics"] = (GB, 9000)
    hub.take("ann", 5 * GB)
    hub.now, hub.writes = FULL_OF_FILES, {"bob": (1.4, 0, 0)}
    hub.look()
    assert [name for name, _ in hub.ended] == ["bob"]


def test_of_servers_that_share_a_folder_nobody_is_stopped_who_does_not_write(hub: Hub) -> None:
    hub.share("lab-shared-physics", GB)
    hub.look()
    hub.share("lab-shared-physics", 70 * GB)
    hub.now, hub.writes = FULL, {"ann": (0.05, 1000, 0), "bob": (0.01, 0, 0)}
    hub.look()
    assert (hub.ended, hub.frozen) == ([], set())


def test_who_writes_to_a_shared_folder_is_told_of_its_limit_and_nobody_else(hub: Hub) -> None:
    folder = Folder("physics", "lab-shared-physics", writers=("ann",), readers=("bob",), ours=True, limit=10 * GB)

    def look(size: int) -> list[str]:
        hub.clock += disk.MEASURE_EVERY
        hub.share("lab-shared-physics", size)
        hub.look()
        return hub.messages("ann")

    hub.opened(None, folder)
    assert look(7 * GB) == []
    assert look(8 * GB) == ["The shared folder physics takes 8000 MB of its 10.0 GB. Delete what you do not need."]
    hub.shared = ""
    del hub.measured["lab-shared-physics"]
    hub.clock += disk.MEASURE_EVERY
    hub.look()
    assert len(hub.messages("ann")) == 1, "where no server has it, nothing is known"
    assert look(11 * GB) == ["The shared folder physics takes 11.0 GB of its 10.0 GB. Delete what you do not need."]
    assert look(GB) == []
    assert hub.messages("bob") == []


def test_a_disk_that_others_filled_stops_nobody_and_is_not_measured_all_the_time(hub: Hub) -> None:
    hub.take("ann", 10 * MB)
    hub.look()
    hub.now = FULL
    for _ in range(10):
        hub.look()
        hub.clock += disk.LOOK_EVERY
    assert (hub.ended, hub.measures) == ([], 2)
    assert list((hub.folder / "reserve").iterdir()), "there is some room left"
    hub.now = Disk(0, 100 * GB, 9000, 1000)
    hub.look()
    assert not list((hub.folder / "reserve").iterdir()), "the hub itself needs room"
    hub.take("ann", 50 * MB)
    hub.look()
    assert hub.ended == []
    hub.clock += 60
    hub.look()
    assert [name for name, _ in hub.ended] == ["ann"], "where nothing is left, it is measured again after a while"


def test_a_nearly_full_disk_lets_servers_start_safely_alone_and_who_filled_it_again_not_at_all(hub: Hub) -> None:
    hub.look()
    assert asyncio.run(hub.watch.why_safe("ann")) == ""
    for times in (1, 2):
        assert hub.watch.why_none("bob") == ""
        hub.take("bob", 70 * GB * times)
        hub.now = FULL
        hub.look()
    assert "nearly full" in asyncio.run(hub.watch.why_safe("ann"))
    assert "more than once" in hub.watch.why_none("bob")
    assert hub.watch.why_none("ann") == ""
    hub.now = EMPTY
    hub.look()
    assert (hub.watch.why_none("bob"), asyncio.run(hub.watch.why_safe("bob"))) == ("", "")


def test_users_are_told_once_from_four_fifths_of_their_limit_on_and_at_all_of_it(hub: Hub) -> None:
    def look(size: int) -> list[str]:
        hub.clock += disk.MEASURE_EVERY
        hub.take("ann", size)
        hub.look()
        return hub.messages("ann")

    hub.opened(10 * GB)
    assert look(7 * GB) == []
    assert look(8 * GB) == ["Your files take 8000 MB of your 10.0 GB. Delete what you do not need."]
    hub.notices.mark_read(hub.users["ann"], "disk-limit")
    hub.opened(10 * GB)
    assert look(9 * GB) == [], "it was read, and another hub does not say it again"
    (full,) = look(11 * GB)
    assert full.startswith("Your files take 11.0 GB of your 10.0 GB. Your next server starts without your settings")
    assert look(GB) == []
    assert hub.messages("bob") == []


def test_beyond_the_limit_a_start_is_safe_until_files_are_deleted(hub: Hub) -> None:
    hub.opened(10 * GB)
    hub.take("ann", 11 * GB)
    hub.look()
    assert asyncio.run(hub.watch.why_safe("ann")).startswith("Your files take 11.0 GB of your 10.0 GB.")
    hub.take("ann", 9 * GB)
    assert asyncio.run(hub.watch.why_safe("ann")) == "", "it is measured again"
    assert asyncio.run(hub.watch.why_safe("bob")) == ""
