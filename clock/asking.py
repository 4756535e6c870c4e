"""Asks the filter for a job now, and prints what it found: `python3 -m clock.asking JOB`. The exit code is the job's. The clock
then looks at what was not well before, or was not looked at yet."""

from __future__ import annotations

import os
import sys

from contract.documents import UNDER_WAY, Job, Jobs, from_bytes

from clock import results
from filter import question


def asked(job: Job) -> tuple[int, str]:
    """The job's exit code, and what it printed last. Raises OSError if the filter does not answer."""
    # The filter removes what it made for a job within a second or two of its end.
    answer = question.ask(question.JOBS_SOCKET, "POST", f"/jobs/{job.name}", job.within + 30)
    return answer["code"], answer["words"]


if __name__ == "__main__":
    known = {job.name: job for job in from_bytes(Jobs, os.environ["JOBS"].encode()).jobs}
    try:
        code, words = asked(known[sys.argv[1]])
    except OSError as error:
        code, words = 1, f"the filter does not answer: {error}"
    if code != UNDER_WAY:
        results.tell_that_somebody_asked()
    print(words)
    sys.exit(code)
