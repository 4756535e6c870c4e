"""The live table that a terminal shows while images are built."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from rich.console import Console
from rich.live import Live
from rich.table import Table


class BuildTable:
    """A row for each image that is being built: its state, time and newest line."""

    def __init__(self, names: Sequence[str]) -> None:
        """It shows at once."""
        self._lock = threading.Lock()
        self._rows: dict[str, tuple[str, float | None, str]] = dict.fromkeys(names, ("waits", None, ""))
        self._live = Live(
            get_renderable=self._render, console=Console(highlight=False, emoji=False), refresh_per_second=4
        )
        self._live.start()

    def close(self) -> None:
        self._live.stop()

    def begun(self, name: str) -> None:
        with self._lock:
            self._rows[name] = ("builds", time.monotonic(), "")

    def printed(self, name: str, line: str) -> None:
        with self._lock:
            state, start, before = self._rows[name]
            step = before.partition("\n")[0]
            self._rows[name] = (state, start, f"{line}\n" if line.startswith("Step ") else f"{step}\n{line}")

    def done(self, name: str, seconds: float) -> None:
        with self._lock:
            self._rows[name] = (f"built in {seconds:.0f} s", None, "")

    def _render(self) -> Table:
        table = Table.grid(padding=(0, 2))
        for overflow in ("fold", "fold", "fold", "ellipsis", "ellipsis"):
            # A line for each image, however narrow the terminal is.
            table.add_column(no_wrap=overflow == "ellipsis", overflow=overflow)
        with self._lock:
            for name, (state, start, text) in self._rows.items():
                elapsed = f"{time.monotonic() - start:.0f} s" if start else ""
                step, _, line = text.partition("\n")
                table.add_row(name, state, elapsed, step[:40], line[:60])
        return table
