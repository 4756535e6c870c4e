"""Whether a foreign image of users' servers fits the hub: what to ask it, what its answer means, and the problems.

A server and a hub of different major versions of JupyterHub do not understand each other: the user's login goes round in
circles. So such an image is refused. Pure: it runs nothing and remembers nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hubdeploy.errors import InputError, Problem, indented

_ANSWER = "hubdeploy-probe"
# Only what every /bin/sh has, as the image may hold little else. What stands on the PATH there, behind the image's own
# entrypoint, is what a start script finds too.
_SCRIPT = f"""\
set -f
answer=no-command
command -v "$1" >/dev/null && answer=command
version=absent
command -v jupyterhub-singleuser >/dev/null && version=$(jupyterhub-singleuser --version)
printf '\\n%s\\n' "{_ANSWER} $answer $(echo $version)"
"""
_VERSION = re.compile(r"\d+\.\d+[\w.+-]*\Z")
_PIN = re.compile(r"^jupyterhub==(\S+)", re.MULTILINE)
_TAIL = 10


@dataclass(frozen=True)
class Found:
    """What an image holds: the command that starts a server, and which JupyterHub (None: it has none)."""

    command: bool
    jupyterhub: str | None


@dataclass(frozen=True)
class Wanted:
    """What servers of `image`, started by `command`, must fit: a hub of version `hub`. `ours` is an image of ours, to
    build on instead. `image_from` and `command_from` say what names the two, such as DOCKER_NOTEBOOK_IMAGE."""

    image: str
    command: Sequence[str]
    hub: str
    ours: str
    image_from: str = "DOCKER_NOTEBOOK_IMAGE"
    command_from: str = "DOCKER_SPAWN_CMD"


def question(command: str) -> tuple[str, ...]:
    """What to run in an image to find the single-user server, and the program `command` that starts it."""
    return ("/bin/sh", "-c", _SCRIPT, "probe", command)


def answer(output: str) -> Found | None:
    """What the question's output says; None if it was not answered, as by an image that does not start."""
    for line in reversed(output.splitlines()):
        words = line.split()
        if words[:1] != [_ANSWER] or len(words) < 3:
            continue
        version = words[-1]
        if version == "absent" or _VERSION.match(version):
            return Found(words[1] == "command", None if version == "absent" else version)
    return None


def hub_version(lock: str, name: str) -> str:
    """The JupyterHub that the hub's image is built with, from the text of the lock file called `name`."""
    pinned = _PIN.search(lock)
    if pinned is None or not _VERSION.match(pinned[1]):
        fix = "make it anew with the command at the head of requirements.in beside it"
        raise InputError([Problem(name, "", "pins no jupyterhub", "the version of the hub", fix)])
    return pinned[1]


def problems(found: Found, wanted: Wanted) -> Iterator[Problem]:
    """What keeps servers of the image from working with the hub."""
    if found.jupyterhub is None:
        yield _misfit(f"image {wanted.image} has no jupyterhub-singleuser on its PATH", wanted)
    elif _major(found.jupyterhub) != _major(wanted.hub):
        yield _misfit(f"image {wanted.image} has JupyterHub {found.jupyterhub}", wanted)
    elif not found.command:
        yield Problem.of_no_file(
            found=f"image {wanted.image} has no command {wanted.command[0]}",
            wanted=f"in {wanted.image_from} the command of {wanted.command_from}: {' '.join(wanted.command)}",
            fix=f"set {wanted.command_from} to the command that starts its server, such as jupyterhub-singleuser",
        )


def unanswered(output: str, wanted: Wanted) -> Problem:
    """An image that does not even print which JupyterHub it has; `output` is what it printed instead."""
    # What the server printed instead of a version stands in our own line.
    lines = [re.sub(rf"^{_ANSWER} \S+", "", line) for line in output.splitlines()]
    tail = "\n".join([line.strip() for line in lines if line.strip()][-_TAIL:])
    printed = f"; its last lines:\n{indented(tail)}" if tail else ", and it printed nothing"
    return _misfit(f"jupyterhub-singleuser does not start in image {wanted.image}", wanted, printed)


def _misfit(found: str, wanted: Wanted, printed: str = "") -> Problem:
    major = _major(wanted.hub)
    return Problem.of_no_file(
        found=found,
        wanted=f"a jupyterhub-singleuser of JupyterHub {major} in {wanted.image_from}, as the hub has {wanted.hub}",
        fix=f"name another tag of it, with JupyterHub {major}; or an image of your own, built FROM {wanted.image} "
        f"with RUN pip install jupyterhub=={wanted.hub}, or FROM {wanted.ours}{printed}",
    )


def _major(version: str) -> str:
    return version.partition(".")[0]
