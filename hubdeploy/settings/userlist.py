"""Reads `userlist`: one user a line, then flags. It never guesses: what cannot be read is a problem with its line."""

from __future__ import annotations

import re
from difflib import get_close_matches

from hubdeploy.contract.documents import User
from hubdeploy.errors import Problem

FLAGS = ("admin", "sudo")
# GitHub's own limit is 39; JupyterHub takes more. A container's name begins with the deployment's and ends at 63.
_USER = re.compile(r"[a-z0-9](?:[a-z0-9._@-]{0,62}[a-z0-9])?\Z")


def parse(text: str, *, source: str) -> tuple[tuple[User, ...], list[Problem]]:
    """The users of a userlist's text in the order of the file, and what is wrong with it."""
    users: dict[str, tuple[User, int]] = {}
    problems: list[Problem] = []
    # Lines end as in an editor: splitlines() also ends one at a form feed, and the flag behind it would become a user.
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        words = line.split("#", 1)[0].split()
        if not words:
            continue
        where = f"{source}:{number}"
        name, flags = words[0].lower(), words[1:]
        found = [_bad_name(where, name)] if _USER.match(name) is None else []
        found += [_bad_flag(where, name, flag) for flag in flags if flag not in FLAGS]
        user = User(name, admin="admin" in flags, sudo="sudo" in flags)
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


def _bad_name(where: str, name: str) -> Problem:
    wanted = "letters, digits and . _ @ - inside, at most 64 characters"
    return Problem(
        where, _printable(name), "is not a user name", wanted, "write the name as GitHub (or your login) spells it"
    )


def _bad_flag(where: str, name: str, flag: str) -> Problem:
    close = get_close_matches(flag, FLAGS, n=1)
    hint = f"did you mean {close[0]}?" if close else "take the flag away"
    return Problem(where, _printable(name), f"has the unknown flag {_printable(flag)}", " or ".join(FLAGS), hint)


def _printable(word: str) -> str:
    """A word that is safe to print: characters that could control a terminal are escaped."""
    return word if word.isprintable() else ascii(word)[1:-1]
