"""What each job found last, in a file that the clock writes and its health check reads."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from contract import time_of_day
from contract.documents import Job

# In the small file system that the container has for itself.
FILE = Path("/tmp/results.json")
# Seconds from the clock's start to the first run, when the others have come up, and from a bad end to the next run; of
# one that runs daily the last.
FIRST, AGAIN, AGAIN_DAILY = 30.0, 60.0, 3600.0
# Seconds that a run may be late. The clock looks every second.
LATE = 60.0


@dataclass(frozen=True)
class Result:
    """The last run of a job: when it ended, whether all was well, what it printed, and since when all is well, or is not.
    Times are seconds since 1970. Before the first run `well` is None, and the times are when the clock started."""

    at: float
    since: float
    well: bool | None = None
    words: str = ""

    def followed(self, at: float, *, well: bool, words: str) -> Result:
        """The result of the run after this one."""
        return Result(at, self.since if well == self.well else at, well, words)


def pause(job: Job, last: Result) -> float:
    """Seconds from the end of the last run to the next one."""
    # TIMEZONE is the container's TZ.
    every = float(job.every) if job.every is not None else time_of_day.after(job.at, last.at) - last.at
    if last.well is None:
        return min(FIRST, every)
    again = AGAIN if job.every is not None else AGAIN_DAILY
    return every if last.well else min(again, every)


def is_due(job: Job, last: Result, now: float) -> bool:
    """Also true where the host's time went back."""
    return not last.at <= now < last.at + pause(job, last)


def is_late(job: Job, last: Result, now: float) -> bool:
    """True where the clock should have run it long ago."""
    return now > last.at + pause(job, last) + job.within + LATE


def tell_that_somebody_asked(file: Path = FILE) -> None:
    """Somebody has asked for a job beside the clock: what was not well before may be now."""
    _asked(file).touch()


def take_that_somebody_asked(file: Path) -> bool:
    """Whether somebody has asked since the last call."""
    try:
        _asked(file).unlink()
    except FileNotFoundError:
        return False
    return True


def _asked(file: Path) -> Path:
    return file.with_suffix(".asked")


def write(results: Mapping[str, Result], file: Path = FILE) -> None:
    new = file.with_suffix(".new")
    new.write_text(json.dumps({name: asdict(one) for name, one in results.items()}))
    os.replace(new, file)


def read(file: Path = FILE) -> dict[str, Result]:
    """Raises OSError if the clock wrote none."""
    return {name: Result(**one) for name, one in json.loads(file.read_text()).items()}
