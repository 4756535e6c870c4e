"""Which images a deployment needs, ours and foreign ones, and what each of ours is built from. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping

from hubdeploy import family
from hubdeploy.blueprint.component import own_labels
from hubdeploy.blueprint.components import COMPONENTS
from hubdeploy.blueprint.contexts import Context
from hubdeploy.blueprint.specs import ImageSpec
from hubdeploy.contract import labels
from hubdeploy.settings.declarations import Settings


def needed(settings: Settings) -> tuple[str, ...]:
    """The images of ours that this deployment runs, without those that they are built on."""
    ours = [one.image for one in COMPONENTS if one.image in family.FAMILY]
    return tuple(dict.fromkeys([*ours, *settings.notebook_members]))


def foreign(settings: Settings) -> tuple[str, ...]:
    """The images that are not built here: BASE_IMAGE, foreign images of components and of users' servers."""
    components = [one.image for one in COMPONENTS if one.image not in family.FAMILY]
    servers = [one for one in settings.server_images if settings.member_of(one) is None]
    return tuple(dict.fromkeys([settings.base_image, *components, *servers]))


def specs(
    settings: Settings, names: Iterable[str], contexts: Mapping[str, Context], base_id: str | None
) -> tuple[ImageSpec, ...]:
    """The named images with all that they are built on, parents first. `base_id` is None while BASE_IMAGE is not there."""
    made: dict[str, ImageSpec] = {}
    for name in family.with_ancestors(names):
        member = family.FAMILY[name]
        parent = settings.base_image if member.parent is None else made[member.parent].content_reference
        parent_content = (
            (base_id or "absent").removeprefix("sha256:") if member.parent is None else made[member.parent].content
        )
        arguments = {argument: str(getattr(settings, field)) for argument, field in member.arguments.items()}
        inputs = {f"{member.folder}/": contexts[name].digest()[:16], "its parent": parent_content[:16], **arguments}
        decides = json.dumps(inputs, sort_keys=True)
        content = hashlib.sha256(decides.encode()).hexdigest()
        made[name] = ImageSpec(
            name=name,
            reference=settings.image_reference(name),
            folder=member.folder,
            parent=parent,
            content=content,
            arguments={"PARENT": parent, **arguments},
            labels={
                **own_labels(settings, f"image:{name}"),
                labels.REPOSITORY: settings.image_reference(name).rpartition(":")[0],
                labels.CONTENT: content,
                labels.INPUTS: decides,
            },
            disk=member.disk,
            context=contexts[name],
        )
    return tuple(made.values())
