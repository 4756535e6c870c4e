"""What `class close` takes of a folder that is somebody else's: real files, links and pipes, a folder that turns into a link."""

from __future__ import annotations

import importlib
import os
import socket
import tarfile
from pathlib import Path
from typing import Any

import pytest

from hubdeploy.contract import collections
from tests import hub_modules

with hub_modules.importable():
    collecting = importlib.import_module("backup.collecting")

MOST = 1_000_000


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    folder = tmp_path / "volume"
    (folder / "homework" / "week3" / "data").mkdir(parents=True)
    (folder / "homework" / "week3" / "answer.ipynb").write_text("cells")
    (folder / "homework" / "week3" / "data" / "täble.csv").write_text("1,2")
    return folder


def collect(volume: Path, folder: str = "homework/week3", most: int = MOST) -> dict[str, Any]:
    into = volume.parent / "collected"
    into.mkdir(exist_ok=True)
    found: dict[str, Any] = collecting.collect(volume, "ada", folder, most, into)
    return found


def archive(volume: Path) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(volume.parent / "collected" / f"ada{collections.SUFFIX}") as tar:
        return {one.name: one for one in tar}


def test_files_and_folders_come_back_as_they_were(volume: Path, tmp_path: Path) -> None:
    os.chmod(volume / "homework/week3/answer.ipynb", 0o4600)
    assert collect(volume) == {"files": 2, "bytes": 8, "left_out": 0}
    with tarfile.open(tmp_path / "collected" / "ada.tar.gz") as tar:
        tar.extractall(tmp_path / "unpacked", filter="data")
    unpacked = tmp_path / "unpacked" / "ada" / "homework" / "week3"
    assert (unpacked / "answer.ipynb").read_text() == "cells"
    assert (unpacked / "data" / "täble.csv").read_text() == "1,2"
    assert {one.mode for one in archive(volume).values() if one.isreg()} == {0o644}
    assert {(one.uid, one.gid) for one in archive(volume).values()} == {(0, 0)}


def test_no_link_is_followed_and_what_is_no_file_is_left_out(volume: Path, tmp_path: Path) -> None:
    week, secret = volume / "homework" / "week3", tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_text("secret")
    (week / "to_folder").symlink_to(secret)
    (week / "to_file").symlink_to(secret / "key")
    os.mkfifo(week / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(week / "socket"))
        assert collect(volume) == {"files": 2, "bytes": 8, "left_out": 4}
    assert not [name for name in archive(volume) if "to_" in name or "key" in name]


@pytest.mark.parametrize("link", ["homework", "homework/week3"])
def test_a_link_on_the_way_to_the_folder_is_no_folder(volume: Path, tmp_path: Path, link: str) -> None:
    """A user could lead the helper to files of its own image, or of the operator."""
    place = volume / link
    place.rename(tmp_path / "elsewhere")
    place.symlink_to(tmp_path / "elsewhere")
    assert collect(volume) == {"refused": collections.NO_FOLDER}
    assert not list((tmp_path / "collected").iterdir())


@pytest.mark.parametrize("is_folder", [True, False], ids=["folder", "file"])
def test_what_turns_into_a_link_after_it_was_looked_at_is_not_followed(
    volume: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_folder: bool
) -> None:
    secret, turning = tmp_path / "secret", volume / "homework" / "week3" / "turning"
    for one in (secret, turning):
        (one.mkdir if is_folder else one.touch)()
    look = os.stat

    def stat(name: str, **where: Any) -> os.stat_result:
        found = look(name, **where)
        if name == turning.name:
            (turning.rmdir if is_folder else turning.unlink)()
            turning.symlink_to(secret)
        return found

    monkeypatch.setattr(collecting.os, "stat", stat)
    assert "changed while it was read" in collect(volume)["refused"]
    assert turning.is_symlink()


def test_a_folder_beyond_its_size_leaves_no_archive(volume: Path, tmp_path: Path) -> None:
    with (volume / "homework" / "week3" / "huge").open("wb") as file:
        # Without a block on the disk.
        file.truncate(10**12)
    assert collect(volume) == {"refused": "it has more than 1 MB"}
    assert not list((tmp_path / "collected").iterdir())


def test_a_folder_with_too_many_files_or_too_deep_is_refused(volume: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collections, "MOST_FILES", 1)
    assert collect(volume) == {"refused": "it has more than 1 files"}
    monkeypatch.setattr(collections, "MOST_FILES", 10)
    monkeypatch.setattr(collections, "DEEPEST", 0)
    assert "deep" in collect(volume)["refused"]


def test_a_name_that_is_no_text_is_taken(volume: Path, tmp_path: Path) -> None:
    (Path(os.fsdecode(os.fsencode(volume / "homework" / "week3") + b"/\xff\n.txt"))).write_text("odd")
    assert collect(volume)["files"] == 3
    with tarfile.open(tmp_path / "collected" / "ada.tar.gz") as tar:
        assert os.fsencode("ada/homework/week3/") + b"\xff\n.txt" in {os.fsencode(one.name) for one in tar}


def test_a_folder_that_is_not_there_is_said(volume: Path) -> None:
    assert collect(volume, "homework/week4") == {"refused": collections.NO_FOLDER}
    assert collect(volume, "homework/week3/answer.ipynb") == {"refused": collections.NO_FOLDER}
