"""The two builders: what they ask for, which is taken, and what comes of a build that fails, is refused or is broken off.

A server on the loopback address plays an engine that refuses, which none does yet; a script plays `docker`. The real ones
build in tests/engine/test_builders.py and tests/hub/test_builders.py.
"""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import IO

import docker
import pytest

from hubdeploy.blueprint.contexts import Context
from hubdeploy.blueprint.specs import ImageSpec
from hubdeploy.engine import build
from hubdeploy.engine.build import Buildx, BuildxMissing, Classic, ClassicFirst, ClassicRefused, Progress
from hubdeploy.errors import BuildError, DeployError

CHECKOUT = Path(__file__).resolve().parents[3]
SPEC = ImageSpec(
    name="hub",
    reference="lab/hub:latest",
    folder="jupyterhub",
    parent="ubuntu:24.04",
    content="0123456789abcdef",
    arguments={"PARENT": "ubuntu:24.04", "NOTEBOOK_DIR": "/home/a/x=y,z"},
    labels={"hubdeploy.deployment": "lab", "hubdeploy.inputs": '{"its parent": "01"}'},
    disk=1,
    context=Context(()),
)
# As buildx 0.29 prints it on engine 20.10, at the failure of the second of two steps.
FAILED = """\
#0 building with "default" instance using docker driver

#1 [internal] load remote build context
#1 DONE 0.0s

#3 [internal] load metadata for docker.io/lab/base:1
#3 DONE 0.0s

#4 [1/3] FROM docker.io/lab/base:1
#4 CACHED

#5 [2/3] RUN echo one; printf 'a\\rb\\n'
#5 0.183 one
#5 0.190 a\rb
#5 DONE 0.4s

#6 [3/3] RUN echo two; exit 3
#6 0.191 \x1b[91mtwo\x1b[0m
#6 ERROR: executor failed running [/bin/sh -c echo two; exit 3]: exit code: 3
------
 > [3/3] RUN echo two; exit 3:
0.191 two
------
ERROR: failed to build: failed to solve: executor failed running [/bin/sh -c echo two; exit 3]: exit code: 3
"""


def quiet(line: str) -> None:
    """Nobody listens."""


def test_buildx_is_asked_for_the_same_name_arguments_and_labels() -> None:
    assert build.command(SPEC) == [
        "docker", "buildx", "build", "--builder", "default", "--load", "--progress=plain", "--provenance=false",
        "--tag", "lab/hub:0123456789ab",
        "--build-arg", "PARENT=ubuntu:24.04", "--build-arg", "NOTEBOOK_DIR=/home/a/x=y,z",
        "--label", "hubdeploy.deployment=lab", "--label", 'hubdeploy.inputs={"its parent": "01"}',
        "-",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({}, {}),
        ({"DOCKER_CONTEXT": "other", "SOURCE_DATE_EPOCH": "1", "HOME": "/root"}, {"HOME": "/root"}),
        ({"DOCKER_HOST": "127.0.0.1:1"}, {}),
        ({"DOCKER_CERT_PATH": "/c"}, {"DOCKER_CERT_PATH": "/c", "DOCKER_TLS": "1"}),
        (
            {"DOCKER_CERT_PATH": "/c", "DOCKER_TLS_VERIFY": "1"},
            {"DOCKER_CERT_PATH": "/c", "DOCKER_TLS_VERIFY": "1"},
        ),
    ],
)
def test_buildx_talks_to_the_engine_that_is_connected(environ: dict[str, str], wanted: dict[str, str]) -> None:
    assert build.environment(environ, "tcp://engine:2375") == {"DOCKER_HOST": "tcp://engine:2375", **wanted}


# -- which builder ------------------------------------------------------------------------------------------------------


