"""The question how the jobs went. The engine asks it, and `status`."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping

from contract.documents import Job, Jobs, from_bytes

from clock import results
from clock.results import Result


def lines(jobs: Jobs, found: Mapping[str, Result]) -> Iterator[str]:
    """A line for each job: what it found, and when."""
    for job in timed(jobs):
        last = found[job.name]
        if last.well is None:
            yield f"{job.name}: not run yet"
        elif last.well:
            yield f"{job.name}: {last.words} ({_moment(last.at)})"
        else:
            yield f"{job.name}: FAILED since {_moment(last.since)}: {last.words} (tried last {_moment(last.at)})"


def timed(jobs: Jobs) -> list[Job]:
    """Those that the clock runs by itself."""
    return [job for job in jobs.jobs if job.every is not None or job.at]


def late(jobs: Jobs, found: Mapping[str, Result], now: float) -> list[Job]:
    return [job for job in timed(jobs) if results.is_late(job, found[job.name], now)]


def _moment(seconds: float) -> str:
    """In TIMEZONE, which the container has as TZ."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


if __name__ == "__main__":
    wanted = from_bytes(Jobs, os.environ["JOBS"].encode())
    try:
        now_found = results.read()
    except OSError as error:
        sys.exit(f"the clock has not begun: {error}")
    print("\n".join(lines(wanted, now_found)))
    if missed := late(wanted, now_found, time.time()):
        sys.exit(f"the clock does not run {', '.join(job.name for job in missed)}")
