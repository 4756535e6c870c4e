"""Files `servers.yml` that a person may write, and what each must come to."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from hubdeploy.settings import kinds
from hubdeploy.settings.declarations import Settings
from hubdeploy.settings.folders import Folder
from hubdeploy.settings.kinds import FILE
from tests.search import folders
from tests.search.fields import KINDS, NAMED, fits, groups_meant, secret_values, users_meant, values
from tests.search.texts import CANARY
from tests.search.yaml_styles import Value, Writer

Texts = Mapping[str, str]
_Draw = st.DrawFn

# A name that a key of the file shows as two.
DOTTED = "a.b"
_BAD_KINDS = ("Small", "a b", "-a", "a_b", "x" * 33, "ü", "", DOTTED, "a\x1bb")
# Lists of one entry that give servers the same MAC addresses.
_ALIKE = ("10.0.0.1", "db92991")
# Who may have a kind.
_WHO = ("users", "groups", "provider_groups")
_UNKNOWN = ("colour", "memry", "kind", "<<", "Title", "gpus ", "sercets", "environments")
# Text behind a file that makes it none, or in front of it.
_BROKEN = (
    "a: [",
    "b: 'c",
    "\tc: d",
    "? [",
    "a: *nobody",
    "a: b: c",
    "- x\nd: e",
    "---\nkinds: {}",
    "%",
    "a: \x01",
    "@",
    "{",
    "a: !<",
    "[" * 4000,
)
FLAWS = (
    "illegal", "illegal", "illegal", "unknown", "twice", "type", "type", "no title", "nobody left", "name", "no kinds", "both",
    "named", "no value", "short", "broken", "broken", "no text", "many", "variable", "memory", "slip", "alike",
    "folder", "folder", "folder", "folder",
)  # fmt: skip


@dataclass(frozen=True)
class Servers:
    """`content` is None where there is no file. `kinds`: name -> field -> value as it is read, of those without a mistake; what
    all kinds have is in each. `folders` is the same for what users share. `named`: the secrets that the file lists, with their
    values; None for one that has none. `texts`: path and text of all that stands there; `lines`: path -> its first and its last
    line. `bad` are the paths that a refusal must name; FILE is the whole file. Where it is not `readable`, nobody knows what it
    lists."""

    content: bytes | None = None
    kinds: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    folders: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    named: Mapping[str, str | None] = field(default_factory=dict)
    texts: tuple[tuple[str, str], ...] = ()
    lines: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    bad: frozenset[str] = frozenset()
    readable: bool = True


# -- whole files ------------------------------------------------------------------------------------------------------


@st.composite
def servers(
    draw: _Draw, s: Settings, groups: Collection[str] = (), flaw: str = "", slips: tuple[str, ...] = ()
) -> Servers:
    """A file whose amounts fit the settings, with one of FLAWS if it is named; half of the inputs have none. `groups` are those
    of the userlist, `slips` are values of other secrets, one of which may stand in it."""
    if not flaw and draw(st.booleans()):
        return Servers()
    made = _Draft(s, groups)
    if flaw or draw(st.integers(0, 7)):
        _fill(draw, made)
    if not made.tree or flaw == "folder" or draw(st.integers(0, 2)) == 0:
        made.tree["shared"] = draw(folders.folders(sorted(groups), list(made.kinds)))
    made.tree = {key: made.tree[key] for key in draw(st.permutations(list(made.tree)))}
    if flaw:
        _spoil(draw, made, flaw, slips)
    writer = Writer(draw, made.again)
    writer.whole(made.tree)
    head = draw(st.sampled_from(("", "", "# kinds of servers\n", "---\n", "%YAML 1.1\n---\n")))
    tail = made.end or draw(st.sampled_from(("", "", "...\n", "# end")))
    text = (head + "\n".join(writer.lines) + "\n" + tail).replace("\n", draw(st.sampled_from(("\n", "\n", "\r\n"))))
    content = (
        draw(st.sampled_from((b"", b"", b"\xef\xbb\xbf"))) + text.encode() + (b"" if made.is_text else b"\xff\xfe")
    )
    before = head.count("\n")
    return Servers(
        content,
        _kinds_meant(made),
        _folders_meant(made),
        made.values,
        tuple(writer.texts),
        {path: (first + before, last + before) for path, (first, last) in writer.spans.items()},
        frozenset(made.bad),
        made.is_text and not made.end,
    )


def _meant(tree: Mapping[str, Any], table: Mapping[str, Any]) -> dict[str, Any]:
    """What a kind comes to."""
    environment = {**tree.get("environment", {}), **table.get("environment", {})}
    return {
        **{key: text for key, text in table.items() if isinstance(text, str)},
        **read(table),
        **({"users": users_meant(table["users"])} if "users" in table else {}),
        **({"groups": groups_meant(table["groups"])} if "groups" in table else {}),
        **({"provider_groups": tuple(dict.fromkeys(table["provider_groups"]))} if "provider_groups" in table else {}),
        **({"networks": _networks_meant(table)} if "networks" in table else {}),
        **({"gpus": int(table["gpus"])} if "gpus" in table else {}),
        "environment": tuple(sorted(environment.items())),
        "secrets": tuple(sorted({*tree.get("secrets", ()), *table.get("secrets", ())})),
    }


def _kinds_meant(made: _Draft) -> dict[str, dict[str, Any]]:
    for_all = {key: value for key, value in made.tree.items() if key not in made.bad}
    return {name: _meant(for_all, table) for name, table in _unspoilt(made, "kinds").items()}


def _folders_meant(made: _Draft) -> dict[str, dict[str, Any]]:
    return {name: folders.meant(table or {}) for name, table in _unspoilt(made, "shared").items()}


def _unspoilt(made: _Draft, part: str) -> dict[str, Any]:
    """The entries of a part of the file that have no mistake of their own."""
    tables = made.tree.get(part)
    if not isinstance(tables, dict) or FILE in made.bad:
        return {}
    # Of an entry that stands there twice, the first counts.
    twice = {name for prefix, name, _ in made.again if prefix == f"{part}."}
    spoilt = {path.split(".")[1] for path in made.bad if path.startswith(f"{part}.")} - twice
    return {name: table for name, table in tables.items() if name not in spoilt}


@dataclass
class _Draft:
    s: Settings
    groups: Collection[str]
    tree: dict[str, Any] = field(default_factory=dict)
    values: dict[str, str | None] = field(default_factory=dict)
    bad: set[str] = field(default_factory=set)
    # Keys that stand there once more, behind all others: the path of their table, the key, and its value.
    again: list[tuple[str, str, Value]] = field(default_factory=list)
    end: str = ""
    is_text: bool = True

    @property
    def kinds(self) -> dict[str, dict[str, Any]]:
        return self.tree.get("kinds", {})  # type: ignore[no-any-return]


def _fill(draw: _Draw, made: _Draft) -> None:
    if draw(st.booleans()):
        made.tree["environment"] = draw(values("environment", legal=True))
    if draw(st.integers(0, 2)) == 0:
        made.tree["secrets"] = draw(values("secrets", legal=True))
    made.tree["kinds"] = {}
    names = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=3, unique=True))
    for name in names:
        chosen = [one for one in kinds.declarations() if one == "title" or draw(st.integers(0, 2)) == 0]
        table = {one: draw(values(one, legal=True)) for one in draw(st.permutations(chosen))}
        _fit(made, table)
        own = table.get("environment")
        if isinstance(own, dict) and made.tree.get("environment"):
            # Of a variable that all have, the kind's own value counts.
            own[draw(st.sampled_from(list(made.tree["environment"])))] = "of this kind"
        made.kinds[name] = table
    # One is for everybody.
    everybodys = made.kinds[draw(st.sampled_from(names))]
    for key in _WHO:
        everybodys.pop(key, None)
    made.values = {name: draw(secret_values(legal=True)) for name in _names(made)}


def _names(made: _Draft) -> list[str]:
    tables = (made.tree, *made.kinds.values())
    lists = [table["secrets"] for table in tables if isinstance(table.get("secrets"), list)]
    return list(dict.fromkeys(name for one in lists for name in one if name in NAMED))


def _fit(made: _Draft, table: dict[str, Any]) -> None:
    """Takes out what contradicts."""
    for key in ("guarantee", "memory"):
        if contradicts(made.s, read(table)):
            table.pop(key, None)
    if not set(groups_meant(table.get("groups", ()))) <= set(made.groups):
        table.pop("groups")
    if made.s.authenticator not in ("github", "oidc"):
        table.pop("provider_groups", None)
    if int(table.get("gpus", 0)) > len(made.s.cards or ()):
        table.pop("gpus")


def _networks_meant(table: Mapping[str, Any]) -> tuple[str, ...]:
    spelt = {"10.1.2.9/24": "10.1.2.0/24", "DB.example.org:05432": "db.example.org:5432"}
    return tuple(sorted({spelt.get(one, one) for one in table["networks"]}))


def read(table: Mapping[str, Any]) -> dict[str, Any]:
    """Field -> value, of the fields that stand for a setting."""
    declared = kinds.declarations()
    return {key: declared[key]["read"](text) for key, text in table.items() if declared[key]["instead_of"]}


def contradicts(s: Settings, own: Mapping[str, Any]) -> bool:
    """Whether a kind has memory that does not fit; `own` are the values that it says itself."""
    sure, limit = own.get("guarantee", s.memory_guarantee), own.get("memory", s.memory_limit)
    host = s.host_memory
    return bool(sure) and ((bool(limit) and sure > limit) or (bool(host) and host - sure < 2**29))


# -- mistakes ---------------------------------------------------------------------------------------------------------


def _spoil(draw: _Draw, made: _Draft, flaw: str, slips: tuple[str, ...]) -> None:
    name = draw(st.sampled_from(list(made.kinds)))
    table, at = made.kinds[name], f"kinds.{name}"
    if flaw == "illegal":
        key = draw(st.sampled_from(list(kinds.declarations())))
        table[key] = draw(values(key, legal=False))
        made.bad.add(f"{at}.{key}")
    elif flaw == "unknown":
        place, prefix = draw(st.sampled_from([(made.tree, ""), (table, f"{at}.")]))
        key = draw(st.sampled_from(_UNKNOWN))
        place[key] = draw(st.sampled_from(("x", ["x"], {"x": "y"})))
        made.bad.add(prefix + key)
    elif flaw == "twice":
        place, prefix = draw(st.sampled_from([(made.tree, ""), (made.kinds, "kinds."), (table, f"{at}.")]))
        key = draw(st.sampled_from(list(place)))
        made.again.append((prefix, key, place[key]))
        made.bad.add(prefix + key)
    elif flaw == "type":
        _mistype(draw, made, table, at)
    elif flaw == "no title":
        del table["title"]
        made.bad.add(at)
    elif flaw == "nobody left":
        for one in made.kinds.values():
            one["users"] = draw(values("users", legal=True))
        made.bad.add("kinds")
    elif flaw == "name":
        wrong = draw(st.sampled_from(_BAD_KINDS))
        made.tree["kinds"] = {wrong if one == name else one: table for one, table in made.kinds.items()}
        made.bad.add(f"kinds.{wrong}" if wrong.isprintable() else "kinds")
    elif flaw == "no kinds":
        made.tree["kinds"] = draw(st.sampled_from(("x", ["a"], {}, "")))
        made.bad.add("kinds")
    elif flaw == "both":
        place, path = draw(st.sampled_from([(made.tree, "secrets"), (table, at)]))
        place["secrets"] = [*place.get("secrets", []), "IN_BOTH"]
        place["environment"] = {**place.get("environment", {}), "IN_BOTH": "x"}
        made.values["IN_BOTH"] = draw(secret_values(legal=True))
        made.bad.add(path)
    elif flaw == "named":
        place, path = draw(st.sampled_from([(made.tree, "secrets"), (table, f"{at}.secrets")]))
        place["secrets"] = draw(values("secrets", legal=False))
        made.bad.add(path)
    elif flaw == "variable":
        place, path = draw(st.sampled_from([(made.tree, "environment"), (table, f"{at}.environment")]))
        place["environment"] = draw(values("environment", legal=False))
        made.bad.add(path)
    elif flaw in ("no value", "short"):
        table["secrets"] = [*table.get("secrets", []), "MISSING"]
        made.values["MISSING"] = None if flaw == "no value" else draw(secret_values(legal=False))
    elif flaw == "memory":
        table |= {"memory": "1G", "guarantee": draw(st.sampled_from(("1025M", "2G")))}
    elif flaw == "alike":
        table["networks"] = [_ALIKE[0]]
        made.kinds["alike"] = {"title": "Alike", "networks": [_ALIKE[1]]}
        made.bad.add("kinds.alike.networks")
    elif flaw == "folder":
        made.tree["shared"], path = folders.spoil(draw, made.s, made.tree["shared"], made.again)
        made.bad |= {path} if path else set()
    elif flaw == "many":
        made.tree["kinds"] = {f"k{number}": {"title": "A"} for number in range(33)}
        made.bad.add("kinds")
    elif flaw == "broken":
        made.end = draw(st.sampled_from(_BROKEN)) + "\n"
        made.bad.add(FILE)
    elif flaw == "no text":
        made.is_text = False
        made.bad.add(FILE)
    elif flaw == "slip":
        _slip(draw, made, table, at, slips)
    _drop_what_is_named_no_more(made)


def _mistype(draw: _Draw, made: _Draft, table: dict[str, Any], at: str) -> None:
    """A value of another type than is wanted there."""
    key = draw(st.sampled_from([*table, "environment", "secrets", "the kind", "for all"]))
    if key == "the kind":
        made.kinds[at.removeprefix("kinds.")] = draw(st.sampled_from(("x", ["x"], "")))
        made.bad.add(at)
        return
    place, prefix = (table, f"{at}.") if key != "for all" else (made.tree, "")
    key = draw(st.sampled_from(("environment", "secrets"))) if key == "for all" else key
    wrong: dict[str, tuple[Value, ...]] = {
        "environment": ("x", "", ["x"], {"A": ["1"]}, {"A": {"b": "c"}}),
        "secrets": ("x", "", {"x": "y"}, [["x"]]),
        "networks": ("10.1.2.0/24", "", {"x": "y"}, [["x"]]),
        **dict.fromkeys(_WHO, ("ada", "", {"ada": "x"}, [["ada"]])),
    }
    place[key] = draw(st.sampled_from(wrong.get(key, (["x"], {"x": "y"}, list[Any]()))))
    made.bad.add(prefix + key)


def _slip(draw: _Draw, made: _Draft, table: dict[str, Any], at: str, slips: tuple[str, ...]) -> None:
    """A secret's value, where anybody can read it. Its place is named because of what stands in `texts`."""
    own = [value for value in made.values.values() if value]
    value = draw(st.sampled_from([*own, *slips])) if own or slips else f"{CANARY}-of-nobody"
    if not own and not slips:
        table["secrets"] = ["SLIPPED"]
        made.values["SLIPPED"] = value
    before = draw(st.sampled_from(("", "x", "http://ada:")))
    place = draw(st.sampled_from(("environment", "for all", "users", "key", "secrets", "title", "folder")))
    if place in ("environment", "for all"):
        tree = table if place == "environment" else made.tree
        tree["environment"] = {**tree.get("environment", {}), "SLIP": before + value}
    elif place == "key":
        table[value] = "x"
        made.bad.add(f"{at}.***")
    elif place == "folder":
        made.tree["shared"] = {**made.tree.get("shared", {}), "slip": {"path": f"/srv/{value}"}}
        if not fits(kinds.declarations(Folder)["path"]["read"], f"/srv/{value}"):
            made.bad.add("shared.slip.path")
    elif place == "title" and len(before + value) <= 60:
        table["title"] = before + value
    else:
        table["users"] = ["ada", f"/{value}"]
        made.bad.add(f"{at}.users")


def _drop_what_is_named_no_more(made: _Draft) -> None:
    tables = (
        [made.tree, *(one for one in (made.tree["kinds"] or {}).values() if isinstance(one, dict))]
        if isinstance(made.tree.get("kinds"), dict)
        else [made.tree]
    )
    named = {one for table in tables for one in table.get("secrets", ()) if isinstance(one, str)}
    made.values = {name: value for name, value in made.values.items() if name in named}
