"""Files of this machine are replaced as a whole, by however many runs at once, and a killed run leaves nothing for good."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from hubdeploy import files

_LENGTH = 200_000


def test_what_a_killed_run_left_goes_with_the_next(tmp_path: Path) -> None:
    path = tmp_path / "userlist"
    path.write_text("ada\n")
    child = os.fork()
    if child == 0:
        os.replace = lambda *names: os._exit(9)
        files.replace(path, b"grace\n" * 9, mode=0o644)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert path.read_text() == "ada\n"
    files.replace(path, b"linus\n", mode=0o600)
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("linus\n", 0o600)
    assert os.listdir(tmp_path) == ["userlist"]


def test_a_failed_write_leaves_the_old_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "userlist"
    path.write_text("ada\n")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        files.replace(path, b"grace\n", mode=0o644)
    assert path.read_text() == "ada\n"
    assert os.listdir(tmp_path) == ["userlist"]


def test_runs_at_the_same_time_leave_the_whole_file_of_one_of_them(tmp_path: Path) -> None:
    path = tmp_path / "userlist"
    contents = [letter * _LENGTH for letter in (b"a", b"b", b"c", b"d")]

    def write(content: bytes) -> None:
        for _ in range(20):
            files.replace(path, content, mode=0o644)
            assert path.read_bytes() in contents

    failed: list[BaseException] = []

    def noted(content: bytes) -> None:
        try:
            write(content)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=noted, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert os.listdir(tmp_path) == ["userlist"]
