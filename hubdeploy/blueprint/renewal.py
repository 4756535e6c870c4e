"""When Traefik renews a certificate. It asks how long certificates are valid, and has steps. Pure."""

from __future__ import annotations

# Days that Traefik is told -> days before its end at which it then renews (traefik, pkg/provider/acme, 3.x).
_STEPS = {365.0: 120.0, 90.0: 30.0, 30.0: 10.0, 7.0: 1.0, 1.0: 0.25, 0.0: 20 / 1440}


def duration(days: float) -> int:
    """The hours to tell Traefik for certificates that are valid for so many days: those with which it renews nearest to a third
    before the end, and never before half."""
    fits = {told: before for told, before in _STEPS.items() if before <= days / 2}
    told = min(fits or {0.0: 0.0}, key=lambda one: abs(_STEPS[one] - days / 3))
    return max(1, int(told * 24))


def days_before_end(hours: int) -> float:
    """How long before the end it renews then."""
    return next(before for told, before in _STEPS.items() if hours >= told * 24)
