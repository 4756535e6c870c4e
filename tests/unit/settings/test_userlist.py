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


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("octo-", "octo-"),
        ("_build", "_build"),
        ("jana_a", "jana_a"),
        ("nadia.tschechow", "nadia.tschechow"),
        ("bob@example.org", "bob@example.org"),
        ("MÜLLER", "müller"),
        ("İnci", "i\u0307nci"),
        ("日本", "日本"),
        ("mu\u0308ller", "müller"),
        ("ü" * 32, "ü" * 32),
    ],
)
def test_names_that_the_hub_takes_are_taken(written: str, name: str) -> None:
    assert parse(f"{written} admin", source="userlist") == ((User(name, admin=True),), [])


def test_one_name_composed_and_decomposed_is_one_user() -> None:
    assert parse("müller\nmu\u0308ller\n", source="userlist") == ((User("müller"),), [])


def test_a_form_feed_makes_no_user_of_the_flag_behind_it() -> None:
    assert parse("kaben\x0cadmin\n", source="userlist") == ((User("kaben", admin=True),), [])


def test_the_same_line_twice_is_no_problem() -> None:
    assert parse("kaben\nkaben\n", source="userlist") == ((User("kaben"),), [])


@pytest.mark.parametrize(
    ("text", "where", "words"),
    [
        ("kaben admn", "userlist:1", "did you mean admin?"),
        ("kaben boss", "userlist:1", "a second word that is no flag"),
        ("kaben admin boss", "userlist:1", "a further word that is no flag"),
        ("kaben Admin", "userlist:1", "did you mean admin?"),
        ("admin admin\nlannq lannq", "userlist:2", "passwords do not stand here"),
        ("ada lovelace", "userlist:1", "a name has no blanks"),
        ("ada,grace", "userlist:1", "one user a line"),
        ("ada, grace", "userlist:1", "one user a line"),
        ("ada,admin", "userlist:1", "blanks between a name and its flags"),
        ("ada admin,sudo", "userlist:1", "blanks between flags"),
        ("ada admin, sudo", "userlist:1", "blanks between flags"),
        ("ada admin ,sudo", "userlist:1", "blanks between flags"),
        ("ka/ben", "userlist:1", "is not a user name"),
        ("-a", "userlist:1", "is not a user name"),
        ("a.", "userlist:1", "is not a user name"),
        ("ab\u200bc", "userlist:1", "ab\\u200bc"),
        ("ü" * 33, "userlist:1", "is too long"),
        ("x" * 65, "userlist:1", "is too long"),
        ("../x admin", "userlist:1", "is not a user name"),
        ("kaben admin\nkaben", "userlist:2", "other flags or groups here than on line 1"),
        ("ann\x1b[31m", "userlist:1", "ann\\x1b[31m"),
        ("ann \x1b[31m", "userlist:1", "no flag"),
        ("ada @Physics!", "userlist:1", "a group is @ and then a to z"),
        ("ada @course:write @course:read", "userlist:1", "reads and writes @course"),
        ("ada @course @course:read", "userlist:1", "reads and writes @course"),
        ("ada @physics\nada", "userlist:2", "other flags or groups here than on line 1"),
        ("ada\n@staff keep", "userlist:2", "is a group without a member"),
        ("ada @staff\n@staff", "userlist:2", "says nothing of its members"),
        ("ada @staff\n@staff kep", "userlist:2", "has a word that is no flag"),
        ("ada @staff\n@staff ada", "userlist:2", "members are named on their own lines"),
        ("ada @staff\n@staff write", "userlist:2", "has a word that is no flag"),
        ("ada @staff\n@st.ff keep", "userlist:2", "is not a group's name"),
        ("ada @staff\n@staff keep\n@staff sudo", "userlist:3", "other flags or groups here than on line 2"),
        ("@staff keep", "userlist:1", "is a group without a member"),
        ("", "userlist", "names no user"),
        ("# nobody\n", "userlist", "names no user"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_line(text: str, where: str, words: str) -> None:
    _, problems = parse(text, source="userlist")
    assert [problem.where for problem in problems] == [where]
    assert words in str(problems[0])


def test_groups_stand_behind_a_name_and_a_line_of_a_group_is_for_all_its_members() -> None:
    text = (
        "@staff keep sudo\n@course read\nada @staff @Course:write\nbob @course\neve @course @physics:read admin\nfay\n"
    )
    users, problems = parse(text, source="userlist")
    assert problems == []
    assert users == (
        User("ada", sudo=True, keep=True, groups=("course", "staff")),
        User("bob", groups=("course",), reads=("course",)),
        User("eve", admin=True, groups=("course", "physics"), reads=("course", "physics")),
        User("fay"),
    )


@pytest.mark.parametrize(
    "line",
    [
        "@staff {}",
        "@staff:{}",
        "ada @{}!",
        "ada {}",
        "ada admin {}",
        "ada {} admin",
        "ada,{}",
        "ada:{}",
        "ada={}",
        "ada;{} x",
        "ada, {}",
    ],
)
def test_nothing_behind_a_name_is_printed_as_people_write_passwords_there(line: str) -> None:
    _, problems = parse(line.format("s3cret-of-ada"), source="userlist")
    assert "s3cret" not in str(problems) + "".join(map(str, problems))
    assert [problem.key for problem in problems] == ["@staff" if line.startswith("@") else "ada"]


def test_the_older_layouts_userlist_is_a_link_to_the_list_and_goes_into_no_image() -> None:
    older = CHECKOUT / "jupyterhub" / "userlist"
    assert older.is_symlink()
    assert older.readlink() == Path("../userlist")
    assert "userlist" not in context_paths(older.parent)
