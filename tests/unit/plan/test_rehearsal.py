"""What is said of a rehearsal, and how it is drawn: figures of given events."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from hubdeploy.commands import rehearsal as command
from hubdeploy.commands import rehearsal_picture
from hubdeploy.contract import rehearsals, seats
from hubdeploy.contract.rehearsals import Event, Host
from hubdeploy.contract.use import Use
from hubdeploy.errors import DeployError
from hubdeploy.plan import rehearsal
from hubdeploy.plan.rehearsal import Course, Load
from hubdeploy.settings.declarations import defaults

GB = 1024**3
LOAD = Load(
    processors=2, cap=8 * GB, available=8 * GB, guarantee=256 * 1024**2, person=128 * 1024**2, hub=10**8, proxy=5 * 10**7,
    components=0.1, servers=0.6,
)  # fmt: skip


def course(users: int = 20, *, cell: float = 0.05, start: float = 3.0, page: float = 0.1, failed: int = 0) -> Course:
    found = Course(users)
    for who in range(1, users + 1):
        found.events += [
            Event(who, who, rehearsals.ARRIVED),
            Event(who + 0.1, who, rehearsals.PAGE, page),
            Event(who + 0.2, who, rehearsals.LOGGED_IN, 0.2),
        ]
        if who <= failed:
            found.events.append(Event(who + 1, who, rehearsals.FAILED, why=f"no server of {rehearsals.name(who)}"))
            continue
        found.events += [
            Event(who + start, who, rehearsals.STARTED, start),
            Event(who + start + 2, who, rehearsals.FIRST, start + 2),
            *(Event(who + start + 3 + number, who, rehearsals.CELL, cell) for number in range(5)),
            Event(who + 60, who, rehearsals.DONE),
        ]
    found.hosts = [Host(at, 0.5, 0.1, 6 * 10**9, 2) for at in range(0, 90, 2)]
    return found


def test_percentiles_are_values_that_were_measured() -> None:
    values = [float(one) for one in range(1, 101)]
    assert [rehearsal.percentile(values, part) for part in (0.5, 0.95, 0.99)] == [50, 95, 99]
    assert rehearsal.percentile([7.0], 0.99) == 7.0


def test_each_figure_counts_what_happened() -> None:
    found = rehearsal.figures(course())
    assert found[rehearsals.CELL] == (0.05, 0.05, 0.05, 100)
    assert found[rehearsals.STARTED] == (3.0, 3.0, 3.0, 20)
    assert rehearsals.SAVE not in found, "nobody saved"
    assert [row[0] for row in rehearsal.rows(course())] == [
        "a page", "login", "start of the server", "login to the first output", "a cell",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (
            course(),
            "This host carries a class of 20: 95 of 100 pages came within 0.1 s, servers started within 3 s, and short cells"
            " ran within 0.05 s.",
        ),
        (
            course(cell=0.8, page=2.5),
            "This host carries a class of 20, and they will feel it: a page takes 2.5 s and a short cell takes 0.8 s"
            " for 5 of 100.",
        ),
        (course(failed=3), "This host does not carry a class of 20: 3 of 20 could not work to the end."),
        (Course(2), "This host does not carry a class of 2: 2 of 2 could not work to the end."),
    ],
)
def test_the_verdict_is_one_sentence(found: Course, sentence: str) -> None:
    assert rehearsal.verdict(found, LOAD) == sentence


def test_who_would_wait_for_memory_is_told() -> None:
    assert rehearsal.verdict(course(40), replace(LOAD, cap=4 * GB)).endswith(
        "0.05 s; but its rule for memory gives 14 seats, so others may have to wait."
    )


def test_seats_are_what_the_rule_lets_start() -> None:
    """One more would not find room."""
    sure = 256 * 1024**2
    for cap, available in ((8 * GB, 64 * GB), (64 * GB, 3 * GB), (2 * GB, 2 * GB)):
        count = replace(LOAD, guarantee=sure, person=None, cap=cap, available=available).seats or 0
        for others, has_room in ((count - 1, True), (count, False)):
            running = [seats.Server(sure, sure)] * others
            left = available - others * sure
            assert seats.has_room(sure, running, cap=cap, available=left) is has_room, (cap, available, others)
    assert replace(LOAD, person=None, guarantee=0).seats is None


def test_equal_causes_are_one_line() -> None:
    lines = list(rehearsal.lines(course(failed=3), LOAD))
    assert "failed: 3 × no server of NAME" in lines
    assert any("servers took 30%, hub and proxy 5%, the simulated browsers themselves 10%" in one for one in lines)
    assert "seats: 30, with 268 MB as each server is sure of" in lines
    assert "seats: 15, with 537 MB as each person took" in list(
        rehearsal.lines(course(), replace(LOAD, person=512 * 1024**2))
    )


def test_progress_says_how_far_everybody_is() -> None:
    found = course(failed=1)
    found.events = [one for one in found.events if one.what != rehearsals.DONE]
    assert found.progress == "of 20: 20 arrived, 20 logged in, 19 with a server, 19 at work, 0 done, 1 failed"
    assert found.unfinished == set(range(2, 21))


def test_the_picture_is_small_the_same_each_time_and_well_formed() -> None:
    large = course(rehearsals.MOST_USERS)
    large.events += [Event(at / 10, 1, rehearsals.CELL, at % 7 / 10) for at in range(20_000)]
    large.hosts = [Host(at, at % 10 / 10, 0.1, GB, 2) for at in range(0, 7200, 2)]
    drawn = rehearsal_picture.draw(large, LOAD, "a <class> & more")
    assert drawn == rehearsal_picture.draw(large, LOAD, "a <class> & more")
    assert len(drawn.encode()) < 100_000
    root = ElementTree.fromstring(drawn)
    lines = [one for one in root.iter() if one.tag.endswith("polyline")]
    assert len(lines) == 3 + 2 + 2, "people, cells, processors"
    width, height = float(root.get("width", 0)), float(root.get("height", 0))
    for one in lines:
        for point in one.get("points", "").split():
            x, y = map(float, point.split(","))
            assert 0 <= x <= width
            assert 0 <= y <= height


def test_nothing_has_happened_and_a_picture_is_drawn() -> None:
    ElementTree.fromstring(rehearsal_picture.draw(Course(3), replace(LOAD, person=None), "nothing"))


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("0", "60", "5", "10"), "--users 0"),
        (("201", "60", "5", "10"), "--users 201"),
        (("forty", "60", "5", "10"), "--users forty"),
        (("4.5", "60", "5", "10"), "--users 4.5"),
        (("40", "-1", "5", "10"), "--over -1"),
        (("40", "3601", "5", "10"), "--over 3601"),
        (("40", "60", "0", "10"), "--minutes 0"),
        (("40", "60", "61", "10"), "--minutes 61"),
        (("40", "60", "5", "0"), "--think 0"),
        (("40", "60", "5", "nan"), "--think nan"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused(words: tuple[str, str, str, str], found: str) -> None:
    with pytest.raises(DeployError) as refused:
        command.Asked.read(*words)
    assert refused.value.found == found


def test_options_are_read_and_the_whole_is_bounded() -> None:
    asked = command.Asked.read("40", "0", "2.5", "0.5")
    assert asked == command.Asked(40, 0, 2.5, 0.5)
    assert asked.within == 2 * 150 + 600


class Place:
    """A deployment whose engine answers with given uses, as its only border."""

    def __init__(self) -> None:
        self.settings, self.engine, self.display = defaults(name="lab"), self, self
        self.uses: dict[str, Use] = {}
        self.lines: list[str] = []

    def use(self, containers: Iterable[str]) -> dict[str, Use]:
        return {name: self.uses[name] for name in containers if name in self.uses}

    def line(self, text: str = "") -> None:
        self.lines.append(text)


def test_what_was_heard_and_seen_makes_the_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    place: Any = Place()
    now = [1000.0]
    monkeypatch.setattr(command, "time", SimpleNamespace(monotonic=lambda: now[0]))
    watch = command._Watch(place, Course(2), _told_at=1000.0)

    def hear(what: Event | Host) -> None:
        key = rehearsals.HOST if isinstance(what, Host) else rehearsals.EVENT
        watch.hear(json.dumps({key: vars(what)}))

    hear(Host(0, 0, 0, 5 * GB, 4))
    hear(Event(1, 1, rehearsals.FIRST, 3.0))
    hear(Event(1, 2, rehearsals.FIRST, 3.0))
    for seconds in (0.0, 30.0, 60.0):
        now[0] = 1030.0 + seconds
        server = Use(10**8, seconds / 10, "")
        place.uses = {"lab-hub": Use(10**7, seconds / 2, ""), "lab-proxy": Use(10**6, seconds / 4, "")}
        place.uses |= {f"lab-user-rehearsal00{number}-2e": server for number in (1, 2)}
        hear(Host(seconds, 0.5, 0.1, 4 * GB, 4))
        if not seconds:
            once = watch.load(place.settings, 16 * GB)
            assert (once.person, once.components, once.servers) == (10**8, 0.0, 0.0), (
                "one look says nothing of processors"
            )
    hear(Event(70, 2, rehearsals.FAILED, why="no kernel"))
    load = watch.load(place.settings, 16 * GB)
    assert (load.processors, load.available, load.cap, load.guarantee) == (4, 5 * GB, 16 * GB, 256 * 1024**2)
    assert (load.person, load.hub, load.proxy) == (10**8, 10**7, 10**6)
    assert load.components == pytest.approx(0.75)
    assert load.servers == pytest.approx(0.2)
    assert "  rehearsal002. failed: no kernel" in place.lines
    assert "  of 2: 0 arrived, 0 logged in, 0 with a server, 2 at work, 0 done, 0 failed" in place.lines
