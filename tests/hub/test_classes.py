"""A class on the real images: servers that the hub starts by the clock, and folders that are collected at its end."""

from __future__ import annotations

import json
import re
import stat
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Page, expect

from tests.hub import window
from tests.hub.clone import Clone
from tests.hub.waiting import until

_PASSWORD = "password of these tests"
_USERS = "kaben admin @staff\nada @physics\nbob @physics\ndan @physics\neve @maths\n"
_STARTED_WITHIN = 90
_HOMEWORK = """
import os
os.makedirs("homework/week3/data")
open("homework/week3/answer.txt", "w").write("42")
os.symlink("/etc/passwd", "homework/week3/link")
os.chmod("homework", 0o700)
"""


@pytest.fixture(scope="module")
def lab(new_lab: Callable[..., Clone]) -> Iterator[Clone]:
    made = new_lab(_USERS, USER_PASSWORD=_PASSWORD)
    yield made
    made.remove()


def running(lab: Clone) -> set[str]:
    return {name for name in ("ada", "bob", "dan", "eve", "kaben") if lab.has_container(lab.server_name(name))}


def refused(lab: Clone, *words: str) -> str:
    """What a command prints that ends with 1, without a terminal."""
    ended = subprocess.run(
        [sys.executable, "-m", "hubdeploy.commands.commandline", *words], cwd=lab.root, env=lab.environ,
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert ended.returncode == 1, ended.stdout
    assert "Traceback" not in ended.stderr
    return ended.stdout + ended.stderr


def next_minute(lab: Clone) -> datetime:
    return datetime.now(ZoneInfo(lab.settings.timezone)).replace(second=0, microsecond=0) + timedelta(minutes=1)


@pytest.mark.slow
def test_servers_of_a_group_start_by_the_clock_and_nobody_waits_for_theirs(
    lab: Clone, new_page: Callable[[], Page], artifacts: Path
) -> None:
    due = next_minute(lab)
    lab.invoke("class", "prepare", "@maths", "--at", f"{due:%H:%M}")
    assert "withdrawn" in lab.invoke("class", "prepare", "@maths", "--withdraw")
    said = lab.invoke("class", "prepare", "@physics", "--at", f"{due:%H:%M}")
    assert "@physics, 3 people" in said
    assert "to come" in lab.invoke("class", "prepare")
    if time.time() < due.timestamp():
        assert not running(lab)
    until(lambda: running(lab) == {"ada", "bob", "dan"}, 60 + _STARTED_WITHIN, "servers of the group run")
    until(lambda: "3 of 3 people started" in lab.invoke("class", "prepare"), _STARTED_WITHIN, "the outcome is there")
    boss = lab.person("kaben").enter(lab.admin_password)
    accounts = {one["name"]: one for one in boss.call("GET", "/hub/api/users").json()}
    assert {name for name, one in accounts.items() if one["server"]} == {"ada", "bob", "dan"}
    assert not [
        one for one in boss.call("GET", "/hub/api/users/ada/tokens").json()["api_tokens"] if "class" in one["note"]
    ]
    page = new_page()
    window.log_in(page, lab.url, "ada", _PASSWORD)
    page.goto(f"{lab.url}/hub/spawn")
    expect(window.launcher(page)).to_be_visible(timeout=60_000)
    page.screenshot(path=artifacts / "class-prepared.png")
    lab.invoke("class", "prepare", "@physics")
    until(lambda: "3 ran" in lab.invoke("class", "prepare"), _STARTED_WITHIN, "who has a server keeps it")
    assert "start of servers of @physics ordered" in lab.invoke("audit")


@pytest.mark.slow
def test_a_class_that_is_closed_gives_its_folders_and_its_users_know(
    lab: Clone, new_page: Callable[[], Page], artifacts: Path
) -> None:
    people: dict[str, Any] = {}
    for name in ("ada", "dan", "eve"):
        people[name] = lab.person(name).enter(_PASSWORD)
        people[name].start_server()
    kernel = people["ada"].open_kernel()
    kernel.run(_HOMEWORK)
    page = new_page()
    window.log_in(page, lab.url, "ada", _PASSWORD)
    page.goto(f"{lab.url}/user/ada/lab")
    expect(window.launcher(page)).to_be_visible(timeout=60_000)

    before = running(lab)
    assert "no terminal" in refused(lab, "class", "close", "@physics", "homework/week3")
    assert "the hub knows: @maths, @physics, @staff" in refused(lab, "class", "close", "@phisics", "homework", "--yes")
    assert "without . and .." in refused(lab, "class", "close", "@physics", "../ada", "--yes")
    assert running(lab) == before

    said = lab.invoke("class", "close", "@physics", "homework/week3", "--yes")
    assert running(lab) == {"eve"}, "nobody else's server is stopped"
    (folder,) = (lab.root / "collected").iterdir()
    assert re.search(r"1 of 3 collected into collected/physics-", said)
    assert "no such folder" in said
    assert [one.name for one in folder.iterdir()] == ["ada.tar.gz"]
    with tarfile.open(folder / "ada.tar.gz") as tar:
        assert {one.name for one in tar if one.isreg()} == {"ada/homework/week3/answer.txt"}
    modes = {stat.S_IMODE(one.stat().st_mode) for one in (folder, folder.parent)}
    assert (modes, stat.S_IMODE((folder / "ada.tar.gz").stat().st_mode)) == ({0o700}, 0o600)
    audit = lab.invoke("audit", "--user", "ada")
    assert "files collected" in audit
    assert "server stopped, as the class is over" in audit

    page.goto(f"{lab.url}/hub/home")
    expect(page.get_by_text("as the class is over")).to_be_visible()
    page.screenshot(path=artifacts / "class-closed.png")
    window.start_server(page, lab.url)
    expect(page.get_by_text("Your folder homework/week3 was collected")).to_be_visible(timeout=60_000)
    page.screenshot(path=artifacts / "class-collected.png")
    kernel = people["ada"].open_kernel()
    assert json.loads(kernel.run("import json, os; print(json.dumps(os.listdir('homework/week3')))")), "the files stay"
