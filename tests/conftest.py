"""Prints at the end of a run the tables that tests left, whether they passed or not."""

from __future__ import annotations

import pytest

from tests import reports


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for title, table in reports.tables(config).items():
        terminalreporter.section(title)
        terminalreporter.write_line(table)
