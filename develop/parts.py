"""The parts of a test run: each is one command whose output goes on as it comes. At the end a table repeats for each part how
long it took and pytest's own last line, which otherwise stands far up. Chooses nothing and remembers nothing on disk.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from hubdeploy.errors import DeployError

_COLOUR = re.compile(r"\x1b\[[\d;]*m")
# Such as `==== 12 passed, 1 deselected in 3.21s ====`.
_LAST_LINE = re.compile(r"^=+ (.+ in \d+\.\d+s.*?) =+$", re.MULTILINE)


@dataclass(frozen=True)
class Ended:
    """A part that ended; `came_to` is pytest's last line, or how a check's program ended. `passed` are pytest's names of the
    tests that passed, `others` of those that were skipped or failed."""

    name: str
    succeeded: bool
    seconds: float
    came_to: str
    passed: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


@dataclass
class Parts:
    """What ran so far in the checkout `root`, by the Python of the tests' environment. Seconds count from the making."""

    root: Path
    python: str
    began: float = field(default_factory=time.monotonic)
    ended: list[Ended] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """Lines that stand below the table in the end."""

    @property
    def seconds(self) -> float:
        """How long the run has taken so far."""
        return time.monotonic() - self.began

    def check(self, name: str, command: Sequence[str]) -> None:
        """A program that is silent or says what is wrong. Raises DeployError if it fails."""
        before = self.seconds
        _show(command)
        code = subprocess.run(command, cwd=self.root, check=False).returncode
        self.ended.append(Ended(name, code == 0, self.seconds - before, "clean" if code == 0 else f"exit code {code}"))
        self.demand_success()

    def pytest(self, name: str, arguments: Sequence[str]) -> Ended:
        """pytest with these arguments; it has succeeded if it ended with code 0."""
        before = self.seconds
        with tempfile.TemporaryDirectory(prefix="hubdeploy-") as folder:
            report = Path(folder) / "report.xml"
            colour = "--color=yes" if sys.stdout.isatty() else "--color=auto"
            command = [self.python, "-m", "pytest", "--durations=10", colour, *arguments]
            _show(command)
            code, printed = _passed_on([*command, f"--junitxml={report}"], self.root)
            passed, others = _outcomes(report)
        lines = _LAST_LINE.findall(_COLOUR.sub("", printed))
        came_to = lines[-1] if lines else f"pytest ended with code {code}"
        self.ended.append(Ended(name, code == 0, self.seconds - before, came_to, passed, others))
        return self.ended[-1]

    def demand_success(self) -> None:
        """Raises DeployError if a part has failed."""
        failed = [one for one in self.ended if not one.succeeded]
        if failed:
            found = "; ".join(f"{one.name}: {one.came_to}" for one in failed)
            raise DeployError(wanted="every check to pass", found=found, fix="see above")

    def close(self) -> None:
        """Print the table of all that ran, and the notes."""
        print()
        width = max((len(one.name) for one in self.ended), default=0)
        for one in self.ended:
            verdict = "" if one.succeeded else "FAILED: "
            print(f"{one.name.ljust(width)}  {one.seconds:5.0f} s  {verdict}{one.came_to}")
        for note in self.notes:
            print(note)
        sys.stdout.flush()


def _show(command: Sequence[str]) -> None:
    print("+", " ".join(command), flush=True)


def _passed_on(command: Sequence[str], root: Path) -> tuple[int, str]:
    """A command's exit code and all that it printed, which this process prints as it comes."""
    environ = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, env=environ) as process:
        assert process.stdout is not None
        pieces = []
        # Whatever is there: a line of dots is to be seen while it grows.
        while piece := os.read(process.stdout.fileno(), 65536):
            pieces.append(piece)
            sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
        code = process.wait()
    return code, b"".join(pieces).decode(errors="replace")


def _outcomes(report: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """pytest's names of the tests that passed, and of those that did anything else; none if it wrote no report."""
    if not report.exists():
        return (), ()
    passed: list[str] = []
    others: list[str] = []
    for case in ElementTree.parse(report).iter("testcase"):
        name = f"{case.get('classname', '').replace('.', '/')}.py::{case.get('name')}"
        wrong = any(case.find(outcome) is not None for outcome in ("failure", "error", "skipped"))
        (others if wrong else passed).append(name)
    return tuple(passed), tuple(others)
