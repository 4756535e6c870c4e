"""Reads what the engine holds: one snapshot of a deployment, files and logs of its containers. It changes nothing, except
that a volume is read through a container that is made, never run, and removed again. The module is a little long: a
snapshot needs a reader for each kind of object.
"""

from __future__ import annotations

import io
import os
import socket
import stat
import tarfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal

import docker.errors
from docker.utils.build import exclude_paths

from hubdeploy import threads
from hubdeploy.blueprint.components.filter import ENGINE_SOCKET
from hubdeploy.contract import labels, servers
from hubdeploy.contract.documents import Secret
from hubdeploy.engine.connection import Connection, already_gone, translated
from hubdeploy.errors import EngineError
from hubdeploy.plan.snapshot import (
    ContainerState,
    EngineFacts,
    ImageState,
    Neighbour,
    NetworkState,
    Snapshot,
    VolumeState,
)

# The driver's option that names a network's bridge; without it the name follows from the network's id.
BRIDGE_NAME = "com.docker.network.bridge.name"
# Where a throw-away container mounts a volume.
VOLUME = "/volume"
# The version of the engine's API from which on a prune leaves volumes that have a name; it came with engine 23.
_SPARES_NAMED = (1, 42)


def context_paths(folder: Path) -> list[str]:
    """Names of the files below a build context's folder that its .dockerignore leaves in."""
    ignore = folder / ".dockerignore"
    patterns = ignore.read_text(encoding="utf-8").splitlines() if ignore.is_file() else []
    kept = [line.strip() for line in patterns if line.strip() and not line.startswith("#")]
    return sorted(exclude_paths(str(folder), [*kept, ".dockerignore"]))


def snapshot(
    connection: Connection,
    deployment: str,
    *,
    names: Collection[str],
    directories: Mapping[str, str],
    is_users: Callable[[str], bool],
    variables: Collection[str] = (),
) -> Snapshot:
    """All objects with the deployment's label or one of `names`, and users' volumes, which `is_users` knows by their names.
    `directories`: role of a component -> the directory of its container whose files are read. `variables` of running servers
    are read as well.
    """
    api = connection.api
    with translated("the engine lists what it holds"):
        # The slowest questions are asked first, at the same time as the others.
        asked_info = threads.run(lambda: connection.api.info())
        asked_images = threads.run(lambda: [_image(one) for one in connection.api.images()])
        listed = api.containers(all=True)
        states = [_container(one) for one in listed]
        mine = {one.name: one for one in states if _is_of(deployment, one)}
        users_servers = {name: one for name, one in mine.items() if one.role == labels.SERVER}
        asked_files = {
            name: threads.run(partial(read_files, connection, one.id, directories[one.role]))
            for name, one in mine.items()
            if one.role in directories
        }
        asked_variables = {
            name: threads.run(partial(_variables, connection, one.id, variables))
            for name, one in users_servers.items()
            if variables and one.running
        }
        networks = {one["Name"]: network_state(one) for one in api.networks()}
        volumes = api.volumes()["Volumes"] or ()
        info, images = asked_info.result(), asked_images.result()
        files = {name: asked.result() for name, asked in asked_files.items()}
        users_servers |= {
            name: replace(users_servers[name], variables=asked.result()) for name, asked in asked_variables.items()
        }
    ours = {
        one.name: replace(one, files=files.get(one.name))
        for one in states
        if one.name not in users_servers and (one.name in mine or one.name in names)
    }
    held = {mount.get("Name") for one in listed for mount in one.get("Mounts") or ()}
    wanted = {
        one["Name"]: VolumeState(one["Name"], one.get("Labels") or {}, is_users(one["Name"]), held=one["Name"] in held)
        for one in volumes
        if one["Name"] in names
        or is_users(one["Name"])
        or (one.get("Labels") or {}).get(labels.DEPLOYMENT) == deployment
    }
    return Snapshot(
        engine=replace(
            engine_facts(info, local=connection.local),
            prunes_named=servers.api_version(api.api_version) < _SPARES_NAMED,
        ),
        images={reference: image for image in images for reference in (*image.references, *image.digests)},
        networks={
            name: state
            for name, state in networks.items()
            if name in names or state.labels.get(labels.DEPLOYMENT) == deployment
        },
        volumes=wanted,
        containers=ours,
        servers=tuple(users_servers.values()),
        port_holders=_port_holders(listed),
        own_images=tuple(image for image in images if image.labels.get(labels.DEPLOYMENT) == deployment),
        neighbours=_neighbours(deployment, states, volumes),
    )


