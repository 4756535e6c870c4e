"""What a run of the tests does and says, on real runs of pytest in a small repository of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from develop import groups, longtests, records, shellscripts, testing
from develop.groups import Group
from develop.parts import Parts
from develop.turns import Standing
from hubdeploy.errors import DeployError

CHECKOUT = Path(__file__).resolve().parents[3]
GREEN = "import pytest\n\npytestmark = pytest.mark.slow\n\n\ndef test_it(): pass\n"
RED = f"{GREEN}\n\ndef test_that_fails(): raise AssertionError\n"
SKIPPED = f"{GREEN}\n\n@pytest.mark.skip\ndef test_skipped(): pass\n"
MOVING = f"{GREEN}\n\ndef test_that_writes_an_input(): open('input', 'a').write('more')\n"


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Parts:
    monkeypatch.delenv("CI", raising=False)
    # Half of the time of so small a run is what these plugins import.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    (tmp_path / "input").write_text("")
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = slow\n    nested\n")
    return Parts(tmp_path, sys.executable)


def standings(root: Path, **sources: str) -> list[Standing]:
    """A group for each source, named like it."""
    found = []
    for name, source in sources.items():
        (root / "tests").mkdir(exist_ok=True)
        (root / "tests" / f"test_{name}.py").write_text(source)
        group = Group(name, (f"tests/test_{name}.py",), (f"tests/test_{name}.py", "input"), 1)
        found.append(Standing(group, records.digest(root, group), records.read(root, group)))
    return found


def closing(
    parts: Parts, capfd: pytest.CaptureFixture[str], table: Sequence[Standing], limit: float | None = None
) -> tuple[list[str], str]:
    """The lines that a run of the groups closes with, and why it failed; no reason if it did not."""
    reason = ""
    try:
        longtests.run(parts, table, table, limit)
    except DeployError as error:
        reason = error.found
    capfd.readouterr()
    parts.close()
    return capfd.readouterr().out.strip().splitlines(), reason


def test_a_green_group_leaves_its_record(parts: Parts, capfd: pytest.CaptureFixture[str]) -> None:
    [one] = standings(parts.root, one=GREEN)
    lines, reason = closing(parts, capfd, [one])
    kept = records.read(parts.root, one.group)
    assert kept is not None
    assert (kept.digest, kept.tests) == (one.digest, ("tests/test_one.py::test_it",))
    assert [again.holds for again in standings(parts.root, one=GREEN)] == [True]
    assert reason == ""
    assert "1 passed in" in lines[0]
    assert "one is green, to be committed: develop/records/one.json" in lines


def test_the_tests_own_output_is_passed_on(parts: Parts, capfd: pytest.CaptureFixture[str]) -> None:
    longtests.run(parts, [], standings(parts.root, one=GREEN), None)
    printed = capfd.readouterr().out
    assert "tests/test_one.py ." in printed
    assert "= 1 passed in" in printed


def test_on_a_machine_of_ci_no_record_is_written(
    parts: Parts, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    closing(parts, capfd, standings(parts.root, one=GREEN))
    assert not (parts.root / records.FOLDER).exists()


def test_a_failed_group_keeps_no_other_from_running(parts: Parts, capfd: pytest.CaptureFixture[str]) -> None:
    red, green = standings(parts.root, red=RED, green=GREEN)
    lines, reason = closing(parts, capfd, [red, green])
    assert records.read(parts.root, red.group) is None
    assert records.read(parts.root, green.group) is not None
    assert reason.startswith("red: 1 failed, 1 passed in")
    assert "FAILED: 1 failed, 1 passed in" in lines[0]


@pytest.mark.parametrize(
    ("source", "words"), [(SKIPPED, "skipped tests/test_one.py::test_skipped"), (MOVING, "inputs changed")]
)
def test_what_proves_less_leaves_no_record(
    parts: Parts, capfd: pytest.CaptureFixture[str], source: str, words: str
) -> None:
    [one] = standings(parts.root, one=source)
    lines, reason = closing(parts, capfd, [one])
    assert records.read(parts.root, one.group) is None
    assert [line for line in lines if words in line]
    assert reason == ""


def test_what_does_not_fit_is_left_out_and_named(parts: Parts, capfd: pytest.CaptureFixture[str]) -> None:
    lines, _ = closing(parts, capfd, standings(parts.root, one=GREEN, two=GREEN), limit=30)
    assert lines[-1] == "left out: two, never green"
    assert [line.split()[0] for line in lines if "passed" in line] == ["one"]


def test_a_check_that_fails_ends_the_run_with_its_name(parts: Parts, capfd: pytest.CaptureFixture[str]) -> None:
    parts.check("first", [sys.executable, "-c", ""])
    with pytest.raises(DeployError, match="second: exit code 3"):
        parts.check("second", [sys.executable, "-c", "raise SystemExit(3)"])
    parts.close()
    assert [line.split("  ")[0] for line in capfd.readouterr().out.splitlines()[-2:]] == ["first", "second"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"minutes": "5"}, "--minutes 5 without it"),
        *[({"rest": True, "minutes": text}, f"--minutes {text}") for text in ("-5", "0", "1.5", "soon")],
        ({"rest": True, "everything": True}, "exclude one another"),
        ({"group": "bases", "only": "hub"}, "exclude one another"),
        ({"group": "nothing"}, "--group nothing"),
        ({"only": "unit,nothing"}, "--only unit,nothing"),
    ],
)
def test_options_that_make_no_sense_are_refused(tmp_path: Path, options: dict[str, object], words: str) -> None:
    plain: dict[str, object] = {"everything": False, "rest": False, "minutes": "", "group": "", "only": ""}
    with pytest.raises(DeployError, match=words):
        testing.run(tmp_path, **{**plain, **options})  # type: ignore[arg-type]


def wanted(long: bool = False, group: str = "", only: str = "") -> set[str]:
    suites = only.split(",") if only else ["unit", "engine", "hub", "bare"]
    return {one.name for one in groups.GROUPS if testing._is_wanted(one, suites, long, group, only)}


def test_which_groups_the_options_ask_for() -> None:
    everything = {one.name for one in groups.GROUPS}
    assert wanted() == wanted(only="unit,story") == set()
    assert wanted(long=True) == everything
    assert wanted(long=True, only="unit") | wanted(long=True, only="engine") < everything - wanted(only="bare")
    assert wanted(only="bare") == wanted(long=True, only="bare") != set()
    assert wanted(group="bases") == {"bases"}


def test_the_shell_scripts_are_found_by_their_first_line(tmp_path: Path) -> None:
    for name, head in {
        "a.sh": "#!/bin/sh", "b": "#!/usr/bin/env bash", "c": "#! /bin/dash", "d.sh": "no script", "e": "#!/usr/bin/python3",
        ".venv/f": "#!/bin/sh", "g": "#!/usr/bin/fish", ".ci/run": "#!/bin/bash -e",
    }.items():  # fmt: skip
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"{head}\necho\n")
    found = [".ci/run", "a.sh", "b", "c"]
    assert shellscripts.find(tmp_path) == found
    (tmp_path / ".gitignore").write_text(".venv\n")
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    assert shellscripts.find(tmp_path) == found


def test_the_images_scripts_and_the_wrapper_are_checked() -> None:
    scripts = {"invoke", ".ci/run", "base-notebook/start-singleuser.sh", "anaconda3/install-distribution.sh"}
    assert scripts <= set(shellscripts.find(CHECKOUT))


@pytest.mark.parametrize(
    ("took", "passes", "rest"),
    [
        (41, True, ["./invoke test --rest --minutes 25"]),
        (60, True, ["./invoke test --rest --minutes 18"]),
        (70, True, ["./invoke test --rest --minutes 8"]),
        (71, True, []),
        (95, True, []),
        (5, False, []),
    ],
)
def test_ci_runs_the_readme_s_test_command_and_then_long_groups_in_the_minutes_left(
    tmp_path: Path, took: int, passes: bool, rest: list[str]
) -> None:
    """`.ci/run` itself, with a `date` that jumps by `took` minutes and an `invoke` that writes down how it was called."""
    run = tmp_path / ".ci" / "run"
    run.parent.mkdir()
    shutil.copy(CHECKOUT / ".ci" / "run", run)
    date = f"#!/bin/sh\n[ -e called ] && echo {1_000_000 + took * 60} || echo 1000000\n"
    invoke = f'#!/bin/sh\necho "$0 $*" >>called\nexit {0 if passes else 1}\n'
    for path, script in ((tmp_path / "date", date), (tmp_path / "invoke", invoke)):
        path.write_text(script)
        path.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    ended = subprocess.run([run], env=environment, cwd="/", timeout=60)
    assert (ended.returncode == 0) == passes
    assert (tmp_path / "called").read_text().splitlines() == ["./invoke setup test", *rest]
