"""Acts on the engine: one named function an operation. It decides nothing; what is there already, or gone already, is no error.
Past 250 lines, as nearly every operation has its function here.
"""

from __future__ import annotations

import io
import ipaddress
import itertools
import tarfile
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import docker.errors
from docker.types import IPAMConfig, IPAMPool, LogConfig, Mount

from hubdeploy.blueprint.specs import Attachment, ContainerSpec
from hubdeploy.contract import containers, labels, logs, servers
from hubdeploy.contract.documents import Secret
from hubdeploy.engine import images, observe
from hubdeploy.engine.connection import Connection, already_gone, translated
from hubdeploy.engine.observe import network_state
from hubdeploy.errors import EngineError, NotReady, indented
from hubdeploy.plan import operations as op

if TYPE_CHECKING:
    from hubdeploy.engine.build import Builder

# A hub that upgrades its database may take this long; a dead one is noticed at once.
HEALTHY_WITHIN = 180.0
_STOP_WITHIN = 10
# The one place to write in a container whose file system is read-only, beside its volumes.
_TMP = "mode=1777,size=64m"
# How many lines of a log stand below an error.
_LOG_TAIL = 20

Progress = Callable[[str], None]


def pull(connection: Connection, operation: op.ImagePulled, progress: Progress) -> None:
    images.pull_image(connection, operation.reference, progress)


def build(connection: Connection, builder: Builder, operation: op.ImageBuilt, progress: Progress) -> None:
    with tempfile.TemporaryFile() as context:
        operation.spec.context.write_tar(context)
        context.seek(0)
        builder.build(operation.spec, context, progress)
    if operation.is_named:
        with translated(str(operation)):
            _tag(connection, operation.spec.content_reference, operation.spec.reference)


def tag(connection: Connection, operation: op.ImageTagged, progress: Progress) -> None:
    with translated(str(operation)):
        _tag(connection, operation.source, operation.reference)


def _tag(connection: Connection, source: str, reference: str) -> None:
    repository, _, tag = reference.rpartition(":")
    connection.api.tag(source, repository, tag, force=True)


def remove_image(connection: Connection, operation: op.ImageGone, progress: Progress) -> None:
    with translated(str(operation)), already_gone():
        connection.api.remove_image(operation.reference)


def create_network(connection: Connection, operation: op.NetworkExists, progress: Progress) -> None:
    spec = operation.spec
    with translated(str(operation)):
        if spec.internal and spec.bridge is None:
            connection.api.create_network(
                spec.name, driver="bridge", internal=True, labels=dict(spec.labels), check_duplicate=True
            )
            return
        # The engine knows which addresses are free (other networks, the host's routes): it is asked by a network of
        # its own choice, whose subnet is then taken with the lower half kept for fixed addresses.
        options = {observe.BRIDGE_NAME: spec.bridge} if spec.bridge else {}
        create = partial(
            connection.api.create_network, spec.name, driver="bridge", options=options, labels=dict(spec.labels),
            internal=spec.internal, check_duplicate=True,
        )  # fmt: skip
        create()
        subnet = connection.api.inspect_network(spec.name)["IPAM"]["Config"][0]["Subnet"]
        connection.api.remove_network(spec.name)
        # The gateway too, or the engine takes it from the pool.
        gateway, pool = (
            ipaddress.ip_network(subnet)[1],
            list(ipaddress.ip_network(subnet).subnets(prefixlen_diff=1))[1],
        )
        ipam = IPAMConfig(pool_configs=[IPAMPool(subnet=subnet, iprange=str(pool), gateway=str(gateway))])
        create(ipam=ipam)


def remove_network(connection: Connection, operation: op.NetworkGone, progress: Progress) -> None:
    with translated(str(operation)), already_gone():
        connection.api.remove_network(operation.name)


def create_volume(connection: Connection, operation: op.VolumeExists, progress: Progress) -> None:
    with translated(str(operation)):
        connection.api.create_volume(operation.spec.name, labels=dict(operation.spec.labels))


def own_volume(connection: Connection, operation: op.VolumeOwned, progress: Progress) -> None:
    folder = tarfile.TarInfo(observe.VOLUME.lstrip("/"))
    folder.type, folder.mode, folder.mtime = tarfile.DIRTYPE, 0o755, int(time.time())
    folder.uid, folder.gid = operation.uid, servers.USERS
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        tar.addfile(folder)
    with translated(str(operation)), observe.mounting(connection, operation.name, read_only=False) as container:
        # A folder of an archive that is there keeps what is in it.
        connection.api.put_archive(container, "/", content.getvalue())


