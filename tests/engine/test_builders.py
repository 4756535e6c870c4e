"""Tiny images by either builder on real engines: this machine's, a newer one, and one that keeps images as the newest do.
What fails, is broken off, is refused or is missing ends the same way by both.
"""

from __future__ import annotations

import contextlib
import dataclasses
import secrets
import socket
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import psutil
import pytest

from hubdeploy.blueprint import contexts
from hubdeploy.blueprint.specs import ImageSpec
from hubdeploy.contract import labels
from hubdeploy.engine import context_paths
from hubdeploy.engine.build import Buildx
from hubdeploy.errors import BuildError, DeployError
from hubdeploy.family import FAMILY
from tests import nested
from tests.buildx import environ_with_buildx
from tests.engine.project import BASE, Project, ensure_base

pytestmark = pytest.mark.nested

ALL = tuple(FAMILY)


@dataclasses.dataclass(frozen=True)
class Engine:
    """A real engine; `host` is its DOCKER_HOST."""

    host: str
    client: docker.DockerClient


@pytest.fixture(scope="module")
def tools(client: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return environ_with_buildx(client, tmp_path_factory.mktemp("docker"))


# What each is started with; from 29 on new engines keep their images in containerd's store.
NEWER: dict[str, tuple[str, ...]] = {"a newer engine": (), "images in containerd": ("containerd-snapshotter",)}
HERE = "this machine's engine"


@pytest.fixture(scope="module", params=[HERE, *NEWER])
def engine(request: pytest.FixtureRequest, client: docker.DockerClient) -> Iterator[Engine]:
    if request.param == HERE:
        yield Engine("unix:///var/run/docker.sock", client)
        return
    with nested.second_engine(client, uuid.uuid4().hex, *NEWER[request.param]) as newer:
        there = docker.DockerClient(base_url=newer.url, timeout=600)
        ensure_base(there)
        yield Engine(newer.url, there)
        there.close()


@pytest.fixture
def project(engine: Engine, tools: dict[str, str], new_project: Callable[[], Project]) -> Iterator[Project]:
    """A project on that engine, with `docker buildx` at hand."""
    made = dataclasses.replace(new_project(), environ={**tools, "DOCKER_HOST": engine.host})
    yield made
    made.remove(engine.client)


def by(project: Project, builder: str) -> Project:
    """The project whose shell names a builder."""
    return dataclasses.replace(project, environ={**project.environ, "BUILDER": builder})


def ids(client: docker.DockerClient, project: Project) -> dict[str, str]:
    own = {"label": f"{labels.DEPLOYMENT}={project.name}"}
    return {tag: str(one.id) for one in client.images.list(filters=own) for tag in one.tags}


def test_buildx_builds_on_parents_that_only_the_engine_has(engine: Engine, project: Project) -> None:
    by(project, "buildx").build(*ALL)
    built = ids(engine.client, project)
    assert {tag.rpartition(":")[0] for tag in built} == {f"{project.name}/{name}" for name in ALL}
    for name in ALL:
        image = engine.client.images.get(f"{project.name}/{name}:latest")
        assert image.labels[labels.ROLE] == f"image:{name}"
        assert image.labels[labels.REPOSITORY] == f"{project.name}/{name}"
        assert image.id == built[f"{project.name}/{name}:{image.labels[labels.CONTENT][:12]}"]
    # What its parent got, and what it got itself.
    environment = engine.client.images.get(f"{project.name}/minimal-notebook:latest").attrs["Config"]["Env"]
    assert {"PYTHON_DISTRIBUTION=anaconda", "NB_UID=1000", "NOTEBOOK_DIR=/home/cryptic/work"} <= set(environment)


@pytest.mark.parametrize("first", ["classic", "buildx"])
def test_another_builder_builds_nothing_anew(
    engine: Engine, project: Project, first: str, capsys: pytest.CaptureFixture[str]
) -> None:
    by(project, first).build(*ALL)
    before = ids(engine.client, project)
    for builder in ("classic", "buildx"):
        capsys.readouterr()
        by(project, builder).build(*ALL)
        assert capsys.readouterr().out == "nothing to do\n"
    assert ids(engine.client, project) == before


def test_the_same_built_again_is_the_same_image(engine: Engine, project: Project) -> None:
    """From BuildKit's own cache, which stays when the names are gone."""
    buildx = by(project, "buildx")
    buildx.build("proxy")
    before = ids(engine.client, project)
    for tag in before:
        engine.client.images.remove(tag)
    assert ids(engine.client, project) == {}
    buildx.build("proxy")
    assert ids(engine.client, project) == before


def test_a_failure_reads_the_same_by_both_builders(project: Project) -> None:
    with (project.root / "proxy" / "Dockerfile").open("a") as dockerfile:
        dockerfile.write('RUN ["/bin/busybox", "sh", "-c", "echo this is why; exit 3"]\n')
    for builder in ("classic", "buildx"):
        with pytest.raises(BuildError) as failure:
            by(project, builder).build("proxy")
        message = failure.value.message
        assert "the build failed at `RUN" in message, builder
        assert "exit 3" in failure.value.found, builder
        assert "    this is why" in failure.value.fix.splitlines(), builder


def test_a_build_that_is_broken_off_ends_on_the_engine(engine: Engine, project: Project) -> None:
    # Both engines run on this machine, so that what they run is found among its processes.
    token = str(600_000 + secrets.randbelow(100_000))
    folder = project.root / "proxy"
    with (folder / "Dockerfile").open("a") as dockerfile:
        dockerfile.write(f'RUN ["/bin/busybox", "sh", "-c", "echo begun; /bin/busybox sleep {token}"]\n')
    spec = ImageSpec(
        name="proxy", reference=f"{project.name}/proxy:latest", folder="proxy", parent=BASE, content=token,
        arguments={"PARENT": BASE}, labels={}, disk=1, context=contexts.read(folder, context_paths),
    )  # fmt: skip

    def broken_off(line: str) -> None:
        if line == "begun":
            await_that(lambda: sleeps(token))
            raise KeyError(line)

    with tempfile.TemporaryFile() as context:
        spec.context.write_tar(context)
        context.seek(0)
        with pytest.raises(KeyError, match="begun"):
            Buildx(project.environ, engine.host).build(spec, context, broken_off)
    await_that(lambda: not sleeps(token))


def sleeps(token: str) -> bool:
    """Whether a process of this machine sleeps for that long."""
    return any(
        ["sleep", token] == one.info["cmdline"][-2:] for one in psutil.process_iter(["cmdline"]) if one.info["cmdline"]
    )


def await_that(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline, "it does not come to that"
        time.sleep(0.05)


@contextlib.contextmanager
def refusing_classic(host: str) -> Iterator[str]:
    """The same engine as one that lost its classic builder: a relay that answers its builds itself, DOCKER_HOST of it."""
    server = socket.create_server(("127.0.0.1", 0))
    target = host.removeprefix("unix://")

    def reach() -> socket.socket:
        if target == host:
            name, _, port = host.removeprefix("tcp://").partition(":")
            return socket.create_connection((name, int(port)))
        here = socket.socket(socket.AF_UNIX)
        here.connect(target)
        return here

    def forward(source: socket.socket, sink: socket.socket, refused: bool) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(65536):
                line = piece.partition(b"\r\n")[0]
                if refused and line.startswith(b"POST /v") and b"/build?" in line:
                    body = b'{"message":"invalid version \\"1\\""}'
                    head = b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
                    # Read to its end, or the client sees a broken connection and no answer.
                    source.settimeout(1)
                    with contextlib.suppress(TimeoutError):
                        while source.recv(65536):
                            pass
                    source.sendall(head % len(body) + body)
                    break
                sink.sendall(piece)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, there = server.accept()[0], reach()
                threading.Thread(target=forward, args=(client, there, True), daemon=True).start()
                threading.Thread(target=forward, args=(there, client, False), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"tcp://127.0.0.1:{server.getsockname()[1]}"
    finally:
        server.close()


def test_an_engine_that_refuses_the_classic_builder_gets_buildx(engine: Engine, project: Project) -> None:
    with refusing_classic(engine.host) as host:
        there = dataclasses.replace(project, environ={**project.environ, "DOCKER_HOST": host})
        there.build("base-notebook", "proxy")
        with pytest.raises(DeployError, match='the engine refuses the classic builder: invalid version "1"'):
            by(there, "classic").build("hub")
        without = dataclasses.replace(there, environ={"DOCKER_HOST": host, "PATH": "/nowhere"})
        with pytest.raises(DeployError, match=r"refuses the classic builder: .*; and there is no command docker"):
            without.build("hub")
    assert any(tag.startswith(f"{project.name}/base-notebook:") for tag in ids(engine.client, project))


def test_another_builder_that_the_operator_selected_is_not_used(
    engine: Engine, project: Project, tmp_path: Path
) -> None:
    """One in a container would not find the parents."""
    selected = {**project.environ, "BUILDX_BUILDER": "elsewhere", "DOCKER_CONTEXT": "elsewhere"}
    by(dataclasses.replace(project, environ=selected), "buildx").build("base-notebook")
    assert any(tag.startswith(f"{project.name}/base-notebook:") for tag in ids(engine.client, project))
