"""The steps around new images: a hub's is proved on a copy of the database, a canary tries it and the images of users' servers
before anybody gets them, and what a new hub replaces is kept, to go back to. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from hubdeploy.blueprint.specs import Blueprint
from hubdeploy.contract.documents import ServerKind
from hubdeploy.plan import operations as op
from hubdeploy.plan.containers import held_contract, mounted_volumes
from hubdeploy.plan.snapshot import Snapshot
from hubdeploy.plan.steps import Step


def proof_steps(
    blueprint: Blueprint, snapshot: Snapshot, changed: Collection[str], untried: Sequence[ServerKind]
) -> tuple[Step, ...]:
    """What is done before hub and users get other images. No copy of the database where the hub keeps its image, or gets another
    data volume, in which the old database stays as it is. `changed` are the references of images that earlier steps make anew."""
    store = blueprint.store
    hub, image = snapshot.containers.get(store.hub), snapshot.images.get(store.image)
    mounted = mounted_volumes(hub) if hub else frozenset()
    is_kept = hub is not None and store.image not in changed and image is not None and image.id == hub.image_id
    if hub is None or is_kept or (mounted and store.data not in mounted):
        if not untried:
            return ()
        images = _images(untried)
        listed = " and ".join(images.values())
        cause = f"image {listed} is new" if len(images) == 1 else f"images {listed} are new"
        return (Step(op.CanaryHeard(store, images, on_copy=False), cause),)
    cause = f"image {store.image} is new"
    # All parts must fit each other, so the servers' images that are not new are tried as well.
    kinds = _images(_one_of_each_image(blueprint.contract.kinds))
    proof = (Step(op.ImageProved(store), cause), Step(op.CanaryHeard(store, kinds, on_copy=True), cause))
    # A hub of version 1.0 had its documents in its own file system: nobody can make it again.
    if store.documents not in mounted:
        return proof
    names = tuple(spec.name for spec in blueprint.containers)
    return (*proof, Step(op.StateNoted(store, names), cause))


def untried(blueprint: Blueprint, snapshot: Snapshot, images: Iterable[Step]) -> tuple[ServerKind, ...]:
    """A kind of servers for each image that no kind of the present hub has; `images` are the steps that bring them. Where there
    is no hub yet, only for images of others, which nobody has tried here."""
    hub = next(one for one in blueprint.containers if one.contract)
    kinds = _one_of_each_image(blueprint.contract.kinds)
    if hub.name not in snapshot.containers:
        return tuple(one for one in kinds if not one.ours)
    held = held_contract(hub, snapshot.containers[hub.name])
    had = {_id(snapshot, kind.image) for kind in held.kinds} if held else set()
    brought: dict[str, str | None] = {}
    for operation in (step.operation for step in images):
        if isinstance(operation, op.ImageBuilt):
            brought[operation.spec.reference] = None
        elif isinstance(operation, op.ImageTagged):
            brought[operation.reference] = _id(snapshot, operation.source)
    return tuple(one for one in kinds if brought.get(one.image, _id(snapshot, one.image)) not in had - {None})


def _id(snapshot: Snapshot, reference: str) -> str | None:
    image = snapshot.images.get(reference)
    return image.id if image else None


def _images(kinds: Iterable[ServerKind]) -> dict[str, str]:
    return {one.name: one.image for one in kinds}


def _one_of_each_image(kinds: Iterable[ServerKind]) -> tuple[ServerKind, ...]:
    """The first kind with each image."""
    found: dict[str, ServerKind] = {}
    for kind in kinds:
        found.setdefault(kind.image, kind)
    return tuple(found.values())


def with_state_kept(steps: Sequence[Step], proof: Sequence[Step], blueprint: Blueprint) -> tuple[Step, ...]:
    """The steps for all containers, with the state kept where the hub has stopped and is there yet, if it is on record."""
    if not any(isinstance(step.operation, op.StateNoted) for step in proof):
        return tuple(steps)
    gone = op.ContainerGone(blueprint.store.hub)
    at = next(number for number, step in enumerate(steps) if step.operation == gone)
    kept = Step(op.StateKept(blueprint.store), "to go back to it: ./invoke rollback")
    return (*steps[:at], kept, *steps[at:])
