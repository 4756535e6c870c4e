"""Whose server starts when: by memory, by turn, and with what words for who waits.

Memory and time are given here. Real servers on a host that is full are in tests/hub/test_seats.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from docker.errors import NotFound

from hubdeploy.contract import seats as rule
from tests.unit.hub import hub_image

seats = hub_image.load("seats")
MB, GB = 1024**2, 1024**3
SURE = 256 * MB


def test_a_server_finds_its_memory_beside_what_others_are_sure_of_or_take() -> None:
    """The components' share and what stays free are left alone."""

    def has_room(*taken: int, cap: int = 4 * GB, available: int = 64 * GB) -> bool:
        servers = [rule.Server(SURE, one) for one in taken]
        return rule.has_room(SURE, servers, cap=cap, available=available)

    assert has_room(*[0] * 13)
    assert not has_room(*[0] * 14), "14 and one more take 3.75 GB of the 3.5 GB that are left"
    assert has_room(*[100 * MB] * 13), "who takes less is sure of the rest"
    assert not has_room(3 * GB, 100 * MB, 100 * MB)
    assert has_room(0, 0, available=3 * SURE + 256 * MB)
    assert not has_room(0, 0, available=3 * SURE + 256 * MB - 1)
    assert has_room(SURE, SURE, available=SURE + 256 * MB), "what they have taken is not free any more"


def test_the_first_server_needs_only_what_is_there() -> None:
    assert rule.has_room(SURE, [], cap=0, available=SURE)
    assert not rule.has_room(SURE, [], cap=64 * GB, available=SURE - 1)


class Spawner:
    """What seats knows of one; two of them are never equal."""

    def __init__(self, **parts: Any) -> None:
        vars(self).update(parts)


class Place(SimpleNamespace):
    """A hub with users, its seats, a host, and a clock."""

    def add(self, name: str, *, admin: bool = False, guarantee: int | None = SURE, gpus: int = 0) -> Any:
        user = SimpleNamespace(name=name, admin=admin, spawners={})

        async def memory_taken() -> int:
            if name in self.gone:
                raise NotFound("no such container")
            self.asked.append(name)
            return int(self.taken.get(name, 0))

        spawner = Spawner(
            user=user, kind=SimpleNamespace(memory_guarantee=guarantee, gpus=gpus), cards=(), object_id="", active=False,
            is_prepared=False, _spawn_pending=False, _start_pending=False, memory_taken=memory_taken,
        )  # fmt: skip
        user.spawners[""] = spawner
        self.users[name] = user
        return spawner

    def asks(self, *names: str) -> None:
        """They ask for a server, one after the other."""
        for name in names:
            spawner = self.users[name].spawners[""]
            spawner.active = spawner._spawn_pending = spawner._start_pending = True
            self.tasks[name] = asyncio.ensure_future(self.seats.take(spawner))

    def runs(self, *names: str) -> None:
        for name in names:
            spawner = self.users[name].spawners[""]
            spawner._spawn_pending = spawner._start_pending = False
            spawner.active, spawner.object_id = True, f"container-{name}"

    def ends(self, name: str) -> None:
        spawner = self.users[name].spawners[""]
        spawner.active, spawner.object_id = False, ""

    def place(self, name: str) -> str:
        return str(self.seats.place(self.users[name].spawners[""]))

    @property
    def admitted(self) -> list[str]:
        return [
            name for name, task in self.tasks.items() if task.done() and not task.cancelled() and not task.exception()
        ]


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    made = Place(users={}, tasks={}, taken={}, gone=set(), asked=[], now=1000.0, host=seats.Host(16 * GB, 16 * GB))
    monkeypatch.setattr(seats.Host, "now", classmethod(lambda cls: made.host))
    monkeypatch.setattr(seats, "time", SimpleNamespace(monotonic=lambda: made.now))
    monkeypatch.setattr(seats, "_STEP", 0.001)
    monkeypatch.setattr(seats, "_FULL_STEP", 0.001)
    return made


