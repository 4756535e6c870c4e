"""Draws a rehearsal as an SVG: how many were there, how long starts and cells took, and how busy the host was.

Equal input gives equal bytes; it touches no file.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from textwrap import wrap
from xml.sax.saxutils import escape

from hubdeploy.contract import rehearsals
from hubdeploy.plan.rehearsal import Course, Load, percentile, verdict

# Pixels.
_WIDTH, _LEFT, _RIGHT, _TOP = 820, 60, 150, 72
# Letters of a small line.
_LINE, _LINE_HEIGHT = 120, 15
_PLOT, _BETWEEN, _BELOW = 130, 44, 34
_MARKS = 4
# Points of a line of percentiles, so that the file stays small.
_BUCKETS = 60
_COLOURS = ("#1f6feb", "#2da44e", "#bf8700", "#cf222e")
_STYLE = """\
text { font: 12px system-ui, "Segoe UI", Helvetica, Arial, "DejaVu Sans", sans-serif; fill: #1f2328 }
.title { font-weight: bold; font-size: 14px }
.small { fill: #59636e; font-size: 11px }
.paper { fill: #ffffff }
.grid { stroke: #d1d9e0; stroke-width: 1 }
polyline { fill: none; stroke-width: 1.8 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .small { fill: #9198a1 } .paper { fill: #0d1117 } .grid { stroke: #3d444d }
}
"""

Points = Sequence[tuple[float, float]]
# The name of a line, and its points: seconds from the begin, and a value.
Series = tuple[str, Points]


def draw(course: Course, load: Load, title: str) -> str:
    """The whole file."""
    times = [1.0, *(one.at for one in course.events), *(one.at for one in course.hosts)]
    end = max(times)
    panels: tuple[tuple[str, Callable[[float], str], Sequence[Series], bool], ...] = (
        ("people", lambda value: f"{value:.0f}", _people(course, end), True),
        ("seconds until a server had started, and until the first output", _seconds, _starts(course), False),
        ("seconds of a cell", _seconds, _cells(course, end), True),
        ("processors at work", lambda value: f"{value:.0%}", _processors(course), True),
    )
    height = _TOP + len(panels) * (_PLOT + _BETWEEN) + _BELOW
    body = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}">',
        f"<title>{escape(title)}</title><style>{_STYLE}</style>",
        f'<rect class="paper" width="{_WIDTH}" height="{height}"/>',
        _text(_LEFT, 22, title, "title"),
        *(
            _text(_LEFT, 40 + number * _LINE_HEIGHT, words, "small")
            for number, words in enumerate(wrap(verdict(course, load), _LINE))
        ),
    ]
    for number, (name, shown, series, joined) in enumerate(panels):
        body += _panel(_TOP + number * (_PLOT + _BETWEEN) + 20, name, shown, series, end, joined=joined)
    body.append(_text(_LEFT, height - 10, "seconds from the begin", "small"))
    return "\n".join([*body, "</svg>", ""])


def _people(course: Course, end: float) -> list[Series]:
    """How many were there at each time."""

    def counted(*changes: tuple[str, int]) -> Points:
        steps = sorted((one.at, by) for what, by in changes for one in course.events if one.what == what)
        points, number = [(0.0, 0.0)], 0.0
        for at, by in steps:
            points += [(at, number), (at, number + by)]
            number += by
        return [*points, (end, number)]

    worked = course.who(rehearsals.FIRST)
    gone = [one for one in course.events if one.what in (rehearsals.DONE, rehearsals.FAILED) and one.who in worked]
    at_work = sorted(
        [(one.at, 1) for one in course.events if one.what == rehearsals.FIRST] + [(one.at, -1) for one in gone]
    )
    points, number = [(0.0, 0.0)], 0.0
    for at, by in at_work:
        points += [(at, number), (at, number + by)]
        number += by
    found: list[Series] = [
        ("arrived", counted((rehearsals.ARRIVED, 1))),
        ("with a server", counted((rehearsals.STARTED, 1))),
        ("at work", [*points, (end, number)]),
    ]
    return [*found, ("failed", counted((rehearsals.FAILED, 1)))] if course.failures else found


def _starts(course: Course) -> list[Series]:
    return [
        (words, [(one.at, one.took) for one in course.events if one.what == what])
        for what, words in ((rehearsals.STARTED, "start"), (rehearsals.FIRST, "login to output"))
    ]


def _cells(course: Course, end: float) -> list[Series]:
    """Half and 95 of 100 of the cells in each stretch of time."""
    cells = [one for one in course.events if one.what == rehearsals.CELL]
    buckets: dict[int, list[float]] = {}
    for one in cells:
        buckets.setdefault(min(int(one.at / end * _BUCKETS), _BUCKETS - 1), []).append(one.took)
    return [
        (
            words,
            [((at + 0.5) * end / _BUCKETS, percentile(sorted(values), part)) for at, values in sorted(buckets.items())],
        )
        for words, part in (("half of all", 0.5), ("95 of 100", 0.95))
    ]


def _processors(course: Course) -> list[Series]:
    step = max(1, len(course.hosts) // (2 * _BUCKETS))
    hosts = course.hosts[::step]
    return [
        ("all", [(one.at, one.busy) for one in hosts]),
        ("the simulated", [(one.at, one.own) for one in hosts]),
    ]


def _panel(
    top: float, name: str, shown: Callable[[float], str], series: Sequence[Series], end: float, *, joined: bool
) -> Iterable[str]:
    """A plot with its axes; a line for each of the series, or dots."""
    most = _round_up(max((value for _, points in series for _, value in points), default=1.0))
    width = _WIDTH - _LEFT - _RIGHT

    def across(at: float) -> float:
        return _LEFT + width * at / end

    def up(value: float) -> float:
        return top + _PLOT - _PLOT * value / most

    yield _text(_LEFT, top - 8, name)
    for mark in range(_MARKS + 1):
        value, at = most * mark / _MARKS, end * mark / _MARKS
        y = up(value)
        yield f'<line class="grid" x1="{_LEFT}" x2="{_LEFT + width}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield _text(_LEFT - 6, y + 4, shown(value), "small", "end")
        yield _text(across(at), top + _PLOT + 14, f"{at:.0f}", "small", "middle")
    for number, (label, points) in enumerate(series):
        colour = _COLOURS[number]
        placed = [(f"{across(at):.1f}", f"{up(value):.1f}") for at, value in points]
        if joined:
            yield f'<polyline stroke="{colour}" points="{" ".join(",".join(one) for one in dict.fromkeys(placed))}"/>'
        else:
            yield from (f'<circle cx="{x}" cy="{y}" r="2.5" fill="{colour}"/>' for x, y in placed)
        y = top + 12 + 18 * number
        yield f'<rect x="{_WIDTH - _RIGHT + 14}" y="{y - 9:.1f}" width="10" height="10" fill="{colour}"/>'
        yield _text(_WIDTH - _RIGHT + 30, y, label, "small")


def _round_up(value: float) -> float:
    """The next of 1, 2, 4, 8 times a power of ten, so that four marks have short names."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(power * one for one in (1, 2, 4, 8, 10) if power * one >= value - 1e-12)


def _seconds(value: float) -> str:
    return f"{value:.3g}"


def _text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{named}>{escape(words)}</text>'
