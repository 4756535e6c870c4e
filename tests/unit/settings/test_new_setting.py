"""A new setting costs one declaration and its use: the search writes it into its examples and the model finds out where
it shows, without a line of either being changed.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import Phase, find
from hypothesis import settings as profile
from hypothesis.errors import NoSuchExample

from hubdeploy.blueprint import documents
from hubdeploy.contract.documents import ServerKind
from hubdeploy.settings import declarations as declared
from hubdeploy.settings import readers
from hubdeploy.settings.declarations import Settings
from tests.agreement import facts
from tests.agreement.accepted import accepted

Use = Callable[[Any], Any]
GRACE = declared.setting("USER_GRACE", "seconds a server has to stop", readers.pids, default=90, example="120")
PLACES = (
    "container[filter].Env",
    "container[filter].Labels.hubdeploy.shape.environment",
    "container[filter].servers.kinds[0].environment.GRACE",
)
NOWHERE = "USER_GRACE: shows nowhere, so it does nothing"


def with_grace(kind: ServerKind, grace: Any) -> ServerKind:
    return dataclasses.replace(kind, environment={"GRACE": str(grace)})


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> Callable[[Use | None], None]:
    """added(use): adds a setting USER_GRACE, and puts what `use` makes of it into the hub's contract."""
    extended = dataclasses.make_dataclass("Settings", [("grace", int, GRACE)], bases=(Settings,), frozen=True)
    drawn = documents.server_kind

    def add(use: Use | None) -> None:
        for module in list(sys.modules.values()):
            if vars(module).get("Settings") is Settings and module.__name__ != __name__:
                monkeypatch.setattr(module, "Settings", extended)
        if use is not None:
            monkeypatch.setattr(
                documents, "server_kind", lambda found, *more: with_grace(drawn(found, *more), use(found))
            )

    return add


def search(wanted: Callable[[Settings], bool]) -> Settings:
    """An example of the search that fits; raises NoSuchExample if there is none among 200."""
    few = profile(max_examples=200, deadline=None, derandomize=True, database=None, phases=[Phase.generate])
    return find(accepted(), wanted, settings=few)


def test_the_search_sets_a_new_setting(added: Callable[[Use | None], None]) -> None:
    added(None)
    # The search may also write its default.
    assert search(lambda found: found.grace != 90).is_set("USER_GRACE")  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("use", "expected"),
    [
        (None, [NOWHERE]),
        (lambda found: 90, [NOWHERE]),
        (lambda found: found.pids_limit, [NOWHERE]),
        (lambda found: found.grace + 1, [f"USER_GRACE: {', '.join(PLACES)} change with it, but none says its value"]),
    ],
    ids=["no use", "a constant", "another setting", "another value"],
)
def test_a_new_setting_that_is_used_wrongly_is_noticed(
    added: Callable[[Use | None], None], use: Use | None, expected: list[str]
) -> None:
    added(use)
    assert facts.disagreements(search(lambda found: facts.disagreements(found) != [])) == expected


def test_a_new_setting_that_is_used_rightly_agrees_everywhere(added: Callable[[Use | None], None]) -> None:
    added(lambda found: found.grace)
    with pytest.raises(NoSuchExample):
        search(lambda found: facts.disagreements(found) != [])
