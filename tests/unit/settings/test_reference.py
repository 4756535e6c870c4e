"""The page of all settings, the committed `.env`, and what `config --explain` says, follow the declarations."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from hubdeploy.errors import DeployError
from hubdeploy.settings import dotenv, loading, readers, reference
from hubdeploy.settings.declarations import declarations, defaults

CHECKOUT = Path(__file__).resolve().parents[3]


def test_the_page_is_made_from_the_declarations() -> None:
    assert (CHECKOUT / "docs" / "settings.md").read_text() == reference.page(), (
        f"make it anew: {reference.PAGE_COMMAND}"
    )


def test_the_committed_env_is_made_from_the_declarations() -> None:
    assert (CHECKOUT / ".env").read_text() == reference.env(), f"make it anew: {reference.ENV_COMMAND}"


def test_the_committed_env_sets_nothing_but_what_derives_anyway(tmp_path: Path) -> None:
    (tmp_path / "userlist").write_text("ada\n")
    (tmp_path / ".env").write_text(reference.env())
    set_ = replace(loading.load(tmp_path, {}), users=(), origins={}, root=Path())
    assert set_ == defaults()


def test_a_line_of_the_committed_env_that_is_uncommented_changes_nothing(tmp_path: Path) -> None:
    """An example, where there is nothing to derive, apart."""
    (tmp_path / "userlist").write_text("ada\n")
    derives = {key for key, (field, _) in declarations().items() if getattr(defaults(), field) is not None}
    unmarked = re.sub(rf"^#({'|'.join(derives)})=", r"\1=", reference.env(), flags=re.MULTILINE)
    (tmp_path / ".env").write_text(unmarked)
    found = loading.load(tmp_path, {})
    assert {key for key in derives if found.is_set(key)} == derives
    assert replace(found, users=(), origins={}, root=Path()) == defaults()


@pytest.mark.parametrize("key", declarations())
def test_every_example_is_an_accepted_value(key: str) -> None:
    declaration = declarations()[key][1]
    entries, problems = dotenv.parse(f"{key}={declaration.example}", source="example", environ={})
    assert problems == []
    try:
        declaration.read(entries[key].value)
    except readers.Unfit as unfit:
        pytest.fail(f"{declaration.example} {unfit.found}")


@pytest.mark.parametrize("key", declarations())
def test_a_setting_is_explained(key: str) -> None:
    text = reference.explanation(key)
    declaration = declarations()[key][1]
    for fact in (key, declaration.meaning[1:], declaration.more, declaration.derivation, declaration.example):
        assert fact in text


def test_an_unknown_key_is_answered_with_the_nearest() -> None:
    with pytest.raises(DeployError, match="did you mean NB_USER"):
        reference.explanation("nb_usr")
