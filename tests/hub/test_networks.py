"""Networks of a kind of servers: its servers reach them, nobody else's do, and no server that runs gets more than it had.

The private networks are addresses that the tests add to this machine, so no packet leaves it.
"""

from __future__ import annotations

import json
import secrets
import socketserver
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

import docker
import pytest

from hubdeploy.contract import labels
from tests.hub.clone import Clone
from tests.hub.person import Person
from tests.hub.waiting import until
from tests.hub.walls import ASK, entered, stands

_BRIDGE = "hubtest-kinds"
_ADDRESSES = {"databases": "10.254.78.1", "labs": "192.168.253.1"}
_KINDS = """
kinds:
  small:
    title: Small
    {of_small}
  physics:
    title: Physics
    groups: [physics]
    networks: [{of_physics}]
"""
# As root in a server: whether it can take an address of one with networks.
_TAKE = """
import subprocess
code = '''
import fcntl, socket, struct
fcntl.ioctl(socket.socket(), 0x8924, struct.pack("16sH6s8x", b"eth0", 1, bytes.fromhex("{mac}")))
'''
root = ["sudo", "-n", "/usr/bin/env", "python3", "-c"]
print(subprocess.run([*root, "import os, sys; sys.exit(os.getuid())"]).returncode, subprocess.run([*root, code],
      capture_output=True, text=True).stderr.strip().splitlines()[-1])
"""
# As the hub's own root, past everything that the hub checks: a server with networks for bob, and one with its address.
_ASK_THE_FILTER = """
import json
from engine import client
engine = client()
def answer(wish):
    asked = engine._post_json(engine._url("/containers/create"), data=wish, params={{"name": "{name}"}})
    return asked.status_code
print(json.dumps([
    answer({{"Labels": {{"{user}": "bob", "{kind}": "physics"}}}}),
    answer({{"Labels": {{"{user}": "bob"}}, "MacAddress": "{mac}"}}),
]))
"""
# The guard's table, without the rule that asks whose server it is.
_FOR_EVERYBODY = """
import re, subprocess, sys
listed = subprocess.run(["nft", "list", "table", "inet", sys.argv[1]], capture_output=True, text=True, check=True).stdout
wider = re.sub(r"ether saddr & [0-9a-f:]+ == [0-9a-f:]+ ", "", listed)
assert wider != listed
text = f"delete table inet {sys.argv[1]}\\n{wider}"
subprocess.run(["nft", "-f", "-"], input=text, text=True, check=True)
"""


class _Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while data := self.request.recv(4096):
            self.request.sendall(data)


@pytest.fixture(scope="module")
def places() -> Iterator[dict[str, tuple[str, int]]]:
    """Name -> place of each service in a private network."""
    _ip("link", "add", _BRIDGE, "type", "bridge")
    try:
        for address in _ADDRESSES.values():
            _ip("address", "add", f"{address}/32", "dev", _BRIDGE)
        _ip("link", "set", _BRIDGE, "up")
        with ExitStack() as stack:
            found = {}
            for name, address in _ADDRESSES.items():
                server = socketserver.ThreadingTCPServer((address, 0), _Echo)
                server.daemon_threads = True
                stack.callback(server.server_close)
                stack.callback(server.shutdown)
                threading.Thread(target=server.serve_forever, daemon=True).start()
                found[name] = (address, int(server.server_address[1]))
            yield found
    finally:
        _ip("link", "delete", _BRIDGE)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def write_kinds(lab: Clone, of_physics: str, of_small: str = "") -> None:
    small = f"networks: [{of_small}]" if of_small else "description: For the exercises"
    (lab.root / "servers.yml").write_text(_KINDS.format(of_physics=of_physics, of_small=small))


@pytest.fixture(scope="module")
def lab(hub: Clone, new_clone: Callable[..., Clone], places: dict[str, tuple[str, int]]) -> Iterator[Clone]:
    made = new_clone("ada @physics\nbob\nsam sudo\n")
    write_kinds(made, "{}:{}".format(*places["databases"]))
    made.share_images_of(hub)
    made.up()
    yield made
    made.remove()


def reached(person: Person, places: Mapping[str, tuple[str, int]]) -> set[str]:
    """The names of the places that a cell can connect to."""
    kernel = person.open_kernel()
    try:
        return set(json.loads(kernel.run(ASK.format(places=json.dumps(places)))))
    finally:
        kernel.close()


def restart(lab: Clone, person: Person, kind: str) -> None:
    lab.stop_server(person)
    person.start_server(kind)


def mac_of(lab: Clone, user: str) -> str:
    attached = lab.container(lab.server_name(user)).attrs["NetworkSettings"]["Networks"]
    return str(attached[lab.settings.network_name]["MacAddress"])


