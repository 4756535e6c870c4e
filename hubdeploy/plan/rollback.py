"""The plan that brings a kept state back: image, database and documents of the hub, and all that ran its image. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from hubdeploy.blueprint.components import COMPONENTS
from hubdeploy.blueprint.components.hub import CONSEQUENCE
from hubdeploy.blueprint.specs import SERVERS_STOP, Consequence, Severity, Store
from hubdeploy.contract.states import Listed, State
from hubdeploy.plan import operations as op
from hubdeploy.plan.snapshot import Snapshot
from hubdeploy.plan.steps import Plan, Step


def going_back(listed: Listed, store: Store, snapshot: Snapshot, *, with_database: bool = False) -> Plan:
    """From what runs to the state. The database is brought back if the hub has another image, or if `with_database`. A state
    that is only noted has none, and needs none: its hub is still there."""
    state, hub = listed.state, snapshot.containers.get(store.hub)
    cause = f"the state {state.id}"
    brings = not listed.is_noted and (with_database or hub is None or hub.image_id != state.image)
    steps = list(_database_steps(state, store, snapshot, cause)) if brings else []
    roles = [component.role for component in COMPONENTS]
    if brings:
        steps += _newcomer_steps(state, store, snapshot, roles)
    order = sorted(state.containers, key=lambda name: roles.index(name.removeprefix(f"{store.deployment}-")))
    for name in order:
        steps += _container_steps(name, state, snapshot, cause, anew=brings and name == store.hub)
    image = snapshot.images.get(store.image)
    if image is None or image.id != state.image:
        steps.append(Step(op.ImageTagged(_reference(state, store, snapshot), store.image), cause))
    return Plan(tuple(steps))


def is_there(state: State, snapshot: Snapshot) -> bool:
    """Whether the state's image is on the engine yet."""
    return any(image.id == state.image for image in snapshot.images.values())


def _database_steps(state: State, store: Store, snapshot: Snapshot, cause: str) -> Iterator[Step]:
    for one in snapshot.servers:
        if one.running and one.created > state.at:
            known = f"the hub as of {op.when(state.at)} does not know it"
            yield Step(op.ContainerStopped(one.name), known, SERVERS_STOP, (one.user,))
    if store.hub in snapshot.containers:
        yield Step(op.ContainerStopped(store.hub), cause, CONSEQUENCE)
    lost = f"logins and tokens since {op.when(state.at)} are lost, and passwords of accounts that were added since"
    yield Step(op.StateBrought(store, state), cause, Consequence(Severity.SESSIONS_ARE_LOST, lost))


def _newcomer_steps(state: State, store: Store, snapshot: Snapshot, roles: Collection[str]) -> Iterator[Step]:
    """A component that came with the newest image: the hub before knows nothing of it."""
    newest = snapshot.images.get(store.image)
    for one in snapshot.containers.values():
        if one.role in roles and one.name not in state.containers and newest and one.image_id == newest.id:
            cause = f"the state {state.id} has none"
            yield from (Step(operation(one.name), cause) for operation in (op.ContainerStopped, op.ContainerGone))


def _container_steps(name: str, state: State, snapshot: Snapshot, cause: str, *, anew: bool) -> Iterator[Step]:
    """`anew`: it is stopped already, and is made anew though it may have the image."""
    present = snapshot.containers.get(name)
    if present is None or present.image_id != state.image or anew:
        if present is not None and not anew:
            yield Step(op.ContainerStopped(name), cause)
        if present is not None:
            yield Step(op.ContainerGone(name), cause)
        yield Step(op.ContainerRecreated(name, state.containers[name]), cause)
    elif present.running:
        return
    yield from (Step(operation(name), cause) for operation in (op.ContainerStarted, op.ContainerHealthy))


def _reference(state: State, store: Store, snapshot: Snapshot) -> str:
    """A name of the state's image; its id where it has none."""
    names = (one for image in snapshot.own_images if image.id == state.image for one in image.references)
    return next((one for one in names if one != store.image), state.image)
