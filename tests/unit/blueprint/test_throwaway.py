"""A throw-away deployment is nobody else's, and reaches nothing."""

from __future__ import annotations

import dataclasses

import pytest

from hubdeploy.blueprint import draw, throwaway
from hubdeploy.blueprint.specs import ContainerSpec, NetworkSpec, VolumeSpec
from hubdeploy.contract.documents import Secret, User
from hubdeploy.contract.servers import may_name
from hubdeploy.settings import readers
from hubdeploy.settings.declarations import Settings, defaults
from hubdeploy.settings.kinds import Kind
from tests.unit.blueprint.test_draw import FACTS

NAME = "lab"


@pytest.fixture
def real() -> Settings:
    return defaults(name=NAME, authenticator="github", github_client_id="id", users=(User("ada", True),), http_port=80)


@pytest.fixture
def thrown_away(real: Settings) -> Settings:
    return throwaway.settings_of(real, throwaway.CANARY, "canary")


def test_no_deployment_can_have_its_name(thrown_away: Settings) -> None:
    assert readers.deployment_name(NAME) == NAME
    with pytest.raises(readers.Unfit):
        readers.deployment_name(thrown_away.name)


def test_all_that_it_makes_has_its_own_name_and_label(real: Settings, thrown_away: Settings) -> None:
    drawn = draw.draw(thrown_away, FACTS)
    made: list[ContainerSpec | NetworkSpec | VolumeSpec] = [*drawn.containers, *drawn.networks, *drawn.volumes]
    for spec in made:
        assert spec.name.startswith(f"{thrown_away.name}-")
        assert spec.labels["hubdeploy.deployment"] == thrown_away.name
    assert draw.names(real) & draw.names(thrown_away) == set()
    mounted = {mount.source for spec in drawn.containers for mount in spec.mounts if mount.kind == "volume"}
    assert mounted <= {spec.name for spec in drawn.volumes}
    for template in real.volume_templates:
        assert not [spec.name for spec in drawn.volumes if may_name(template, spec.name)]


def test_a_drill_runs_the_real_images_and_a_canary_the_same_under_names_that_nobody_else_starts(real: Settings) -> None:
    kinds = tuple(
        Kind(name, 1, name, image=f"lab/{name}:latest", users=("ada",))
        for name in ("base-notebook", "minimal-notebook")
    )
    real = dataclasses.replace(
        real, kinds=(*kinds, Kind("a", 1, "A", image="a/b:1", groups=("staff",)), Kind("default", 1, "B"))
    )
    drill, canary = (throwaway.settings_of(real, kind, "ada") for kind in throwaway.KINDS)
    drawn, of_drill, of_canary = (draw.draw(one, FACTS) for one in (real, drill, canary))
    assert [one.image for one in of_drill.containers] == [one.image for one in drawn.containers]
    assert of_drill.contract.kinds[0].image == drawn.contract.kinds[0].image
    assert {one.image.rpartition(":")[2] for one in of_canary.containers} == {"lab_canary"}
    assert [one.content_reference for one in of_canary.images] == [one.content_reference for one in drawn.images]
    assert [one.image for one in of_canary.contract.kinds] == [
        "lab/base-notebook:lab_canary", "lab/minimal-notebook:lab_canary", "a/b:1", "lab/base-notebook:lab_canary"
    ]  # fmt: skip
    assert [one.ours for one in of_canary.contract.kinds] == [one.ours for one in drawn.contract.kinds]
    assert [one.users for one in of_drill.contract.kinds] == [one.users for one in drawn.contract.kinds]
    assert {one.users for one in of_canary.contract.kinds} == {None}
    assert all(one.is_for_everybody for one in canary.kinds)
    assert {one.memory_guarantee for one in (*of_canary.contract.kinds, *of_drill.contract.kinds)} == {None}


@pytest.mark.parametrize("kind", throwaway.KINDS)
def test_it_takes_nobody_a_card(real: Settings, kind: str) -> None:
    real = dataclasses.replace(real, cards=("0",), kinds=(Kind("a", 1, "A", gpus=1),))
    contract = draw.draw(throwaway.settings_of(real, kind, "ada"), FACTS).contract
    assert ([one.gpus for one in contract.kinds], contract.cards) == ([0], ())


@pytest.mark.parametrize("kind", throwaway.KINDS)
def test_it_has_no_secret_of_users_servers(real: Settings, kind: str) -> None:
    kinds = (Kind("a", 1, "A", secrets=("LICENCE",)),)
    real = dataclasses.replace(real, kinds=kinds, server_secrets={"LICENCE": Secret("of the lab")})
    drawn = draw.draw(throwaway.settings_of(real, kind, "ada"), FACTS)
    assert drawn.contract.kinds[0].secrets == ()
    assert drawn.server_secrets.kinds == {}


def test_its_login_is_its_own_and_lets_in_its_user_alone(real: Settings, thrown_away: Settings) -> None:
    contract = draw.draw(thrown_away, FACTS).contract
    assert (contract.login.name, contract.users) == ("shared-password", (User("canary"),))
    assert not contract.login.has_groups
    assert isinstance(thrown_away.user_password, Secret)
    assert thrown_away.user_password != throwaway.settings_of(real, throwaway.CANARY, "canary").user_password


def test_it_has_no_way_out_and_no_port_that_others_reach(thrown_away: Settings) -> None:
    drawn = throwaway.cut_off(draw.draw(thrown_away, FACTS))
    assert all(network.internal for network in drawn.networks)
    assert not any(spec.published for spec in drawn.containers)
