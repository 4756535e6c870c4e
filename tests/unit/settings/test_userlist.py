"""What a userlist may say, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from hubdeploy.contract.documents import User
from hubdeploy.engine import context_paths
from hubdeploy.settings.userlist import parse

CHECKOUT = Path(__file__).resolve().parents[3]


def test_users_flags_comments_and_blank_lines() -> None:
    users, problems = parse(
        "# people\nkaben admin\n\n  dana sudo  # until June\neve admin sudo\nfay\n", source="userlist"
    )
    assert problems == []
    assert users == (
        User("kaben", admin=True), User("dana", sudo=True), User("eve", admin=True, sudo=True), User("fay"),
    )  # fmt: skip


def test_names_are_lower_case_as_the_hub_makes_them() -> None:
    assert parse("Kaben admin\n", source="userlist")[0] == (User("kaben", admin=True),)


def test_a_form_feed_makes_no_user_of_the_flag_behind_it() -> None:
    assert parse("kaben\x0cadmin\n", source="userlist") == ((User("kaben", admin=True),), [])


def test_the_same_line_twice_is_no_problem() -> None:
    assert parse("kaben\nkaben\n", source="userlist") == ((User("kaben"),), [])


@pytest.mark.parametrize(
    ("text", "where", "words"),
    [
        ("kaben admn", "userlist:1", "did you mean admin?"),
        ("kaben boss", "userlist:1", "unknown flag boss"),
        ("ka/ben", "userlist:1", "is not a user name"),
        ("../x admin", "userlist:1", "is not a user name"),
        ("kaben admin\nkaben", "userlist:2", "other flags here than on line 1"),
        ("ann\x1b[31m", "userlist:1", "ann\\x1b[31m"),
        ("ann \x1b[31m", "userlist:1", "unknown flag \\x1b[31m"),
        ("", "userlist", "names no user"),
        ("# nobody\n", "userlist", "names no user"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_line(text: str, where: str, words: str) -> None:
    _, problems = parse(text, source="userlist")
    assert [problem.where for problem in problems] == [where]
    assert words in str(problems[0])


def test_the_older_layouts_userlist_is_a_link_to_the_list_and_goes_into_no_image() -> None:
    older = CHECKOUT / "jupyterhub" / "userlist"
    assert older.is_symlink()
    assert older.readlink() == Path("../userlist")
    assert "userlist" not in context_paths(older.parent)
