"""`prune`: images and copies of the database that a deployment does not need any more are removed."""

from __future__ import annotations

from hubdeploy.blueprint import draw, images
from hubdeploy.commands import execution, rollback
from hubdeploy.commands.deployment import Deployment
from hubdeploy.plan.prune import needless_images, pruning
from hubdeploy.plan.snapshot import Snapshot


def prune(deployment: Deployment, *, yes: bool = False) -> None:
    """Prints what goes and how much that frees, asks unless `yes`, and removes it."""
    snapshot, store = deployment.observe(files=False), draw.store(deployment.settings)
    states = [one.state for one in rollback.states(deployment, store, snapshot)]
    gone = needless_images(snapshot, states, _wanted(deployment, snapshot))
    count, size = deployment.engine.old_copies(store) if rollback.has_store(store, snapshot) else (0, 0)
    plan = pruning(gone, store, count)
    deployment.display.plan(plan)
    if not plan.steps:
        return
    freed = deployment.engine.freed([image.id for image in gone]) + size
    deployment.display.agree(f"This frees {freed / 1e6:.0f} MB. Go on?", yes=yes)
    execution.carry_out(plan.steps, deployment.apply, deployment.display)
    deployment.display.line(f"freed: {freed / 1e6:.0f} MB, less what a builder's cache holds")


def _wanted(deployment: Deployment, snapshot: Snapshot) -> set[str]:
    """The names of what the deployment runs, or would run after the next `up`."""
    specs = deployment.image_specs(images.needed(deployment.settings), snapshot)
    return {name for spec in specs for name in (spec.reference, spec.content_reference)}
