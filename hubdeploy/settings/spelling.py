"""A setting's value as a person would write it: `1.5G` for bytes, `yes` for a truth. Plans print it. Never a secret's."""

from __future__ import annotations

import shlex
from typing import Any

from hubdeploy.settings import readers
from hubdeploy.settings.declarations import declarations

# Readers of what is written with commas between.
_LISTS = (readers.networks, readers.groups, readers.organizations, readers.course_repositories, readers.cards)
_UNITS = {"T": 1024**4, "G": 1024**3, "M": 1024**2, "K": 1024}


def spelt(key: str, value: Any) -> str:
    """The value of `key` as it may stand in .env; what the default is in words where the value is absent."""
    declaration = declarations()[key][1]
    if declaration.secret:
        return "***"
    if value is None:
        return declaration.derivation
    if isinstance(value, bool):
        return "yes" if value else "no"
    if declaration.read is readers.size:
        return _size(value)
    if declaration.read in _LISTS:
        return ", ".join(value) or declaration.derivation
    if isinstance(value, tuple | list):
        return shlex.join(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _size(number: int) -> str:
    """The largest unit of which two decimals say the number exactly: 12616466432 is 11.75G."""
    for unit, size in _UNITS.items():
        text = f"{number / size:.2f}".rstrip("0").rstrip(".")
        if number >= size and float(text) * size == number:
            return f"{text}{unit}"
    return str(number)
