"""What a terminal of a hub has: its programs, a prompt and a title that name the user, an editor, and the right time."""

from __future__ import annotations

from collections.abc import Callable

import docker
import pytest

from tests.hub.clone import Clone
from tests.hub.person import Person
from tests.hub.test_images import PLAIN, output

# What the issue trackers of such hubs ask for, as commands.
TOOLS = "git less nano vim ssh scp wget curl rsync zip unzip ps top free file tree"


def test_terminal_has_its_tools(client: docker.DockerClient, notebook_image: str) -> None:
    look = f"for tool in {TOOLS}; do command -v $tool >/dev/null || echo $tool; done"
    assert output(client, notebook_image, ["bash", "-lc", look], **PLAIN) == ""


def test_git_clones_by_http_and_opens_the_editor(client: docker.DockerClient, notebook_image: str) -> None:
    steps = """
git init -q /tmp/origin && cd /tmp/origin && echo text > file && git add file
git config --global user.email a@b.c && git config --global user.name a && git commit -qm one && git update-server-info
python -m http.server -d /tmp 8000 2>/dev/null & until curl -fs localhost:8000/ >/dev/null; do :; done
git clone -q http://localhost:8000/origin/.git /tmp/copy && cat /tmp/copy/file && git var GIT_EDITOR
"""
    assert output(client, notebook_image, ["bash", "-lc", steps], **PLAIN).split() == ["text", "nano"]


@pytest.mark.parametrize("shell", ["-lic", "-ic"], ids=["login shell", "shell in a shell"])
@pytest.mark.parametrize("home", ["image's", "empty"])
def test_prompt_and_title_name_the_user(
    client: docker.DockerClient, notebook_image: str, shell: str, home: str
) -> None:
    # A user's name is only shown, whatever it holds.
    user, look = "ada$(id)@example.org", 'eval "$PROMPT_COMMAND"; eval "$PROMPT_COMMAND"; echo "${PS1@P}"'
    empty = "" if home == "image's" else "rm -f ~/.bashrc ~/.profile; "
    command = ["bash", "-c", f"cd; {empty}exec bash {shell} '{look}' 2>/dev/null"]
    environment = {"JUPYTERHUB_USER": user, "TERM": "xterm-256color"}
    shown = output(client, notebook_image, command, environment=environment, hostname="0123456789ab", **PLAIN)
    assert user in shown
    assert "0123456789ab" not in shown
    assert ("\x1b]0;" + user in shown) == (home == "image's")


def test_own_prompt_stays_as_it_is(client: docker.DockerClient, notebook_image: str) -> None:
    own = r"PS1='\\w at \\h> '"
    look = 'eval "$PROMPT_COMMAND"; echo "$PS1"'
    command = ["bash", "-c", f"echo \"{own}\" >> ~/.bashrc; exec bash -ic '{look}' 2>/dev/null"]
    assert output(client, notebook_image, command, **PLAIN) == r"\w at \h>"


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "America/Argentina/Buenos_Aires", "US/Pacific"])
def test_time_zone_is_known(client: docker.DockerClient, notebook_image: str, zone: str) -> None:
    code = f"import datetime, time, zoneinfo; print(time.strftime('%z'), datetime.datetime.now(zoneinfo.ZoneInfo('{zone}')))"
    command = ["bash", "-lc", f'date +%z; python -c "{code}"']
    shell, python, now = output(client, notebook_image, command, environment={"TZ": zone}, **PLAIN).split(maxsplit=2)
    assert shell == python != "+0000"
    assert now.replace(":", "").endswith(shell)


def test_servers_and_logs_have_the_time_zone_that_is_set(hub: Clone, logged_in: Callable[[str], Person]) -> None:
    person = logged_in("linus")
    person.start_server()
    kernel = person.open_kernel()
    assert kernel.run("import time; print(time.strftime('%z'))") == "+0530\n"
    kernel.close()
    for name in (hub.settings.hub_name, hub.settings.proxy_name):
        assert hub.container(name).exec_run(["date", "+%z"]).output == b"+0530\n"
