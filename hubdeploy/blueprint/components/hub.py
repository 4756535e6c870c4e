"""The hub: JupyterHub, which logs users in, and starts their servers through the filter."""

from __future__ import annotations

from hubdeploy.blueprint import documents
from hubdeploy.blueprint.component import Component, Facts, mac_address, own_labels
from hubdeploy.blueprint.components import filter, guard
from hubdeploy.blueprint.specs import (
    Attachment,
    Consequence,
    ContainerSpec,
    Limits,
    LiveFile,
    Mount,
    NetworkSpec,
    Severity,
    VolumeSpec,
)
from hubdeploy.contract import backups
from hubdeploy.contract.documents import Secret, to_bytes
from hubdeploy.settings.declarations import Settings

ROLE = "hub"
# Forty users' hub takes 200 MiB.
LIMITS = Limits(memory=1024**3, reserved=256 * 1024**2, pids=1024)
CONSEQUENCE = Consequence(Severity.NOBODY_NOTICES, "the hub restarts, sessions go on")


def container(settings: Settings, facts: Facts) -> ContainerSpec:
    return ContainerSpec(
        name=settings.hub_name,
        role=ROLE,
        image=COMPONENT.image_reference(settings),
        labels=own_labels(settings, ROLE),
        consequence=CONSEQUENCE,
        mounts=(
            Mount(settings.data_volume, settings.data_mount),
            Mount(settings.hub_volume, documents.DOCUMENTS_MOUNT),
            Mount(settings.routes_volume, documents.ROUTES_MOUNT_IN_HUB),
            Mount(settings.reserve_volume, documents.RESERVE_MOUNT),
            Mount(settings.filter_volume, filter.MOUNT, read_only=True),
            Mount(settings.guard_volume, guard.MOUNT, read_only=True),
        ),
        attachments=(
            Attachment(settings.network_name, (settings.hub_name,), fixed=True, mac=mac_address(settings, ROLE)),
            Attachment(settings.api_network_name, (documents.HUB_FRONT,)),
        ),
        files={
            documents.CONTRACT_PATH: documents.contract(settings, facts.engine_memory, facts.provider),
            documents.SECRETS_PATH: documents.secrets(settings, documents.proxy_api_password(facts)),
        },
        environment={"TZ": settings.timezone},
        limits=LIMITS,
        read_only=True,
        live_files={
            documents.PAGES_PATH: LiveFile(Secret(to_bytes(documents.pages(settings))), "what the hub's pages show"),
            documents.LOGO_PATH: LiveFile(Secret(facts.logo), "the hub's logo"),
        },
    )


def networks(settings: Settings) -> tuple[NetworkSpec, ...]:
    """The network of the hub and the users' servers."""
    owned = not settings.marks_servers
    carried = own_labels(settings, "network")
    return (NetworkSpec(settings.network_name, carried, owned, "DOCKER_NETWORK_NAME", bridge=settings.bridge_name),)


def volumes(settings: Settings) -> tuple[VolumeSpec, ...]:
    """The hub's database and cookie secret; its documents, and the files that it serves to browsers; the states that it can go
    back to, which it does not mount itself; room on the disk that nobody else can take."""
    owned = not settings.is_set("DATA_VOLUME_HOST")
    labels = own_labels(settings, "data-volume")
    return (
        VolumeSpec(settings.data_volume, labels, owned, "DATA_VOLUME_HOST", remembers_servers=True, kept=backups.DATA),
        VolumeSpec(settings.hub_volume, own_labels(settings, "hub-volume"), True, "DOCKER_MACHINE_NAME"),
        VolumeSpec(settings.states_volume, own_labels(settings, "states-volume"), True, "DOCKER_MACHINE_NAME"),
        VolumeSpec(settings.reserve_volume, own_labels(settings, "reserve-volume"), True, "DOCKER_MACHINE_NAME"),
    )


COMPONENT = Component(ROLE, ROLE, container, networks, volumes, documents.HUB_DIRECTORY)
