"""The table of long groups is whole and true: every long test has its group, and every input is there and counts."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from develop import checkout, longtests, records
from develop.groups import GROUPS, Group

CHECKOUT = Path(__file__).resolve().parents[3]
_NOT_COPIED = shutil.ignore_patterns(
    ".git", ".venv", ".env.local", "secrets", "installers", "artifacts", "__pycache__", ".*_cache", ".hypothesis"
)
# What makes tests' machines imports it to install Debian's packages; what a deployment is does not hang on it.
_NO_INPUT = "hubdeploy/machine/"


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with the checkout's files in it, which is a clone or a copy of one."""
    root = tmp_path_factory.mktemp("repository") / "checkout"
    shutil.copytree(CHECKOUT, root, symlinks=True, ignore=_NOT_COPIED)
    subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)
    return root


def holds(group: Group, test: str) -> bool:
    """True if one of the group's arguments makes pytest run the test, of which the whole name is given."""
    return any(test == one or test.startswith((f"{one}::", f"{one}[")) for one in group.tests)


def test_every_long_test_is_in_exactly_one_group_and_every_argument_names_one() -> None:
    # The marks' names stand wherever they are used; to collect all others takes longer than all tests of this file.
    named = [
        path for path in (CHECKOUT / "tests").rglob("test_*.py") if re.search(r"\b(slow|nested)\b", path.read_text())
    ]
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", longtests.MARKS, *map(str, named)]
    environ = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    printed = subprocess.run(command, cwd=CHECKOUT, env=environ, capture_output=True, text=True, check=True).stdout
    tests = [line for line in printed.splitlines() if line.startswith("tests/")]
    assert len(tests) > 20
    assert {test: [group.name for group in GROUPS if holds(group, test)] for test in tests} == {
        test: [next((group.name for group in GROUPS if holds(group, test)), "a group")] for test in tests
    }
    arguments = [one for group in GROUPS for one in group.tests]
    assert [one for one in arguments if not any(test.startswith(one) for test in tests)] == []


def test_no_group_is_longer_than_eight_minutes_and_names_are_not_used_twice() -> None:
    assert all(0 < group.minutes <= 8 for group in GROUPS)
    assert len({group.name for group in GROUPS}) == len(GROUPS)


def test_each_record_is_of_a_group() -> None:
    kept = {path.stem for path in (CHECKOUT / records.FOLDER).glob("*.json")}
    assert kept <= {group.name for group in GROUPS}


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
def test_each_input_names_files(copy: Path, group: Group) -> None:
    assert [one for one in group.inputs if not checkout.files(copy, [one.removeprefix(":!")])] == []


def imported(path: Path) -> set[str]:
    """The files of the checkout that a test's module imports itself."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    names = {f"{name.replace('.', '/')}.py" for name in found}
    return {name for name in names if (CHECKOUT / name).exists() and not name.startswith(_NO_INPUT)}


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
def test_the_inputs_hold_the_tests_and_what_they_import(copy: Path, group: Group) -> None:
    inputs = set(checkout.files(copy, group.inputs))
    modules = {test.partition("::")[0] for test in group.tests}
    assert (modules | {name for module in modules for name in imported(CHECKOUT / module)}) - inputs == set()


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
def test_an_edited_input_changes_the_digest_and_an_unrelated_file_does_not(copy: Path, group: Group) -> None:
    before = records.digest(copy, group)
    for name in ("README.md", "docs/images.md", "tests/unit/test_docs.py", "develop/records/new.json"):
        unrelated = copy / name
        unrelated.parent.mkdir(exist_ok=True)
        unrelated.write_text("another text\n")
    assert records.digest(copy, group) == before
    for test in group.tests:
        path = copy / test.partition("::")[0]
        text = path.read_text()
        path.write_text(text + "# an edit\n")
        assert records.digest(copy, group) != before
        path.write_text(text)
    assert records.digest(copy, group) == before
