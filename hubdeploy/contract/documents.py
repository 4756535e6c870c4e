"""The documents that the library puts into the hub, as objects: the contract (no secret in it), its secrets, and what the
hub's pages show.

Both sides import this module, so neither can misread the other. It turns objects into bytes and back, and touches no file.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import types
import typing
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

# A volume in the hub's container, in the directory of its modules, and what lies in it. The rest of its file system is read-only.
DOCUMENTS = "documents"
CONTRACT_FILE, SECRETS_FILE = f"{DOCUMENTS}/contract.json", f"{DOCUMENTS}/secrets.json"
# The running hub reads these two anew when they change. The logo is a picture; empty, there is none.
PAGES_FILE, LOGO_FILE = f"{DOCUMENTS}/pages.json", f"{DOCUMENTS}/logo"
# In a volume that the filter alone mounts.
SERVER_SECRETS_FILE = "/srv/filter/server-secrets.json"

# The hub names its deployment in this header of every page.
DEPLOYMENT_HEADER = "X-JupyterHub-Deployment"
# How the MAC address of a user's server begins in a network of others, where the guard must know it from other containers.
SERVER_MAC = "06:68"

# The traits of a login's class that let in members of groups.
GROUP_TRAITS = ("allowed_groups", "admin_groups")
# The traits that say whose names a login's users have.
NAMING_TRAITS = ("github_url", "issuer", "username_claim")
# A trait of a login's class, as JSON has it.
Trait = str | bool | tuple[str, ...]
_Value = TypeVar("_Value", str, bytes)
_Document = TypeVar("_Document")


class Secret(Generic[_Value]):
    """A value that prints as `***`, wherever it is printed. `reveal()` gives it."""

    __slots__ = ("_value",)

    def __init__(self, value: _Value) -> None:
        self._value: _Value = value

    def reveal(self) -> _Value:
        return self._value

    def __repr__(self) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and bool(self._value == other._value)

    def __hash__(self) -> int:
        return hash(self._value)


@dataclass(frozen=True)
class User:
    """Somebody who may log in. Names are lower case, as JupyterHub normalises them. With `keep` no limit of time stops their
    server. `groups` are the user's in userlist, by name; in `reads` among them the user only reads the shared folder."""

    name: str
    admin: bool = False
    sudo: bool = False
    keep: bool = False
    groups: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()


@dataclass(frozen=True)
class Hub:
    """`connect_url`: where users' servers reach the hub; `port`: what it listens on for them; `data_dir`: where its database
    lies; `base_url`: the path below which the hub and all servers answer, with a slash at both ends; `front_url`: where the
    proxy reaches the hub, on the network of these two. The hub believes what requests there say of a browser's address.
    `reserve` is a folder on the engine's disk. `memory` is what the deployment and users' servers may take of the host's, in
    bytes; None: all of it."""

    connect_url: str
    port: int
    data_dir: str
    base_url: str = "/"
    front_url: str = ""
    reserve: str = "/srv/reserve"
    memory: int | None = None


@dataclass(frozen=True)
class Proxy:
    """The proxy's API, and the file that the hub writes its routes to."""

    api_url: str
    api_user: str
    rules_file: str


@dataclass(frozen=True)
class Login:
    """How users log in: the authenticator's `module.Class`, and its traits. Those that are secret stand in Secrets.login, by
    the trait's name."""

    name: str
    authenticator_class: str
    traits: Mapping[str, Trait]

    @property
    def has_groups(self) -> bool:
        """Whether members of a group may enter whom nobody named."""
        return bool(self.groups(*GROUP_TRAITS))

    def groups(self, *traits: str) -> frozenset[str]:
        """The groups in these of GROUP_TRAITS."""
        values = [self.traits.get(trait) for trait in traits]
        return frozenset(one for value in values if isinstance(value, tuple) for one in value)

    @property
    def names(self) -> str:
        """Whose names its users have: by logins where this differs, one name can be two persons."""
        return " ".join((self.name, *(str(self.traits[one]) for one in NAMING_TRAITS if one in self.traits)))


@dataclass(frozen=True)
class Volume:
    """A volume, mounted at `target`. In the `name` of one of each user's stands {username}, or {raw_username} unescaped."""

    name: str
    target: str


@dataclass(frozen=True)
class Folder:
    """What users share, under its name: a volume of the engine, or a `path` of its host. `options` are for the engine's own
    driver, for a volume on another machine. `writers` and `readers` are users, None for everybody, in the order of their names;
    `kinds`: only servers of these have it, all if it is None. `ours`: the deployment makes the volume, and its files are kept.
    `limit`: with so many bytes in it, its writers are told that it is full; None: no limit."""

    name: str
    volume: str = ""
    path: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    writers: tuple[str, ...] = ()
    readers: tuple[str, ...] | None = ()
    kinds: tuple[str, ...] | None = None
    ours: bool = False
    limit: int | None = None


