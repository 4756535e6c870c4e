"""Writes `.env.local`, the file of this machine's own settings and secrets.

Promises: a key that has a value keeps it. Its line and all comments stay as they are; only a line without a value
(`KEY=`, `KEY=<placeholder>`) is replaced. The file is replaced as a whole and has mode 0600. What is written reads back
to the same value. Never prints, and never writes any other file.
"""

from __future__ import annotations

import os
import re
import textwrap
from collections.abc import Mapping
from pathlib import Path

from hubdeploy import files
from hubdeploy.settings import dotenv

_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,=-]*\Z")
_HEAD = "# Secrets and this machine's own settings. Not committed; wins over .env."


def remember(path: Path, values: Mapping[str, str], reason: str) -> None:
    """Add `values` to the file at `path`, under a comment that gives the reason.

    A key that already has a value keeps it. A key that is empty, or has a `<placeholder>`, gets its value on its line.
    """
    path = path.resolve()
    with files.locked(path.parent):
        # Bytes: reading as text would change the line ends of another system.
        text = path.read_bytes().decode() if path.exists() else ""
        updated = added(text, values, reason)
        if updated != text or not path.exists():
            files.replace(path, updated.encode(), mode=0o600)
        else:
            path.chmod(0o600)


def added(text: str, values: Mapping[str, str], reason: str) -> str:
    """The file's text with `values` in it; the text itself if there is nothing to add."""
    entries, _ = dotenv.parse(text, source=".env.local", environ=os.environ)
    lines = text.removesuffix("\n").split("\n") if text else []
    missing = []
    for key, value in values.items():
        if key not in entries:
            missing.append(key)
        elif dotenv.is_unset(entries[key].value):
            entry = entries[key]
            lines[entry.line - 1 : entry.last_line] = [f"{key}={quoted(value)}", *[""] * (entry.last_line - entry.line)]
    if missing:
        comment = textwrap.wrap(" ".join(reason.split()), 110, initial_indent="# ", subsequent_indent="# ")
        assignments = [f"{key}={quoted(values[key])}" for key in missing]
        lines = [*(lines or [_HEAD]), "", *comment, *assignments]
    return "".join(line + "\n" for line in lines)


def quoted(value: str) -> str:
    """The value as it is written behind `KEY=`: Compose reads it back unchanged."""
    if _PLAIN.match(value):
        return value
    if not re.search(r"['\\\n\r]", value):
        return f"'{value}'"
    for character, escape in (("\\", "\\\\"), ('"', '\\"'), ("$", "\\$"), ("\n", "\\n"), ("\r", "\\r")):
        value = value.replace(character, escape)
    return f'"{value}"'
