"""The plan that removes what a deployment has left behind: images, and copies of its database. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from hubdeploy.blueprint.specs import Store
from hubdeploy.contract import labels
from hubdeploy.contract.states import State
from hubdeploy.plan import operations as op
from hubdeploy.plan.snapshot import ImageState, Snapshot
from hubdeploy.plan.steps import Plan, Step


def needless_images(snapshot: Snapshot, states: Iterable[State], wanted: Collection[str]) -> tuple[ImageState, ...]:
    """The deployment's images that no container of it has, no state needs, and whose reference is not `wanted`; children before
    their parents, as an image with children cannot be removed."""
    used = {one.image_id for one in (*snapshot.containers.values(), *snapshot.servers)}
    used |= {state.image for state in states}
    used |= {snapshot.images[reference].id for reference in wanted if reference in snapshot.images}
    needless = (image for image in snapshot.own_images if image.id not in used and own_names(image))
    return tuple(sorted(needless, key=lambda image: image.created, reverse=True))


def own_names(image: ImageState) -> tuple[str, ...]:
    """The image's names that the deployment gave it: an image of others that is built on it has its labels, not its name."""
    repository = image.labels.get(labels.REPOSITORY)
    return tuple(name for name in image.references if name.rpartition(":")[0] == repository)


def pruning(images: Iterable[ImageState], store: Store, copies: int) -> Plan:
    """`copies` of the database are beyond those that are kept."""
    cause = "nothing runs it, or goes back to it"
    steps = [Step(op.ImageGone(name), cause) for image in images for name in own_names(image)]
    if copies:
        steps.append(Step(op.CopiesGone(store, copies), "newer ones are there"))
    return Plan(tuple(steps))
