"""A foreign image that does not fit the hub is refused by `up`, after one question in a container that leaves no trace."""

from __future__ import annotations

import io
import json
import os
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import docker
import pytest
from docker.models.containers import Container

from hubdeploy.commands import image_probe, parts
from hubdeploy.contract import labels
from hubdeploy.errors import DeployError
from tests.archive import tar
from tests.engine.project import BASE, Project
from tests.engine.registry import serving
from tests.engine.test_command_line import nothing_exists
from tests.hub.waiting import until

HUB = "6.1.1"
MakeImage = Callable[..., str]
START = {"/bin/start-singleuser.sh": "exec jupyterhub-singleuser"}


def singleuser(prints: str) -> dict[str, str]:
    """Files of an image with a start command, and a single-user server that runs `prints` when asked for its version."""
    return {**START, "/bin/jupyterhub-singleuser": prints}


@pytest.fixture
def make_image(client: docker.DockerClient) -> Iterator[MakeImage]:
    """Builds tiny images with these programs in them; gives the reference of each."""
    made: list[str] = []

    def make(programs: dict[str, str], *instructions: str, reference: str = "", base: str = BASE) -> str:
        reference = reference or f"hubdeploy-test/foreign-{uuid.uuid4().hex[:10]}:1"
        dockerfile = "\n".join([f"FROM {base}", *(f"COPY .{path} {path}" for path in programs), *instructions, ""])
        files = {"Dockerfile": dockerfile.encode()}
        files |= {path.lstrip("/"): f"#!/bin/sh\n{script}\n".encode() for path, script in programs.items()}
        made.append(reference)
        context = io.BytesIO(tar(files, mode=0o755))
        client.images.build(fileobj=context, custom_context=True, tag=reference, rm=True)
        return reference

    yield make
    for reference in set(made):
        client.images.remove(reference, force=True)


@pytest.fixture
def project(project: Project) -> Project:
    """The project, with a hub of version HUB."""
    set_hub(project, HUB)
    return project


def set_hub(project: Project, version: str) -> None:
    (project.root / "jupyterhub" / "requirements.lock").write_text(f"jupyterhub=={version} \\\n    --hash=sha256:00\n")


def nothing_made(client: docker.DockerClient, project: Project) -> bool:
    return nothing_exists(client, project) and not client.images.list(filters=project.own)


def refused(project: Project) -> DeployError:
    """The refusal of `up`; `plan` and `notebook-image` must refuse in the same words."""
    with pytest.raises(DeployError) as caught:
        project.up(yes=True)
    for verb in (project.show_plan, project.notebook_image, project.pull):
        with pytest.raises(DeployError) as again:
            verb()
        assert str(again.value) == str(caught.value)
    return caught.value


@contextmanager
def containers_made(client: docker.DockerClient, project: Project) -> Iterator[list[str]]:
    """The names of the project's containers that the engine creates inside the block, without those for builds."""
    names: list[str] = []
    wanted = {"type": "container", "event": "create", **project.own}
    # The engine reads fractions of a second, which the stubs do not know.
    stream = client.events(since=f"{time.time():.9f}", filters=wanted, decode=True)  # type: ignore[call-overload]
    yield names
    # The stream does not end by itself.
    last = client.containers.create(BASE, ["true"], labels={labels.DEPLOYMENT: project.name})
    last.remove()
    for event in stream:
        name = event["Actor"]["Attributes"]["name"]
        if name == last.name:
            break
        if name.startswith(project.name):
            names.append(name)
    stream.close()


@pytest.mark.parametrize("version", ["5.3.0", "7.0.0b1"])
def test_another_major_version_is_refused_with_both_named_and_nothing_made(
    client: docker.DockerClient, project: Project, make_image: MakeImage, version: str
) -> None:
    image = make_image(singleuser(f"echo {version}"))
    project.write_env(DOCKER_NOTEBOOK_IMAGE=image)
    error = refused(project)
    assert error.found == f"image {image} has JupyterHub {version}"
    assert f"the hub has {HUB}" in error.wanted
    assert nothing_made(client, project)
    assert not (project.root / ".env.local").exists()


def test_an_image_without_jupyterhub_is_refused_with_the_hubs_version_and_nothing_made(
    client: docker.DockerClient, project: Project, make_image: MakeImage
) -> None:
    image = make_image(START)
    project.write_env(DOCKER_NOTEBOOK_IMAGE=image)
    error = refused(project)
    assert error.found == f"image {image} has no jupyterhub-singleuser on its PATH"
    assert f"the hub has {HUB}" in error.wanted
    assert f"FROM {project.name}/base-notebook:latest" in error.fix
    assert nothing_made(client, project)


