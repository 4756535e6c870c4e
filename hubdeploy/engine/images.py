"""Images that are not built: pulls them from a registry, or makes them from a root file system."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import docker.errors
import docker.utils

from hubdeploy.engine.connection import Connection, translated
from hubdeploy.errors import EngineError

Progress = Callable[[str], None]


def pull_image(connection: Connection, reference: str, progress: Progress = lambda line: None) -> None:
    """Pulls an image; raises EngineError with the engine's words when it cannot."""
    repository, tag = docker.utils.parse_repository_tag(reference)
    try:
        with translated(f"image {reference} can be pulled"):
            for event in connection.api.pull(repository, tag=tag or "latest", stream=True, decode=True):
                if "error" in event:
                    raise _pull_error(reference, str(event["error"]))
                progress(" ".join(filter(None, (event.get("id"), event.get("status"), event.get("progress")))))
    except EngineError as error:
        if isinstance(error.__cause__, docker.errors.APIError):
            raise _pull_error(reference, str(error.__cause__.explanation)) from error.__cause__
        raise


def import_image(connection: Connection, archive: Path, reference: str, image_labels: Mapping[str, str]) -> None:
    """Makes an image of a root file system's tar."""
    repository, _, tag = reference.rpartition(":")
    changes = [f'LABEL {key}="{value}"' for key, value in image_labels.items()] + ['CMD ["bash"]']
    with translated(f"image {reference} can be made"):
        connection.api.import_image_from_file(str(archive), repository=repository, tag=tag, changes=changes)


def _pull_error(reference: str, words: str) -> EngineError:
    return EngineError(
        wanted=f"image {reference}, which is not built here",
        found=f"it is not on the engine and cannot be pulled: {words}",
        fix="correct the setting that names it. Without DOCKER_NOTEBOOK_IMAGE ours is built; "
        "images of jupyter/docker-stacks are quay.io/jupyter/NAME; ./invoke setup makes a BASE_IMAGE without a registry",
    )
