"""Machines inside the engine, for tests: a second, newer engine, and a bare Debian that knows nothing of Docker.

Their images are made from Debian's packages once and kept; all else carries the test run's label and goes with it. Not
privileged: that needs a capability which not every machine may give away, so what an engine needs is listed here.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import docker.errors
from docker.models.containers import Container

from hubdeploy.machine import debian
from tests.ports import free_port

LABEL = "hubdeploy.test"
# Where an engine with a disk of its own has it.
DISK = "/disk"
CHECKOUT = Path(__file__).resolve().parent.parent
_AUTHORITIES = Path("/usr/local/share/ca-certificates")
# Raised when what goes into an image below changes, so that an older one is not taken for it.
_EDITION = "2"
# A command whose engine has a file system of its own, of which root can take no more than others.
_ON_A_DISK = f"""
set -e
[ -e /dev/loop-control ] || mknod /dev/loop-control c 10 237
for n in $(seq 0 31); do [ -e /dev/loop$n ] || mknod /dev/loop$n b 7 $n; done
truncate -s "$0" /var/lib/docker/disk
mkfs.ext4 -q -m 0 /var/lib/docker/disk
mkdir {DISK}
mount -o loop /var/lib/docker/disk {DISK}
exec "$@" --data-root {DISK}
"""


@dataclass(frozen=True)
class Finished:
    """A command that ended inside a machine: its exit code and all that it printed."""

    exit_code: int
    output: str


@dataclass(frozen=True)
class Machine:
    """A container that stands for a whole machine."""

    container: Container

    def run(self, *command: str, folder: str = "/", shown: bool = False) -> Finished:
        """The command's end, awaited; `shown` passes its output on as it comes, for whoever watches a long test."""
        assert self.container.client is not None
        api = self.container.client.api
        handle = api.exec_create(self.container.id, list(command), workdir=folder)["Id"]
        output = []
        for chunk in api.exec_start(handle, stream=True):
            output.append(chunk)
            if shown:
                print(chunk.decode(errors="replace"), end="", flush=True)
        text = b"".join(output).decode(errors="replace")
        return Finished(int(api.exec_inspect(handle)["ExitCode"]), text)

    def put(self, files: Mapping[str, Path], folder: str) -> None:
        """Files (name -> path here) put below `folder`, links as links."""
        content = io.BytesIO()
        with tarfile.open(fileobj=content, mode="w") as tar:
            for name, path in files.items():
                tar.add(path, arcname=f"{folder.lstrip('/')}/{name}", recursive=False)
        self.container.put_archive("/", content.getvalue())

    def put_checkout(self, folder: str) -> None:
        """What a clone of this checkout would hold, and files not yet added to git: nothing that git ignores."""
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=CHECKOUT, capture_output=True, check=True, text=True,
        ).stdout.split("\0")  # fmt: skip
        self.put(
            {name: path for name in listed if name and ((path := CHECKOUT / name).exists() or path.is_symlink())},
            folder,
        )


@contextmanager
def bare_machine(client: docker.DockerClient, run: str, suite: str = "bookworm") -> Iterator[Machine]:
    """A plain Debian of the release `suite` with Python and nothing else, on which an engine can be installed and started.

    If this machine knows authorities of its own, they are added as a company's administrator would add them.
    """
    bare = image(client, "bare", suite, ["python3", "ca-certificates"])
    with _machine(client, run, bare, ["sleep", "infinity"], ports={}) as container:
        machine = Machine(container)
        own = {path.name: path for path in _AUTHORITIES.glob("*.crt")} if _AUTHORITIES.is_dir() else {}
        if own:
            machine.put(own, str(_AUTHORITIES))
            added = machine.run("update-ca-certificates")
            assert added.exit_code == 0, added.output
        yield machine


@dataclass(frozen=True)
class SecondEngine:
    """An engine that shares no files and no loopback address with this machine's; `url` is its DOCKER_HOST."""

    url: str
    machine: Machine

    def restart(self) -> None:
        """Its host starts again: processes, networks and packet filter rules are gone, the engine's files are there."""
        self.machine.container.restart(timeout=60)
        _await_engine(self.url, self.machine.container)


@contextmanager
def second_engine(
    client: docker.DockerClient, run: str, *features: str, own_users: bool = False, disk: str = ""
) -> Iterator[SecondEngine]:
    """A newer Docker engine, with buildx and compose beside it; it answers when this begins. `features` are switched on.
    `own_users`: its containers have users of their own (userns-remap). `disk`: all that it keeps lies on a disk of its own
    of this size, such as 6G."""
    engine = engine_image(client)
    command = ["dockerd", "-H", "unix:///var/run/docker.sock", "-H", "tcp://0.0.0.0:2375", "--tls=false"]
    command += [f"--feature={feature}=true" for feature in features]
    command += ["--userns-remap=default"] if own_users else []
    command = ["sh", "-c", _ON_A_DISK, disk, *command] if disk else command
    # A port that the engine chose would be another one after a restart.
    port = free_port()
    with _machine(client, run, engine, command, ports={"2375/tcp": ("127.0.0.1", port)}) as container:
        url = f"tcp://127.0.0.1:{port}"
        _await_engine(url, container)
        yield SecondEngine(url, Machine(container))


