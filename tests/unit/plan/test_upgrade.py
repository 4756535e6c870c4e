"""What a plan does around a new hub image, as an operator reads it."""

from __future__ import annotations

import dataclasses
import json

from hubdeploy.contract import labels
from hubdeploy.plan import operations as op
from hubdeploy.plan.reconcile import reconcile
from hubdeploy.plan.steps import Plan
from hubdeploy.settings.declarations import Settings
from tests.unit.plan.test_plan import drawn_blueprint, server, up
from tests.unit.plan.test_plan import found as found  # the fixture

CANARY = "a canary's server answers, on the new images and that copy"


def position(plan: Plan, words: str) -> int:
    """The place of the step that is printed as `words`."""
    return next(at for at, step in enumerate(plan.steps) if str(step.operation) == words)


def test_a_new_hub_image_is_proved_before_anything_is_replaced(found: Settings) -> None:
    plan = reconcile(drawn_blueprint(found, version=b"2"), up(drawn_blueprint(found)))
    proved = position(plan, "image lab/hub:latest is proved on a copy of the database")
    assert plan.steps[proved].cause == "image lab/hub:latest is new"
    assert position(plan, "image lab/hub:latest is built") < proved
    containers = [at for at, step in enumerate(plan.steps) if str(step.operation).startswith("container ")]
    heard = position(plan, CANARY)
    assert plan.steps[heard].cause == "image lab/hub:latest is new"
    assert proved + 1 == heard
    assert heard < position(plan, "all that runs the image of lab-hub is on record") < min(containers)
    assert CANARY not in str(plan.without_canary)
    assert plan.without_canary.upgrades


def test_another_proxy_or_notebook_image_alone_needs_no_canary(found: Settings) -> None:
    before = drawn_blueprint(found)
    images = tuple(
        dataclasses.replace(one, content="2" * 64) if one.name in ("proxy", "base-notebook") else one
        for one in before.images
    )
    plan = reconcile(dataclasses.replace(before, images=images), up(before))
    assert position(plan, "image lab/proxy:latest is built") >= 0
    assert CANARY not in str(plan)


def test_a_server_on_another_network_stops_after_the_proof(found: Settings) -> None:
    before = drawn_blueprint(found)
    snapshot = dataclasses.replace(up(before), servers=(server(before, "alice"),))
    moved = dataclasses.replace(found, network_name="other")
    plan = reconcile(drawn_blueprint(moved, version=b"2"), snapshot)
    proved = position(plan, "image lab/hub:latest is proved on a copy of the database")
    assert proved < position(plan, "container lab-user-alice is stopped")


def test_an_image_that_is_there_already_is_proved_too(found: Settings) -> None:
    tagged = dataclasses.replace(found, image_tag="autumn")
    after = drawn_blueprint(tagged, version=b"2")
    snapshot = up(drawn_blueprint(found))
    other = up(after).images[after.store.image]
    other = dataclasses.replace(other, id="sha256:other")
    plan = reconcile(
        after, dataclasses.replace(snapshot, images={**snapshot.images, **dict.fromkeys(other.references, other)})
    )
    assert position(plan, "image lab/hub:autumn is proved on a copy of the database") >= 0


def proofs(plan: Plan) -> list[op.Operation]:
    return [step.operation for step in plan.steps if isinstance(step.operation, op.ImageProved)]


def test_other_settings_of_the_same_image_need_no_proof(found: Settings) -> None:
    before = up(drawn_blueprint(found))
    changed = reconcile(drawn_blueprint(dataclasses.replace(found, users=found.users[:1])), before)
    assert position(changed, "container lab-hub is stopped") >= 0
    assert not proofs(changed)


def test_a_first_hub_and_one_with_another_data_volume_need_no_proof(found: Settings) -> None:
    after = drawn_blueprint(found, version=b"2")
    before = up(drawn_blueprint(found))
    assert not proofs(reconcile(after, dataclasses.replace(before, containers={})))
    elsewhere = dataclasses.replace(found, data_volume="lab-elsewhere")
    assert not proofs(reconcile(drawn_blueprint(elsewhere, version=b"2"), before))


def test_what_a_new_hub_image_replaces_is_kept_while_the_hub_is_stopped(found: Settings) -> None:
    plan = reconcile(drawn_blueprint(found, version=b"2"), up(drawn_blueprint(found)))
    noted = position(plan, "all that runs the image of lab-hub is on record")
    kept = position(plan, "database and image of lab-hub are kept")
    assert noted < position(plan, "container lab-guard is removed"), "the guard has the same image"
    assert position(plan, "container lab-hub is stopped") + 1 == kept
    assert position(plan, "container lab-hub is removed") == kept + 1
    assert plan.upgrades
    assert not plan.loses


def test_a_hub_that_was_stopped_before_is_kept_as_well(found: Settings) -> None:
    before = up(drawn_blueprint(found))
    stopped = dataclasses.replace(before.containers["lab-hub"], state="exited")
    snapshot = dataclasses.replace(before, containers={**before.containers, "lab-hub": stopped})
    plan = reconcile(drawn_blueprint(found, version=b"2"), snapshot)
    assert position(plan, "database and image of lab-hub are kept") + 1 == position(
        plan, "container lab-hub is removed"
    )


def test_a_hub_whose_documents_lie_in_its_own_file_system_is_proved_and_not_kept(found: Settings) -> None:
    """As in version 1.0."""
    drawn, after = drawn_blueprint(found), drawn_blueprint(found, version=b"2")
    before = up(drawn)
    shape = json.dumps({"mounts": "lab-data at /srv/data, lab-proxy at /srv/proxy"})
    hub = before.containers["lab-hub"]
    hub = dataclasses.replace(hub, labels={**hub.labels, labels.SHAPE: shape})
    plan = reconcile(after, dataclasses.replace(before, containers={**before.containers, "lab-hub": hub}))
    assert proofs(plan)
    assert position(plan, CANARY) >= 0
    assert not plan.upgrades
