"""Attacks from users' servers on one another, on the engine's host and on private networks. Each is tried with the walls, where
it fails, and without them, where it succeeds: else it would prove nothing.

The stand-ins for a cloud's metadata, for private networks and for the host's own services are addresses that the tests add to
this machine, so no packet leaves it.
"""

from __future__ import annotations

import json
import secrets
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager

import docker
import pytest
from docker.models.networks import Network

from hubdeploy.contract import labels
from tests.hub.clone import Clone
from tests.hub.person import Person
from tests.hub.waiting import until

_METADATA, _PRIVATE, _ALSO_PRIVATE = "169.254.169.254", "10.254.77.1", "192.168.254.1"
_BRIDGE = "hubtest-walls"
# Asks every place, name -> [address, port], at the same time, and prints the names of those that answer.
_ASK = """
import concurrent.futures, json, socket
def answers(place):
    try:
        socket.create_connection(place, timeout=2).close()
        return True
    except OSError:
        return False
places = json.loads({places!r})
with concurrent.futures.ThreadPoolExecutor(len(places)) as pool:
    found = dict(zip(places, pool.map(lambda name: answers(tuple(places[name])), places)))
print(json.dumps(sorted(name for name, open in found.items() if open)))
"""
# What root would need to go round the walls, or to take them down.
_AS_ROOT = """
import json, subprocess
def works(code):
    return subprocess.run(["sudo", "-n", "/usr/bin/env", "python3", "-c", code], capture_output=True).returncode == 0
print(json.dumps({
    "is root": works("import os, sys; sys.exit(os.getuid())"),
    "raw socket": works("import socket; socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)"),
    "packet socket": works("import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)"),
    "namespace": works("import ctypes, sys; sys.exit(-ctypes.CDLL(None).unshare(0x40000000))"),
    "MAC address": works("import fcntl, socket, struct; fcntl.ioctl(socket.socket(), 0x8924, "
                         "struct.pack('16sH6s8x', b'eth0', 1, bytes([2, 0, 0, 0, 0, 1])))"),
}))
"""
# Run in the namespace of the engine's host, as the guard runs: what it set is taken back.
_TEAR_DOWN = """
import subprocess, sys
from guard.kernel import Kernel
kernel = Kernel()
for port in kernel.ports(sys.argv[1]):
    kernel.isolate(port, False)
subprocess.run(["nft", "delete", "table", "inet", sys.argv[2]], check=True)
"""


@contextmanager
def listening(address: str) -> Iterator[tuple[str, int]]:
    """A service of this machine that takes every connection."""
    with closing(socket.create_server((address, 0))) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                connection.close()

        threading.Thread(target=serve, daemon=True).start()
        yield address, server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="module")
def stand_ins(client: docker.DockerClient, hub: Clone) -> Iterator[dict[str, tuple[str, int]]]:
    """Name -> place of each service that no user's server may reach."""
    _ip("link", "add", _BRIDGE, "type", "bridge")
    try:
        for address in (_METADATA, _PRIVATE, _ALSO_PRIVATE):
            _ip("address", "add", f"{address}/32", "dev", _BRIDGE)
        _ip("link", "set", _BRIDGE, "up")
        network = client.networks.get(hub.settings.network_name)
        addresses = {
            "metadata": _METADATA, "private": _PRIVATE, "also private": _ALSO_PRIVATE, "gateway": _gateway(network),
            "host": _gateway(client.networks.get("bridge")),
        }  # fmt: skip
        with ExitStack() as stack:
            yield {name: stack.enter_context(listening(address)) for name, address in addresses.items()}
    finally:
        _ip("link", "delete", _BRIDGE)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def _gateway(network: Network) -> str:
    return str(network.attrs["IPAM"]["Config"][0]["Gateway"])


@pytest.fixture
def peers(hub: Clone, logged_in: Callable[[str], Person]) -> Iterator[tuple[Person, Person]]:
    """Two users with servers."""
    pair = logged_in("ada"), logged_in("grace")
    for person in pair:
        person.start_server()
    yield pair
    for person in pair:
        hub.stop_server(person)


def _address(hub: Clone, user: str) -> str:
    attached = hub.container(hub.server_name(user)).attrs["NetworkSettings"]["Networks"]
    return str(attached[hub.settings.network_name]["IPAddress"])


def _reached(attacker: Person, places: Mapping[str, tuple[str, int]]) -> set[str]:
    """The names of the places that a cell in the attacker's notebook can connect to."""
    kernel = attacker.open_kernel()
    try:
        return set(json.loads(kernel.run(_ASK.format(places=json.dumps(places)))))
    finally:
        kernel.close()


def test_a_server_reaches_the_hub_and_names_and_none_that_it_should_not(
    hub: Clone, peers: tuple[Person, Person], stand_ins: dict[str, tuple[str, int]]
) -> None:
    ada, grace = peers
    closed = {
        **stand_ins, "a peer": (_address(hub, grace.name), 8888), "a peer by name": (hub.server_name(grace.name), 8888),
    }  # fmt: skip
    opened = {"the hub": (hub.settings.hub_name, 8081), "the proxy": (hub.settings.proxy_name, 8443)}
    assert _reached(ada, closed | opened) == opened.keys()
    with without_walls(hub):
        # For a while the kernel remembers that a neighbour did not answer.
        until(lambda: _reached(ada, closed) == closed.keys(), 30, "every attempt succeeds without the walls")
    # The guard finds the servers that run.
    assert _reached(ada, closed | opened) == opened.keys()


