"""What was measured: samples of both sides, their medians and the ratio. Plain data, kept as JSON in develop/bench/results."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median, quantiles

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Figure:
    """One line of the table. `row` is the letter of the work; `bar` is the limit for the ratio of the medians, or for our
    median if stock has no samples; `lower` is true if less is better. `failed`: how many tries of ours, and how many of
    stock, gave no sample."""

    row: str
    what: str
    unit: str
    ours: Sequence[float]
    stock: Sequence[float] = ()
    bar: float | None = None
    lower: bool = True
    note: str = ""
    failed: Sequence[int] = field(default_factory=list)

    @property
    def ratio(self) -> float | None:
        return ratio(median(self.ours), median(self.stock)) if self.ours and self.stock else None

    @property
    def ratio_at_p95(self) -> float | None:
        return ratio(p95(self.ours), p95(self.stock)) if self.ours and self.stock else None

    @property
    def value(self) -> float | None:
        """The value that is compared with the bar."""
        if self.stock or any(self.failed):
            return self.ratio
        return median(self.ours) if self.ours else None

    @property
    def meets_bar(self) -> bool | None:
        return meets(self.value, self.bar, lower=self.lower)


def meets(value: float | None, bar: float | None, *, lower: bool) -> bool | None:
    """None without a bar or a value."""
    if bar is None or value is None:
        return None
    return value <= bar if lower else value >= bar


def ratio(ours: float, stock: float) -> float | None:
    return ours / stock if stock else None


def p95(samples: Sequence[float]) -> float:
    """The 95th percentile, linear between samples; a single sample is its own."""
    return quantiles(samples, n=20, method="inclusive")[-1] if len(samples) > 1 else samples[0]


@dataclass(frozen=True)
class Run:
    """One run, of all rows or some: when (ISO date and time), where, and what was measured."""

    date: str
    engine: str
    cores: int
    memory_gib: float
    minutes: float
    figures: list[Figure] = field(default_factory=list)

    def save(self, folder: Path = RESULTS) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.date.replace(':', '')}.json"
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")
        return path


def load(path: Path) -> Run:
    document = json.loads(path.read_text())
    return Run(**{**document, "figures": [Figure(**one) for one in document["figures"]]})


def saved(folder: Path = RESULTS) -> list[Run]:
    """The runs that are kept, oldest first."""
    return [load(path) for path in sorted(folder.glob("*.json"))]


def gathered(runs: Sequence[Run]) -> list[list[Figure]]:
    """For each figure, as the last run of its row has it: the same one of all runs that have it. In the order of the rows."""
    newest = {one.row: run for run in runs for one in run.figures}
    return [
        [one for each in runs for one in each.figures if (one.row, one.what) == (last.row, last.what)]
        for row, run in sorted(newest.items())
        for last in run.figures
        if last.row == row
    ]
