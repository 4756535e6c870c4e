"""The way back to a state that is kept, as an operator reads it."""

from __future__ import annotations

import dataclasses
import re

import pytest

from hubdeploy.blueprint.specs import Blueprint
from hubdeploy.contract.states import Listed, State
from hubdeploy.plan import operations as op
from hubdeploy.plan.rollback import going_back, last_upgrade, watched
from hubdeploy.plan.snapshot import Snapshot
from hubdeploy.settings.declarations import Settings
from tests.unit.plan.test_plan import drawn_blueprint, image_state, server, up
from tests.unit.plan.test_plan import found as found  # the fixture

OLD = "sha256:old"
ROLES = ("clock", "filter", "guard", "hub")
KEPT = Listed(State(at=1000.0, image=OLD, containers={f"lab-{role}": "{}" for role in ROLES}), 4096)
NOTED = dataclasses.replace(KEPT, is_noted=True)


@pytest.fixture
def drawn(found: Settings) -> Blueprint:
    return drawn_blueprint(found)


@pytest.fixture
def upgraded(drawn: Blueprint) -> Snapshot:
    """After an upgrade: the old image is there under the names that its content and its state gave it."""
    snapshot = up(drawn)
    old = dataclasses.replace(image_state("old", {}, "lab/hub:0123456789ab", "lab/hub:state-1"), id=OLD)
    return dataclasses.replace(
        snapshot, images={**snapshot.images, **dict.fromkeys(old.references, old)}, own_images=(old,)
    )


def with_image(snapshot: Snapshot, image: str, *names: str) -> Snapshot:
    """The snapshot with these containers running an image."""
    made = {
        name: dataclasses.replace(snapshot.containers[name], image_id=image)
        for name in snapshot.containers
        if name in names
    }
    return dataclasses.replace(snapshot, containers={**snapshot.containers, **made})


def printed(plan: object) -> str:
    """A plan with every time of this machine as TIME."""
    return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "TIME", str(plan))


def test_the_way_back_stops_the_hub_first_and_says_what_is_lost(drawn: Blueprint, upgraded: Snapshot) -> None:
    before = dataclasses.replace(server(drawn, "alice"), created=900.0)
    since = dataclasses.replace(server(drawn, "kaben"), created=1100.0)
    snapshot = dataclasses.replace(upgraded, servers=(before, since))
    plan = going_back(KEPT, drawn.store, snapshot)
    assert (
        printed(plan)
        == """\
  1. container lab-user-kaben is stopped - the hub as of TIME does not know it
     users: running servers stop: kaben
  2. container lab-hub is stopped - the state 19700101-001640
     users: the hub restarts, sessions go on
  3. the database is as of TIME
     users: logins and tokens since TIME are lost, and passwords of accounts that were added since
  4. container lab-guard is stopped
  5. container lab-guard is removed
  6. container lab-guard is created as it was
  7. container lab-guard is started
  8. container lab-guard is healthy
  9. container lab-filter is stopped
 10. container lab-filter is removed
 11. container lab-filter is created as it was
 12. container lab-filter is started
 13. container lab-filter is healthy
 14. container lab-hub is removed
 15. container lab-hub is created as it was
 16. container lab-hub is started
 17. container lab-hub is healthy
 18. container lab-clock is stopped
 19. container lab-clock is removed
 20. container lab-clock is created as it was
 21. container lab-clock is started
 22. container lab-clock is healthy
 23. image lab/hub:latest is lab/hub:0123456789ab"""
    )
    assert plan.loses


def test_an_upgrade_that_failed_before_the_hub_stopped_needs_no_database(drawn: Blueprint, upgraded: Snapshot) -> None:
    snapshot = with_image(upgraded, OLD, "lab-filter", "lab-hub", "lab-clock")
    plan = going_back(NOTED, drawn.store, snapshot)
    assert not plan.loses
    assert [str(step.operation) for step in plan.steps] == [
        "container lab-guard is stopped",
        "container lab-guard is removed",
        "container lab-guard is created as it was",
        "container lab-guard is started",
        "container lab-guard is healthy",
        "image lab/hub:latest is lab/hub:0123456789ab",
    ]