@dataclass(frozen=True)
class ServerKind:
    """What a user's server is made from. Memory is bytes, `cpu_limit` a number of CPUs (None: no limit), `disk_limit` the bytes
    of all volumes of a user (None: no limit).

    Seconds, None for never: a server is stopped when nothing ran in it for `idle_timeout`, and in any case at the age of
    `max_age`; a kernel is shut down when nothing ran in it for `kernel_idle_timeout`.

    `course_repositories`: where course material may come from, as COURSE_REPOSITORIES has it.
    `gpus` is how many cards each of its servers has.
    `title` and `description` are for its users to read; `users` may have it, None for everybody, and members of
    `provider_groups`, which the login names. `secrets` are the names of variables whose values ServerSecrets has.
    `ours`: the image is one of the deployment's own. `marks_servers`: servers get a MAC address that begins with SERVER_MAC.
    `server_name` is DockerSpawner's template of the container's name. `networks` are places as in Walls.
    A field with the name of a field of Settings is filled from it.
    """

    name: str
    image: str
    ours: bool
    network_name: str
    server_name: str
    spawn_command: tuple[str, ...]
    nb_user: str
    nb_uid: int
    notebook_dir: str
    volumes: tuple[Volume, ...]
    memory_limit: int
    cpu_limit: float | None
    pids_limit: int
    grant_sudo: bool
    environment: Mapping[str, str] = field(default_factory=dict)
    timezone: str = "Etc/UTC"
    marks_servers: bool = False
    disk_limit: int | None = None
    idle_timeout: int | None = None
    max_age: int | None = None
    kernel_idle_timeout: int | None = None
    memory_guarantee: int | None = None
    title: str = ""
    description: str = ""
    users: tuple[str, ...] | None = None
    provider_groups: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    course_repositories: tuple[str, ...] | None = None
    networks: tuple[str, ...] = ()
    gpus: int = 0

    @property
    def fingerprint(self) -> str:
        """A digest of what its servers are made from. When a server starts and when it is stopped, and who may have it, is the
        hub's to know, so running ones follow a change at once."""
        made_from = replace(
            self,
            idle_timeout=None,
            max_age=None,
            memory_guarantee=None,
            name="",
            title="",
            description="",
            users=None,
            provider_groups=(),
        )
        return hashlib.sha256(to_bytes(made_from)).hexdigest()[:16]


@dataclass(frozen=True)
class Contract:
    """All that the hub must know and that is no secret. Users are in the order of their names, and one kind is everybody's.
    `cards` are those that servers may have, as GPUS has them."""

    deployment: str
    labels: Mapping[str, str]
    hub: Hub
    proxy: Proxy
    login: Login
    users: tuple[User, ...]
    kinds: tuple[ServerKind, ...]
    folders: tuple[Folder, ...] = ()
    cards: tuple[str, ...] = ()

    @property
    def servers(self) -> Servers:
        """What of it users' servers are made from."""
        sudo = tuple(user.name for user in self.users if user.sudo)
        return Servers(self.labels, self.hub.base_url, self.kinds, sudo, self.folders, self.cards)


@dataclass(frozen=True)
class Servers:
    """What the filter makes users' servers from, whatever the hub asks for. `labels` are the deployment's, `base_url` as in
    Hub; `sudo_users` are those whose servers may use sudo, in the order of their names. `cards` as in Contract."""

    labels: Mapping[str, str]
    base_url: str
    kinds: tuple[ServerKind, ...]
    sudo_users: tuple[str, ...]
    folders: tuple[Folder, ...] = ()
    cards: tuple[str, ...] = ()

    def kinds_of(self, user: str, named: Collection[str] | None = ()) -> tuple[ServerKind, ...]:
        """The kinds that a user may have; one at least, and the first is theirs unless they choose another. `named` are the
        groups that the login names; None where they are not known, and the hub's word counts."""

        def by_login(kind: ServerKind) -> bool:
            return any(named is None or group in named for group in kind.provider_groups)

        return tuple(one for one in self.kinds if one.users is None or user in one.users or by_login(one))

    def kind_for(self, user: str, name: str = "", named: Collection[str] | None = ()) -> ServerKind | None:
        """The kind of this name for a user, without a name the first one; None if they may not have it."""
        if not name:
            return self.kinds_of(user, named or ())[0]
        return next((one for one in self.kinds_of(user, named) if one.name == name), None)

    def kind_of_server(self, user: str, name: str, named: Collection[str] | None = ()) -> ServerKind:
        """The kind that a server of this kind's name would be now: where it is gone or another's, the user's first one."""
        return self.kind_for(user, name, named) or self.kinds_of(user, named or ())[0]

    def folders_of(self, user: str, kind: str) -> tuple[tuple[Folder, bool], ...]:
        """The folders that a server of this kind shows its user, and whether only to read, by name."""
        return tuple(
            (one, user not in one.writers)
            for one in sorted(self.folders, key=lambda one: one.name)
            if one.kinds is None or kind in one.kinds
            if user in one.writers or one.readers is None or user in one.readers
        )

    def fingerprint(self, user: str, kind: ServerKind) -> str:
        """A digest of what a user's server of this kind is made from, which it carries as a label: one with another digest is out
        of date."""
        shared = [
            (one.name, one.volume, one.path, dict(one.options), reads)
            for one, reads in self.folders_of(user, kind.name)
        ]
        # Which card it has is no part of it, but where there are cards the others are kept from it.
        guarded = ["no other card"] if self.cards else []
        whole = f"{kind.fingerprint} {json.dumps([*shared, *guarded], sort_keys=True)}".encode()
        return hashlib.sha256(whole).hexdigest()[:16] if shared or guarded else kind.fingerprint

    def may_sudo(self, user: str) -> bool:
        return self.kinds[0].grant_sudo or user in self.sudo_users


