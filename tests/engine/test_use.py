"""What containers use, as a real engine tells it, while some of them end."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import docker
import pytest

from hubdeploy.contract import labels
from hubdeploy.engine import Engine
from tests.engine.project import BASE, Project

_CONTAINERS = 6


@pytest.fixture
def running(project: Project, client: docker.DockerClient) -> Iterator[list[str]]:
    names = [f"{project.name}-use-{number}" for number in range(_CONTAINERS)]
    own = {labels.DEPLOYMENT: project.name}
    for name in names:
        client.containers.run(BASE, ["/bin/busybox", "sleep", "600"], name=name, labels=own, detach=True)
    yield names
    for one in client.containers.list(all=True, filters={"name": f"{project.name}-use-"}):
        one.remove(force=True)


def test_containers_that_are_removed_while_they_are_asked_are_left_out(
    project: Project, client: docker.DockerClient, running: list[str]
) -> None:
    engine = Engine(project.environ)
    found = engine.use([*running, "no-such-container"])
    assert found.keys() == set(running)
    assert all(one.memory > 0 for one in found.values())

    def remove() -> None:
        for name in running[:-1]:
            time.sleep(0.3)
            client.containers.get(name).remove(force=True)

    removing = threading.Thread(target=remove)
    removing.start()
    while removing.is_alive():
        found = engine.use(running)
    removing.join()
    assert running[-1] in found