def test_an_old_hub_that_was_stopped_is_started_again(drawn: Blueprint, upgraded: Snapshot) -> None:
    snapshot = with_image(upgraded, OLD, *KEPT.state.containers)
    stopped = dataclasses.replace(snapshot.containers["lab-hub"], state="exited")
    snapshot = dataclasses.replace(snapshot, containers={**snapshot.containers, "lab-hub": stopped})
    assert [str(step.operation) for step in going_back(NOTED, drawn.store, snapshot).steps] == [
        "container lab-hub is started",
        "container lab-hub is healthy",
        "image lab/hub:latest is lab/hub:0123456789ab",
    ]


def test_a_way_back_that_was_killed_after_the_hub_was_removed_goes_on(drawn: Blueprint, upgraded: Snapshot) -> None:
    snapshot = with_image(upgraded, OLD, "lab-guard", "lab-filter")
    left = {name: one for name, one in snapshot.containers.items() if name != "lab-hub"}
    plan = going_back(KEPT, drawn.store, dataclasses.replace(snapshot, containers=left))
    words = [str(step.operation) for step in plan.steps]
    assert words[1:4] == [
        "container lab-hub is created as it was",
        "container lab-hub is started",
        "container lab-hub is healthy",
    ]
    assert "container lab-guard is removed" not in words


def test_from_the_state_itself_nothing_is_done_unless_the_database_is_wanted(
    drawn: Blueprint, upgraded: Snapshot
) -> None:
    snapshot = with_image(upgraded, OLD, *KEPT.state.containers)
    old = snapshot.own_images[0]
    snapshot = dataclasses.replace(snapshot, images={**snapshot.images, drawn.store.image: old})
    assert going_back(KEPT, drawn.store, snapshot).steps == ()
    wanted = going_back(KEPT, drawn.store, snapshot, with_database=True)
    assert "container lab-hub is created as it was" in str(wanted)
    assert "container lab-guard" not in str(wanted)


def test_the_late_watch_goes_the_same_way(drawn: Blueprint, upgraded: Snapshot) -> None:
    without = {name: text for name, text in KEPT.state.containers.items() if name != "lab-clock"}
    kept = dataclasses.replace(KEPT, state=dataclasses.replace(KEPT.state, containers=without))
    found = watched(kept, drawn.store, upgraded, "lab-proxy", ("https",), 60)
    steps = [step.operation for step in going_back(kept, drawn.store, upgraded).steps]
    assert list(found.order) == [one.name for one in steps if isinstance(one, op.ContainerRecreated)]
    assert found.newcomers == ("lab-clock",)
    assert (found.image, found.state) == (upgraded.containers["lab-hub"].image_id, "19700101-001640")


def test_when_the_hub_was_upgraded_is_known_until_it_has_gone_back(drawn: Blueprint, upgraded: Snapshot) -> None:
    assert last_upgrade(drawn.store, up(drawn)) is None
    names = ("lab/hub:0123456789ab", "lab/hub:state-19700101-000000", "lab/hub:state-19700101-001640")
    old = dataclasses.replace(upgraded.own_images[0], references=names)
    snapshot = dataclasses.replace(upgraded, own_images=(old,))
    assert last_upgrade(drawn.store, snapshot) == KEPT.state.at
    assert last_upgrade(drawn.store, with_image(snapshot, OLD, "lab-hub")) is None


def test_a_component_that_came_with_the_new_image_goes(drawn: Blueprint, upgraded: Snapshot) -> None:
    without = {name: text for name, text in KEPT.state.containers.items() if name != "lab-clock"}
    kept = dataclasses.replace(KEPT, state=dataclasses.replace(KEPT.state, containers=without))
    words = [str(step.operation) for step in going_back(kept, drawn.store, upgraded).steps]
    assert words[2:4] == ["container lab-clock is stopped", "container lab-clock is removed"]
    assert "container lab-clock is created as it was" not in words
    assert "container lab-proxy is removed" not in words