@dataclass(frozen=True)
class Job:
    """Something that happens between two calls of `up`: a container that runs once, as nobody. It ends with 0 where all is
    well, with UNDER_WAY where that is not known yet, and its last line says what it found. `every` and `within` are seconds:
    from the end of one to the beginning of the next (None: only when somebody asks), and the longest that it may take.
    `network` is none, host or bridge; `volumes` are mounted read-only. `writes` are not, and it is root then, without a
    capability but `capabilities`, as their files are. `reads_log`: the name of a container whose log it gets, in the variable
    LOG. `memory` is in bytes.

    One with `at` (such as 03:00) is asked for once a day at that time, soon after the clock's start, and an hour after a bad end:
    it knows itself whether anything is due. `users_at`: the folder below which it has the volumes of all users, read-only, each
    under its name. Its container may be somebody else's, who began the same by hand.
    """

    name: str
    image: str
    command: tuple[str, ...]
    every: int | None
    within: int
    network: str = "none"
    volumes: tuple[Volume, ...] = ()
    writes: tuple[Volume, ...] = ()
    reads_log: str | None = None
    at: str = ""
    users_at: str = ""
    capabilities: tuple[str, ...] = ()
    memory: int = 256 * 1024**2


# A job's exit code: it has begun something, and asked again it will know more (EX_TEMPFAIL of sysexits.h).
UNDER_WAY = 75


@dataclass(frozen=True)
class Jobs:
    """What the clock may ask for, and what the filter makes of it. `labels` are the deployment's."""

    labels: Mapping[str, str]
    jobs: tuple[Job, ...]
    timezone: str = "UTC"
    user_volumes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Backup:
    """What a backup's helper is to do. `repository` is restic's name of it; empty, it is a volume. `keep` are such as `7 daily`.
    `parts` are the volumes beside users', by what backups call them, `user_volumes` the templates of users'. `files` are the
    operator's, by their paths in the checkout; `images` what runs: container -> the image's id, and its name in a registry if it
    has one."""

    deployment: str
    repository: str
    keep: tuple[str, ...]
    parts: Mapping[str, str]
    user_volumes: tuple[str, ...]
    files: tuple[str, ...]
    images: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Return:
    """How a volume comes back from a snapshot, in which it has the name `volume`. With `folder` into a new folder of that name,
    beside what is there; else in place of what is there. `paths` are below the volume; none is all of it."""

    volume: str
    folder: str = ""
    paths: tuple[str, ...] = ()


@dataclass(frozen=True)
class Restore:
    """What a restoration's helper is to do. `deployment` says whose snapshots count; empty, all count. `repository` is as in
    Backup. `snapshot` is a whole id; where it is only looked for, also the beginning of one, or a time (ISO 8601) at which it was
    the newest, or empty, for the newest. `size` is how many bytes come back, as far as whole volumes do. The hub's databases go
    into the volume `databases`, where that comes back. With `proves`, a user's volume, all that came back is compared with
    the snapshot, and a file of that volume is chosen for a kernel to read; none where it is the volume `databases`."""

    deployment: str
    repository: str
    snapshot: str = ""
    returns: tuple[Return, ...] = ()
    databases: str = ""
    proves: str = ""
    size: int = 0


@dataclass(frozen=True)
class Secrets:
    """What the contract must not hold: the password of the proxy's API, and the login's secret traits by name."""

    proxy_api_password: Secret[str]
    login: Mapping[str, Secret[str]]


