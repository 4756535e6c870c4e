"""Files in a volume, written and read by the engine alone: through a container that mounts it and never runs."""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import docker
from docker.models.containers import Container

from hubdeploy.contract import labels
from tests.archive import tar as tar_of
from tests.hub.clone import Clone

_AT = "/volume"
# A line for each file below /v: all that a user could notice.
_LOOK = """
import hashlib, os, stat
for folder, folders, names in os.walk(b"/v"):
    for path in sorted(os.path.join(folder, name) for name in (*folders, *names)):
        found = os.lstat(path)
        content = b""
        if stat.S_ISREG(found.st_mode):
            content = hashlib.sha256(open(path, "rb").read()).hexdigest()
        elif stat.S_ISLNK(found.st_mode):
            content = os.readlink(path)
        print(path, oct(found.st_mode), found.st_uid, found.st_gid, found.st_nlink, found.st_mtime_ns, content)
"""


@dataclass(frozen=True)
class VolumeFile:
    content: bytes
    uid: int


@contextmanager
def _holder(client: docker.DockerClient, volume: str, image: str) -> Iterator[Container]:
    # Its own label: with the image's label it would count as a deployment's container.
    container = client.containers.create(
        image,
        ["true"],
        volumes={volume: {"bind": _AT}},
        labels={"hubdeploy.deployment": "", "hubdeploy.role": "reader"},
    )
    try:
        yield container
    finally:
        container.remove(force=True)


def fill(client: docker.DockerClient, volume: str, image: str, files: Mapping[str, bytes]) -> None:
    """Root's files, name -> content; the volume is made if it is not there. Any `image` will do."""
    with _holder(client, volume, image) as container:
        container.put_archive(_AT, tar_of(files))


def read(client: docker.DockerClient, volume: str, image: str, name: str) -> VolumeFile:
    """One file; raises docker.errors.NotFound if the volume has no such file."""
    with _holder(client, volume, image) as container:
        stream, _ = container.get_archive(f"{_AT}/{name}")
        archive = io.BytesIO(b"".join(stream))
    with tarfile.open(fileobj=archive) as tar:
        (member,) = tar.getmembers()
        file = tar.extractfile(member)
        assert file is not None, f"{name} is no file"
        return VolumeFile(file.read(), member.uid)


def without_owner(clone: Clone) -> frozenset[str]:
    """Volumes that no container holds, and that do not say whose they are: those with the clone's name, or with none."""
    loose = clone.client.volumes.list(filters={"dangling": True})
    names = [str(one.name) for one in loose if labels.DEPLOYMENT not in (one.attrs["Labels"] or {})]
    return frozenset(one for one in names if one.startswith(clone.name) or re.fullmatch("[0-9a-f]{64}", one))


def looks(clone: Clone, image: str) -> dict[str, list[str]]:
    """Each user's volume, by its name, as a list of all files in it; a container of `image` looks."""
    own = {"label": [f"{labels.DEPLOYMENT}={clone.name}", labels.UID]}
    found = {}
    for volume in clone.client.volumes.list(filters=own):
        mounted = {volume.name: {"bind": "/v", "mode": "ro"}}
        printed = clone.client.containers.run(
            image, ["/usr/bin/python3", "-c", _LOOK], volumes=mounted, user="root", remove=True
        )
        found[volume.name] = sorted(printed.decode().splitlines())
    return found
