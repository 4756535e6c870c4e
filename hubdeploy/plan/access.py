"""Who may enter, who is an admin, who may use sudo, and by which line, group or rule. Pure.

The hub decides the same by the traits of its login; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from hubdeploy.contract.documents import GROUP_TRAITS, User
from hubdeploy.settings.declarations import Settings, keys_of_fields
from hubdeploy.settings.userlist import Line

# What the hub has on record, and forgets with the account.
ADDED, PROMOTED = "added in the admin page", "made an admin in the admin page"


@dataclass(frozen=True)
class Heard:
    """What the hub has on record: the users whom an admin has `added` or `promoted`, and name -> the groups that the login's
    provider named at the last login, of those that settings name. `accounts`: name -> when it was active last, None where it
    never was; None where no hub was asked."""

    added: frozenset[str] = frozenset()
    promoted: frozenset[str] = frozenset()
    groups: Mapping[str, frozenset[str]] = field(default_factory=dict)
    accounts: Mapping[str, datetime | None] | None = None

    @property
    def names(self) -> frozenset[str]:
        return self.added | self.promoted | self.groups.keys()


@dataclass(frozen=True)
class Access:
    """The reasons why `name` may `enter`, is an `admin`, may `sudo`; without one it is a no. Nobody who may not enter is an
    admin, may use sudo, or sees what users share. `groups` are the user's in userlist, with @, then in the last login.
    `folders`: name in ~/shared -> whether the user writes there."""

    name: str
    enter: tuple[str, ...]
    admin: tuple[str, ...]
    sudo: tuple[str, ...]
    groups: tuple[str, ...] = ()
    folders: Mapping[str, bool] = field(default_factory=dict)


def of(name: str, settings: Settings, heard: Heard, lines: Mapping[str, Line]) -> Access:
    """`name` as the hub normalizes it; `lines`: name, or @ and a group -> line of userlist."""
    user = next((one for one in settings.users if one.name == name), None)
    mine = heard.groups.get(name, frozenset())
    promoted = [PROMOTED] if name in heard.promoted else []
    by_admin_group = list(_by_group(settings, "admin_groups", mine))
    enter = [
        *([f"userlist:{lines[name].number}"] if user else []),
        *([ADDED] if name in heard.added else []),
        *_by_group(settings, "allowed_groups", mine),
        *by_admin_group,
        *promoted,
    ]
    admin = [*_by_lines(user, "admin", lines), *by_admin_group, *promoted]
    sudo = [*_by_lines(user, "sudo", lines), *(["GRANT_SUDO=yes"] if settings.grant_sudo else [])]
    groups = (*(f"@{one}" for one in (user.groups if user else ())), *sorted(mine))
    seen = {one.name: one.writes(name, settings.users) for one in settings.folders}
    folders = {one: writes for one, writes in sorted(seen.items()) if writes is not None}
    if not enter:
        return Access(name, (), tuple(admin), (), groups)
    return Access(name, tuple(enter), tuple(admin), tuple(sudo), groups, folders)


def everybody(settings: Settings, heard: Heard, lines: Mapping[str, Line]) -> tuple[Access, ...]:
    """All whose name is known and who may enter, by name."""
    names = {user.name for user in settings.users} | heard.names
    found = (of(name, settings, heard, lines) for name in sorted(names))
    return tuple(one for one in found if one.enter)


def groups(settings: Settings) -> dict[str, tuple[str, ...]]:
    """Key -> the groups that it lets in, of the settings that the login reads."""
    fields = [settings.login.traits[trait] for trait in GROUP_TRAITS if trait in settings.login.traits]
    return {keys_of_fields()[one]: getattr(settings, one) for one in fields if getattr(settings, one)}


def _by_lines(user: User | None, flag: str, lines: Mapping[str, Line]) -> Iterable[str]:
    """The lines of userlist that give the user a flag: the user's own line, and the lines of the user's groups."""
    names = [user.name, *(f"@{group}" for group in user.groups)] if user else []
    giving = [(name, lines[name].number) for name in names if name in lines and flag in lines[name].words]
    return [f"userlist:{number} ({f'{name} ' if name.startswith('@') else ''}{flag})" for name, number in giving]


def _by_group(settings: Settings, trait: str, mine: Iterable[str]) -> Iterable[str]:
    name = settings.login.traits.get(trait)
    named = getattr(settings, name) or () if name else ()
    return [f"group {one} ({keys_of_fields()[name]})" for one in named if name and one in mine]
