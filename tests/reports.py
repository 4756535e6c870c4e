"""What tests leave to be read: tables at the end of a run, by title, and sections of a failure's report.

Nothing here judges, and nothing that goes wrong while a report is made fails a test or ends the run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import pytest

Rows = list[tuple[str, ...]]
_TABLES = pytest.StashKey[dict[str, Rows]]()


def add_row(config: pytest.Config, title: str, cells: Iterable[object]) -> None:
    """One more row of the table `title`."""
    config.stash.setdefault(_TABLES, {}).setdefault(title, []).append(tuple(str(cell) for cell in cells))


def add_section(report: pytest.TestReport, title: str, show: Callable[[], str]) -> None:
    """One more section of a failure's report: what `show` returns, or why it could not."""
    try:
        text = show()
    except Exception as error:
        text = f"cannot be shown: {type(error).__name__}: {error}"
    report.sections.append((title, text))


def rows(config: pytest.Config) -> dict[str, Rows]:
    """Title -> the rows that this process left."""
    return config.stash.get(_TABLES, {})


def add_rows(config: pytest.Config, others: Mapping[str, Rows]) -> None:
    """The rows that another process left, but for a head that is there already."""
    for title, found in others.items():
        head = rows(config).get(title, [])[:1]
        for cells in found:
            if cells not in head:
                add_row(config, title, cells)


def tables(config: pytest.Config) -> dict[str, str]:
    """Title -> the table as text, columns aligned, in the order in which they were begun."""
    return {title: _aligned(found) for title, found in rows(config).items()}


def _aligned(found: Rows) -> str:
    widths = [max(map(len, column)) for column in zip(*found, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in found)
    return "\n".join(line.rstrip() for line in lines)
