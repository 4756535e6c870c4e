"""A new hub image on a real engine, with tiny images: what is tried, and what stays where it fails."""

from __future__ import annotations

import docker
import pytest

from hubdeploy.engine import states
from hubdeploy.errors import EngineError
from hubdeploy.plan import operations as op
from tests.engine.project import Project
from tests.engine.test_up import ids

# Stands in for the image's Python: the trial fails, all else goes on.
_CANNOT_UPGRADE = """#!/bin/sh
case $2 in
states) echo no such revision >&2; exit 1 ;;
esac
exec /usr/bin/python3 "$@"
"""


def give_the_hub_another_python(project: Project, program: str) -> None:
    folder = project.root / "jupyterhub"
    file = folder / "python"
    file.write_text(program)
    file.chmod(0o755)
    dockerfile = folder / "Dockerfile"
    dockerfile.write_text(f"{dockerfile.read_text()}COPY python /opt/hub/bin/python\n")


def containers(client: docker.DockerClient, project: Project) -> dict[str, str | None]:
    return {name: one for name, one in ids(client, project).items() if name.startswith("container ")}


def test_an_image_that_cannot_upgrade_the_database_replaces_nothing(
    client: docker.DockerClient, project: Project
) -> None:
    project.up()
    before = containers(client, project)
    give_the_hub_another_python(project, _CANNOT_UPGRADE)
    for _ in range(2):
        with pytest.raises(EngineError, match="on a copy of the database it failed:\n    no such revision"):
            project.up()
        assert containers(client, project) == before


def settings_of(client: docker.DockerClient, name: str) -> tuple[object, ...]:
    """All that the engine was asked for when it made a container."""
    found = client.containers.get(name)
    config = {key: value for key, value in found.attrs["Config"].items() if key not in ("Hostname", "Image")}
    networks = {
        name: (one["IPAMConfig"], sorted(set(one["Aliases"] or ()) - {found.short_id}))
        for name, one in found.attrs["NetworkSettings"]["Networks"].items()
    }
    return found.attrs["Image"], config, found.attrs["HostConfig"], networks


def test_a_container_is_made_again_as_it_was_from_the_engines_description(
    client: docker.DockerClient, project: Project
) -> None:
    project.up()
    connection = project.deployment().engine.connection
    for role in ("guard", "filter", "hub", "clock"):
        name = f"{project.name}-{role}"
        description = states.description(connection, connection.api.inspect_container(name))
        before = settings_of(client, name)
        connection.api.remove_container(name, force=True)
        states.recreate(connection, op.ContainerRecreated(name, description), lambda line: None)
        assert settings_of(client, name) == before
    words = {str(step.operation).rpartition(" is ")[2] for step in project.plan().steps}
    assert words <= {"started", "healthy"}, "another place or image would make them anew"
    project.up()
