"""The filter: holds the engine's socket, and gives the hub the few requests that users' servers need, and the clock its jobs.

It makes servers and jobs from documents of its own, which neither can write. It has no network.
"""

from __future__ import annotations

import json

from hubdeploy.blueprint import documents, jobs
from hubdeploy.blueprint.component import Component, Facts, own_labels
from hubdeploy.blueprint.specs import Consequence, ContainerSpec, Limits, Mount, Severity, VolumeSpec
from hubdeploy.contract.documents import SERVER_SECRETS_FILE, plain
from hubdeploy.errors import DeployError
from hubdeploy.settings.declarations import Settings

ROLE = "filter"
CONSEQUENCE = Consequence(Severity.NOBODY_NOTICES, "the filter restarts, new servers wait for it")
ENGINE_SOCKET = "/var/run/docker.sock"
# /var/run is a link to /run in every base. An engine with the fix of GHSA-vp62-88p7-qqf5 and without moby's #52655 (29.5.1,
# Debian's 28.5.2) copies no file into or out of a container that has a mount below a link.
ENGINE_SOCKET_INSIDE = "/run/docker.sock"
# Where its own socket lies, in its own container and in the hub's.
MOUNT = "/run/filter"
# The same for the clock, which may ask for jobs. The hub does not mount it.
MOUNT_FOR_JOBS = "/run/clock"
# Its own volume.
DIRECTORY = SERVER_SECRETS_FILE.rpartition("/")[0]
# Its user where the socket's group is known; of no other program.
UID = 64000
_MIB = 1024**2
# Bytes: Linux passes a program no longer variable than 128 KiB, with its name.
_LONGEST = 130_000


def container(settings: Settings, facts: Facts) -> ContainerSpec:
    """Raises DeployError where the document has no room in a variable."""
    servers = json.dumps(
        plain(documents.contract(settings, facts.engine_memory).servers), separators=(",", ":"), sort_keys=True
    )
    if len(servers.encode()) > _LONGEST:
        raise DeployError(
            wanted=f"kinds of servers, shared folders and names in them of {_LONGEST} bytes at most, as the filter gets them",
            found=f"{len(servers.encode())} bytes",
            fix="name groups of the login (provider_groups) in servers.yml instead of groups of userlist, or fewer folders",
        )
    return ContainerSpec(
        name=f"{settings.name}-{ROLE}",
        role=ROLE,
        image=COMPONENT.image_reference(settings),
        labels=own_labels(settings, ROLE),
        consequence=CONSEQUENCE,
        mounts=(
            Mount(ENGINE_SOCKET, ENGINE_SOCKET_INSIDE, kind="bind"),
            Mount(settings.filter_volume, MOUNT),
            Mount(settings.clock_volume, MOUNT_FOR_JOBS),
            Mount(settings.server_secrets_volume, DIRECTORY),
        ),
        files={SERVER_SECRETS_FILE: documents.server_secrets(settings)},
        command=("/opt/hub/bin/python", "-m", "filter"),
        environment={
            "SERVERS": servers,
            "JOBS": jobs.as_variable(settings, facts.kept),
            "TZ": settings.timezone,
        },
        user=None if facts.socket_group is None else f"{UID}:{facts.socket_group}",
        limits=Limits(memory=256 * _MIB, reserved=64 * _MIB, pids=64),
        network_mode="none",
        read_only=True,
        host_users=True,
        health_command=("/usr/bin/python3", "-m", "filter.question"),
    )


def volumes(settings: Settings) -> tuple[VolumeSpec, ...]:
    """Its socket; the secrets of users' servers."""
    named = {settings.filter_volume: "filter-volume", settings.server_secrets_volume: "server-secrets-volume"}
    return tuple(
        VolumeSpec(name, own_labels(settings, role), True, "DOCKER_MACHINE_NAME") for name, role in named.items()
    )


COMPONENT = Component(ROLE, "hub", container, volumes=volumes, directory=DIRECTORY, tells=True, tidies=True)