def told(place: Place, story: Callable[[], Awaitable[None]], *, cap: int | None = None, processors: int = 50) -> None:
    async def run() -> None:
        place.seats = seats.Seats(cap, processors)
        place.seats.begin(place.users)
        await story()
        for task in place.tasks.values():
            task.cancel()

    asyncio.run(run())


async def some_looks() -> None:
    await asyncio.sleep(0.05)


def test_who_finds_no_seat_waits_in_the_order_in_which_they_came_and_admins_go_first(place: Place) -> None:
    for name in ("ann", "bob", "cleo", "dan"):
        place.add(name)
    place.add("boss", admin=True)

    async def story() -> None:
        place.asks("ann", "bob")
        await some_looks()
        place.runs("ann", "bob")
        place.asks("cleo", "dan", "boss")
        await some_looks()
        assert place.admitted == ["ann", "bob"]
        assert place.place("boss") == (
            "This host is full. You are the first in the queue. Your server starts by itself when there is room."
            " Keep this page open."
        )
        assert "One person is before you" in place.place("cleo")
        assert "2 people are before you" in place.place("dan")
        assert place.place("ann") == ""
        place.ends("bob")
        await some_looks()
        assert place.admitted == ["ann", "bob", "boss"]
        place.runs("boss")
        place.ends("ann")
        await some_looks()
        assert set(place.admitted) == {"ann", "bob", "boss", "cleo"}

    told(place, story, cap=rule.COMPONENTS + 2 * SURE)


def test_what_a_server_really_takes_and_what_the_host_really_has_decide(place: Place) -> None:
    for name in ("ann", "bob", "cleo"):
        place.add(name)

    async def story() -> None:
        place.runs("ann")
        place.taken["ann"] = 2 * GB
        place.asks("bob")
        await some_looks()
        assert place.admitted == []
        # A measure serves for a while, and then it is made anew.
        place.taken["ann"] = 100 * MB
        await some_looks()
        assert (place.admitted, place.asked) == ([], ["ann"])
        place.now += 16
        await some_looks()
        assert place.admitted == ["bob"]
        place.host = seats.Host(16 * GB, 300 * MB)
        place.asks("cleo")
        await some_looks()
        assert place.admitted == ["bob"]
        place.host = seats.Host(16 * GB, 16 * GB)
        await some_looks()
        assert place.admitted == ["bob", "cleo"]

    told(place, story, cap=2 * GB)


def test_a_server_that_cannot_be_measured_counts_with_what_it_is_sure_of(place: Place) -> None:
    place.add("ann")
    place.add("bob")
    place.gone.add("ann")

    async def story() -> None:
        place.runs("ann")
        place.asks("bob")
        await some_looks()
        assert place.admitted == ["bob"]

    told(place, story, cap=rule.COMPONENTS + 2 * SURE)


def test_as_many_start_at_once_as_the_processors_bear_and_the_next_when_one_has_started_or_failed(place: Place) -> None:
    names = ["ann", "bob", "cleo", "dan", "eve"]
    for name in names:
        place.add(name, guarantee=None)

    async def story() -> None:
        place.asks(*names)
        await some_looks()
        assert place.admitted == ["ann", "bob"]
        assert place.place("cleo") == (
            "Many servers start at this moment. You are the first in the queue. Yours starts by itself."
        )
        place.runs("ann")
        await some_looks()
        assert place.admitted == ["ann", "bob", "cleo"]
        failed = place.users["bob"].spawners[""]
        failed.active = failed._spawn_pending = failed._start_pending = False
        await some_looks()
        assert place.admitted == ["ann", "bob", "cleo", "dan"]
        assert place.asked == [], "without a guarantee nobody's memory is asked for"

    told(place, story, processors=1)


def test_who_leaves_the_queue_holds_up_nobody(place: Place) -> None:
    """By the button, or by closing the page; a program's request has no page, and stays."""
    for name in ("ann", "bob", "cleo", "dan"):
        place.add(name)

    async def story() -> None:
        place.runs("ann")
        place.asks("bob", "cleo", "dan")
        await some_looks()
        assert "first in the queue" in place.place("bob")
        assert "2 people" in place.place("dan")
        place.tasks["cleo"].cancel()
        place.now += 100
        await some_looks()
        assert "One person" in place.place("dan")
        place.now += 100
        await some_looks()
        with pytest.raises(seats.Left, match="you left the page"):
            await place.tasks["bob"]
        assert "first in the queue" in place.place("dan")
        place.asks("cleo")
        place.now += 10_000
        assert "first in the queue" in place.place("dan")
        await some_looks()
        assert "One person" in place.place("cleo")

    told(place, story, cap=rule.COMPONENTS + SURE)


