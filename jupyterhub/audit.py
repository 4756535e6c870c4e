"""The log of logins, and of who changed what about users: a file on the data volume, which `./invoke audit` prints.

It is bounded, and forgets after 90 days. It never holds a name that nobody put on record: people type passwords there.
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

log = logging.getLogger("audit")

FILE = "audit.sqlite"
KEPT = 90 * 86400.0
MOST = 100_000
# Seconds in which a failure that repeats is one entry: whoever guesses must not push everything else out.
SAME = 60.0
_TABLE = """
create table if not exists entry (id integer primary key, at real, event text, user text, by text, address text);
create index if not exists entry_at on entry (at);
"""


@dataclass(frozen=True)
class Entry:
    """`at` is seconds since 1970. `by`: who did it, if it was not the user. A text that is not known is empty."""

    at: float
    event: str
    user: str = ""
    by: str = ""
    address: str = ""


class Audit:
    """Writes to the log in the directory `data`; the file is made at the first entry."""

    def __init__(self, data: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = data / FILE
        self._clock = clock

    def record(self, event: str, *, user: str = "", by: str = "", address: str = "") -> None:
        """A log that cannot be written, on a full disk, stops nobody: the hub's own log says so."""
        self._write(Entry(self._clock(), event, user, by, address), once=False)

    def record_failure(self, event: str, *, user: str = "", address: str = "") -> None:
        """As `record`, and at most once a minute for the same user and address."""
        self._write(Entry(self._clock(), event, user, "", address), once=True)

    def _write(self, entry: Entry, *, once: bool) -> None:
        try:
            # SQLite would make it with the umask's rights.
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
            with closing(sqlite3.connect(self._path, timeout=5)) as file, file:
                file.executescript(_TABLE)
                if (
                    once
                    and file.execute(
                        "select 1 from entry where at > ? and event = ? and user = ? and address = ?",
                        (entry.at - SAME, entry.event, entry.user, entry.address),
                    ).fetchone()
                ):
                    return
                file.execute(
                    "insert into entry (at, event, user, by, address) values (:at, :event, :user, :by, :address)",
                    asdict(entry),
                )
                file.execute(
                    "delete from entry where at < ? or id <= (select max(id) from entry) - ?", (entry.at - KEPT, MOST)
                )
        except (sqlite3.Error, OSError) as error:
            log.error("%s of %s cannot be recorded: %s", entry.event, entry.user or "somebody", error)


def entries(data: Path, since: float = 0.0) -> Iterator[Entry]:
    """What happened since then, the oldest first; nothing is written."""
    if (data / FILE).exists():
        with closing(sqlite3.connect(f"file:{data / FILE}?mode=ro", uri=True, timeout=5)) as file:
            found = file.execute("select at, event, user, by, address from entry where at >= ? order by id", (since,))
            yield from (Entry(*row) for row in found)


def main(data: str, since: str) -> None:
    """Prints an entry a line, as JSON."""
    for entry in entries(Path(data), float(since)):
        print(json.dumps(asdict(entry)))


if __name__ == "__main__":
    main(*sys.argv[1:])
