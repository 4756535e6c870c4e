"""Acts on the engine: apply() carries out one operation. It decides nothing; what may be there already may be there."""

from __future__ import annotations

import io
import ipaddress
import re
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import singledispatchmethod
from pathlib import Path
from typing import IO, Any

import docker.errors
import docker.utils
from docker.types import IPAMConfig, IPAMPool, LogConfig, Mount

from hubdeploy import files
from hubdeploy.blueprint.specs import Attachment, ContainerSpec, ImageSpec
from hubdeploy.contract import labels
from hubdeploy.engine.connection import already_gone, translated
from hubdeploy.engine.observe import network_state
from hubdeploy.engine.oneoff import Looking
from hubdeploy.errors import BuildError, EngineError, NotReady, indented
from hubdeploy.plan import operations as op
from hubdeploy.settings import env_local

# A hub that upgrades its database may take this long; a dead one is noticed at once.
HEALTHY_WITHIN = 180.0
_STOP_WITHIN = 10
_LOG_TAIL = 20
_COLOURS = re.compile("\x1b\\[[0-9;]*[A-Za-z]")

Progress = Callable[[str], None]


class Engine(Looking):
    """The engine, to look at and to act on."""

    @singledispatchmethod
    def apply(self, operation: Any, progress: Progress = lambda line: None) -> None:
        """Brings one operation's end state about; `progress` hears what goes on meanwhile."""
        raise TypeError(f"no way to apply {operation!r}")

    @apply.register
    def _(self, operation: op.SecretsRemembered, progress: Progress = lambda line: None) -> None:
        env_local.remember(operation.path, operation.values, operation.reason)

    @apply.register
    def _(self, operation: op.CertificateWritten, progress: Progress = lambda line: None) -> None:
        operation.key_path.parent.mkdir(parents=True, exist_ok=True)
        # In this order, cut short anywhere, a certificate stays alone, and says by itself that it is self-made.
        operation.key_path.unlink(missing_ok=True)
        files.replace(operation.certificate_path, operation.pair.certificate, mode=0o644)
        files.replace(operation.key_path, operation.pair.key, mode=0o600)

    @apply.register
    def _(self, operation: op.ImagePulled, progress: Progress = lambda line: None) -> None:
        self.pull_image(operation.reference, progress)

    @apply.register
    def _(self, operation: op.ImageBuilt, progress: Progress = lambda line: None) -> None:
        with tempfile.TemporaryFile() as context:
            operation.spec.context.write_tar(context)
            context.seek(0)
            self._build(operation.spec, context, progress)

    def _build(self, spec: ImageSpec, context: IO[bytes], progress: Progress) -> None:
        log: list[str] = []
        with translated(f"image {spec.reference} can be built"):
            try:
                events = self._api.build(
                    fileobj=context, custom_context=True, encoding=None, decode=True, rm=True, forcerm=True,
                    tag=spec.content_reference, buildargs=dict(spec.arguments), labels=dict(spec.labels),
                )  # fmt: skip
                for line in _lines(events):
                    log.append(line)
                    progress(line)
            except _BuildFailed as failure:
                raise _build_error(spec.reference, spec.folder, log, str(failure)) from failure
            except docker.errors.APIError as error:
                raise _build_error(spec.reference, spec.folder, log, str(error.explanation)) from error
            self._tag(spec.content_reference, spec.reference)

    @apply.register
    def _(self, operation: op.ImageTagged, progress: Progress = lambda line: None) -> None:
        with translated(str(operation)):
            self._tag(operation.source, operation.reference)

    def _tag(self, source: str, reference: str) -> None:
        repository, _, tag = reference.rpartition(":")
        self._api.tag(source, repository, tag, force=True)

    @apply.register
    def _(self, operation: op.ImageGone, progress: Progress = lambda line: None) -> None:
        with translated(str(operation)), already_gone():
            self._api.remove_image(operation.reference)

    @apply.register
    def _(self, operation: op.NetworkExists, progress: Progress = lambda line: None) -> None:
        spec = operation.spec
        with translated(str(operation)):
            if spec.internal:
                self._api.create_network(
                    spec.name, driver="bridge", internal=True, labels=dict(spec.labels), check_duplicate=True
                )
                return
            # The engine knows which addresses are free (other networks, the host's routes): it is asked by a network of
            # its own choice, whose subnet is then taken with the lower half kept for fixed addresses.
            self._api.create_network(spec.name, driver="bridge", labels=dict(spec.labels), check_duplicate=True)
            subnet = self._api.inspect_network(spec.name)["IPAM"]["Config"][0]["Subnet"]
            self._api.remove_network(spec.name)
            # The gateway too, or the engine takes it from the pool.
            gateway, pool = (
                ipaddress.ip_network(subnet)[1],
                list(ipaddress.ip_network(subnet).subnets(prefixlen_diff=1))[1],
            )
            ipam = IPAMConfig(pool_configs=[IPAMPool(subnet=subnet, iprange=str(pool), gateway=str(gateway))])
            self._api.create_network(
                spec.name, driver="bridge", ipam=ipam, labels=dict(spec.labels), check_duplicate=True
            )

    @apply.register
    def _(self, operation: op.NetworkGone, progress: Progress = lambda line: None) -> None:
        with translated(str(operation)), already_gone():
            self._api.remove_network(operation.name)

    @apply.register
    def _(self, operation: op.VolumeExists, progress: Progress = lambda line: None) -> None:
        with translated(str(operation)):
            self._api.create_volume(operation.spec.name, labels=dict(operation.spec.labels))

    @apply.register
    def _(self, operation: op.VolumeGone, progress: Progress = lambda line: None) -> None:
        with translated(str(operation)), already_gone():
            self._remove_reader(operation.name)
            self._api.remove_volume(operation.name)

    @apply.register
    def _(self, operation: op.ContainerStopped, progress: Progress = lambda line: None) -> None:
        with translated(str(operation)), already_gone():
            self._api.stop(operation.name, timeout=_STOP_WITHIN)

    @apply.register
    def _(self, operation: op.ContainerGone, progress: Progress = lambda line: None) -> None:
        with translated(str(operation)), already_gone():
            self._api.remove_container(operation.name, force=True)

    @apply.register
    def _(self, operation: op.ContainerCreated, progress: Progress = lambda line: None) -> None:
        spec = operation.spec
        first, *others = spec.attachments
        deployment = spec.labels[labels.DEPLOYMENT]
        with translated(str(operation)):
            self._api.create_container(
                spec.image,
                name=spec.name,
                labels=spec.all_labels,
                ports=[published.target for published in spec.published],
                host_config=self._host_config(spec),
                networking_config={"EndpointsConfig": {first.network: self._endpoint(first, deployment)}},
            )
            for attachment in others:
                self._api.connect_container_to_network(
                    spec.name, attachment.network, **self._connection(attachment, deployment)
                )

    def _host_config(self, spec: ContainerSpec) -> Any:
        return self._api.create_host_config(
            mounts=[
                Mount(mount.target, mount.source, type=mount.kind, read_only=mount.read_only) for mount in spec.mounts
            ],
            port_bindings={published.target: (published.address, published.port) for published in spec.published},
            restart_policy={"Name": "unless-stopped"},
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            # Docker's default keeps every line for ever.
            log_config=LogConfig(type="json-file", config={"max-size": "10m", "max-file": "3"}),
        )

    def _connection(self, attachment: Attachment, deployment: str) -> dict[str, Any]:
        connection: dict[str, Any] = {"aliases": list(attachment.aliases)}
        if attachment.fixed:
            state = network_state(self._api.inspect_network(attachment.network))
            # In a network of others the address may be somebody's.
            if state.subnet and state.pool and state.labels.get(labels.DEPLOYMENT) == deployment:
                connection["ipv4_address"] = _kept_address(state.subnet)
        return connection

    def _endpoint(self, attachment: Attachment, deployment: str) -> Any:
        return self._api.create_endpoint_config(**self._connection(attachment, deployment))

    @apply.register
    def _(self, operation: op.FilesPut, progress: Progress = lambda line: None) -> None:
        with translated(str(operation)):
            self._put(operation.container, operation.files, operation.mounts)

    @apply.register
    def _(self, operation: op.FilesPublished, progress: Progress = lambda line: None) -> None:
        staged = {f"{path}.new": content for path, content in operation.files.items()}
        with translated(str(operation)):
            self._put(operation.container, staged, operation.mounts)
            # tls.toml last: it names files that must be there by then.
            for path in sorted(operation.files, key=lambda path: path.endswith("tls.toml")):
                code, said = self._run(operation.container, ["mv", f"{path}.new", path])
                if code != 0:
                    raise EngineError(
                        wanted=str(operation), found=f"mv ended with code {code}: {said}", fix="run it again"
                    )

    def _put(self, container: str, files: Mapping[str, bytes], mounts: Sequence[str]) -> None:
        """One archive to `/`. A file that bears a mount point's name would empty that volume, so it is refused."""
        clash = [path for path in files if path in mounts or path.startswith("//")]
        if clash:
            raise ValueError(f"a file must not bear the name of a mount point: {clash}")
        content = io.BytesIO()
        with tarfile.open(fileobj=content, mode="w") as tar:
            for path, data in files.items():
                info = tarfile.TarInfo(path.lstrip("/"))
                info.size, info.mode, info.mtime = len(data), 0o600, int(time.time())
                tar.addfile(info, io.BytesIO(data))
        self._api.put_archive(container, "/", content.getvalue())

    def _run(self, container: str, command: Sequence[str]) -> tuple[int, str]:
        """Exit code and output of a command in a running container."""
        exec_id = self._api.exec_create(container, list(command))["Id"]
        output = self._api.exec_start(exec_id).decode(errors="replace")
        return int(self._api.exec_inspect(exec_id)["ExitCode"]), output

    @apply.register
    def _(self, operation: op.ContainerStarted, progress: Progress = lambda line: None) -> None:
        with translated(str(operation)):
            self._api.start(operation.name)

    @apply.register
    def _(self, operation: op.ContainerHealthy, progress: Progress = lambda line: None) -> None:
        self.await_healthy(operation.name)

    def await_healthy(self, name: str, within: float = HEALTHY_WITHIN) -> None:
        """Waits until the image's own health check passes in the container; fails at once when it has exited.

        The check is run here rather than waited for, as the engine asks only once in an interval.
        """
        deadline = time.monotonic() + within
        with translated(f"container {name} is healthy"):
            while True:
                inspected = self._api.inspect_container(name)
                check, state = _health_command(inspected), inspected["State"]
                if not state["Running"] or state["Restarting"]:
                    raise self._not_ready(name, f"exited with code {state['ExitCode']}")
                try:
                    if check is None or self._run(name, check)[0] == 0:
                        return
                except docker.errors.APIError as error:
                    # It exited between the look and the exec; the next look tells.
                    if error.status_code != 409:
                        raise
                if time.monotonic() > deadline:
                    raise self._not_ready(name, f"was not healthy after {within:.0f} s")
                time.sleep(0.1)

    def _not_ready(self, name: str, found: str) -> NotReady:
        tail = self._api.logs(name, tail=_LOG_TAIL).decode(errors="replace").strip()
        return NotReady(
            wanted=f"the container {name} healthy",
            found=f"{name} {found}",
            fix=f"see its last lines below; ./invoke up tries again\n{indented(tail)}",
        )

    def pull_image(self, reference: str, progress: Progress = lambda line: None) -> None:
        """Pulls an image; raises EngineError with the engine's words when it cannot."""
        repository, tag = docker.utils.parse_repository_tag(reference)
        try:
            with translated(f"image {reference} can be pulled"):
                for event in self._api.pull(repository, tag=tag or "latest", stream=True, decode=True):
                    if "error" in event:
                        raise _pull_error(reference, str(event["error"]))
                    progress(" ".join(filter(None, (event.get("id"), event.get("status"), event.get("progress")))))
        except EngineError as error:
            if isinstance(error.__cause__, docker.errors.APIError):
                raise _pull_error(reference, str(error.__cause__.explanation)) from error.__cause__
            raise

    def import_image(self, archive: Path, reference: str, image_labels: Mapping[str, str]) -> None:
        """Makes an image of a root file system's tar."""
        repository, _, tag = reference.rpartition(":")
        changes = [f'LABEL {key}="{value}"' for key, value in image_labels.items()] + ['CMD ["bash"]']
        with translated(f"image {reference} can be made"):
            self._api.import_image_from_file(str(archive), repository=repository, tag=tag, changes=changes)


