"""What a person reads when something is wrong: one message, exit code 1, no traceback, and nothing changed."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import docker
import pytest

from tests.engine.project import CHECKOUT, Project


@pytest.fixture
def checkout(project: Project) -> Project:
    """A project with the commands in it."""
    own = shutil.ignore_patterns("__pycache__")
    shutil.copytree(CHECKOUT / "hubdeploy", project.root / "hubdeploy", ignore=own, dirs_exist_ok=True)
    shutil.copy(CHECKOUT / "tasks.py", project.root / "tasks.py")
    return project


def invoke(
    project: Project, *words: str, prefix: Sequence[str] = (), **environ: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*prefix, sys.executable, "-m", "hubdeploy.commands.commandline", *words],
        cwd=project.root, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environ},
        capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300, check=False,
    )  # fmt: skip


def refused(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 1, result.stdout + result.stderr
    assert "Traceback" not in result.stdout + result.stderr
    assert "do:" in result.stderr
    return result.stderr


def nothing_exists(client: docker.DockerClient, project: Project) -> bool:
    return not (
        client.containers.list(all=True, filters=project.own)
        or client.networks.list(filters=project.own)
        or client.volumes.list(filters=project.own)
    )


def test_a_missing_engine_is_reported_with_the_fix(checkout: Project) -> None:
    message = refused(invoke(checkout, "up", DOCKER_HOST="unix:///nowhere/docker.sock"))
    assert "no engine answers at unix:///nowhere/docker.sock" in message
    assert "./invoke setup" in message


def test_without_an_engine_check_files_looks_at_the_files_alone(checkout: Project) -> None:
    (checkout.root / "userlist").write_text("kaben\n")
    found = invoke(checkout, "check-files", DOCKER_HOST="unix:///nowhere/docker.sock")
    assert found.returncode == 0, found.stdout + found.stderr
    assert "warning: the engine was not asked" in found.stdout
    assert "warning: userlist names no admin" in found.stdout


def test_a_missing_remote_engine_is_reported_with_its_address(checkout: Project) -> None:
    assert "no engine answers at tcp://127.0.0.1:9" in refused(invoke(checkout, "up", DOCKER_HOST="tcp://127.0.0.1:9"))


def test_an_engine_that_refuses_permission_is_reported_with_the_group(checkout: Project) -> None:
    path = checkout.root / "docker.sock"
    with socket.socket(socket.AF_UNIX) as engine:
        engine.bind(str(path))
        engine.listen()
        path.chmod(0)
        # Root without the capability to override permissions is like any other user.
        plain = [
            "setpriv",
            "--bounding-set=-dac_override,-dac_read_search",
            "--inh-caps=-dac_override,-dac_read_search",
        ]
        message = refused(invoke(checkout, "status", prefix=plain, DOCKER_HOST=f"unix://{path}"))
    assert "refuses permission" in message
    assert "group docker" in message


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("NB_USER=root", "account of the system"),
        ("DOCKER_NOTEBOOK_DIRS=/x", "did you mean DOCKER_NOTEBOOK_DIR?"),
        ("this is no line", "cannot be read"),
        ("ADMIN_PASSWORD=canary", "check-files --fix"),
    ],
)
def test_a_bad_env_stops_every_task_before_the_engine_is_asked(checkout: Project, line: str, words: str) -> None:
    with (checkout.root / ".env").open("a") as env:
        env.write(line + "\n")
    for task in ("up", "plan", "check-files"):
        message = refused(invoke(checkout, task, DOCKER_HOST="unix:///nowhere"))
        assert words in message
        assert "canary" not in message


def test_a_refused_up_leaves_nothing_behind(client: docker.DockerClient, checkout: Project) -> None:
    (checkout.root / "userlist").write_text("kaben boss\n")
    assert "has a second word that is no flag" in refused(invoke(checkout, "up"))
    assert nothing_exists(client, checkout)
    assert not (checkout.root / ".env.local").exists()


def test_both_spellings_of_a_task_work(checkout: Project) -> None:
    for spelling in ("proxy-image", "proxy_image"):
        assert invoke(checkout, spelling).returncode == 0


def test_no_task_builds(client: docker.DockerClient, checkout: Project) -> None:
    assert invoke(checkout).returncode == 0
    assert client.images.get(f"{checkout.name}/hub:latest")
    assert not client.containers.list(all=True, filters=checkout.own)


def test_network_and_volumes_make_just_those(client: docker.DockerClient, checkout: Project) -> None:
    assert invoke(checkout, "network").returncode == 0
    assert len(client.networks.list(filters=checkout.own)) == 2
    assert not client.volumes.list(filters=checkout.own)
    assert invoke(checkout, "volumes").returncode == 0
    assert len(client.volumes.list(filters=checkout.own)) == 12
    assert invoke(checkout, "volumes").stdout == "nothing to do\n"


def test_volumes_are_made_while_the_one_for_the_certificate_is_still_empty(checkout: Project) -> None:
    checkout.write_env(SECRETS_VOLUME=f"{checkout.name}-secrets")
    assert invoke(checkout, "volumes").returncode == 0
    assert "missing in the volume" in refused(invoke(checkout, "plan"))


def test_a_half_edited_env_keeps_nobody_from_stopping_and_removing(
    client: docker.DockerClient, checkout: Project
) -> None:
    checkout.up()
    with (checkout.root / ".env").open("a") as env:
        env.write("USER_MEMORY_LIMIT=plenty\nthis line cannot be read\n")
    for task in ("up", "plan", "check-files"):
        assert "2 problems" in refused(invoke(checkout, task))
    status = invoke(checkout, "status")
    assert (status.returncode, f"{checkout.name}-hub" in status.stdout) == (0, True)
    assert "USER_MEMORY_LIMIT: 'plenty' is not an amount of memory" in status.stderr
    assert f"going on with the deployment's name alone, {checkout.name}" in status.stderr
    assert invoke(checkout, "logs", "--no-follow").returncode == 0
    assert invoke(checkout, "down").returncode == 0
    assert {one.status for one in client.containers.list(all=True, filters=checkout.own)} == {"exited"}
    assert invoke(checkout, "clean").returncode == 0
    assert client.containers.list(all=True, filters=checkout.own) == []


def test_no_container_gets_the_proxies_of_the_operators_docker_configuration(
    client: docker.DockerClient, checkout: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With them hub and proxy asked each other through the operator's proxy, and every page was 502."""
    proxy = "http://user:canary-of-a-proxy@127.0.0.1:9"
    configuration = {"proxies": {"default": {"httpProxy": proxy, "httpsProxy": proxy}}}
    (tmp_path / "config.json").write_text(json.dumps(configuration))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    checkout.up()
    containers = client.containers.list(all=True, filters=checkout.own)
    assert len(containers) == 5
    assert [one.name for one in containers if "canary" in json.dumps(one.attrs)] == []


