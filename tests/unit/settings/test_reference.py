"""The page of all settings, and what `config --explain` says, follow the declarations."""

from __future__ import annotations

from pathlib import Path

import pytest

from hubdeploy.errors import DeployError
from hubdeploy.settings import dotenv, readers, reference
from hubdeploy.settings.declarations import declarations

PAGE = Path(__file__).resolve().parents[3] / "docs" / "settings.md"


def test_the_page_is_made_from_the_declarations() -> None:
    assert PAGE.read_text() == reference.page(), f"make it anew: {reference.COMMAND}"


@pytest.mark.parametrize("key", declarations())
def test_every_example_is_a_value_that_is_taken(key: str) -> None:
    declaration = declarations()[key][1]
    entries, problems = dotenv.parse(f"{key}={declaration.example}", source="example", environ={})
    assert problems == []
    try:
        declaration.read(entries[key].value)
    except readers.Unfit as unfit:
        pytest.fail(f"{declaration.example} {unfit.found}")


@pytest.mark.parametrize("key", declarations())
def test_a_setting_is_explained(key: str) -> None:
    said = reference.explanation(key)
    declaration = declarations()[key][1]
    for fact in (key, declaration.meaning, declaration.derivation, declaration.example, declaration.since):
        assert fact in said


def test_an_unknown_key_is_answered_with_the_nearest() -> None:
    with pytest.raises(DeployError, match="did you mean NB_USER"):
        reference.explanation("nb_usr")
