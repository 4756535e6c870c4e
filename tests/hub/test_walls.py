"""Attacks from users' servers on one another, on the engine's host and on private networks. Each is tried with the walls, where
it fails, and without them, where it succeeds: else it would prove nothing.

The table of docs/security.md holds what was found.

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
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.types import IPAMConfig, IPAMPool

from hubdeploy.contract import labels
from tests.hub.clone import Clone
from tests.hub.foreign_image import build_docker_stacks
from tests.hub.person import Person
from tests.hub.waiting import until
from tests.hub.walls import ASK, entered, hub_log, reached_from, stands, without_walls
from tests.ports import address_in

_METADATA, _PRIVATE, _ALSO_PRIVATE = "169.254.169.254", "10.254.77.1", "192.168.254.1"
_BRIDGE = "hubtest-walls"
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
# What somebody who broke out of their user, with NET_RAW, can send: a question who has the peer's address, and the beginning of
# a connection in frames of their own making, straight to the peer and by the gateway. Prints what was answered.
_BY_FRAMES = """
import json, socket, struct, sys, time
peer, peer_mac, gateway_mac = sys.argv[1], *(bytes.fromhex(one.replace(":", "")) for one in sys.argv[2:])
own_mac = bytes.fromhex(open("/sys/class/net/eth0/address").read().strip().replace(":", ""))
own = socket.gethostbyname(socket.gethostname())
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
wire.bind(("eth0", 0))

def checksum(data):
    data += b"\\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF

def syn(port):
    addresses = socket.inet_aton(own) + socket.inet_aton(peer)
    segment = lambda check: struct.pack("!HHIIBBHHH", port, 8888, 1, 0, 5 << 4, 2, 1024, check, 0)
    tcp = segment(checksum(addresses + struct.pack("!BBH", 0, 6, 20) + segment(0)))
    header = lambda check: struct.pack("!BBHHHBBH", 0x45, 0, 40, port, 0, 64, 6, check) + addresses
    return header(checksum(header(0))) + tcp

def answered(frame, fits):
    end = time.monotonic() + 3
    while time.monotonic() < end:
        wire.send(frame)
        wire.settimeout(0.5)
        try:
            again = time.monotonic() + 0.5
            while time.monotonic() < again:
                if fits(wire.recv(2048)):
                    return True
        except TimeoutError:
            continue
    return False

def is_from_peer(port):
    sent = b"\\x08\\x00", socket.inet_aton(peer), struct.pack("!H", port)
    return lambda got: (got[12:14], got[26:30], got[36:38]) == sent

arp = struct.pack("!HHBBH", 1, 0x800, 6, 4, 1) + own_mac + socket.inet_aton(own) + bytes(6) + socket.inet_aton(peer)
found = {
    "ARP": answered(b"\\xff" * 6 + own_mac + b"\\x08\\x06" + arp,
                    lambda got: got[12:14] == b"\\x08\\x06" and got[20:22] == b"\\0\\2" and got[28:32] == socket.inet_aton(peer)),
    "a static neighbour": answered(peer_mac + own_mac + b"\\x08\\x00" + syn(40001), is_from_peer(40001)),
    "by the gateway": answered(gateway_mac + own_mac + b"\\x08\\x00" + syn(40002), is_from_peer(40002)),
}
print(json.dumps(sorted(name for name, got in found.items() if got)))
"""
# A route of the hub's to anywhere, and how a hub writes routes: the proxy never finds half a file.
_ROUTE = """
[http.routers.planted-{at}]
rule = "PathPrefix(`/planted-{at}/`)"
priority = 10000
service = "planted-{at}"
entryPoints = ["https"]
[http.services.planted-{at}.loadBalancer]
servers = [{{url = "http://{place}"}}]
"""
_PLANT = """
import os, sys
open("/srv/routes/.planted", "w").write(sys.argv[1])
os.replace("/srv/routes/.planted", "/srv/routes/planted.toml")
"""


@contextmanager
def listening(address: str, port: int = 0) -> Iterator[tuple[str, int]]:
    """A service of this machine that answers every connection, also one that asks by HTTP."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with closing(socket.create_server((address, port), family=family)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection, suppress(OSError):
                    connection.settimeout(1)
                    if connection.recv(4096):
                        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\ninside")

        threading.Thread(target=serve, daemon=True).start()
        yield address, int(server.getsockname()[1])
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
            "metadata": _METADATA, "private": _PRIVATE, "also private": _ALSO_PRIVATE, "gateway": address_in(network),
            "host": address_in(client.networks.get("bridge")),
        }  # fmt: skip
        with ExitStack() as stack:
            yield {name: stack.enter_context(listening(address)) for name, address in addresses.items()}
    finally:
        _ip("link", "delete", _BRIDGE)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


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
        return set(json.loads(kernel.run(ASK.format(places=json.dumps(places)))))
    finally:
        kernel.close()


