"""Passes with which the simulated people of a rehearsal log in: a file on the data volume, and the program that writes it for
`./invoke class rehearse`. The file holds digests and never a pass, and is good for minutes.

Whoever can write it can use the engine. The hub makes no pass, removes the file when it starts, and takes each pass once. One
more pass lets nobody in: it ends the rehearsal.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import accounts
import database
import passwords
from audit import Audit
from contract import rehearsals

FILE = "rehearsal.json"
BEGIN, END, SHOW = "begin", "end", "show"
# In the log of changes: who it was.
_WHO = "command line"


class Passes:
    """The file at `path`. `now` is a clock in seconds since 1970."""

    def __init__(self, path: Path, now: Callable[[], float] = time.time) -> None:
        self._path, self._now = path, now
        # Digests of those that were used.
        self._spent: set[str] = set()

    @property
    def are_good(self) -> bool:
        """Whether there is a rehearsal at this moment."""
        return bool(self._names())

    def spend(self, token: str) -> str | None:
        """Whose pass it is; None for one that is not good, or was used before."""
        digest = rehearsals.digest(token)
        name = self._names().get(digest)
        if name is None or digest in self._spent:
            return None
        self._spent.add(digest)
        return name

    def ends(self, token: str) -> bool:
        """Whether it is the pass that ends the rehearsal, which is over then."""
        if self._read().get("end") != rehearsals.digest(token):
            return False
        end(self._path.parent, "rehearsal")
        return True

    def _names(self) -> dict[str, str]:
        """Digest -> name; empty where no rehearsal is."""
        names: dict[str, str] = self._read().get("names", {})
        return {digest: name for digest, name in names.items() if rehearsals.is_simulated(name)}

    def _read(self) -> dict[str, Any]:
        """The file, if it is there and still good."""
        try:
            found: dict[str, Any] = json.loads(self._path.read_bytes())
        except FileNotFoundError:
            return {}
        return found if self._now() < found["until"] else {}


def begin(folder: Path, seconds: float, end: str, digests: Sequence[str]) -> None:
    """The n-th person may log in with the pass of the n-th digest, for so long; `end` is the digest of the pass that ends it."""
    names = {digest: rehearsals.name(number) for number, digest in enumerate(digests, start=1)}
    new = (folder / FILE).with_suffix(".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump({"until": time.time() + seconds, "end": end, "names": names}, file)
    new.replace(folder / FILE)
    Audit(folder).record(f"rehearsal of {len(digests)} people begun", by=_WHO)


def end(folder: Path, by: str = _WHO) -> None:
    """No pass is good any more, and the hub removes who is there. `by`: who ends it, for the log."""
    if (folder / FILE).exists():
        (folder / FILE).unlink()
        Audit(folder).record("rehearsal ended", by=by)


def main(arguments: Sequence[str]) -> dict[str, object]:
    """`arguments`: the data directory, what to do, and for BEGIN what `begin` takes. The answer: `left`, the simulated
    people whom the hub knows, and `taken`, such names as an admin has added."""
    folder, what, *rest = arguments
    if what == BEGIN:
        seconds, last, *digests = rest
        begin(Path(folder), float(seconds), last, digests)
    elif what == END:
        end(Path(folder))
    known = passwords.accounts(Path(folder) / database.FILE)
    record = accounts.read_record(Path(folder) / accounts.RECORD, [], {})
    return {
        "left": sorted(filter(rehearsals.is_simulated, known)),
        "taken": sorted(filter(rehearsals.is_simulated, record.added | record.promoted)),
    }


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:])))