@dataclass(frozen=True)
class ServerSecrets:
    """What only the filter adds to users' servers: kind of servers -> variable of the environment -> value. Kinds without any
    are left out."""

    kinds: Mapping[str, Mapping[str, Secret[str]]] = field(default_factory=dict)

    def of(self, kind: ServerKind) -> dict[str, str]:
        """The variables of a kind, revealed."""
        there = self.kinds.get(kind.name, {})
        return {name: there[name].reveal() for name in kind.secrets if name in there}


NO_SECRETS = ServerSecrets()


@dataclass(frozen=True)
class Door:
    """A TCP port of the engine's host that leads to the proxy, and that proxies on other machines alone may use: `address` is
    what it listens on (0.0.0.0 and :: are all), `sources` are addresses and networks of both IP versions. The engine's host
    itself may use it always."""

    address: str
    port: int
    sources: tuple[str, ...]

    @property
    def note(self) -> str:
        """What the guard writes into DOOR_FILE, behind the number of the host's boot, once the door stands."""
        return f"{self.address} {self.port}"


# In the guard's volume. The proxy waits for it.
DOOR_FILE = "door"


@dataclass(frozen=True)
class Walls:
    """What the guard keeps: every port of the network's `bridge` is isolated, except those whose container has one of the MAC
    addresses `free`: hub and proxy. In a network of others (`ours` is false) only servers are, which have a MAC address that
    begins with SERVER_MAC. `table` is the packet filter's table of this deployment. `allowed` are the private places
    that everybody in the network may reach, `allowed_to_free` those that hub and proxy may reach as well: a network, an
    address or a host name, with :port or without. `door` is for proxies in front; None where there are none elsewhere.
    `of_kinds`: kind of servers -> what its servers may reach as well; kinds without any are left out."""

    bridge: str
    ours: bool
    table: str
    free: tuple[str, ...]
    allowed: tuple[str, ...] = ()
    allowed_to_free: tuple[str, ...] = ()
    door: Door | None = None
    of_kinds: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Pages:
    """What the operator has put on the hub's pages. All of it is plain text; `help_url` is http or https."""

    title: str = "JupyterHub"
    announcement: str | None = None
    help_url: str | None = None


def to_bytes(document: object) -> bytes:
    """A document as JSON; secrets in it stand there in full."""
    return json.dumps(plain(document), indent=2, sort_keys=True, ensure_ascii=False).encode() + b"\n"


def from_bytes(kind: type[_Document], content: bytes) -> _Document:
    """The document in `content`; raises ValueError that names the place which does not fit."""
    document: _Document = _built(kind, json.loads(content), kind.__name__)
    return document


def plain(value: Any) -> Any:
    """A document as JSON's own types: objects become mappings, tuples lists, secrets their values."""
    if dataclasses.is_dataclass(value):
        return {one.name: plain(getattr(value, one.name)) for one in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, tuple):
        return [plain(one) for one in value]
    return value.reveal() if isinstance(value, Secret) else value


def _built(kind: Any, value: Any, place: str) -> Any:
    """`value`, of JSON's types, as the annotation `kind` says."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is types.UnionType:
        return _built(_fitting(inner, value), value, place)
    if origin is tuple:
        return tuple(_built(inner[0], one, f"{place}[{number}]") for number, one in enumerate(_fit(list, value, place)))
    if origin is not None and issubclass(origin, Mapping):
        return {key: _built(inner[1], one, f"{place}.{key}") for key, one in _fit(dict, value, place).items()}
    if origin is Secret:
        return Secret(_fit(str, value, place))
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        given, hints = _fit(dict, value, place), _hints(kind)
        missing = {one.name for one in dataclasses.fields(kind) if _is_required(one)} - given.keys()
        if missing or not given.keys() <= hints.keys():
            raise ValueError(f"{place}: {', '.join(sorted(missing ^ (given.keys() - hints.keys())))} does not fit")
        return kind(**{name: _built(hints[name], one, f"{place}.{name}") for name, one in given.items()})
    return float(value) if kind is float and type(value) is int else _fit(kind, value, place)


def _fitting(kinds: tuple[Any, ...], value: Any) -> Any:
    """The first of `kinds` that takes values of this type; else the first of all, which then says what is wanted."""
    found = tuple if type(value) is list else type(value)
    return next((one for one in kinds if (typing.get_origin(one) or one) is found), kinds[0])


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    """Field -> annotation of a document's class."""
    return typing.get_type_hints(kind)


def _is_required(one: dataclasses.Field[Any]) -> bool:
    return one.default is dataclasses.MISSING and one.default_factory is dataclasses.MISSING


def _fit(kind: type, value: Any, place: str) -> Any:
    if type(value) is not kind:
        raise ValueError(f"{place}: {kind.__name__} wanted, {type(value).__name__} found")
    return value