def _neighbours(
    deployment: str, states: Sequence[ContainerState], volumes: Sequence[Mapping[str, Any]]
) -> dict[str, Neighbour]:
    carried = [(one["Name"], one.get("Labels") or {}) for one in volumes]
    owners = [one.labels.get(labels.DEPLOYMENT) for one in states]
    owners += [found.get(labels.DEPLOYMENT) for _, found in carried]
    return {
        other: Neighbour(
            tuple(sorted(one.name for one in states if _is_of(other, one))),
            tuple(
                sorted(name for name, found in carried if labels.UID in found and found.get(labels.DEPLOYMENT) == other)
            ),
            tuple(
                sorted(
                    (one.labels[labels.HOST], one.labels.get(labels.PATH, "/"))
                    for one in states
                    if _is_of(other, one) and one.running and labels.HOST in one.labels
                )
            ),
        )
        for other in sorted({owner for owner in owners if owner} - {deployment})
    }


def engine_facts(info: Mapping[str, Any], *, local: bool) -> EngineFacts:
    """What the engine tells of itself; `local`: it runs on this machine."""
    free = None
    if local:
        try:
            disk = os.statvfs(info.get("DockerRootDir", "/var/lib/docker"))
            free = disk.f_bavail * disk.f_frsize
        except OSError:
            pass
    kind = "Docker Desktop" if info.get("OperatingSystem") == "Docker Desktop" else ""
    options = [one.partition(",")[0] for one in info.get("SecurityOptions") or ()]
    kind = "rootless" if "name=rootless" in options else kind
    selinux = "name=selinux" in options
    group = _socket_group() if local else None
    return EngineFacts(
        info["ServerVersion"], info["MemTotal"], free, local, info.get("NCPU", 0), kind, group, selinux,
        runtimes=tuple(sorted(info.get("Runtimes") or ())),
        devices=tuple(one["ID"] for one in info.get("DiscoveredDevices") or () if one.get("Source") == "cdi"),
    )  # fmt: skip


def _socket_group() -> int | None:
    """The group that may read and write the engine's socket on this machine, if it is not root's."""
    try:
        found = os.stat(ENGINE_SOCKET)
    except OSError:
        return None
    may_use = stat.S_IRGRP | stat.S_IWGRP
    return found.st_gid if found.st_gid and found.st_mode & may_use == may_use else None


def read_files(connection: Connection, container: str, root: str) -> dict[str, Secret[bytes]] | None:
    """Path -> content of every file below `root` in a container, running or not; None if there is no such directory."""
    try:
        with translated(f"the files of {container} can be read"):
            stream, _ = connection.api.get_archive(container, root)
            content = io.BytesIO(b"".join(stream))
    except EngineError as error:
        if isinstance(error.__cause__, docker.errors.NotFound):
            return None
        raise
    parent = root.rpartition("/")[0]
    with tarfile.open(fileobj=content) as tar:
        return {f"{parent}/{member.name}": Secret(tar.extractfile(member).read()) for member in tar if member.isreg()}  # type: ignore[union-attr]


