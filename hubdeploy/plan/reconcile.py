"""Decides what to do: compares a blueprint with a snapshot and gives steps, each with its cause and its impact on users.

Pure: it asks nobody and changes nothing. What it refuses (a stranger under our name) it refuses before the first step.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from hubdeploy.blueprint.documents import CONTRACT_PATH, SECRETS_PATH
from hubdeploy.blueprint.specs import Blueprint, ContainerSpec, ImageSpec, NetworkSpec
from hubdeploy.contract import labels
from hubdeploy.errors import DeployError
from hubdeploy.plan import comparison
from hubdeploy.plan import operations as op
from hubdeploy.plan.snapshot import ContainerState, ImageState, NetworkState, Snapshot, VolumeState
from hubdeploy.settings import readers


class Impact(Enum):
    """What a step does to users."""

    NONE = ""
    HUB_RESTARTS = "the hub restarts, sessions go on"
    PROXY_RESTARTS = "the proxy restarts, connections blink"
    SERVERS_STOP = "running servers stop"
    DATA_REMOVED = "data is removed"

    @property
    def loses(self) -> bool:
        """True if a user loses a running session or data: then `up` asks first."""
        return self in (Impact.SERVERS_STOP, Impact.DATA_REMOVED)


@dataclass(frozen=True)
class Step:
    """One operation, why it is needed, and whom it touches (`users`, empty where all or none)."""

    operation: op.Operation
    cause: str
    impact: Impact = Impact.NONE
    users: tuple[str, ...] = ()


@dataclass(frozen=True)
class Pending:
    """Running servers that go on as they are and pick a change up at their next start."""

    users: tuple[str, ...]
    cause: str


@dataclass(frozen=True)
class Plan:
    steps: tuple[Step, ...]
    pending: tuple[Pending, ...] = ()
    taken_over: tuple[str, ...] = ()  # what somebody else made, and the new hub uses as it is

    @property
    def loses(self) -> tuple[Step, ...]:
        return tuple(step for step in self.steps if step.impact.loses)

    def only(self, *kinds: type) -> Plan:
        """The steps whose operation is of one of these kinds."""
        return Plan(tuple(step for step in self.steps if isinstance(step.operation, kinds)))


def doubtful_volumes(blueprint: Blueprint, snapshot: Snapshot) -> tuple[str, ...]:
    """Users' volumes that may belong to another number than that of the servers: those that no label says it of, while no
    hub serves them with this number. Without an image the engine cannot be asked: first one is pulled, then planned anew.
    """
    hub = next(spec for spec in blueprint.containers if spec.role == labels.HUB)
    state = snapshot.containers.get(hub.name)
    before = comparison.volumes(_file(state, CONTRACT_PATH)) if state else None
    if before == comparison.volumes(hub.files[CONTRACT_PATH]) or not snapshot.images:
        return ()
    return tuple(
        sorted(
            one.name
            for one in snapshot.volumes.values()
            if _is_users(one) and one.labels.get(labels.UID) != str(blueprint.server.uid)
        )
    )


def _is_users(volume: VolumeState) -> bool:
    """By its label, or by its name where no deployment made it; one of another deployment may bear such a name too."""
    return labels.UID in volume.labels or (volume.users and labels.DEPLOYMENT not in volume.labels)


def reconcile(
    blueprint: Blueprint, snapshot: Snapshot, owners: Mapping[str, int] | None = None, local: Iterable[Step] = ()
) -> Plan:
    """All steps from the snapshot to the blueprint. `owners` are those of the doubtful volumes; `local` are the steps for
    files on this machine, which come first."""
    _refuse_strangers(blueprint, snapshot)
    _refuse_other_owner(blueprint, owners or {})
    served = blueprint.server.image
    pulled_and_built = image_plan(blueprint.images, blueprint.foreign_images, snapshot, served).steps
    networks = [
        step for network in blueprint.networks for step in _network_steps(network, snapshot, blueprint.deployment)
    ]
    volumes = [
        Step(op.VolumeExists(volume), "it does not exist")
        for volume in blueprint.volumes
        if volume.name not in snapshot.volumes
    ]
    snapshot = _with_tags(snapshot, pulled_and_built)
    changed = {
        *(step.operation.spec.reference for step in pulled_and_built if isinstance(step.operation, op.ImageBuilt)),
        *(step.operation.name for step in networks if isinstance(step.operation, op.NetworkGone)),
    }
    displaced = _displaced_servers(blueprint, snapshot)
    containers = [
        step
        for spec in blueprint.containers
        for step in _with_losses(spec, _container_steps(spec, snapshot, changed), blueprint, snapshot)
    ]
    steps = (*local, *pulled_and_built, *displaced, *networks, *volumes, *containers)
    return Plan(steps, _pending(blueprint, snapshot, changed), _taken_over(blueprint, snapshot))


def _with_tags(snapshot: Snapshot, steps: Iterable[Step]) -> Snapshot:
    """The snapshot with the tags that the steps set: what runs an image of the same content needs not be made anew."""
    tags = [step.operation for step in steps if isinstance(step.operation, op.ImageTagged)]
    return replace(snapshot, images={**snapshot.images, **{one.reference: snapshot.images[one.source] for one in tags}})


def image_plan(images: Iterable[ImageSpec], foreign: Iterable[str], snapshot: Snapshot, served: str = "") -> Plan:
    """The steps for images alone: foreign ones pulled, ours built or tagged, parents first. `served` is the image of users'
    servers: a foreign one is looked into once it is there."""
    cause = "it is not on the engine"
    pulls = [
        Step(
            op.ImagePulled(one), f"{cause}; then its JupyterHub is compared with the hub's" if one == served else cause
        )
        for one in foreign
        if one not in snapshot.images
    ]
    ours = [step for spec in images for step in _image_steps(spec, snapshot)]
    return Plan((*pulls, *ours))


def stopping(snapshot: Snapshot, deployment: str, *, servers: bool) -> Plan:
    """Proxy and hub stopped; with `servers` the users' servers as well. Nothing is removed."""
    order = sorted(snapshot.containers.values(), key=lambda one: one.labels.get(labels.ROLE) != labels.PROXY)
    steps = [
        Step(op.ContainerStopped(one.name), "asked for", Impact.NONE)
        for one in order
        if one.running and one.labels.get(labels.DEPLOYMENT) == deployment
    ]
    if servers:
        steps += [_server_stops(one, "asked for by --servers") for one in snapshot.servers if one.running]
    return Plan(tuple(steps))


