"""The plans that stop or remove what a deployment has. They need its name and a snapshot, no settings. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hubdeploy.blueprint.components import COMPONENTS
from hubdeploy.blueprint.specs import DATA_REMOVED, NOTHING, SERVERS_STOP
from hubdeploy.contract import labels
from hubdeploy.plan import operations as op
from hubdeploy.plan.prune import own_names
from hubdeploy.plan.snapshot import ContainerState, NetworkState, Snapshot, VolumeState
from hubdeploy.plan.steps import Plan, Step

_OF_CONTAINERS = (op.ContainerStopped, op.ContainerGone)


def stopping(snapshot: Snapshot, deployment: str, *, servers: bool) -> Plan:
    """Every component stopped; with `servers` the users' servers as well. Nothing is removed."""
    own = [one for one in snapshot.containers.values() if one.labels.get(labels.DEPLOYMENT) == deployment]
    before, after = _around_servers(own)
    steps = [Step(op.ContainerStopped(one.name), "asked for") for one in before if one.running]
    if servers:
        steps += [
            Step(op.ContainerStopped(one.name), "asked for by --servers", SERVERS_STOP, (one.user,))
            for one in snapshot.servers
            if one.running
        ]
    steps += [Step(op.ContainerStopped(one.name), "asked for") for one in after if one.running]
    return Plan(tuple(steps))


def _gone(one: ContainerState, cause: str) -> Iterator[Step]:
    """One that tidies is stopped before."""
    if one.running and any(component.role == one.role for component in COMPONENTS if component.tidies):
        yield Step(op.ContainerStopped(one.name), cause)
    yield Step(op.ContainerGone(one.name), cause)


def _around_servers(own: Iterable[ContainerState]) -> tuple[list[ContainerState], list[ContainerState]]:
    """The components' containers that stop before users' servers, and those that stop after them; each in the order in which
    they start, so that the one that lets users in goes first."""
    roles = [component.role for component in COMPONENTS]
    later = {component.role for component in COMPONENTS if component.after_servers}
    order = sorted(own, key=lambda one: roles.index(one.role) if one.role in roles else len(roles))
    return [one for one in order if one.role not in later], [one for one in order if one.role in later]


def removal(snapshot: Snapshot, deployment: str, *, volumes: bool) -> Plan:
    """Everything that carries the deployment's label is gone: containers, networks, images; volumes only if asked."""

    def own(state: ContainerState | NetworkState | VolumeState) -> bool:
        return state.labels.get(labels.DEPLOYMENT) == deployment

    cause = "it is this deployment's"
    # The hub before the servers, or a user who logs in meanwhile gets a new server.
    before, after = _around_servers(one for one in snapshot.containers.values() if own(one))
    steps = [step for one in before for step in _gone(one, cause)]
    for one in snapshot.servers:
        consequence = SERVERS_STOP if one.running else NOTHING
        steps.append(Step(op.ContainerGone(one.name), cause, consequence, (one.user,)))
    steps += [step for one in after for step in _gone(one, cause)]
    steps += [Step(op.NetworkGone(network.name), cause) for network in snapshot.networks.values() if own(network)]
    # Children first: an image with children cannot be removed.
    for image in sorted(snapshot.own_images, key=lambda image: image.created, reverse=True):
        steps += [Step(op.ImageGone(name), cause) for name in own_names(image)]
    if volumes:
        steps += [
            Step(op.VolumeGone(volume.name), "asked for by --volumes", DATA_REMOVED)
            for volume in snapshot.volumes.values()
            if own(volume)
        ]
    return Plan(tuple(steps))


def together(*removals: Plan) -> Plan:
    """Several removals as one plan, containers first: a helper of one may hold volumes of another."""
    steps = [step for one in removals for step in one.steps]
    steps.sort(key=lambda step: not isinstance(step.operation, _OF_CONTAINERS))
    return Plan(tuple(steps))


def of_containers(plan: Plan) -> Plan:
    """Its steps that stop or remove containers."""
    return Plan(tuple(step for step in plan.steps if isinstance(step.operation, _OF_CONTAINERS)))


def thrown_away(snapshot: Snapshot, deployment: str) -> Plan:
    """All that a drill or a canary left, `deployment` being its own name, is gone."""
    whole = removal(snapshot, deployment, volumes=True)
    return Plan(tuple(Step(one.operation, f"{deployment} was cut short and left it") for one in whole.steps))


def with_names_of_images(plan: Plan, snapshot: Snapshot, deployment: str) -> Plan:
    """A removal of a throw-away deployment, and of the names that it gave the real one's images: they end with its own."""
    names = [
        one for one, image in snapshot.images.items() if one in own_names(image) and one.endswith(f":{deployment}")
    ]
    return Plan((*plan.steps, *(Step(op.ImageGone(one), "it is thrown away") for one in names)))