def remove_volume(connection: Connection, operation: op.VolumeGone, progress: Progress) -> None:
    with translated(str(operation)), already_gone():
        observe.remove_reader(connection, operation.name)
        connection.api.remove_volume(operation.name)


def stop(connection: Connection, operation: op.ContainerStopped, progress: Progress) -> None:
    with translated(str(operation)), already_gone():
        connection.api.stop(operation.name, timeout=_STOP_WITHIN)


def remove_container(connection: Connection, operation: op.ContainerGone, progress: Progress) -> None:
    with translated(str(operation)), already_gone():
        # With the volumes that nobody gave a name, such as a server's temporary files.
        connection.api.remove_container(operation.name, force=True, v=True)


def create_container(connection: Connection, operation: op.ContainerCreated, progress: Progress) -> None:
    spec, api = operation.spec, connection.api
    deployment = spec.labels[labels.DEPLOYMENT]
    # Older engines take a MAC address for the container's first network only, and nothing else names that one.
    old = servers.api_version(api.api_version) < servers.MAC_IN_ENDPOINT
    with translated(str(operation)):
        endpoints = {
            one.network: api.create_endpoint_config(**_place(connection, one, deployment))
            for one in spec.attachments[:1]
        }
        api.create_container(
            spec.image,
            command=list(spec.command) if spec.command else None,
            name=spec.name,
            labels=spec.all_labels,
            user=spec.user,
            environment=dict(spec.environment),
            ports=[published.target for published in spec.published],
            healthcheck={"test": ["CMD", *spec.health_command]} if spec.health_command else None,
            host_config=_host_config(connection, spec),
            networking_config={"EndpointsConfig": endpoints} if endpoints else None,
            mac_address=next((one.mac for one in spec.attachments[:1] if old), None),
            # The operator's proxies are for builds. They may have a password in them, and hub and proxy would ask them for
            # each other.
            use_config_proxy=False,
        )
        for attachment in spec.attachments[1:]:
            place = _place(connection, attachment, deployment)
            api.connect_container_to_network(spec.name, attachment.network, **place)


def _host_config(connection: Connection, spec: ContainerSpec) -> Any:
    limits = spec.limits
    return connection.api.create_host_config(
        mounts=[Mount(mount.target, mount.source, type=mount.kind, read_only=mount.read_only) for mount in spec.mounts],
        port_bindings={published.target: (published.address, published.port) for published in spec.published},
        network_mode=spec.network_mode or next((one.network for one in spec.attachments), None),
        restart_policy={"Name": "unless-stopped"},
        cap_drop=["ALL"],
        cap_add=list(spec.capabilities) or None,
        security_opt=["no-new-privileges"],
        read_only=spec.read_only or None,
        userns_mode="host" if spec.host_users else None,
        mem_limit=limits.memory,
        memswap_limit=limits.memory,
        mem_reservation=limits.reserved,
        tmpfs={"/tmp": _TMP} if spec.read_only else None,
        nano_cpus=int(limits.cpus * 1e9) if limits.cpus else None,
        pids_limit=limits.pids,
        log_config=LogConfig(type=logs.DRIVER, config=logs.OPTIONS),
    )


def _place(connection: Connection, attachment: Attachment, deployment: str) -> dict[str, Any]:
    """The arguments that put a container into a network."""
    place: dict[str, Any] = {"aliases": list(attachment.aliases)}
    if attachment.mac:
        place["mac_address"] = attachment.mac
    if attachment.fixed:
        state = network_state(connection.api.inspect_network(attachment.network))
        # In a network of others the address may be somebody's.
        if state.subnet and state.pool and state.labels.get(labels.DEPLOYMENT) == deployment:
            place["ipv4_address"] = _kept_address(state.subnet)
    return place


def put_files(connection: Connection, operation: op.FilesPut, progress: Progress) -> None:
    with translated(str(operation)):
        put(connection, operation.container, operation.files, operation.mounts)


def publish_files(connection: Connection, operation: op.FilesPublished, progress: Progress) -> None:
    staged = {f"{path}.new": content for path, content in operation.files.items()}
    with translated(str(operation)):
        put(connection, operation.container, staged, operation.mounts)
        for path in operation.files:
            code, printed = containers.run(connection.api, operation.container, ["mv", f"{path}.new", path])
            if code != 0:
                found = f"mv ended with code {code}: {printed}"
                raise EngineError(wanted=str(operation), found=found, fix="run it again")


