"""A setting's value as a person would write it: `1.5G` for bytes, `yes` for a truth. Plans print it. Never a secret's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hubdeploy.settings import readers
from hubdeploy.settings.declarations import declarations, joined

_AMOUNTS = (readers.size, readers.guarantee_or_none, readers.disk_size)


def spelt(key: str, value: Any) -> str:
    """The value of `key` as it may stand in .env, also if it comes from a container's document; what the default is in words
    where the value is absent."""
    declaration = declarations()[key][1]
    if declaration.secret:
        return "***"
    if value is None:
        return readers.NONE if takes_none(declaration.read) else declaration.derivation
    if isinstance(value, bool):
        return "yes" if value else "no"
    if declaration.read in _AMOUNTS:
        return str(readers.Bytes(value))
    if declaration.read is readers.length_or_none:
        return str(readers.Seconds(value))
    if isinstance(value, tuple | list):
        return joined(declaration, value) or declaration.derivation
    return f"{value:g}" if isinstance(value, float) else str(value)


def takes_none(read: Callable[[str], Any]) -> bool:
    """Whether a setting that is read so may be the word none, and has no value then."""
    try:
        return read(readers.NONE) is None
    except readers.Unfit:
        return False
