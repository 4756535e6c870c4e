"""What stands against forgetting a user: one thing at a time, with what to do first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from hubdeploy.blueprint import documents
from hubdeploy.commands import forget
from hubdeploy.contract import labels
from hubdeploy.contract.documents import Secret, User, to_bytes
from hubdeploy.plan.access import ADDED, PROMOTED
from hubdeploy.plan.people import Person
from hubdeploy.plan.snapshot import ContainerState, EngineFacts, Snapshot
from tests.unit.hub import hub_image

NOBODY = Person("ada", (), False, None, (), ())
HELD = {"account": True, "by_admin": False}


def container(name: str, role: str, files: dict[str, Secret[bytes]] | None = None) -> ContainerState:
    return ContainerState(name, name, "", "running", "Up", {labels.ROLE: role, labels.USER: "ada"}, {}, files)


def snapshot(*listed: str) -> Snapshot:
    """Of a hub that has a list of these users."""
    contract = hub_image.contract(users=tuple(User(name) for name in ("kaben", *listed)))
    files = {documents.CONTRACT_PATH: Secret(to_bytes(contract))}
    engine = EngineFacts("24.0", 2**33, None, True)
    return Snapshot(engine, {}, {}, {}, {"lab-hub": container("lab-hub", "hub", files)}, (), {})


def fixes(person: Person, held: Snapshot, others: Sequence[str] = ()) -> list[str]:
    known = HELD if not others else {"account": False, "by_admin": False}
    return [one.fix for one in forget._obstacles(forget._Leaver(person, known, (), tuple(others)), held)]


def test_who_is_let_in_by_nothing_that_stays_is_forgotten() -> None:
    assert fixes(NOBODY, snapshot()) == []
    assert fixes(replace(NOBODY, enter=(ADDED, PROMOTED)), snapshot()) == []


@pytest.mark.parametrize(
    ("reason", "first"),
    [
        ("userlist:7", "take the line of ada out of userlist, run ./invoke up"),
        ("group staff (ALLOWED_GROUPS)", "take ada out of the group where the login gets it from"),
    ],
)
def test_what_would_bring_them_back_goes_first(reason: str, first: str) -> None:
    assert fixes(replace(NOBODY, enter=(reason, ADDED)), snapshot("ada"))[0].startswith(first)


def test_the_hub_must_have_heard_of_the_list() -> None:
    assert fixes(NOBODY, snapshot("ada")) == ["run ./invoke up, then this again"]


def test_a_running_server_is_stopped_by_somebody_who_knows_what_it_does() -> None:
    found = fixes(replace(NOBODY, servers=(container("lab-user-ada", labels.SERVER),)), snapshot())
    assert found == ["stop it in the admin page, or by docker stop lab-user-ada, then run this again"]


def test_volumes_that_were_here_before_are_never_removed() -> None:
    assert fixes(NOBODY, snapshot(), ["jupyterhub-user-ada"]) == ["remove them by docker volume rm, if that is meant"]
