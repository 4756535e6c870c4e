"""Files for browsers: JupyterLab's, which the hub serves for all servers of an image, and those of the hub's own pages.

They come from images alone, never from a running container, which its user can change. An address holds a digest of
all its files, so browsers keep them for good. Nothing is compressed while a browser waits. The files are public packages'
and served without a login.
"""

from __future__ import annotations

import gzip
import io
import json
import logging
import mimetypes
import re
import shutil
import tarfile
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from contract import labels
from contract.documents import DOCUMENTS
from docker import APIClient
from docker.errors import DockerException
from jupyterhub.handlers.static import CacheControlStaticFilesHandler

# Below the address and the folder of the hub's static files.
ASSETS = "assets"
FIRST_VISIT = "first-visit.json"
_A_FILE = re.compile(r"[^/]+/([0-9a-f]{16}(?:/[^/\\]+)+)")
_log = logging.getLogger(__name__)


class Assets:
    """The files of each image that was asked for, in `folder`, which outlives the hub's container. Once taken from an image they
    stay, so servers of an older image find theirs; a hub that starts forgets those that no server needs (`take_all`)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._of_image: dict[str, str] = {}
        # An image's name, as it was asked for last -> the digest in the addresses of its files.
        self._of_name: dict[str, str] = {}
        self._first = ""
        self._one_at_a_time = threading.Lock()

    def take_all(self, engine: APIClient, images: Sequence[str], carried: Mapping[str, str]) -> None:
        """The files of `images`, and of all images that servers run; `carried` are the deployment's labels. Users who have not
        chosen another image get the first of `images`."""
        self._first = images[0]
        wanted = [*(f"{key}={value}" for key, value in carried.items()), f"{labels.ROLE}={labels.SERVER}"]
        try:
            running = {one["ImageID"] for one in engine.containers(filters={"label": wanted})}
        except DockerException as error:
            _log.warning("running servers cannot be listed: %s", error)
            running = set()
        self._forget_all_but({self.take(engine, one) for one in (*sorted(running), *images)})

    def _forget_all_but(self, digests: set[str]) -> None:
        """The volume outlives the images that were there before."""
        for record in self.folder.glob("*.image"):
            if record.read_text() not in digests:
                record.unlink()
        for folder in self.folder.glob("[0-9a-f]*"):
            if folder.is_dir() and folder.name not in digests:
                shutil.rmtree(folder, ignore_errors=True)

    def take(self, engine: APIClient, image: str) -> str:
        """The digest in the addresses of the image's files; empty if it has none, or if they cannot be had: then each server
        serves its own."""
        with self._one_at_a_time:
            try:
                found = engine.inspect_image(image)  # type: ignore[no-untyped-call]
                place = (found["Config"]["Labels"] or {}).get(labels.ASSETS)
                digest = self._digest(engine, found["Id"]) if place else ""
            except (DockerException, OSError, ValueError, tarfile.TarError) as error:
                _log.warning("image %s: its files for browsers cannot be taken: %s", image, error)
                digest = ""
            self._of_name[image] = digest
            return digest

    def first_visit(self, image: str = "") -> list[str]:
        """Addresses, below that of the hub's static files, of what JupyterLab's page loads first, of a server with that image;
        without one, with the first of all."""
        digest = self._of_name.get(image or self._first, "")
        if not digest:
            return []
        names = json.loads((self.folder / digest / FIRST_VISIT).read_bytes())
        return [f"{ASSETS}/{digest}/{name}" for name in names]

    def _digest(self, engine: APIClient, image_id: str) -> str:
        # The record outlives a restart of the hub's container, as the files do.
        record = self.folder / f"{image_id.rpartition(':')[2]}.image"
        if image_id not in self._of_image and not record.exists():
            digest = unpacked(_archive(engine, image_id), self.folder)
            record.write_text(digest)
        if image_id not in self._of_image:
            self._of_image[image_id] = record.read_text()
        return self._of_image[image_id]


def _archive(engine: APIClient, image_id: str) -> bytes:
    """The image's files for browsers, as a tar. The filter has a request of its own for them."""
    answer = engine.get(engine._url("/images/{0}/assets", image_id), timeout=engine.timeout)  # type: ignore[attr-defined]
    engine._raise_for_status(answer)  # type: ignore[attr-defined]
    return bytes(answer.content)


def unpacked(archive: bytes, folder: Path) -> str:
    """Puts the archive's DIGEST/ below `folder`, whole or not at all; gives the digest. A file that is compressed lies there
    both ways: few clients take no compressed one, but some do. Raises ValueError if there is not one DIGEST."""
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch, tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            name = _A_FILE.fullmatch(member.name)
            if not member.isfile() or not name or ".." in name[1].split("/"):
                continue
            content = tar.extractfile(member)
            assert content is not None  # it is a file
            path = Path(scratch, name[1])
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.read())
            if path.suffix == ".gz":
                path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        found = [path for path in Path(scratch).iterdir() if (path / FIRST_VISIT).is_file()]
        if len(found) != 1:
            raise ValueError(f"its folder holds {len(found)} sets of files")
        if not (folder / found[0].name).exists():
            found[0].rename(folder / found[0].name)
        return found[0].name


# The hub's own: its start script, configuration and spawner share it.
SERVED = Assets(Path(__file__).parent / DOCUMENTS / ASSETS)


def first_visit(reader: Any) -> list[str]:
    """For the hub's pages, which give their reader: a user whose server starts, of the kind that they chose, or anybody else.
    JupyterHub copies its configuration, and so SERVED with its method."""
    # The user's own way to a spawner makes one where there is none.
    spawner = dict.get(getattr(reader, "spawners", {}), "")
    return SERVED.first_visit(getattr(spawner, "image", ""))


class FilesHandler(CacheControlStaticFilesHandler):  # type: ignore[misc]  # jupyterhub has no types
    """Sends NAME.gz in place of NAME where it lies beside it and the browser takes it. Users' images' files lie in a folder of
    their own, and a link to it would be refused."""

    @classmethod
    def get_absolute_path(cls, root: str, path: str) -> str:
        inside = path.removeprefix(f"{ASSETS}/")
        found: str = super().get_absolute_path(root if inside == path else str(SERVED.folder), inside)
        return found

    def validate_absolute_path(self, root: str, absolute_path: str) -> str | None:
        if Path(absolute_path).is_relative_to(SERVED.folder):
            root = str(SERVED.folder)
        found: str | None = super().validate_absolute_path(root, absolute_path)
        if found is None or not Path(f"{found}.gz").is_file():
            return found
        self.set_header("Vary", "Accept-Encoding")
        if "gzip" not in self.request.headers.get("Accept-Encoding", ""):
            return found
        self.set_header("Content-Encoding", "gzip")
        # Asked again: tornado remembers this file's size.
        compressed: str | None = super().validate_absolute_path(root, f"{found}.gz")
        return compressed

    def get_content_type(self) -> str:
        name = str(self.absolute_path).removesuffix(".gz")
        return mimetypes.guess_type(name)[0] or "application/octet-stream"

    def set_extra_headers(self, path: str) -> None:
        if path.startswith(f"{ASSETS}/"):
            self.set_header("Cache-Control", "public, max-age=31536000, immutable")
            self.set_header("X-Content-Type-Options", "nosniff")
        else:
            super().set_extra_headers(path)
