"""The model notices each mistake: the product is broken in one place after the other, and the examples of the search's
normal profile find every one. The table at the end says how many examples each took.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import pytest
from hypothesis import Phase, given
from hypothesis import settings as profile

from hubdeploy.errors import InputError
from hubdeploy.settings import Settings
from tests import reports
from tests.agreement import facts
from tests.agreement.mutation import Mutation, made
from tests.agreement.mutations import MUTATIONS, ON_THE_WAY
from tests.agreement.places import render
from tests.search.verdict import loaded
from tests.search.written import Written, written

TABLE = "mutations of the product, and the examples until the model noticed"


@cache
def examples() -> list[tuple[int, Settings]]:
    """Number and settings of each input of one run of the normal profile that is accepted."""
    found: list[Settings | InputError] = []

    @profile(max_examples=500, deadline=None, derandomize=True, database=None, phases=[Phase.generate])
    @given(written())
    def collect(one: Written) -> None:
        found.append(loaded(one))

    collect()
    return [(number, one) for number, one in enumerate(found, start=1) if isinstance(one, Settings)]


@pytest.fixture(scope="module", autouse=True)
def _head(pytestconfig: pytest.Config) -> None:
    reports.add_row(pytestconfig, TABLE, ("mutation", "place", "examples"))


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.place)
def test_a_mutation_is_noticed_first_in_its_own_place(mutation: Mutation, pytestconfig: pytest.Config) -> None:
    with made(mutation):
        wrong = next(noticed(), None)
    assert wrong is not None, f"no example notices that {mutation.new} stands for {mutation.old}"
    number, places = wrong
    assert mutation.place in (places if mutation in ON_THE_WAY else places[:1])
    reports.add_row(pytestconfig, TABLE, (mutation, mutation.place, number))


def noticed() -> Iterator[tuple[int, list[str]]]:
    """Number of an example in which something is wrong, and the places, in the order in which facts flow."""
    for number, found in examples():
        places = [reading.kind for reading, _ in facts.wrong(found, render(found))]
        if places:
            yield number, places


def test_every_reading_of_the_model_has_a_mutation_that_breaks_it() -> None:
    read = {reading.kind for _, found in examples() for reading in facts.readings(found, {})}
    assert read == {mutation.place for mutation in MUTATIONS}
