"""What should exist, as data: images, networks, volumes, containers and their files. It decides nothing and asks nobody."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from typing import Literal

from hubdeploy.blueprint.contexts import Context
from hubdeploy.contract import labels
from hubdeploy.contract.documents import NO_SECRETS, Contract, Secret, Secrets, ServerSecrets, to_bytes

# What a container's file holds: bytes, or a document that the plan compares as an object.
File = Secret[bytes] | Contract | Secrets | ServerSecrets


def content(file: File) -> Secret[bytes]:
    """A file's bytes."""
    return file if isinstance(file, Secret) else Secret(to_bytes(file))


class Severity(IntEnum):
    """How much a step takes from users, from nothing to everything."""

    NOBODY_NOTICES = 0
    CONNECTIONS_BLINK = 1
    SESSIONS_ARE_LOST = 2
    DATA_IS_LOST = 3


@dataclass(frozen=True)
class Consequence:
    """What a step means for users, and how plans print it."""

    severity: Severity
    sentence: str

    @property
    def loses(self) -> bool:
        """True if a user loses a running session or data: `up` asks first."""
        return self.severity >= Severity.SESSIONS_ARE_LOST


NOTHING = Consequence(Severity.NOBODY_NOTICES, "")
SERVERS_STOP = Consequence(Severity.SESSIONS_ARE_LOST, "running servers stop")
DATA_REMOVED = Consequence(Severity.DATA_IS_LOST, "data is removed")


@dataclass(frozen=True)
class ImageSpec:
    """One of our images. `content` is a digest of all that decides what is in it."""

    name: str
    reference: str
    folder: str
    parent: str
    content: str
    arguments: Mapping[str, str]
    labels: Mapping[str, str]
    disk: int
    # Not secret, but as long as all its files.
    context: Context = field(repr=False)

    @property
    def content_reference(self) -> str:
        """The tag that keeps naming this very content, such as NAME/hub:1f2e3d4c5b6a."""
        return f"{self.reference.rpartition(':')[0]}:{self.content[:12]}"


@dataclass(frozen=True)
class NetworkSpec:
    """`owned` is false if the operator set the name: the network is then used as it is. `key` is the setting that names
    it. `internal`: it has no way out. A network that is not, or has a `bridge`, keeps the lower half of its subnet for fixed
    addresses. `bridge` is the name of its bridge on the engine's host where it is made by us; None leaves it to the engine."""

    name: str
    labels: Mapping[str, str]
    owned: bool
    key: str
    internal: bool = False
    bridge: str | None = None


@dataclass(frozen=True)
class VolumeSpec:
    """`owned` and `key` as in NetworkSpec. `remembers_servers`: the hub finds running servers in it; with another volume
    in its place it knows none. `kept`: what backups call it, as it holds what cannot be made again; empty for any other.
    `owner`: the number of the user who shall own what root owns; None leaves it as it is."""

    name: str
    labels: Mapping[str, str]
    owned: bool
    key: str
    remembers_servers: bool = False
    kept: str = ""
    owner: int | None = None


@dataclass(frozen=True)
class Mount:
    """A volume, or a path of the engine's host, at `target` in a container."""

    source: str
    target: str
    kind: Literal["volume", "bind"] = "volume"
    read_only: bool = False


@dataclass(frozen=True)
class Attachment:
    """A container's place in a network. `fixed`: at the address kept for it, where the network is ours. `mac` is its MAC
    address there; None leaves it to the engine. Only the first of a container's attachments may have one."""

    network: str
    aliases: tuple[str, ...]
    fixed: bool = False
    mac: str | None = None


@dataclass(frozen=True)
class PublishedPort:
    """A TCP port of the engine's host that leads to the port `target` of a container."""

    address: str
    port: int
    target: int
    key: str


@dataclass(frozen=True)
class Limits:
    """The most that a container may use: bytes, CPUs, processes; None is no limit. `reserved` (bytes) is what the kernel leaves
    it where memory is short."""

    memory: int | None = None
    reserved: int | None = None
    cpus: float | None = None
    pids: int | None = None


