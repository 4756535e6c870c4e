"""Reads a configuration file of OpenSSL's `req`, as OpenSSL 3 does: sections, quotes, escapes, long lines, variables of the
file itself, prompts and their defaults. It knows no certificate, and takes nothing from the environment.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hubdeploy.errors import InputError, Problem, read_text

Sections = Mapping[str, Mapping[str, str]]
# What a name in front of the last of these is only told apart by: `0.organizationName`.
_PREFIX = re.compile(r"\A.*[.,:](?=.)")
_ABOUT_A_FIELD = ("_default", "_min", "_max", "_value")
_PIECE = re.compile(
    r"""\\(?P<escaped>.) | '(?P<single>[^']*)' | "(?P<double>(?:\\.|[^"\\])*)"
    | \$(?P<open>[{(])?(?:(?P<section>\w+)::)?(?P<name>[\w.]+)[})]? | (?P<comment>\#) | (?P<plain>[^\\'"$#]+|.)""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b"}


@dataclass(frozen=True)
class Field:
    """One part of a subject: the key that gives it in the file, its name, and its value."""

    key: str
    name: str
    value: str


def read(path: Path) -> Sections:
    """Section -> key -> value; keys before the first section belong to `default`. Raises InputError with every line that
    cannot be read."""
    text = read_text(path, path.name, "the self-made certificate's subject").removeprefix("\ufeff")
    sections: dict[str, dict[str, str]] = {"default": {}}
    current, problems = "default", []
    for number, line in _logical_lines(text):
        header = re.match(r"\s*\[\s*([^\]]+?)\s*\]\s*(?:#.*)?\Z", line)
        key, separator, rest = line.partition("=")
        try:
            if header:
                current = header[1]
                sections.setdefault(current, {})
            elif separator and key.strip():
                sections[current][key.strip()] = _value(rest, sections, current)
            elif line.split("#")[0].strip():
                raise _Unreadable("cannot be read", "[ section ] or key = value", "correct the line")
        except _Unreadable as unreadable:
            name = key.strip() if separator and key.strip().isprintable() else ""
            found, wanted, fix = unreadable.args
            problems.append(Problem(f"{path.name}:{number}", name, found, wanted, fix))
    if problems:
        raise InputError(problems)
    return sections


def value(sections: Sections, section: str, key: str) -> str | None:
    """A key's value in a section, else in `default`."""
    return sections.get(section, {}).get(key, sections["default"].get(key))


def subject(sections: Sections, section: str) -> tuple[tuple[Field, ...], list[tuple[str, str]]]:
    """The fields of a subject, and what is wrong: (key, what). Without `prompt = no` a value is what OpenSSL asks, and
    KEY_default the answer (KEY_value the answer that is not asked for); KEY_min and KEY_max bound its length."""
    given = sections[section]
    prompts = value(sections, "req", "prompt") != "no"
    fields, problems = [], []
    for key, text in given.items():
        if key.endswith(_ABOUT_A_FIELD):
            continue
        answered = next((f"{key}{end}" for end in ("_value", "_default") if given.get(f"{key}{end}")), None)
        answer, source = (given[answered], answered) if prompts and answered else ("" if prompts else text, key)
        if answer == "":
            continue
        fields.append(Field(source, _PREFIX.sub("", key), answer))
        if prompts:
            problems += [(source, wrong) for wrong in _wrong_length(given, key, answer)]
    return tuple(fields), problems


def alternative_names(sections: Sections) -> list[tuple[str, str]]:
    """(type, value) of every `subjectAltName = DNS:a, IP:b`; `@section` stands for the names in that section. A part
    without a type has the type ""."""
    names: list[tuple[str, str]] = []
    for text in [section["subjectAltName"] for section in sections.values() if "subjectAltName" in section]:
        for part in (part.strip() for part in text.split(",")):
            if part.startswith("@"):
                named = sections.get(part[1:].strip(), {})
                names += [(key.partition(".")[0].strip(), one) for key, one in named.items()]
            elif part and part != "critical":
                kind, colon, one = part.partition(":")
                names.append((kind.strip(), one.strip()) if colon else ("", part))
    return list(dict.fromkeys(names))


def _logical_lines(text: str) -> list[tuple[int, str]]:
    """(number of its first line, text): a backslash at the end of a line joins the next one to it."""
    lines: list[tuple[int, str]] = []
    open_line = False
    for number, raw in enumerate(text.splitlines(), start=1):
        continues = raw.endswith("\\") and not raw.endswith("\\\\")
        line = raw[:-1] if continues else raw
        if open_line:
            lines[-1] = (lines[-1][0], lines[-1][1] + line)
        else:
            lines.append((number, line))
        open_line = continues
    return lines


def _value(text: str, sections: Sections, section: str) -> str:
    result = ""
    # Blanks around a value do not count, but those in quotes do.
    kept = 0
    for match in _PIECE.finditer(text.lstrip()):
        if match["comment"]:
            break
        if match["plain"] in ("'", '"', "$", "\\"):
            raise _Unreadable(
                "has an open quote or a lone $", "a value, in quotes if it holds such a sign", "correct it"
            )
        if match["plain"] is not None:
            result += match["plain"]
            continue
        result += _piece(match, sections, section)
        kept = len(result)
    return result[:kept] + result[kept:].rstrip()


def _piece(match: re.Match[str], sections: Sections, section: str) -> str:
    if match["escaped"] is not None:
        return _ESCAPES.get(match["escaped"], match["escaped"])
    if match["single"] is not None:
        return match["single"]
    if match["double"] is not None:
        return re.sub(r"\\(.)", lambda one: _ESCAPES.get(one[1], one[1]), match["double"])
    if match["section"] == "ENV":
        wanted = "a value in this file: nothing is taken from the environment"
        raise _Unreadable(
            f"refers to the variable {match['name']} of the environment", wanted, "write the value itself"
        )
    found = value(sections, match["section"] or section, match["name"])
    if found is None:
        raise _Unreadable("refers to a name that is not set above", "$NAME of a line above", "write the value itself")
    return found


def _wrong_length(given: Mapping[str, str], key: str, answer: str) -> list[str]:
    bounds = {end: given.get(f"{key}_{end}", "") for end in ("min", "max")}
    least, most = (int(text) if text.isdigit() else None for text in bounds.values())
    if least is not None and len(answer) < least:
        return [f"is shorter than {key}_min says, {least}"]
    if most is not None and len(answer) > most:
        return [f"is longer than {key}_max says, {most}"]
    return []


class _Unreadable(Exception):
    """Found, wanted, fix."""
