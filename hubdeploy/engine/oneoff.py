"""One-off containers: what a command prints in an image, what a program of the hub's image says of the hub's data, and,
without running, who owns volumes.

A command may run in a foreign image: it gets no capability, no volume of ours, no network unless asked, and a limit of
memory and time. A program of the hub gets the hub's own image and only those of its volumes that it is given. The container
has the deployment's label, so the next run, or clean, removes one that a killed run left: callers hold the checkout's lock.
"""

from __future__ import annotations

import tarfile
import time
from collections.abc import Mapping, Sequence
from typing import Any

import docker.errors
from docker.types import LogConfig, Mount

from hubdeploy import threads
from hubdeploy.contract import labels
from hubdeploy.engine import observe
from hubdeploy.engine.connection import Connection, already_gone, translated
from hubdeploy.errors import DeployError, EngineError, indented

# JupyterLab's modules, loaded to print a version, take 110 MB.
_MEMORY = 1024**3
_PIDS = 256
_STEP = 0.1
# Characters of a program's standard error in a message.
_LAST_WORDS = 2000
# Volumes of one container. For each question the engine mounts all of them; a container takes longer than a few mounts.
_VOLUMES = 20


def volume_owners(connection: Connection, volumes: Sequence[str], *, deployment: str) -> dict[str, int]:
    """The user id that owns each volume's root."""
    owners: dict[str, int] = {}
    for first in range(0, len(volumes), _VOLUMES):
        owners |= _owners(connection, volumes[first : first + _VOLUMES], deployment)
    return owners


def _owners(connection: Connection, volumes: Sequence[str], deployment: str) -> dict[str, int]:
    places = {volume: f"/volumes/{number}" for number, volume in enumerate(volumes)}
    carried = {labels.DEPLOYMENT: deployment, labels.ROLE: labels.ONE_OFF}
    with translated("the owners of users' volumes can be read"):
        _remove_left(connection, carried)
        container = observe.create_of_any_image(
            connection,
            name=f"{deployment}-one-off",
            labels=carried,
            network_disabled=True,
            use_config_proxy=False,
            host_config=connection.api.create_host_config(
                binds={volume: {"bind": place, "mode": "ro"} for volume, place in places.items()}
            ),
        )
        try:
            return {volume: _owner(connection, container, place) for volume, place in places.items()}
        finally:
            _remove(connection, container)


def _owner(connection: Connection, container: str, path: str) -> int:
    stream, _ = connection.api.get_archive(container, path, chunk_size=tarfile.BLOCKSIZE)
    return tarfile.TarInfo.frombuf(next(iter(stream))[: tarfile.BLOCKSIZE], "utf-8", "surrogateescape").uid


def run_once(
    connection: Connection,
    image: str,
    command: Sequence[str],
    *,
    deployment: str,
    within: float,
    entrypoint: bool = True,
    network: str = "none",
) -> str:
    """Output of a command in a container of `image`, as the image's user, and through its entrypoint if `entrypoint`. After
    `within` seconds it is ended, and the output's last line says so. `network` is none, or host (the engine's machine).
    """
    program, *arguments = command
    carried = {labels.DEPLOYMENT: deployment, labels.ROLE: labels.ONE_OFF}
    with translated(f"image {image} can be asked"):
        _remove_left(connection, carried)
        container = connection.api.create_container(
            image,
            list(command) if entrypoint else arguments,
            entrypoint=None if entrypoint else [program],
            name=f"{deployment}-one-off",
            labels=carried,
            healthcheck={"test": ["NONE"]},
            # The operator's proxies may have a password in them.
            use_config_proxy=False,
            host_config=confined(
                connection,
                network_mode=network,
                # An engine that gives containers users of their own shares its host's network with no other.
                userns_mode="host" if network == "host" else None,
                log_config=LogConfig(type="json-file", config={"max-size": "1m", "max-file": "1"}),
            ),
        )["Id"]
        try:
            return _printed_within(connection, container, within)
        finally:
            _remove(connection, container)


