"""The end states that a plan's steps bring about. They carry all that is needed and decide nothing.

Most are one call of the engine, one file, or one wait. Those that take several calls say so here. A run that is killed
between two of these calls does no harm: the next plan sees that the end state is not reached.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from hubdeploy.blueprint.specs import ContainerSpec, ImageSpec, NetworkSpec, Store, VolumeSpec
from hubdeploy.contract.documents import Secret
from hubdeploy.contract.states import State
from hubdeploy.tls.certificates import Pair


def when(at: float) -> str:
    """A time as an operator of this machine reads it; `at` is seconds since 1970."""
    return f"{datetime.fromtimestamp(at, UTC).astimezone():%Y-%m-%d %H:%M:%S}"


@dataclass(frozen=True)
class _Named:
    name: str


@dataclass(frozen=True)
class _OfImage:
    reference: str


@dataclass(frozen=True)
class _Files:
    """`files`: path -> content. `mounts` are the container's mount points."""

    container: str
    files: Mapping[str, Secret[bytes]]
    mounts: tuple[str, ...]


@dataclass(frozen=True)
class _OfStore:
    store: Store


@dataclass(frozen=True)
class SecretsRemembered:
    path: Path
    values: Mapping[str, Secret[str]]
    reason: str

    def __str__(self) -> str:
        return f"{self.path.name} holds {' and '.join(self.values)}"


@dataclass(frozen=True)
class CertificateWritten:
    pair: Pair
    certificate_path: Path
    key_path: Path

    def __str__(self) -> str:
        return f"{self.certificate_path.name} and its key are self-made"


class ImagePulled(_OfImage):
    def __str__(self) -> str:
        return f"image {self.reference} is pulled"


@dataclass(frozen=True)
class ImageBuilt:
    """Several calls: the build gives the tag that names the content, then the image gets its usual name, if it `is_named`."""

    spec: ImageSpec
    is_named: bool = True

    def __str__(self) -> str:
        return f"image {self.spec.reference if self.is_named else self.spec.content_reference} is built"


@dataclass(frozen=True)
class ImageTagged:
    source: str
    reference: str

    def __str__(self) -> str:
        return f"image {self.reference} is {self.source}"


class ImageGone(_OfImage):
    def __str__(self) -> str:
        return f"image {self.reference} is removed"


class ImageProved(_OfStore):
    """Several calls: a helper copies the database and upgrades the copy."""

    def __str__(self) -> str:
        return f"image {self.store.image} is proved on a copy of the database"


@dataclass(frozen=True)
class CopyLent:
    """Several calls: a helper moves the upgraded copy of the database into `volume`, for a hub that finds no server running."""

    store: Store
    volume: str

    def __str__(self) -> str:
        return f"volume {self.volume} holds the copy of the database"


@dataclass(frozen=True)
class CanaryHeard(_OfStore):
    """Many calls: a throw-away deployment of the new images comes up; for each of `kinds` (kind -> image) a user of its own
    starts a server there, runs a cell and writes to its volumes; and all of it is removed. What a killed run left is removed
    first. `on_copy`: its hub has the upgraded copy of the database, as its image is new."""

    kinds: Mapping[str, str]
    on_copy: bool

    def __str__(self) -> str:
        if self.on_copy:
            return "a canary's server answers, on the new images and that copy"
        return f"a canary's server answers, on {' and '.join(self.kinds.values())}"


@dataclass(frozen=True)
class NetworkExists:
    """Several calls for a network that keeps an address: only the engine knows a free subnet. So the engine makes a network
    with a subnet of its choice, this is removed, and made again with the lower half of the subnet kept."""

    spec: NetworkSpec

    def __str__(self) -> str:
        return f"network {self.spec.name} exists"


class NetworkGone(_Named):
    def __str__(self) -> str:
        return f"network {self.name} is removed"


@dataclass(frozen=True)
class VolumeExists:
    spec: VolumeSpec

    def __str__(self) -> str:
        return f"volume {self.spec.name} exists"


