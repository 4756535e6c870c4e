"""Files in a volume, written and read by the engine alone: through a container that mounts it and never runs."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import docker
from docker.models.containers import Container

from tests.archive import tar as tar_of

_AT = "/volume"


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
