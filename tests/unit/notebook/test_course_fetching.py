"""What git may do while course material is fetched: each attack succeeds where git has its usual environment, and fails in
ours. What a user put where new material goes is renamed and never lost."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.git_server import GitServer, git
from tests.unit.notebook import notebook_image

fetching = notebook_image.load("course_material.fetching")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    root = tmp_path / "served"
    root.mkdir()
    with GitServer(root) as started:
        yield started


@pytest.fixture
def home(tmp_path: Path) -> Path:
    made = tmp_path / "home"
    made.mkdir()
    return made


def cloned(server: GitServer, home: Path, address: str, environ: dict[str, str]) -> bool:
    """Whether a clone with this environment came; it lies in the home."""
    target = home / "clone"
    words = ["git", "clone", "--quiet", "--", address, str(target)]
    return subprocess.run(words, cwd=home, env=environ, capture_output=True, timeout=60, check=False).returncode == 0


def usual(home: Path) -> dict[str, str]:
    """What a server has, as far as git reads it."""
    return {"PATH": os.environ["PATH"], "HOME": str(home), "GIT_TERMINAL_PROMPT": "0"}


def ours(home: Path) -> dict[str, str]:
    return dict(fetching.environment(usual(home), "http"))


def configure(home: Path, **values: str) -> None:
    for key, value in values.items():
        git("config", "--file", str(home / ".gitconfig"), key.replace("__", "."), value, cwd=home)


def test_no_other_protocol_is_spoken(server: GitServer, home: Path) -> None:
    configure(home, protocol__ext__allow="always")
    address = f"ext::touch {home}/harm"
    assert not cloned(server, home, address, ours(home))
    assert not (home / "harm").exists()
    cloned(server, home, address, usual(home))
    assert (home / "harm").exists()
    server.push("physics/mechanics", {"a.txt": "1"})
    local = f"file://{server.root}/physics/mechanics.git"
    assert not cloned(server, home, local, ours(home))
    assert cloned(server, home, local, usual(home))


def test_no_redirect_is_followed(server: GitServer, home: Path) -> None:
    evil = server.push("evil/mechanics", {"a.txt": "evil"})
    server.moved["/physics/mechanics.git"] = f"{evil}.git"
    address = f"{server.url}/physics/mechanics.git"
    assert not cloned(server, home, address, ours(home))
    assert not [one for one in server.asked if one.startswith("/evil")]
    assert cloned(server, home, address, usual(home))
    assert (home / "clone" / "a.txt").read_text() == "evil"


def test_no_program_of_a_home_runs_and_no_login_is_sent(server: GitServer, home: Path) -> None:
    hooks = home / "hooks"
    hooks.mkdir()
    (hooks / "post-checkout").write_text(f"#!/bin/sh\ntouch {home}/hook\n")
    (hooks / "post-checkout").chmod(0o755)
    (home / "filter").write_text(f"#!/bin/sh\ntouch {home}/filtered\ncat\n")
    (home / "filter").chmod(0o755)
    configure(home, core__hooksPath=str(hooks), filter__lfs__smudge=str(home / "filter"))
    configure(home, http__extraHeader="Authorization: Basic YWRhOnNlY3JldA==")
    server.push("physics/mechanics", {".gitattributes": "*.bin filter=lfs\n", "data.bin": "1"})
    address = f"{server.url}/physics/mechanics.git"
    assert cloned(server, home, address, ours(home))
    assert ((home / "hook").exists(), (home / "filtered").exists(), server.logins) == (False, False, [])
    (home / "clone").rename(home / "first")
    assert cloned(server, home, address, usual(home))
    assert (home / "hook").exists()
    assert (home / "filtered").exists()
    assert server.logins


def test_a_clones_own_configuration_runs_nothing_either(server: GitServer, home: Path) -> None:
    server.push("physics/mechanics", {".gitattributes": "*.bin filter=lfs\n", "data.bin": "1"})
    assert cloned(server, home, f"{server.url}/physics/mechanics.git", ours(home))
    clone = home / "clone"
    (clone / ".git/hooks/post-merge").write_text(f"#!/bin/sh\ntouch {home}/hook\n")
    (clone / ".git/hooks/post-merge").chmod(0o755)
    git("config", "filter.lfs.smudge", f"touch {home}/filtered; cat", cwd=clone)
    server.push("physics/mechanics", {"data.bin": "2"})

    def pull(environ: dict[str, str]) -> None:
        subprocess.run(["git", "pull", "--quiet", "--no-rebase"], cwd=clone, env=environ, timeout=60, check=True)

    pull(ours(home))
    assert (clone / "data.bin").read_text() == "2"
    assert ((home / "hook").exists(), (home / "filtered").exists()) == (False, False)
    server.push("physics/mechanics", {"data.bin": "3"})
    pull(usual(home))
    assert ((home / "hook").exists(), (home / "filtered").exists()) == (True, True)


def test_git_sees_of_a_servers_environment_what_the_network_needs_alone() -> None:
    given = {"HTTPS_PROXY": "http://proxy:3128", "GIT_SSH_COMMAND": "x", "JUPYTERHUB_API_TOKEN": "x", "LD_PRELOAD": "x"}
    seen = fetching.environment(given, "https")
    assert {name for name in seen if not name.startswith("GIT_")} == {"HTTPS_PROXY", "PATH", "HOME", "LANG"}
    assert "GIT_SSH_COMMAND" not in seen
    assert seen["GIT_ALLOW_PROTOCOL"] == "https"


def made_room(server: GitServer, home: Path) -> Path:
    """The clone, after what is new was fetched and room was made for it."""
    clone = home / "clone"
    git("fetch", "--quiet", cwd=clone)
    list(fetching.make_room(clone, "origin/main"))
    return clone


def clone_of(server: GitServer, home: Path, files: dict[str, str | None], links: dict[str, str] | None = None) -> Path:
    server.push("physics/mechanics", files, links)
    assert cloned(server, home, f"{server.url}/physics/mechanics.git", ours(home))
    return home / "clone"


def contents(folder: Path) -> list[str]:
    return sorted(one.read_text() for one in folder.rglob("*") if one.is_file() and ".git" not in one.parts)


@pytest.mark.parametrize("name", ["week2/a.ipynb", 'übung "2".ipynb', "%H.ipynb"])
def test_a_users_file_with_a_name_of_a_new_one_is_renamed(server: GitServer, home: Path, name: str) -> None:
    clone = clone_of(server, home, {"a.txt": "1"})
    (clone / name).parent.mkdir(exist_ok=True)
    (clone / name).write_text("mine")
    server.push("physics/mechanics", {name: "theirs"})
    made_room(server, home)
    assert not (clone / name).exists()
    assert contents(clone) == ["1", "mine"]


def test_a_users_folder_in_a_files_place_and_file_in_a_folders_place_are_renamed(server: GitServer, home: Path) -> None:
    clone = clone_of(server, home, {"notes": "1", "data/a.csv": "2", "kept/x.txt": "3"})
    (clone / "notes").unlink()
    (clone / "notes").mkdir()
    (clone / "notes" / "mine.txt").write_text("mine 1")
    (clone / "data" / "a.csv").unlink()
    (clone / "data").rmdir()
    (clone / "data").write_text("mine 2")
    (clone / "new").write_text("mine 3")
    server.push("physics/mechanics", {"data/a.csv": None, "new/b.csv": "4"})
    made_room(server, home)
    assert contents(clone) == ["3", "mine 1", "mine 2", "mine 3"]
    assert not [one for one in ("notes", "data", "new") if (clone / one).exists()]


def test_what_lies_behind_a_link_is_never_renamed(server: GitServer, home: Path) -> None:
    keys = home / ".ssh"
    keys.mkdir()
    (keys / "id_rsa").write_text("key")
    clone = clone_of(server, home, {"a.txt": "1", "own/id_rsa": "2"}, {"theirs": str(keys)})
    (clone / "own" / "id_rsa").unlink()
    (clone / "own").rmdir()
    (clone / "own").symlink_to(keys)
    server.work("physics/mechanics").joinpath("theirs").unlink()
    server.push("physics/mechanics", {"theirs/id_rsa": "evil", "own/id_rsa": "evil"})
    made_room(server, home)
    assert [one.name for one in keys.iterdir()] == ["id_rsa"]
    assert (keys / "id_rsa").read_text() == "key"


def test_what_is_in_nobodys_way_keeps_its_name(server: GitServer, home: Path) -> None:
    clone = clone_of(server, home, {"a.txt": "1", "data/a.csv": "2"})
    (clone / "a.txt").write_text("mine")
    (clone / "data" / "mine.csv").write_text("mine")
    (clone / "other").mkdir()
    server.push("physics/mechanics", {"a.txt": "3", "data/b.csv": "4", "other/c.csv": "5"})
    before = sorted(clone.rglob("*.*"))
    made_room(server, home)
    assert [one for one in before if not one.exists()] == []
