"""Reads a deployment's files and the shell into Settings. Everything that is wrong is reported at once, each with its
place and its mend, and never with a secret's value. Reads files and nothing else.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Collection, Mapping
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from hubdeploy import agreement, dotenv, readers, userlist
from hubdeploy.errors import InputError, Problem, read_text
from hubdeploy.settings import DERIVED, LOCAL, SHARED, SHELL, Settings, declarations
from hubdeploy.userlist import User


def load(root: Path, environ: Mapping[str, str]) -> Settings:
    """Settings of the deployment in `root`; raises InputError with every problem of its files."""
    problems: list[Problem] = []
    unread: list[Problem] = []
    entries = {name: _read_file(root, name, environ, problems, unread) for name in (SHARED, LOCAL)}
    users = _read_userlist(root, problems)
    sources = _sources(environ, entries)
    found = Settings(**_resolve(root, sources, unread), users=users, origins=_origins(sources), root=root)
    # Where a value could not be read its derivation stands in, which contradicts what nobody wrote.
    problems += unread or agreement.contradictions(found, _whereabouts(sources))
    if problems:
        raise InputError(problems)
    return found


def _read_file(
    root: Path, name: str, environ: Mapping[str, str], problems: list[Problem], unread: list[Problem]
) -> dict[str, dotenv.Entry]:
    """The file's settings; `unread` gets what leaves a value unknown, `problems` what else is wrong."""
    path = root / name
    if not path.exists():
        return {}
    try:
        text = read_text(path, name, "settings, one KEY=value a line")
    except InputError as refused:
        unread += refused.problems
        return {}
    entries, found = dotenv.parse(text, source=name, environ=environ)
    unread += found
    if name == LOCAL and stat.S_IMODE(path.stat().st_mode) & 0o077:
        problems.append(
            Problem(name, "", "can be read by others", "mode 0600, as it holds secrets", f"chmod 600 {name}")
        )
    known = declarations()
    for key, entry in list(entries.items()):
        where = f"{name}:{entry.line}"
        if key not in known:
            # A key that the file sets already cannot be the one that was meant.
            problems.append(_unknown(where, key, known.keys() - entries.keys()))
            del entries[key]
        elif name == SHARED and known[key][1].secret and not dotenv.is_unset(entry.value):
            said = "is a secret in a file that is committed"
            mend = "./invoke check-files --fix moves it; or move the line by hand"
            instead = (f"#{key} is in {LOCAL}",)
            problems.append(Problem(where, key, said, "secrets in .env.local", mend, instead))
    return entries


def _unknown(where: str, key: str, known: Collection[str]) -> Problem:
    close = get_close_matches(key, known, n=1)
    mend = f"did you mean {close[0]}?" if close else "delete the line; ./invoke config lists every setting"
    return Problem(where, key, "is not a setting", "a setting of README.md", mend, instead=())


def _read_userlist(root: Path, problems: list[Problem]) -> tuple[User, ...]:
    try:
        text = read_text(
            root / "userlist", "userlist", "the users who may log in, one a line, then flags: `kaben admin`"
        )
    except InputError as refused:
        problems += refused.problems
        return ()
    users, found = userlist.parse(text, source="userlist")
    problems += found
    return users


_Sources = list[tuple[str, Callable[[str], str], Mapping[str, str]]]


def _sources(environ: Mapping[str, str], entries: Mapping[str, Mapping[str, dotenv.Entry]]) -> _Sources:
    """(source, key -> where it stands, key -> text), highest precedence first."""

    def line(name: str) -> Callable[[str], str]:
        return lambda key: f"{name}:{entries[name][key].line}"

    files = [(name, line(name), {key: entry.value for key, entry in entries[name].items()}) for name in (LOCAL, SHARED)]
    return [(SHELL, lambda _: "shell environment", environ), *files]


def _setter(key: str, sources: _Sources) -> tuple[str, str, str] | None:
    """(source, where, text) of the source that decides `key`; None if it derives."""
    for source, where, values in sources:
        if key in values and not (values[key].startswith("<") and dotenv.is_unset(values[key])):
            return source, where(key), values[key]
    return None


def _hidden(sources: _Sources) -> set[str]:
    """What no message may show: the names of secrets, as a quote left open draws their lines in, and their values."""
    secret = [key for key, (_, declaration) in declarations().items() if declaration.secret]
    values = [values[key] for key in secret for _, _, values in sources if values.get(key)]
    return {*secret, *values}


def _shown(text: str, hidden: set[str]) -> str:
    """A value as a message may show it."""
    return "*** (it holds a secret)" if any(one in text for one in hidden) else repr(text)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False


def _origins(sources: _Sources) -> dict[str, str]:
    origins = {}
    for key, (_, declaration) in declarations().items():
        setter = _setter(key, sources)
        absent = setter is None or (setter[2] == "" and declaration.optional)
        origins[key] = DERIVED if absent or setter is None else setter[0]
    return origins


def _whereabouts(sources: _Sources) -> Callable[[str], str]:
    def where(key: str) -> str:
        setter = _setter(key, sources)
        return "settings" if setter is None else setter[1]

    return where


def _resolve(root: Path, sources: _Sources, problems: list[Problem]) -> dict[str, Any]:
    """Field -> value; a value that cannot be read becomes a problem and the derived value stands in for it."""
    values: dict[str, Any] = {}
    hidden = _hidden(sources)
    for key, (attribute, declaration) in declarations().items():
        setter = _setter(key, sources)
        so_far = Settings(**{**dict.fromkeys(_FIELDS), **values})
        values[attribute] = declaration.derive(so_far)
        if setter is None:
            continue
        _, where, text = setter
        if text == "":
            # A password that is set to nothing would be generated anew at each run, and be kept nowhere.
            if not declaration.optional or declaration.secret:
                mend = f"give it a value, or delete the line: it derives then ({declaration.derivation})"
                problems.append(Problem(where, key, "is empty", declaration.meaning, mend))
            continue
        try:
            value = declaration.read(text)
        except readers.Unfit as unfit:
            shown = "*** (a secret)" if declaration.secret else _shown(text, hidden)
            problems.append(Problem(where, key, f"{shown} {unfit.found}", unfit.wanted, unfit.mend))
            continue
        if isinstance(value, Path):
            value = root / value
            if not _is_file(value):
                problems.append(
                    Problem(
                        where, key, f"{_shown(text, hidden)} is not a file", declaration.meaning, "correct the path"
                    )
                )
                continue
        values[attribute] = value
    return values


_FIELDS = tuple(one.name for one in fields(Settings) if "declaration" in one.metadata)
