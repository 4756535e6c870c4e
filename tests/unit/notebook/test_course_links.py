"""What links of nbgitpuller may say, and which repositories an entry of COURSE_REPOSITORIES lets in."""

from __future__ import annotations

from typing import Any

import pytest

from hubdeploy.settings import readers
from tests.unit.notebook import notebook_image

links = notebook_image.load("course_material.links")
MECHANICS = "https://github.com/physics/mechanics"


def allowed(setting: str) -> Any:
    """What a server gets of the setting."""
    return links.entries(" ".join(readers.course_repositories(setting)))


def fits(address: str, setting: str) -> bool:
    try:
        links.fitting(address, allowed(setting))
    except links.Refused:
        return False
    return True


@pytest.mark.parametrize(
    "address",
    [
        MECHANICS,
        f"{MECHANICS}.git",
        f"{MECHANICS}/",
        "https://GitHub.com/physics/mechanics",
        "https://github.com:443/physics/mechanics.git",
    ],
)
def test_a_repository_is_the_same_in_each_of_its_spellings(address: str) -> None:
    for setting in (MECHANICS, f"{MECHANICS}.git", "https://GITHUB.com:443/physics/*"):
        assert fits(address, setting)
    assert links.repository(address).name == "mechanics"


@pytest.mark.parametrize(
    "address",
    [
        "https://github.com/chemistry/mechanics",
        "https://github.com/physics-lab/mechanics",
        "https://github.com/physics",
        "https://github.com/physics/mechanics/tree",
        "https://github.com/Physics/mechanics",
        "https://github.com.evil.example/physics/mechanics",
        "https://evil.example/github.com/physics/mechanics",
        "https://xgithub.com/physics/mechanics",
        "https://github.com:8443/physics/mechanics",
        "http://github.com/physics/mechanics",
        "https://github.com/physics/../chemistry/mechanics",
        "https://github.com/physics/..",
        "https://github.com/physics/%2e%2e/chemistry/mechanics",
        "https://github.com/physics/.git",
        "https://github.com//physics/mechanics",
        "https://github.com/physics/mechanics?x",
        "https://github.com/physics/mechanics#x",
        "https://github.com/physics/mechanics\n",
        "https://github.com/physics/mech anics",
        "https://ada:secret@github.com/physics/mechanics",
        "https://github.com@evil.example/physics/mechanics",
        "https://evil.example\\@github.com/physics/mechanics",
        "https://github.com/physics/mechanícs",
        "https://gіthub.com/physics/mechanics",
        "https://github.com/physics/-u",
        "ext::sh -c true",
        "file:///physics/mechanics",
        "ssh://git@github.com/physics/mechanics",
        "ssh://-oProxyCommand=true/physics/mechanics",
        "git@github.com:physics/mechanics",
        "git://github.com/physics/mechanics",
        "ftp://github.com/physics/mechanics",
        "HTTPS://github.com/physics/mechanics",
        "--upload-pack=true",
        "-u",
        "/home/cryptic",
        "mechanics",
        "https://github.com/physics/" + "m" * 500,
        "",
    ],
)
def test_what_fits_no_entry_is_refused_with_words(address: str) -> None:
    with pytest.raises(links.Refused, match=r"\."):
        links.fitting(address, allowed("https://github.com/physics/*"))


def test_without_encryption_only_where_an_entry_says_so() -> None:
    assert fits("http://git.lan/physics/mechanics", "http://git.lan:80/physics/*")
    assert not fits("https://git.lan/physics/mechanics", "http://git.lan/physics/*")


def test_an_entry_may_be_a_whole_host() -> None:
    assert fits("https://git.lan:8443/mechanics.git", "https://git.lan:8443/*")
    assert not fits("https://git.lan:8443/physics/mechanics", "https://git.lan:8443/*")


@pytest.mark.parametrize(
    "text",
    [
        "https://github.com*",
        "https://github.com/physics*",
        "https://*.github.com/physics/mechanics",
        "https://github.com/*/mechanics",
        "https://github.com/physics/**",
        "https://github.com",
        "https://github.com/",
        "https://github.com/.git",
        "https://ada:secret@github.com/physics/*",
        "https://github.com:0/physics/*",
        "https://github.com:/physics/*",
        "https://github.com/physics/*?x",
        "github.com/physics/*",
        "git@github.com:physics/*",
        "ssh://github.com/physics/*",
        "*",
        ",",
    ],
)
def test_an_entry_that_could_mean_more_than_it_says_is_refused(text: str) -> None:
    with pytest.raises(readers.Unfit):
        readers.course_repositories(f"https://git.example.org/maths/algebra,{text}" if text != "," else text)


