"""What goes wrong while a failure is being reported is a line of the report: the run goes on, and the failure is shown."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from docker.types import LogConfig

from hubdeploy.contract import labels
from tests.engine.project import BASE, CHECKOUT, TEST_LABEL

# The hub's tests report by this hook, on the deployments that are there when one fails.
CONFTEST = "from tests.hub.conftest import pytest_runtest_makereport\n"
TESTS = """
import docker
from tests.hub.clone import Clone
from tests.hub.conftest import _LIVING

def test_that_fails(pytestconfig, tmp_path):
    client = docker.from_env(version="{version}")
    pytestconfig.stash.setdefault(_LIVING, []).append(Clone(tmp_path, "{name}", 1, client))
    raise AssertionError("what the test is about")

def test_after_it():
    pass
"""


@pytest.fixture
def unreadable(client: docker.DockerClient, tmp_path: Path) -> Iterator[str]:
    """The name of a deployment, one of whose containers was never started and has no log to read; the other one has."""
    name = f"hubtest-{os.urandom(4).hex()}"
    carried = {labels.DEPLOYMENT: name, TEST_LABEL: name}
    no_log = client.api.create_host_config(log_config=LogConfig(type="none"))
    client.api.create_container(BASE, ["sh"], name=f"{name}-silent", labels=carried, host_config=no_log)
    client.containers.run(BASE, ["/bin/busybox", "echo", "its last words"], name=f"{name}-hub", labels=carried)
    yield name
    for container in client.containers.list(all=True, filters={"label": f"{TEST_LABEL}={name}"}):
        container.remove(force=True)


def run(folder: Path, name: str, version: str, **variables: str) -> str:
    """What pytest prints for the two tests. It must have ended as it ends when one test of two fails."""
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_two.py").write_text(TESTS.format(name=name, version=version))
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--rootdir={folder}", str(folder)]
    environ = {**os.environ, "PYTHONPATH": str(CHECKOUT), **variables}
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "INTERNALERROR" not in done.stdout
    assert "1 failed, 1 passed" in done.stdout
    assert "what the test is about" in done.stdout
    return done.stdout


def test_a_container_without_a_readable_log_is_reported_beside_the_others(unreadable: str, tmp_path: Path) -> None:
    printed = run(tmp_path, unreadable, "auto")
    assert f"{unreadable}-silent: created" in printed
    assert "does not support reading" in printed
    assert f"{unreadable}-hub: exited, exit code 0\nits last words" in printed


def test_an_engine_that_does_not_answer_is_a_line_of_the_report(tmp_path: Path) -> None:
    printed = run(tmp_path, "nobody", "1.41", DOCKER_HOST="unix:///nowhere/docker.sock")
    assert "containers of nobody" in printed
    assert "cannot be shown" in printed
