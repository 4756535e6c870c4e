"""Commands that are killed: the operator's process before each of its changes or after a named step, and the helper's container
on the engine. A process of its own runs the command, as nothing of a killed process may go on.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import docker.errors
import requests
from docker.models.containers import Container

from hubdeploy.commands.deployment import Deployment
from hubdeploy.commands.display import Display
from hubdeploy.contract import backups
from hubdeploy.engine import helper
from hubdeploy.plan import operations as op
from tests.hub.clone import Clone
from tests.hub.waiting import until

Run = Callable[[Deployment], None]
# Seconds.
_ENDS_WITHIN, _COMES_WITHIN = 120, 60
_STEP = 0.02
# A helper's share of a processor while somebody looks for the moment at which it is killed.
_PERIOD, _SHARE = 100_000, 15_000
# What changes a file of this machine, as Python's audit calls it.
_FILES_CHANGE = ("os.rename", "os.link", "os.remove", "os.mkdir")


class Silent(Display):
    """An operator who types every name back."""

    def refuse_without_terminal(self, wanted: str, fix: str) -> None:
        pass

    def typed_back(self, name: str, loss: str) -> None:
        pass


def started(clone: Clone, run: Run) -> int:
    """The process in which the clone's deployment runs it. It ends with 0, or with 1 if `run` raises."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        run(Deployment(clone.root, clone.environ, Silent()))
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def ended(process: int) -> int:
    """The exit code of a process; -9 where it was killed."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def killed_after(clone: Clone, run: Run, wanted: str) -> bool:
    """Runs it in a process that is killed right after the step, or the line of a step's progress, that is printed as `wanted`;
    False if there is none."""

    def passes(line: str) -> None:
        if line == wanted:
            os.kill(os.getpid(), signal.SIGKILL)

    def watched(deployment: Deployment) -> None:
        apply = deployment.apply

        def watching(operation: op.Operation, progress: Callable[[str], None] = lambda line: None) -> None:
            def printed(line: str) -> None:
                passes(line)
                progress(line)

            apply(operation, printed)
            passes(str(operation))

        deployment.apply = watching  # type: ignore[method-assign]
        run(deployment)

    return ended(started(clone, watched)) == -signal.SIGKILL


@dataclass
class Killer:
    """Kills a command once before each of its changes: requests to the engine that are no question, and files of the checkout.
    Where a helper is started also right after, when it works. `at` are the moments so far.

    Between the making of a helper and its start it is killed at most once, right before the start and if `makes_helpers`: for a
    minute such a helper is somebody else's who will start it. Moments that `alike` calls the same are one."""

    clone: Clone
    run: Run
    makes_helpers: bool = False
    alike: Callable[[str], str] = str
    at: list[str] = field(default_factory=list)

    def is_killed(self) -> bool:
        """Runs it once; False if it came to its end. When it returns, no helper works."""
        read, write = os.pipe()
        child = started(self.clone, lambda deployment: self._watched(deployment, write))
        os.close(write)
        with os.fdopen(read) as told:
            moment = told.read()
        code = ended(child)
        if code == 0:
            return False
        assert code == -signal.SIGKILL, f"it ended with code {code}"
        self.at.append(moment)
        _wait_for_helper(self.clone)
        return True

    def _watched(self, deployment: Deployment, write: int) -> None:
        send, words, is_made = requests.Session.send, "", False
        name = backups.helper_name(self.clone.name)

        def passes(what: str) -> None:
            moment = self.alike(what)
            if moment not in self.at:
                os.write(write, moment.encode())
                os.kill(os.getpid(), signal.SIGKILL)

        def sending(session: requests.Session, request: requests.PreparedRequest, **named: Any) -> requests.Response:
            nonlocal words, is_made
            path = re.sub(r"\b[0-9a-f]{64}\b", "ID", str(request.path_url).partition("/v1.")[2].partition("/")[2])
            if request.method in ("GET", "HEAD"):
                return send(session, request, **named)
            body = json.loads(request.body) if request.body and "/create" in path else {}
            if re.search(r"create\?name=[^&]*-job-", path):
                words = " ".join(body["Cmd"][:3])
            moment = " ".join(filter(None, (request.method, path, body.get("Name"), words)))
            if not is_made or (self.makes_helpers and path.endswith("/start")):
                passes(f"before {moment}")
            answer = send(session, request, **named)
            is_made = (is_made or path.endswith(name)) and not path.endswith("/start")
            if words and path.endswith("/start"):
                passes(f"after {moment}")
            if request.method == "DELETE":
                words = ""
            return answer

        def heard(event: str, about: tuple[Any, ...]) -> None:
            if event in _FILES_CHANGE and str(about[0]).startswith(str(self.clone.root)):
                names = [
                    os.path.relpath(one, self.clone.root) for one in about[:2] if isinstance(one, str | os.PathLike)
                ]
                passes(f"before {event} {' '.join(names)}")

        requests.Session.send = sending  # type: ignore[method-assign, assignment]
        sys.addaudithook(heard)
        self.run(deployment)


def _found(clone: Clone, name: str) -> Container | None:
    with suppress(docker.errors.NotFound):
        return clone.client.containers.get(name)
    return None


def _wait_for_helper(clone: Clone) -> None:
    def is_over() -> bool:
        found = _found(clone, backups.helper_name(clone.name))
        return found is None or not (
            found.status == "running" or (found.status == "created" and helper._is_young(found.attrs["Created"]))
        )

    until(is_over, _ENDS_WITHIN, "no helper works, nor may begin to")


def kill_helper(clone: Clone, run: Run, program: str, then: str = "", name: str = "") -> int:
    """The exit code of a command whose helper is killed on the engine when `program` runs in it, such as `restic backup`. With
    `then`, a command of a shell, it is killed as soon as this succeeds in it. `name` is the helper's name; else the helper of
    backups is meant."""
    child = started(clone, run)
    deadline = time.monotonic() + _COMES_WITHIN
    slowed = False
    while time.monotonic() < deadline:
        found = _found(clone, name or backups.helper_name(clone.name))
        with suppress(docker.errors.APIError):
            if found and (slowed or _runs(found, program)):
                if then and not slowed:
                    found.update(cpu_period=_PERIOD, cpu_quota=_SHARE)
                    slowed = True
                if not then or found.exec_run(["sh", "-c", then]).exit_code == 0:
                    found.kill()
                    return ended(child)
        time.sleep(_STEP)
    os.kill(child, signal.SIGKILL)
    ended(child)
    raise AssertionError(f"waited in vain for {program} {then}")


def runs(clone: Clone, name: str) -> bool:
    """Whether there is a running container of this name."""
    found = _found(clone, name)
    return found is not None and found.status == "running"


def _runs(container: Container, program: str) -> bool:
    """Whether a process of the container has all these words in its command."""
    lines = [" ".join(line) for line in container.top(ps_args="-eo pid,args")["Processes"] or ()]
    return any(all(word in line.split() for word in program.split()) for line in lines)
