"""What a program can fix in `.env`: gives the fixed text and what it moves. Pure: reads and writes nothing.

A secret of a setting goes to `.env.local`, and a secret of another service is left out: nothing here reads it. Any other
statement that is taken out stays as a comment under the reason, and all other lines stay as they are. The difference can
be shown: values that are secret, or may be, are masked in it.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from hubdeploy.contract.documents import Secret
from hubdeploy.errors import Problem
from hubdeploy.settings import dotenv, unknown_keys
from hubdeploy.settings.declarations import LOCAL, SHARED, declarations

# The fixed text goes into this file, which a person then moves over .env.
FIXED = ".env.fixed"
_BOM = "\ufeff"
_NEEDED = "other lines refer to it: change them first, then run ./invoke check-files --fix again"
_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Fixed:
    """The fixed text, the statements that were replaced, the secrets that go to `.env.local`, the keys of secrets that are
    left out, and the problems that are left."""

    written: Secret[str]
    replacements: tuple[Replacement, ...]
    secrets: Mapping[str, dotenv.Entry]
    left_out: tuple[str, ...]
    left: tuple[Problem, ...]

    @property
    def text(self) -> str:
        return self.written.reveal()


@dataclass(frozen=True)
class Replacement:
    """`lines` replace the old lines from `first` up to but without `end` (counted from 0). `shown_before` and `shown` are
    the old and the new lines with secrets masked."""

    first: int
    end: int
    lines: tuple[Secret[str], ...]
    shown_before: tuple[str, ...]
    shown: tuple[str, ...]


def propose(
    text: str, problems: Sequence[Problem], environ: Mapping[str, str], of_servers: Collection[str] = ()
) -> Fixed:
    """`text` without its secrets, those `of_servers` among them. Where a problem has an `instead`, that replaces the
    statement."""
    body = text.removeprefix(_BOM)
    entries, _ = dotenv.parse(body, source=SHARED, environ=environ)
    lines = body.split("\n")
    written = {key: entry for key, entry in entries.items() if not entry.bare and not dotenv.is_unset(entry.value)}
    secrets = {key: entry for key, entry in written.items() if key in of_servers or _is_secret(key)}
    fixable = {
        key: problem
        for problem in problems
        for key in [problem.key]
        if key in entries and key not in secrets and _is_fixed_by(problem, entries)
    }
    needed = _needed({*secrets, *fixable}, entries, lines, environ)
    secrets, fixable = _without(secrets, needed), _without(fixable, needed)
    replacements = [_moved(key, entry, lines, environ, entries) for key, entry in secrets.items()]
    replacements += [_set_aside(problem, entries[key], lines) for key, problem in fixable.items()]
    replacements.sort(key=lambda one: one.first)
    for one in reversed(replacements):
        ending = "\r" if lines[one.first].endswith("\r") else ""
        lines[one.first : one.end] = [line.reveal() + ending for line in one.lines]
    touched = {f"{SHARED}:{one.first + 1}" for one in replacements}
    left = tuple(
        replace(problem, fix=_NEEDED) if problem.key in needed and problem.where.startswith(f"{SHARED}:") else problem
        for problem in problems
        if problem.instead is None or problem.where not in touched
    )
    left_out = tuple(key for key in fixable if _is_left_out(key, entries[key]))
    whole = Secret(text[: len(text) - len(body)] + "\n".join(lines))
    return Fixed(whole, tuple(replacements), secrets, left_out, left)


def difference(text: str, fixed: Fixed) -> Iterator[str]:
    """A unified diff without context lines: they may hold a secret that could not be read."""
    before = text.removeprefix(_BOM).split("\n")
    after = list(before)
    for one in reversed(fixed.replacements):
        before[one.first : one.end] = one.shown_before
        after[one.first : one.end] = one.shown
    return difflib.unified_diff(before, after, SHARED, FIXED, n=0, lineterm="")


def _is_secret(key: str) -> bool:
    return key in declarations() and declarations()[key][1].secret


def _is_left_out(key: str, entry: dotenv.Entry) -> bool:
    """Whether a statement holds a secret of another service, which the fixed file must not carry on."""
    foreign = key not in declarations() and unknown_keys.is_secret_of_others(key)
    return foreign and not entry.bare and not dotenv.is_unset(entry.value)


def _needed(
    going: Collection[str], entries: Mapping[str, dotenv.Entry], lines: Sequence[str], environ: Mapping[str, str]
) -> set[str]:
    """The keys of `going` that a remaining line refers to: without them its value would change."""

    def staying(text: Sequence[str]) -> dict[str, str]:
        found, _ = dotenv.parse("\n".join(text), source=SHARED, environ=environ)
        return {key: entry.value for key, entry in found.items() if key not in going}

    needed = set()
    for key in going:
        entry = entries[key]
        without = [*lines[: entry.line - 1], *lines[entry.last_line :]]
        if staying(without) != staying(lines):
            needed.add(key)
    return needed


def _without(found: Mapping[str, _Value], keys: Collection[str]) -> dict[str, _Value]:
    return {key: value for key, value in found.items() if key not in keys}


def _is_fixed_by(problem: Problem, entries: Mapping[str, dotenv.Entry]) -> bool:
    """True if the problem has lines to replace its key's statement with, and they set no key twice."""
    if problem.instead is None or problem.where != f"{SHARED}:{entries[problem.key].line}":
        return False
    return not {line.partition("=")[0] for line in problem.instead} & (entries.keys() - {problem.key})


def _moved(
    key: str, entry: dotenv.Entry, lines: Sequence[str], environ: Mapping[str, str], known: Mapping[str, dotenv.Entry]
) -> Replacement:
    statement = "\n".join(lines[entry.line - 1 : entry.last_line])
    comment = _comment_behind(statement, entry.value, {**{one: known[one].value for one in known}, **environ})
    note = f"#{key} is in {LOCAL}{'  ' + comment if comment else ''}"
    return Replacement(entry.line - 1, entry.last_line, (Secret(note),), _masked(key, entry), (note,))


def _comment_behind(statement: str, value: str, environ: Mapping[str, str]) -> str:
    """The comment at the end of a statement: it begins at the first # where a cut leaves the value the same."""
    last = statement.rfind("\n") + 1
    for at in (at for at in range(last, len(statement)) if statement[at] == "#"):
        found, problems = dotenv.parse(statement[:at], source=SHARED, environ=environ)
        if not problems and [one.value for one in found.values()] == [value]:
            return statement[at:].rstrip().replace(value, "***")
    return ""


def _set_aside(problem: Problem, entry: dotenv.Entry, lines: Sequence[str]) -> Replacement:
    """Makes the statement a comment, with the reason above it and the lines that replace it below."""
    statement = [line.rstrip("\r") for line in lines[entry.line - 1 : entry.last_line]]
    # An unknown key may be the misspelled key of a secret.
    shown = statement if problem.key in declarations() else _masked(problem.key, entry)
    kept = [f"{problem.key}=***"] if _is_left_out(problem.key, entry) else statement
    reason = f"# {problem.key}: {problem.found}: {problem.fix}"
    instead = problem.instead or ()
    return Replacement(
        entry.line - 1,
        entry.last_line,
        tuple(Secret(line) for line in (reason, *_commented(kept), *instead)),
        tuple(shown),
        (reason, *_commented(shown if kept is statement else kept), *instead),
    )


def _commented(lines: Collection[str]) -> tuple[str, ...]:
    return tuple(f"#{line}" for line in lines)


def _masked(key: str, entry: dotenv.Entry) -> tuple[str, ...]:
    return (f"{key}=***", *["***"] * (entry.last_line - entry.line))
