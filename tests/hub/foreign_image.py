"""Builds the stand-in for an image of jupyter/docker-stacks. It stays on the engine, named by its content, for the next
run. Like an image that operators pull it has no label.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import docker

from hubdeploy.blueprint import contexts
from hubdeploy.blueprint.contexts import Context, ContextFile
from hubdeploy.engine import context_paths
from hubdeploy.settings.declarations import Settings
from hubdeploy.tls import certificates

_FOLDER = Path(__file__).parent / "docker_stacks"
# The single-user server of the hub's version, from the lock that our own image uses.
_LOCKS = ("uv.lock", "requirements.lock")
_BUILD_WITHIN = 1800


def build_docker_stacks(settings: Settings) -> str:
    """The image's reference, for DOCKER_NOTEBOOK_IMAGE; `settings` say what images can be built on and with."""
    bundle = settings.extra_ca_bundle
    authorities = certificates.read_bundle(bundle) if bundle else ()
    ours = settings.root / "base-notebook"
    files = contexts.read(_FOLDER, context_paths, authorities).files
    context = Context((*files, *(ContextFile(name, ours / name) for name in _LOCKS)))
    client = docker.from_env(timeout=_BUILD_WITHIN)
    parent = client.images.get(settings.base_image)
    reference = f"hubdeploy-test/docker-stacks:{context.digest()[:12]}-{parent.short_id.removeprefix('sha256:')}"
    if reference not in [tag for image in client.api.images() for tag in image["RepoTags"] or ()]:
        with tempfile.TemporaryFile() as tar:
            context.write_tar(tar)
            tar.seek(0)
            arguments = {"PARENT": settings.base_image}
            client.images.build(fileobj=tar, custom_context=True, tag=reference, buildargs=arguments, rm=True)
    client.close()
    return reference
