"""A throw-away deployment, for a drill or a canary: made like the real one, with a name and a login of its own, and cut off.
Pure.
"""

from __future__ import annotations

import dataclasses

from hubdeploy.blueprint import routing
from hubdeploy.blueprint.specs import Blueprint
from hubdeploy.contract.documents import User
from hubdeploy.settings import generated, volume_names
from hubdeploy.settings.declarations import Settings, defaults

# What images and users' servers follow from. All else is its own, or derived.
_CARRIED = (
    "root", "image_namespace", "image_tag", "base_image", "nb_user", "nb_uid", "notebook_dir", "notebook_image", "spawn_command",
    "timezone", "python_distribution", "builder", "extra_ca_bundle", "memory_limit", "cpu_limit", "pids_limit", "data_mount",
)  # fmt: skip
# What a deployment throws away; each has a name of its own.
KINDS = DRILL, CANARY = ("drill", "canary")


def name(deployment: str, kind: str) -> str:
    """With a sign that DOCKER_MACHINE_NAME refuses: all that has this name is removed, and is nobody else's."""
    return f"{deployment}_{kind}"


def settings_of(settings: Settings, kind: str, *users: str) -> Settings:
    """The settings of the throw-away deployment of this kind: `users` alone may log in, with a password that nobody knows
    beforehand. A canary's users may have all kinds of servers, and its images have a tag of its own, as they are nobody's yet."""
    carried = {field: getattr(settings, field) for field in _CARRIED}
    # It is there for a minute, must not wait until users leave, also for a card, and reaches nothing outside.
    kinds = tuple(dataclasses.replace(one, guarantee=None, gpus=0, secrets=(), networks=()) for one in settings.kinds)
    if kind == CANARY:
        carried["image_tag"] = name(settings.name, kind)
        kinds = tuple(
            dataclasses.replace(
                one, users=None, groups=None, provider_groups=None, image=_portable(settings, settings.image_of(one))
            )
            for one in kinds
        )
    if settings.home_volume == volume_names.NONE:
        carried["home_volume"] = volume_names.NONE
    made = defaults(
        **carried,
        name=name(settings.name, kind),
        authenticator="shared-password",
        http_port=None,
        users=tuple(map(User, users)),
        kinds=kinds,
        memory_guarantee=None,
    )
    image = made.image_named(_portable(settings, settings.notebook_image))
    return generated.completed(dataclasses.replace(made, notebook_image=image))[0]


def _portable(settings: Settings, reference: str) -> str:
    """An image of ours by its name in the family, which has another tag elsewhere."""
    return settings.member_of(reference) or reference


def cut_off(blueprint: Blueprint) -> Blueprint:
    """The blueprint without a way out of its networks, and without a port that others reach."""
    networks = tuple(dataclasses.replace(one, internal=True) for one in blueprint.networks)
    containers = tuple(dataclasses.replace(one, published=()) for one in blueprint.containers)
    return dataclasses.replace(blueprint, networks=networks, containers=containers)


def visitor_name(deployment: str) -> str:
    """The container in which a user works in it, by the throw-away deployment's own name."""
    return f"{deployment}-job-visit"


def address(settings: Settings) -> str:
    """Where a container on the users' network finds the proxy of such a deployment."""
    return f"https://{settings.proxy_name}:{routing.HTTPS_PORT}"
