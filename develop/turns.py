"""Which long groups run, and in which order. Pure: it gets what is known of each group, and starts nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from develop.groups import Group
from develop.records import Record

# Even if nothing that a group names has changed, something outside of the checkout may have: Debian's packages, the engine.
BY_TURNS = 2


@dataclass(frozen=True)
class Standing:
    """A group, the digest of its inputs as they are, and its last green run."""

    group: Group
    digest: str
    last: Record | None

    @property
    def holds(self) -> bool:
        """True if the last green run was made with these inputs."""
        return self.last is not None and self.last.digest == self.digest

    @property
    def seconds(self) -> int:
        """How long a run is expected to take."""
        return self.last.seconds if self.last else self.group.minutes * 60

    def when(self) -> str:
        """When it was last green, in words."""
        if self.last is None:
            return "never green"
        return f"last green {self.last.date}" + ("" if self.holds else ", with other inputs")


def in_order(standings: Sequence[Standing], turn: int) -> list[Standing]:
    """Groups whose record does not hold, the longest-unrun first (those never green before all); then BY_TURNS others,
    from the one whose turn it is: number `turn`, counted round the table."""
    waiting = sorted(
        (one for one in standings if not one.holds), key=lambda one: "" if one.last is None else one.last.date
    )
    start = turn % len(standings) if standings else 0
    others = [one for one in (*standings[start:], *standings[:start]) if one.holds]
    return [*waiting, *others[:BY_TURNS]]


def next_that_fits(waiting: Sequence[Standing], seconds_left: float | None, begun: bool) -> Standing | None:
    """The first that is expected to end within the seconds (None: without a limit). The very first of a run, when nothing
    has `begun`, always fits, or a group longer than the limit would never run. None if none fits."""
    if not begun or seconds_left is None:
        return waiting[0] if waiting else None
    return next((one for one in waiting if one.seconds <= seconds_left), None)
