"""Cards (GPUs) on a real engine, through the filter: nobody gets one that another container has, whoever asks.

The cards are devices that every Linux has; which of them a container sees is tried in tests/hub/test_gpus.py.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import docker.errors
import pytest

from filter.question import VERSION
from hubdeploy.contract import labels, servers
from hubdeploy.contract.documents import ServerKind, Servers
from tests.engine import filtering
from tests.engine.project import BASE, ensure_base

_SLEEP = ("/bin/busybox", "sleep", "600")
FULL, ZERO, RANDOM = "/dev/full", "/dev/zero", "/dev/urandom"


@pytest.fixture
def name(client: docker.DockerClient) -> Iterator[str]:
    """A deployment's name, with its network; all that has its label goes afterwards."""
    ensure_base(client)
    made = f"t{uuid.uuid4().hex[:10]}"
    network = client.networks.create(f"{made}-network", labels={labels.DEPLOYMENT: made})
    try:
        yield made
    finally:
        for one in client.containers.list(all=True, filters={"name": made}):
            one.remove(force=True, v=True)
        network.remove()


def _servers(name: str, *cards: str) -> Servers:
    kind = ServerKind(
        name="gpu", image=BASE, ours=True, network_name=f"{name}-network", server_name=f"{name}-user-{{username}}",
        spawn_command=_SLEEP, nb_user="cryptic", nb_uid=1000, notebook_dir="/tmp", volumes=(),
        memory_limit=2**27, cpu_limit=None, pids_limit=64, grant_sudo=False, gpus=1,
    )  # fmt: skip
    return Servers({labels.DEPLOYMENT: name}, "/", (kind,), (), cards=cards)


def _make(way: docker.APIClient, name: str, user: str, card: str) -> str:
    """The id of the user's server with that card, which does not run yet."""
    wish = {"Labels": {labels.USER: user, labels.CARDS: card}}
    create: Any = way.create_container_from_config
    return str(create(wish, f"{name}-user-{user}")["Id"])


def _held(way: docker.APIClient) -> Any:
    return way.get(f"{way.base_url}/v{VERSION}/cards", timeout=30).json()


def test_a_card_is_one_running_containers_and_whoever_comes_later_is_refused(
    client: docker.DockerClient, name: str, tmp_path: Path
) -> None:
    with filtering.serving(_servers(name, FULL, ZERO, RANDOM), tmp_path) as filtered:
        way = filtered()
        ann, bob = _make(way, name, "ann", FULL), _make(way, name, "bob", ZERO)
        for one in (ann, bob):
            way.start(one)
        client.containers.run(
            BASE, [*_SLEEP], name=f"{name}-theirs", detach=True, stop_signal="SIGKILL",
            labels={labels.DEPLOYMENT: f"{name}-other", labels.USER: "eve", labels.CARDS: RANDOM},
        )  # fmt: skip
        assert _held(way) == {FULL: "ann", ZERO: "bob", RANDOM: ""}
        for card in (FULL, ZERO, RANDOM):
            with pytest.raises(docker.errors.APIError, match=r"409.*is another server's") as refused:
                _make(way, name, "cleo", card)
            assert refused.value.explanation == servers.is_taken(card)
        with pytest.raises(docker.errors.APIError, match="403"):
            _make(way, name, "cleo", "/dev/null")

        # One that ended is still there, and holds nothing; nor does it get its card back while somebody else has it.
        client.containers.get(ann).kill()
        assert _held(way) == {ZERO: "bob", RANDOM: ""}
        way.start(_make(way, name, "cleo", FULL))
        with pytest.raises(docker.errors.APIError, match="409"):
            way.start(ann)
        assert not client.containers.get(ann).attrs["State"]["Running"]
        assert _held(way) == {FULL: "cleo", ZERO: "bob", RANDOM: ""}
        devices = client.containers.get(f"{name}-user-cleo").attrs["HostConfig"]["Devices"]
        assert [one["PathOnHost"] for one in devices] == [FULL]


@pytest.mark.parametrize(("card", "driver"), [("0", "nvidia"), ("example.com/gpu=0", "cdi")])
def test_an_engine_without_a_driver_for_a_card_starts_no_server_with_it(
    client: docker.DockerClient, name: str, tmp_path: Path, card: str, driver: str
) -> None:
    with filtering.serving(_servers(name, card), tmp_path) as filtered:
        way = filtered()
        made = _make(way, name, "ann", card)
        with pytest.raises(docker.errors.APIError) as refused:
            way.start(made)
        assert f'could not select device driver "{driver}"' in str(refused.value.explanation)
        assert client.containers.get(made).status == "created"
