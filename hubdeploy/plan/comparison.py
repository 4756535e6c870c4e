"""Says in words what differs between a file that a container has and the one that it should have. Never shows a secret:
those are named only. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hubdeploy.blueprint import held_documents
from hubdeploy.contract.documents import Contract, Secret, Secrets, plain

# More than this many differences are counted, not listed.
_LISTED = 6


def differences(before: Secret[bytes] | None, after: Secret[bytes] | Contract | Secrets) -> str:
    """What changed, such as `kinds.default.nb_user: cryptic -> ada`; `before` is what the container has."""
    if isinstance(after, Secret):
        return "changed"
    read = held_documents.contract if isinstance(after, Contract) else held_documents.secrets
    held = read(before)
    if held is None:
        return "was never written" if before is None else "could not be read"
    return _sentence(_changes(plain(held), plain(after), "", secret=isinstance(after, Secrets)))


def _changes(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str, *, secret: bool) -> list[str]:
    found: list[str] = []
    for key in (*new, *(key for key in old if key not in new)):
        before, after = old.get(key), new.get(key)
        name = f"{prefix}{key}"
        if before == after:
            continue
        if isinstance(before, dict) and isinstance(after, dict):
            found += _changes(before, after, f"{name}.", secret=secret)
        elif secret:
            found.append(f"{name} is new" if before is None else f"{name} changed")
        elif key == "users":
            found += _user_changes(before or [], after or [])
        elif (old_ones := _by_name(before)) and (new_ones := _by_name(after)):
            found += _changes(old_ones, new_ones, f"{name}.", secret=secret)
        else:
            found.append(f"{name}: {_text(before)} -> {_text(after)}")
    return found


def _by_name(value: Any) -> dict[str, Any]:
    """A list of objects with names as name -> object; empty for any other value."""
    named = isinstance(value, list) and all(isinstance(one, dict) and "name" in one for one in value)
    return {one["name"]: one for one in value} if named else {}


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
        return "the same in another form"
    shown = ", ".join(changes[:_LISTED])
    return shown if len(changes) <= _LISTED else f"{shown} and {len(changes) - _LISTED} more"
