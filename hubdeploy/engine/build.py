"""Builds one image of ours on the engine, by one of two builders behind one seam. Both give an image of the same content
and labels under the same name, so which one built it is written down nowhere. It never tags and decides no step.

Classic is docker-py's `POST /build`, which docker-py sends without `version`. Buildx is `docker buildx build` as a process.
What engines say of the classic builder, tried on 20.10.24 and 28.5.2 and read in moby's source after 29:

- All of them still build by it. It is deprecated since 23.0, without a release in which it goes.
- `/_ping` of 28.5.2 says `Builder-Version: 2`. That recommends a builder and refuses none; 20.10.24 says nothing.
- A builder that 28.5.2 lacks is refused before the first step: 400, `invalid version "3"`. A part that an engine was made
  without is answered with 501, a path that it does not serve with 404 or 405.

So the classic builder is tried first, and refused means one of these answers to the build itself. Past 250 lines, as both
builders stand side by side: what they make must be equal.
"""

from __future__ import annotations

import atexit
import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import IO, Any, Protocol

import docker
import docker.errors

from hubdeploy.blueprint.specs import ImageSpec
from hubdeploy.engine.connection import translated
from hubdeploy.errors import BuildError, DeployError, EngineError, indented

# The values of BUILDER.
CLASSIC, BUILDX = "classic", "buildx"
# How many lines of a log stand below an error.
LOG_TAIL = 20
# How long buildx may take to call its build off, in seconds, before it is killed.
_END_WITHIN = 5
_REFUSING = (404, 405, 501)
_REFUSING_WORDS = "invalid version"
_COLOURS = re.compile("\x1b\\[[0-9;]*[A-Za-z]")
# Lines of buildx' plain progress: `#7 [2/8] RUN x` begins a step, with its stage's name before the numbers if it has
# one; `#7 0.123 text` is the step's output, by the second; `#7 ERROR: words` ends it.
_STEP = re.compile(r"#(\d+) \[(?:\S+ +)?(\d+/\d+)\] (.*)")
_OUTPUT = re.compile(r"#\d+ \d+\.\d+ ?(.*)")
_FAILED = re.compile(r"#(\d+) ERROR: (.*)")

Progress = Callable[[str], None]


class Builder(Protocol):
    """One way to build an image."""

    def build(self, spec: ImageSpec, context: IO[bytes], progress: Progress) -> None:
        """The image is on the engine under its content's name. `context` is a tar, open at its beginning.

        `progress` gets each line of the log: `Step 2/8 : RUN x` where an instruction begins, and its output. Whatever it
        raises ends the build. Raises BuildError if an instruction fails, another EngineError if the engine does, and
        DeployError if the builder itself is missing.
        """


class ClassicRefused(EngineError):
    """The engine has no classic builder; `said` are its words."""

    def __init__(self, spec: ImageSpec, said: str) -> None:
        self.said = said
        super().__init__(
            wanted=f"image {spec.reference} built",
            found=f"the engine refuses the classic builder: {said}",
            fix="set BUILDER=buildx in .env, or leave BUILDER unset",
        )


class BuildxMissing(DeployError):
    """This machine has no `docker buildx`."""

    def __init__(self, spec: ImageSpec, found: str) -> None:
        super().__init__(
            wanted=f"docker buildx on this machine, to build {spec.reference}",
            found=found,
            fix="install Docker's client and its plugin: docker-cli and docker-buildx in Debian, docker-ce-cli and "
            "docker-buildx-plugin in Docker's own packages",
        )


class Classic:
    """The engine's own first builder, by docker-py. `api` gives the calling thread's client."""

    def __init__(self, api: Callable[[], docker.APIClient]) -> None:
        self._api = api

    def build(self, spec: ImageSpec, context: IO[bytes], progress: Progress) -> None:
        """As Builder.build; raises ClassicRefused if the engine has no such builder."""
        log: list[str] = []
        with translated(f"image {spec.reference} can be built"):
            try:
                events = self._api().build(
                    fileobj=context, custom_context=True, encoding=None, decode=True, rm=True, forcerm=True,
                    tag=spec.content_reference, buildargs=dict(spec.arguments), labels=dict(spec.labels),
                )  # fmt: skip
                for line in _lines(events):
                    log.append(line)
                    progress(line)
            except _BuildFailed as failure:
                raise _build_error(spec, log, str(failure)) from failure
            except docker.errors.APIError as error:
                said = str(error.explanation)
                if error.status_code in _REFUSING or (error.status_code == 400 and _REFUSING_WORDS in said):
                    raise ClassicRefused(spec, said) from error
                raise _build_error(spec, log, said) from error


