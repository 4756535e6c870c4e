"""The clock: has done what must happen between two calls of `up`. It asks the filter for jobs by name, and can do no more."""

from __future__ import annotations

from hubdeploy.blueprint import jobs
from hubdeploy.blueprint.component import Component, Facts, own_labels
from hubdeploy.blueprint.components import filter
from hubdeploy.blueprint.specs import Consequence, ContainerSpec, Limits, Mount, Severity, VolumeSpec
from hubdeploy.settings.declarations import Settings

ROLE = "clock"
CONSEQUENCE = Consequence(Severity.NOBODY_NOTICES, "the clock restarts")
# Of no other program.
UID = 64001
_MIB = 1024**2


def container(settings: Settings, facts: Facts) -> ContainerSpec:
    return ContainerSpec(
        name=f"{settings.name}-{ROLE}",
        role=ROLE,
        image=COMPONENT.image_reference(settings),
        labels=own_labels(settings, ROLE),
        consequence=CONSEQUENCE,
        mounts=(Mount(settings.clock_volume, filter.MOUNT_FOR_JOBS, read_only=True),),
        command=(jobs.PYTHON, "-m", "clock"),
        environment={"JOBS": jobs.as_variable(settings, facts.kept), "TZ": settings.timezone},
        user=f"{UID}:{UID}",
        limits=Limits(memory=64 * _MIB, reserved=16 * _MIB, pids=64),
        network_mode="none",
        read_only=True,
        health_command=(jobs.PYTHON, "-m", "clock.question"),
    )


def volumes(settings: Settings) -> tuple[VolumeSpec, ...]:
    """The filter's socket for it; backups, and the documents that they need."""
    named = {
        settings.clock_volume: "clock-volume",
        settings.backup_volume: "backup-volume",
        settings.backup_documents_volume: "backup-documents-volume",
    }
    return tuple(
        VolumeSpec(name, own_labels(settings, role), True, "DOCKER_MACHINE_NAME") for name, role in named.items()
    )


COMPONENT = Component(ROLE, "hub", container, volumes=volumes, tells=True)
