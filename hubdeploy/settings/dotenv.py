"""Reads files in the syntax of docker compose's `.env`, keeping the line of each key.

Promises: what Compose 2.40 reads, this reads to the same value. It is stricter where silence would hide a mistake: a
repeated key, a reference to a variable that is not set, and text behind a closing quote are problems. It never
touches the process environment.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from hubdeploy.contract.documents import Secret
from hubdeploy.errors import Problem

_KEY = re.compile(r"(?:export[ \t]+)?([^\s=:#'\"]+)[ \t]*([=:]|(?=\r?\n|\r?$))")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-\[\]]*\Z")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "a": "\a", "b": "\b", "f": "\f", "v": "\v", '"': '"', "\\": "\\"}
_ESCAPE = re.compile(r"\\(?:([abfnrtv$\"\\])|0(\d{0,3}))")
_VARIABLE = re.compile(
    r"\$(?:(?P<escaped>\$)|(?P<plain>[A-Za-z_][A-Za-z0-9_]*)|\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<op>:?[-+?]|\}))"
)
# An escaped dollar sign opens no reference, and a reference ends on its own line.
_BRACES = re.compile(r"\$\$|\$\{|\}|\n")
_BAD_REFERENCE = "has ${ without a variable that can be read"
# What Go counts as a space, and which of these Compose skips in front of a value.
_SPACES = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006"
    "\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
_SPACES_BEFORE_A_VALUE = "\t\v\f\r \x85\xa0"
_LITERAL = "put the value in single quotes if the $ is meant as it stands"


@dataclass(frozen=True)
class Entry:
    """A key's value, and the first and the last line of its statement (counted from 1). A `bare` key takes its value from
    the environment. `given_again` holds the values of later statements for the same key; each is a problem."""

    given: Secret[str]
    line: int
    last_line: int
    bare: bool = False
    given_again: tuple[Secret[str], ...] = ()

    @property
    def value(self) -> str:
        return self.given.reveal()


def is_unset(value: str) -> bool:
    """Empty, or a placeholder such as `<client ID for your GitHub OAuth application>`."""
    return value == "" or (value.startswith("<") and value.endswith(">"))


def parse(text: str, *, source: str, environ: Mapping[str, str]) -> tuple[dict[str, Entry], list[Problem]]:
    """The keys of a file's text, in order, and what is wrong with it.

    `source` names the file in problems. `$VAR` looks in `environ`, then at the keys above; a bare `KEY` line takes its
    value from `environ`, as Compose does. Behind a line that cannot be read, reading goes on, so all problems show at once.
    """
    reader = _Reader(text.removeprefix("\ufeff"), source, environ)
    reader.read()
    return reader.entries, reader.problems


class _Reader:
    def __init__(self, text: str, source: str, environ: Mapping[str, str]) -> None:
        self.text, self.source, self.environ = text, source, environ
        self.at = 0
        self.entries: dict[str, Entry] = {}
        self.problems: list[Problem] = []

    def read(self) -> None:
        while self._skip_blank():
            line = self.text.count("\n", 0, self.at) + 1
            try:
                self._statement(line)
            except _Unreadable as unreadable:
                where = f"{self.source}:{line}"
                self.problems.append(
                    Problem(where, unreadable.key, unreadable.found, unreadable.wanted, unreadable.fix)
                )
                self._skip_line()

    def _skip_blank(self) -> bool:
        """Moves to the next statement; False at the end of the file."""
        while self.at < len(self.text):
            if self.text[self.at] == "#":
                self._skip_line()
            elif self.text[self.at] in _SPACES:
                self.at += 1
            else:
                return True
        return False

    def _skip_line(self) -> None:
        end = self.text.find("\n", self.at)
        self.at = len(self.text) if end < 0 else end

    def _statement(self, line: int) -> None:
        match = _KEY.match(self.text, self.at)
        if match is None or _NAME.match(match[1]) is None:
            raise _Unreadable(
                "", "this line cannot be read", "KEY=value", "write KEY=value, or # in front of a comment"
            )
        key = match[1]
        self.at = match.end()
        if match[2]:
            value = self._value(key)
        elif key in self.environ:
            value = self.environ[key]
        else:
            wanted = "KEY=value, or a variable of this name in the shell"
            raise _Unreadable(key, "has no value", wanted, "write KEY=value, or delete the line")
        if key in self.entries:
            first = self.entries[key]
            self.entries[key] = replace(first, given_again=(*first.given_again, Secret(value)))
            found = f"is set again (first on line {first.line})"
            raise _Unreadable(key, found, "each key once", "delete one of the two lines")
        self.entries[key] = Entry(Secret(value), line, self.text.count("\n", 0, self.at) + 1, not match[2])

    def _value(self, key: str) -> str:
        while self.text[self.at : self.at + 1] in tuple(_SPACES_BEFORE_A_VALUE):
            self.at += 1
        quote = self.text[self.at : self.at + 1]
        if quote and quote in "'\"":
            return self._quoted(key, quote)
        start = self.at
        self._skip_line()
        value = self.text[start : self.at]
        return self._expand(key, value.split(" #", 1)[0].rstrip(_SPACES))

    def _quoted(self, key: str, quote: str) -> str:
        start = self.at
        characters: list[str] = []
        self.at += 1
        while self.at < len(self.text):
            character = self.text[self.at]
            following = self.text[self.at + 1 : self.at + 2]
            if character == quote:
                self.at += 1
                self._only_comment_follows(key)
                value = "".join(characters)
                return self._expand(key, value, escapes=True) if quote == '"' else value
            if character == "\\" and following == quote and quote == "'":
                character = following
                self.at += 1
            elif character == "\\" and following:
                character += following
                self.at += 1
            characters.append(character)
            self.at += 1
        self.at = start
        raise _Unreadable(
            key, f"the quote {quote} is not closed", f"a closing {quote}", f"add {quote} at the end of the value"
        )

    def _only_comment_follows(self, key: str) -> None:
        start = self.at
        self._skip_line()
        rest = self.text[start : self.at].strip(_SPACES)
        if rest and not rest.startswith("#"):
            raise _Unreadable(
                key,
                "there is text behind the closing quote",
                "nothing or a # comment there",
                "put the whole value in quotes",
            )

    def _expand(self, key: str, value: str, *, escapes: bool = False) -> str:
        """Escapes first (double quotes only), then variables, as Compose does; an escaped `$` stays one."""
        if escapes:
            value = _ESCAPE.sub(_unescaped, value)
        result: list[str] = []
        at = 0
        while at < len(value):
            match = _VARIABLE.match(value, at) if value[at] == "$" else None
            if match is None and value.startswith("${", at):
                raise _Unreadable(key, _BAD_REFERENCE, "${NAME}", _LITERAL)
            if match is None:
                result.append(value[at])
                at += 1
                continue
            at = match.end()
            word = ""
            if match["name"] and match["op"] != "}":
                end = _closing_brace(value, at)
                if end is None:
                    raise _Unreadable(key, _BAD_REFERENCE, "${NAME}", _LITERAL)
                word, at = value[at:end], end + 1
            result.append(self._variable(key, match, word))
        return "".join(result)

    def _variable(self, key: str, match: re.Match[str], word: str) -> str:
        if match["escaped"]:
            return "$"
        operator = match["op"] or ""
        value = self._lookup(match["plain"] or match["name"])
        missing = value is None or (value == "" and operator.startswith(":"))
        if operator.endswith("+"):
            return "" if missing else self._expand(key, word)
        if operator.endswith("-") and missing:
            return self._expand(key, word)
        if value is None or (missing and operator.endswith("?")):
            # The variable is not named: the text behind a $ may be half of a password.
            raise _Unreadable(key, "refers to a variable that is not set", "variables that are set", _LITERAL)
        return value

    def _lookup(self, name: str) -> str | None:
        if name in self.environ:
            return self.environ[name]
        return self.entries[name].value if name in self.entries else None


def _unescaped(match: re.Match[str]) -> str:
    """One escape's character; `\\$` becomes `$$`, which the variables' pass turns into a dollar sign."""
    if match[1] is None:
        digits = match[2]
        fits = re.fullmatch(r"[0-7]{3}", digits) and int(digits, 8) < 256
        return chr(int(digits, 8)) if fits else f"\\{digits}"
    return "$$" if match[1] == "$" else _ESCAPES[match[1]]


def _closing_brace(text: str, at: int) -> int | None:
    """Where the } stands that closes the reference opened before `at`; nested ones are skipped. None if it stays open."""
    opened = 1
    for found in _BRACES.finditer(text, at):
        opened += {"${": 1, "}": -1}.get(found[0], 0)
        if found[0] == "\n":
            return None
        if opened == 0:
            return found.start()
    return None


class _Unreadable(Exception):
    def __init__(self, key: str, found: str, wanted: str, fix: str) -> None:
        super().__init__(found)
        self.key, self.found, self.wanted, self.fix = key, found, wanted, fix
