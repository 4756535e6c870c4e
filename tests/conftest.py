"""Prints at the end of a run the tables that tests left, whether they passed or not; and holds a search to its seed."""

from __future__ import annotations

import pytest
from hypothesis.internal.conjecture import providers

from tests import reports

# Hypothesis also draws what stands in whichever modules of the project are loaded: an edit anywhere, or one more file of
# tests in a run, would give another search. There is no setting for it.
providers.is_local_module_file = lambda path: False


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for title, table in reports.tables(config).items():
        terminalreporter.section(title)
        terminalreporter.write_line(table)
