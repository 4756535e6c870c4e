"""When a green run still holds: a digest over names, modes and contents of what git tracks or would track."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from develop import checkout, records
from develop.groups import Group
from develop.records import Record
from hubdeploy.errors import DeployError

GROUP = Group("one", ("tests/test_one.py",), ("room", "tests/*.py", ":!room/left_out"), 1)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    for name in ("room/a.py", "room/left_out/b.py", "tests/test_one.py", "other/c.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("text\n")
    (tmp_path / ".gitignore").write_text("*.log\n")
    subprocess.run(["git", "add", "."], cwd=tmp_path, check=True)
    return tmp_path


def commit(root: Path) -> None:
    who = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    subprocess.run(["git", *who, "commit", "--quiet", "--allow-empty", "--message=a step"], cwd=root, check=True)


def link(root: Path) -> None:
    (root / "room/a.py").unlink()
    (root / "room/a.py").symlink_to("left_out/b.py")


CHANGES: dict[str, Callable[[Path], object]] = {
    "content": lambda root: (root / "room/a.py").write_text("text!\n"),
    "mode": lambda root: (root / "room/a.py").chmod(0o755),
    "link": link,
    "name": lambda root: (root / "room/a.py").rename(root / "room/b.py"),
    "deleted": lambda root: (root / "room/a.py").unlink(),
    "not yet tracked": lambda root: (root / "room/new.py").write_text(""),
    "by its pattern": lambda root: (root / "tests/test_one.py").write_text(""),
}
NO_CHANGES: dict[str, Callable[[Path], object]] = {
    "nothing": lambda root: None,
    "date": lambda root: (root / "room/a.py").touch(),
    "another's reading right": lambda root: (root / "room/a.py").chmod(0o600),
    "ignored": lambda root: (root / "room/a.log").write_text(""),
    "left out": lambda root: (root / "room/left_out/b.py").write_text(""),
    "elsewhere": lambda root: (root / "other/c.py").write_text(""),
    "a commit": commit,
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_input_changes_the_digest(repository: Path, change: str) -> None:
    before = records.digest(repository, GROUP)
    CHANGES[change](repository)
    assert records.digest(repository, GROUP) != before


@pytest.mark.parametrize("change", NO_CHANGES)
def test_nothing_else_changes_the_digest(repository: Path, change: str) -> None:
    before = records.digest(repository, GROUP)
    NO_CHANGES[change](repository)
    assert records.digest(repository, GROUP) == before


def test_a_record_is_read_as_it_was_written_and_the_last_one_counts(tmp_path: Path) -> None:
    assert records.read(tmp_path, GROUP) is None
    for seconds in (1, 2):
        record = Record("0" * 64, ("tests/test_one.py::test_it",), "2026-11-27T10:00:00Z", seconds)
        records.write(tmp_path, GROUP, record)
        assert records.read(tmp_path, GROUP) == record


def test_outside_of_a_repository_there_are_no_inputs_to_compare(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match="not a git repository"):
        records.digest(tmp_path, GROUP)


def test_commits_are_counted(repository: Path) -> None:
    assert checkout.commits(repository) == 0
    for count in (1, 2):
        commit(repository)
        assert checkout.commits(repository) == count