def test_an_image_that_fits_is_asked_once_and_works(
    client: docker.DockerClient, project: Project, make_image: MakeImage
) -> None:
    project.write_env(DOCKER_NOTEBOOK_IMAGE=make_image(singleuser("echo 6.0.0")))
    with containers_made(client, project) as made:
        project.up()
    assert made == [f"{project.name}-{role}" for role in ("one-off", "proxy", "guard", "filter", "hub", "clock")]
    assert {one.name for one in client.containers.list(all=True, filters=project.own)} == set(made[1:])
    with containers_made(client, project) as made:
        project.up()
    assert made == []


def test_network_and_volumes_are_made_for_any_image(project: Project, make_image: MakeImage) -> None:
    project.write_env(DOCKER_NOTEBOOK_IMAGE=make_image(START))
    parts.networks(project.deployment())
    parts.volumes(project.deployment())
    assert not (project.root / image_probe.MEMORY).exists()


def test_a_refused_image_is_asked_once(client: docker.DockerClient, project: Project, make_image: MakeImage) -> None:
    project.write_env(DOCKER_NOTEBOOK_IMAGE=make_image(START))
    with containers_made(client, project) as made:
        first, second = refused(project), refused(project)
    assert str(first) == str(second)
    assert made == [f"{project.name}-one-off"]


def test_the_image_of_each_kind_is_asked_once_and_the_one_that_does_not_fit_is_named(
    client: docker.DockerClient, project: Project, make_image: MakeImage
) -> None:
    fits, other = make_image(singleuser("echo 6.0.0")), make_image(singleuser("echo 5.0.0"))
    kinds = f"""
kinds:
  ours: {{title: Ours}}
  one: {{title: One, image: "{fits}"}}
  two: {{title: Two, image: "{fits}"}}
  other: {{title: Other, image: "{other}"}}
"""
    (project.root / "servers.yml").write_text(kinds)
    with containers_made(client, project) as made:
        error = refused(project)
    assert made == [f"{project.name}-one-off"] * 2
    assert error.found == f"image {other} has JupyterHub 5.0.0"
    assert "in the image of the kind other in servers.yml, as the hub has" in error.wanted
    assert nothing_made(client, project)
    (project.root / "servers.yml").write_text(kinds.replace(f'"{other}"', f'"{fits}", command: start-other'))
    error = refused(project)
    assert error.found == f"image {fits} has no command start-other"
    assert "set command of the kind other in servers.yml" in error.fix


def test_an_image_of_ours_is_not_asked(client: docker.DockerClient, project: Project) -> None:
    with containers_made(client, project) as made:
        project.up()
    assert made == [f"{project.name}-{role}" for role in ("proxy", "guard", "filter", "hub", "clock")]
    assert not (project.root / image_probe.MEMORY).exists()


def test_a_hub_of_a_new_major_version_refuses_the_image_it_had_taken(
    client: docker.DockerClient, project: Project, make_image: MakeImage
) -> None:
    image = make_image(singleuser("echo 6.0.0"))
    project.write_env(DOCKER_NOTEBOOK_IMAGE=image)
    project.up()
    before = {one.name: one.id for one in client.containers.list(filters=project.own)}
    set_hub(project, "7.0.0")
    with containers_made(client, project) as made:
        error = refused(project)
    assert (error.found, made) == (f"image {image} has JupyterHub 6.0.0", [])
    assert "the hub has 7.0.0" in error.wanted
    assert {one.name: one.id for one in client.containers.list(filters=project.own)} == before


def test_a_tag_that_names_another_image_is_asked_anew(
    client: docker.DockerClient, project: Project, make_image: MakeImage
) -> None:
    image = make_image(singleuser("echo 6.0.0"))
    project.write_env(DOCKER_NOTEBOOK_IMAGE=image)
    project.show_plan()
    make_image(singleuser("echo 5.0.0"), reference=image)
    assert refused(project).found == f"image {image} has JupyterHub 5.0.0"
    make_image(singleuser("echo 6.0.0"), reference=image)
    with containers_made(client, project) as made:
        project.show_plan()
    assert made == []


def test_two_tags_of_one_image_are_asked_once(
    client: docker.DockerClient, project: Project, make_image: MakeImage
) -> None:
    for image in (make_image(singleuser("echo 6.0.0")), make_image(singleuser("echo 6.0.0"))):
        project.write_env(DOCKER_NOTEBOOK_IMAGE=image)
        with containers_made(client, project) as made:
            project.show_plan()
    assert made == []


def test_another_start_command_is_asked_for_in_the_same_image(project: Project, make_image: MakeImage) -> None:
    image = make_image(singleuser("echo 6.0.0"))
    project.write_env(DOCKER_NOTEBOOK_IMAGE=image, DOCKER_SPAWN_CMD="start.py --debug")
    assert refused(project).found == f"image {image} has no command start.py"
    project.write_env(DOCKER_SPAWN_CMD="jupyterhub-singleuser --debug")
    project.show_plan()


