"""The plan that brings a kept state back: image, database and documents of the hub, and all that ran its image. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from hubdeploy.blueprint.components import COMPONENTS
from hubdeploy.blueprint.components.hub import CONSEQUENCE
from hubdeploy.blueprint.specs import SERVERS_STOP, Consequence, Severity, Store
from hubdeploy.contract.states import TAG, Listed, State, Watched, at_of
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
    if brings:
        steps += _newcomer_steps(state, store, snapshot)
    for name in _order(state, store):
        steps += _container_steps(name, state, snapshot, cause, anew=brings and name == store.hub)
    image = snapshot.images.get(store.image)
    if image is None or image.id != state.image:
        steps.append(Step(op.ImageTagged(_reference(state, store, snapshot), store.image), cause))
    return Plan(tuple(steps))


def is_there(state: State, snapshot: Snapshot) -> bool:
    """Whether the state's image is on the engine yet."""
    return any(image.id == state.image for image in snapshot.images.values())


def last_upgrade(store: Store, snapshot: Snapshot) -> float | None:
    """When the hub got the image that it has, in seconds since 1970; None where no earlier one is kept, or it has gone back."""
    kept = {
        name.rpartition(f":{TAG}")[2]: image.id
        for image in snapshot.own_images
        for name in image.references
        if f":{TAG}" in name
    }
    hub = snapshot.containers.get(store.hub)
    newest = max(kept, default="")
    return at_of(newest) if newest and hub and hub.image_id != kept[newest] else None


def _database_steps(state: State, store: Store, snapshot: Snapshot, cause: str) -> Iterator[Step]:
    for one in snapshot.servers:
        if one.running and one.created > state.at:
            known = f"the hub as of {op.when(state.at)} does not know it"
            yield Step(op.ContainerStopped(one.name), known, SERVERS_STOP, (one.user,))
    if store.hub in snapshot.containers:
        yield Step(op.ContainerStopped(store.hub), cause, CONSEQUENCE)
    lost = f"logins and tokens since {op.when(state.at)} are lost, and passwords of accounts that were added since"
    yield Step(op.StateBrought(store, state), cause, Consequence(Severity.SESSIONS_ARE_LOST, lost))


def watched(
    listed: Listed, store: Store, snapshot: Snapshot, proxy: str, question: tuple[str, ...], seconds: float
) -> Watched:
    """What the late watch needs to go back to the state by itself, in the order of `going_back`. `proxy` is the proxy's
    container, `question` asks for the login page."""
    state = listed.state
    return Watched(
        deployment=store.deployment,
        hub=store.hub,
        proxy=proxy,
        proxy_id=snapshot.containers[proxy].id,
        image=snapshot.containers[store.hub].image_id,
        reference=store.image,
        question=question,
        state=state.id,
        order=tuple(_order(state, store)),
        newcomers=tuple(_newcomers(state, store, snapshot)),
        seconds=seconds,
    )


def _order(state: State, store: Store) -> list[str]:
    """The state's containers in the order in which they start."""
    roles = [component.role for component in COMPONENTS]
    return sorted(state.containers, key=lambda name: roles.index(name.removeprefix(f"{store.deployment}-")))


def _newcomers(state: State, store: Store, snapshot: Snapshot) -> Iterator[str]:
    """Components that came with the newest image: the hub before knows nothing of them."""
    roles, newest = {component.role for component in COMPONENTS}, snapshot.images.get(store.image)
    for one in snapshot.containers.values():
        if one.role in roles and one.name not in state.containers and newest and one.image_id == newest.id:
            yield one.name


def _newcomer_steps(state: State, store: Store, snapshot: Snapshot) -> Iterator[Step]:
    for name in _newcomers(state, store, snapshot):
        cause = f"the state {state.id} has none"
        yield from (Step(operation(name), cause) for operation in (op.ContainerStopped, op.ContainerGone))


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
