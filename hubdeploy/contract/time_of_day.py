"""When a time of day, such as 03:00, comes in the zone that the variable TZ names. Moments are seconds since 1970."""

from __future__ import annotations

import time


def last(at: str, moment: float) -> float:
    """When it came last; the moment itself counts."""
    todays = _on(at, moment)
    return todays if todays <= moment else _on(at, moment, -1)


def after(at: str, moment: float) -> float:
    """When it comes next after the moment."""
    todays = _on(at, moment)
    return todays if todays > moment else _on(at, moment, 1)


def _on(at: str, moment: float, days: int = 0) -> float:
    """Of the moment's day, or so many days later."""
    hour, minute = map(int, at.split(":"))
    day = time.localtime(moment)
    return time.mktime((day.tm_year, day.tm_mon, day.tm_mday + days, hour, minute, 0, 0, 0, -1))
