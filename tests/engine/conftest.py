"""Fixtures on a real engine. Without one these tests fail: they do not skip."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from hubdeploy.contract import labels
from tests.engine.project import Project, ensure_base
from tests.ports import free_port


@pytest.fixture(scope="session")
def client() -> Iterator[docker.DockerClient]:
    connected = docker.from_env()
    ensure_base(connected)
    yield connected
    connected.close()


@pytest.fixture(scope="session")
def projects(client: docker.DockerClient) -> Iterator[list[Project]]:
    """All of the run. The engine may go on with a build whose command a test killed, and leave an image after the test: that goes
    at the end."""
    made: list[Project] = []
    yield made
    ours = {"label": labels.DEPLOYMENT}
    listed = [*client.api.images(filters=ours), *client.api.containers(all=True, filters=ours)]
    left = {one["Labels"][labels.DEPLOYMENT] for one in listed}
    for project in made:
        if project.name in left:
            project.remove(client)


@pytest.fixture
def new_project(
    client: docker.DockerClient, projects: list[Project], tmp_path: Path
) -> Iterator[Callable[[], Project]]:
    """Makes projects side by side; removes what each left."""
    made: list[Project] = []

    def make() -> Project:
        root = tmp_path / f"clone{len(made)}"
        root.mkdir()
        made.append(Project.make(root, free_port()))
        return made[-1]

    yield make
    for project in made:
        project.remove(client)
    projects += made


@pytest.fixture
def project(new_project: Callable[[], Project]) -> Project:
    return new_project()