def assert_up_but_for_a_hub(result: subprocess.CompletedProcess[str]) -> None:
    """All is created and healthy. No hub is in these containers, so `up` says what a browser would see."""
    assert "nothing to do" in result.stdout or "-hub is healthy" in result.stdout, result.stderr
    assert "nobody answers with TLS at 127.0.0.1 port" in refused(result)


def test_passwords_are_generated_once_and_shown_on_a_terminal_only(checkout: Project) -> None:
    result = invoke(checkout, "up")
    assert_up_but_for_a_hub(result)
    local = (checkout.root / ".env.local").read_text()
    password = local.partition("USER_PASSWORD=")[2].splitlines()[0]
    assert len(password) >= 8
    assert password not in result.stdout + result.stderr
    assert (checkout.root / ".env.local").stat().st_mode & 0o777 == 0o600
    invoke(checkout, "up")
    assert (checkout.root / ".env.local").read_text() == local


def test_fix_moves_a_secret_out_of_env(checkout: Project) -> None:
    before = (checkout.root / ".env").read_text()
    with (checkout.root / ".env").open("a") as env:
        env.write("USER_PASSWORD='moved here'\n")
    result = invoke(checkout, "check-files", "--fix")
    assert result.returncode == 0, result.stderr
    assert "moved here" not in result.stdout + result.stderr
    assert "mv .env.fixed .env" in result.stdout
    (checkout.root / ".env.fixed").rename(checkout.root / ".env")
    assert (checkout.root / ".env").read_text() == before + "#USER_PASSWORD is in .env.local\n"
    assert "USER_PASSWORD='moved here'" in (checkout.root / ".env.local").read_text()
    assert invoke(checkout, "check-files", "--fix").returncode == 0


def test_config_masks_secrets_and_says_where_each_value_comes_from(checkout: Project) -> None:
    result = invoke(checkout, "config", USER_PASSWORD="canary-canary", HUB_HOST="127.0.0.1")
    assert "canary" not in result.stdout
    assert "USER_PASSWORD:\n  value: '***'\n  from: shell" in result.stdout
    assert "HUB_HOST:\n  value: 127.0.0.1\n  from: shell" in result.stdout


def test_status_and_logs_show_what_runs(checkout: Project) -> None:
    assert_up_but_for_a_hub(invoke(checkout, "up"))
    status = invoke(checkout, "status")
    assert "login page: nobody answers with TLS" in status.stdout
    assert status.returncode == 1
    assert f"{checkout.name}-hub" in status.stdout
    assert "certificate: self-made" in status.stdout
    assert invoke(checkout, "logs", "--no-follow").returncode == 0
    assert "no log of a server of the user 'nobody'" in refused(invoke(checkout, "logs", "--user", "nobody"))
    assert invoke(checkout, "logs", "--no-follow", "--tail", "0").stdout == ""


@pytest.mark.parametrize("tail", ["abc", "-5", "1.5", "", "٣", "9999999999"])
def test_a_tail_that_is_no_number_of_lines_is_refused_before_the_engine_is_asked(checkout: Project, tail: str) -> None:
    message = refused(invoke(checkout, "logs", f"--tail={tail}", DOCKER_HOST="unix:///nowhere"))
    assert f"--tail {tail} is none" in message