def documented(who: str) -> dict[str, tuple[str, str]]:
    """What the table of docs/security.md says of `who`: whom they may reach -> without the guard, and with it."""
    text = (Path(__file__).parents[2] / "docs" / "security.md").read_text()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    return {row[1]: (row[2], row[3].partition(",")[0]) for row in rows if len(row) == 4 and row[0] == who}


def test_a_server_reaches_the_hub_and_names_and_none_that_it_should_not(
    hub: Clone, peers: tuple[Person, Person], stand_ins: dict[str, tuple[str, int]]
) -> None:
    ada, grace = peers
    closed = {
        **stand_ins, "a peer": (_address(hub, grace.name), 8888), "a peer by name": (hub.server_name(grace.name), 8888),
    }  # fmt: skip
    opened = {"the hub": (hub.settings.hub_name, 8081), "the proxy": (hub.settings.proxy_name, 8443)}
    never = {"the proxy's API": (hub.settings.proxy_name, 8099)}
    kept = _reached(ada, closed | opened | never)
    assert kept == opened.keys()
    with without_walls(hub):
        # For a while the kernel remembers that a neighbour did not answer.
        until(lambda: _reached(ada, closed) == closed.keys(), 30, "every attempt succeeds without the walls")
        open_then = _reached(ada, closed | opened | never)
    # The guard finds the servers that run.
    assert _reached(ada, closed | opened) == opened.keys()
    table = documented("a server")
    for place, row in {
        "a peer": "another user's server, by address or name",
        "a peer by name": "another user's server, by address or name",
        "gateway": "the engine's host, by the gateway or another address",
        "host": "the engine's host, by the gateway or another address",
        "private": "private networks, other deployments",
        "metadata": "a cloud's metadata (169.254.169.254)",
        "the hub": "the hub's API (with its own token), the proxy",
        "the proxy": "the hub's API (with its own token), the proxy",
        "the proxy's API": "the proxy's API",
    }.items():
        assert table[row] == tuple("open" if place in reached else "closed" for reached in (open_then, kept)), place


def test_frames_of_an_attackers_own_making_reach_no_peer(hub: Clone, peers: tuple[Person, Person]) -> None:
    """No user's server may send such frames; a container that may stands for one that was broken out of."""
    name = hub.server_name(peers[1].name)
    there = hub.container(name).attrs["NetworkSettings"]["Networks"][hub.settings.network_name]
    attacker = hub.client.containers.run(
        hub.settings.image_reference("hub"), ["sleep", "600"], entrypoint="", detach=True, network=hub.settings.network_name,
        cap_drop=["ALL"], cap_add=["NET_RAW"], labels={labels.DEPLOYMENT: hub.name, labels.ROLE: labels.ONE_OFF},
    )  # fmt: skip
    try:
        gateway = address_in(hub.client.networks.get(hub.settings.network_name))

        def answered() -> set[str]:
            code = f"import socket\ntry: socket.create_connection(({gateway!r}, 9), 1)\nexcept OSError: pass"
            attacker.exec_run(["/usr/bin/python3", "-c", code])
            table: Any = attacker.exec_run(["cat", "/proc/net/arp"]).output
            (mac,) = [line.split()[3] for line in table.decode().splitlines() if line.startswith(f"{gateway} ")]
            words = ["/usr/bin/python3", "-c", _BY_FRAMES, there["IPAddress"], there["MacAddress"], mac]
            found: Any = attacker.exec_run(words)
            assert found.exit_code == 0, found.output.decode()
            return set(json.loads(found.output))

        assert answered() == set()
        with without_walls(hub):
            assert answered() == {"ARP", "a static neighbour", "by the gateway"}
        assert answered() == set()
        assert documented("a server")["another user's server, by frames of one's own"] == ("open", "closed")
    finally:
        attacker.remove(force=True)


