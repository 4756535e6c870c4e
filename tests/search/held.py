"""An engine of plain data, for sequences of plans: what it holds after each step, and what a deployment sees of it.

It knows no rule of ours. The engine tests show that the real engine does the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import singledispatchmethod
from hashlib import sha256
from itertools import count

from hubdeploy.blueprint import documents, draw
from hubdeploy.contract import labels
from hubdeploy.plan import operations as op
from hubdeploy.plan.snapshot import ContainerState, EngineFacts, ImageState, NetworkState, Snapshot, VolumeState
from hubdeploy.settings.declarations import Settings
from tests.agreement.wire import MEMORY


@dataclass
class Held:
    """The objects on the engine: images by reference, others by name, users' servers by container name."""

    images: dict[str, ImageState] = field(default_factory=dict)
    networks: dict[str, NetworkState] = field(default_factory=dict)
    volumes: dict[str, VolumeState] = field(default_factory=dict)
    containers: dict[str, ContainerState] = field(default_factory=dict)
    servers: dict[str, ContainerState] = field(default_factory=dict)
    numbers: count[int] = field(default_factory=count)

    def seen_by(self, s: Settings) -> Snapshot:
        """All objects with the deployment's label or a name that it wants."""
        wanted = draw.names(s)

        def seen(one: NetworkState | VolumeState | ContainerState) -> bool:
            return one.name in wanted or one.labels.get(labels.DEPLOYMENT) == s.name

        return Snapshot(
            engine=EngineFacts("28.5", MEMORY, None, True),
            images=dict(self.images),
            networks={name: one for name, one in self.networks.items() if seen(one)},
            volumes={name: one for name, one in self.volumes.items() if seen(one)},
            containers={name: one for name, one in self.containers.items() if seen(one)},
            servers=tuple(one for one in self.servers.values() if seen(one)),
            port_holders={},
        )

    def start_servers(self, s: Settings) -> None:
        """Starts every user's server anew, as the hub does; servers of users who left are removed."""
        servers = documents.contract(s, MEMORY).servers
        kind = servers.kinds[0]
        ours = [name for name, one in self.servers.items() if one.labels[labels.DEPLOYMENT] == s.name]
        for name in ours:
            del self.servers[name]
        for user in s.users:
            carried = {
                labels.DEPLOYMENT: s.name,
                labels.ROLE: labels.SERVER,
                labels.USER: user.name,
                labels.FINGERPRINT: servers.fingerprint(user.name, kind),
                labels.PATH: s.hub_path,
                labels.SUDO: "yes" if servers.may_sudo(user.name) else "no",
            }
            name, image = f"{s.name}-user-{user.name}", self.images[kind.image].id
            networks = {kind.network_name: self.networks[kind.network_name].id}
            self.servers[name] = ContainerState(name, name, image, "running", "Up", carried, networks)

    @singledispatchmethod
    def apply(self, operation: object) -> None:
        raise TypeError(operation)

    @apply.register
    def _(self, pulled: op.ImagePulled) -> None:
        self.images[pulled.reference] = self._image(pulled.reference, {}, pulled.reference)

    @apply.register
    def _(self, built: op.ImageBuilt) -> None:
        spec = built.spec
        what = f"{spec.content} {sorted(spec.labels.items())}"
        names = (*((spec.reference,) if built.is_named else ()), spec.content_reference)
        self.images |= dict.fromkeys(names, self._image(what, dict(spec.labels), *names))

    @apply.register
    def _(self, tagged: op.ImageTagged) -> None:
        self.images[tagged.reference] = self.images[tagged.source]

    @apply.register
    def _(self, made: op.NetworkExists) -> None:
        spec = made.spec
        state = NetworkState(
            f"network{next(self.numbers)}",
            spec.name,
            spec.labels,
            "172.30.0.0/16",
            "172.30.128.0/17",
            spec.bridge or "br-of-the-engine",
        )
        self.networks[spec.name] = state

    @apply.register
    def _(self, made: op.VolumeExists) -> None:
        self.volumes[made.spec.name] = VolumeState(made.spec.name, made.spec.labels)

    @apply.register(op.ImageProved)
    @apply.register(op.CanaryHeard)
    @apply.register(op.StateNoted)
    @apply.register(op.StateKept)
    def _(self, kept: op.ImageProved | op.CanaryHeard | op.StateNoted | op.StateKept) -> None:
        """What is in a volume is not held here."""
        assert kept.store.states in self.volumes

    @apply.register
    def _(self, stopped: op.ContainerStopped) -> None:
        if self.servers.pop(stopped.name, None) is None:
            self._change(stopped.name, state="exited")

    @apply.register
    def _(self, gone: op.ContainerGone) -> None:
        del self.containers[gone.name]

    @apply.register
    def _(self, created: op.ContainerCreated) -> None:
        spec = created.spec
        networks = {one.network: self.networks[one.network].id for one in spec.attachments}
        image = self.images[spec.image].id
        state = ContainerState(spec.name, spec.name, image, "created", "Created", spec.all_labels, networks, {})
        self.containers[spec.name] = state

    @apply.register(op.FilesPut)
    @apply.register(op.FilesPublished)
    def _(self, filled: op.FilesPut | op.FilesPublished) -> None:
        there = self.containers[filled.container].files or {}
        self._change(filled.container, files={**there, **filled.files})

    @apply.register
    def _(self, started: op.ContainerStarted) -> None:
        self._change(started.name, state="running", status="Up")

    @apply.register
    def _(self, healthy: op.ContainerHealthy) -> None:
        assert self.containers[healthy.name].running
        self._change(healthy.name, status="Up (healthy)")

    def _change(self, name: str, **fields: object) -> None:
        self.containers[name] = replace(self.containers[name], **fields)  # type: ignore[arg-type]

    @staticmethod
    def _image(what: str, carried: dict[str, str], *references: str) -> ImageState:
        number = f"sha256:{sha256(what.encode()).hexdigest()}"
        return ImageState(number, carried, datetime(2026, 1, 1, tzinfo=UTC), 1, references)