def read_volume(connection: Connection, volume: str, below: str = "") -> dict[str, Secret[bytes]]:
    """Name -> content of every file in a volume, or in a folder of it, or of one file; nothing where there is no such
    volume."""
    try:
        with translated(f"volume {volume} can be read"):
            connection.api.inspect_volume(volume)
    except EngineError as error:
        if isinstance(error.__cause__, docker.errors.NotFound):
            return {}
        raise
    with mounting(connection, volume) as container:
        files = read_files(connection, container, f"{VOLUME}/{below}".rstrip("/")) or {}
    return {path.removeprefix(f"{VOLUME}/"): content for path, content in files.items()}


@contextmanager
def mounting(connection: Connection, volume: str, *, read_only: bool = True) -> Iterator[str]:
    """A container that mounts the volume at VOLUME and never runs, so any image will do."""
    with translated(f"volume {volume} can be read"):
        mode = "ro" if read_only else "rw"
        host = connection.api.create_host_config(binds={volume: {"bind": VOLUME, "mode": mode}})
        remove_reader(connection, volume)
        # The image may have labels of a deployment; this container belongs to none.
        nobody = {labels.DEPLOYMENT: "", labels.ROLE: "reader"}
        create_of_any_image(
            connection,
            name=_reader(volume),
            labels=nobody,
            host_config=host,
            network_disabled=True,
            use_config_proxy=False,
        )
        try:
            yield _reader(volume)
        finally:
            remove_reader(connection, volume)


def create_of_any_image(connection: Connection, **options: Any) -> str:
    """Makes a container that never runs, so any image will do; gives its id. If an image is removed meanwhile, the next one
    is tried. Raises EngineError without an image."""
    for image in connection.api.images():
        with suppress(docker.errors.ImageNotFound):
            return str(connection.api.create_container(image["Id"], command=["true"], **options)["Id"])
    raise EngineError(
        wanted="an image, to read a volume with",
        found="the engine holds no image yet",
        fix="run ./invoke setup, or docker pull an image, such as BASE_IMAGE",
    )


def remove_reader(connection: Connection, volume: str) -> None:
    with already_gone():
        connection.api.remove_container(_reader(volume), force=True, v=True)


def running_since(connection: Connection, container: str) -> str:
    """When the container was started last, in the engine's words; empty if it does not run."""
    with translated(f"the engine describes {container}"), already_gone():
        state = connection.api.inspect_container(container)["State"]
        return str(state["StartedAt"]) if state["Running"] else ""
    return ""


def image_id(connection: Connection, reference: str) -> str | None:
    """The id of an image that is on the engine; None if it is not."""
    try:
        with translated(f"the engine looks for image {reference}"):
            inspected: dict[str, Any] = connection.api.inspect_image(reference)  # type: ignore[no-untyped-call]
            return str(inspected["Id"])
    except EngineError as error:
        if isinstance(error.__cause__, docker.errors.NotFound):
            return None
        raise


def image_bytes(connection: Connection, images: Iterable[str]) -> int:
    """Bytes of images, by their ids; layers that they share count once."""
    layers: dict[tuple[Any, ...], int] = {}
    with translated("the engine says how large images are"):
        for image in images:
            below: tuple[Any, ...] = ()
            # The lowest is last. Equal down to the ground are the same: what a layer holds has no other name here.
            for one in reversed(connection.api.history(image)):  # type: ignore[no-untyped-call]
                below = (below, one["Created"], one["CreatedBy"], one["Size"])
                layers[below] = one["Size"]
    return sum(layers.values())


def log_bytes(connection: Connection, containers: Iterable[str]) -> int | None:
    """Bytes of containers' logs. The engine does not say: None where their files cannot be seen from here."""
    found = 0
    for container in containers if connection.local else ():
        with translated("the engine says where logs lie"), already_gone():
            path = Path(connection.api.inspect_container(container)["LogPath"] or "/")
            try:
                found += sum(one.stat().st_size for one in path.parent.iterdir() if one.name.startswith(path.name))
            except OSError:
                return None
    return found if connection.local else None


