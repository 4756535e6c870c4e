"""How often somebody may fail to log in: after a few failures each try waits longer than the last.

Counted by name and address together, so that a guesser at another address keeps no user out, and a class behind one
address can log in at once. It lives in memory, and its size is bounded.
"""

from __future__ import annotations

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

# Failures without a pause, the first pause, which doubles, and the longest: so long a colleague behind the same address
# can be kept out. Seconds.
FREE, FIRST, LONGEST = 5, 2.0, 300.0
# Seconds after which failures are forgotten.
FORGOTTEN = 3600.0
MOST = 10_000
_LONGEST_NAME = 255


@dataclass
class _Count:
    failures: int
    last: float
    until: float


class Tries:
    """All who try. A try counts as a failure until it is known to be none, so that many at once gain nothing."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._counts: OrderedDict[tuple[str, str], _Count] = OrderedDict()

    def begin(self, name: str, address: str) -> int:
        """0 if the try may go on, and it counts then; else the whole seconds to wait."""
        now, key = self._clock(), _key(name, address)
        count = self._counts.pop(key, None)
        if count is None or now - count.last > FORGOTTEN:
            count = _Count(0, now, now)
        self._counts[key] = count
        if now < count.until:
            return math.ceil(count.until - now)
        count.failures, count.last = count.failures + 1, now
        # The power is bounded, as a number of days in the pause could be.
        beyond = min(count.failures - FREE, 20)
        count.until = now + min(FIRST * 2**beyond, LONGEST) if beyond >= 0 else now
        while len(self._counts) > MOST:
            self._counts.popitem(last=False)
        return 0

    def succeeded(self, name: str, address: str) -> None:
        self._counts.pop(_key(name, address), None)


def _key(name: str, address: str) -> tuple[str, str]:
    """An IPv6 address stands for its network of 64 bits: whoever has one address there has all of them."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return name[:_LONGEST_NAME], address
    if found.version == 6:
        return name[:_LONGEST_NAME], str(ipaddress.ip_network((found, 64), strict=False))
    return name[:_LONGEST_NAME], address
