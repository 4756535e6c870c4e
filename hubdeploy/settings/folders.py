"""Reads the part `shared` of `servers.yml`: folders that users share, and data sets, which nobody writes to. It never guesses, as
with kinds of servers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from hubdeploy.contract.documents import User
from hubdeploy.contract.servers import may_name
from hubdeploy.errors import Problem
from hubdeploy.settings import kinds, readers
from hubdeploy.settings.kinds import declared, names_of_groups, names_of_users, words

_MOST = 32
# Folders of a host that hold its secrets, its devices, or the engine's own files; nor may a data set lie around one.
_CLOSED = (
    "/boot",
    "/dev",
    "/etc",
    "/proc",
    "/root",
    "/run",
    "/sys",
    "/var/lib/containerd",
    "/var/lib/docker",
    "/var/run",
)


def _fitting(pattern: str, found: str, wanted: str, fix: str) -> Callable[[str], str]:
    """A reader of texts that fit the pattern as a whole."""

    def read(text: str) -> str:
        if re.fullmatch(pattern, text) is None:
            raise readers.Unfit(found, wanted, fix)
        return text

    return read


def _path(text: str) -> str:
    path = PurePosixPath(readers.container_path(text))
    closed = [one for one in map(PurePosixPath, _CLOSED) if path.is_relative_to(one) or one.is_relative_to(path)]
    if closed:
        found, wanted = f"is or holds {closed[0]}, which users must not read", "a folder with nothing but data in it"
        raise readers.Unfit(found, wanted, "choose a folder such as /srv/data")
    return text


_volume = _fitting(
    "[a-zA-Z0-9][a-zA-Z0-9_.-]{1,254}", "is not a volume's name", "the name of a volume of the engine",
    "docker volume ls shows them",
)  # fmt: skip
_nfs = _fitting(
    r"([A-Za-z0-9.-]+|\[[0-9a-f:]+\]):(/[^\s,:]*)", "is no folder of an NFS server", "SERVER:/FOLDER",
    "write such as nas.example.org:/export/data",
)  # fmt: skip
_cifs = _fitting(
    r"//([A-Za-z0-9.-]+)(/[^\s,:/]+)+", "is no share of a CIFS server", "//SERVER/SHARE",
    "write such as //nas.example.org/data",
)  # fmt: skip


@dataclass(frozen=True)
class Folder:
    """What users find in ~/shared under its name. Without a source it is a folder of the deployment's own, which members of its
    groups write to; with one it is a data set."""

    name: str
    line: int = field(compare=False)
    users: tuple[str, ...] | None = declared(
        "who sees it, beside its groups", names_of_users, example="[ada, bob]", default=None
    )
    groups: tuple[str, ...] | None = declared(
        "groups of `userlist` that see it; the one of its name, if it has no source and this is left out",
        names_of_groups,
        example="[physics]",
        default=None,
    )
    kinds: tuple[str, ...] | None = declared(
        "only servers of these kinds have it", words, example="[large]", default=None
    )
    volume: str | None = declared("a volume of the engine, read-only", _volume, example="climate-2024", default=None)
    path: str | None = declared(
        "a folder of the engine's host, read-only", _path, example="/srv/data/scans", default=None
    )
    nfs: str | None = declared(
        "a folder of an NFS server (version 4), read-only", _nfs, example="nas.example.org:/export/data", default=None
    )
    cifs: str | None = declared(
        "a share of a CIFS server that asks for no password, read-only",
        _cifs,
        example="//nas.example.org/data",
        default=None,
    )

    limit: int | None = declared(
        "what its files may take of the disk; its writers are told from 80 % on",
        readers.disk_size,
        example="50G",
        default=None,
    )

    @property
    def sources(self) -> dict[str, str]:
        """Key -> value, of what it is a data set by; one at most in a folder that was read without a problem."""
        given = {"volume": self.volume, "path": self.path, "nfs": self.nfs, "cifs": self.cifs}
        return {key: value for key, value in given.items() if value is not None}

    def volume_in(self, deployment: str) -> str:
        """The volume that it takes; none for a folder of the engine's host. The name of another machine's folder goes on."""
        return self.volume or ("" if self.path else f"{deployment}-shared-{self.name}")

    @property
    def is_writable(self) -> bool:
        return not self.sources

    @property
    def members_of(self) -> tuple[str, ...]:
        """The groups that see it."""
        own = (self.name,) if self.is_writable and self.users is None else ()
        return own if self.groups is None else self.groups

    def _members(self, users: Iterable[User]) -> list[User]:
        return [user for user in users if set(user.groups) & set(self.members_of)]

    def writers(self, users: Iterable[User]) -> tuple[str, ...]:
        """Who writes to it, by name."""
        if not self.is_writable:
            return ()
        groups = set(self.members_of)
        members = {user.name for user in self._members(users) if (groups & set(user.groups)) - set(user.reads)}
        return tuple(sorted(members | {*(self.users or ())}))

    def writes(self, name: str, users: Iterable[User]) -> bool | None:
        """Whether a user writes to it; None if they do not see it."""
        users = tuple(users)
        readers = self.readers(users)
        is_writer = name in self.writers(users)
        return is_writer if is_writer or readers is None or name in readers else None

    def readers(self, users: Iterable[User]) -> tuple[str, ...] | None:
        """Who only reads it, by name; None for everybody."""
        if not self.is_writable and self.users is None and self.groups is None:
            return None
        users = tuple(users)
        seeing = {user.name for user in self._members(users)} | {*(self.users or ())}
        return tuple(sorted(seeing - {*self.writers(users)}))


def parse(text: str, *, show: Callable[[str], str] = repr) -> tuple[tuple[Folder, ...], list[Problem]]:
    """The folders of a file's text in its order, and what is wrong with them. The rest of the file is for kinds.py, and secrets
    in any part of it. `show` as there."""
    reading = kinds.Reading(show, {}, ())
    found = reading.folders(text, Folder, kinds.declarations(Folder))
    return tuple(found), [
        *reading.problems,
        *(one for folder in found for one in _contradictions(folder)),
        *_too_many(found),
    ]


def _problem(folder: Folder, found: str, wanted: str, fix: str) -> Problem:
    return Problem(f"{kinds.FILE}:{folder.line}", f"shared.{folder.name}", found, wanted, fix)


def _contradictions(folder: Folder) -> Iterator[Problem]:
    if len(folder.sources) > 1:
        keep = f"keep one of {', '.join(folder.sources)}"
        yield _problem(folder, "is several data sets at once", "one source, or none for a folder of a group", keep)
    if folder.limit and folder.sources:
        yield _problem(
            folder, "has a limit, and nobody writes to it", "a limit in a folder without a source", "take the limit out"
        )


def _too_many(found: Sequence[Folder]) -> Iterator[Problem]:
    if len(found) > _MOST:
        yield Problem(kinds.FILE, "shared", f"names {len(found)} folders", f"at most {_MOST}", "take some out")


def strangers(folders: Iterable[Folder], known_kinds: Iterable[str], users: Iterable[User]) -> Iterator[Problem]:
    """Groups that folders name and nobody is in, and kinds that are not there."""
    groups, there = {group for user in users for group in user.groups}, tuple(known_kinds)
    for one in folders:
        for group in one.members_of:
            if group not in groups:
                wanted = f"{', '.join(sorted(groups)) or 'no group'}, as userlist has it"
                fix = f"correct it, or write @{group} behind a user's name in userlist"
                yield _problem(one, f"names {group}, a group that nobody is in", wanted, fix)
        for kind in one.kinds or ():
            if kind not in there:
                wanted = f"{', '.join(there) or 'no kind'}, as this file has it"
                yield _problem(one, f"names {kind}, which is no kind of servers", wanted, "correct it, or add the kind")


def contradictions(folders: Iterable[Folder], settings: Any) -> Iterator[Problem]:
    """Volumes that are somebody else's already. `settings` are what `.env` says."""
    own = {
        settings.data_volume: "the hub's data",
        **{name: f"the {owner}'s own" for name, owner in settings.component_volumes.items()},
    }
    own |= {settings.secrets_volume: "SECRETS_VOLUME"} if settings.secrets_volume else {}
    for one in folders:
        volume = one.volume_in(settings.name)
        whose = own.get(volume) if one.volume else None
        if any(may_name(template, volume) for template in settings.volume_templates):
            whose = "the name of a user's volume"
        if whose:
            yield _problem(one, f"is {volume}, which is {whose}", "a volume of its own", "choose another name")
