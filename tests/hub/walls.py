"""Whom a container of a deployment reaches, and a deployment without its walls, for tests that prove them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from hubdeploy.contract import labels
from tests.hub.clone import Clone
from tests.hub.person import Person
from tests.hub.waiting import until

# Asks every place, name -> [address, port], at the same time, and prints the names of those that answer.
ASK = """
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
# Run in the namespace of the engine's host, as the guard runs: what it set is taken back.
_TEAR_DOWN = """
import subprocess, sys
from guard.kernel import Kernel
kernel = Kernel()
for port in kernel.ports(sys.argv[1]):
    kernel.isolate(port, False)
# A guard that kept no server has taken it down itself.
subprocess.run(["nft", "delete", "table", "inet", sys.argv[2]], check=False)
"""


def reached_from(hub: Clone, name: str, places: Mapping[str, tuple[str, int]]) -> set[str]:
    asked = hub.container(name).exec_run(["python3", "-c", ASK.format(places=json.dumps(places))])
    assert isinstance(asked.output, bytes)
    return set(json.loads(asked.output))


def entered(hub: Clone, *names: str) -> list[Person]:
    """Users who have logged in with the shared password, and whose servers run."""
    people = [hub.person(name) for name in names]
    for person in people:
        assert person.log_in(hub.user_password).status_code == 200
        person.take_token()
        person.start_server()
    return people


def hub_log(hub: Clone) -> str:
    return str(hub.container(hub.settings.hub_name).logs(tail=2000).decode())


@contextmanager
def without_walls(hub: Clone) -> Iterator[None]:
    """The guard is stopped, and what it set on the host is taken back; afterwards it runs again."""
    guard = hub.container(f"{hub.name}-guard")
    walls = json.loads(dict(line.split("=", 1) for line in guard.attrs["Config"]["Env"])["WALLS"])
    guard.stop()
    hub.client.containers.run(
        hub.settings.image_reference("hub"), ["-c", _TEAR_DOWN, walls["bridge"], walls["table"]],
        entrypoint="/usr/bin/python3", network_mode="host", userns_mode="host",
        cap_drop=["ALL"], cap_add=["NET_ADMIN"], remove=True, labels={labels.DEPLOYMENT: hub.name, labels.ROLE: labels.ONE_OFF},
    )  # fmt: skip
    try:
        yield
    finally:
        guard.start()
        until(lambda: stands(hub), 10, "the guard stands")


def stands(hub: Clone) -> bool:
    asked = hub.container(f"{hub.name}-guard").exec_run(["/usr/bin/python3", "-m", "guard.question"])
    return bool(asked.exit_code == 0)
