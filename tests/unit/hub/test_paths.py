"""The spellings of a user's address. tests/hub/test_addresses.py asks a real Traefik; here are the limits."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

import pytest

from tests.unit.hub import hub_image

paths = hub_image.load("paths")
NAMES = [
    "bob@example.org",
    "o'neil+b",
    "zoë",
    "a b",
    "back`tick",
    "a\\x41",
    "[a]{c}<d>|^",
    "per%cent",
    "que?ry#x",
    "p!$&()*,;:=~",
]


def canonical(name: str) -> str:
    """As JupyterHub spells it."""
    return f"/user/{quote(name, safe='@~')}"


@pytest.mark.parametrize("name", NAMES)
def test_both_extremes_of_spelling_are_taken(name: str) -> None:
    sent = re.compile(paths.spellings_as_sent(canonical(name)))
    literal = "".join(one if one in paths.LITERAL else quote(one, safe="~") for one in name)
    for spelling in (quote(name, safe=""), literal, quote(name, safe="@~")):
        assert sent.fullmatch(f"/user/{spelling}"), spelling


@pytest.mark.parametrize("name", NAMES)
def test_no_other_name_is_taken(name: str) -> None:
    for pattern in (paths.spellings_as_sent(canonical(name)), paths.spellings_for_a_rule(canonical(name))):
        for other in (*NAMES, f"{name}x", name[:-1], name.replace(".", "-")):
            if other != name:
                assert not re.fullmatch(pattern, canonical(other))
                assert not re.fullmatch(pattern, f"/user/{other}")


@pytest.mark.parametrize("name", NAMES)
def test_a_rule_holds_neither_a_backtick_nor_a_backslash_before_an_x(name: str) -> None:
    pattern = paths.spellings_for_a_rule(canonical(name))
    assert "`" not in pattern
    assert r"\x" not in pattern


def test_an_ordinary_name_has_one_spelling() -> None:
    assert paths.is_plain("/user/ann-lee_2.b~/")
    assert not any(paths.is_plain(canonical(name)) for name in NAMES)
    assert unquote("/user/ann-lee_2.b~/") == "/user/ann-lee_2.b~/"
