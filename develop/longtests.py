"""Runs long groups one after the other, keeps a record of each green one, and says in the end which were left out.

A failed group does not keep the next from running. Which are due, and in which order, is decided before.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime

from develop import records, turns
from develop.parts import Ended, Parts
from develop.records import Record
from develop.turns import Standing

MARKS = "nested or slow"


def run(parts: Parts, standings: Sequence[Standing], due: Sequence[Standing], limit: float | None) -> None:
    """The groups that are `due`, in their order, as long as they fit into `limit` seconds of the whole run (None: no limit).
    Raises DeployError if one fails."""
    waiting, begun = list(due), False
    while one := turns.next_that_fits(waiting, None if limit is None else limit - parts.seconds, begun):
        waiting.remove(one)
        begun = True
        ended = parts.pytest(one.group.name, ["-m", MARKS, *one.group.tests])
        if ended.seconds > one.group.minutes * 60:
            parts.notes.append(f"{ended.name} took longer than the {one.group.minutes} minutes of its row")
        if ended.succeeded:
            _remember(parts, one, ended)
    ran = {one.name for one in parts.ended}
    parts.notes += [f"left out: {one.group.name}, {one.when()}" for one in standings if one.group.name not in ran]
    parts.demand_success()


def _remember(parts: Parts, one: Standing, ended: Ended) -> None:
    # CI's machine is nobody's: what it writes is never committed.
    if os.environ.get("CI"):
        return
    if ended.others:
        parts.notes.append(f"{ended.name} keeps no record: skipped {', '.join(ended.others)}")
        return
    if records.digest(parts.root, one.group) != one.digest:
        parts.notes.append(f"{ended.name} keeps no record: its inputs changed while it ran")
        return
    date = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    path = records.write(parts.root, one.group, Record(one.digest, ended.passed, date, round(ended.seconds)))
    parts.notes.append(f"{ended.name} is green, to be committed: {path.relative_to(parts.root)}")
