"""Makes docs/performance.md and its picture. Every figure in the table and in the picture comes from the runs that are
kept in develop/bench/results; the words around the table, and the reasons for missed bars with their figures, are written
here by hand.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from textwrap import fill
from typing import Any

from develop.bench import picture
from develop.bench.figures import Figure, Run, gathered, meets, p95, saved

DOCUMENT = Path(__file__).parents[2] / "docs" / "performance.md"
PICTURE = DOCUMENT.with_suffix(".svg")
_HEAD = """\
# Performance

How long users and operators wait, beside *stock*: unmodified DockerSpawner, configurable-http-proxy inside the hub's
container, images by plain `pip install`, on the same base with the same JupyterHub. Both run on one engine in one run and
take turns. `./invoke bench` measures again, `./invoke bench --only a,b` some rows. The figures come from the runs in
`develop/bench/results`.

Absolute times differ between machines; ratios less.
"""

# What `class rehearse` wrote, and the picture of one of them.
CLASSES, CLASS_PICTURE = Path(__file__).parent / "classes", "class.svg"
# The class that the bars are for: people, seconds within which they arrive, and minutes of work.
_CLASS = (100, 300, 10)
# Seconds that 95 of 100 must not exceed in it.
_CLASS_BARS = {"page": 1.0, "cell": 0.5}
_CLASS_TIMES = ("page", "start", "first cell", "cell")
_CLASS_HEAD = """\
## A class

Simulated people, on this machine beside the deployment: they log in, have servers started, load JupyterLab, run cells with
pauses, and save. [teaching.md](teaching.md) says what they do and what is not measured. Anybody can try to beat it:

    ./invoke class rehearse --users 100 --over 300 --minutes 10

Times are seconds, and 95 of 100 were not longer. With 100 people who arrive within 300 s and work for 10 minutes each, the bars
are 1 s for a page, 0.5 s for a cell, and nobody who fails: ✓ holds, ✗ does not. 100 servers that are sure of 256 MB each, as is
the default, would need more than 24 GiB: the last column is what each was sure of.
"""
_CLASS_COLUMNS = (
    "people", "arrive within", "work", "page", "start of a server", "login to the first output", "cell", "failed",
    "processors at work", "of it the simulated", "memory of a person", "`USER_MEMORY_GUARANTEE`",
)  # fmt: skip
# Why a class misses its bars; shown where one does.
_CLASS_BOUND = (
    "What misses a bar are the processors. In the first line a person took 8.5 s of them in all: login, a server's start,"
    " JupyterLab's files, a kernel that imports pandas, cells. 100 people within 300 s leave two cores 6 s for each, so"
    " starts wait in the queue while people arrive. The machine of the second line needed 15 s for the same work, so its"
    " processors had no pause for the first 8 minutes. Nobody failed."
)

# Row -> why it misses its bar; shown where one is missed.
_BOUNDS = {
    "c": "The lines below the first are the profile. A server's page is there in a third of stock's time. Then Chromium compiles"
    " and runs ten megabytes of JupyterLab, on one core, for 1.8 s; stock, whose browser loads"
    " these files only then, takes 2.8 s. A notebook opens, its kernel starts and a cell runs in 1.7 s on both sides, a fifth of"
    " stock's whole time. With no wait for the server at all our ratio would be about 0.40. The rest would need kernels that"
    " start before anybody asks for one, at 60 MB for each idle server.",
    "e": "On two cores the processors limit a build from no cache. Byte code takes 15 s (12,000 modules on both cores; stock"
    " compiles them as well). The engine's classic builder copies the two large layers in 13 s and 8 s. apt takes 17 s. The"
    " images that do not depend on one another share the two cores with all this.",
    "m": "The kernel is the same on both sides: 35 MiB of Python's objects when idle, 5 more with numpy, 5 with pyarrow, which"
    " pandas imports, 28 with pandas, and 4 MiB of the host's kernel. That is 0.41 of stock's whole. Our server takes 57 MiB"
    " beside it, stock's 110. The bar leaves 44 to a server; importing jupyter_server alone takes 35, JupyterLab 8 more. Code"
    " that is mapped from files is shared by all servers already; Python's objects are each process's own.",
    "i": "Two cores carry the load, its upstream and the proxy. In 10 s at 8,000 requests a second Traefik used 8.3 s of"
    " processor, the upstream 2.5 s and the load 2.2 s; the engine's forwarding to the published port used the rest of"
    " 20 s. configurable-http-proxy runs on one core at most and leaves the other to these. Traefik's fastProxy is 10 %"
    " faster, but answers some requests with an error while connections end; so it stays off.",
}


def write() -> None:
    runs = saved()
    if runs:
        picture.draw(runs, PICTURE)
    DOCUMENT.write_text(text(runs))


def text(runs: Sequence[Run]) -> str:
    """The document: for each figure a line with the median of the runs' medians, and the ratio of each run."""
    if not runs:
        return f"{_HEAD}\nNo run is kept yet.\n"
    lines = [
        "| row | what | ours | stock | ratio, each run | median | p95 | bar |",
        "|---|---|---|---|---|---|---|---|",
        *(_row(figures) for figures in _gathered(runs)),
    ]
    noted = [(figures[-1], dict.fromkeys(one.note for one in figures if one.note)) for figures in _gathered(runs)]
    notes = [f"- {last.row}, {last.what}: {'; '.join(each)}." for last, each in noted if each]
    return "\n".join(
        [
            _HEAD,
            *(_machine(run) for run in runs),
            "",
            "![ours beside stock](performance.svg)",
            "",
            *lines,
            "",
            *notes,
            "",
            *_bounds(runs),
            *_classes(CLASSES),
        ]
    )


