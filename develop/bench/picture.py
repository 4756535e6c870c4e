"""Draws runs as bars: each figure's median beside stock's, which is 1, with the spread of all samples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import median

from develop.bench.figures import Figure, Run, gathered, p95

_OURS, _STOCK = "#1f6feb", "#b8c0cc"


def draw(runs: Sequence[Run], path: Path) -> None:
    """An SVG of all figures that stock has too."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot
    from matplotlib.patches import Rectangle

    # Text stays text, and the same runs give the same file.
    matplotlib.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "bench", "font.family": "sans-serif"}
    figures = _together(runs)
    height = 0.5 * max(len(figures), 2) + 1.2
    drawing, axes = pyplot.subplots(figsize=(10, height), layout="constrained")
    for number, one in enumerate(figures):
        unit = median(one.stock)
        for offset, samples, colour in ((-0.19, one.ours, _OURS), (0.19, one.stock, _STOCK)):
            middle, least, most = median(samples) / unit, min(samples) / unit, p95(samples) / unit
            spread = [[max(0, middle - least)], [max(0, most - middle)]]
            axes.barh(
                number + offset, middle, 0.36, color=colour, xerr=spread, error_kw={"ecolor": "#333", "capsize": 2}
            )
        axes.text(0.01, number - 0.19, f" {median(one.ours):.3g} {one.unit}", va="center", color="white", fontsize=8)
        axes.text(0.01, number + 0.19, f" {unit:.3g} {one.unit}", va="center", fontsize=8)
    axes.set_yticks(range(len(figures)), [f"{one.what} ({one.row})" for one in figures])
    axes.invert_yaxis()
    axes.axvline(1, color="#333", linewidth=0.8)
    axes.set_xlabel("stock = 1; bars from the median, lines from the least to the 95th percentile")
    handles = [Rectangle((0, 0), 1, 1, color=colour) for colour in (_OURS, _STOCK)]
    axes.legend(handles, ["ours", "stock"], loc="lower right")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    drawing.savefig(path, metadata={"Date": None, "Creator": None})
    pyplot.close(drawing)


def _together(runs: Sequence[Run]) -> list[Figure]:
    """Each figure with the samples of all runs, if stock's median is not 0."""
    found = []
    for same in gathered(runs):
        last = same[-1]
        ours = [sample for one in same for sample in one.ours]
        stock = [sample for one in same for sample in one.stock]
        if ours and stock and median(stock):
            found.append(Figure(last.row, last.what, last.unit, ours, stock, last.bar, last.lower))
    return found
