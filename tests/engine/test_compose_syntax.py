"""`.env` is read as Docker Compose reads it: both read thousands of files of the search, whole and damaged."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import docker
import pytest
from hypothesis import Phase, given
from hypothesis import settings as profile
from hypothesis import strategies as st

from hubdeploy.settings import dotenv
from hubdeploy.settings.declarations import declarations
from tests import reports
from tests.search.compose import Compose, compose
from tests.search.written import HELD, written

pytestmark = pytest.mark.nested

SHELL = {HELD: "a b$c", "NB_USER": "from-the-shell"}
TABLE = "files that Docker Compose and we read"
_PIECES = (
    *"'\"$\\#= :{}-+?\n\r\t\x0b\x0c\xa0\x85", " #", "${", "$$", "${X:-", "}", "\\n", "\\'", '\\"', "\\0101", "export ", "A=",
    "\ufeff", f"${HELD}", f"${{{HELD}:+", f"${{{HELD}-", "\u2003", "ü", "\r\n", "#\n",
)  # fmt: skip


@pytest.fixture(scope="module")
def reference(client: docker.DockerClient) -> Iterator[Compose]:
    with compose(client, uuid.uuid4().hex[:10]) as running:
        yield running


@st.composite
def files(draw: st.DrawFn) -> list[str]:
    """The files of an input of the search, and each with some pieces put into it."""
    texts = [file.encoded.decode() for file in draw(written()).files.values() if file.is_text]
    damaged = []
    for text in texts:
        for _ in range(draw(st.integers(1, 4))):
            at = draw(st.integers(0, len(text)))
            text = text[:at] + draw(st.sampled_from(_PIECES)) + text[at + draw(st.integers(0, 1)) :]
        damaged.append(text)
    # A process gets no NUL in its environment, and Compose prints none from a file.
    return [text for text in (*texts, *damaged) if "\x00" not in text]


def examples(count: int) -> list[str]:
    found: dict[str, None] = {}

    @profile(max_examples=count, deadline=None, derandomize=True, database=None, phases=[Phase.generate])
    @given(files())
    def collect(texts: list[str]) -> None:
        found.update(dict.fromkeys(texts))

    collect()
    return list(found)


def test_what_we_read_is_what_compose_reads(reference: Compose, pytestconfig: pytest.Config) -> None:
    texts = examples(900)
    refused = 0
    differ: list[tuple[str, list[tuple[str, str | None, str | None]]]] = []
    for text, theirs in zip(texts, reference.read(texts, SHELL), strict=True):
        entries, problems = dotenv.parse(text, source=".env", environ=SHELL)
        refused += bool(problems)
        ours = {key: one.value for key, one in entries.items()}
        # A key that is no setting is refused by its name; Compose has some of its own, and cannot name some.
        keys = declarations().keys() - SHELL.keys()
        values = [(key, ours.get(key), theirs.get(key) if theirs is not None else "refused") for key in keys]
        if not problems and any(one != other for _, one, other in values):
            differ.append((text, [one for one in values if one[1] != one[2]]))
    reports.add_row(pytestconfig, TABLE, ("files", "we refuse", "we read"))
    reports.add_row(pytestconfig, TABLE, (len(texts), refused, len(texts) - refused))
    assert differ == [], "\n".join(f"{text!r}\n  key, ours, theirs: {values}" for text, values in differ)
    assert len(texts) - refused > len(texts) / 4