class Buildx:
    """BuildKit inside the engine, by Docker's command line. `environ` is what that runs in, `host` its engine."""

    def __init__(self, environ: Mapping[str, str], host: str) -> None:
        self._environ = environment(environ, host)

    def build(self, spec: ImageSpec, context: IO[bytes], progress: Progress) -> None:
        """As Builder.build; raises BuildxMissing without `docker` or its plugin."""
        log = _PlainLog()
        # A process reads the file where its descriptor stands, which Python's own seek may leave behind its buffer.
        os.lseek(context.fileno(), 0, os.SEEK_SET)
        try:
            with _running(command(spec), self._environ, context) as process:
                assert process.stdout is not None
                for line in log.lines(process.stdout):
                    progress(line)
        except _NoCommand:
            raise BuildxMissing(spec, "there is no command docker on this machine") from None
        if process.returncode != 0:
            if not log.begun and (missing := self._without_plugin()):
                raise BuildxMissing(spec, f"docker on this machine has no buildx: {missing}")
            raise _build_error(spec, log.kept, log.said, log.failed_step)

    def _without_plugin(self) -> str | None:
        """What docker says if it has no plugin buildx; None if it has one."""
        asked = subprocess.run(
            ["docker", "buildx", "version"],
            env=self._environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False,
        )  # fmt: skip
        return None if asked.returncode == 0 else (asked.stderr.strip() or asked.stdout.strip()).partition("\n")[0]


class ClassicFirst:
    """Classic, and Buildx from the first time on that the engine refuses it."""

    def __init__(self, classic: Builder, buildx: Builder) -> None:
        self._classic, self._buildx = classic, buildx
        self._refusal: ClassicRefused | None = None

    def build(self, spec: ImageSpec, context: IO[bytes], progress: Progress) -> None:
        """As Builder.build; a missing buildx is reported with the engine's refusal."""
        if self._refusal is None:
            try:
                self._classic.build(spec, context, progress)
                return
            except ClassicRefused as refusal:
                self._refusal = refusal
                context.seek(0)
        try:
            self._buildx.build(spec, context, progress)
        except BuildxMissing as missing:
            raise BuildxMissing(spec, f"{self._refusal.found}; and {missing.found}") from None


def builder(name: str | None, api: Callable[[], docker.APIClient], environ: Mapping[str, str], host: str) -> Builder:
    """The builder that the setting BUILDER names; None is what derives: classic, or buildx where that is refused."""
    classic, buildx = Classic(api), Buildx(environ, host)
    builders: dict[str | None, Builder] = {None: ClassicFirst(classic, buildx), CLASSIC: classic, BUILDX: buildx}
    return builders[name]


def command(spec: ImageSpec) -> list[str]:
    """The words that build an image from a tar on standard input.

    Builder `default` is the engine's own BuildKit: one in a container, which the operator may have selected, finds no
    parent that exists on the engine only. Without provenance the image is one manifest and no index.
    """
    arguments = [word for key, value in spec.arguments.items() for word in ("--build-arg", f"{key}={value}")]
    carried = [word for key, value in spec.labels.items() for word in ("--label", f"{key}={value}")]
    return [
        "docker", "buildx", "build", "--builder", "default", "--load", "--progress=plain", "--provenance=false",
        "--tag", spec.content_reference, *arguments, *carried, "-",
    ]  # fmt: skip


def environment(environ: Mapping[str, str], host: str) -> dict[str, str]:
    """Where `docker` finds the engine that docker-py is connected to.

    Without DOCKER_HOST it would take the context in use, which docker-py does not know. It takes DOCKER_CERT_PATH for
    nothing unless DOCKER_TLS is set as well. SOURCE_DATE_EPOCH would change the image.
    """
    kept = {key: value for key, value in environ.items() if key not in ("DOCKER_CONTEXT", "SOURCE_DATE_EPOCH")}
    tls = {"DOCKER_TLS": "1"} if kept.get("DOCKER_CERT_PATH") and not kept.get("DOCKER_TLS_VERIFY") else {}
    return {**kept, "DOCKER_HOST": host, **tls}


