"""The names of users' volumes: reads their template, and knows which names it can give. Pure.

`{username}` stands for a user's name as DockerSpawner escapes it, `{raw_username}` for the name as it is.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from hubdeploy.contract.servers import around_user, escaped, may_name, unescaped
from hubdeploy.settings.readers import Unfit

ESCAPED, RAW = "{username}", "{raw_username}"
NONE = "none"
_TEMPLATE = re.compile(r"([a-zA-Z0-9][a-zA-Z0-9_.-]{0,62})\{(?:raw_)?username\}([a-zA-Z0-9_.-]{0,62})\Z")
_IN_A_NAME = re.compile(r"[a-zA-Z0-9_.-]+\Z")
# The engine makes a folder for each volume, and a folder's name has at most 255 bytes.
_LONGEST = 255


def template(text: str) -> str:
    """A template with text in front of the user's name: the name alone could be any volume. Raises Unfit."""
    if _TEMPLATE.match(text) is None:
        raise Unfit(
            "does not name a volume for each user",
            f"letters, digits and _ . - , then {ESCAPED} or {RAW}",
            f"write such a template, for example jupyterhub-user-{RAW}",
        )
    return text


def template_or_none(text: str) -> str:
    """A template, or NONE: no such volume. Raises Unfit."""
    if text == NONE:
        return text
    try:
        return template(text)
    except Unfit as unfit:
        raise Unfit(unfit.found, f"{unfit.wanted}; or {NONE}", unfit.fix) from None


def user_of(template: str, volume: str) -> str | None:
    """The user to whom the template gives this volume; None if it gives it to nobody."""
    before, after = around_user(template)
    if not may_name(template, volume):
        return None
    name = volume[len(before) : len(volume) - len(after)]
    try:
        return name if RAW in template else unescaped(name)
    except ValueError:
        return None


def may_be_named(templates: Collection[str], volume: str) -> bool:
    """True if one of the templates gives some user this volume."""
    return any(may_name(template, volume) for template in templates)


def may_meet(one: str, other: str) -> bool:
    """True if two templates may give the same name, to one user or to two."""
    (before, after), (also_before, also_after) = around_user(one), around_user(other)
    starts = before.startswith(also_before) or also_before.startswith(before)
    return starts and (after.endswith(also_after) or also_after.endswith(after))


def unfit_users(template: str, users: tuple[str, ...]) -> tuple[str, ...]:
    """The users for whom the template gives no name that the engine takes: their names, as they are, hold other
    characters, or it is too long."""
    raw = RAW in template
    around = len(template) - len(RAW if raw else ESCAPED)
    return tuple(
        user
        for user in users
        if (raw and _IN_A_NAME.match(user) is None) or around + (len(user) if raw else len(escaped(user))) > _LONGEST
    )
