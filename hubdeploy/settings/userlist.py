"""Reads `userlist`: one user a line, then flags and groups; a line that begins with a group says what its members are. It never
guesses: what cannot be read is a problem with its line.

A word behind a name is never shown, as people write passwords there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from hubdeploy.contract import names
from hubdeploy.contract.documents import User
from hubdeploy.errors import Problem

FLAGS = ("admin", "sudo", "keep")
# What the members of a group do with its shared folder, behind the group's name; on a line of the group, `read` alone.
READ, WRITE = "read", "write"
# What people write between a name and what follows it: in lists, in tables, in files of passwords.
_SEPARATORS = re.compile(r"[,;|:=]")
_MEMBERSHIP = re.compile(rf"@({names.GROUP})(?::({READ}|{WRITE}))?")


def parse(text: str, *, source: str) -> tuple[tuple[User, ...], list[Problem]]:
    """The users of a userlist's text in the order of the file, with what their groups give them, and what is wrong with it."""
    # Name, or @ and a group -> the words behind it, without their order, and the line.
    said: dict[str, tuple[frozenset[str], int]] = {}
    problems: list[Problem] = []
    for number, name, words in _entries(text):
        where = f"{source}:{number}"
        found = _problems(where, name, words)
        if name in said and said[name][0] != frozenset(words):
            before = f"has other flags or groups here than on line {said[name][1]}"
            found.append(Problem(where, name, before, "each name once", "delete one of the two lines"))
        problems += found
        if not found:
            said.setdefault(name, (frozenset(words), number))
    users = {name: _user(name, words, said) for name, (words, _) in said.items() if not name.startswith("@")}
    members = {group for user in users.values() for group in user.groups}
    for name in said if not problems else ():
        if name.startswith("@") and name[1:] not in members:
            where, fix = (
                f"{source}:{said[name][1]}",
                f"write {name} behind the names of its members, or delete this line",
            )
            problems.append(Problem(where, name, "is a group without a member", "a group that somebody is in", fix))
    if not users and not problems:
        problems.append(
            Problem(
                source,
                "",
                "names no user",
                "at least one user, for example `kaben admin`",
                "add a line for each person who may log in",
            )
        )
    return tuple(users.values()), problems


@dataclass(frozen=True)
class Line:
    """A line of a userlist by its number, and the words behind its name."""

    number: int
    words: frozenset[str] = frozenset()


def lines(text: str) -> dict[str, Line]:
    """Name -> the line that names it first, of a userlist without problems; a group's name begins with @."""
    found: dict[str, Line] = {}
    for number, name, words in _entries(text):
        found.setdefault(name, Line(number, frozenset(words)))
    return found


def _entries(text: str) -> Iterator[tuple[int, str, list[str]]]:
    """Number, name and the words behind it of each line that has some."""
    # Lines end as in an editor: splitlines() also ends one at a form feed, and the flag behind it would become a user.
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        words = line.split("#", 1)[0].split()
        if words:
            behind = [names.normalized(word) if word.startswith("@") else word for word in words[1:]]
            yield number, names.normalized(words[0]), behind


def _user(name: str, words: frozenset[str], said: Mapping[str, tuple[frozenset[str], int]]) -> User:
    """A user as their own line and the lines of their groups describe them."""
    found = {match[1]: match[2] for match in map(_MEMBERSHIP.fullmatch, words) if match}
    of_groups = {group: said.get(f"@{group}", (frozenset[str](), 0))[0] for group in sorted(found)}
    reads = [
        group for group, given in of_groups.items() if found[group] == READ or (READ in given and not found[group])
    ]
    flags = words.union(*of_groups.values())
    is_set = {flag: flag in flags for flag in FLAGS}
    return User(name, groups=tuple(of_groups), reads=tuple(reads), **is_set)


def _problems(where: str, name: str, words: Sequence[str]) -> list[Problem]:
    """What is wrong with a line. Where a sign follows the name, the words behind it are no flags, and need no message."""
    separator = _SEPARATORS.search(name)
    if separator:
        return [_separated(where, name[: separator.start()], separator[0])]
    return _problems_of_group(where, name, words) if name.startswith("@") else _problems_of_user(where, name, words)


def _problems_of_user(where: str, name: str, words: Sequence[str]) -> list[Problem]:
    unknown = [word for word in words if word not in FLAGS and _MEMBERSHIP.fullmatch(word) is None]
    found = [] if names.is_spelled(name) and names.is_short(name) else [_bad_name(where, name)]
    if unknown:
        found.append(_unknown_word(where, name, unknown[0], "second" if words[0] == unknown[0] else "further"))
    groups = [match[1] for match in map(_MEMBERSHIP.fullmatch, dict.fromkeys(words)) if match]
    if twice := sorted({group for group in groups if groups.count(group) > 1}):
        wanted, fix = "each group once", f"keep one of the words for @{twice[0]}"
        found.append(Problem(where, _printable(name), f"reads and writes @{twice[0]}", wanted, fix))
    return found


def _problems_of_group(where: str, name: str, words: Sequence[str]) -> list[Problem]:
    """Of a line that says what the members of a group are."""
    if re.fullmatch(names.GROUP, name[1:]) is None:
        wanted = f"@ and then {names.OF_GROUPS}"
        return [Problem(where, _printable(name), "is not a group's name", wanted, "correct the name")]
    if not words or any(word not in (*FLAGS, READ) for word in words):
        found = "has a word that is no flag" if words else "says nothing of its members"
        wanted = f"{', '.join(FLAGS)} or {READ} behind a group: `{name} keep`"
        fix = f"write such a word; members are named on their own lines: `ada {name}`"
        return [Problem(where, name, found, wanted, fix)]
    return []


def _bad_name(where: str, name: str) -> Problem:
    shown = _printable(name)
    if names.is_spelled(name):
        wanted = f"at most {names.LONGEST} characters, fewer where letters lie beyond a to z"
        return Problem(where, shown, "is too long", wanted, "choose a shorter name")
    wanted = f"letters, digits and _ . @ - , at most {names.LONGEST}; no . @ - first, no . @ last"
    return Problem(where, shown, "is not a user name", wanted, "write the name as GitHub (or your login) spells it")


def _separated(where: str, name: str, separator: str) -> Problem:
    wanted = "one user a line, then flags, with blanks between: `kaben admin`"
    fix = "write one user a line, and blanks between a name and its flags"
    if separator in ":=|":
        fix = "take away what follows the name, or write blanks in front of flags; passwords do not stand here"
    return Problem(where, _printable(name), f"has the sign {separator} behind it", wanted, fix)


def _unknown_word(where: str, name: str, word: str, which: str) -> Problem:
    # Of a password nothing must show, so a flag is suggested for what is almost one only.
    close = get_close_matches(word.lower(), FLAGS, n=1, cutoff=0.8)
    if re.search(r"[,;]", word):
        hint = "write one user a line, and blanks between flags"
    elif word.startswith("@"):
        hint = f"a group is @ and then {names.OF_GROUPS}, then :{READ} for those who only read its folder"
    elif close:
        hint = f"did you mean {close[0]}?"
    else:
        hint = "take it away: a name has no blanks, and passwords do not stand here"
    wanted = f"{', '.join(FLAGS)} or a group such as @physics"
    return Problem(where, _printable(name), f"has a {which} word that is no flag and no group", wanted, hint)


def _printable(word: str) -> str:
    """A word that is safe to print: characters that could control a terminal are escaped."""
    return word if word.isprintable() else ascii(word)[1:-1]