@pytest.mark.parametrize("memory", ["", "[]", '{"a": 1', "null", "{wrong}"])
def test_a_memory_that_is_lost_costs_a_question_and_no_more(
    client: docker.DockerClient, project: Project, make_image: MakeImage, memory: str
) -> None:
    project.write_env(DOCKER_NOTEBOOK_IMAGE=make_image(singleuser("echo 6.0.0")))
    project.show_plan()
    path = project.root / image_probe.MEMORY
    kept = path.read_text()
    path.write_text(json.dumps(dict.fromkeys(json.loads(kept), "x")) if memory == "{wrong}" else memory)
    with containers_made(client, project) as made:
        project.show_plan()
    assert made == [f"{project.name}-one-off"]
    assert path.read_text() == kept


def test_a_memory_that_cannot_be_written_costs_a_question_and_no_more(
    client: docker.DockerClient, project: Project, make_image: MakeImage
) -> None:
    project.write_env(DOCKER_NOTEBOOK_IMAGE=make_image(singleuser("echo 6.0.0")))
    (project.root / image_probe.MEMORY).mkdir()
    for _ in range(2):
        with containers_made(client, project) as made:
            project.show_plan()
        assert made == [f"{project.name}-one-off"]
    assert sorted(path.name for path in project.root.iterdir() if path.name.startswith(image_probe.MEMORY)) == [
        image_probe.MEMORY
    ]


def test_a_server_found_by_the_entrypoints_path_counts(project: Project, make_image: MakeImage) -> None:
    programs = {
        "/bin/entry": 'PATH=/env:$PATH; echo activated 1.2.3; exec "$@"',
        "/env/start-singleuser.sh": "exec jupyterhub-singleuser",
        "/env/jupyterhub-singleuser": "echo 6.0.0",
    }
    project.write_env(DOCKER_NOTEBOOK_IMAGE=make_image(programs, 'ENTRYPOINT ["/bin/entry"]'))
    project.show_plan()


def test_an_entrypoint_that_needs_more_rights_than_a_probe_has_does_not_matter(
    project: Project, make_image: MakeImage
) -> None:
    programs = {**singleuser("echo 6.0.0"), "/bin/entry": 'busybox chown 7 /bin/entry || exit; exec "$@"'}
    project.write_env(DOCKER_NOTEBOOK_IMAGE=make_image(programs, 'ENTRYPOINT ["/bin/entry"]'))
    project.show_plan()


@pytest.mark.parametrize(
    ("programs", "base", "last"),
    [
        (singleuser("echo ImportError: jupyter_server; exit 1"), BASE, "    ImportError: jupyter_server"),
        (singleuser("echo ImportError: jupyter_server >&2; exit 1"), BASE, "    ImportError: jupyter_server"),
        ({"/nothing": "exit"}, "scratch", "/bin/sh"),
        (singleuser("kill -9 $$"), BASE, "Killed"),
    ],
)
def test_a_server_that_does_not_start_is_refused_with_its_last_lines_and_asked_again(
    client: docker.DockerClient,
    project: Project,
    make_image: MakeImage,
    programs: dict[str, str],
    base: str,
    last: str,
) -> None:
    image = make_image(programs, base=base)
    project.write_env(DOCKER_NOTEBOOK_IMAGE=image)
    error = refused(project)
    assert error.found == f"jupyterhub-singleuser does not start in image {image}"
    assert last in error.fix
    assert not (project.root / image_probe.MEMORY).exists()
    assert nothing_made(client, project)


def test_an_image_whose_server_hangs_is_refused_in_time(
    client: docker.DockerClient, project: Project, make_image: MakeImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_probe, "WITHIN", 1.0)
    image = make_image(singleuser("echo it waits >&2; busybox sleep 600"))
    project.write_env(DOCKER_NOTEBOOK_IMAGE=image)
    with pytest.raises(DeployError, match="does not start") as caught:
        project.up()
    assert caught.value.fix.endswith("    it waits\n    (ended after 1 s)")
    assert nothing_made(client, project)


