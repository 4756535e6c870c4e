"""Reads what the hub sends: whole, bounded, and exactly as it is written. Whatever is not understood is refused.

The engine takes keys of JSON in any case and the last of two that are the same, so here a key has one spelling and stands
once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from contract import cards, labels, servers

# Bytes of a body, of one value of the environment, and how many values there may be.
LONGEST_BODY, LONGEST_VALUE, MOST_VALUES = 256 * 1024, 32 * 1024, 100
# JupyterHub's own bound of a user's name.
LONGEST_USER = 255
# A container, an image or a volume in a path.
NAME, ID = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,254}", r"[0-9a-f]{64}"
IMAGE = r"[A-Za-z0-9][A-Za-z0-9_.:/@-]{0,254}"


class Refused(Exception):
    """The hub may not ask for this; says why."""


def query(text: str, allowed: Mapping[str, str]) -> dict[str, str]:
    """The parts of a query; `allowed` has a pattern of the value for each name that there may be. Raises Refused."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=True, errors="strict") if text else []
    except ValueError as error:
        raise Refused("a query that cannot be read") from error
    found = _once(pairs)
    for name, value in found.items():
        if name not in allowed or re.fullmatch(allowed[name], value, re.DOTALL) is None:
            raise Refused(f"{name}={value[:40]} in the query")
    return found


def document(body: bytes | str) -> dict[str, Any]:
    """A JSON object. Raises Refused."""
    try:
        found = json.loads(body, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise Refused("JSON that cannot be read") from error
    if not isinstance(found, dict):
        raise Refused("JSON that is no object")
    return found


def _once(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if any(name.casefold() == one.casefold() for one in found):
            raise Refused(f"{name[:40]} twice")
        found[name] = value
    return found


def only(found: Mapping[str, Any], allowed: Iterable[str]) -> None:
    """Raises Refused if there is a key that is not allowed."""
    more = sorted(found.keys() - set(allowed))
    if more:
        raise Refused(f"{', '.join(more)[:200]}: the hub does not choose it")


def texts(value: Any, pattern: str = ".*") -> list[str]:
    """A list of texts of a pattern. Raises Refused."""
    if not isinstance(value, list) or not all(
        isinstance(one, str) and re.fullmatch(pattern, one, re.DOTALL) for one in value
    ):
        raise Refused("a list that is not of such texts")
    return value


def filters(text: str, allowed: Mapping[str, str]) -> dict[str, list[str]]:
    """The engine's filters: a JSON object of lists; `allowed` as in query(). Raises Refused."""
    found = document(text)
    only(found, allowed)
    return {name: texts(value, allowed[name]) for name, value in found.items()}


def wish(body: bytes) -> servers.Wish:
    """The request for a new server: its user and the hub's part of its environment. Raises Refused for anything more."""
    found = document(body)
    only(found, ("Env", "Labels"))
    carried = found.get("Labels")
    if not isinstance(carried, dict):
        raise Refused("a server without labels")
    only(carried, (labels.USER, labels.ASIDE, labels.KIND, labels.CARDS))
    user, aside, kind = carried.get(labels.USER), carried.get(labels.ASIDE, "no"), carried.get(labels.KIND, "")
    if not isinstance(user, str) or not 0 < len(user) <= LONGEST_USER or not user.isprintable():
        raise Refused("a server without a user's name")
    if aside not in ("yes", "no"):
        raise Refused(f"{labels.ASIDE}={aside!r}"[:80])
    if not isinstance(kind, str):
        raise Refused(f"{labels.KIND}={kind!r}"[:80])
    wanted = carried.get(labels.CARDS, "")
    if not isinstance(wanted, str):
        raise Refused(f"{labels.CARDS}={wanted!r}"[:80])
    environment = _environment(found.get("Env", []))
    return servers.Wish(user, environment, aside=aside == "yes", kind=kind, cards=cards.of_label(wanted))


def _environment(value: Any) -> dict[str, str]:
    lines = texts(value)
    if len(lines) > MOST_VALUES:
        raise Refused(f"{len(lines)} values of the environment")
    found: dict[str, str] = {}
    for line in lines:
        name, separator, text = line.partition("=")
        if not separator or not servers.is_hubs(name):
            raise Refused(f"{name[:80]} in the environment: the hub does not choose it")
        if name in found or len(text.encode(errors="surrogatepass")) > LONGEST_VALUE or "\0" in text:
            raise Refused(f"{name[:80]} in the environment twice, or too long")
        found[name] = text
    return found
