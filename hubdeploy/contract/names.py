"""The names of users and groups: how userlist spells them, and what a login may bring. Pure."""

from __future__ import annotations

import unicodedata

from .servers import escaped

LONGEST = 64
# Leaves room for NAME-user- of the longest deployment's name: 64 characters of which each is escaped.
LONGEST_ESCAPED = 192
# A group of userlist, as a pattern and in words: a part of names of volumes and of paths.
GROUP = "[a-z0-9](?:[a-z0-9_-]{0,30}[a-z0-9])?"
OF_GROUPS = "a to z, digits, _ and -, at most 32"


def normalized(name: str) -> str:
    """A name in lower case, as JupyterHub makes it, and composed, as keyboards write it at a login."""
    return unicodedata.normalize("NFC", name.lower())


def is_spelled(name: str) -> bool:
    """Whether a name has the characters that the hub takes, and that a shell, a URL and a list show as they are. GitHub has
    accounts that begin with _ or end with -."""
    letters = bool(name) and all(_is_letter(one) or one in "._@-" for one in name)
    return letters and name[0] not in ".@-" and not unicodedata.combining(name[0]) and name[-1] not in ".@"


def is_short(name: str) -> bool:
    return len(name) <= LONGEST and len(escaped(name)) <= LONGEST_ESCAPED


def _is_letter(character: str) -> bool:
    """A letter, a mark on one, or a digit, of any script."""
    category = unicodedata.category(character)
    return category[0] in "LM" or category == "Nd"
