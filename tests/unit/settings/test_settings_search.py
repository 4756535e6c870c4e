"""Any input in `.env`, `.env.local`, the shell, `userlist` and `servers.yml` is refused with every wrong key and a fix, or gives
a deployment whose parts agree; never a traceback, and never a secret in a message.

What a search finds becomes a named example in test_settings.py, test_dotenv.py, test_userlist.py, test_kinds.py or
test_server_secrets.py.
"""

from __future__ import annotations

import secrets
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed
from hypothesis import settings as profile
from hypothesis import strategies as st

from hubdeploy.settings import kinds
from hubdeploy.settings.folders import Folder
from hubdeploy.settings.kinds import Kind
from tests import reports
from tests.search.fields import values
from tests.search.verdict import Verdict, judge, judge_spoilt
from tests.search.written import Written, written

TABLE = "search of the settings"
# Another slow search: pytest --hypothesis-seed=random, or =NUMBER to repeat the share that the table gives it for. Without
# it all see the same, as what a change is judged by must not be luck.
SEED_OPTION = "--hypothesis-seed"
SEED = 41
# The same examples each time, and no file of earlier ones.
NORMAL = profile(deadline=None, report_multiple_bugs=False, derandomize=True, database=None)
SLOW = profile(
    deadline=None, database=None, phases=[Phase.generate, Phase.shrink], suppress_health_check=list(HealthCheck)
)


@pytest.fixture(scope="module", autouse=True)
def _head(pytestconfig: pytest.Config) -> None:
    reports.add_row(pytestconfig, TABLE, ("profile", "seed", "examples", *(f"{one.value}" for one in Verdict)))


class Found(Counter[Verdict]):
    """How many inputs got each verdict; `of_kinds` are those with kinds of servers."""

    def __init__(self) -> None:
        super().__init__()
        self.of_kinds = Counter[Verdict]()

    @property
    def is_mixed(self) -> bool:
        """Whether many inputs were accepted and many refused, with kinds of servers too."""
        return min(self[one] for one in Verdict) > self.total() / 4 and all(
            self.of_kinds[one] > self.total() / 10 for one in Verdict
        )


def search(found: Found, wanted: profile, number: int | None) -> None:
    """Judges as many examples as the profile asks for, and counts their verdicts."""

    @wanted
    @given(written())
    def each(one: Written) -> None:
        verdict = judge(one)
        found[verdict] += 1
        found.of_kinds[verdict] += one.servers.content is not None

    (each if number is None else seed(number)(each))()


def report(config: pytest.Config, name: str, number: int | None, found: Found) -> None:
    shares = [
        f"{found[one]} ({found[one] / found.total():.0%}), {found.of_kinds[one]} of them with kinds" for one in Verdict
    ]
    reports.add_row(config, TABLE, (name, "always the same" if number is None else number, found.total(), *shares))


def test_every_input_is_refused_with_its_keys_or_agrees_everywhere(pytestconfig: pytest.Config) -> None:
    found = Found()
    search(found, profile(NORMAL, max_examples=500), None)
    report(pytestconfig, "normal", None, found)
    assert found.is_mixed


@pytest.mark.slow
@pytest.mark.parametrize("share", [0, 1], ids=["one half", "other half"])
def test_ten_thousand_inputs_are_refused_with_their_keys_or_agree_everywhere(
    share: int, pytestconfig: pytest.Config
) -> None:
    given_number = pytestconfig.getoption(SEED_OPTION) or SEED
    number = secrets.randbelow(2**32) if given_number == "random" else int(given_number) + share
    found = Found()
    try:
        search(found, profile(SLOW, max_examples=5_000), number)
    finally:
        report(pytestconfig, "slow", number, found)
    assert found.total() >= 5_000
    assert found.is_mixed


@profile(NORMAL, max_examples=200)
@given(
    written(), st.sampled_from([".env", ".env.local", "userlist", kinds.FILE]), st.floats(0, 1), st.binary(max_size=3)
)
def test_an_input_with_any_bytes_in_it_is_refused_with_a_fix_or_agrees_everywhere(
    one: Written, name: str, share: float, piece: bytes
) -> None:
    def spoil(content: bytes) -> bytes:
        at = int(share * len(content))
        return content[:at] + piece + content[at + len(piece) // 2 :]

    judge_spoilt(one, name, spoil)


@pytest.mark.parametrize(
    ("entry", "field"), [(entry, name) for entry in (Kind, Folder) for name in kinds.declarations(entry)]
)
def test_each_field_of_a_kind_and_of_a_folder_is_drawn(entry: type[Any], field: str) -> None:
    for legal in (True, False):
        assert not values(field, legal=legal, entry=entry).is_empty


def test_a_search_is_the_same_whatever_else_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def numbers() -> list[int]:
        drawn: list[int] = []

        @profile(NORMAL, max_examples=300, phases=[Phase.generate])
        @given(st.integers(0, 10**6))
        def each(one: int) -> None:
            drawn.append(one)

        each()
        return drawn

    before = numbers()
    (tmp_path / "edited.py").write_text(f"NUMBERS = {list(range(1000, 1500))}\n")
    monkeypatch.syspath_prepend(tmp_path)
    __import__("edited")
    try:
        assert numbers() == before
    finally:
        del sys.modules["edited"]