def test_a_failed_look_is_made_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.add("ann")
    failures = [OSError("no /proc"), ValueError("not a number")]

    def now(cls: object) -> Any:
        if failures:
            raise failures.pop()
        return place.host

    monkeypatch.setattr(seats.Host, "now", classmethod(now))

    async def story() -> None:
        place.asks("ann")
        await some_looks()
        assert (place.admitted, failures) == (["ann"], [])

    told(place, story)


def test_the_hosts_memory_is_what_its_kernel_says() -> None:
    total, available = seats.Host.now()
    assert 0 < available < total


def test_everybody_goes_before_the_simulated_people_of_a_rehearsal_who_can_be_sent_away(place: Place) -> None:
    for name in ("ann", "rehearsal001.", "rehearsal002.", "bob"):
        place.add(name)
    place.add("boss", admin=True)

    async def story() -> None:
        place.asks("ann")
        await some_looks()
        place.runs("ann")
        place.asks("rehearsal001.", "rehearsal002.", "bob", "boss")
        await some_looks()
        assert "first in the queue" in place.place("boss")
        assert "One person is before you" in place.place("bob")
        assert "2 people are before you" in place.place("rehearsal001.")
        place.seats.dismiss(place.users["rehearsal001."].spawners[""])
        place.seats.dismiss(place.users["ann"].spawners[""])
        await some_looks()
        assert isinstance(place.tasks["rehearsal001."].exception(), seats.Left)
        assert place.admitted == ["ann"]
        assert "2 people are before you" in place.place("rehearsal002.")

    told(place, story, cap=512 * MB + SURE)


def test_people_go_before_servers_that_are_made_ready_for_a_class_until_their_users_come(place: Place) -> None:
    for name in ("ann", "bob", "cal", "dan"):
        place.add(name)
    for name in ("bob", "cal"):
        place.users[name].spawners[""].is_prepared = True

    async def story() -> None:
        place.asks("ann")
        await some_looks()
        place.runs("ann")
        place.asks("bob", "cal", "dan")
        await some_looks()
        assert [one.user.name for one in place.seats.waiting()] == ["dan", "bob", "cal"]
        assert "2 people are before you" in place.place("cal"), "who looks is a person who waits"
        assert [one.user.name for one in place.seats.waiting()] == ["cal", "dan", "bob"]
        for name in ("bob", "cal"):
            place.seats.dismiss(place.users[name].spawners[""], unless_seen=True)
        await some_looks()
        assert isinstance(place.tasks["bob"].exception(), seats.Left)
        assert not place.tasks["cal"].done()

    told(place, story, cap=512 * MB + SURE)


def lending(place: Place, story: Callable[[], Awaitable[None]], *cards: str, cap: int | None = None) -> None:
    """A host with these cards; place.held says what the filter knows of them."""
    place.held, place.warned = {}, set()

    async def run() -> None:
        place.seats = seats.Seats(
            cap, 50, cards=cards, held=lambda: dict(place.held), is_ending=lambda one: one.user.name in place.warned
        )
        place.seats.begin(place.users)
        await story()
        for task in place.tasks.values():
            task.cancel()

    asyncio.run(run())


