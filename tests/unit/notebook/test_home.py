"""The link in a home to what its user shares with others: it never takes the place of a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.notebook import notebook_image

home = notebook_image.load("home")


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "of all" / "shared"
    folder.mkdir(parents=True)
    monkeypatch.setattr(home, "SHARED", folder)
    return folder


def test_the_link_is_there_as_long_as_anything_is_shared(tmp_path: Path, shared: Path) -> None:
    for _ in range(2):
        home.show_shared(tmp_path)
        assert (tmp_path / "shared").readlink() == shared
    shared.rmdir()
    for _ in range(2):
        home.show_shared(tmp_path)
        assert not (tmp_path / "shared").is_symlink()


@pytest.mark.parametrize("mine", ["file", "folder", "link"])
def test_what_the_user_has_under_that_name_stays(tmp_path: Path, shared: Path, mine: str) -> None:
    path = tmp_path / "shared"
    if mine == "link":
        path.symlink_to("/somewhere/else")
    elif mine == "folder":
        path.mkdir()
    else:
        path.write_text("mine")
    home.show_shared(tmp_path)
    shared.rmdir()
    home.show_shared(tmp_path)
    assert path.is_symlink() == (mine == "link")
    assert path.is_dir() == (mine == "folder")


def test_a_home_that_takes_no_link_is_no_obstacle(
    tmp_path: Path, shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home.show_shared(tmp_path / "missing")
    assert "cannot be made" in capsys.readouterr().err
