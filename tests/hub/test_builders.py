"""Real images by both builders on a newer engine: the same files, the same configuration, and nothing to do for a plan when
the builder changes.

Hub and proxy, as the notebook images take too long to be built twice; whoever changes `engine/build.py` compares those by
hand as well, with `image_contents`.
"""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import docker
import pytest

from tests import nested
from tests.buildx import environ_with_buildx
from tests.hub import image_contents
from tests.hub.clone import Clone

pytestmark = pytest.mark.nested

# Which builder comes first does not matter: neither finds the other's layers in its cache.
BUILDERS = ("classic", "buildx")
IMAGES = ("proxy", "hub")
# The longest silence of a command: one step of an image's build that prints nothing, on a busy machine.
_SILENCE = 1800


@dataclass(frozen=True)
class BuildingClone(Clone):
    """A clone on another engine; `shell` is what its commands find in their environment besides."""

    shell: Mapping[str, str] = field(default_factory=dict)

    @property
    def environ(self) -> dict[str, str]:
        return {**super().environ, **self.shell}

    def build(self, image: str, builder: str) -> str:
        shell = {**self.shell, "BUILDER": builder}
        return dataclasses.replace(self, shell=shell).invoke(f"{image}-image")


@pytest.fixture(scope="module")
def clone(client: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BuildingClone]:
    """Nothing is built in it yet. It goes when the engine goes."""
    tools = environ_with_buildx(client, tmp_path_factory.mktemp("docker"))
    here = docker.from_env(timeout=_SILENCE)
    with nested.second_engine(here, uuid.uuid4().hex) as engine:
        there = docker.DockerClient(base_url=engine.url, timeout=_SILENCE)
        made = BuildingClone.make(tmp_path_factory.mktemp("clone"), there, "boss admin\n")
        nested.send_image(made.settings.base_image, here, there)
        yield dataclasses.replace(made, shell={**tools, "DOCKER_HOST": engine.url})
        there.close()
    here.close()


@pytest.mark.parametrize("image", IMAGES)
def test_both_builders_make_the_same_image(clone: BuildingClone, image: str) -> None:
    reference = clone.settings.image_reference(image)
    made = {}
    for builder in BUILDERS:
        assert "is built" in clone.build(image, builder)
        for other in BUILDERS:
            assert "nothing to do" in clone.build(image, other)
        made[builder] = str(clone.client.images.get(reference).id)
        # Kept under no name of the deployment's, so that the other builder builds it too.
        clone.client.images.get(reference).tag(f"kept/{image}", builder)
        for tag in [tag for tag in clone.image_tags() if tag.startswith(f"{clone.name}/{image}:")]:
            clone.client.images.remove(tag)
    assert made["classic"] != made["buildx"]
    held = {builder: image_contents.files(clone.client, made[builder]) for builder in BUILDERS}
    assert len(held["classic"]) > 5000
    assert image_contents.differences(held["classic"], held["buildx"]) == {}
    said = {builder: image_contents.config(clone.client, made[builder]) for builder in BUILDERS}
    assert said["classic"]["Labels"]
    assert said["classic"] == said["buildx"]