def test_each_gets_a_card_of_its_own_and_who_finds_none_waits_in_words(place: Place) -> None:
    for name in ("ann", "bob", "cleo", "dan"):
        place.add(name, guarantee=None, gpus=1)

    def cards(name: str) -> tuple[str, ...]:
        return tuple(place.users[name].spawners[""].cards)

    async def story() -> None:
        # Both in the same moment, before either has a container.
        place.asks("ann", "bob", "cleo", "dan")
        await some_looks()
        assert place.admitted == ["ann", "bob"]
        assert (cards("ann"), cards("bob")) == (("0",), ("1",))
        assert place.place("cleo") == (
            "All 2 cards (GPUs) of this host are taken. You are the first in the queue. Your server starts by itself when a card"
            " is free for it. Keep this page open."
        )
        assert "One person is before you" in place.place("dan")
        place.runs("ann", "bob")
        place.held, place.warned = {"0": "ann", "1": "bob"}, {"ann"}
        await some_looks()
        assert place.admitted == ["ann", "bob"]
        assert place.place("cleo").startswith(
            "All 2 cards (GPUs) of this host are taken; 1 may be free within minutes. You"
        )
        place.ends("ann")
        place.held = {"1": "bob"}
        await some_looks()
        assert place.admitted == ["ann", "bob", "cleo"]
        assert cards("cleo") == ("0",)
        place.seats.dismiss(place.users["dan"].spawners[""])
        await some_looks()
        assert "The cards (GPUs) were taken" in str(place.tasks["dan"].exception())

    lending(place, story, "0", "1")


def test_who_waits_for_a_card_holds_up_nobody_who_needs_none(place: Place) -> None:
    for name in ("ann", "bob"):
        place.add(name, gpus=1)
    for name in ("cleo", "dan"):
        place.add(name)

    async def story() -> None:
        place.asks("ann", "bob", "cleo")
        await some_looks()
        assert place.admitted == ["ann", "cleo"]
        place.asks("dan")
        await some_looks()
        assert place.admitted == ["ann", "cleo", "dan"]
        assert place.place("bob").startswith("The card (GPU) of this host is taken. You are the first in the queue.")

    lending(place, story, "0")


def test_who_needs_more_cards_than_are_free_is_passed_by_nobody_who_needs_fewer(place: Place) -> None:
    place.add("ann", gpus=1)
    place.add("bob", gpus=2)
    place.add("cleo", gpus=1)

    async def story() -> None:
        place.asks("ann", "bob", "cleo")
        await some_looks()
        assert place.admitted == ["ann"]
        assert place.place("bob").startswith(
            "1 of 2 cards (GPUs) of this host is free, and your server needs 2. You are the first"
        )
        assert place.place("cleo").startswith(
            "Somebody before you waits for more cards (GPUs) than are free. One person is"
        )
        place.ends("ann")
        await some_looks()
        assert place.admitted == ["ann", "bob"]

    lending(place, story, "0", "1")


def test_a_new_hub_knows_who_has_a_card_by_the_containers_alone(place: Place) -> None:
    """Also of another deployment; what a user's own lost server holds is theirs, as it is removed when the next one starts."""
    for name in ("ann", "bob", "cleo"):
        place.add(name, gpus=1)

    async def story() -> None:
        place.runs("ann")
        place.held = {"0": "ann", "1": "", "2": "cleo"}
        place.asks("bob", "cleo")
        await some_looks()
        assert place.admitted == [], "bob came first, and waits for any card"
        place.held = {"0": "ann", "1": "", "2": "bob"}
        await some_looks()
        assert place.admitted == ["bob"]
        assert place.users["bob"].spawners[""].cards == ("2",)

    lending(place, story, "0", "1", "2")


def test_memory_is_looked_at_for_who_waits_for_a_card_as_for_everybody(place: Place) -> None:
    place.add("ann")
    place.add("bob", gpus=1)

    async def story() -> None:
        place.runs("ann")
        place.asks("bob")
        await some_looks()
        assert place.admitted == []
        assert place.place("bob").startswith("This host is full.")
        place.ends("ann")
        await some_looks()
        assert place.admitted == ["bob"]

    lending(place, story, "0", cap=rule.COMPONENTS + SURE)


def test_nobody_is_asked_about_cards_where_nobody_wants_one(place: Place) -> None:
    place.add("ann")
    asked: list[int] = []

    def held() -> dict[str, str]:
        asked.append(1)
        return {}

    async def story() -> None:
        place.seats = seats.Seats(None, 50, cards=("0",), held=held)
        place.seats.begin(place.users)
        place.asks("ann")
        await some_looks()
        assert (place.admitted, asked) == (["ann"], [])

    lending(place, story, "0")
