"""Prints at the end of a run the tables that tests left, whether they passed or not; and holds a search to its seed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis.internal.conjecture import providers

from tests import reports

# Hypothesis also draws what stands in whichever modules of the project are loaded: an edit anywhere, or one more file of
# tests in a run, would give another search. There is no setting for it.
providers.is_local_module_file = lambda path: False  # type: ignore[attr-defined,assignment]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """One of several processes tells the first one what its tests left."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["reports"] = reports.rows(session.config)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    reports.add_rows(node.config, getattr(node, "workeroutput", {}).get("reports", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for title, table in reports.tables(config).items():
        terminalreporter.section(title)
        terminalreporter.write_line(table)
