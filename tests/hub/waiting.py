"""Waits that end: for a condition, at most so long, and say what they waited for."""

from __future__ import annotations

import time
from collections.abc import Callable

_STEP = 0.1


def until(condition: Callable[[], bool], within: float, what: str) -> None:
    """Returns as soon as `condition` holds; raises AssertionError after `within` seconds."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"waited {within:.0f} s in vain until {what}"
        time.sleep(_STEP)
