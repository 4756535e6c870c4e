"""What is looked at before a backup: each kind of file that does not come back as it is, and sizes."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from backup import survey


def look(folder: Path) -> survey.Survey:
    return survey.look(os.fsencode(folder))


def test_what_does_not_come_back_as_it_is_is_named(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "inside" / "socket"))
    os.symlink(b"to-\xe9", tmp_path / "odd-link")
    os.symlink("to-ä", tmp_path / "link")
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(64 * 1024**2)
    found = look(tmp_path)
    assert found.sockets == [f"{tmp_path}/inside/socket"]
    assert found.links == [f"{tmp_path}/odd-link"]
    assert found.sparse == [f"{tmp_path}/sparse"]
    assert found.oddities()["sparse"] == {"count": 1, "paths": [f"{tmp_path}/sparse"]}


def test_a_file_with_two_names_counts_once_and_holes_count_as_contents(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 1000)
    os.link(tmp_path / "file", tmp_path / "again")
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(10_000_000)
    found = look(tmp_path)
    assert (found.files, found.size) == (3, 10_001_000)


def test_no_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "volume").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "file").write_bytes(b"x" * 1000)
    (tmp_path / "volume" / "link").symlink_to(tmp_path / "elsewhere")
    assert (look(tmp_path / "volume").files, look(tmp_path / "volume").size) == (1, 0)


def test_odd_names_become_one_line_of_text(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.fsencode(tmp_path) + b"/new\nline-\xe9")
    (name,) = look(tmp_path).sockets
    assert name == f"{tmp_path}/new\\nline-\\xe9"
