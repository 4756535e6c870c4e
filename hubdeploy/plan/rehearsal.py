"""What a rehearsal found: figures of what the people felt, and one sentence that says whether a class of that size would do well.
Pure.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from hubdeploy.contract import rehearsals, seats
from hubdeploy.contract.rehearsals import Event, Host

# Seconds within which 95 of 100 pages and cells must come for a class that does not wait, and all starts together.
PAGE_WITHIN, CELL_WITHIN, START_WITHIN = 1.0, 0.5, 60.0
# The rows of the table: what happened -> its words.
TIMED = {
    rehearsals.PAGE: "a page",
    rehearsals.LOGGED_IN: "login",
    rehearsals.STARTED: "start of the server",
    rehearsals.LAB: "JupyterLab loaded, without drawing it",
    rehearsals.FIRST: "login to the first output",
    rehearsals.CELL: "a cell",
    rehearsals.SAVE: "saving",
}
_PARTS = (0.50, 0.95, 0.99)
_GB = 10**9
_MB = 10**6


@dataclass(frozen=True)
class Load:
    """What engine and host say of a rehearsal. Bytes: `person` is what one person's server took at the busiest moment, on
    average, `hub` and `proxy` what these took; None where nobody could look. `components` and `servers` are the parts of one
    processor that hub and proxy, and all servers of the people, took on average. `cap`, `available` and `guarantee` decide how
    many seats there are: what the deployment may take, what the host could give before the rehearsal, and what each server is
    sure of."""

    processors: int
    cap: int
    available: int
    guarantee: int
    person: int | None = None
    hub: int | None = None
    proxy: int | None = None
    components: float = 0.0
    servers: float = 0.0

    @property
    def seats(self) -> int | None:
        """How many servers the host has memory for, by the rule that lets servers start."""
        each = max(self.guarantee, self.person or 0)
        return seats.left(each, (), cap=self.cap, available=self.available) if each else None


@dataclass
class Course:
    """What has happened so far, in the order in which it was told."""

    users: int
    events: list[Event] = field(default_factory=list)
    hosts: list[Host] = field(default_factory=list)

    def took(self, what: str) -> list[float]:
        return sorted(one.took for one in self.events if one.what == what)

    def who(self, what: str) -> set[int]:
        return {one.who for one in self.events if one.what == what}

    @property
    def failures(self) -> list[Event]:
        return [one for one in self.events if one.what == rehearsals.FAILED]

    @property
    def gone(self) -> set[int]:
        """Who has come to the end, or failed."""
        return self.who(rehearsals.DONE) | self.who(rehearsals.FAILED)

    @property
    def unfinished(self) -> set[int]:
        """Who neither came to the end nor failed: the rehearsal was cut short."""
        return set(range(1, self.users + 1)) - self.gone

    @property
    def progress(self) -> str:
        """One line: how far everybody is."""
        at_work = self.who(rehearsals.FIRST) - self.gone
        parts = (
            (len(self.who(rehearsals.ARRIVED)), "arrived"),
            (len(self.who(rehearsals.LOGGED_IN)), "logged in"),
            (len(self.who(rehearsals.STARTED)), "with a server"),
            (len(at_work), "at work"),
            (len(self.who(rehearsals.DONE)), "done"),
            (len(self.who(rehearsals.FAILED)), "failed"),
        )
        return f"of {self.users}: " + ", ".join(f"{number} {words}" for number, words in parts)

    @property
    def busy(self) -> list[Host]:
        """How the host was while people worked."""
        times = [one.at for one in self.events if one.what in (rehearsals.LOGGED_IN, rehearsals.CELL, rehearsals.FIRST)]
        return [one for one in self.hosts if times and min(times) <= one.at <= max(times)]


def percentile(values: Sequence[float], part: float) -> float:
    """The least of sorted values that this part of all do not exceed."""
    return values[max(0, math.ceil(part * len(values)) - 1)]


def figures(course: Course) -> dict[str, tuple[float, float, float, int]]:
    """What happened -> seconds that half, 95 and 99 of 100 did not exceed, and how often."""
    found = {what: course.took(what) for what in TIMED}
    return {
        what: (*(percentile(values, part) for part in _PARTS), len(values))  # type: ignore[misc]
        for what, values in found.items()
        if values
    }


def rows(course: Course) -> Iterator[tuple[str, ...]]:
    """The lines of a table, behind HEAD."""
    for what, (*parts, count) in figures(course).items():
        yield (TIMED[what], *(f"{one:.2f}" for one in parts), str(count))


HEAD = ("seconds", "half of all", "95 of 100", "99 of 100", "how many")


def lines(course: Course, load: Load) -> Iterator[str]:
    """What the host gave, a line each; then why people failed."""
    if busy := course.busy:
        at_work = sum(one.busy for one in busy) / len(busy)
        own = sum(one.own for one in busy) / len(busy)
        yield (
            f"processors: {at_work:.0%} of {load.processors} at work on average, {max(one.busy for one in busy):.0%} at most;"
            f" people's servers took {load.servers / load.processors:.0%}, hub and proxy {load.components / load.processors:.0%},"
            f" the simulated browsers themselves {own:.0%}"
        )
        yield f"memory that the host could still give: {min(one.available for one in busy) / _GB:.1f} GB at least"
    if load.person is not None:
        yield f"memory of one person's server with its kernel: {load.person / _MB:.0f} MB on average"
    if load.hub is not None and load.proxy is not None:
        yield f"memory of the hub: {load.hub / _MB:.0f} MB, of the proxy: {load.proxy / _MB:.0f} MB"
    if load.seats is not None:
        by = "as each server is sure of" if load.guarantee >= (load.person or 0) else "as each person took"
        each = max(load.guarantee, load.person or 0)
        yield f"seats: {load.seats}, with {each / _MB:.0f} MB {by}"
    yield from (f"failed: {count} × {why}" for why, count in Counter(_words(course)).most_common())
    if course.unfinished:
        yield f"not at the end when the rehearsal ended: {len(course.unfinished)}"


def _words(course: Course) -> Iterable[str]:
    """Why each failed, without the names of the simulated people, so that equal causes are one."""
    for one in course.failures:
        yield one.why.replace(rehearsals.name(one.who), "NAME")


def verdict(course: Course, load: Load) -> str:
    """One sentence."""
    people, found = f"a class of {course.users}", figures(course)
    failed = len(course.who(rehearsals.FAILED)) + len(course.unfinished)
    if failed:
        return f"This host does not carry {people}: {failed} of {course.users} could not work to the end."
    slow = [
        f"{words} takes {found[what][1]:.1f} s"
        for what, words, within in (
            (rehearsals.PAGE, "a page", PAGE_WITHIN),
            (rehearsals.STARTED, "the start of a server", START_WITHIN),
            (rehearsals.CELL, "a short cell", CELL_WITHIN),
        )
        if what in found and found[what][1] > within
    ]
    if slow:
        *others, last = slow
        felt = f"{', '.join(others)} and {last}" if others else last
        return f"This host carries {people}, and they will feel it: {felt} for 5 of 100."
    page, start, cell = (
        found.get(one, (0, 0, 0, 0))[1] for one in (rehearsals.PAGE, rehearsals.STARTED, rehearsals.CELL)
    )
    sentence = (
        f"This host carries {people}: 95 of 100 pages came within {page:.1f} s, servers started within {start:.0f} s,"
        f" and short cells ran within {cell:.2f} s."
    )
    if load.seats is not None and load.seats < course.users:
        return f"{sentence[:-1]}; but its rule for memory gives {load.seats} seats, so others may have to wait."
    return sentence


def document(course: Course, load: Load, asked: Mapping[str, float]) -> dict[str, object]:
    """All of it for programs; `asked` are the options."""
    return {
        "asked": dict(asked),
        "seconds": {
            what: dict(zip(("p50", "p95", "p99", "count"), one, strict=True)) for what, one in figures(course).items()
        },
        "failed": [one.why for one in course.failures],
        "unfinished": len(course.unfinished),
        "load": vars(load) | {"seats": load.seats},
        "processors": [(one.at, one.busy, one.own) for one in course.hosts],
        "verdict": verdict(course, load),
    }
