"""What `prune` removes, and what it never does."""

from __future__ import annotations

import dataclasses

from hubdeploy.blueprint.specs import Blueprint
from hubdeploy.contract import labels
from hubdeploy.contract.states import State
from hubdeploy.plan.prune import needless_images, pruning
from hubdeploy.plan.snapshot import ImageState, Snapshot
from hubdeploy.settings.declarations import Settings
from tests.unit.plan.test_plan import drawn_blueprint, image_state, up
from tests.unit.plan.test_plan import found as found  # the fixture


def old(name: str, *references: str, repository: str = "lab/hub") -> ImageState:
    return image_state(name, {labels.DEPLOYMENT: "lab", labels.REPOSITORY: repository}, *references)


def deployed(drawn: Blueprint, *more: ImageState) -> Snapshot:
    snapshot = up(drawn)
    own = {image.id: image for image in snapshot.images.values() if labels.REPOSITORY in image.labels}
    return dataclasses.replace(snapshot, own_images=(*own.values(), *more))


def names(drawn: Blueprint, snapshot: Snapshot, *states: State) -> list[str]:
    wanted = {spec.reference for spec in drawn.images}
    return [str(step.operation) for step in pruning(needless_images(snapshot, states, wanted), drawn.store, 0).steps]


def test_an_earlier_build_goes_and_what_runs_or_is_named_stays(found: Settings) -> None:
    drawn = drawn_blueprint(found)
    assert names(drawn, deployed(drawn)) == []
    snapshot = deployed(drawn, old("old", "lab/hub:0123456789ab"))
    assert names(drawn, snapshot) == ["image lab/hub:0123456789ab is removed"]
    running = dataclasses.replace(snapshot.containers["lab-hub"], image_id="sha256:old", state="exited")
    held = dataclasses.replace(snapshot, containers={**snapshot.containers, "lab-hub": running})
    assert names(drawn, held) == []


def test_what_a_state_needs_stays(found: Settings) -> None:
    drawn = drawn_blueprint(found)
    snapshot = deployed(drawn, old("old", "lab/hub:0123456789ab", "lab/hub:state-1"))
    assert names(drawn, snapshot, State(1.0, "sha256:old", {})) == []


def test_an_image_of_others_that_is_built_on_ours_stays(found: Settings) -> None:
    drawn = drawn_blueprint(found)
    theirs = old("theirs", "registry/theirs:1", repository="lab/base-notebook")
    assert names(drawn, deployed(drawn, theirs)) == []


def test_children_go_before_their_parents_and_copies_last(found: Settings) -> None:
    drawn = drawn_blueprint(found)
    parent = old("parent", "lab/anaconda3:1", repository="lab/anaconda3")
    child = old("child", "lab/base-notebook:1", repository="lab/base-notebook")
    child = dataclasses.replace(child, created=child.created.replace(year=2027))
    gone = needless_images(deployed(drawn, parent, child), (), {spec.reference for spec in drawn.images})
    assert (
        str(pruning(gone, drawn.store, 2))
        == """\
  1. image lab/base-notebook:1 is removed - nothing runs it, or goes back to it
  2. image lab/anaconda3:1 is removed
  3. 2 old copies of the database in the volume lab-data are removed - newer ones are there"""
    )