def _kept_address(subnet: str) -> str:
    """The hub's address in a network of ours: the second of the lower half, behind the gateway."""
    return str(ipaddress.ip_network(subnet)[2])


def _health_command(inspected: Mapping[str, Any]) -> list[str] | None:
    test = (inspected["Config"].get("Healthcheck") or {}).get("Test") or ["NONE"]
    if test[0] == "CMD":
        return list(test[1:])
    return ["/bin/sh", "-c", test[1]] if test[0] == "CMD-SHELL" else None


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


def _build_error(reference: str, folder: str, log: Sequence[str], said: str) -> BuildError:
    step = next((line for line in reversed(log) if line.startswith("Step ")), "")
    at = f" at `{step.split(' : ', 1)[-1]}`" if step else ""
    tail = indented("\n".join(log[-_LOG_TAIL:]))
    return BuildError(
        wanted=f"image {reference} built from {folder}/Dockerfile",
        found=f"the build failed{at}: {said}",
        fix=f"fix what the last lines of its log say, then run the same command again\n{tail}",
    )


def _pull_error(reference: str, said: str) -> EngineError:
    return EngineError(
        wanted=f"image {reference}, which is not built here",
        found=f"it is not on the engine and cannot be pulled: {said}",
        fix="name an image that can be had in the setting that names this one. Without DOCKER_NOTEBOOK_IMAGE ours is built; "
        "those of jupyter/docker-stacks are quay.io/jupyter/NAME; ./invoke setup makes a BASE_IMAGE without a registry",
    )
