"""Decides what to do: compares a blueprint with a snapshot and gives steps, each with its cause and consequence.

Pure: it asks nobody and changes nothing. What must be refused is found by `checks`, on the same two.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from hubdeploy.blueprint.specs import SERVERS_STOP, Blueprint, NetworkSpec, VolumeSpec
from hubdeploy.contract import cards, labels, mac_addresses
from hubdeploy.contract.documents import Secret, ServerKind
from hubdeploy.plan import operations as op
from hubdeploy.plan.containers import container_steps
from hubdeploy.plan.images import image_steps, name_later
from hubdeploy.plan.snapshot import ContainerState, NetworkState, Snapshot, VolumeState
from hubdeploy.plan.steps import Pending, Plan, Step
from hubdeploy.plan.upgrade import proof_steps, untried, with_state_kept
from hubdeploy.settings.kinds import ONLY


def reconcile(blueprint: Blueprint, snapshot: Snapshot, local: Iterable[Step] = ()) -> Plan:
    """All steps from the snapshot to the blueprint. `local` are the steps for files of this machine, which come first."""
    served = [kind.image for kind in blueprint.contract.kinds]
    images = image_steps(blueprint.images, blueprint.foreign_images, snapshot, served)
    networks = network_steps(blueprint.networks, snapshot, blueprint.deployment)
    untried_kinds = untried(blueprint, snapshot, images)
    snapshot = _with_tags(snapshot, images)
    changed = {
        *(step.operation.spec.reference for step in images if isinstance(step.operation, op.ImageBuilt)),
        *(step.operation.name for step in networks if isinstance(step.operation, op.NetworkGone)),
    }
    containers = [step for spec in blueprint.containers for step in container_steps(spec, blueprint, snapshot, changed)]
    proof = proof_steps(blueprint, snapshot, changed, untried_kinds)
    # The hub's servers start with an image by its name, so a new one gets that name when it has been tried.
    images, named = name_later(images, served if proof and blueprint.store.hub in snapshot.containers else ())
    steps = (
        *local,
        *images,
        *volume_steps(blueprint.volumes, snapshot),
        # Before anything that users could notice: where it fails, all goes on as it was.
        *proof,
        *named,
        *_displaced_servers(blueprint, snapshot),
        *networks,
        *with_state_kept(containers, proof, blueprint),
    )
    stopping = {user for step in steps if step.consequence.loses for user in step.users}
    return Plan(steps, _pending(blueprint, snapshot, changed, stopping), _taken_over(blueprint, snapshot))


def network_steps(networks: Iterable[NetworkSpec], snapshot: Snapshot, deployment: str) -> tuple[Step, ...]:
    """The networks that are missing, and those that an `up` left half made."""
    return tuple(step for spec in networks for step in _network_steps(spec, snapshot, deployment))


def _network_steps(spec: NetworkSpec, snapshot: Snapshot, deployment: str) -> list[Step]:
    state = snapshot.networks.get(spec.name)
    if state is None:
        return [Step(op.NetworkExists(spec), "it does not exist")]
    if state.labels.get(labels.DEPLOYMENT) == deployment and not spec.internal and state.pool is None:
        # An `up` that was killed between asking the engine for a free subnet and keeping it leaves such a network.
        cause = "it has no address kept for the hub"
        return [Step(op.NetworkGone(spec.name), cause), Step(op.NetworkExists(spec), cause)]
    return []


def volume_steps(volumes: Iterable[VolumeSpec], snapshot: Snapshot) -> tuple[Step, ...]:
    """The volumes that are missing, and those that are still root's and shall be somebody else's."""
    return tuple(step for spec in volumes for step in _volume_steps(spec, snapshot))


def _volume_steps(spec: VolumeSpec, snapshot: Snapshot) -> Iterator[Step]:
    state = snapshot.volumes.get(spec.name)
    if state is None:
        yield Step(op.VolumeExists(spec), "it does not exist")
    if spec.owner is not None and (state is None or state.owner == 0):
        yield Step(op.VolumeOwned(spec.name, spec.owner), "users write to it")


def _with_tags(snapshot: Snapshot, steps: Iterable[Step]) -> Snapshot:
    """The snapshot with the tags that the steps set: a container of the same image content is not made anew."""
    tags = [step.operation for step in steps if isinstance(step.operation, op.ImageTagged)]
    return replace(snapshot, images={**snapshot.images, **{one.reference: snapshot.images[one.source] for one in tags}})


def _displaced_servers(blueprint: Blueprint, snapshot: Snapshot) -> list[Step]:
    """Servers that the proxy could not reach any more: they run on another network than the one wanted."""
    name = blueprint.contract.kinds[0].network_name
    wanted = snapshot.networks.get(name)
    return [
        Step(op.ContainerStopped(one.name), f"it is not on the network {name}", SERVERS_STOP, (one.user,))
        for one in snapshot.servers
        if one.running and (wanted is None or one.networks.get(name) not in ("", wanted.id))
    ]


def _pending(
    blueprint: Blueprint, snapshot: Snapshot, changed: Collection[str], stopping: Collection[str]
) -> tuple[Pending, ...]:
    """What running servers pick up later. Servers of the `stopping` users do not go on."""
    servers = blueprint.contract.servers

    def wanted(one: ContainerState) -> ServerKind:
        # Who is in which group of a login nobody knows here.
        return servers.kind_of_server(one.user, one.labels.get(labels.KIND, ""), None)

    def lost_kind(one: ContainerState) -> bool:
        """Not where nobody has chosen one yet."""
        name = one.labels.get(labels.KIND, ONLY.name)
        return name != ONLY.name and servers.kind_for(one.user, name, None) is None

    def lost_card(one: ContainerState) -> bool:
        known = {cards.own_device(card) for card in servers.cards}
        return any(cards.own_device(card) not in known for card in cards.of_label(one.labels.get(labels.CARDS, "")))

    def has_another(one: ContainerState, *, kind: str, name: str, value: Secret[str]) -> bool:
        return wanted(one).name == kind and one.variables.get(name, value) != value

    def other_image(reference: str, one: ContainerState) -> bool:
        image = snapshot.images.get(reference)
        is_new = reference in changed or image is None or one.image_id != image.id
        return is_new and wanted(one).image == reference

    def waits_for_networks(one: ContainerState) -> bool:
        """Its MAC address is not the one of the networks that it would have now."""
        wants = mac_addresses.of_networks(wanted(one).networks)
        return bool(wants) and one.labels.get(labels.NETWORKS) != wants

    images = dict.fromkeys(kind.image for kind in servers.kinds)
    checks: list[tuple[str, Callable[[ContainerState], bool]]] = [
        *((f"image {one} is new", partial(other_image, one)) for one in images),
        (
            "the settings of servers changed",
            lambda one: one.labels.get(labels.FINGERPRINT) != servers.fingerprint(one.user, wanted(one)),
        ),
        (
            "the right to use sudo changed",
            lambda one: (one.labels.get(labels.SUDO) == "yes") != servers.may_sudo(one.user),
        ),
        *(
            (f"{name} of {kind} changed", partial(has_another, kind=kind, name=name, value=value))
            for kind, values in blueprint.server_secrets.kinds.items()
            for name, value in values.items()
        ),
        ("the networks of their kind changed, and are closed to them until then", waits_for_networks),
        ("their kind of server is gone, or not theirs any more", lost_kind),
        ("GPUS does not name their card any more", lost_card),
    ]
    running = [one for one in snapshot.servers if one.running and one.user not in stopping]
    found = [Pending(tuple(sorted(one.user for one in running if differs(one))), cause) for cause, differs in checks]
    return tuple(pending for pending in found if pending.users)


def _taken_over(blueprint: Blueprint, snapshot: Snapshot) -> tuple[str, ...]:
    """What the first hub of a deployment finds under the names that are set; later it is no news."""
    if any(spec.contract and spec.name in snapshot.containers for spec in blueprint.containers):
        return ()
    # A network may have the name of a volume.
    networks = [snapshot.networks[one.name] for one in blueprint.networks if one.name in snapshot.networks]
    volumes = [snapshot.volumes[one.name] for one in blueprint.volumes if one.name in snapshot.volumes]
    users = [one for one in snapshot.volumes.values() if one.is_users]
    found: dict[str, Sequence[NetworkState | VolumeState]] = {
        "network": networks,
        "volume": volumes,
        "user's volume": sorted(users, key=lambda one: one.name),
    }
    return tuple(
        f"{kind} {one.name}" for kind, states in found.items() for one in states if labels.DEPLOYMENT not in one.labels
    )