@dataclass(frozen=True)
class LiveFile:
    """A file that a running container reads anew when it changes. `subject` is what plans call it."""

    content: Secret[bytes]
    subject: str


@dataclass(frozen=True)
class ContainerSpec:
    """A component's container. None, and what is empty, is as the image has it; no capability is kept unless named.

    `files` (path -> file) are in place before it starts, and a change of one makes the container anew; `live_files` are
    published into the running container, in their order. A container that is `read_only` has its files in its volumes, and a
    small /tmp. `host_users`: its users are the host's, also where the engine gives containers others. `consequence` is what
    users notice when it is made anew.
    """

    name: str
    role: str
    image: str
    labels: Mapping[str, str]
    consequence: Consequence
    mounts: tuple[Mount, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    published: tuple[PublishedPort, ...] = ()
    files: Mapping[str, File] = field(default_factory=dict)
    live_files: Mapping[str, LiveFile] = field(default_factory=dict)
    command: tuple[str, ...] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    capabilities: tuple[str, ...] = ()
    limits: Limits = Limits()
    network_mode: Literal["host", "none"] | None = None
    read_only: bool = False
    health_command: tuple[str, ...] | None = None
    host_users: bool = False

    @property
    def contract(self) -> Contract | None:
        """The contract among its files. Who has one starts users' servers."""
        return next((file for file in self.files.values() if isinstance(file, Contract)), None)

    @cached_property
    def all_files(self) -> dict[str, Secret[bytes]]:
        """Path -> bytes of everything that must be there when it starts."""
        live = {path: file.content for path, file in self.live_files.items()}
        return {path: content(file) for path, file in self.files.items()} | live

    @property
    def shape(self) -> dict[str, str]:
        """What a change of makes the container anew (image and files apart), part by part, as text. A part that stands
        as every container has it is left out: containers of earlier versions have no such part."""
        ports = [f"{one.address}:{one.port} to {one.target}" for one in self.published]
        mounts = [f"{one.source} at {one.target}{' read-only' if one.read_only else ''}" for one in self.mounts]
        networks = [
            f"{one.network} as {'/'.join(one.aliases)}{' fixed' if one.fixed else ''}" for one in self.attachments
        ]
        limits = [f"{name} {value}" for name, value in vars(self.limits).items() if value is not None]
        rare = {
            "command": " ".join(self.command or ()),
            "environment": ", ".join(f"{key}={value}" for key, value in sorted(self.environment.items())),
            "user": self.user or "",
            "capabilities": ", ".join(self.capabilities),
            "limits": ", ".join(limits),
            "network mode": self.network_mode or "",
            "MAC address": ", ".join(one.mac for one in self.attachments if one.mac),
            "file system": "read-only" if self.read_only else "",
            "health": " ".join(self.health_command or ()),
            "users": "the host's" if self.host_users else "",
        }
        return {
            "ports": ", ".join(ports),
            "mounts": ", ".join(mounts),
            "networks": ", ".join(networks),
            "hardening": "1",
            **{part: text for part, text in rare.items() if text},
        }

    @property
    def all_labels(self) -> dict[str, str]:
        return {**self.labels, labels.SHAPE: json.dumps(self.shape, sort_keys=True)}


@dataclass(frozen=True)
class Store:
    """Where the states of a hub are kept: in the volume `states`, by programs of `image`, of what lies in the volumes `data` and
    `documents` of the container `hub`."""

    deployment: str
    hub: str
    image: str
    data: str
    documents: str
    states: str


@dataclass(frozen=True)
class Blueprint:
    """Everything that should exist. `containers` are in the order in which they start."""

    deployment: str
    foreign_images: tuple[str, ...]
    images: tuple[ImageSpec, ...]
    networks: tuple[NetworkSpec, ...]
    volumes: tuple[VolumeSpec, ...]
    containers: tuple[ContainerSpec, ...]
    contract: Contract
    store: Store

    @property
    def server_secrets(self) -> ServerSecrets:
        files = (file for one in self.containers for file in one.files.values())
        return next((file for file in files if isinstance(file, ServerSecrets)), NO_SECRETS)
