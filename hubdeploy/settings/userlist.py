"""Reads `userlist`: one user a line, then flags. It never guesses: what cannot be read is a problem with its line.

A word behind a name is never shown, as people write passwords there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches

from hubdeploy.contract import names
from hubdeploy.contract.documents import User
from hubdeploy.errors import Problem

FLAGS = ("admin", "sudo", "keep")
# What people write between a name and what follows it: in lists, in tables, in files of passwords.
_SEPARATORS = re.compile(r"[,;|:=]")


def parse(text: str, *, source: str) -> tuple[tuple[User, ...], list[Problem]]:
    """The users of a userlist's text in the order of the file, and what is wrong with it."""
    users: dict[str, tuple[User, int]] = {}
    problems: list[Problem] = []
    for number, words in _lines(text):
        where = f"{source}:{number}"
        name, flags = names.normalized(words[0]), words[1:]
        found = _problems(where, name, flags)
        user = User(name, **{flag: flag in flags for flag in FLAGS})
        if name in users and users[name][0] != user:
            found.append(
                Problem(
                    where,
                    name,
                    f"has other flags here than on line {users[name][1]}",
                    "each user once",
                    "delete one of the two lines",
                )
            )
        problems += found
        if not found:
            users.setdefault(name, (user, number))
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
    return tuple(user for user, _ in users.values()), problems


def lines(text: str) -> dict[str, int]:
    """Name -> the line that names it first, of a userlist without problems."""
    found: dict[str, int] = {}
    for number, words in _lines(text):
        found.setdefault(names.normalized(words[0]), number)
    return found


def _lines(text: str) -> Iterator[tuple[int, list[str]]]:
    """Number and words of each line that has some."""
    # Lines end as in an editor: splitlines() also ends one at a form feed, and the flag behind it would become a user.
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        words = line.split("#", 1)[0].split()
        if words:
            yield number, words


def _problems(where: str, name: str, flags: Sequence[str]) -> list[Problem]:
    """What is wrong with a line. Where a sign follows the name, the words behind it are no flags, and need no message."""
    separator = _SEPARATORS.search(name)
    if separator:
        return [_separated(where, name[: separator.start()], separator[0])]
    unknown = [flag for flag in flags if flag not in FLAGS]
    found = [] if names.is_spelled(name) and names.is_short(name) else [_bad_name(where, name)]
    if unknown:
        found.append(_unknown_word(where, name, unknown[0], "second" if flags[0] == unknown[0] else "further"))
    return found


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
    elif close:
        hint = f"did you mean {close[0]}?"
    else:
        hint = "take it away: a name has no blanks, and passwords do not stand here"
    return Problem(
        where, _printable(name), f"has a {which} word that is no flag", f"{', '.join(FLAGS[:-1])} or {FLAGS[-1]}", hint
    )


def _printable(word: str) -> str:
    """A word that is safe to print: characters that could control a terminal are escaped."""
    return word if word.isprintable() else ascii(word)[1:-1]
