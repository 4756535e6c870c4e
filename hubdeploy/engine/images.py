"""Images that are not built: pulls them from a registry, or makes them from a root file system."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
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


def freed(connection: Connection, gone: Collection[str]) -> int:
    """Bytes of what only the images with these ids hold, of all on the engine. A builder's cache may hold some of it yet."""
    with translated("the size of images can be asked"):
        held = {image["Id"] for image in connection.api.images()} - set(gone)
        kept = {step for image in held for step in _steps(connection, image)}
        found = {step: size for image in gone for step, size in _steps(connection, image).items()}
    return sum(size for step, size in found.items() if step not in kept)


def _steps(connection: Connection, image: str) -> dict[int, int]:
    """Each step of an image's history, as a hash of it and of all before it -> its bytes. Images with the same steps share their
    layers."""
    found, before = dict[int, int](), 0
    for step in reversed(connection.api.history(image)):  # type: ignore[no-untyped-call]
        before = hash((before, step["Created"], step["CreatedBy"], step["Size"]))
        found[before] = step["Size"]
    return found


def _pull_error(reference: str, words: str) -> EngineError:
    return EngineError(
        wanted=f"image {reference}, which is not built here",
        found=f"it is not on the engine and cannot be pulled: {words}",
        fix="correct the setting that names it. Without DOCKER_NOTEBOOK_IMAGE ours is built; "
        "images of jupyter/docker-stacks are quay.io/jupyter/NAME; ./invoke setup makes a BASE_IMAGE without a registry",
    )