def logs(connection: Connection, container: str, *, follow: bool, tail: int | Literal["all"]) -> Iterator[bytes]:
    """A container's output, oldest first, in pieces as they come."""
    with translated(f"the log of {container} can be read"):
        if not follow:
            yield connection.api.logs(container, tail=tail)
            return
        yield from connection.api.logs(container, stream=True, follow=True, tail=tail)


def port_holder(connection: Connection, address: str, port: int) -> str | None:
    """The program of this machine that listens there, as `nginx (pid 7)`; None if the port is free, and for a remote
    engine: its machine cannot be asked."""
    if not connection.local:
        return None
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except PermissionError:
            return None
        except OSError:
            return _listener(port)
    return None


def _reader(volume: str) -> str:
    """Name of the container that a volume is read through. It is fixed: the next run finds one that a killed run left."""
    return f"{volume}-reader"


def _image(one: Mapping[str, Any]) -> ImageState:
    return ImageState(
        id=one["Id"],
        labels=one.get("Labels") or {},
        created=datetime.fromtimestamp(one["Created"], UTC),
        size=one["Size"],
        references=tuple(tag for tag in one.get("RepoTags") or () if tag != "<none>:<none>"),
        digests=tuple(digest for digest in one.get("RepoDigests") or () if not digest.startswith("<none>")),
    )


def network_state(one: Mapping[str, Any]) -> NetworkState:
    config = ((one.get("IPAM") or {}).get("Config") or [{}])[0]
    bridge = (one.get("Options") or {}).get(BRIDGE_NAME) or f"br-{one['Id'][:12]}"
    return NetworkState(
        one["Id"], one["Name"], one.get("Labels") or {}, config.get("Subnet"), config.get("IPRange") or None, bridge
    )


def _is_of(deployment: str, state: ContainerState) -> bool:
    """True if we made it for the deployment. A person's container of our image inherits the image's labels and role."""
    made_by_us = state.role and not state.role.startswith("image:")
    return state.labels.get(labels.DEPLOYMENT) == deployment and bool(made_by_us)


def _container(one: Mapping[str, Any]) -> ContainerState:
    networks = (one.get("NetworkSettings") or {}).get("Networks") or {}
    return ContainerState(
        id=one["Id"],
        # A linked container is listed under its links' names too; its own name has one slash.
        name=next(name[1:] for name in one["Names"] if name.count("/") == 1),
        image_id=one["ImageID"],
        state=one["State"],
        status=one["Status"],
        labels=one.get("Labels") or {},
        networks={name: endpoint.get("NetworkID", "") for name, endpoint in networks.items()},
        created=one["Created"],
    )


def _variables(connection: Connection, container: str, names: Collection[str]) -> dict[str, Secret[str]]:
    """The variables of these names that a container was made with."""
    with already_gone():
        lines = connection.api.inspect_container(container)["Config"]["Env"] or ()
        found = (line.partition("=") for line in lines)
        return {name: Secret(value) for name, _, value in found if name in names}
    return {}


def _port_holders(listed: Sequence[Mapping[str, Any]]) -> dict[tuple[str, int], tuple[str, ...]]:
    holders: dict[tuple[str, int], dict[str, None]] = {}
    for one in listed:
        for port in one.get("Ports") or ():
            if port.get("PublicPort") and port.get("Type") == "tcp":
                held = (port.get("IP") or "0.0.0.0", port["PublicPort"])
                holders.setdefault(held, {})[one["Names"][0].lstrip("/")] = None
    return {port: tuple(names) for port, names in holders.items()}


def _listener(port: int) -> str:
    """Who listens on a port; only root sees the programs of others."""
    # Imported here: it is seldom needed.
    import psutil

    with suppress(psutil.Error, OSError):
        for one in psutil.net_connections("tcp"):
            if one.status == psutil.CONN_LISTEN and one.laddr.port == port and one.pid:
                return f"{psutil.Process(one.pid).name()} (pid {one.pid})"
    return "another program on this machine"