@contextmanager
def _running(words: Sequence[str], environ: Mapping[str, str], context: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is awaited, or ended if what waits for it is interrupted, be it in another thread.

    A session of its own, as `docker` starts its plugin as one more process; both end together. Raises _NoCommand.
    """
    starting = threading.Lock()
    started: list[subprocess.Popen[bytes]] = []

    def end() -> None:
        with starting:
            for process in started:
                _end(process)

    # Builds run in threads that die with this process, without a word to them, be it while `docker` starts.
    atexit.register(end)
    try:
        with starting:
            started.append(_started(words, environ, context))
        process = started[0]
        with process:
            try:
                yield process
                process.wait()
            finally:
                end()
    finally:
        atexit.unregister(end)


def _started(words: Sequence[str], environ: Mapping[str, str], context: IO[bytes]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            words, env=environ, stdin=context, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )
    except (FileNotFoundError, PermissionError) as error:
        raise _NoCommand(words[0]) from error


def _end(process: subprocess.Popen[bytes]) -> None:
    for force in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            os.killpg(process.pid, force)
            with suppress(subprocess.TimeoutExpired):
                process.wait(_END_WITHIN)


class _NoCommand(Exception):
    """There is no such program, or none that may be run."""


class _PlainLog:
    """The plain progress of buildx, in the classic builder's form. `kept` are all lines, `said` is why it failed."""

    def __init__(self) -> None:
        self.kept: list[str] = []
        self.failed_step: str | None = None
        self.said = "docker buildx said nothing"
        self.begun = False
        self._steps: dict[str, str] = {}

    def lines(self, output: Iterable[bytes]) -> Iterator[str]:
        for raw in output:
            if line := self._line(raw.decode(errors="replace").rstrip("\n")):
                self.kept.append(line)
                yield line

    def _line(self, text: str) -> str | None:
        self.begun = self.begun or text.startswith("#")
        if match := _STEP.match(text):
            number, position, instruction = match.groups()
            # A step is named again whenever its output goes on after another's.
            known = number in self._steps
            self._steps[number] = instruction
            return None if known else f"Step {position} : {instruction}"
        if match := _OUTPUT.match(text):
            return _plain(match[1]).strip() and _plain(match[1])
        if match := _FAILED.match(text):
            self.failed_step, self.said = self._steps.get(match[1]), match[2]
        elif self.failed_step is None and text.strip() and not text.startswith("#"):
            self.said = text.removeprefix("ERROR: ")
        return None


class _BuildFailed(Exception):
    """What the engine said of a build that failed."""


def _lines(events: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """The lines of a build's output: whole ones, as the engine passes on pieces, and without colours, as it makes what
    goes to stderr red. Raises _BuildFailed at the end of one that failed."""
    begun, error = "", None
    for event in events:
        error = event.get("error", error)
        *whole, begun = (begun + str(event.get("stream", ""))).split("\n")
        yield from filter(str.strip, map(_plain, whole))
    yield from filter(str.strip, [_plain(begun)])
    if error is not None:
        raise _BuildFailed(error)


def _plain(line: str) -> str:
    """Without colours, and as a terminal shows it in the end: what is written after a carriage return takes its place."""
    return _COLOURS.sub("", line).rstrip("\r").rpartition("\r")[2]


def _build_error(spec: ImageSpec, log: Sequence[str], said: str, step: str | None = None) -> BuildError:
    """`step` is the instruction that failed; None for the last one that the log names."""
    last = next((line.split(" : ", 1)[-1] for line in reversed(log) if line.startswith("Step ")), "")
    at = f" at `{step or last}`" if step or last else ""
    tail = indented("\n".join(log[-LOG_TAIL:]))
    return BuildError(
        wanted=f"image {spec.reference} built from {spec.folder}/Dockerfile",
        found=f"the build failed{at}: {said}",
        fix=f"fix what the last lines of its log say, then run the same command again\n{tail}",
    )
