"""The names of users' volumes: reads their template, and knows which names it can give. Pure.

`{username}` stands for a user's name as DockerSpawner escapes it, `{raw_username}` for the name as it is.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from hubdeploy.contract.servers import escaped
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


def may_name(template: str, volume: str) -> bool:
    """True if the template gives some user this volume."""
    before, after = _around_user(template)
    return volume.startswith(before) and volume.endswith(after) and len(volume) > len(before + after)


def may_be_named(templates: Collection[str], volume: str) -> bool:
    """True if one of the templates gives some user this volume."""
    return any(may_name(template, volume) for template in templates)


def may_meet(one: str, other: str) -> bool:
    """True if two templates may give the same name, to one user or to two."""
    (before, after), (also_before, also_after) = _around_user(one), _around_user(other)
    starts = before.startswith(also_before) or also_before.startswith(before)
    return starts and (after.endswith(also_after) or also_after.endswith(after))


def _around_user(template: str) -> tuple[str, str]:
    """What stands before and after the user's name."""
    before, _, rest = template.partition("{")
    return before, rest.partition("}")[2]


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