def test_a_route_that_a_hub_wrote_leads_nowhere_that_the_proxy_may_not_reach(
    hub: Clone, logged_in: Callable[[str], Person], stand_ins: dict[str, tuple[str, int]]
) -> None:
    linus = logged_in("linus")
    routes = "".join(_ROUTE.format(at=at, place=f"{host}:{port}") for at, (host, port) in enumerate(stand_ins.values()))

    def led_inside() -> set[str]:
        answers = {name: linus.call("GET", f"/planted-{at}/") for at, name in enumerate(stand_ins)}
        # A path without a route is the hub's.
        assert {answer.status_code for answer in answers.values()} <= {200, 502, 504}
        return {name for name, answer in answers.items() if answer.text == "inside"}

    hub_container = hub.container(hub.settings.hub_name)
    try:
        assert hub_container.exec_run(["/usr/bin/python3", "-c", _PLANT, routes]).exit_code == 0
        until(lambda: linus.call("GET", "/planted-0/").status_code in (200, 502, 504), 10, "the proxy takes the routes")
        assert led_inside() == set()
        with without_walls(hub):
            assert led_inside() == stand_ins.keys()
    finally:
        hub_container.exec_run(["rm", "-f", "/srv/routes/planted.toml"])
    table = documented("hub, proxy")
    assert table["private networks, the engine's host"] == table["a cloud's metadata"] == ("open", "closed")


def test_servers_of_an_image_of_others_are_kept_apart_too(
    hub: Clone, new_clone: Callable[..., Clone], stand_ins: dict[str, tuple[str, int]]
) -> None:
    guest = new_clone("ada\ngrace sudo\n", DOCKER_NOTEBOOK_IMAGE=build_docker_stacks(hub.settings))
    guest.share_images_of(hub)
    guest.up()
    ada, grace = entered(guest, "ada", "grace")
    assert _reached(ada, {**stand_ins, "a peer": (_address(guest, "grace"), 8888)}) == set()
    assert _reached(grace, {**stand_ins, "a peer": (_address(guest, "ada"), 8888)}) == set()


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
    assert reached_from(hub, hub.settings.hub_name, stand_ins) == set()
    assert reached_from(hub, hub.settings.hub_name, {"the proxy": (hub.settings.proxy_name, 8443)}) == {"the proxy"}


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


def test_in_a_network_of_others_servers_are_kept_apart_and_the_others_are_left(
    hub: Clone, new_clone: Callable[..., Clone], client: docker.DockerClient
) -> None:
    network = client.networks.create(
        f"hubtest-{secrets.token_hex(4)}-theirs", driver="bridge", enable_ipv6=True,
        ipam=IPAMConfig(pool_configs=[IPAMPool(subnet=f"fd{secrets.token_hex(1)}:{secrets.token_hex(2)}::/64")]),
    )  # fmt: skip
    guest = new_clone("ada\ngrace\n", DOCKER_NETWORK_NAME=network.name)
    guest.share_images_of(hub)
    strangers = [
        client.containers.run(
            hub.settings.image_reference("hub"), ["-m", "http.server", "--bind", "::", "8000"], entrypoint="/usr/bin/python3",
            network=network.name, detach=True, labels={labels.DEPLOYMENT: guest.name, labels.ROLE: labels.ONE_OFF},
        ) for _ in range(2)
    ]  # fmt: skip
    try:
        guest.up()
        ada, grace = entered(guest, "ada", "grace")
        strangers[0].reload()
        attached = strangers[0].attrs["NetworkSettings"]["Networks"][network.name]
        theirs = {"a stranger": attached["IPAddress"], "a stranger by IPv6": attached["GlobalIPv6Address"]}
        peer = guest.container(guest.server_name("grace")).attrs["NetworkSettings"]["Networks"][network.name]
        closed = {"a peer": peer["IPAddress"], "a peer by IPv6": peer["GlobalIPv6Address"]}
        kernel = grace.open_kernel()
        kernel.run("import socket\nlistening = socket.create_server(('::', 8000), family=10, dualstack_ipv6=True)")
        with listening(attached["IPv6Gateway"], 8000):
            closed["the host by IPv6"] = attached["IPv6Gateway"]
            places = {name: (address, 8000) for name, address in (theirs | closed).items()}
            assert _reached(ada, places) == theirs.keys()
            found = strangers[1].exec_run(["/usr/bin/python3", "-c", ASK.format(places=json.dumps(places))])
            assert isinstance(found.output, bytes)
            # Nothing is closed to them.
            assert set(json.loads(found.output)) == places.keys()
            with without_walls(guest):
                until(lambda: _reached(ada, places) == places.keys(), 30, "every attempt succeeds without the walls")
        kernel.close()
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
        until(lambda: "guard does not confirm" in hub_log(hub), 20, "the hub says why no server starts")
        assert not hub.has_container(hub.server_name("linus"))
        # Who is in stays in.
        kernel = peers[0].open_kernel()
        assert kernel.run("print(6 * 7)") == "42\n"
        kernel.close()
    finally:
        guard.start()
    until(lambda: stands(hub), 10, "the guard stands")
    linus.start_server()
    hub.stop_server(linus)
