"""The guard: keeps users' servers from one another, from the engine's host and from private networks.

It isolates the ports of the users' network's bridge and loads packet filter rules, in the network namespace of the engine's
host. The hub asks it about each new server.
"""

from __future__ import annotations

import hashlib
import json
from urllib.parse import urlsplit

from hubdeploy.blueprint.component import Component, Facts, mac_address, own_labels
from hubdeploy.blueprint.specs import Consequence, ContainerSpec, Limits, Mount, Severity, VolumeSpec
from hubdeploy.contract.documents import Door, Walls, plain
from hubdeploy.settings.declarations import Settings

ROLE = "guard"
CONSEQUENCE = Consequence(Severity.NOBODY_NOTICES, "the guard restarts, new servers wait for it")
# Where its socket lies, in its own container and in the hub's.
MOUNT = "/run/guard"
# Those that servers may reach, and that reach them.
FREE = ("hub", "proxy")
_MIB = 1024**2


def container(settings: Settings, facts: Facts) -> ContainerSpec:
    walls = Walls(
        bridge=facts.bridges.get(settings.network_name, settings.bridge_name),
        ours=not settings.marks_servers,
        # The deployment's name may have signs that nft does not take.
        table=f"hubdeploy_{hashlib.sha256(settings.name.encode()).hexdigest()[:12]}",
        free=tuple(mac_address(settings, role) for role in FREE),
        allowed=settings.allowed_networks or (),
        allowed_to_free=tuple(dict.fromkeys(_place(url) for url in _asked(settings, facts))),
        door=door(settings),
        of_kinds=dict(sorted((kind.name, kind.networks) for kind in settings.kinds if kind.networks)),
    )
    return ContainerSpec(
        name=f"{settings.name}-{ROLE}",
        role=ROLE,
        image=COMPONENT.image_reference(settings),
        labels=own_labels(settings, ROLE),
        consequence=CONSEQUENCE,
        mounts=(Mount(settings.guard_volume, MOUNT),),
        command=("/usr/bin/python3", "-m", "guard"),
        environment={"WALLS": json.dumps(plain(walls), separators=(",", ":")), "TZ": settings.timezone},
        capabilities=("NET_ADMIN",),
        limits=Limits(memory=128 * _MIB, reserved=32 * _MIB, pids=64),
        network_mode="host",
        read_only=True,
        host_users=True,
        health_command=("/usr/bin/python3", "-m", "guard.question"),
    )


def door(settings: Settings) -> Door | None:
    """The door for proxies in front on other machines; None without any."""
    if not settings.asks_who_passes:
        return None
    return Door(settings.bind_address, settings.listen_port, settings.trusted_proxies or ())


def _asked(settings: Settings, facts: Facts) -> tuple[str, ...]:
    """The URLs that hub and proxy ask, wherever these lead. A login's provider may have them on other hosts than its own."""
    login = (getattr(settings, one) for one in settings.login.asks)
    authority = (settings.acme_server,) if settings.acme_email else ()
    return (*login, *(facts.provider.asked if facts.provider else ()), *authority)


def _place(url: str) -> str:
    """Host and port of a URL."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or (80 if parts.scheme == 'http' else 443)}"


def volumes(settings: Settings) -> tuple[VolumeSpec, ...]:
    """Its socket."""
    return (VolumeSpec(settings.guard_volume, own_labels(settings, "guard-volume"), True, "DOCKER_MACHINE_NAME"),)


COMPONENT = Component(ROLE, "hub", container, volumes=volumes, after_servers=True, tidies=True)
