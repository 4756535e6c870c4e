"""What the documents say, for tests that hold them to it: sections, blocks of code, and commands with what they print."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from textwrap import dedent

CHECKOUT = Path(__file__).resolve().parents[1]
DOCS = CHECKOUT / "docs"
# In what a command prints: a text that differs from run to run.
DIFFERS = "…"


@dataclass(frozen=True)
class Command:
    """A line of a shell, and the lines that it prints, of which others may stand in between."""

    line: str
    prints: tuple[str, ...]

    @property
    def words(self) -> list[str]:
        return shlex.split(self.line, comments=True)

    def missing_in(self, printed: str) -> str | None:
        """The first of its lines that is not printed, in this order; None if all are. A line may be broken anywhere."""
        rest = " ".join(printed.split())
        for line in self.prints:
            pieces = (r"\s+".join(map(re.escape, piece.split())) for piece in line.split(DIFFERS))
            found = re.search(".*?".join(pieces), rest)
            if found is None:
                return line
            rest = rest[found.end() :]
        return None


def section(path: Path, heading: str, rank: int = 2) -> str:
    """A document's text under a heading such as `## heading`, up to the next of that rank or above it."""
    sign = "#" * rank
    found = re.search(
        rf"^{sign} {re.escape(heading)}\n(.*?)(?=^#{{1,{rank}}} |\Z)", path.read_text(), re.MULTILINE | re.DOTALL
    )
    assert found, f"{path.relative_to(CHECKOUT)} has no section {heading}"
    return found[1]


def headings(text: str, rank: int) -> list[str]:
    return re.findall(rf"^{'#' * rank} (.*)$", text, re.MULTILINE)


def fenced(path: Path, language: str) -> str:
    """The one block of code in that language."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return str(found)


@dataclass(frozen=True)
class Block:
    """Code that is indented by four spaces, and the paragraph above it."""

    above: str
    text: str

    @property
    def lines(self) -> list[str]:
        return dedent(self.text).splitlines()


def blocks(text: str) -> Iterator[Block]:
    above = ""
    for is_code, paragraphs in groupby(text.split("\n\n"), key=lambda one: one.startswith("    ")):
        *_, above_next = found = list(paragraphs)
        if is_code:
            yield Block(above, "\n\n".join(found))
        above = above_next


def commands(text: str) -> Iterator[Command]:
    """Each command of the blocks that are indented by four spaces. What is indented further below it is what it prints; a
    backslash at the end continues a command."""
    line, prints = "", list[str]()
    for found in re.findall(r"^    (.*)$", text.replace("\\\n", " "), re.MULTILINE):
        if found.startswith(" "):
            prints.append(found.strip())
            continue
        if line:
            yield Command(line, tuple(prints))
        line, prints = found, []
    if line:
        yield Command(line, tuple(prints))