def put_into_volume(connection: Connection, operation: op.VolumeHolds, progress: Progress) -> None:
    with translated(str(operation)), observe.mounting(connection, operation.volume, read_only=False) as container:
        *first, last = [(f"{observe.VOLUME}/{path}", content) for path, content in operation.files.items()]
        for some in (first, [last]):
            put(connection, container, dict(some), (observe.VOLUME,))


def put(connection: Connection, container: str, files: Mapping[str, Secret[bytes]], mounts: Sequence[str]) -> None:
    """One archive for each volume that files belong in, and for what is outside of all: into a volume the engine copies also
    where the file system is read-only. A file with the name of a mount point would empty that volume, so it is refused."""
    clash = [path for path in files if path in mounts or path.startswith("//")]
    if clash:
        raise ValueError(f"a file must not have the name of a mount point: {clash}")
    for folder, inside in itertools.groupby(files, lambda path: _mount_of(path, mounts)):
        content = io.BytesIO()
        with tarfile.open(fileobj=content, mode="w") as tar:
            for path in inside:
                data = files[path].reveal()
                info = tarfile.TarInfo(path.removeprefix(folder).lstrip("/"))
                info.size, info.mode, info.mtime = len(data), 0o600, int(time.time())
                tar.addfile(info, io.BytesIO(data))
        connection.api.put_archive(container, folder, content.getvalue())


def _mount_of(path: str, mounts: Sequence[str]) -> str:
    """The innermost mount point that a file lies below; else /."""
    return max((mount for mount in mounts if path.startswith(f"{mount}/")), key=len, default="/")


def start(connection: Connection, operation: op.ContainerStarted, progress: Progress) -> None:
    with translated(str(operation)):
        connection.api.start(operation.name)


def await_health(connection: Connection, operation: op.ContainerHealthy, progress: Progress) -> None:
    await_healthy(connection, operation.name)


def await_healthy(connection: Connection, name: str, within: float = HEALTHY_WITHIN) -> None:
    """Waits until the image's own health check passes in the container; fails at once when it has exited.

    The check is run here rather than waited for, as the engine asks only once in an interval.
    """
    deadline = time.monotonic() + within
    with translated(f"container {name} is healthy"):
        while True:
            inspected = connection.api.inspect_container(name)
            check, state = containers.health_command(inspected), inspected["State"]
            if not state["Running"] or state["Restarting"]:
                raise _not_ready(connection, name, f"exited with code {state['ExitCode']}")
            try:
                if check is None or containers.run(connection.api, name, check)[0] == 0:
                    return
            except docker.errors.APIError as error:
                # It exited between the look and the exec; the next look tells.
                if error.status_code != 409:
                    raise
            if time.monotonic() > deadline:
                raise _not_ready(connection, name, f"was not healthy after {within:.0f} s")
            time.sleep(0.1)


def health(connection: Connection, name: str) -> tuple[bool, str]:
    """Whether the container's own health check passes now, and what it prints; False if it does not run any more."""
    with translated(f"the health of {name} can be asked"):
        check = containers.health_command(connection.api.inspect_container(name))
        try:
            code, printed = containers.run(connection.api, name, check) if check else (0, "")
        except docker.errors.APIError as error:
            if error.status_code != 409:
                raise
            return False, ""
        return code == 0, printed.strip()


def run_in(connection: Connection, name: str, command: Sequence[str]) -> tuple[int, str]:
    """The exit code of a command in a running container, and what it prints."""
    with translated(f"{command[-1]} can be asked of {name}"):
        code, printed = containers.run(connection.api, name, command)
        return code, printed.strip()


def _not_ready(connection: Connection, name: str, found: str) -> NotReady:
    tail = connection.api.logs(name, tail=_LOG_TAIL).decode(errors="replace").strip()
    return NotReady(
        wanted=f"the container {name} healthy",
        found=f"{name} {found}",
        fix=f"see its last lines below; ./invoke up tries again\n{indented(tail)}",
    )


def _kept_address(subnet: str) -> str:
    """The hub's address in a network of ours: the second of the lower half, behind the gateway."""
    return str(ipaddress.ip_network(subnet)[2])
