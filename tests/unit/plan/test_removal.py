"""What is removed of a drill that was cut short, and what has its name and is none."""

from __future__ import annotations

from hubdeploy.blueprint import throwaway
from hubdeploy.contract import labels
from hubdeploy.plan.removal import removal, thrown_away, together
from hubdeploy.plan.snapshot import ContainerState, EngineFacts, NetworkState, Snapshot, VolumeState

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


def test_a_helper_goes_before_the_volumes_of_the_drill_that_it_holds() -> None:
    drills = thrown_away(holding(volume(DRILL, DRILL)), DRILL)
    plan = together(drills, removal(holding(helper("lab")), "lab", volumes=False))
    assert [str(step.operation) for step in plan.steps] == [
        "container lab-job-backup is removed", f"volume {DRILL} is removed, with all that is in it",
    ]  # fmt: skip
