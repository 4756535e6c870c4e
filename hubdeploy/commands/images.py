"""The tasks for images, and for single parts of a deployment: each plans its own part, shows it and carries it out."""

from __future__ import annotations

from hubdeploy.blueprint import images as wanted
from hubdeploy.commands import image_probe
from hubdeploy.commands.deployment import Deployment
from hubdeploy.plan.images import image_steps
from hubdeploy.plan.steps import Plan


def build(deployment: Deployment, *names: str) -> None:
    """The named images of ours are built with all they stand on; without a name, all that this deployment runs."""
    settings = deployment.settings
    images = names or wanted.needed(settings)
    plan = deployment.draw_images(images, (settings.base_image,))
    if plan.pulls.steps:
        deployment.show_and_do(plan.pulls)
        plan = deployment.draw_images(images, ())
    deployment.show_and_do(plan)


def notebook_image(deployment: Deployment) -> None:
    """The images of users' servers are on the engine: ours are built; any other is pulled, and fits the hub."""
    settings = deployment.settings
    if others := [one for one in settings.server_images if settings.member_of(one) is None]:
        _pull(deployment, *others)
    if settings.notebook_members:
        build(deployment, *settings.notebook_members)


def pull(deployment: Deployment) -> None:
    """The images that are not built here are on the engine, and the images of users' servers among them fit the hub."""
    _pull(deployment, *wanted.foreign(deployment.settings))


def _pull(deployment: Deployment, *references: str) -> None:
    snapshot = deployment.observe(files=False)
    deployment.show_and_do(Plan(image_steps((), references, snapshot, deployment.settings.server_images)))
    image_probe.refuse_misfit(
        deployment.settings, deployment.observe(files=False), deployment.engine, deployment.display.line
    )