def removal(snapshot: Snapshot, deployment: str, *, volumes: bool) -> Plan:
    """Everything that carries the deployment's label is gone: containers, networks, images; volumes only if asked."""

    def own(state: ContainerState | NetworkState | VolumeState) -> bool:
        return state.labels.get(labels.DEPLOYMENT) == deployment

    cause = "it is this deployment's"
    # The hub first, or a user who logs in meanwhile gets a new server.
    steps = [Step(op.ContainerGone(one.name), cause) for one in snapshot.containers.values() if own(one)]
    for one in snapshot.servers:
        impact = Impact.SERVERS_STOP if one.running else Impact.NONE
        steps.append(Step(op.ContainerGone(one.name), cause, impact, (_user(one),)))
    steps += [Step(op.NetworkGone(one.name), cause) for one in snapshot.networks.values() if own(one)]
    # Children first: an image with children cannot be removed.
    for image in sorted(snapshot.own_images, key=lambda image: image.created, reverse=True):
        repository = image.labels.get(labels.REPOSITORY)
        names = [name for name in image.references if name.rpartition(":")[0] == repository]
        steps += [Step(op.ImageGone(name), cause) for name in names]
    if volumes:
        steps += [
            Step(op.VolumeGone(one.name), "asked for by --volumes", Impact.DATA_REMOVED)
            for one in snapshot.volumes.values()
            if own(one)
        ]
    return Plan(tuple(steps))


