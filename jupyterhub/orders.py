"""What the command line asks of the hub for a class: servers to be started at a time, servers to be stopped, words to users.

Orders lie in a file on the data volume. The program in this module puts them there for `./invoke class`, whether the hub runs or
not, and attendant.py carries them out. Whoever can write the file can use the engine.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from audit import Audit

FILE = "orders.sqlite"
START, STOP, TELL = "start", "stop", "tell"
SHOW, WITHDRAW = "show", "withdraw"
# Seconds for which an order is kept.
KEPT = 30 * 86400.0
# In the log of changes: who it was.
_WHO = "command line"
_LOCKED_WITHIN = 10
_TABLE = """
create table if not exists orders
    (number integer primary key autoincrement, what text, people text, at real, words text, outcome text);
"""


@dataclass(frozen=True)
class Order:
    """`people`: a group with its @, or a user. `at`: when it is due, in seconds since 1970. `words`: user -> what they read; a
    start has none, as the hub finds its users then. `outcome`: what came of it; None as long as it is open."""

    number: int
    what: str
    people: str
    at: float
    words: Mapping[str, str]
    outcome: Mapping[str, Any] | None


class Orders:
    """The file in the directory `data`, made at first use. Hub and program use it at the same time."""

    def __init__(self, data: Path, now: Callable[[], float] = time.time) -> None:
        self._path, self._now = data / FILE, now

    def add(self, what: str, people: str, at: float, words: Mapping[str, str] | None = None) -> int:
        """Its number. What is older than KEPT goes."""
        row = (what, people, at, json.dumps(dict(words or {})))
        with self._open() as file:
            file.execute("delete from orders where at < ?", (self._now() - KEPT,))
            made = file.execute("insert into orders (what, people, at, words) values (?, ?, ?, ?)", row)
        assert made.lastrowid is not None
        return made.lastrowid

    def withdraw(self, people: str) -> int:
        """How many starts for these people were open, which there are no longer."""
        with self._open() as file:
            gone = file.execute("delete from orders where what = ? and people = ? and outcome is null", (START, people))
        return gone.rowcount

    def due(self) -> list[Order]:
        """Open ones whose time has come, the oldest first."""
        return [one for one in self.all() if one.outcome is None and one.at <= self._now()]

    def all(self) -> list[Order]:
        """Every order that is kept, the oldest first."""
        if not self._path.exists():
            return []
        with self._open() as file:
            found = file.execute(
                "select number, what, people, at, words, outcome from orders order by number"
            ).fetchall()
        return [
            Order(number, what, people, at, json.loads(words), json.loads(outcome) if outcome else None)
            for number, what, people, at, words, outcome in found
        ]

    def close(self, number: int, outcome: Mapping[str, Any]) -> None:
        """What came of an order, which is open no longer."""
        with self._open() as file:
            file.execute("update orders set outcome = ? where number = ?", (json.dumps(outcome), number))

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, timeout=_LOCKED_WITHIN)) as file, file:
            file.executescript(_TABLE)
            yield file


def main(arguments: Sequence[str]) -> dict[str, Any]:
    """`arguments`: the data directory, what to do, the people, and for a start its time, for others JSON of `words`. The answer:
    the `number` of a new order, how many were `withdrawn`, or all `orders`."""
    folder, what, *rest = arguments
    orders, audit = Orders(Path(folder)), Audit(Path(folder))
    if what == SHOW:
        return {"orders": [asdict(one) for one in orders.all()]}
    people = rest[0]
    if what in (WITHDRAW, START):
        withdrawn = orders.withdraw(people)
        if what == WITHDRAW:
            audit.record(f"start of servers of {people} withdrawn", by=_WHO)
            return {"withdrawn": withdrawn}
        at = float(rest[1])
        when = f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"
        audit.record(f"start of servers of {people} ordered for {when}", by=_WHO)
        return {"number": orders.add(START, people, at)}
    words = json.loads(rest[1])
    event = "files collected" if what == TELL else "server stopped, as the class is over"
    for name in words:
        audit.record(event, user=name, by=_WHO)
    return {"number": orders.add(what, people, time.time(), words)}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:])))
