"""What an operator sees and answers on a terminal of 80 columns: a real pseudo-terminal, the real command line."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterator

import docker
import pytest

from hubdeploy.contract import labels
from tests import terminal
from tests.engine.project import BASE, Project
from tests.engine.test_command_line import checkout as checkout


@pytest.fixture
def long_named(client: docker.DockerClient, checkout: Project) -> Iterator[Project]:
    """A project whose names are as long as the default ones."""
    named = dataclasses.replace(checkout, name=f"{checkout.name}-jupyterhub")
    named.write_env(DOCKER_MACHINE_NAME=named.name)
    yield named
    named.remove(client)


def at_terminal(project: Project, *words: str, at: str = "", keys: str = "") -> tuple[int, list[str]]:
    """Exit code and lines of a command of the project."""
    return terminal.run(project.root, os.environ, *words, at=at, keys=keys)


def start_server(client: docker.DockerClient, project: Project, user: str) -> None:
    carried = {labels.DEPLOYMENT: project.name, labels.ROLE: labels.SERVER, labels.USER: user}
    network = f"{project.name}-network"
    client.containers.run(BASE, ["/bin/busybox", "sleep", "600"], detach=True, labels=carried, network=network)


def test_an_operator_reads_whole_names_declines_interrupts_and_goes_on(
    client: docker.DockerClient, long_named: Project
) -> None:
    project = long_named
    at_terminal(project, "up")
    _, lines = at_terminal(project, "status")
    table = "\n".join(lines)
    for name in (
        "-hub ",
        "-proxy ",
        "-guard ",
        "-filter ",
        "-clock ",
        "/hub:latest ",
        "/proxy:latest ",
        "/anaconda3:latest ",
        "/base-notebook:latest ",
    ):
        assert f"{project.name}{name}" in table, table
    assert ("starting" in table, table.count("healthy")) == (False, 5), "as up has just said"

    start_server(client, project, "carriere4")
    start_server(client, project, "kaben")
    (project.root / "userlist").write_text("kaben admin\n" + "".join(f"student{n}\n" for n in range(20)))
    project.write_env(USER_MEMORY_LIMIT="1G")
    before = {one.id: one.status for one in client.containers.list(all=True, filters=project.own)}
    code, lines = at_terminal(project, "up", at="[y/N] ", keys="n\n")
    assert (code, "nothing of this plan was done" in lines) == (0, True)
    assert {one.id: one.status for one in client.containers.list(all=True, filters=project.own)} == before
    planned = " ".join(line.strip() for line in lines)
    assert max(map(len, lines)) <= terminal.COLUMNS
    assert "20 users added: student0, student1," in planned
    assert "student9; user carriere4 removed; USER_MEMORY_LIMIT: " in planned
    assert "-> 1G users: running servers stop: carriere4 " in planned
    assert "users: kaben picks it up at their next start" in planned

    code, lines = at_terminal(project, "up", "--yes", at="-hub is stopped (", keys="\x03")
    assert code == 130, lines[-8:]
    assert any(re.search(r"stopped by Ctrl-C: \d+ of 12 steps are done, and stay so", line) for line in lines), lines
    assert "  do:        run the same command again: it goes on from here" in lines
    (project.root / "base-notebook" / "version").write_text("2\n")
    project.up(yes=True)
    assert project.plan().steps == ()
    _, lines = at_terminal(project, "status")
    earlier = re.compile(rf"{project.name}/base-notebook:[0-9a-f]{{12}} ")
    assert any(earlier.match(line) for line in lines), "what docker image rm takes"