def _refuse_strangers(blueprint: Blueprint, snapshot: Snapshot) -> None:
    wanted: list[tuple[str, str, str, bool, Mapping[str, ContainerState | NetworkState | VolumeState]]] = [
        *(
            ("container", spec.name, "DOCKER_MACHINE_NAME", True, dict(snapshot.containers))
            for spec in blueprint.containers
        ),
        *(("network", spec.name, spec.key, spec.owned, dict(snapshot.networks)) for spec in blueprint.networks),
        *(("volume", spec.name, spec.key, spec.owned, dict(snapshot.volumes)) for spec in blueprint.volumes),
    ]
    for kind, name, key, owned, present in wanted:
        state = present.get(name)
        if state is None or not owned or state.labels.get(labels.DEPLOYMENT) == blueprint.deployment:
            continue
        owner = state.labels.get(labels.DEPLOYMENT)
        whose = f"belongs to the deployment {owner}" if owner else "was not made by this deployment"
        use = (
            f"set {key}={name} to use it as it is, or " if kind != "container" and key != "DOCKER_MACHINE_NAME" else ""
        )
        raise DeployError(
            wanted=f"a {kind} of our own under the name {name}",
            found=f"the {kind} {name} {whose}",
            fix=f"{use}rename or remove it, or set another DOCKER_MACHINE_NAME",
        )


def _taken_over(blueprint: Blueprint, snapshot: Snapshot) -> tuple[str, ...]:
    """What the first hub of a deployment finds under the names that are set; later it is no news."""
    if any(spec.role == labels.HUB and spec.name in snapshot.containers for spec in blueprint.containers):
        return ()
    # A network may bear the name of a volume, and the other way round.
    networks = [snapshot.networks[one.name] for one in blueprint.networks if one.name in snapshot.networks]
    volumes = [snapshot.volumes[one.name] for one in blueprint.volumes if one.name in snapshot.volumes]
    users = [one for one in snapshot.volumes.values() if _is_users(one)]
    found: dict[str, Sequence[NetworkState | VolumeState]] = {
        "network": networks,
        "volume": volumes,
        "user's volume": sorted(users, key=lambda one: one.name),
    }
    return tuple(
        f"{kind} {one.name}" for kind, states in found.items() for one in states if labels.DEPLOYMENT not in one.labels
    )


def _refuse_other_owner(blueprint: Blueprint, owners: Mapping[str, int]) -> None:
    uid = blueprint.server.uid
    foreign = {name: owner for name, owner in owners.items() if owner != uid}
    if not foreign:
        return
    listed = ", ".join(f"{name} (of {owner})" for name, owner in sorted(foreign.items())[:5])
    first, *others = {*owners.values()}
    use = "" if others or not _may_be_nb_uid(first) else f"set NB_UID={first}, or "
    base = blueprint.foreign_images[0]
    raise DeployError(
        wanted=f"users' volumes that belong to NB_UID={uid}",
        found=f"{len(foreign)} volumes belong to another number: {listed}",
        fix=f"{use}stop these servers and give each volume away: docker run --rm -v VOLUME:/v {base} chown -R {uid} /v",
    )


def _may_be_nb_uid(number: int) -> bool:
    """Not root's, as an engine makes a volume where the image has no such directory."""
    try:
        readers.user_id(str(number))
    except readers.Unfit:
        return False
    return True


def _image_steps(spec: ImageSpec, snapshot: Snapshot) -> list[Step]:
    built = snapshot.images.get(spec.content_reference)
    named = snapshot.images.get(spec.reference)
    if built is None or built.labels.get(labels.CONTENT) != spec.content:
        return [Step(op.ImageBuilt(spec), _build_cause(spec, named))]
    if named is None or named.id != built.id:
        return [Step(op.ImageTagged(spec.content_reference, spec.reference), "this content is built already")]
    return []


