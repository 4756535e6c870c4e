"""What holds for any list of components."""

from __future__ import annotations

import dataclasses

import pytest

from hubdeploy import family
from hubdeploy.blueprint import contexts, draw, routing
from hubdeploy.blueprint.component import Component, Facts
from hubdeploy.blueprint.components import COMPONENTS
from hubdeploy.contract.documents import Secret, User
from hubdeploy.errors import DeployError
from hubdeploy.settings.declarations import defaults
from hubdeploy.settings.folders import Folder
from hubdeploy.tls.certificates import Pair

FACTS = Facts(
    engine_memory=2**33,
    base_id=None,
    contexts=dict.fromkeys(family.FAMILY, contexts.Context(())),
    pair=Pair(b"", Secret(b"")),
    new_password=Secret("p" * 64),
)


@pytest.mark.parametrize("component", [one for one in COMPONENTS if one.directory], ids=lambda one: one.role)
def test_a_component_whose_files_could_not_be_read_back_is_a_mistake(
    component: Component, monkeypatch: pytest.MonkeyPatch
) -> None:
    blind = dataclasses.replace(component, directory=None)
    monkeypatch.setattr(draw, "COMPONENTS", [blind if one is component else one for one in COMPONENTS])
    with pytest.raises(ValueError, match=f"component {component.role}: .* are not in its directory"):
        draw.draw(defaults(), FACTS)


def test_each_container_has_the_name_and_the_labels_by_which_it_is_found() -> None:
    found = defaults(name="lab")
    for spec in draw.draw(found, FACTS).containers:
        assert spec.name == draw.container_name(found, spec.role)
        found_by = {"hubdeploy.deployment": "lab", "hubdeploy.role": spec.role}
        assert spec.labels.items() >= found_by.items()


@pytest.mark.parametrize("email", [None, "admin@example.org"])
def test_an_order_of_another_name_is_taken_out_before_the_proxy_starts_anew(email: str | None) -> None:
    """With its storage of the new name it would order the old one once more."""
    path = f"{routing.DYNAMIC_DIRECTORY}/{routing.ORDER}"

    def order_after(held: bytes) -> bytes | None:
        facts = dataclasses.replace(FACTS, held={"proxy": {path: Secret(held)}})
        settings = defaults(hub_host="hub.example.org", hub_port=8443, acme_email=email)
        (spec,) = (one for one in draw.draw(settings, facts).containers if one.role == "proxy")
        return spec.live_files[path].content.reveal() if path in spec.live_files else None

    server = defaults().acme_server
    assert order_after(routing.order("old.example.org", server)) == b""
    if email:
        # Those are the clock's.
        assert order_after(routing.order("hub.example.org", server)) is None
        assert order_after(b"") is None


def test_names_that_have_no_room_in_the_filters_document_are_refused_before_anything_is_made() -> None:
    def drawn(members: int) -> None:
        users = tuple(User(f"student-{number:05}", groups=("physics",)) for number in range(members))
        draw.draw(defaults(users=users, folders=(Folder("physics", 1),)), FACTS)

    drawn(5000)
    with pytest.raises(DeployError, match="130000 bytes at most"):
        drawn(10_000)
