"""The Docker engine: observe() takes one snapshot, apply() carries out one operation. The only importer of docker.

It decides nothing. Errors of the engine become ours here, by class and status, and are quoted where only their words tell.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from hubdeploy.blueprint.specs import Store
from hubdeploy.contract.documents import Secret
from hubdeploy.contract.states import Listed, Watched
from hubdeploy.contract.use import Use
from hubdeploy.engine import act, actions, helper, images, observe, oneoff, states, use
from hubdeploy.engine.connection import Connection
from hubdeploy.engine.helper import Ended, Helper
from hubdeploy.engine.observe import context_paths
from hubdeploy.plan import operations as op
from hubdeploy.plan.snapshot import Snapshot

if TYPE_CHECKING:
    from hubdeploy.engine.build import Builder

__all__ = ["Ended", "Engine", "Helper", "context_paths"]


class Engine:
    """The engine that DOCKER_HOST in `environ` names, or the local one. It is reached at the first question. `builder` is
    the setting BUILDER."""

    def __init__(self, environ: Mapping[str, str], builder: str | None = None) -> None:
        self.connection = Connection(environ)
        self._builder_name, self._environ = builder, environ

    @cached_property
    def _builder(self) -> Builder:
        # Imported where something is built, which is seldom.
        from hubdeploy.engine import build

        return build.builder(self._builder_name, lambda: self.connection.api, self._environ, self.connection.host)

    @property
    def local(self) -> bool:
        """True if the engine runs on this machine."""
        return self.connection.local

    def ping(self) -> None:
        """Raises EngineUnavailable unless the engine answers."""
        self.connection.ping()

    def observe(
        self,
        deployment: str,
        *,
        names: Collection[str],
        directories: Mapping[str, str],
        is_users: Callable[[str], bool] = lambda volume: False,
        variables: Collection[str] = (),
    ) -> Snapshot:
        """One snapshot of a deployment, see observe.snapshot."""
        return observe.snapshot(
            self.connection, deployment, names=names, directories=directories, is_users=is_users, variables=variables
        )

    def apply(self, operation: op.EngineOperation, progress: Callable[[str], None] = lambda line: None) -> None:
        """Brings one operation's end state about."""
        actions.apply(self.connection, lambda: self._builder, operation, progress)

    def read_files(self, container: str, root: str) -> dict[str, Secret[bytes]] | None:
        """Path -> content of every file below `root` in a container; None if there is no such directory."""
        return observe.read_files(self.connection, container, root)

    def read_volume(self, volume: str, below: str = "") -> dict[str, Secret[bytes]]:
        """Name -> content of every file in a volume, see observe.read_volume."""
        return observe.read_volume(self.connection, volume, below)

    def volume_owners(self, volumes: Sequence[str], *, deployment: str) -> dict[str, int]:
        """The user id that owns each volume's root."""
        return oneoff.volume_owners(self.connection, volumes, deployment=deployment)

    def run_once(
        self,
        image: str,
        command: Sequence[str],
        *,
        deployment: str,
        within: float,
        entrypoint: bool = True,
        network: str = "none",
    ) -> str:
        """What a command prints in a container of `image`, see oneoff.run_once."""
        return oneoff.run_once(
            self.connection,
            image,
            command,
            deployment=deployment,
            within=within,
            entrypoint=entrypoint,
            network=network,
        )

    def run_in_hub(
        self, hub: str, command: Sequence[str], *, mounts: Mapping[str, bool], deployment: str, within: float
    ) -> str:
        """What a program of the hub's image prints on the hub's data, see oneoff.run_in_hub."""
        return oneoff.run_in_hub(self.connection, hub, command, mounts=mounts, deployment=deployment, within=within)

    def run_helper(self, wanted: Helper, hear: Callable[[str], None]) -> Ended:
        """A helper's end, see helper.run."""
        return helper.run(self.connection, wanted, hear)

    def states(self, store: Store) -> tuple[Listed, ...]:
        """What the hub can go back to, see states.listed."""
        return states.listed(self.connection, store)

    def watch(self, store: Store, watched: Watched) -> None:
        """Starts the late watch, see states.watch."""
        states.watch(self.connection, store, watched)

    def old_copies(self, store: Store) -> tuple[int, int]:
        """How many old copies of the database there are, and their bytes, see states.old_copies."""
        return states.old_copies(self.connection, store)

    def freed(self, gone: Collection[str]) -> int:
        """Bytes of what only the images with these ids hold, see images.freed."""
        return images.freed(self.connection, gone)

    def running_since(self, container: str) -> str:
        """When the container was started last, in the engine's words; empty if it does not run."""
        return observe.running_since(self.connection, container)

    def logs(self, container: str, *, follow: bool, tail: int | Literal["all"]) -> Iterator[bytes]:
        """A container's output, oldest first, in pieces as they come."""
        return observe.logs(self.connection, container, follow=follow, tail=tail)

    def port_holder(self, address: str, port: int) -> str | None:
        """The program of this machine that listens there; None if the port is free, or the engine is elsewhere."""
        return observe.port_holder(self.connection, address, port)

    def image_id(self, reference: str) -> str | None:
        """The id of an image that is on the engine; None if it is not."""
        return observe.image_id(self.connection, reference)

    def image_bytes(self, images: Iterable[str]) -> int:
        """Bytes of images, by their ids; layers that they share count once."""
        return observe.image_bytes(self.connection, images)

    def log_bytes(self, containers: Iterable[str]) -> int | None:
        """Bytes of containers' logs; None where they cannot be known."""
        return observe.log_bytes(self.connection, containers)

    def use(self, containers: Iterable[str]) -> dict[str, Use]:
        """What running containers have of memory and processors, by name; without those that have ended."""
        return use.of(self.connection, containers)

    def health(self, container: str) -> tuple[bool, str]:
        """Whether the running container's own health check passes now, and what it prints."""
        return act.health(self.connection, container)

    def run_in(self, container: str, command: Sequence[str]) -> tuple[int, str]:
        """The exit code of a command in a running container, and what it prints."""
        return act.run_in(self.connection, container, command)

    def pull_image(self, reference: str, progress: Callable[[str], None] = lambda line: None) -> None:
        """Pulls an image; raises EngineError with the engine's words when it cannot."""
        images.pull_image(self.connection, reference, progress)

    def import_image(self, archive: Path, reference: str, image_labels: Mapping[str, str]) -> None:
        """Makes an image of a root file system's tar."""
        images.import_image(self.connection, archive, reference, image_labels)
