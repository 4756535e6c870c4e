"""What tests leave to be read at the end of a run: tables, by title. Nothing here judges; a report never fails a test."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

_TABLES = pytest.StashKey[dict[str, list[tuple[str, ...]]]]()


def add_row(config: pytest.Config, title: str, cells: Iterable[object]) -> None:
    """One more row of the table `title`."""
    config.stash.setdefault(_TABLES, {}).setdefault(title, []).append(tuple(str(cell) for cell in cells))


def tables(config: pytest.Config) -> dict[str, str]:
    """Title -> the table as text, columns aligned, in the order in which they were begun."""
    return {title: _aligned(rows) for title, rows in config.stash.get(_TABLES, {}).items()}


def _aligned(rows: list[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)