def _build_cause(spec: ImageSpec, named: ImageState | None) -> str:
    """Which of the image's inputs changed: its folder, its parent, or a build argument with both values."""
    if named is None:
        return "it does not exist"
    before = _json_label(named.labels, labels.INPUTS)
    after = _json_label(spec.labels, labels.INPUTS)
    changes = [
        f"{name}: {before[name]} -> {value}" if name in spec.arguments and name in before else f"{name} changed"
        for name, value in after.items()
        if before.get(name) != value
    ]
    return ", ".join(changes) or "its labels changed"


def _json_label(carried: Mapping[str, str], label: str) -> dict[str, str]:
    """A label that holds a JSON object; empty where it is missing or not ours to read."""
    try:
        value = json.loads(carried.get(label, "{}"))
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _network_steps(spec: NetworkSpec, snapshot: Snapshot, deployment: str) -> list[Step]:
    state = snapshot.networks.get(spec.name)
    if state is None:
        return [Step(op.NetworkExists(spec), "it does not exist")]
    if state.labels.get(labels.DEPLOYMENT) == deployment and not spec.internal and state.pool is None:
        # An `up` that was killed between asking the engine for a free subnet and keeping it leaves such a network.
        cause = "it has no address kept for the hub"
        return [Step(op.NetworkGone(spec.name), cause), Step(op.NetworkExists(spec), cause)]
    return []


def _container_steps(spec: ContainerSpec, snapshot: Snapshot, changed: set[str]) -> list[Step]:
    state = snapshot.containers.get(spec.name)
    if state is None:
        return _new_container(spec, "it does not exist")
    cause = _replacement_cause(spec, state, snapshot, changed)
    if cause:
        impact = Impact.HUB_RESTARTS if spec.role == labels.HUB else Impact.PROXY_RESTARTS
        stops = [Step(op.ContainerStopped(spec.name), cause, impact)] if state.running else []
        return [*stops, Step(op.ContainerGone(spec.name), cause), *_new_container(spec, cause)]
    mounts = tuple(mount.target for mount in spec.mounts)
    stale = {path: content for path, content in spec.live_files.items() if _file(state, path) != content}
    if state.running:
        return [Step(op.FilesPublished(spec.name, stale, mounts), _live_cause(stale))] if stale else []
    missing = {**{path: content for path, content in spec.files.items() if _file(state, path) != content}, **stale}
    puts = [Step(op.FilesPut(spec.name, missing, mounts), "they are not there yet")] if missing else []
    return [*puts, *_start(spec.name, "it does not run")]


def _new_container(spec: ContainerSpec, cause: str) -> list[Step]:
    mounts = tuple(mount.target for mount in spec.mounts)
    return [
        Step(op.ContainerCreated(spec), cause),
        Step(op.FilesPut(spec.name, {**spec.files, **spec.live_files}, mounts), cause),
        *_start(spec.name, cause),
    ]


def _start(name: str, cause: str) -> list[Step]:
    return [Step(op.ContainerStarted(name), cause), Step(op.ContainerHealthy(name), cause)]


def _replacement_cause(spec: ContainerSpec, state: ContainerState, snapshot: Snapshot, changed: set[str]) -> str:
    """Why a container must be made anew; empty if it need not be."""
    causes: list[str] = []
    image = snapshot.images.get(spec.image)
    if spec.image in changed or image is None or image.id != state.image_id:
        causes.append(f"image {spec.image} is new")
    before = _json_label(state.labels, labels.SHAPE)
    causes += [f"{part}: {before.get(part)} -> {now}" for part, now in spec.shape.items() if before.get(part) != now]
    for attachment in spec.attachments:
        network = snapshot.networks.get(attachment.network)
        if (
            attachment.network in changed
            or network is None
            or state.networks.get(attachment.network) not in ("", network.id)
        ):
            causes.append(f"network {attachment.network} is new")
    # A container that never ran may still wait for its files; one that ran has read them.
    if state.state != "created":
        for path, content in spec.files.items():
            if _file(state, path) != content:
                causes.append(f"{path.rsplit('/', 1)[1]}: {_file_cause(path, _file(state, path), content)}")
    return "; ".join(causes)


