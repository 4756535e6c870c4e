"""The steps around a new hub image: it is proved on a copy of the database before anything is replaced. Pure."""

from __future__ import annotations

from collections.abc import Collection

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
    return (Step(op.ImageProved(store), f"image {store.image} is new"),)
