"""Says in words what differs between two of the hub's documents. Never shows a secret: those are named only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

# More than this many differences are counted, not listed.
_LISTED = 6


def documents(before: bytes | None, after: bytes, *, secret: bool = False) -> str:
    """What changed from one JSON document to another, such as `server.nb_user: cryptic -> ada`."""
    try:
        old = None if before is None else json.loads(before)
    except ValueError:
        old = None
    if not isinstance(old, dict):
        return "was never written" if before is None else "could not be read"
    return _sentence(_changes(old, json.loads(after), "", secret))


def users(contract: bytes) -> frozenset[str]:
    """The names that a contract lists; none if it cannot be read."""
    try:
        return frozenset(user["name"] for user in json.loads(contract).get("users", ()))
    except (ValueError, TypeError, KeyError, AttributeError):
        return frozenset()


def volumes(contract: bytes | None) -> tuple[str, int] | None:
    """Which volumes a contract gives users, and whose number they must be; None if it cannot be read."""
    try:
        server = json.loads(contract or b"")["server"]
        return server["user_volume"], server["nb_uid"]
    except (ValueError, TypeError, KeyError):
        return None


def _changes(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str, secret: bool) -> list[str]:
    found: list[str] = []
    for key in sorted({*old, *new}):
        before, after = old.get(key), new.get(key)
        name = f"{prefix}{key}"
        if before == after or key == "fingerprint":
            continue
        if secret:
            found.append(f"{name} is new" if before is None else f"{name} changed")
        elif isinstance(before, dict) and isinstance(after, dict):
            found += _changes(before, after, name + ".", secret)
        elif key == "users" and isinstance(before, list) and isinstance(after, list):
            found += _user_changes(before, after)
        else:
            found.append(f"{name}: {_text(before)} -> {_text(after)}")
    return found


def _user_changes(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> list[str]:
    old = {user["name"]: user for user in before}
    new = {user["name"]: user for user in after}
    found = [f"user {name} added" for name in new if name not in old]
    found += [f"user {name} removed" for name in old if name not in new]
    for name in new:
        for flag in ("admin", "sudo"):
            if name in old and old[name].get(flag) != new[name].get(flag):
                found.append(f"user {name} {'gains' if new[name].get(flag) else 'loses'} {flag}")
    return found or ["users in another order"]


def _text(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (list, dict)) else str(value)


def _sentence(changes: list[str]) -> str:
    if not changes:
        return "written differently"
    shown = ", ".join(changes[:_LISTED])
    return shown if len(changes) <= _LISTED else f"{shown} and {len(changes) - _LISTED} more"
