"""Whether a host has memory for one more server. One rule for the settings and for the hub. Pure; all amounts are bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# What engine and components keep of the memory that a deployment may take, and what stays free on the host beside all that was
# promised.
COMPONENTS, SPARE = 512 * 1024**2, 256 * 1024**2


@dataclass(frozen=True)
class Server:
    """One that runs or starts: what it is sure to have, and what it takes."""

    guarantee: int
    taken: int = 0

    @property
    def counts(self) -> int:
        return max(self.guarantee, self.taken)


def least_cap(guarantee: int) -> int:
    """What a deployment must be able to take, so that one server with this guarantee finds its memory beside it."""
    return COMPONENTS + guarantee


def has_room(guarantee: int, servers: Sequence[Server], *, cap: int, available: int) -> bool:
    """Whether a server with this guarantee finds its memory beside `servers`. `cap` is what deployment and servers may take
    together, `available` what the host's kernel could give now."""
    return left(guarantee, servers, cap=cap, available=available) > 0


def left(guarantee: int, servers: Sequence[Server], *, cap: int, available: int) -> int:
    """How many more servers with this guarantee find their memory beside `servers`. Where no server runs, one needs only what is
    there: waiting would not help."""
    promised = sum(one.counts for one in servers)
    not_yet_taken = promised - sum(one.taken for one in servers)
    found = min((cap - least_cap(promised)) // guarantee, (available - SPARE - not_yet_taken) // guarantee)
    least = 0 if servers or available < guarantee else 1
    return max(found, least)
