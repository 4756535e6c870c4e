"""Runs work in daemon threads: Ctrl-C must not wait for a silent build. An error in the work is raised by the future's
`result()`.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

_Result = TypeVar("_Result")


def run(work: Callable[[], _Result]) -> Future[_Result]:
    """Starts the work."""
    future: Future[_Result] = Future()

    def thread() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    Thread(target=thread, daemon=True).start()
    return future


def all_of(works: list[Callable[[], _Result]]) -> list[_Result]:
    """The results in the order of the works, which all run at the same time."""
    return [future.result() for future in [run(work) for work in works]]
