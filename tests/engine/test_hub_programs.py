"""A program of the hub's image on the hub's data: what it gets, what it says, and what it leaves."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import docker
import docker.errors
import pytest
from docker.types import Mount

from hubdeploy.contract import labels
from hubdeploy.engine import Engine
from hubdeploy.errors import DeployError, EngineError
from tests.engine.project import BASE

SHELL = ("/bin/busybox", "sh", "-c")


@dataclass(frozen=True)
class MadeHub:
    """A container that was made as a hub is, with two volumes, and never started; `run` runs a line of shell beside it."""

    deployment: str
    client: docker.DockerClient

    def run(self, line: str, *, within: float = 30, **mounts: bool) -> str:
        places = {f"/{target}": writes for target, writes in mounts.items()}
        command = (*SHELL, line)
        name = f"{self.deployment}-hub"
        return Engine({}).run_in_hub(name, command, mounts=places, deployment=self.deployment, within=within)

    def left(self) -> list[Any]:
        return self.client.containers.list(all=True, filters={"label": f"{labels.DEPLOYMENT}={self.deployment}"})


@pytest.fixture
def hub(client: docker.DockerClient) -> Iterator[MadeHub]:
    name = f"t{uuid.uuid4().hex[:10]}"
    volumes = [client.volumes.create(f"{name}-{place}") for place in ("data", "documents")]
    mounts = [Mount(f"/{place}", f"{name}-{place}") for place in ("data", "documents")]
    made = client.containers.create(BASE, [*SHELL, "true"], name=f"{name}-hub", mounts=mounts)
    yield MadeHub(name, client)
    made.remove(force=True)
    for volume in volumes:
        volume.remove()


def test_a_program_writes_to_the_hubs_data_and_nothing_is_left(hub: MadeHub) -> None:
    hub.run("echo kept > /data/file", data=True)
    assert hub.run("busybox cat /data/file", data=True) == "kept\n"
    assert hub.left() == []


def test_a_program_sees_no_other_volume_no_network_and_has_no_right(hub: MadeHub) -> None:
    seen = hub.run(
        "busybox ls /; busybox ls /sys/class/net; busybox grep -E '^(CapEff|CapBnd|NoNewPrivs)' /proc/1/status",
        data=True,
    )
    assert "documents" not in seen.split()
    assert seen.split()[-7:] == ["lo", "CapEff:", "0" * 16, "CapBnd:", "0" * 16, "NoNewPrivs:", "1"]


@pytest.mark.parametrize("path", ["/data/file", "/file"])
def test_a_program_writes_nowhere_unless_it_may(hub: MadeHub, path: str) -> None:
    with pytest.raises(EngineError, match="Read-only file system"):
        hub.run(f"echo > {path}", data=False)


def test_long_output_comes_whole_and_without_standard_error(hub: MadeHub) -> None:
    said = hub.run("busybox seq 300000; echo of the error >&2", data=True)
    assert said.splitlines() == [str(number) for number in range(1, 300001)]


def test_a_program_that_fails_gives_its_last_words(hub: MadeHub) -> None:
    with pytest.raises(EngineError, match=r"ended with code 3:\n    no such user"):
        hub.run("echo no such user >&2; exit 3", data=True)
    assert hub.left() == []


def test_a_program_that_hangs_is_ended(hub: MadeHub) -> None:
    with pytest.raises(EngineError, match="ended after 1 s"):
        hub.run("busybox sleep 600", within=1, data=True)
    assert hub.left() == []


def test_without_a_hub_or_its_volume_the_operator_learns_what_to_do(hub: MadeHub) -> None:
    with pytest.raises(DeployError, match="has none there"):
        hub.run("true", elsewhere=True)
    other = MadeHub(f"{hub.deployment}x", hub.client)
    with pytest.raises(DeployError, match=f"there is no container {other.deployment}-hub"):
        other.run("true", data=True)
