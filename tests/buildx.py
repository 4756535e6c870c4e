"""Docker's command line with its plugin buildx, for tests: taken out of the newer engine's image, as most machines that
test have no such plugin, or another one each.
"""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import docker

from tests import nested

# Path in the image -> where it lies below the folder.
_TAKEN = {
    "/usr/bin/docker": "bin/docker",
    "/usr/libexec/docker/cli-plugins/docker-buildx": "config/cli-plugins/docker-buildx",
}


def environ_with_buildx(client: docker.DockerClient, folder: Path) -> dict[str, str]:
    """An environment in which `docker buildx` is the one that is laid into `folder`, and nobody's own configuration counts."""
    container = client.containers.create(nested.engine_image(client), ["true"])
    try:
        for path, name in _TAKEN.items():
            pieces, _ = container.get_archive(path)
            with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as tar:
                content = tar.extractfile(Path(path).name)
                assert content is not None, path
                (folder / name).parent.mkdir(parents=True)
                (folder / name).write_bytes(content.read())
            (folder / name).chmod(0o755)
    finally:
        container.remove(force=True)
    return {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "DOCKER_CONFIG": str(folder / "config")}
