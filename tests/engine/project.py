"""A whole project on tiny images: the real settings, blueprint, plan and engine, with a busybox in each container."""

from __future__ import annotations

import contextlib
import hashlib
import io
import shutil
import tarfile
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path

import docker

from hubdeploy.commands import images, up
from hubdeploy.commands.deployment import Deployment
from hubdeploy.commands.named import NamedDeployment
from hubdeploy.contract import labels
from hubdeploy.family import FAMILY
from hubdeploy.plan.steps import Plan

CHECKOUT = Path(__file__).resolve().parents[2]
BASE = "hubdeploy-test/busybox:3"
TEST_LABEL = "hubdeploy.test"

_DOCKERFILE = "ARG PARENT\nFROM ${PARENT}\n%sCOPY version /version\n%s"
_RUNS = (
    'HEALTHCHECK CMD ["/bin/busybox", "true"]\n'
    'CMD ["/bin/busybox", "sh", "-c", "trap \'exit 0\' TERM; /bin/busybox sleep 3600 & wait"]\n'
)
# Stands in for guard, filter and clock, which the hub's image runs: `python3 -m guard` stays, a question is answered well.
_PYTHON = b"""#!/bin/sh
case $2 in guard|filter|clock) ;; *) exit 0 ;; esac
trap 'exit 0' TERM
/bin/busybox sleep 3600 & wait
"""


def ensure_base(client: docker.DockerClient) -> None:
    """Makes the base of all tiny images, a static busybox, unless it exists: another checkout's tests may use it."""
    carried = f"base-{hashlib.sha256(Path('/bin/busybox').read_bytes() + _PYTHON).hexdigest()[:12]}"
    with contextlib.suppress(docker.errors.ImageNotFound):
        if client.images.get(BASE).labels.get(TEST_LABEL) == carried:
            return
    with tempfile.NamedTemporaryFile(suffix=".tar") as archive:
        with tarfile.open(fileobj=archive, mode="w") as tar:
            tar.add("/bin/busybox", "bin/busybox")
            for name in ("sh", "mv"):
                link = tarfile.TarInfo(f"bin/{name}")
                link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                tar.addfile(link)
            for path in ("usr/bin/python3", "opt/hub/bin/python"):
                python = tarfile.TarInfo(path)
                python.mode, python.size = 0o755, len(_PYTHON)
                tar.addfile(python, io.BytesIO(_PYTHON))
        archive.flush()
        repository, tag = BASE.split(":")
        client.api.import_image(archive.name, repository=repository, tag=tag, changes=[f"LABEL {TEST_LABEL}={carried}"])


@dataclass(frozen=True)
class Project:
    """A separate checkout with its own name, as a second person on the same engine would have."""

    root: Path
    name: str
    environ: dict[str, str]

    @classmethod
    def make(cls, root: Path, port: int) -> Project:
        name = f"t{uuid.uuid4().hex[:10]}"
        shutil.copy(CHECKOUT / "userlist", root / "userlist")
        for member in FAMILY.values():
            folder = root / member.folder
            (folder / "ca").mkdir(parents=True)
            arguments = "".join(f"ARG {argument}\nENV {argument}=${{{argument}}}\n" for argument in member.arguments)
            runs = _RUNS if member.name in ("hub", "proxy") else ""
            (folder / "Dockerfile").write_text(_DOCKERFILE % (arguments, runs))
            (folder / "version").write_text("1\n")
            (folder / ".dockerignore").write_text("secrets\ncert.conf\n")
            for path in member.shared.values():
                file = root / path if path.endswith(".py") else root / path / "shared.py"
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text("1\n")
        shutil.copy(CHECKOUT / "jupyterhub" / "cert.conf", root / "jupyterhub" / "cert.conf")
        project = cls(root, name, {})
        project.write_env(DOCKER_MACHINE_NAME=name, BASE_IMAGE=BASE, HUB_PORT=str(port))
        return project

    def write_env(self, **values: str) -> None:
        """Sets keys in .env, keeping the others."""
        path = self.root / ".env"
        kept = dict(line.split("=", 1) for line in path.read_text().splitlines()) if path.exists() else {}
        path.write_text("".join(f"{key}={value}\n" for key, value in {**kept, **values}.items()))

    def deployment(self) -> Deployment:
        return Deployment(self.root, self.environ)

    def named(self) -> NamedDeployment:
        return NamedDeployment(self.root, self.environ)

    def plan(self) -> Plan:
        """What `up` would carry out; raises Refused as `up` does."""
        return up.checked(self.deployment()).plan

    def show_plan(self) -> None:
        up.show_plan(self.deployment())

    def up(self, *, yes: bool = False, canary: bool = True, deployment: Deployment | None = None) -> None:
        """Like the task, without its last question: no hub in these containers could answer a browser."""
        up.up(deployment or self.deployment(), yes=yes, canary=canary, confirm=lambda *_: None)

    def build(self, *names: str) -> None:
        images.build(self.deployment(), *names)

    def pull(self) -> None:
        images.pull(self.deployment())

    def notebook_image(self) -> None:
        images.notebook_image(self.deployment())

    def down(self, *, servers: bool = False, yes: bool = False) -> None:
        self.named().down(servers=servers, yes=yes)

    def clean(self, *, volumes: bool = False, yes: bool = False) -> None:
        self.named().clean(volumes=volumes, yes=yes)

    @property
    def own(self) -> dict[str, str | list[str] | bool]:
        """The engine's filter for this project's label."""
        return {"label": f"{labels.DEPLOYMENT}={self.name}"}

    def remove(self, client: docker.DockerClient) -> None:
        """Removes everything with this project's label, volumes included, and nothing else."""
        # The engine removes the containers of a failed build itself, at any time.
        for container in client.containers.list(all=True, filters=self.own, ignore_removed=True):
            # The engine may remove it at the same time, or have removed it.
            with contextlib.suppress(docker.errors.APIError):
                container.remove(force=True)
        for network in client.networks.list(filters=self.own):
            network.remove()
        for volume in client.volumes.list(filters=self.own):
            volume.remove(force=True)
        for image in sorted(client.images.list(filters=self.own), key=lambda one: one.attrs["Created"], reverse=True):
            for tag in image.tags or [str(image.id)]:
                # A build that a test killed leaves layers on it in the cache.
                with contextlib.suppress(docker.errors.APIError):
                    client.images.remove(tag, force=True)