def test_root_in_a_server_reaches_no_more_and_can_take_no_wall_down(
    hub: Clone, logged_in: Callable[[str], Person], peers: tuple[Person, Person], stand_ins: dict[str, tuple[str, int]]
) -> None:
    _, grace = peers
    sam = logged_in("sam")
    sam.start_server()
    kernel = sam.open_kernel()
    tried = json.loads(kernel.run(_AS_ROOT))
    kernel.close()
    assert tried == {
        "is root": True,
        **dict.fromkeys(("raw socket", "packet socket", "namespace", "MAC address"), False),
    }
    assert _reached(sam, {**stand_ins, "a peer": (_address(hub, grace.name), 8888)}) == set()
    hub.stop_server(sam)


def test_the_hub_itself_reaches_no_metadata_and_no_private_place(
    hub: Clone, stand_ins: dict[str, tuple[str, int]]
) -> None:
    assert _reached_from(hub, hub.settings.hub_name, stand_ins) == set()
    assert _reached_from(hub, hub.settings.hub_name, {"the proxy": (hub.settings.proxy_name, 8443)}) == {"the proxy"}


def _reached_from(hub: Clone, name: str, places: Mapping[str, tuple[str, int]]) -> set[str]:
    asked = hub.container(name).exec_run(["/usr/bin/python3", "-c", _ASK.format(places=json.dumps(places))])
    assert isinstance(asked.output, bytes)
    return set(json.loads(asked.output))


def test_what_the_operator_allows_is_open_and_the_metadata_is_not(
    hub: Clone, peers: tuple[Person, Person], stand_ins: dict[str, tuple[str, int]]
) -> None:
    address, port = stand_ins["private"]
    local = hub.root / ".env.local"
    before = local.read_text()
    hub.set_local(ALLOWED_NETWORKS=f"{address}:{port}, 192.168.254.0/24, 0.0.0.0/0:{stand_ins['metadata'][1]}")
    try:
        assert "the guard restarts" in hub.invoke("plan")
        hub.up()
        assert _reached(peers[0], stand_ins) == {"private", "also private"}
    finally:
        local.write_text(before)
        hub.up()
    assert _reached(peers[0], stand_ins) == set()


@contextmanager
def without_walls(hub: Clone) -> Iterator[None]:
    """The guard is stopped, and what it set on the host is taken back; afterwards it runs again."""
    guard = hub.container(f"{hub.name}-guard")
    walls = json.loads(dict(line.split("=", 1) for line in guard.attrs["Config"]["Env"])["WALLS"])
    guard.stop()
    hub.client.containers.run(
        hub.settings.image_reference("hub"), ["-c", _TEAR_DOWN, walls["bridge"], walls["table"]],
        entrypoint="/usr/bin/python3", network_mode="host", cap_drop=["ALL"], cap_add=["NET_ADMIN"], remove=True,
        labels={labels.DEPLOYMENT: hub.name, labels.ROLE: labels.ONE_OFF},
    )  # fmt: skip
    try:
        yield
    finally:
        guard.start()
        until(lambda: _stands(hub), 10, "the guard stands")


def _stands(hub: Clone) -> bool:
    asked = hub.container(f"{hub.name}-guard").exec_run(["/usr/bin/python3", "-m", "guard.question"])
    return bool(asked.exit_code == 0)


def test_in_a_network_of_others_servers_are_kept_apart_and_the_others_are_left(
    hub: Clone, new_clone: Callable[..., Clone], client: docker.DockerClient
) -> None:
    network = client.networks.create(f"hubtest-{secrets.token_hex(4)}-theirs", driver="bridge")
    guest = new_clone("ada\ngrace\n", DOCKER_NETWORK_NAME=network.name)
    guest.share_images_of(hub)
    strangers = [
        client.containers.run(
            hub.settings.image_reference("hub"), ["-m", "http.server", "8000"], entrypoint="/usr/bin/python3",
            network=network.name, detach=True, labels={labels.DEPLOYMENT: guest.name, labels.ROLE: labels.ONE_OFF},
        ) for _ in range(2)
    ]  # fmt: skip
    try:
        guest.up()
        ada, grace = (guest.person(name) for name in ("ada", "grace"))
        for person in (ada, grace):
            assert person.log_in(guest.user_password).status_code == 200
            person.take_token()
            person.start_server()
        strangers[0].reload()
        attached = strangers[0].attrs["NetworkSettings"]["Networks"]
        theirs = {"a stranger": (str(attached[network.name]["IPAddress"]), 8000)}
        assert _reached(ada, {**theirs, "a peer": (_address(guest, "grace"), 8888)}) == {"a stranger"}
        found = strangers[1].exec_run(["/usr/bin/python3", "-c", _ASK.format(places=json.dumps(theirs))])
        assert isinstance(found.output, bytes)
        assert json.loads(found.output) == ["a stranger"]
    finally:
        guest.remove()
        network.remove()


def test_no_server_starts_without_the_guard_and_the_next_one_does(
    hub: Clone, logged_in: Callable[[str], Person], peers: tuple[Person, Person]
) -> None:
    linus, guard = logged_in("linus"), hub.container(f"{hub.name}-guard")
    if hub.has_container(hub.server_name("linus")):
        hub.stop_server(linus)
    guard.kill()
    try:
        linus.call("POST", "/hub/api/users/linus/server")
        until(lambda: "guard does not confirm" in _hub_log(hub), 20, "the hub says why no server starts")
        assert not hub.has_container(hub.server_name("linus"))
        # Who is in stays in.
        kernel = peers[0].open_kernel()
        assert kernel.run("print(6 * 7)") == "42\n"
        kernel.close()
    finally:
        guard.start()
    until(lambda: _stands(hub), 10, "the guard stands")
    linus.start_server()
    hub.stop_server(linus)


def _hub_log(hub: Clone) -> str:
    return str(hub.container(hub.settings.hub_name).logs(tail=2000).decode())