def _classes(folder: Path) -> Iterable[str]:
    """A line for each rehearsal that is kept in the folder, why one misses its bar, and the picture; nothing where none is."""
    found = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    if found:
        rows = [*map(_class_row, found)]
        table = (_CLASS_COLUMNS, ("---",) * len(_CLASS_COLUMNS), *rows)
        yield "\n".join([_CLASS_HEAD, *(f"| {' | '.join(cells)} |" for cells in table)])
        if any("✗" in cell for row in rows for cell in row):
            yield f"\n{_CLASS_BOUND}"
        yield f"\n![a class of {found[-1]['asked']['users']}, from the last line]({CLASS_PICTURE})\n"


def _class_row(found: Mapping[str, Any]) -> tuple[str, ...]:
    asked, failed = found["asked"], len(found["failed"]) + found["unfinished"]
    at_work = [(busy, own) for _, busy, own in found["processors"][1:]]
    busy, own = (sum(one[part] for one in at_work) / len(at_work) for part in (0, 1))
    times = {what: found["seconds"][what]["p95"] for what in _CLASS_TIMES}
    held = {what: times[what] <= bar for what, bar in _CLASS_BARS.items()} | {"failed": failed == 0}
    users, over, minutes = _CLASS
    has_bars = asked["users"] >= users and asked["over"] <= over and asked["minutes"] >= minutes
    verdict = {what: " ✓" if good else " ✗" for what, good in held.items()} if has_bars else {}
    return (
        f"{asked['users']}", f"{asked['over']} s", f"{asked['minutes']:g} min",
        *(f"{times[what]:.2f}{verdict.get(what, '')}" for what in _CLASS_TIMES),
        f"{failed}{verdict.get('failed', '')}", f"{busy:.0%}", f"{own:.0%}", _mib(found["load"]["person"]),
        _mib(found["load"]["guarantee"]),
    )  # fmt: skip


def _mib(number: int | None) -> str:
    return f"{number / 2**20:.0f}M" if number else "none"


def _bounds(runs: Sequence[Run]) -> Iterable[str]:
    missed = [figures[-1].row for figures in _gathered(runs) if _holds(figures) is False]
    for row in dict.fromkeys(missed):
        if row in _BOUNDS:
            yield from (fill(f"Why row {row} misses its bar: {_BOUNDS[row]}", 120, break_on_hyphens=False), "")


def _machine(run: Run) -> str:
    where = f"{run.engine}, {run.cores} cores, {run.memory_gib:.0f} GiB"
    rows = sorted({one.row for one in run.figures if one.row != "floor"})
    return f"- {run.date.replace('T', ' ')}: {where}; rows {' '.join(rows)}; {run.minutes:.0f} minutes."


def _gathered(runs: Sequence[Run]) -> list[list[Figure]]:
    """The figures, each of all runs that have it; the floor is the last row."""
    return sorted(gathered(runs), key=lambda figures: figures[-1].row == "floor")


def _middle(figures: Sequence[Figure]) -> float | None:
    """The median of the runs' values that are compared with the bar."""
    values = [one.value for one in figures if one.value is not None]
    return median(values) if values and (figures[-1].stock or figures[-1].bar is not None) else None


def _holds(figures: Sequence[Figure]) -> bool | None:
    return meets(_middle(figures), figures[-1].bar, lower=figures[-1].lower)


def _row(figures: Sequence[Figure]) -> str:
    last = figures[-1]
    middle = _middle(figures)
    at_p95 = [one.ratio_at_p95 for one in figures if one.ratio_at_p95 is not None and len(one.ours) > 1]
    each = " · ".join(_number(one.value) for one in figures) if last.stock else ""
    bar = ""
    if last.bar is not None:
        verdict = {None: "", True: " ✓", False: " ✗"}[_holds(figures)]
        bar = f"{'≤' if last.lower else '≥'} {last.bar:g}{verdict}"
    cells = (
        last.row,
        last.what,
        _value(last.unit, [median(one.ours) for one in figures if one.ours]),
        _value(last.unit, [median(one.stock) for one in figures if one.stock]),
        each,
        _number(middle),
        _number(median(at_p95)) if at_p95 else "",
        bar,
    )
    return f"| {' | '.join(cells)} |"


def _value(unit: str, medians: Sequence[float]) -> str:
    return f"{_number(median(medians))} {unit}".rstrip() if medians else ""


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def table(run: Run) -> str:
    return "\n".join([f"\n{_machine(run)}", *(line(one) for one in run.figures)])


def line(one: Figure) -> str:
    """One figure as a terminal shows it."""
    if not one.ours:
        return f"{one.row:5} {one.what}: nothing of ours succeeded; {one.note}"
    ours = f"ours {_number(median(one.ours))} (p95 {_number(p95(one.ours))}) {one.unit}"
    stock = f"  stock {_number(median(one.stock))} (p95 {_number(p95(one.stock))}) {one.unit}" if one.stock else ""
    ratio = f"  ratio {_number(one.ratio)}, p95 {_number(one.ratio_at_p95)}" if one.ratio is not None else ""
    bar = f"  bar {one.bar:g}: {'held' if one.meets_bar else 'NOT HELD'}" if one.meets_bar is not None else ""
    return f"{one.row:5} {one.what}: {ours}{stock}{ratio}{bar}{'  ' + one.note if one.note else ''}"