@contextmanager
def rules_for_everybody(lab: Clone) -> Iterator[None]:
    """The mistake that the other tests must notice: the guard is stopped, and its rules do not ask whose server it is."""
    guard = lab.container(f"{lab.name}-guard")
    table = json.loads(dict(line.split("=", 1) for line in guard.attrs["Config"]["Env"])["WALLS"])["table"]
    guard.stop()
    try:
        lab.client.containers.run(
            lab.settings.image_reference("hub"), ["-c", _FOR_EVERYBODY, table], entrypoint="/usr/bin/python3",
            network_mode="host", userns_mode="host", cap_drop=["ALL"], cap_add=["NET_ADMIN"], remove=True,
            labels={labels.DEPLOYMENT: lab.name, labels.ROLE: labels.ONE_OFF},
        )  # fmt: skip
        yield
    finally:
        guard.start()
        until(lambda: stands(lab), 10, "the guard stands")


@pytest.fixture(scope="module")
def people(lab: Clone) -> dict[str, Person]:
    """Users whose servers run: ada's of the kind with networks, the others' of the kind without."""
    found = {person.name: person for person in entered(lab, "ada", "bob", "sam")}
    restart(lab, found["ada"], "physics")
    return found


@pytest.mark.slow
def test_servers_of_the_kind_reach_its_networks_and_others_do_not(
    lab: Clone, people: dict[str, Person], places: dict[str, tuple[str, int]]
) -> None:
    assert {name: reached(person, places) for name, person in people.items()} == {
        "ada": {"databases"},
        "bob": set(),
        "sam": set(),
    }
    # What is tried here would succeed if the rule did not ask whose server it is, and the guard repairs it.
    with rules_for_everybody(lab):
        assert reached(people["bob"], places) == {"databases"}
    assert reached(people["bob"], places) == set()
    assert reached(people["ada"], places) == {"databases"}


@pytest.mark.slow
def test_nobody_takes_what_a_kind_reaches_neither_root_nor_a_hub_that_was_taken_over(
    lab: Clone, people: dict[str, Person], places: dict[str, tuple[str, int]]
) -> None:
    mac = mac_of(lab, "ada")
    kernel = people["sam"].open_kernel()
    tried = kernel.run(_TAKE.format(mac=mac.replace(":", ""))).strip()
    kernel.close()
    assert tried == "0 PermissionError: [Errno 1] Operation not permitted"
    bob = people["bob"]
    lab.stop_server(bob)
    bob.call("POST", "/hub/api/users/bob/server", json={"kind": "physics"})
    until(lambda: not bob.servers(), 30, "it is refused")
    code = _ASK_THE_FILTER.format(user=labels.USER, kind=labels.KIND, name=lab.server_name("bob"), mac=mac)
    asked = lab.container(lab.settings.hub_name).exec_run(["/opt/hub/bin/python", "-c", code], user="0")
    assert isinstance(asked.output, bytes)
    assert json.loads(asked.output) == [403, 403]
    bob.start_server("small")
    assert reached(bob, places) == set()


@pytest.mark.slow
def test_when_networks_change_a_running_server_gets_none_of_them_and_keeps_what_is_open(
    lab: Clone, people: dict[str, Person], places: dict[str, tuple[str, int]]
) -> None:
    ada, bob = people["ada"], people["bob"]
    kernel = ada.open_kernel()
    kernel.run(f"import socket\nopen_one = socket.create_connection({places['databases']})")
    databases, labs = (f"{address}:{port}" for address, port in places.values())
    write_kinds(lab, f"{databases}, {labs}", of_small=labs)
    planned = lab.invoke("plan")
    assert f"networks of physics: {databases} -> {databases}, {labs}" in planned
    assert f"networks of small: none -> {labs}" in planned
    assert "the networks of their kind changed, and are closed to them until then" in planned
    lab.up()
    assert reached(ada, places) == reached(bob, places) == set()
    assert kernel.run("open_one.sendall(b'still open'); print(open_one.recv(100).decode())") == "still open\n"
    kernel.close()
    restart(lab, ada, "physics")
    restart(lab, bob, "small")
    assert (reached(ada, places), reached(bob, places)) == ({"databases", "labs"}, {"labs"})
    write_kinds(lab, databases)
    assert f"networks of small: {labs} -> none" in lab.invoke("plan")
    lab.up()
    assert reached(ada, places) == reached(bob, places) == set()


@pytest.mark.slow
def test_in_a_network_of_others_servers_with_networks_are_kept_apart_too(
    hub: Clone, new_clone: Callable[..., Clone], client: docker.DockerClient, places: dict[str, tuple[str, int]]
) -> None:
    network = client.networks.create(f"hubtest-{secrets.token_hex(4)}-theirs", driver="bridge")
    guest = new_clone("ada @physics\ngrace @physics\nbob\n", DOCKER_NETWORK_NAME=network.name)
    write_kinds(guest, "{}:{}".format(*places["databases"]))
    guest.share_images_of(hub)
    try:
        guest.up()
        ada, grace, bob = entered(guest, "ada", "grace", "bob")
        for person in (ada, grace):
            restart(guest, person, "physics")
        attached = guest.container(guest.server_name("grace")).attrs["NetworkSettings"]["Networks"][network.name]
        there = {**places, "a peer": (attached["IPAddress"], 8888)}
        assert (reached(ada, there), reached(bob, there)) == ({"databases"}, set())
        assert reached(grace, places) == {"databases"}
    finally:
        guest.remove()
        network.remove()
