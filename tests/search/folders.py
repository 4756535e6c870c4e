"""The part `shared` of `servers.yml` that a person may write, what each entry must come to, and mistakes in it."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

from hubdeploy.settings import kinds
from hubdeploy.settings.declarations import Settings
from hubdeploy.settings.folders import Folder
from tests.search.fields import groups_meant, users_meant, values
from tests.search.yaml_styles import Value

# Name -> what stands below it, which may be nothing.
Tables = dict[str, Value]
_NAMES = ("physics", "staff", "scans", "c", "0", "lab_2-b", "x" * 32)
_BAD_NAMES = ("Physics", "a b", "-a", "a-", "x" * 33, "ü", "")
_SOURCES = ("volume", "path", "nfs", "cifs")
_LISTS = ("users", "groups", "kinds")
MISTAKES = (
    "value", "value", "unknown", "twice", "twice in it", "type", "name", "two sources", "limit", "no table", "none", "many",
    "stranger", "no kind", "taken",
)  # fmt: skip


@st.composite
def folders(draw: st.DrawFn, groups: Collection[str], known: Sequence[str]) -> Tables:
    """Entries that fit a userlist with these groups, and a file with these kinds."""
    names = draw(st.lists(st.sampled_from(_NAMES), min_size=1, max_size=3, unique=True))
    return {name: draw(_folder(name, groups, known)) for name in names}


@st.composite
def _folder(draw: st.DrawFn, name: str, groups: Collection[str], known: Sequence[str]) -> Value:
    source = draw(st.sampled_from(("", "", *_SOURCES)))
    table = {source: _legal(draw, source)} if source else {}
    table |= {key: _legal(draw, key) for key in ("users", *(() if source else ("limit",))) if draw(st.booleans())}
    if draw(st.booleans()) and groups:
        spelt = [*groups, *(f"@{one}" for one in groups), *(one.upper() for one in groups)]
        table["groups"] = draw(st.lists(st.sampled_from(spelt), min_size=1, max_size=2).map(list))
    if draw(st.booleans()) and known:
        table["kinds"] = draw(st.lists(st.sampled_from(known), min_size=1, max_size=2).map(list))
    if not source and name not in groups and not {"users", "groups"} & table.keys():
        table["users"] = _legal(draw, "users")
    return {key: table[key] for key in draw(st.permutations(list(table)))} or None


def _legal(draw: st.DrawFn, key: str) -> Value:
    return draw(values(key, legal=True, entry=Folder))


def meant(table: Mapping[str, Any]) -> dict[str, Any]:
    """What an entry without a mistake comes to."""
    readings = {"users": users_meant, "groups": groups_meant, "kinds": lambda names: tuple(dict.fromkeys(names))}
    declared = kinds.declarations(Folder)
    return {key: readings.get(key, declared[key]["read"])(value) for key, value in table.items()}


def spoil(draw: st.DrawFn, s: Settings, tables: Tables, again: list[tuple[str, str, Value]]) -> tuple[Value, str]:
    """The part with a mistake in it, and the path that a refusal must name; none where it depends on what else was drawn."""
    name = draw(st.sampled_from(list(tables)))
    table = dict(tables[name] or {})  # type: ignore[arg-type]
    mistake, at = draw(st.sampled_from(MISTAKES)), f"shared.{name}"
    whole: Tables = {**tables, name: table}
    if mistake in ("value", "type", "unknown"):
        known = kinds.declarations(Folder)
        key = draw(st.sampled_from(("colour", "volme", "sudo") if mistake == "unknown" else list(known)))
        wrong: tuple[Value, ...] = ("ada", "", {"ada": "x"}, [["ada"]]) if key in _LISTS else (["x"], {"x": "y"}, [])
        illegal = values(key, legal=False, entry=Folder) if mistake == "value" else st.sampled_from(wrong)
        table[key] = draw(illegal)
        return whole, f"{at}.{key}"
    if mistake in ("twice", "twice in it"):
        inside = mistake == "twice in it" and bool(table)
        prefix, place = (f"{at}.", table) if inside else ("shared.", whole)
        key = draw(st.sampled_from(list(place)))
        again.append((prefix, key, place[key]))
        return whole, prefix + key
    if mistake == "name":
        bad = draw(st.sampled_from(_BAD_NAMES))
        return {bad if one == name else one: entry for one, entry in whole.items()}, f"shared.{bad}"
    if mistake == "two sources":
        table |= {key: _legal(draw, key) for key in draw(st.permutations(_SOURCES))[:2]}
        return whole, at
    if mistake == "limit":
        source = next((key for key in _SOURCES if key in table), draw(st.sampled_from(_SOURCES)))
        table |= {source: table.get(source) or _legal(draw, source), "limit": "1G"}
        return whole, at
    if mistake == "no table":
        return {**whole, name: draw(st.sampled_from(("x", ["x"], "0")))}, at
    if mistake == "none":
        nothing: tuple[Value, ...] = ({}, "x", ["a"], "0")
        return draw(st.sampled_from(nothing)), "shared"
    if mistake == "many":
        return {f"f{number}": {"users": ["ada"]} for number in range(33)}, "shared"
    if mistake == "stranger":
        table["groups"] = ["nobodys"]
    elif mistake == "no kind":
        table["kinds"] = ["absent"]
    else:
        for key in ("limit", *_SOURCES):
            table.pop(key, None)
        of_a_user = re.sub(r"{\w+}", "ada", s.user_volume)
        theirs = (s.data_volume, f"{s.name}-proxy", f"{s.name}-server-secrets", of_a_user, of_a_user)
        table["volume"] = draw(st.sampled_from(theirs))
    return whole, ""
