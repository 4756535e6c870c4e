"""`.env.local`: what is written reads back, and what a person wrote stays."""

from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubdeploy.settings import dotenv, env_local


def entries(path: Path) -> dict[str, str]:
    read, problems = dotenv.parse(path.read_text(encoding="utf-8"), source=path.name, environ={})
    assert problems == []
    return {key: entry.value for key, entry in read.items()}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / ".env.local"


def test_a_new_file_has_mode_0600_and_says_the_reason_above_the_value(file: Path) -> None:
    env_local.remember(file, {"BASE_IMAGE": "hubdeploy/base:bookworm"}, "no registry answers")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text().splitlines()[-2:] == ["# no registry answers", "BASE_IMAGE=hubdeploy/base:bookworm"]


def test_existing_lines_stay_to_the_byte(file: Path) -> None:
    text = "# mine \u2028 own\r\n\r\nNB_UID=1234   # why\r\nexport HUB_PORT='8443'\n"
    file.write_bytes(text.encode())
    env_local.remember(file, {"BASE_IMAGE": "x:1"}, "reason")
    assert file.read_bytes().startswith(text.encode())
    assert entries(file) == {"NB_UID": "1234", "HUB_PORT": "8443", "BASE_IMAGE": "x:1"}


def test_a_value_that_is_there_is_kept(file: Path) -> None:
    file.write_text("BASE_IMAGE=mine:1\n")
    env_local.remember(file, {"BASE_IMAGE": "other:2"}, "reason")
    assert file.read_text() == "BASE_IMAGE=mine:1\n"


@pytest.mark.parametrize("unset", ["", "<a password>"])
def test_an_empty_key_and_a_placeholder_get_the_value_in_their_place(file: Path, unset: str) -> None:
    file.write_text(f"USER_PASSWORD={unset}\nNB_UID=1234\n")
    env_local.remember(file, {"USER_PASSWORD": "abc"}, "reason")
    assert file.read_text() == "USER_PASSWORD=abc\nNB_UID=1234\n"


def test_twice_is_as_once_and_mode_is_fixed(file: Path) -> None:
    env_local.remember(file, {"A_KEY": "1"}, "reason")
    text = file.read_text()
    file.chmod(0o644)
    env_local.remember(file, {"A_KEY": "1"}, "reason")
    assert file.read_text() == text
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_it_prints_nothing_and_leaves_one_file(file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    env_local.remember(file, {"USER_PASSWORD": "a secret"}, "reason")
    env_local.remember(file, {"ADMIN_PASSWORD": "another"}, "reason")
    assert capfd.readouterr() == ("", "")
    assert [path.name for path in file.parent.iterdir()] == [".env.local"]


def test_a_last_line_without_a_line_end_stays_a_line(file: Path) -> None:
    file.write_text("NB_UID=1234")
    env_local.remember(file, {"A_KEY": "1"}, "reason")
    assert entries(file) == {"NB_UID": "1234", "A_KEY": "1"}


def test_a_reason_of_several_lines_stays_a_comment(file: Path) -> None:
    env_local.remember(file, {"A_KEY": "1"}, "first\nB_KEY=2\n" + "long " * 60)
    assert entries(file) == {"A_KEY": "1"}


def test_a_link_stays_a_link(file: Path, tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    target.write_text("")
    file.symlink_to(target)
    env_local.remember(file, {"A_KEY": "1"}, "reason")
    assert file.is_symlink()
    assert entries(target) == {"A_KEY": "1"}


def test_writers_at_the_same_time_lose_nothing(file: Path) -> None:
    writers = [
        threading.Thread(target=env_local.remember, args=(file, {f"KEY_{n}": str(n)}, "reason")) for n in range(20)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert entries(file) == {f"KEY_{n}": str(n) for n in range(20)}
    assert [path.name for path in file.parent.iterdir()] == [file.name]


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_any_value_reads_back_unchanged(value: str) -> None:
    text = env_local.added("", {"A_KEY": value}, "reason")
    read, problems = dotenv.parse(text, source=".env.local", environ={})
    assert problems == []
    assert read["A_KEY"].value == value
