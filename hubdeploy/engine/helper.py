"""A helper: a container of the hub's image that works on volumes for minutes or hours, and tells how far it is.

There is one of a name at a time, so two never use one repository, or one store of states. Who is killed leaves a helper that
goes on to its end. It has no right but those that are named, a read-only file system, and no secret in its description.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import docker.errors
from docker.types import LogConfig
from docker.types import Mount as EngineMount

from hubdeploy.blueprint.specs import Mount
from hubdeploy.contract import labels, logs
from hubdeploy.contract.documents import Secret
from hubdeploy.engine import act, observe, oneoff
from hubdeploy.engine.connection import Connection, already_gone, translated
from hubdeploy.errors import DeployError, EngineError

# Seconds that it has to end in peace: restic takes its lock away.
_END_WITHIN = 20
_TMP = "mode=1777,size=64m"


@dataclass(frozen=True)
class Helper:
    """`files` are put into its volumes before it starts: path -> content. A mount without a source is a volume of its own, which
    goes with it. `network` is none, bridge, host, or a network's name. `task` says what it does, such as `a backup`. `gives` is a
    folder whose files are read at its end, `tmpfs` are further folders that it may write, in memory. `goes_by_itself`: nobody
    waits for its end, and the engine removes it then. `held`: its standard input is open as long as this process lives."""

    name: str
    image: str
    command: tuple[str, ...]
    deployment: str
    mounts: tuple[Mount, ...]
    files: Mapping[str, Secret[bytes]]
    capabilities: tuple[str, ...]
    network: str
    environment: Mapping[str, str]
    task: str
    gives: str = ""
    tmpfs: tuple[str, ...] = ()
    goes_by_itself: bool = False
    held: bool = False


@dataclass(frozen=True)
class Ended:
    """`errors` is what it printed on standard error; `files` are path -> content of what it gives."""

    code: int
    errors: str
    files: Mapping[str, Secret[bytes]]


def run(connection: Connection, helper: Helper, hear: Callable[[str], None]) -> Ended:
    """Runs it to its end. `hear` gets each line of standard output.

    Raises DeployError if one of that name runs already, EngineError if the engine fails. An interrupt ends it in peace.
    """
    with translated(f"{helper.name} runs"):
        _make_room(connection, helper)
        container = _create(connection, helper)
        try:
            targets = [one.target for one in helper.mounts]
            act.put(connection, container, helper.files, targets)
            heard = connection.api.attach(container, stream=True, demux=True)
            # The engine closes its standard input when this connection ends.
            hold = connection.api.attach_socket(container, {"stdin": 1, "stream": 1}) if helper.held else None
            connection.api.start(container)
            errors = _listen(heard, hear)
            code = int(connection.api.wait(container)["StatusCode"])
            if hold:
                hold.close()
            files = observe.read_files(connection, container, helper.gives) if helper.gives else None
            return Ended(code, errors, files or {})
        except BaseException:
            with contextlib.suppress(docker.errors.APIError):
                connection.api.stop(container, timeout=_END_WITHIN)
            raise
        finally:
            with already_gone():
                connection.api.remove_container(container, force=True, v=True)


def start(connection: Connection, helper: Helper) -> None:
    """Starts it, and waits for nothing."""
    with translated(f"{helper.name} runs"):
        connection.api.start(_create(connection, helper))


def _make_room(connection: Connection, helper: Helper) -> None:
    try:
        found = connection.api.inspect_container(helper.name)
    except docker.errors.NotFound:
        return
    # One that was made a moment ago, and does not run yet, is somebody's too.
    state = found["State"]
    if state["Running"] or (state["Status"] == "created" and _is_young(found["Created"])):
        raise _taken(helper)
    with already_gone():
        connection.api.remove_container(helper.name, v=True)


def _taken(helper: Helper) -> DeployError:
    return DeployError(
        wanted=f"{helper.task} alone",
        found=f"{helper.task} runs already, in the container {helper.name}",
        fix=f"wait for its end, or stop it: docker stop {helper.name}",
    )


def _is_young(created: str) -> bool:
    """Whether a container was made within the last minute; the engine writes nanoseconds."""
    age = datetime.now(UTC) - datetime.fromisoformat(created)
    return age < timedelta(minutes=1)


def _create(connection: Connection, helper: Helper) -> str:
    program, *arguments = helper.command
    carried = {labels.DEPLOYMENT: helper.deployment, labels.ROLE: labels.JOB}
    try:
        made = connection.api.create_container(
            helper.image,
            arguments,
            entrypoint=[program],
            name=helper.name,
            # Locks in a repository name it.
            hostname=helper.deployment,
            labels=carried,
            environment=dict(helper.environment),
            stdin_open=helper.held,
            user="0:0",
            healthcheck={"test": ["NONE"]},
            use_config_proxy=False,
            host_config=oneoff.confined(
                connection,
                mounts=[
                    # A volume of its own says whose it is, should somebody remove the container alone.
                    EngineMount(one.target, one.source, type=one.kind, read_only=one.read_only)
                    if one.source
                    else EngineMount(one.target, None, labels=carried)
                    for one in helper.mounts
                ],
                network_mode=helper.network,
                # An engine that gives containers users of their own shares its host's network with no other.
                userns_mode="host" if helper.network == "host" else None,
                cap_add=list(helper.capabilities),
                read_only=True,
                tmpfs={"/tmp": _TMP} | dict.fromkeys(helper.tmpfs, _TMP),
                auto_remove=helper.goes_by_itself,
                log_config=LogConfig(type=logs.DRIVER, config=logs.OPTIONS),
            ),
        )
    except docker.errors.ImageNotFound:
        raise EngineError(
            wanted=f"the hub's image {helper.image}, which has the programs for {helper.task}",
            found="it is not on the engine",
            fix="run ./invoke up, or ./invoke hub-image",
        ) from None
    except docker.errors.APIError as error:
        # Another command took the name since.
        if error.status_code != 409:
            raise
        raise _taken(helper) from None
    return str(made["Id"])


def _listen(heard: Iterable[tuple[bytes | None, bytes | None]], hear: Callable[[str], None]) -> str:
    """Hands each whole line on; gives standard error."""
    begun, errors = b"", b""
    for output, error in heard:
        errors += error or b""
        *lines, begun = (begun + (output or b"")).split(b"\n")
        for line in lines:
            hear(line.decode(errors="replace"))
    if begun:
        hear(begun.decode(errors="replace"))
    return errors.decode(errors="replace").strip()
