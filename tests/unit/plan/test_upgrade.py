"""What a plan does around a new hub image, as an operator reads it."""

from __future__ import annotations

import dataclasses
import json

from hubdeploy.blueprint.specs import Blueprint
from hubdeploy.contract import labels
from hubdeploy.plan import operations as op
from hubdeploy.plan.reconcile import reconcile
from hubdeploy.plan.steps import Plan
from hubdeploy.settings.declarations import Settings
from hubdeploy.settings.kinds import Kind
from tests.unit.plan.test_plan import drawn_blueprint, empty, image_state, server, up
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


def rebuilt(drawn: Blueprint, *names: str) -> Blueprint:
    """The same with other content of these images."""
    images = tuple(dataclasses.replace(one, content="2" * 64) if one.name in names else one for one in drawn.images)
    return dataclasses.replace(drawn, images=images)


def canaries(plan: Plan) -> list[str]:
    return [str(step.operation) for step in plan.steps if isinstance(step.operation, op.CanaryHeard)]


def test_another_proxy_image_alone_needs_no_canary(found: Settings) -> None:
    before = drawn_blueprint(found)
    plan = reconcile(rebuilt(before, "proxy"), up(before))
    assert position(plan, "image lab/proxy:latest is built") >= 0
    assert canaries(plan) == []


def test_a_new_image_of_servers_gets_its_name_when_a_canary_has_tried_it(found: Settings) -> None:
    before = drawn_blueprint(found)
    after = rebuilt(before, "base-notebook")
    there = up(before)
    assert (
        str(reconcile(after, there))
        == """\
  1. image lab/base-notebook:222222222222 is built - its labels changed
  2. a canary's server answers, on lab/base-notebook:latest - image lab/base-notebook:latest is new
  3. image lab/base-notebook:latest is lab/base-notebook:222222222222 - its content is new"""
    )
    # What a canary refused is built, and has no name that servers start with: it is tried again.
    built = image_state("refused", {labels.CONTENT: "2" * 64}, "lab/base-notebook:222222222222")
    refused = dataclasses.replace(there, images={**there.images, built.references[0]: built})
    again = reconcile(after, refused)
    assert (
        str(again)
        == """\
  1. a canary's server answers, on lab/base-notebook:latest - image lab/base-notebook:latest is new
  2. image lab/base-notebook:latest is lab/base-notebook:222222222222 - this content is built already"""
    )
    assert [str(step.operation) for step in again.without_canary.steps] == [str(again.steps[1].operation)]
    named = dataclasses.replace(refused, images={**refused.images, "lab/base-notebook:latest": built})
    assert str(reconcile(after, named)) == "nothing to do"


def with_kinds(found: Settings, **images: str) -> Settings:
    """Kinds of servers with these images, after one with the image of `.env`."""
    kinds = (Kind(name, 1, name.title(), image=image) for name, image in images.items())
    return dataclasses.replace(found, kinds=(Kind("plain", 1, "Plain"), *kinds))


def test_an_image_that_no_kind_had_is_tried_and_one_that_some_kind_had_is_not(found: Settings) -> None:
    tex = drawn_blueprint(with_kinds(found, tex="minimal-notebook"))
    on_tex = "a canary's server answers, on lab/minimal-notebook:latest"
    before = up(drawn_blueprint(found))
    assert canaries(reconcile(tex, before)) == [on_tex]
    # Somebody built it beforehand.
    assert canaries(reconcile(tex, dataclasses.replace(before, images=up(tex).images))) == [on_tex]
    assert canaries(reconcile(tex, up(tex))) == []
    other = drawn_blueprint(
        with_kinds(found, tex="minimal-notebook", again="minimal-notebook", plainer="base-notebook")
    )
    assert canaries(reconcile(other, up(tex))) == []
    both = drawn_blueprint(with_kinds(found, one="a/b:1", two="a/b:1", three="minimal-notebook"))
    (heard,) = [step for step in reconcile(both, before).steps if isinstance(step.operation, op.CanaryHeard)]
    assert heard.operation == op.CanaryHeard(
        both.store, {"one": "a/b:1", "three": "lab/minimal-notebook:latest"}, on_copy=False
    )
    assert heard.cause == "images a/b:1 and lab/minimal-notebook:latest are new"


def test_another_name_of_an_image_that_is_served_is_no_new_image(found: Settings) -> None:
    before = drawn_blueprint(found)
    tagged = dataclasses.replace(found, image_tag="autumn", notebook_image="lab/base-notebook:autumn")
    plan = reconcile(drawn_blueprint(tagged), up(before))
    assert "lab/base-notebook:autumn" in str(plan)
    assert canaries(plan) == []


def test_before_there_is_a_hub_only_an_image_of_others_is_tried(found: Settings) -> None:
    assert canaries(reconcile(drawn_blueprint(found), empty())) == []
    other = drawn_blueprint(with_kinds(found, other="a/b:1", tex="minimal-notebook"))
    plan = reconcile(other, empty())
    assert canaries(plan) == ["a canary's server answers, on a/b:1"]
    assert position(plan, canaries(plan)[0]) < position(plan, "container lab-proxy is created")


def test_with_a_new_hub_each_image_of_servers_is_tried_once(found: Settings) -> None:
    settings = with_kinds(found, tex="minimal-notebook", again="minimal-notebook")
    after = drawn_blueprint(settings, version=b"2")
    plan = reconcile(after, up(drawn_blueprint(settings)))
    (heard,) = [step.operation for step in plan.steps if isinstance(step.operation, op.CanaryHeard)]
    assert heard.kinds == {"plain": "lab/base-notebook:latest", "tex": "lab/minimal-notebook:latest"}
    content = next(one.content_reference for one in after.images if one.name == "minimal-notebook")
    named = position(plan, f"image lab/minimal-notebook:latest is {content}")
    assert position(plan, f"image {content} is built") < position(plan, CANARY) < named
    assert named < position(plan, "container lab-guard is stopped")


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
