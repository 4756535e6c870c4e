"""What is thrown away is gone, whatever a killed run left that goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import docker
import pytest

from hubdeploy.blueprint import throwaway
from hubdeploy.commands.throwaway import ThrowAway
from hubdeploy.contract import labels
from hubdeploy.engine import Engine
from hubdeploy.plan.snapshot import Snapshot
from hubdeploy.settings.declarations import Settings
from tests.engine.project import BASE, Project


class Late(Engine):
    """An engine on which something happens after each look."""

    happens: Callable[[], None]

    def observe(self, *arguments: Any, **named: Any) -> Snapshot:
        found = super().observe(*arguments, **named)
        self.happens()
        return found


@pytest.fixture
def settings(project: Project, client: docker.DockerClient) -> Iterator[Settings]:
    """The settings of the project's drill."""
    own = throwaway.settings_of(project.deployment().settings, throwaway.DRILL, "ada")
    yield own
    replace(project, name=own.name).remove(client)


def test_a_server_that_the_hub_of_a_killed_drill_starts_meanwhile_is_removed_too(
    project: Project, client: docker.DockerClient, settings: Settings
) -> None:
    own = {labels.DEPLOYMENT: settings.name}
    client.networks.create(settings.network_name, labels=own)

    def run(name: str, role: str) -> None:
        client.containers.run(
            BASE, ["/bin/busybox", "sleep", "600"], name=name, labels={**own, labels.ROLE: role},
            network=settings.network_name, detach=True,
        )  # fmt: skip

    def start_server() -> None:
        if client.containers.list(filters={"name": settings.hub_name}):
            run(f"{settings.name}-user-ada", labels.SERVER)

    run(settings.hub_name, "hub")
    engine = Late(project.environ)
    engine.happens = start_server
    with ThrowAway(engine, settings, project.deployment().blueprint).removed_afterwards():
        there = replace(project, name=settings.name).own
        assert client.containers.list(all=True, filters=there) == []
        assert client.networks.list(filters=there) == []
