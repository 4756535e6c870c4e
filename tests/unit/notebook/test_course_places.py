"""Where course material may go: no link is followed, and nothing is put into what is there already."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.git_server import git
from tests.unit.notebook import notebook_image

links = notebook_image.load("course_material.links")
places = notebook_image.load("course_material.places")
ADDRESS = "https://github.com/physics/mechanics"


def link(*folder: str, branch: str | None = None) -> Any:
    return links.Link(links.repository(ADDRESS), branch, folder or ("mechanics",), ())


def clone_of(folder: Path, address: str, *settings: tuple[str, str]) -> None:
    folder.mkdir(parents=True)
    git("init", "--quiet", str(folder), cwd=folder)
    for key, value in (("remote.origin.url", address), *settings):
        git("config", key, value, cwd=folder)


def refusal(notebooks: Path, wanted: Any) -> str:
    with pytest.raises(links.Refused) as refused:
        places.place(notebooks, wanted)
    return str(refused.value)


def test_a_folder_that_is_not_there_or_empty_is_new(tmp_path: Path) -> None:
    assert places.place(tmp_path, link("a", "b")) == places.Place(tmp_path / "courses" / "a" / "b", is_new=True)
    (tmp_path / "courses" / "a" / "b").mkdir(parents=True)
    assert places.place(tmp_path, link("a", "b")).is_new
    assert sorted(tmp_path.rglob("*")) == [tmp_path / "courses", tmp_path / "courses/a", tmp_path / "courses/a/b"]


def test_a_clone_of_the_repository_is_brought_up_to_date(tmp_path: Path) -> None:
    clone_of(
        tmp_path / "courses/mechanics", f"{ADDRESS}.git", ("remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*")
    )
    assert not places.place(tmp_path, link(branch="any")).is_new


def test_no_link_is_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    for at in ("courses", "courses/mechanics", "courses/a"):
        notebooks = tmp_path / at.replace("/", "-")
        (notebooks / at).parent.mkdir(parents=True)
        (notebooks / at).symlink_to(outside)
        assert f"{at} is a link" in refusal(notebooks, link(*(("a", "b") if at.endswith("/a") else ())))
    dangling = tmp_path / "dangling"
    (dangling / "courses").mkdir(parents=True)
    (dangling / "courses/mechanics").symlink_to(tmp_path / "nothing")
    assert "is a link" in refusal(dangling, link())


def test_what_holds_anything_else_is_left_alone(tmp_path: Path) -> None:
    courses = tmp_path / "courses"
    clone_of(courses / "other", "https://github.com/physics/optics")
    assert "holds another repository" in refusal(tmp_path, link("other"))
    assert "inside of courses/other" in refusal(tmp_path, link("other", "mechanics"))
    clone_of(courses / "branch", ADDRESS, ("remote.origin.fetch", "+refs/heads/main:refs/remotes/origin/main"))
    assert "holds another branch than ain" in refusal(tmp_path, link("branch", branch="ain"))
    (courses / "own").mkdir()
    (courses / "own" / "notes.txt").write_text("mine")
    assert "did not come from this repository" in refusal(tmp_path, link("own"))
    (courses / "file").write_text("mine")
    assert "courses/file is no folder" in refusal(tmp_path, link("file"))
    (courses / "linked").mkdir()
    (courses / "linked" / ".git").symlink_to(courses / "other" / ".git")
    assert "did not come from this repository" in refusal(tmp_path, link("linked"))