def send_image(reference: str, here: docker.DockerClient, there: docker.DockerClient) -> None:
    """What this engine holds need not come from a registry, which may be out of reach; else `up` pulls it there."""
    try:
        image = here.images.get(reference)
    except docker.errors.ImageNotFound:
        return
    there.images.load(image.save(named=reference))  # type: ignore[arg-type]  # an iterator is sent as it comes


def send_images(references: Sequence[str], here: docker.DockerClient, there: docker.DockerClient) -> None:
    """Several at once: layers that they share are sent once."""
    api: Any = here.api
    answer = api._get(api._url("/images/get"), params={"names": list(references)}, stream=True)
    there.images.load(answer.iter_content(2**20))


def engine_image(client: docker.DockerClient) -> str:
    """The image of a newer engine, which has Docker Compose 2.40 in it."""
    packages = [
        "ca-certificates",
        "docker.io",
        "docker-cli",
        "docker-buildx",
        "docker-compose",
        "iptables",
        "iproute2",
        "e2fsprogs",
    ]
    return image(client, "engine", "forky", packages)


def _await_engine(url: str, container: Container) -> None:
    deadline = time.monotonic() + 90
    while True:
        try:
            docker.DockerClient(base_url=url, version="auto", timeout=5).close()
            return
        except (docker.errors.DockerException, OSError):
            container.reload()
            if container.status != "running" or time.monotonic() > deadline:
                tail = container.logs(tail=30).decode(errors="replace")
                raise AssertionError(f"the second engine is {container.status} and does not answer:\n{tail}") from None
        time.sleep(0.3)


@contextmanager
def _machine(
    client: docker.DockerClient, run: str, image: str, command: Sequence[str], ports: Mapping[str, tuple[str, int]]
) -> Iterator[Container]:
    labels = {LABEL: run}
    volume = client.volumes.create(labels=labels)
    api = client.api
    host = api.create_host_config(
        init=True,
        port_bindings=dict(ports.items()),
        cap_add=["ALL"],
        cap_drop=["SYS_RESOURCE"],
        security_opt=["seccomp=unconfined", "apparmor=unconfined"],
        device_cgroup_rules=["a *:* rwm"],
        # A browser keeps its pages' shared memory there, and 64 MB are not enough.
        shm_size="1g",
        binds={
            "/sys/fs/cgroup": {"bind": "/sys/fs/cgroup", "mode": "rw"},
            volume.name: {"bind": "/var/lib/docker", "mode": "rw"},
        },
    )
    # The inner engine mounts /proc and writes below /proc/sys; docker's client says `systempaths=unconfined` for these two.
    host.update(MaskedPaths=[], ReadonlyPaths=[])
    try:
        exposed = [int(port.partition("/")[0]) for port in ports]
        created = api.create_container(image, list(command), labels=labels, ports=exposed, host_config=host)
        api.start(created["Id"])
        container = client.containers.get(created["Id"])
        yield container
    finally:
        clear(client, run)


def clear(client: docker.DockerClient, run: str) -> None:
    """All containers and volumes of a test run removed, by label."""
    selected = f"{LABEL}={run}"
    for container in client.containers.list(all=True, filters={"label": selected}):
        container.remove(force=True, v=True)
    for volume in client.volumes.list(filters={"label": selected}):
        volume.remove(force=True)


def image(client: docker.DockerClient, name: str, suite: str, packages: Sequence[str]) -> str:
    """The image's reference; made from Debian's packages at first use (about a minute) and kept on the engine."""
    reference = f"hubdeploy-test/{name}:{suite}-{_EDITION}"
    try:
        client.images.get(reference)
        return reference
    except docker.errors.ImageNotFound:
        pass
    if shutil.which("mmdebstrap") is None:
        debian.install(["mmdebstrap"], print)
    with tempfile.TemporaryDirectory(prefix="hubdeploy-test-") as folder:
        archive = Path(folder) / "files.tar"
        # A suite that is not released yet is signed anew only now and then.
        options = [
            "--variant=minbase",
            '--aptopt=Acquire::Check-Valid-Until "false"',
            f"--include={','.join(packages)}",
        ]
        subprocess.run(["mmdebstrap", "--quiet", *options, suite, str(archive)], check=True, stdin=subprocess.DEVNULL)
        repository, _, tag = reference.rpartition(":")
        changes = [f'LABEL {LABEL}="kept"']
        client.api.import_image_from_file(str(archive), repository=repository, tag=tag, changes=changes)
    return reference
