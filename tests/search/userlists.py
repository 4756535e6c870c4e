"""Userlists that a person may write, and the result of each: its users, or the names and lines that are wrong."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hypothesis import strategies as st

from tests.search.texts import CANARY

NAMES = (
    "kaben", "carriere4", "Dana", "a", "0", "eve.ning", "x" * 64, "a-b_c@d.e", "bob", "ann", "octo-", "_build", "_", "日本",
    "Ü", "mu\u0308ller", "İnci", "ü" * 32, "a._-@a" * 10,
)  # fmt: skip
BAD_NAMES = (
    "-a",
    "a.",
    "a/b",
    "x" * 65,
    "ü" * 33,
    "\u0308a",
    "²",
    "a\u200bb",
    "../a",
    "a\x00b",
    "a\x1b[31m",
    "<name>",
    "'a'",
    "{a}",
)
# What stands behind one of these signs is never shown: it may be a password.
SEPARATED = (",", ", ", ":", "=", ";", "|")
FLAGS = ("admin", "sudo", "keep")
GROUPS = ("physics", "staff", "c", "lab_2-b", "x" * 32)
BAD_FLAGS = (
    "@",
    "@-a",
    "@a.b",
    "@" + "x" * 33,
    "@physics:admin",
    f"@physics:{CANARY}",
    "@physics,",
    "Admin",
    "admn",
    "root",
    "admin,sudo",
    "\x1b[31m",
    "é",
    "sudo=yes",
    "'admin'",
    "a\x00",
    CANARY,
    f"admin,{CANARY}",
)
_ROLES = ("", "", ":read", ":write")
_SOME_GROUPS = st.lists(st.sampled_from(GROUPS), max_size=2, unique=True)
_LINE_ENDS = ("\n", "\n", "\r\n")
_SPACES = (" ", "  ", "\t", " \t ")
_COMMENTS = ("", "", " # until June", "\t#admin", "#", " # ü")


@dataclass(frozen=True)
class Userlist:
    """`content` is None where there is no file. `bad` are the names, or `userlist` itself, that a refusal must name;
    without any, `users` are name -> flags and groups, as they stand behind a name."""

    content: bytes | None
    users: dict[str, frozenset[str]]
    bad: frozenset[str]

    @property
    def groups(self) -> frozenset[str]:
        """The groups that somebody is in."""
        words = (word for words in self.users.values() for word in words if word.startswith("@"))
        return frozenset(word[1:].partition(":")[0] for word in words)


@st.composite
def userlists(draw: st.DrawFn, *, damaged: bool) -> Userlist:
    """A correct list, or a list with a mistake."""
    lines: list[str] = []
    users: dict[str, frozenset[str]] = {}
    for name in draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True)):
        flags = draw(st.lists(st.sampled_from(FLAGS), max_size=3))
        flags += [f"@{group}{draw(st.sampled_from(_ROLES))}" for group in draw(_SOME_GROUPS)]
        users[unicodedata.normalize("NFC", name.lower())] = frozenset(flags)
        lines += [
            _line(draw, name, flags),
            *draw(st.lists(st.sampled_from(("", "  ", "# a comment", "\t#")), max_size=1)),
        ]
        if draw(st.integers(0, 9)) == 0:
            lines.append(_line(draw, name.upper(), flags))
    _say_of_groups(draw, lines, users)
    bad = _damage(draw, lines, users) if damaged else None
    if bad == "is missing":
        return Userlist(None, {}, frozenset(["userlist"]))
    text = draw(st.sampled_from(_LINE_ENDS)).join([*lines, *draw(st.sampled_from(((), ("",))))])
    content = draw(st.sampled_from((b"", b"", b"\xef\xbb\xbf"))) + text.encode()
    if bad == "is no text":
        content, bad, users = content + b"\xff", "userlist", {}
    return Userlist(content, users, frozenset([bad] if bad else []))


def _line(draw: st.DrawFn, name: str, flags: list[str]) -> str:
    words = draw(st.sampled_from(_SPACES)).join([name, *flags])
    return draw(st.sampled_from(("", "", " ", "\t"))) + words + draw(st.sampled_from(_COMMENTS))


def _say_of_groups(draw: st.DrawFn, lines: list[str], users: dict[str, frozenset[str]]) -> None:
    """Lines of groups, before or behind the users' own; `users` becomes what holds with them."""
    members = {word.partition(":")[0] for words in users.values() for word in words if word.startswith("@")}
    of_groups = {
        group: draw(st.lists(st.sampled_from((*FLAGS, "read")), min_size=1, max_size=2))
        for group in sorted(members)
        if draw(st.booleans())
    }
    for group, words in of_groups.items():
        lines.insert(draw(st.sampled_from((0, len(lines)))), _line(draw, group, words))
    users |= {
        name: frozenset(one for word in words for one in _meant(word, of_groups)) for name, words in users.items()
    }


def _meant(word: str, of_groups: Mapping[str, list[str]]) -> Iterator[str]:
    """What a word behind a user's name says, with the line of a group."""
    group, _, role = word.partition(":")
    given = of_groups.get(group, [])
    reads = role == "read" or (not role and "read" in given)
    yield f"{group}:read" if reads else group
    yield from (flag for flag in given if flag != "read")


def _damage(draw: st.DrawFn, lines: list[str], users: dict[str, frozenset[str]]) -> str:
    """Puts a mistake in; gives what a refusal must name."""
    kind = draw(st.sampled_from(("name", "separated", "flag", "again", "nobody", "missing", "no text")))
    at = draw(st.integers(0, len(lines)))
    name = draw(st.sampled_from(sorted(users)))
    if kind == "name":
        bad = draw(st.sampled_from(BAD_NAMES))
        lines.insert(at, _line(draw, bad, []))
        return bad if bad.isprintable() else ascii(bad)[1:-1]
    if kind == "separated":
        lines.insert(at, _line(draw, "zoe" + draw(st.sampled_from(SEPARATED)) + CANARY, []))
        return "zoe"
    if kind == "flag":
        lines.insert(at, _line(draw, "zoe", [draw(st.sampled_from(BAD_FLAGS))]))
        return "zoe"
    if kind == "again":
        lines.append(_line(draw, name, [*sorted(frozenset(FLAGS) ^ users[name]), "@again"]))
        return name
    if kind == "nobody":
        lines[:] = ["# nobody"]
        users.clear()
        return "userlist"
    return "is missing" if kind == "missing" else "is no text"
