"""The steps for images alone: foreign ones pulled, ours built or tagged, parents first. Pure."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from hubdeploy.blueprint.specs import ImageSpec
from hubdeploy.contract import labels
from hubdeploy.plan import operations as op
from hubdeploy.plan.snapshot import ImageState, Snapshot
from hubdeploy.plan.steps import Step


def image_steps(
    images: Iterable[ImageSpec], foreign: Iterable[str], snapshot: Snapshot, served: Collection[str] = ()
) -> tuple[Step, ...]:
    """`served` are the images of users' servers: a foreign one is checked once it is there."""
    return (*_pulls(foreign, snapshot, served), *(step for spec in images for step in _steps(spec, snapshot)))


def _pulls(foreign: Iterable[str], snapshot: Snapshot, served: Collection[str]) -> Iterable[Step]:
    cause = "it is not on the engine"
    for reference in foreign:
        if reference not in snapshot.images:
            more = "; then its JupyterHub is compared with the hub's" if reference in served else ""
            yield Step(op.ImagePulled(reference), cause + more)


def name_later(steps: Iterable[Step], references: Collection[str]) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
    """The steps without those that give images these references, and the steps that give them."""
    first: list[Step] = []
    later: list[Step] = []
    for step in steps:
        operation = step.operation
        if isinstance(operation, op.ImageBuilt) and operation.spec.reference in references:
            spec = operation.spec
            first.append(replace(step, operation=op.ImageBuilt(spec, is_named=False)))
            later.append(Step(op.ImageTagged(spec.content_reference, spec.reference), "its content is new"))
        elif isinstance(operation, op.ImageTagged) and operation.reference in references:
            later.append(step)
        else:
            first.append(step)
    return tuple(first), tuple(later)


def _steps(spec: ImageSpec, snapshot: Snapshot) -> list[Step]:
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
    before = json_label(named.labels, labels.INPUTS)
    after = json_label(spec.labels, labels.INPUTS)
    changes = [
        f"{name}: {before[name]} -> {value}" if name in spec.arguments and name in before else f"{name} changed"
        for name, value in after.items()
        if before.get(name) != value
    ]
    return ", ".join(changes) or "its labels changed"


def json_label(carried: Mapping[str, str], label: str) -> dict[str, str]:
    """A label that holds a JSON object; empty where it is missing, or nobody of us wrote it."""
    try:
        value = json.loads(carried.get(label, "{}"))
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
