"""Asks the filter for each job when its time has come. Standard library only."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from contract.documents import UNDER_WAY, Job, Jobs, from_bytes

from clock import results
from clock.asking import asked
from clock.question import timed
from clock.results import Result

_STEP = 1.0

log = logging.getLogger("clock")


class Clock:
    """Runs jobs, each of them once at a time. `run` returns whether all is well and what the job printed; it raises OSError
    if the filter does not answer."""

    def __init__(
        self,
        jobs: Sequence[Job],
        run: Callable[[Job], tuple[bool, str]],
        file: Path = results.FILE,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._run, self._file, self._now = run, file, now
        self._jobs = jobs
        self._results = {job.name: Result(now(), now()) for job in self._jobs}
        self._running: set[str] = set()
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(len(self._jobs), "job")
        results.write(self._results, file)

    def look(self) -> list[Future[None]]:
        """Begins every job whose time has come, and what is not well if somebody has asked for a job; these
        end later."""
        asked_beside = results.take_that_somebody_asked(self._file)
        with self._lock:
            due = [
                job for job in self._jobs
                if results.is_due(job, self._results[job.name], self._now())
                or (asked_beside and not self._results[job.name].well)
            ]  # fmt: skip
            begun = [job for job in due if job.name not in self._running]
            self._running |= {job.name for job in begun}
        return [self._pool.submit(self._do, job) for job in begun]

    def _do(self, job: Job) -> None:
        try:
            well, words = self._run(job)
        except OSError as error:
            well, words = False, f"the filter does not answer: {error}"
        with self._lock:
            before = self._results[job.name]
            self._results[job.name] = before.followed(self._now(), well=well, words=words)
            self._running.remove(job.name)
            results.write(self._results, self._file)
        if not well:
            log.error("%s: failed: %s", job.name, words)
        elif not before.well:
            log.info("%s: %s", job.name, words)


def run(job: Job) -> tuple[bool, str]:
    code, words = asked(job)
    return code in (0, UNDER_WAY), words


def main() -> None:
    clock = Clock(timed(from_bytes(Jobs, os.environ["JOBS"].encode())), run)
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: stopped.set())
    log.info("the clock runs")
    while not stopped.wait(_STEP):
        clock.look()
    # The filter ends a job that runs when nobody listens; threads that wait for it would not end before.
    os._exit(0)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="[%(levelname).1s %(asctime)s] %(message)s", stream=sys.stdout)
    main()
