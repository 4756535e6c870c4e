"""The rows of the matrix of real deployments cover what they promise. No engine is asked."""

from __future__ import annotations

from itertools import combinations, product

from hubdeploy.settings import declarations
from tests.hub.matrix import DIMENSIONS, ROWS

# Settings that operators change, so the matrix must try them.
_TRIED = {
    "NB_USER", "NB_UID", "DOCKER_NOTEBOOK_DIR", "DOCKER_MACHINE_NAME", "DOCKER_NETWORK_NAME", "DATA_VOLUME_CONTAINER",
    "HUB_PORT", "HUB_PATH", "GRANT_SUDO", "IMAGE_TAG", "DOCKER_NOTEBOOK_IMAGE", "GITHUB_CLIENT_ID", "SECRETS_VOLUME",
    "EXTRA_CA_BUNDLE",
}  # fmt: skip


def test_every_pair_of_values_is_deployed_in_some_row() -> None:
    """The product refuses none of these pairs, so there is no exception."""
    wanted = {
        ((one, value), (other, beside))
        for one, other in combinations(DIMENSIONS, 2)
        for value, beside in product(DIMENSIONS[one], DIMENSIONS[other])
    }
    deployed = {
        ((one, row.values[one]), (other, row.values[other]))
        for row in ROWS
        for one, other in combinations(DIMENSIONS, 2)
    }
    assert wanted - deployed == set()
    assert deployed - wanted == set()


def test_there_are_twelve_rows_and_no_two_alike() -> None:
    assert len(ROWS) >= 12
    assert len({tuple(row.values.items()) for row in ROWS}) == len({row.name for row in ROWS}) == len(ROWS)


def test_the_four_quick_rows_show_every_value_once() -> None:
    quick = [row for row in ROWS if row.quick]
    assert len(quick) == 4
    for dimension, values in DIMENSIONS.items():
        assert {row.values[dimension] for row in quick} == set(values)


def test_a_foreign_image_gets_our_user_with_sudo_and_without() -> None:
    foreign = [row for row in ROWS if row.values["image"] != "ours"]
    tried = {(row.values["user"], row.values["sudo"] != "none") for row in foreign}
    assert tried == set(product(DIMENSIONS["user"], (True, False)))


def test_the_dimensions_are_settings_and_all_that_must_be_tried() -> None:
    keys = {key for values in DIMENSIONS.values() for chosen in values.values() for key in chosen}
    assert keys <= declarations.declarations().keys()
    assert keys >= _TRIED


def test_the_longest_name_is_as_long_as_a_name_may_be() -> None:
    declared = declarations.declarations()["DOCKER_MACHINE_NAME"][1]
    longest = DIMENSIONS["name"]["longest"]["DOCKER_MACHINE_NAME"].format(token="01234567")
    assert declared.read(longest) == longest
    assert len(longest) == 40