@dataclass(frozen=True)
class VolumeOwned:
    """The volume itself, not what is in it. A throw-away container makes it so."""

    name: str
    uid: int

    def __str__(self) -> str:
        return f"volume {self.name} belongs to UID {self.uid}"


class VolumeGone(_Named):
    """Several calls: a throw-away container that a killed run left on the volume goes first."""

    def __str__(self) -> str:
        return f"volume {self.name} is removed, with all that is in it"


@dataclass(frozen=True)
class StateNoted(_OfStore):
    """Several calls: the engine describes each of `containers` that has the hub's image, and a helper writes that down."""

    containers: tuple[str, ...]

    def __str__(self) -> str:
        return f"all that runs the image of {self.store.hub} is on record"


class StateKept(_OfStore):
    """Several calls: a helper copies database and documents, then the image gets a name that keeps it."""

    def __str__(self) -> str:
        return f"database and image of {self.store.hub} are kept"


@dataclass(frozen=True)
class StateBrought:
    store: Store
    state: State

    def __str__(self) -> str:
        return f"the database is as of {when(self.state.at)}"


@dataclass(frozen=True)
class CopiesGone:
    """`count` of the copies that JupyterHub made before it upgraded the database."""

    store: Store
    count: int

    def __str__(self) -> str:
        return f"{self.count} old copies of the database in the volume {self.store.data} are removed"


class ContainerStopped(_Named):
    def __str__(self) -> str:
        return f"container {self.name} is stopped"


class ContainerGone(_Named):
    def __str__(self) -> str:
        return f"container {self.name} is removed"


@dataclass(frozen=True)
class ContainerCreated:
    """Several calls: engines before 25 create a container in one network only, so it joins the others afterwards."""

    spec: ContainerSpec

    def __str__(self) -> str:
        return f"container {self.spec.name} is created"


@dataclass(frozen=True)
class ContainerRecreated:
    """Several calls, as with ContainerCreated. `description` is the engine's own, as JSON, of a container that was there once."""

    name: str
    description: str = field(repr=False)

    def __str__(self) -> str:
        return f"container {self.name} is created as it was"


class FilesPut(_Files):
    """Files of a container that does not run yet, in one archive."""

    def __str__(self) -> str:
        return f"container {self.container} has its files"


class FilesPublished(_Files):
    """Files that a running container reads. Several calls: all are put beside the old ones, then each is renamed."""

    def __str__(self) -> str:
        return f"container {self.container} has its new files"


@dataclass(frozen=True)
class VolumeHolds:
    """Files in a volume that no container of ours mounts for long: path in it -> content. Several calls: a throw-away container
    takes them, the last one by itself. `what` is what an operator reads of them."""

    volume: str
    files: Mapping[str, Secret[bytes]]
    what: str

    def __str__(self) -> str:
        return f"volume {self.volume} holds {self.what}"


class ContainerStarted(_Named):
    def __str__(self) -> str:
        return f"container {self.name} is started"


class ContainerHealthy(_Named):
    def __str__(self) -> str:
        return f"container {self.name} is healthy"


LocalOperation = SecretsRemembered | CertificateWritten
# What is itself a deployment, for a while.
DeploymentOperation = CanaryHeard
EngineOperation = (
    ImagePulled
    | ImageBuilt
    | ImageTagged
    | ImageGone
    | ImageProved
    | CopyLent
    | NetworkExists
    | NetworkGone
    | VolumeExists
    | VolumeOwned
    | VolumeGone
    | StateNoted
    | StateKept
    | StateBrought
    | CopiesGone
    | ContainerStopped
    | ContainerGone
    | ContainerCreated
    | ContainerRecreated
    | FilesPut
    | FilesPublished
    | VolumeHolds
    | ContainerStarted
    | ContainerHealthy
)
Operation = LocalOperation | DeploymentOperation | EngineOperation
