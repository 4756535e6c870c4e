"""The ways to write tables, lists and texts in YAML; each must be read back as the same. Follows the description of YAML, never
the code that reads it.
"""

from __future__ import annotations

import re
from typing import Any

from hypothesis import strategies as st

# A text, a list of texts, a table, or nothing.
Value = str | list[Any] | dict[str, Any] | None
_PLAIN = re.compile(r"[A-Za-z0-9/][A-Za-z0-9 ./_-]*(?<! )")
_COMMENTS = ("", "", "", "  # and why", ' # it\'s "so": [x')
_NOTHING = ("", " null", " ~")
_FILLERS = ("# a comment", "", "   ", "  # {")


class Writer:
    """Writes tables as lines of YAML. `again` are the path of a table, with a point behind it, a key of it, and a value that the
    key has once more, behind all others. `spans`: path -> its first and last line; `texts`: path and text of all scalars, with
    the path of the table for a key."""

    def __init__(self, draw: st.DrawFn, again: list[tuple[str, str, Value]]) -> None:
        self._draw, self._again = draw, again
        self._anchors: dict[str, str] = {}
        self.lines: list[str] = []
        self.spans: dict[str, tuple[int, int]] = {}
        self.texts: list[tuple[str, str]] = []

    def whole(self, tree: dict[str, Any]) -> None:
        if self._draw(st.integers(0, 9)) == 0:
            self.lines.append(self._flow(tree, ""))
        else:
            self._table(tree, 0, "")

    def _table(self, table: dict[str, Any], indent: int, prefix: str) -> None:
        for key, value in self._pairs(table, prefix):
            if self._draw(st.integers(0, 5)) == 0:
                self.lines.append(self._draw(st.sampled_from(_FILLERS)))
            first = len(self.lines) + 1
            self.texts.append((prefix.removesuffix("."), key))
            self._entry(f"{' ' * indent}{self._word(key)}:", value, indent, prefix + key)
            self.spans[prefix + key] = (first, len(self.lines))

    def _pairs(self, table: dict[str, Any], prefix: str) -> list[tuple[str, Value]]:
        return [*table.items(), *((key, value) for at, key, value in self._again if at == prefix)]

    def _entry(self, start: str, value: Value, indent: int, path: str) -> None:
        comment = self._draw(st.sampled_from(_COMMENTS))
        if value is None:
            self.lines.append(f"{start}{self._draw(st.sampled_from(_NOTHING))}{comment}")
        elif isinstance(value, str):
            self._scalar(start, value, comment, indent, path)
        elif (
            not value
            or self._draw(st.booleans())
            or (isinstance(value, list) and not all(isinstance(one, str) for one in value))
        ):
            self.lines.append(f"{start} {self._flow(value, path)}{comment}")
        elif isinstance(value, dict):
            self.lines.append(start + comment)
            self._table(value, indent + self._draw(st.integers(1, 4)), f"{path}.")
        else:
            self.lines.append(start + comment)
            deeper = " " * (indent + self._draw(st.integers(0, 3)))
            for one in value:
                self.texts.append((path, one))
                self.lines.append(f"{deeper}- {self._word(one)}")

    def _scalar(self, start: str, value: str, comment: str, indent: int, path: str) -> None:
        self.texts.append((path, value))
        if value in self._anchors and self._draw(st.booleans()):
            self.lines.append(f"{start} *{self._anchors[value]}{comment}")
        elif value.isprintable() and value and value.strip() == value and self._draw(st.integers(0, 5)) == 0:
            sign = self._draw(st.sampled_from(("|-", ">-", "|2-")))
            self.lines += [f"{start} {sign}{comment}", f"{' ' * (indent + 2)}{value}"]
        elif self._draw(st.integers(0, 7)) == 0 and value not in self._anchors:
            self._anchors[value] = f"a{len(self._anchors)}"
            self.lines.append(f"{start} &{self._anchors[value]} {self._word(value)}{comment}")
        else:
            # What follows the colon of an empty value is nothing.
            text = "" if value == "" and self._draw(st.booleans()) else f" {self._word(value)}"
            self.lines.append(f"{start}{text}{comment}")

    def _flow(self, value: Value, path: str) -> str:
        if value is None:
            return str(self._draw(st.sampled_from(_NOTHING)))
        if isinstance(value, str):
            self.texts.append((path, value))
            return self._word(value)
        if isinstance(value, list):
            end = self._draw(st.sampled_from(("", ",") if value else ("",)))
            return f"[{', '.join(self._flow(one, path) for one in value)}{end}]"
        words = []
        for key, one in self._pairs(value, f"{path}." if path else ""):
            deeper = f"{path}.{key}".lstrip(".")
            self.texts.append((path, key))
            self.spans[deeper] = (len(self.lines) + 1,) * 2
            words.append(f"{self._word(key)}: {self._flow(one, deeper)}")
        return f"{{{', '.join(words)}}}"

    def _word(self, text: str) -> str:
        """One of the ways to write a text within a line."""
        ways = [_quoted(text)]
        if text.isprintable():
            ways.append("'" + text.replace("'", "''") + "'")
        if _PLAIN.fullmatch(text):
            ways += [text] * 4 + [f"!!str {text}"]
        return str(self._draw(st.sampled_from(ways)))


def _quoted(text: str) -> str:
    escapes = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t"}
    return '"' + "".join(escapes.get(one) or (one if one.isprintable() else f"\\U{ord(one):08x}") for one in text) + '"'
