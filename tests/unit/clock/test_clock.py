"""When the clock runs a job, what it keeps of it, and what `status` reads. The jobs themselves are tried on the real engine."""

from __future__ import annotations

import importlib
import threading
from concurrent.futures import wait
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from hubdeploy.contract.disk import Disk
from hubdeploy.contract.documents import Job, Jobs
from tests import hub_modules

with hub_modules.importable():
    process = importlib.import_module("clock.__main__")
    free_disk, question, results = (
        importlib.import_module(f"clock.{name}") for name in ("free_disk", "question", "results")
    )
Result = results.Result

JOB = Job("page", "lab/hub:latest", ("true",), every=300, within=30)
JOBS = Jobs({}, (JOB,))


class Time:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("last", "seconds"),
    [(Result(0, 0), 30), (Result(0, 0, True), 300), (Result(0, 0, False), 60)],
    ids=["after the start", "after a good end", "after a bad end"],
)
def test_a_job_is_due_after_its_pause_and_late_long_after(last: object, seconds: float) -> None:
    assert not results.is_due(JOB, last, seconds - 1)
    assert results.is_due(JOB, last, seconds)
    assert not results.is_late(JOB, last, seconds + JOB.within + results.LATE)
    assert results.is_late(JOB, last, seconds + JOB.within + results.LATE + 1)


def test_a_job_is_due_where_the_hosts_time_went_back() -> None:
    assert results.is_due(JOB, Result(1000, 0, True), 999)


def test_a_job_with_short_pauses_has_them_after_a_bad_end_too() -> None:
    assert results.is_due(Job("page", "", (), every=10, within=5), Result(0, 0, False), 10)


def _at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize(
    ("last", "due"),
    [
        (Result(_at("2026-11-28T01:00"), 0), "2026-11-28T01:00:30"),
        (Result(_at("2026-11-28T01:00"), 0, True), "2026-11-28T03:00"),
        (Result(_at("2026-11-28T03:00:20"), 0, True), "2026-11-29T03:00"),
        (Result(_at("2026-11-28T03:00:20"), 0, False), "2026-11-28T04:00:20"),
        (Result(_at("2026-11-28T02:50"), 0, False), "2026-11-28T03:00"),
        (Result(_at("2026-12-31T03:05"), 0, True), "2027-01-01T03:00"),
    ],
    ids=["after the start", "today", "tomorrow", "after a bad end", "whichever comes first", "next year"],
)
def test_a_daily_job_is_due_at_its_time_of_day(last: object, due: str) -> None:
    daily = Job("backup", "", (), every=None, within=3600, at="03:00")
    assert not results.is_due(daily, last, _at(due) - 1)
    assert results.is_due(daily, last, _at(due))


def test_it_is_told_since_when_all_is_well_or_is_not(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file, now, ends = (
        tmp_path / "results.json",
        Time(),
        [(True, "comes"), (False, "gone"), (False, "gone"), (True, "comes")],
    )
    ran: list[threading.Event] = []

    def run(job: Job) -> tuple[bool, str]:
        ran.append(threading.Event())
        return ends[len(ran) - 1]

    clock = process.Clock((JOB,), run, file, now)
    assert results.read(file) == {"page": Result(now.now, now.now)}
    caplog.set_level("INFO")
    seen = []
    for _ in range(600):
        now.now += 1
        before = results.read(file)
        wait(clock.look())
        if results.read(file) != before:
            seen.append(results.read(file)["page"])
    start = 1_000_000.0
    assert seen == [
        Result(start + 30, start + 30, True, "comes"),
        Result(start + 330, start + 330, False, "gone"),
        Result(start + 390, start + 330, False, "gone"),
        Result(start + 450, start + 450, True, "comes"),
    ]
    # A log of a year tells when something changed, and every failure.
    assert caplog.messages == ["page: comes", "page: failed: gone", "page: failed: gone", "page: comes"]


def test_a_job_runs_once_at_a_time_and_keeps_no_other_waiting(tmp_path: Path) -> None:
    now, going, ran = Time(), threading.Event(), []
    other = Job("other", "", (), every=300, within=30)

    def run(job: Job) -> tuple[bool, str]:
        ran.append(job.name)
        if job is JOB:
            going.wait(10)
        return True, ""

    clock = process.Clock((JOB, other), run, tmp_path / "results.json", now)
    now.now += 400
    first, second = clock.look()
    for _ in range(2):
        second.result(10)
        now.now += 400
        (second,) = clock.look()
    second.result(10)
    assert not first.done()
    going.set()
    first.result(10)
    assert sorted(ran) == ["other", "other", "other", "page"]


def test_what_is_not_well_runs_at_once_after_somebody_asked_for_a_job(tmp_path: Path) -> None:
    """They may have repaired it, and then look at `status`."""
    now, ran, file = Time(), [], tmp_path / "results.json"
    good = Job("other", "", (), every=300, within=30)

    def run(job: Job) -> tuple[bool, str]:
        ran.append(job.name)
        return job is good, ""

    clock = process.Clock((JOB, good), run, file, now)
    wait(clock.look())
    assert ran == []
    results.tell_that_somebody_asked(file)
    wait(clock.look())
    assert sorted(ran) == ["other", "page"]
    now.now += 1
    wait(clock.look())
    assert sorted(ran) == ["other", "page"]
    results.tell_that_somebody_asked(file)
    for _ in range(2):
        wait(clock.look())
    assert sorted(ran) == ["other", "page", "page"]


def test_a_filter_that_is_away_is_the_result(tmp_path: Path) -> None:
    def run(job: Job) -> tuple[bool, str]:
        raise ConnectionRefusedError("no filter")

    now = Time()
    clock = process.Clock((JOB,), run, tmp_path / "results.json", now)
    now.now += 30
    wait(clock.look())
    (found,) = results.read(tmp_path / "results.json").values()
    assert (found.well, found.words) == (False, "the filter does not answer: no filter")


def test_status_reads_what_each_job_found_and_when(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Etc/UTC")
    assert list(question.lines(JOBS, {"page": Result(0, 0)})) == ["page: not run yet"]
    assert list(question.lines(JOBS, {"page": Result(3600, 0, True, "comes")})) == ["page: comes (1970-01-01 01:00)"]
    (line,) = question.lines(JOBS, {"page": Result(3600, 60, False, "nobody answers")})
    assert line == "page: FAILED since 1970-01-01 00:01: nobody answers (tried last 1970-01-01 01:00)"


def test_a_clock_that_does_not_run_its_jobs_is_not_well() -> None:
    assert question.late(JOBS, {"page": Result(0, 0, True)}, 390) == []
    assert question.late(JOBS, {"page": Result(0, 0, True)}, 391) == [JOB]


def test_a_disk_with_a_twentieth_free_is_nearly_full_by_bytes_or_by_files() -> None:
    good = Disk(50 * 10**6, 950 * 10**6, 5, 95)
    assert free_disk.judged(good) == (True, "0.1 of 1.0 GB free")
    assert free_disk.judged(replace(good, free=49 * 10**6)) == (
        False,
        "the engine's disk is nearly full: 0.0 of 1.0 GB free",
    )
    well, words = free_disk.judged(replace(good, free_files=4))
    assert (well, words) == (False, "the engine's disk can hold few more files: 4 of 99; 0.1 of 1.0 GB free")
    # A file system that counts none.
    assert free_disk.judged(replace(good, free_files=0, taken_files=0))[0]