def _file_cause(path: str, before: bytes | None, after: bytes) -> str:
    if path in (CONTRACT_PATH, SECRETS_PATH):
        return comparison.documents(before, after, secret=path == SECRETS_PATH)
    return "changed"


def _live_cause(stale: Mapping[str, bytes]) -> str:
    if any("/certs/" in path for path in stale):
        return "the certificate changed"
    return ", ".join(sorted(path.rsplit("/", 1)[1] for path in stale)) + " changed"


def _with_losses(spec: ContainerSpec, steps: list[Step], blueprint: Blueprint, snapshot: Snapshot) -> list[Step]:
    """The hub's steps; the first says whose running servers end when the hub starts, whatever state it is in now."""
    if spec.role != labels.HUB or not steps:
        return steps
    losing = _losing_users(spec, blueprint, snapshot)
    if not losing:
        return steps
    return [replace(steps[0], impact=Impact.SERVERS_STOP, users=losing), *steps[1:]]


def _losing_users(spec: ContainerSpec, blueprint: Blueprint, snapshot: Snapshot) -> tuple[str, ...]:
    """A hub that starts stops the servers of users who left the userlist. With another database it knows no server at all.

    Without a contract to compare with, everybody who is not on the list counts: rather asked once too often.
    """
    running = frozenset(_user(one) for one in snapshot.servers if one.running)
    state = snapshot.containers.get(spec.name)
    mounts = _json_label(state.labels, labels.SHAPE).get("mounts", "") if state else ""
    mounted = {one.partition(" at ")[0] for one in mounts.split(", ")}
    other_database = bool(mounts) and blueprint.data_volume not in mounted
    if other_database or blueprint.data_volume not in snapshot.volumes:
        return tuple(sorted(running))
    before = _file(state, CONTRACT_PATH) if state else None
    after = spec.files[CONTRACT_PATH]
    if before is None:
        return tuple(sorted(running - comparison.users(after)))
    return tuple(sorted(running & (comparison.users(before) - comparison.users(after))))


def _displaced_servers(blueprint: Blueprint, snapshot: Snapshot) -> list[Step]:
    """Servers that the proxy could not reach any more: they run on another network than the one wanted."""
    wanted = snapshot.networks.get(blueprint.server.network)
    return [
        _server_stops(one, f"it is not on the network {blueprint.server.network}")
        for one in snapshot.servers
        if one.running and (wanted is None or one.networks.get(wanted.name) not in ("", wanted.id))
    ]


def _pending(blueprint: Blueprint, snapshot: Snapshot, changed: set[str]) -> tuple[Pending, ...]:
    image = snapshot.images.get(blueprint.server.image)
    checks: list[tuple[str, Callable[[ContainerState], bool]]] = [
        (
            f"image {blueprint.server.image} is new",
            lambda one: blueprint.server.image in changed or image is None or one.image_id != image.id,
        ),
        (
            "the settings of servers changed",
            lambda one: one.labels.get(labels.FINGERPRINT) != blueprint.server.fingerprint,
        ),
        (
            "the right to use sudo changed",
            lambda one: (one.labels.get(labels.SUDO) == "yes") != _may_sudo(blueprint, _user(one)),
        ),
    ]
    running = [one for one in snapshot.servers if one.running]
    found = [Pending(tuple(sorted(_user(one) for one in running if differs(one))), cause) for cause, differs in checks]
    return tuple(pending for pending in found if pending.users)


def _may_sudo(blueprint: Blueprint, user: str) -> bool:
    return blueprint.server.may_sudo is None or user in blueprint.server.may_sudo


def _server_stops(state: ContainerState, cause: str) -> Step:
    return Step(op.ContainerStopped(state.name), cause, Impact.SERVERS_STOP, (_user(state),))


def _user(state: ContainerState) -> str:
    return state.labels.get(labels.USER, state.name)


def _file(state: ContainerState, path: str) -> bytes | None:
    return None if state.files is None else state.files.get(path)