@contextmanager
def killed_probe(client: docker.DockerClient, project: Project) -> Iterator[Container]:
    """The running container of a probe, whose process is killed at the end of the block."""
    child = os.fork()
    if child == 0:
        try:
            project.up()
        finally:
            os._exit(1)
    try:
        wanted = [f"{labels.DEPLOYMENT}={project.name}", f"{labels.ROLE}={labels.ONE_OFF}"]
        until(lambda: bool(client.containers.list(filters={"label": wanted})), 30, "the probe runs")
        yield client.containers.list(filters={"label": wanted})[0]
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_a_probe_gives_the_image_no_network_no_right_and_no_file(
    client: docker.DockerClient, project: Project, make_image: MakeImage
) -> None:
    image = make_image(singleuser("busybox sleep 600"), "USER 1234", "HEALTHCHECK CMD true")
    project.write_env(DOCKER_NOTEBOOK_IMAGE=image)
    with killed_probe(client, project) as probe:
        attributes = probe.attrs
        _, status = probe.exec_run(["busybox", "cat", "/proc/1/status"])
    assert isinstance(status, bytes)
    facts = dict(line.split(":\t", 1) for line in status.decode().splitlines() if ":\t" in line)
    assert (facts["Uid"].split()[0], facts["CapEff"], facts["CapBnd"]) == ("1234", "0" * 16, "0" * 16)
    assert facts["NoNewPrivs"] == "1"
    host = attributes["HostConfig"]
    assert host["NetworkMode"] == "none"
    assert 0 < host["Memory"] == host["MemorySwap"]
    assert host["PidsLimit"] > 0
    assert attributes["Mounts"] == []
    assert attributes["Config"]["Healthcheck"] == {"Test": ["NONE"]}
    project.clean(volumes=False, yes=True)
    assert nothing_made(client, project)


def test_a_probe_that_was_killed_is_in_nobodys_way(
    client: docker.DockerClient, project: Project, make_image: MakeImage
) -> None:
    project.write_env(DOCKER_NOTEBOOK_IMAGE=make_image(singleuser("busybox sleep 600"), "VOLUME /kept"))
    with killed_probe(client, project) as probe:
        kept = probe.attrs["Mounts"][0]["Name"]
    project.write_env(DOCKER_NOTEBOOK_IMAGE=make_image(singleuser("echo 6.0.0")))
    project.up()
    with pytest.raises(docker.errors.NotFound):
        client.containers.get(str(probe.id))
    with pytest.raises(docker.errors.NotFound):
        client.volumes.get(kept)
    assert project.plan().steps == ()


def test_two_at_once_ask_once_and_neither_is_in_the_others_way(
    client: docker.DockerClient, project: Project, make_image: MakeImage
) -> None:
    project.write_env(DOCKER_NOTEBOOK_IMAGE=make_image(singleuser("busybox sleep 2; echo 6.0.0")))
    volume = f"{project.name}-user-ada"
    client.volumes.create(volume)
    client.containers.run(BASE, ["busybox", "chown", "1000", "/v"], remove=True, volumes={volume: {"bind": "/v"}})
    try:
        with containers_made(client, project) as made, ThreadPoolExecutor(2) as people:
            for one in [people.submit(project.show_plan) for _ in range(2)]:
                one.result()
        # Each asks for the volume's owner, the first also the image.
        assert made == [f"{project.name}-one-off"] * 3
    finally:
        client.volumes.get(volume).remove()


def test_a_strangers_container_under_the_probes_name_stays(
    client: docker.DockerClient, project: Project, make_image: MakeImage
) -> None:
    project.write_env(DOCKER_NOTEBOOK_IMAGE=make_image(singleuser("echo 6.0.0")))
    stranger = client.containers.create(BASE, ["true"], name=f"{project.name}-one-off")
    try:
        with pytest.raises(DeployError, match="already in use"):
            project.up()
        stranger.reload()
    finally:
        stranger.remove()
    assert nothing_made(client, project)


def test_an_image_that_is_not_here_is_pulled_then_asked_and_refused_before_anything_else(
    client: docker.DockerClient, project: Project, make_image: MakeImage, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(client, make_image(singleuser("echo 5.3.0"))) as reference:
        project.write_env(DOCKER_NOTEBOOK_IMAGE=reference)
        with containers_made(client, project) as made:
            project.show_plan()
        assert (
            f"image {reference} is pulled - it is not on the engine; then its JupyterHub is compared"
            in capsys.readouterr().out
        )
        assert made == []
        try:
            with containers_made(client, project) as made:
                with pytest.raises(DeployError, match="has JupyterHub 5"):
                    project.up()
                assert client.images.get(reference)
            assert made == [f"{project.name}-one-off"]
            assert nothing_made(client, project)
            assert not (project.root / ".env.local").exists()
        finally:
            client.images.remove(reference)


@pytest.mark.parametrize("verb", ["pull", "notebook_image"])
def test_a_command_that_pulls_the_image_says_that_it_does_not_fit(
    client: docker.DockerClient, project: Project, make_image: MakeImage, verb: str
) -> None:
    with serving(client, make_image(singleuser("echo 5.3.0"))) as reference:
        project.write_env(DOCKER_NOTEBOOK_IMAGE=reference)
        try:
            with pytest.raises(DeployError, match="has JupyterHub 5"):
                getattr(project, verb)()
        finally:
            client.images.remove(reference)