def run_in_hub(
    connection: Connection,
    hub: str,
    command: Sequence[str],
    *,
    mounts: Mapping[str, bool],
    deployment: str,
    within: float,
) -> str:
    """Standard output of a program of the hub's image, on the hub's data, whether the hub runs or not.

    `hub` is the hub's container: image and volumes are its own, so the program fits the data. `mounts`: where the container
    mounts a volume that the program needs -> whether it may write there. It has no network, no capability, a read-only file
    system, and no log. It runs as the hub's user. Raises DeployError if there is no hub, EngineError with the end of standard
    error if the program fails or takes longer than `within` seconds.
    """
    program, *arguments = command
    carried = {labels.DEPLOYMENT: deployment, labels.ROLE: labels.ONE_OFF}
    with translated(f"a program of {hub} runs"):
        _remove_left(connection, carried)
        try:
            made = connection.api.inspect_container(hub)
        except docker.errors.NotFound:
            raise DeployError(
                wanted="a hub, whose data this is about",
                found=f"there is no container {hub}",
                fix="run ./invoke up first",
            ) from None
        volumes = {one["Destination"]: one["Name"] for one in made["Mounts"] if one["Type"] == "volume"}
        missing = [target for target in mounts if target not in volumes]
        if missing:
            raise DeployError(
                wanted=f"a volume at {missing[0]} in the hub",
                found=f"{hub} has none there",
                fix="run ./invoke up first",
            )
        container = connection.api.create_container(
            made["Image"],
            arguments,
            entrypoint=[program],
            name=f"{deployment}-one-off",
            labels=carried,
            user=made["Config"]["User"],
            healthcheck={"test": ["NONE"]},
            use_config_proxy=False,
            host_config=confined(
                connection,
                mounts=[
                    Mount(target, volumes[target], type="volume", read_only=not writes)
                    for target, writes in mounts.items()
                ],
                network_mode="none",
                read_only=True,
                tmpfs={"/tmp": "mode=1777,size=16m"},
                log_config=LogConfig(type="none"),
            ),
        )["Id"]
        try:
            code, output, errors = _heard_within(connection, container, within)
        finally:
            _remove(connection, container)
    if code != 0:
        raise EngineError(
            wanted=f"an answer of {' '.join(command[:3])} in the hub's image",
            found=f"it ended with code {code}:\n{indented(errors.strip()[-_LAST_WORDS:])}",
            fix="run ./invoke up, which brings the hub up to date, then try again",
        )
    return output


def confined(connection: Connection, **more: Any) -> dict[str, Any]:
    """The engine's own part of a container that works for a while: no capability but those that `more` adds, no way to more
    rights, and a limit of memory and processes. `more` is as in docker's create_host_config."""
    found: dict[str, Any] = connection.api.create_host_config(
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        mem_limit=_MEMORY,
        memswap_limit=_MEMORY,
        pids_limit=_PIDS,
        **more,
    )
    return found


def _heard_within(connection: Connection, container: str, within: float) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a container that is started here. It has no log, so its words are
    heard while it runs."""
    heard = connection.api.attach(container, stream=True, demux=True)
    connection.api.start(container)
    asked = threads.run(lambda: list(heard))
    try:
        pieces = asked.result(timeout=within)
    except TimeoutError:
        return 1, "", f"(ended after {within:.0f} s)"
    code = int(connection.api.wait(container)["StatusCode"])
    output, errors = (b"".join(one[stream] or b"" for one in pieces).decode(errors="replace") for stream in (0, 1))
    return code, output, errors


def _printed_within(connection: Connection, container: str, within: float) -> str:
    deadline = time.monotonic() + within
    try:
        connection.api.start(container)
    except docker.errors.APIError as error:
        # 400 is the image's fault: it holds no such program, or one that cannot be run.
        if error.status_code != 400:
            raise
        return str(error.explanation)
    while connection.api.inspect_container(container)["State"]["Running"]:
        if time.monotonic() > deadline:
            return f"{_printed(connection, container)}\n(ended after {within:.0f} s)"
        time.sleep(_STEP)
    return _printed(connection, container)


def _printed(connection: Connection, container: str) -> str:
    return connection.api.logs(container).decode(errors="replace").strip()


def _remove_left(connection: Connection, carried: Mapping[str, str]) -> None:
    wanted = {"label": [f"{label}={value}" for label, value in carried.items()]}
    for one in connection.api.containers(all=True, filters=wanted):
        _remove(connection, one["Id"])


def _remove(connection: Connection, container: str) -> None:
    with already_gone():
        connection.api.remove_container(container, force=True, v=True)
