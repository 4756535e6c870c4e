"""The story on a second, newer engine that DOCKER_HOST names: it shares no file and no loopback address with this machine, so
all is built there, and the user who logs in is a container there. Its containers have users of their own, as some operators
have it; guard and filter must get round that.
"""

from __future__ import annotations

import dataclasses
import socket
import uuid
from collections.abc import Iterator
from typing import Any

import docker
import pytest

from tests import nested
from tests.hub.remote import Chapter, RemoteClone
from tests.hub.waiting import until
from tests.hub.walls import reached_from, without_walls
from tests.nested import SecondEngine

pytestmark = pytest.mark.nested

USERLIST = "boss admin\nada\n"
# What a hub that was taken over would ask for first.
TAKE_OVER = """
from engine import client
engine, body = client(), {"Image": "x", "Labels": {"hubdeploy.user": "ada"}}
answer = engine.post(engine._url("/containers/create"), params={"name": "x"}, json=body)
print(answer.status_code, answer.json()["message"])
"""
# Seconds a command may print nothing: one silent step of a build on a busy machine.
_SILENCE = 1800


@pytest.fixture(scope="module")
def second_engine() -> Iterator[SecondEngine]:
    client = docker.from_env(timeout=_SILENCE)
    with nested.second_engine(client, uuid.uuid4().hex, own_users=True) as engine:
        yield engine
    client.close()


@pytest.fixture(scope="module")
def remote(
    second_engine: SecondEngine, client: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory
) -> RemoteClone:
    """A clone, brought up there by its own command line. It ends with the engine."""
    there = docker.DockerClient(base_url=second_engine.url, timeout=_SILENCE)
    clone = RemoteClone.make(
        tmp_path_factory.mktemp("remote"),
        there,
        USERLIST,
        USER_PASSWORD=uuid.uuid4().hex,
        ADMIN_PASSWORD=uuid.uuid4().hex * 2,
    )
    remote = dataclasses.replace(clone, docker_host=second_engine.url)
    nested.send_image(remote.settings.base_image, client, there)
    remote.up()
    return remote


@pytest.fixture(scope="module")
def read(remote: RemoteClone, tmp_path_factory: pytest.TempPathFactory) -> Chapter:
    """Runs a chapter of the story as a user of that host; gives what they saw."""
    return remote.reader(tmp_path_factory.mktemp("story"))


@pytest.fixture(scope="module")
def seen(read: Chapter) -> dict[str, Any]:
    """What ada saw from her first login to the file she found again."""
    return read("ada", "tell")


def test_the_second_engine_is_newer_and_shares_no_loopback(remote: RemoteClone, client: docker.DockerClient) -> None:
    assert _version(remote.client) > _version(client)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", remote.port), timeout=5).close()


def test_user_logs_in_runs_a_cell_and_finds_a_file_again(seen: dict[str, Any]) -> None:
    assert seen["login"] == 200
    assert seen["cell"] == "six times seven is 42\n"
    assert seen["written"] == "10\n"
    assert seen["stopped"] != 200
    assert seen["found"] == "still here\n"


def test_a_second_up_has_nothing_to_do(remote: RemoteClone, seen: dict[str, Any]) -> None:
    before = remote.identities()
    assert "nothing to do" in remote.up()
    assert remote.identities() == before


def test_a_new_user_replaces_the_hub_and_disturbs_no_server(
    remote: RemoteClone, seen: dict[str, Any], read: Chapter
) -> None:
    assert read("grace", "enter") == {"login": 403}
    before = remote.identities()
    remote.write_userlist(USERLIST + "grace\n")
    remote.up()

    after = remote.identities()
    assert {name for name in before if before[name] != after.get(name)} == {remote.settings.hub_name}
    assert set(after) == set(before)
    assert read("grace", "enter") == {"login": 200}
    assert read("ada", "go-on", seen["kernel"])["kept"] == "42\n"


def test_walls_hold_there_too(remote: RemoteClone, read: Chapter) -> None:
    """By the same attempts as on this engine, of which two are enough."""
    assert read("grace", "settle") == {"login": 200}
    grace = remote.container(remote.server_name("grace")).attrs["NetworkSettings"]["Networks"]
    places = {"a peer": (grace[remote.settings.network_name]["IPAddress"], 8888)}
    ada = remote.server_name("ada")
    assert reached_from(remote, ada, places) == set()
    with without_walls(remote):
        until(lambda: reached_from(remote, ada, places) == {"a peer"}, 30, "it succeeds without the walls")
    assert reached_from(remote, ada, places) == set()
    refused = remote.container(remote.settings.hub_name).exec_run(["/opt/hub/bin/python", "-c", TAKE_OVER])
    assert refused.output == b"403 the filter refuses this: Image: the hub does not choose it\n"


def test_walls_stand_and_jobs_run_after_the_host_was_restarted(
    remote: RemoteClone, second_engine: SecondEngine, read: Chapter
) -> None:
    """Users' servers are gone then, and the components come back by themselves."""
    second_engine.restart()
    until(lambda: _login_page_comes(remote), 60, "the login page comes")
    assert read("ada", "settle") == read("grace", "settle") == {"login": 200}
    grace = remote.container(remote.server_name("grace")).attrs["NetworkSettings"]["Networks"]
    place = grace[remote.settings.network_name]
    places = {"a peer": (place["IPAddress"], 8888), "the engine's API": (place["Gateway"], 2375)}
    ada = remote.server_name("ada")
    assert reached_from(remote, ada, places) == set()
    with without_walls(remote):
        until(lambda: reached_from(remote, ada, places) == places.keys(), 30, "both succeed without the walls")
    until(lambda: "clock: login-page: comes (" in remote.invoke("status"), 60, "the clock's job finds the login page")


def test_clean_leaves_nothing_but_volumes(remote: RemoteClone, seen: dict[str, Any]) -> None:
    remote.invoke("clean", "--yes")
    assert remote.containers() == []
    assert remote.image_tags() == []
    assert [one.name for one in remote.client.networks.list() if str(one.name).startswith(remote.name)] == []
    assert remote.has_volume(remote.server_name("ada"))


def _login_page_comes(remote: RemoteClone) -> bool:
    try:
        return "login page: comes at" in remote.invoke("status")
    except AssertionError:
        return False


def _version(client: docker.DockerClient) -> tuple[int, ...]:
    return tuple(int(part) for part in client.version()["ApiVersion"].split("."))
