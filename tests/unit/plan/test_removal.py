"""What is removed of a drill that was cut short, and what has its name and is none."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime

from hubdeploy.blueprint import throwaway
from hubdeploy.contract import labels
from hubdeploy.plan.removal import removal, thrown_away, together, with_names_of_images
from hubdeploy.plan.snapshot import ContainerState, EngineFacts, ImageState, NetworkState, Snapshot, VolumeState

DRILL = throwaway.name("lab", throwaway.DRILL)


def volume(name: str, deployment: str, role: str = "") -> VolumeState:
    return VolumeState(name, {labels.DEPLOYMENT: deployment, labels.ROLE: role})


def holding(*found: VolumeState | ContainerState) -> Snapshot:
    volumes = {one.name: one for one in found if isinstance(one, VolumeState)}
    containers = {one.name: one for one in found if isinstance(one, ContainerState)}
    networks = dict[str, NetworkState]()
    return Snapshot(EngineFacts("24.0", 2**33, None, True), {}, networks, volumes, containers, (), {})


def helper(deployment: str) -> ContainerState:
    carried = {labels.DEPLOYMENT: deployment, labels.ROLE: labels.JOB}
    return ContainerState("1", f"{deployment}-job-backup", "sha256:1", "exited", "Exited", carried, {})


def test_all_that_a_drill_left_goes() -> None:
    there = holding(volume("a", DRILL), volume("z", DRILL), volume("data", "lab"))
    assert [str(step.operation) for step in thrown_away(there, DRILL).steps] == [
        f"volume {name} is removed, with all that is in it" for name in ("a", "z")
    ]


def test_the_names_that_a_canary_gave_the_images_go_and_no_other() -> None:
    canary, at = throwaway.name("lab", throwaway.CANARY), datetime(2026, 1, 1, tzinfo=UTC)
    names = ("acme/lab/hub:latest", f"acme/lab/hub:{canary}", "acme/lab/hub:0123456789ab", f"mine/hub:{canary}")
    image = ImageState("sha256:1", {labels.REPOSITORY: "acme/lab/hub"}, at, 1, names)
    strange = ImageState("sha256:2", {}, at, 1, (f"other/hub:{canary}",))
    images = {name: one for one in (image, strange) for name in one.references}
    there = dataclasses.replace(holding(volume("a", canary)), images=images)
    plan = with_names_of_images(thrown_away(there, canary), there, canary)
    assert [str(step.operation) for step in plan.steps] == [
        "volume a is removed, with all that is in it", f"image acme/lab/hub:{canary} is removed",
    ]  # fmt: skip


def test_a_helper_goes_before_the_volumes_of_the_drill_that_it_holds() -> None:
    drills = thrown_away(holding(volume(DRILL, DRILL)), DRILL)
    plan = together(drills, removal(holding(helper("lab")), "lab", volumes=False))
    assert [str(step.operation) for step in plan.steps] == [
        "container lab-job-backup is removed", f"volume {DRILL} is removed, with all that is in it",
    ]  # fmt: skip