def test_entries_are_read_in_one_spelling() -> None:
    text = (
        "https://GitHub.com:443/physics/*, https://git.example.org:08443/maths/algebra.git https://github.com/physics/*"
    )
    assert readers.course_repositories(text) == (
        "https://github.com/physics/*",
        "https://git.example.org:8443/maths/algebra",
    )


@pytest.mark.parametrize(
    "name",
    [
        *("-u", "--upload-pack=true", "-c core.sshCommand=true", "../main", "a..b", "main.lock", "a//b", "a/.b", "a/"),
        *("refs@{1}", "a b", "a:b", "a~1", "a^", "a?", "*", "mäin", "a\nb", "a" * 201),
    ],
)
def test_a_branch_that_git_could_take_for_something_else_is_refused(name: str) -> None:
    with pytest.raises(links.Refused):
        links.branch(name)


def test_usual_names_of_branches_are_taken() -> None:
    assert [links.branch(one) for one in ("main", "2026/winter", "v1.0", "feature_x-2")] == [
        *("main", "2026/winter", "v1.0", "feature_x-2")
    ]
    assert links.branch("") is None


@pytest.mark.parametrize(
    "text",
    [
        *(
            "..",
            "../x",
            "x/..",
            "x/../../y",
            "/etc",
            "//x",
            ".ssh",
            "x/.git",
            ".",
            "x/./y",
            "-u",
            "~",
            "~root",
            "$HOME",
        ),
        *(
            "courses/..",
            "courses/../.ssh",
            "courses/.ssh",
            "%2e%2e",
            "%2e%2e/x",
            "x\\..\\y",
            "x\0y",
            "x\ny",
            "x\u202ey",
        ),
        *(
            "\uff0e\uff0e",
            "\u2024\u2024",
            "x\uff0fy",
            "e\u0301",
            " x",
            "x ",
            "x:y",
            "x*",
            "a/b/c/d/e/f",
            "n" * 201,
            "ü" * 101,
        ),
    ],
)
def test_no_folder_leads_out_of_the_courses_or_to_a_hidden_one(text: str) -> None:
    with pytest.raises(links.Refused):
        links.folder(text, links.repository(MECHANICS))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ("mechanics",)),
        ("week 1", ("week 1",)),
        ("physics/mechanics/", ("physics", "mechanics")),
        ("courses/mechanics", ("mechanics",)),
        ("courses", ("courses",)),
        ("Übungen (2026)", ("Übungen (2026)",)),
    ],
)
def test_folders_lie_below_the_courses(text: str, found: tuple[str, ...]) -> None:
    assert links.folder(text, links.repository(f"{MECHANICS}.git")) == found


@pytest.mark.parametrize(
    ("page", "beside", "found"),
    [
        ("lab/tree/mechanics/week 1/a.ipynb", "", "week 1/a.ipynb"),
        ("lab/tree/mechanics/a.ipynb?autodecode", "", "a.ipynb"),
        ("/tree/courses/mechanics/a.ipynb", "", "a.ipynb"),
        ("notebooks/mechanics.git/a.ipynb", "", "a.ipynb"),
        ("lab/workspaces/x/tree/mechanics/a.ipynb", "", "a.ipynb"),
        ("lab/tree/mechanics", "", ""),
        ("lab", "", ""),
        ("", "week1/a.ipynb", "week1/a.ipynb"),
        ("", ".", ""),
        # What lies elsewhere is not opened, and no other site.
        ("lab/tree/other/a.ipynb", "", ""),
        ("lab/tree/mechanics/../../.ssh/id_rsa", "", ""),
        ("lab/tree/mechanics/.git/config", "", ""),
        ("https://evil.example/lab/tree/mechanics/a.ipynb", "", ""),
        ("//evil.example", "", ""),
        ("javascript:alert(1)", "", ""),
        ("", "../../.ssh", ""),
        ("lab/tree/mechanics/" + "n" * 300, "", ""),
    ],
)
def test_a_link_opens_a_file_of_its_folder_and_nothing_else(page: str, beside: str, found: str) -> None:
    opened = links.file_in(page, beside, ("mechanics",), links.repository(f"{MECHANICS}.git"))
    assert "/".join(opened) == found


def test_a_link_with_a_folder_of_its_own_opens_files_there() -> None:
    mechanics = links.repository(MECHANICS)
    for page in ("lab/tree/week1/a.ipynb", "lab/tree/courses/week1/a.ipynb", "lab/tree/mechanics/a.ipynb"):
        assert links.file_in(page, "", ("week1",), mechanics) == ("a.ipynb",)
