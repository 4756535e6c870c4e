"""The steps around a new hub image: it is proved on a copy of the database and by a canary before anything is replaced, and what
it replaces is kept, to go back to. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from hubdeploy.blueprint.specs import Blueprint
from hubdeploy.plan import operations as op
from hubdeploy.plan.containers import mounted_volumes
from hubdeploy.plan.snapshot import Snapshot
from hubdeploy.plan.steps import Step


def proof_steps(blueprint: Blueprint, snapshot: Snapshot, changed: Collection[str]) -> tuple[Step, ...]:
    """What is done before the hub gets another image; nothing where it keeps its image, or gets another data volume, in which
    the old database stays as it is. `changed` are the references of images that earlier steps make anew."""
    store = blueprint.store
    hub, image = snapshot.containers.get(store.hub), snapshot.images.get(store.image)
    mounted = mounted_volumes(hub) if hub else frozenset()
    if hub is None or (mounted and store.data not in mounted):
        return ()
    if store.image not in changed and image is not None and image.id == hub.image_id:
        return ()
    cause = f"image {store.image} is new"
    proof = (Step(op.ImageProved(store), cause), Step(op.CanaryHeard(store), cause))
    # A hub of version 1.0 had its documents in its own file system: nobody can make it again.
    if store.documents not in mounted:
        return proof
    names = tuple(spec.name for spec in blueprint.containers)
    return (*proof, Step(op.StateNoted(store, names), cause))


def with_state_kept(steps: Sequence[Step], proof: Sequence[Step], blueprint: Blueprint) -> tuple[Step, ...]:
    """The steps for all containers, with the state kept where the hub has stopped and is there yet, if it is on record."""
    if not any(isinstance(step.operation, op.StateNoted) for step in proof):
        return tuple(steps)
    gone = op.ContainerGone(blueprint.store.hub)
    at = next(number for number, step in enumerate(steps) if step.operation == gone)
    kept = Step(op.StateKept(blueprint.store), "to go back to it: ./invoke rollback")
    return (*steps[:at], kept, *steps[at:])
