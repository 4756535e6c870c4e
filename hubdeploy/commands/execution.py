"""Carries a plan's steps out in order; images that do not depend on each other are built at the same time.

It decides nothing: a step that fails ends the run with its error, and what was done stays done.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from functools import partial
from graphlib import TopologicalSorter
from itertools import groupby
from threading import Event
from typing import Any, Protocol

from hubdeploy import threads
from hubdeploy.errors import Interrupted
from hubdeploy.plan import operations as op
from hubdeploy.plan.steps import Step

# Carries out an operation, and calls the function with each line of its progress.
Apply = Callable[[Any, Callable[[str], None]], None]


class Reporter(Protocol):
    """Is called when a step begins, with each line of its progress, and when it is done."""

    def begun(self, step: Step) -> None: ...
    def printed(self, step: Step, line: str) -> None: ...
    def done(self, step: Step, seconds: float) -> None: ...
    def building(self, steps: Sequence[Step]) -> None: ...
    def built(self) -> None: ...


class Cancelled(Exception):
    """Another build failed."""


def carry_out(steps: Iterable[Step], apply: Apply, reporter: Reporter) -> None:
    """Applies every step; consecutive builds run side by side, each behind its parent. Raises Interrupted at Ctrl-C."""
    steps, finished = list(steps), list[op.Operation]()

    def kept(operation: op.Operation, printed: Callable[[str], None]) -> None:
        apply(operation, printed)
        finished.append(operation)

    try:
        for is_build, group in groupby(steps, key=lambda step: isinstance(step.operation, op.ImageBuilt)):
            if is_build:
                _build(list(group), kept, reporter)
            else:
                for step in group:
                    _apply(step, kept, reporter)
    except KeyboardInterrupt:
        left = next((str(step.operation) for step in steps if step.operation not in finished), "")
        raise Interrupted(f"{len(finished)} of {len(steps)} steps are done, and stay so", left) from None


def _apply(step: Step, apply: Apply, reporter: Reporter, cancelled: Event | None = None) -> None:
    def printed(line: str) -> None:
        if cancelled is not None and cancelled.is_set():
            raise Cancelled
        reporter.printed(step, line)

    reporter.begun(step)
    start = time.monotonic()
    apply(step.operation, printed)
    reporter.done(step, time.monotonic() - start)


def _build(steps: Sequence[Step], apply: Apply, reporter: Reporter) -> None:
    specs = {step.operation.spec.content_reference: step for step in steps if isinstance(step.operation, op.ImageBuilt)}
    order = TopologicalSorter(
        {reference: {_parent(step)} & specs.keys() for reference, step in specs.items()},
    )
    order.prepare()
    cancelled = Event()
    reporter.building(steps)
    try:
        running: dict[Future[None], str] = {}
        while order.is_active():
            for reference in order.get_ready():
                work = partial(_apply, specs[reference], apply, reporter, cancelled)
                # An interrupted `up` does not wait for it, and the engine ends a build whose client is gone.
                running[threads.run(work)] = reference
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                reference = running.pop(future)
                future.result()
                order.done(reference)
    except BaseException:
        cancelled.set()
        raise
    finally:
        reporter.built()


def _parent(step: Step) -> str:
    assert isinstance(step.operation, op.ImageBuilt)
    return step.operation.spec.parent
