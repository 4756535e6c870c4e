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
    together, `available` what the host's kernel could give now. Where no server runs, only what is there counts: waiting would
    not help."""
    if not servers:
        return available >= guarantee
    promised = sum(one.counts for one in servers)
    not_yet_taken = promised - sum(one.taken for one in servers)
    return least_cap(promised + guarantee) <= cap and not_yet_taken + guarantee <= available - SPARE
