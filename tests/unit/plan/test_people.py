"""Who is known, and what each has here: from list, hub, servers and volumes."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime

from hubdeploy.contract import labels
from hubdeploy.contract.documents import User
from hubdeploy.plan import people
from hubdeploy.plan.access import Heard
from hubdeploy.plan.people import Person
from hubdeploy.plan.snapshot import ContainerState, EngineFacts, Snapshot, VolumeState
from hubdeploy.settings.declarations import Settings, defaults
from hubdeploy.settings.userlist import Line

WHEN = datetime(2026, 11, 28, tzinfo=UTC)
LINES = {"ann": Line(1), "octo-cat": Line(2)}
HEARD = Heard(added=frozenset({"zoe"}), accounts={"ann": WHEN, "zoe": None, "left": WHEN})


def settings() -> Settings:
    return defaults(name="lab", users=(User("ann"), User("octo-cat")))


def volume(name: str, deployment: str = "lab") -> VolumeState:
    return VolumeState(name, {labels.DEPLOYMENT: deployment, labels.UID: "1000"})


def server(user: str, state: str) -> ContainerState:
    carried = {labels.DEPLOYMENT: "lab", labels.USER: user}
    return ContainerState("id", f"lab-user-{user}", "", state, "", carried, {})


def known(heard: Heard = HEARD) -> dict[str, Person]:
    volumes = [volume(f"lab-{name}") for name in ("user-ann", "home-ann", "user-octo-2dcat", "user-gone", "user-A")]
    snapshot = Snapshot(
        EngineFacts("24.0", 2**33, None, True), {}, {},
        {one.name: one for one in (*volumes, VolumeState("lab-data", {}), volume("lab-user-of-others", "other"))},
        {}, (server("ann", "running"), server("left", "exited")), {},
    )  # fmt: skip
    assert people.without_a_user(settings(), snapshot) == ("lab-user-A",)
    return {one.name: one for one in people.everybody(settings(), snapshot, heard, LINES)}


def test_everybody_is_there_once_with_all_their_volumes() -> None:
    found = known()
    assert {name: one.volumes for name, one in found.items()} == {
        "ann": ("lab-home-ann", "lab-user-ann"), "gone": ("lab-user-gone",), "left": (),
        "octo-cat": ("lab-user-octo-2dcat",), "zoe": (),
    }  # fmt: skip
    assert {name for name, one in found.items() if one.is_running} == {"ann"}
    assert found["left"].last_active == WHEN


def test_what_is_missing_is_said_and_nothing_where_the_hub_was_not_asked() -> None:
    assert {name: one.missing for name, one in known().items()} == {
        "ann": "", "gone": "no account, and nobody lets them in", "left": "nobody lets them in",
        "octo-cat": "no account yet", "zoe": "",
    }  # fmt: skip
    unheard = known(dataclasses.replace(HEARD, accounts=None))
    assert {name: one.missing for name, one in unheard.items() if one.missing} == {
        "gone": "nobody lets them in", "left": "nobody lets them in"
    }  # fmt: skip


def test_simulated_people_of_a_rehearsal_are_nobody() -> None:
    heard = dataclasses.replace(HEARD, accounts={"ann": WHEN, "rehearsal001.": WHEN})
    assert "rehearsal001." not in known(heard)
