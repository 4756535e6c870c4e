"""A registry on this machine that offers one image, read-only, inside a `with` block."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import docker

_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_CONFIG = "application/vnd.docker.container.image.v1+json"
_LAYER = "application/vnd.docker.image.rootfs.diff.tar"


@contextmanager
def serving(client: docker.DockerClient, image: str) -> Iterator[str]:
    """The reference under which `image` can be pulled."""
    blobs, manifest = _contents(b"".join(client.images.get(image).save()))
    handler = type("Registry", (_Registry,), {"blobs": blobs, "manifest": manifest})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}/foreign:1"
    finally:
        server.shutdown()
        server.server_close()


def _contents(saved: bytes) -> tuple[dict[str, bytes], bytes]:
    """Digest -> blob, and the manifest, of an image as the engine saves it."""
    with tarfile.open(fileobj=io.BytesIO(saved)) as tar:

        def read(name: str) -> bytes:
            file = tar.extractfile(name)
            assert file is not None, name
            return file.read()

        listed = json.loads(read("manifest.json"))[0]
        config, layers = read(listed["Config"]), [read(name) for name in listed["Layers"]]

    def described(kind: str, blob: bytes) -> dict[str, Any]:
        return {"mediaType": kind, "size": len(blob), "digest": _digest(blob)}

    manifest = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": described(_CONFIG, config),
        "layers": [described(_LAYER, layer) for layer in layers],
    }
    return {_digest(blob): blob for blob in (config, *layers)}, json.dumps(manifest).encode()


def _digest(blob: bytes) -> str:
    return f"sha256:{hashlib.sha256(blob).hexdigest()}"


class _Registry(BaseHTTPRequestHandler):
    blobs: Mapping[str, bytes]
    manifest: bytes

    def do_GET(self) -> None:
        kind, _, name = self.path.rpartition("/")
        if self.path == "/v2/":
            self._give(b"{}", "application/json")
        elif kind.endswith("/manifests"):
            self._give(self.manifest, _MANIFEST)
        elif name in self.blobs:
            self._give(self.blobs[name], "application/octet-stream")
        else:
            self.send_error(404)

    do_HEAD = do_GET

    def _give(self, content: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Docker-Content-Digest", _digest(content))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Not into the tests' output."""
