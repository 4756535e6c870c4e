"""One snapshot of what the engine holds for a deployment. Plain data: it decides nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from hubdeploy.blueprint import held_documents
from hubdeploy.contract import labels
from hubdeploy.contract.documents import Secret


@dataclass(frozen=True)
class EngineFacts:
    """The engine itself. `memory` and `free_disk` are bytes; `free_disk` is None where it cannot be known.
    `cpus` is a number of CPUs, 0 where it is not known. `special` says in words what kind of engine it is where walls were not
    tried: rootless, or in a machine of its own; empty for any other.
    `socket_group` is the group that may use its socket; None where it is not known, or is root's. `selinux`: it labels
    containers. `prunes_named`: its `docker volume prune` takes volumes that have a name too. `runtimes` are the names of what it
    runs containers with, `devices` those of CDI that it has found."""

    version: str
    memory: int
    free_disk: int | None
    local: bool
    cpus: int = 0
    special: str = ""
    socket_group: int | None = None
    selinux: bool = False
    prunes_named: bool = False
    runtimes: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()


@dataclass(frozen=True)
class ImageState:
    """`references` are its names with tags, `digests` those that a registry gave it (repository@sha256:...)."""

    id: str
    labels: Mapping[str, str]
    created: datetime
    size: int
    references: tuple[str, ...]
    digests: tuple[str, ...] = ()


@dataclass(frozen=True)
class NetworkState:
    """`subnet` and `pool` (the part that addresses are given from) as CIDR, None where the engine chose. `bridge` is its
    bridge on the engine's host."""

    id: str
    name: str
    labels: Mapping[str, str]
    subnet: str | None
    pool: str | None
    bridge: str = ""


@dataclass(frozen=True)
class VolumeState:
    """`users`: its name is one that the template of users' volumes can give. `held`: a container mounts it, running or not.
    `owner`: the number of the user it belongs to; None where nobody asked."""

    name: str
    labels: Mapping[str, str]
    users: bool = False
    held: bool = True
    owner: int | None = None

    @property
    def is_users(self) -> bool:
        """True for a user's volume: by its label, or by its name where no deployment made it."""
        return labels.UID in self.labels or (self.users and labels.DEPLOYMENT not in self.labels)


@dataclass(frozen=True)
class ContainerState:
    """`files` lie below the directory that is read back, None where they were not read. `created` is seconds since
    1970. `variables`: name -> value, of a user's server, as far as they are secrets."""

    id: str
    name: str
    image_id: str
    state: str
    status: str
    labels: Mapping[str, str]
    networks: Mapping[str, str]
    files: Mapping[str, Secret[bytes]] | None = None
    created: float = 0
    variables: Mapping[str, Secret[str]] = field(default_factory=dict)

    @property
    def role(self) -> str:
        return self.labels.get(labels.ROLE, "")

    @property
    def user(self) -> str:
        """Whose server it is; the container's name where no label says so."""
        return self.labels.get(labels.USER, self.name)

    def file(self, path: str) -> Secret[bytes] | None:
        return None if self.files is None else held_documents.file(self.files, path)

    @property
    def running(self) -> bool:
        return self.state == "running"

    @property
    def health(self) -> str:
        """healthy, unhealthy or starting, as the engine's status line ends with it; empty without a health check."""
        for word in ("unhealthy", "healthy", "health: starting"):
            if self.status.endswith(f"({word})"):
                return word.removeprefix("health: ")
        return ""


@dataclass(frozen=True)
class Neighbour:
    """Another deployment on the same engine: the names of its containers, and of its users' volumes; the host names and
    paths under which browsers reach it now."""

    containers: tuple[str, ...] = ()
    user_volumes: tuple[str, ...] = ()
    addresses: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Snapshot:
    """Everything that carries the deployment's label, and whoever else holds a name or port that it wants.

    Images by reference; networks, volumes and containers by name. `servers` are users' containers.
    `port_holders`: published (address, TCP port) -> names of the running containers that hold it. `neighbours`: the other
    deployments on this engine, by name.
    """

    engine: EngineFacts
    images: Mapping[str, ImageState]
    networks: Mapping[str, NetworkState]
    volumes: Mapping[str, VolumeState]
    containers: Mapping[str, ContainerState]
    servers: tuple[ContainerState, ...]
    port_holders: Mapping[tuple[str, int], tuple[str, ...]]
    own_images: tuple[ImageState, ...] = ()
    neighbours: Mapping[str, Neighbour] = field(default_factory=dict)

    @property
    def components(self) -> tuple[ContainerState, ...]:
        """The deployment's containers beside users' servers, where only what carries its label was asked for."""
        return tuple(one for one in self.containers.values() if one.role not in (labels.ONE_OFF, labels.JOB))

    def users_volumes(self, deployment: str) -> tuple[str, ...]:
        """The names of users' volumes, in order; none of another deployment."""
        found = (one for one in self.volumes.values() if one.is_users)
        return tuple(sorted(one.name for one in found if one.labels.get(labels.DEPLOYMENT, deployment) == deployment))
