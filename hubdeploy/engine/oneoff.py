"""One-off containers: what a command prints in an image, and, without running, who owns volumes.

A command may run in a foreign image: it gets no capability, no volume of ours, no network unless asked, and a limit of
memory and time. The container has the deployment's label, so the next run, or clean, removes one that a killed run left.
"""

from __future__ import annotations

import tarfile
import time
from collections.abc import Mapping, Sequence

import docker.errors
from docker.types import LogConfig

from hubdeploy.contract import labels
from hubdeploy.engine import observe
from hubdeploy.engine.connection import Connection, already_gone, translated

# JupyterLab's modules, loaded to print a version, take 110 MB.
_MEMORY = 1024**3
_PIDS = 256
_STEP = 0.1
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
            host_config=connection.api.create_host_config(
                network_mode=network,
                # An engine that gives containers users of their own shares its host's network with no other.
                userns_mode="host" if network == "host" else None,
                cap_drop=["ALL"],
                security_opt=["no-new-privileges"],
                mem_limit=_MEMORY,
                memswap_limit=_MEMORY,
                pids_limit=_PIDS,
                log_config=LogConfig(type="json-file", config={"max-size": "1m", "max-file": "1"}),
            ),
        )["Id"]
        try:
            return _printed_within(connection, container, within)
        finally:
            _remove(connection, container)


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
