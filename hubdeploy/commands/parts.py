"""The tasks for single parts of a deployment: networks, volumes, a certificate. Each plans its own part and no more."""

from __future__ import annotations

from hubdeploy.blueprint import draw
from hubdeploy.commands.deployment import Deployment
from hubdeploy.errors import DeployError
from hubdeploy.plan import local
from hubdeploy.plan.reconcile import network_steps, volume_steps
from hubdeploy.plan.steps import Plan
from hubdeploy.tls import selection


def networks(deployment: Deployment) -> None:
    """The networks that are missing are created."""
    settings, snapshot = deployment.settings, deployment.observe(files=False)
    deployment.show_and_do(Plan(network_steps(draw.networks(settings), snapshot, settings.name)))


def volumes(deployment: Deployment) -> None:
    """The volumes that are missing are created."""
    snapshot = deployment.observe(files=False)
    deployment.show_and_do(Plan(volume_steps(draw.volumes(deployment.settings), snapshot)))


def self_signed_certificate(deployment: Deployment) -> None:
    """A self-made certificate, new in any case; a brought one is not overwritten."""
    settings = deployment.settings
    pair = selection.from_files(settings)
    if pair is not None and pair.made_from is None:
        raise DeployError(
            wanted="no certificate, or a self-made one, to replace",
            found=f"somebody brought {settings.certificate_path.name}",
            fix="delete it and its key first if you want a self-made pair",
        )
    deployment.show_and_do(Plan(local.certificate_steps(settings, *selection.make(settings, "asked for"))))