class Played:
    """A builder that reads the whole context, and raises what it is given."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.contexts: list[bytes] = []

    def build(self, spec: ImageSpec, context: IO[bytes], progress: Progress) -> None:
        self.contexts.append(context.read())
        if self.error:
            raise self.error


def test_classic_builds_as_long_as_the_engine_does_not_refuse() -> None:
    classic, buildx = Played(), Played()
    ClassicFirst(classic, buildx).build(SPEC, io.BytesIO(b"tar"), quiet)
    assert (classic.contexts, buildx.contexts) == ([b"tar"], [])


def test_buildx_builds_from_the_first_refusal_on_with_the_whole_context() -> None:
    classic, buildx = Played(ClassicRefused(SPEC, 'invalid version "1"')), Played()
    both = ClassicFirst(classic, buildx)
    for content in (b"one", b"two"):
        both.build(SPEC, io.BytesIO(content), quiet)
    assert (classic.contexts, buildx.contexts) == ([b"one"], [b"one", b"two"])


def test_a_build_that_fails_is_not_tried_by_the_other_builder() -> None:
    failure = BuildError(wanted="an image", found="the build failed", fix="fix it")
    classic, buildx = Played(failure), Played()
    with pytest.raises(BuildError):
        ClassicFirst(classic, buildx).build(SPEC, io.BytesIO(), quiet)
    assert buildx.contexts == []


def test_an_engine_that_needs_buildx_where_there_is_none_is_reported_with_both_reasons() -> None:
    refusal, missing = ClassicRefused(SPEC, "page not found"), BuildxMissing(SPEC, "there is no command docker")
    with pytest.raises(DeployError) as raised:
        ClassicFirst(Played(refusal), Played(missing)).build(SPEC, io.BytesIO(), quiet)
    assert raised.value.found == (
        "the engine refuses the classic builder: page not found; and there is no command docker"
    )
    assert "docker-buildx" in raised.value.fix


@pytest.mark.parametrize(("name", "kind"), [("classic", Classic), ("buildx", Buildx), (None, ClassicFirst)])
def test_the_setting_names_the_builder(name: str | None, kind: type) -> None:
    assert type(build.builder(name, docker.APIClient, {}, "unix:///var/run/docker.sock")) is kind


# -- an engine that refuses -----------------------------------------------------------------------------------------


@contextmanager
def engine_that_answers(status: int, said: str) -> Iterator[docker.APIClient]:
    """A client of an engine that answers each build with this status and message."""

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            body = json.dumps({"message": said}).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *words: object) -> None:
            """Prints nothing."""

    server = HTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield docker.APIClient(base_url=f"tcp://127.0.0.1:{server.server_port}", version="1.41", timeout=10)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "said"),
    [(400, 'invalid version "1"'), (404, "page not found"), (405, "method not allowed"), (501, "not implemented")],
)
def test_an_engine_without_the_classic_builder_is_known_by_its_answer(status: int, said: str) -> None:
    with engine_that_answers(status, said) as api, pytest.raises(ClassicRefused) as raised:
        Classic(lambda: api).build(SPEC, io.BytesIO(b"tar"), quiet)
    assert raised.value.found == f"the engine refuses the classic builder: {said}"
    assert "BUILDER=buildx" in raised.value.fix


@pytest.mark.parametrize(("status", "said"), [(400, "dockerfile parse error"), (500, "no space left on device")])
def test_any_other_answer_is_a_build_that_failed(status: int, said: str) -> None:
    with engine_that_answers(status, said) as api, pytest.raises(BuildError) as raised:
        Classic(lambda: api).build(SPEC, io.BytesIO(b"tar"), quiet)
    assert raised.value.found == f"the build failed: {said}"


# -- docker, played -------------------------------------------------------------------------------------------------


def environ_with(folder: Path, script: str) -> dict[str, str]:
    """An environment whose `docker` is a shell script."""
    path = folder / "docker"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


def by_buildx(environ: Mapping[str, str], progress: Progress = quiet) -> None:
    with tempfile.TemporaryFile() as context:
        context.write(b"the tar")
        context.seek(0)
        Buildx(environ, "unix:///nowhere").build(SPEC, context, progress)


def test_the_context_goes_to_standard_input_and_the_words_to_docker(tmp_path: Path) -> None:
    by_buildx(environ_with(tmp_path, f'cat > {tmp_path}/stdin; printf "%s\\n" "$@" > {tmp_path}/words'))
    assert (tmp_path / "stdin").read_bytes() == b"the tar"
    assert (tmp_path / "words").read_text().splitlines() == build.command(SPEC)[1:]


@pytest.mark.parametrize("size", [10_000, 100_000])
def test_docker_reads_the_whole_context_that_was_read_in_part_before(tmp_path: Path, size: int) -> None:
    content = os.urandom(size)

    class Partly(Played):
        def build(self, spec: ImageSpec, context: IO[bytes], progress: Progress) -> None:
            context.read(10)
            raise ClassicRefused(spec, "page not found")

    with tempfile.TemporaryFile() as context:
        context.write(content)
        context.seek(0)
        environ = environ_with(tmp_path, f"cat > {tmp_path}/stdin")
        ClassicFirst(Partly(), Buildx(environ, "unix:///nowhere")).build(SPEC, context, quiet)
    assert (tmp_path / "stdin").read_bytes() == content


def test_a_failure_tells_the_instruction_and_the_end_of_the_log(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(FAILED.encode())
    heard: list[str] = []
    with pytest.raises(BuildError) as raised:
        by_buildx(environ_with(tmp_path, f"cat {tmp_path}/log >&2; exit 1"), heard.append)
    assert heard == [
        "Step 1/3 : FROM docker.io/lab/base:1",
        "Step 2/3 : RUN echo one; printf 'a\\rb\\n'",
        "one",
        "b",
        "Step 3/3 : RUN echo two; exit 3",
        "two",
    ]
    assert raised.value.found == (
        "the build failed at `RUN echo two; exit 3`: "
        "executor failed running [/bin/sh -c echo two; exit 3]: exit code: 3"
    )
    assert raised.value.wanted == "image lab/hub:latest built from jupyterhub/Dockerfile"
    assert raised.value.fix.endswith("\n    Step 3/3 : RUN echo two; exit 3\n    two")


def test_a_failure_before_the_first_instruction_is_quoted(tmp_path: Path) -> None:
    with pytest.raises(BuildError) as raised:
        by_buildx(environ_with(tmp_path, '[ "$2" = version ] || { echo "ERROR: no builder default" >&2; exit 1; }'))
    assert raised.value.found == "the build failed: no builder default"


def test_without_docker_or_its_plugin_the_message_names_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(BuildxMissing) as without_docker:
        by_buildx({"PATH": str(tmp_path)})
    with pytest.raises(BuildxMissing) as without_plugin:
        by_buildx(environ_with(tmp_path, 'echo "docker: unknown command: docker buildx" >&2; exit 1'))
    assert without_docker.value.found == "there is no command docker on this machine"
    assert without_plugin.value.found == (
        "docker on this machine has no buildx: docker: unknown command: docker buildx"
    )


# What `docker` starts is a process too, as its plugins are.
_SLOW = "sleep 600 & echo $! > {0}/pid.new; mv {0}/pid.new {0}/pid; echo '#1 [1/2] FROM x'; wait"


def test_a_build_that_is_cancelled_ends_all_its_processes(tmp_path: Path) -> None:
    def cancelled(line: str) -> None:
        raise KeyError(line)

    with pytest.raises(KeyError, match="Step 1/2 : FROM x"):
        by_buildx(environ_with(tmp_path, _SLOW.format(tmp_path)), cancelled)
    await_end(int((tmp_path / "pid").read_text()))


@pytest.mark.parametrize("start_takes", [0, 1])
def test_a_build_in_a_thread_ends_with_a_command_that_is_interrupted(tmp_path: Path, start_takes: int) -> None:
    environ = environ_with(tmp_path, _SLOW.format(tmp_path))
    script = (
        # A shell ignores the signal for what it starts in the background, and this run may be one of these.
        "import signal, subprocess, threading, time\n"
        "class Start(subprocess.Popen):\n"
        "    def __init__(self, *words, **options):\n"
        "        super().__init__(*words, **options)\n"
        f"        time.sleep({start_takes})\n"
        "subprocess.Popen = Start\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from tests.unit.engine.test_build import by_buildx\n"
        f"threading.Thread(target=by_buildx, args=({environ!r},), daemon=True).start()\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], cwd=CHECKOUT, stderr=subprocess.PIPE) as command:
        deadline = time.monotonic() + 60
        while not (tmp_path / "pid").exists():
            assert command.poll() is None, command.communicate()
            assert time.monotonic() < deadline, "the build did not begin"
            time.sleep(0.05)
        command.send_signal(signal.SIGINT)
        assert command.wait(timeout=60) != 0
    await_end(int((tmp_path / "pid").read_text()))


def await_end(pid: int) -> None:
    """Waits until a process is gone, or only waits for its parent to ask for its exit code."""
    deadline = time.monotonic() + 20
    with suppress(FileNotFoundError, ProcessLookupError):
        while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
            assert time.monotonic() < deadline, f"process {pid} goes on"
            time.sleep(0.05)
