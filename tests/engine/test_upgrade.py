"""A new hub image on a real engine, with tiny images: what is tried, and what stays where it fails."""

from __future__ import annotations

import re

import docker
import pytest

from hubdeploy.commands import prune
from hubdeploy.engine import states
from hubdeploy.errors import DeployError, EngineError
from hubdeploy.plan import operations as op
from tests.engine.project import Project
from tests.engine.test_up import ids, start_server

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


# Stands in for the image's Python: who visits a canary finds no server.
_NO_SERVER = """#!/bin/sh
case $2 in
backup.proving) echo "canary's server does not start" >&2; exit 1 ;;
esac
exec /usr/bin/python3 "$@"
"""


def tags(client: docker.DockerClient, project: Project) -> dict[str, str]:
    """Each name of the project's images -> the image's id."""
    return {tag: str(one.id) for one in client.images.list(filters=project.own) for tag in one.tags}


def test_an_image_that_a_canary_refuses_is_nobodys_and_without_a_canary_everybodys(
    client: docker.DockerClient, project: Project
) -> None:
    give_the_hub_another_python(project, _NO_SERVER)
    project.up()
    before, named = containers(client, project), tags(client, project)
    (project.root / "base-notebook" / "version").write_text("2\n")
    for _ in range(2):
        with pytest.raises(DeployError, match=r"the canary failed: on .*/base-notebook:latest") as refused:
            project.up()
        assert "canary's server does not start" in refused.value.found
        assert "users have what they had" in refused.value.fix
        # To build it gives it no name that servers start with, either.
        project.build()
        project.notebook_image()
        assert {tag: one for tag, one in tags(client, project).items() if tag in named} == named
        assert containers(client, project) == before
    thrown_away = f"{project.name}_canary"
    assert client.containers.list(all=True, filters={"name": thrown_away}) == []
    assert [one.name for one in client.volumes.list() if one.name.startswith(thrown_away)] == []
    assert [tag for tag in tags(client, project) if tag.endswith(thrown_away)] == []
    project.up(canary=False)
    latest = f"{project.name}/base-notebook:latest"
    assert tags(client, project)[latest] != named[latest]
    assert containers(client, project) == before
    assert project.plan().steps == ()


def test_images_that_a_canary_heard_of_get_their_names(
    client: docker.DockerClient, project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.up()
    before, named = containers(client, project), tags(client, project)
    kinds = "kinds:\n  plain: {title: Plain}\n  tex: {title: TeX, image: minimal-notebook}\n"
    (project.root / "servers.yml").write_text(kinds)
    (project.root / "base-notebook" / "version").write_text("2\n")
    project.up()
    printed = capsys.readouterr().out
    for kind, name in {"plain": "base-notebook", "tex": "minimal-notebook"}.items():
        assert f"a server of the kind {kind}, on {project.name}/{name}:latest" in printed
        assert tags(client, project)[f"{project.name}/{name}:latest"] not in named.values()
    assert printed.count("a cell ran, and wrote to its volumes") == 2
    changed = {name for name, one in containers(client, project).items() if before[name] != one}
    assert changed == {f"container {project.name}-{role}" for role in ("filter", "hub")}
    assert [tag for tag in tags(client, project) if tag.endswith("_canary")] == []
    assert project.plan().steps == ()


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


def test_prune_removes_what_nothing_runs_and_says_how_much_that_frees(
    client: docker.DockerClient, project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.up()
    images = {one.id for one in client.images.list(filters=project.own)}
    server = start_server(client, project, "alice")
    (project.root / "jupyterhub" / "version").write_text("2" * 1_500_000)
    (project.root / "base-notebook" / "version").write_text("2\n")
    project.up()
    newer = {one.id for one in client.images.list(filters=project.own)} - images

    (project.root / "jupyterhub" / "version").write_text("3\n")
    project.up()
    with pytest.raises(DeployError, match="no terminal to ask on"):
        prune.prune(project.deployment())
    assert newer <= {one.id for one in client.images.list(filters=project.own)}
    prune.prune(project.deployment(), yes=True)
    left = {one.id for one in client.images.list(filters=project.own)}
    assert str(server.attrs["Image"]) in left, "a server runs it"
    assert len(newer - left) == 1, "the hub's second image"
    assert project.plan().steps == ()
    freed = re.search(r"freed: (\d+) MB", capsys.readouterr().out)
    assert freed
    assert int(freed[1]) in (1, 2)
    prune.prune(project.deployment())
    assert "nothing to do" in capsys.readouterr().out
    server.remove(force=True)
