"""The benchmark's arithmetic and order; docs/performance.md is made from the kept runs."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from develop.bench import document
from develop.bench.figures import Figure, Run, load, p95, saved
from develop.bench.rigs import Rig, by_part, taking_turns
from hubdeploy.contract.rehearsals import Event, Host
from hubdeploy.plan import rehearsal


def figure(**fields: Any) -> Figure:
    return Figure(
        **{"row": "a", "what": "one", "unit": "s", "ours": [1.0, 2.0, 3.0], "stock": [4.0, 4.0, 8.0]} | fields
    )


def run(*figures: Figure) -> Run:
    return Run("2026-11-24T09:00:00", "Docker Engine 28.5, x86_64", 2, 24.0, 30.0, list(figures))


def test_the_document_is_made_from_the_runs_that_are_kept() -> None:
    assert document.DOCUMENT.read_text() == document.text(saved())


@pytest.mark.parametrize("order", [("ours", "stock", "stock", "ours", "ours", "stock")])
def test_neither_side_is_always_first(order: tuple[str, ...]) -> None:
    rigs: Any = [SimpleNamespace(label="ours"), SimpleNamespace(label="stock")]
    seen: list[str] = []

    def work(rig: Rig) -> int:
        seen.append(rig.label)
        return len(seen)

    found = taking_turns(rigs, 3, work)
    assert tuple(seen) == order
    assert found == {"ours": [1, 4, 5], "stock": [2, 3, 6]}


def test_a_round_that_failed_is_left_out() -> None:
    rigs: Any = [SimpleNamespace(label="ours"), SimpleNamespace(label="stock")]
    rounds = iter([1.0, None, None, 2.0])
    assert taking_turns(rigs, 2, lambda _: next(rounds)) == {"ours": [1.0, 2.0], "stock": []}


def test_the_ratio_is_of_the_medians_and_is_compared_with_the_bar() -> None:
    assert figure(bar=0.5).ratio == 0.5
    assert figure(bar=0.5).meets_bar
    assert not figure(bar=0.49).meets_bar
    assert figure(bar=2.0, lower=False).meets_bar is False
    assert figure().meets_bar is None


def test_without_stock_the_median_itself_is_compared_with_the_bar() -> None:
    assert figure(stock=[], bar=2.0).meets_bar
    assert not figure(stock=[], bar=1.9).meets_bar


def test_a_stock_median_of_zero_gives_no_ratio() -> None:
    none_failed = figure(ours=[0.0], stock=[0.0], bar=0.0)
    assert none_failed.ratio is None
    assert none_failed.meets_bar is None


def test_our_median_is_not_compared_with_a_ratios_bar_if_stock_always_failed() -> None:
    assert figure(stock=[], bar=0.4, failed=[0, 80]).meets_bar is None


def test_a_side_whose_rounds_all_failed_has_no_samples_of_any_part() -> None:
    rigs: Any = [SimpleNamespace(label="ours"), SimpleNamespace(label="stock")]
    found: dict[str, list[tuple[float, ...]]] = {"ours": [(1.0, 2.0), (3.0, 4.0)], "stock": []}
    assert by_part(rigs, found) == [[[1.0, 3.0], []], [[2.0, 4.0], []]]


def test_the_95th_percentile_lies_between_samples() -> None:
    assert p95([7.0]) == 7.0
    assert p95([float(number) for number in range(1, 22)]) == 20.0


def test_a_run_reads_back_as_it_was_kept(tmp_path: Path) -> None:
    kept = run(figure(), figure(row="h", stock=[], bar=1.0)).save(tmp_path)
    assert load(kept) == run(figure(), figure(row="h", stock=[], bar=1.0))
    assert json.loads(kept.read_text())["cores"] == 2


def test_the_document_has_the_ratio_of_each_run_and_their_median() -> None:
    runs = [run(figure(bar=0.5)), run(figure(ours=[1.0], bar=0.5)), run(figure(ours=[3.0], bar=0.5))]
    assert "| a | one | 2 s | 4 s | 0.5 · 0.25 · 0.75 | 0.5 | " in document.text(runs)
    assert "≤ 0.5 ✓ |" in document.text(runs)


def test_the_document_has_a_line_for_each_kept_rehearsal(tmp_path: Path) -> None:
    """As the command writes them."""
    assert list(document._classes(tmp_path)) == []
    course = rehearsal.Course(2, hosts=[Host(at, 0.5, 0.1, 10**9, 2) for at in (0, 2, 4)])
    course.events = [
        Event(1, who, what, 0.25) for who in (1, 2) for what in ("page", "start", "first cell", "cell", "done")
    ]
    given = rehearsal.Load(processors=2, cap=10**9, available=10**9, guarantee=160 * 2**20)
    asked = {"users": 2, "over": 300, "minutes": 10.0, "think": 10.0}
    (tmp_path / "2026-11-28T230000.json").write_text(json.dumps(rehearsal.document(course, given, asked)))
    table, picture = document._classes(tmp_path)
    assert table.splitlines()[-1] == "| 2 | 300 s | 10 min | 0.25 | 0.25 | 0.25 | 0.25 | 0 | 50% | 10% | none | 160M |"
    assert "class.svg" in picture


@pytest.mark.parametrize(
    ("asked", "row"),
    [
        ((100, 300, 10), "0.25 ✓ | 0.25 | 0.25 | 0.75 ✗ | 99 ✗"),
        ((150, 300, 10), "0.25 ✓ | 0.25 | 0.25 | 0.75 ✗ | 149 ✗"),
        ((100, 600, 10), "0.25 | 0.25 | 0.25 | 0.75 | 99"),
    ],
)
def test_a_class_is_compared_with_the_bars_if_it_is_as_hard(
    tmp_path: Path, asked: tuple[int, int, float], row: str
) -> None:
    users, over, minutes = asked
    course = rehearsal.Course(users, hosts=[Host(at, 0.5, 0.1, 10**9, 2) for at in (0, 2, 4)])
    course.events = [Event(1, 1, what, 0.25) for what in ("page", "start", "first cell", "done")]
    course.events.append(Event(1, 1, "cell", 0.75))
    given = rehearsal.Load(processors=2, cap=10**9, available=10**9, guarantee=1)
    document_of_it = rehearsal.document(
        course, given, {"users": users, "over": over, "minutes": minutes, "think": 10.0}
    )
    (tmp_path / "2026-11-28T230000.json").write_text(json.dumps(document_of_it))
    table, *below = document._classes(tmp_path)
    assert f" min | {row} | " in table.splitlines()[-1]
    assert ("processors" in below[0]) == ("✗" in row)
