"""Everybody whom a deployment knows: by its list, its hub, running servers, or volumes that somebody left. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from hubdeploy.contract import rehearsals
from hubdeploy.plan import access
from hubdeploy.plan.access import Heard
from hubdeploy.plan.snapshot import ContainerState, Snapshot
from hubdeploy.settings import volume_names
from hubdeploy.settings.declarations import Settings
from hubdeploy.settings.userlist import Line

# What tables say of a volume that no user's name gives.
NOBODYS = "no user by its name"


@dataclass(frozen=True)
class Person:
    """`enter` are the reasons for which they may log in. `account`: whether the hub has one; None where it was not asked.
    `servers` are their containers, `volumes` the names of their volumes."""

    name: str
    enter: tuple[str, ...]
    account: bool | None
    last_active: datetime | None
    servers: tuple[ContainerState, ...]
    volumes: tuple[str, ...]

    @property
    def is_running(self) -> bool:
        return any(one.running for one in self.servers)

    @property
    def missing(self) -> str:
        """What an ordinary user has and this one does not; empty for an ordinary one."""
        if self.account is False:
            return "no account yet" if self.enter else "no account, and nobody lets them in"
        return "" if self.enter else "nobody lets them in"


def everybody(settings: Settings, snapshot: Snapshot, heard: Heard, lines: Mapping[str, Line]) -> tuple[Person, ...]:
    """By name, without the simulated people of a rehearsal; `lines`: name -> line of userlist."""
    volumes = {name: user_of(settings, name) for name in snapshot.users_volumes(settings.name)}
    names = {
        *(user.name for user in settings.users), *heard.names, *(heard.accounts or ()),
        *(one.user for one in snapshot.servers), *(user for user in volumes.values() if user),
    }  # fmt: skip
    real = (name for name in names if not rehearsals.is_simulated(name))
    return tuple(of(name, settings, snapshot, heard, lines) for name in sorted(real))


def of(name: str, settings: Settings, snapshot: Snapshot, heard: Heard, lines: Mapping[str, Line]) -> Person:
    """The person of this name, who may have nothing here at all."""
    return Person(
        name,
        access.of(name, settings, heard, lines).enter,
        None if heard.accounts is None else name in heard.accounts,
        (heard.accounts or {}).get(name),
        tuple(one for one in snapshot.servers if one.user == name),
        tuple(one for one in snapshot.users_volumes(settings.name) if user_of(settings, one) == name),
    )


def user_of(settings: Settings, volume: str) -> str | None:
    """Whose volume it is by its name; None where the templates of now give it to nobody."""
    found = (volume_names.user_of(one, volume) for one in settings.volume_templates)
    return next((user for user in found if user is not None), None)


def without_a_user(settings: Settings, snapshot: Snapshot) -> tuple[str, ...]:
    """Users' volumes that no user's name gives."""
    return tuple(one for one in snapshot.users_volumes(settings.name) if user_of(settings, one) is None)
