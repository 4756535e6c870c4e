"""Draws the documents that the hub reads: its contract, its secrets, and what its pages show. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from hubdeploy.blueprint import folders, held_documents, routing
from hubdeploy.blueprint.component import Facts
from hubdeploy.blueprint.provider import Provider
from hubdeploy.contract import labels
from hubdeploy.contract.documents import (
    CONTRACT_FILE,
    DOCUMENTS,
    LOGO_FILE,
    PAGES_FILE,
    SECRETS_FILE,
    Contract,
    Hub,
    Login,
    Pages,
    Proxy,
    Secret,
    Secrets,
    ServerKind,
    ServerSecrets,
    Volume,
)
from hubdeploy.settings.declarations import Settings
from hubdeploy.settings.kinds import ONLY, Kind

# The port inside the hub's container; users' servers reach it on their network only.
HUB_PORT = 8081
# Its name on the network that only hub and proxy share, and the port for the proxy alone.
HUB_FRONT, HUB_FRONT_PORT = "hub-front", 8082
# The hub's modules in its container, and its documents in a volume below them.
HUB_DIRECTORY = "/srv/jupyterhub"
DOCUMENTS_MOUNT = f"{HUB_DIRECTORY}/{DOCUMENTS}"
CONTRACT_PATH, SECRETS_PATH = f"{HUB_DIRECTORY}/{CONTRACT_FILE}", f"{HUB_DIRECTORY}/{SECRETS_FILE}"
PAGES_PATH, LOGO_PATH = f"{HUB_DIRECTORY}/{PAGES_FILE}", f"{HUB_DIRECTORY}/{LOGO_FILE}"
# Where the hub mounts the volume of routes, which the proxy reads.
ROUTES_MOUNT_IN_HUB = "/srv/routes"
# Where the hub mounts the volume whose room it keeps for itself.
RESERVE_MOUNT = "/srv/reserve"
_MIB = 1024**2


def contract(settings: Settings, engine_memory: int, provider: Provider | None = None) -> Contract:
    """Everything that the hub must know; `engine_memory` (bytes) decides the default of USER_MEMORY_LIMIT, `provider` is the
    login's."""
    login = settings.login
    return Contract(
        deployment=settings.name,
        labels={labels.DEPLOYMENT: settings.name},
        hub=Hub(
            connect_url=f"http://{settings.hub_name}:{HUB_PORT}",
            port=HUB_PORT,
            data_dir=settings.data_mount,
            base_url=settings.hub_path,
            front_url=f"http://{HUB_FRONT}:{HUB_FRONT_PORT}",
            reserve=RESERVE_MOUNT,
            memory=settings.host_memory,
        ),
        proxy=Proxy(
            api_url=f"http://{routing.API_ADDRESS}",
            api_user=routing.API_USER,
            rules_file=f"{ROUTES_MOUNT_IN_HUB}/rules.toml",
        ),
        login=Login(
            name=settings.authenticator,
            authenticator_class=login.authenticator_class,
            traits={**_set(settings, login.traits), **(vars(provider) if provider else {})},
        ),
        # By name: the order of the userlist's lines says nothing, so it must not restart the hub.
        users=tuple(sorted(settings.users, key=lambda user: user.name)),
        kinds=tuple(server_kind(settings, engine_memory, one) for one in settings.server_kinds),
        folders=tuple(folders.folder(settings, one) for one in settings.folders),
        cards=settings.cards or (),
    )


def server_kind(settings: Settings, engine_memory: int, kind: Kind = ONLY) -> ServerKind:
    """What servers of a kind are made from. A field that Settings has under the same name needs no line here."""
    # Rounded, as an engine in a virtual machine reports a few pages more or less after each start.
    half = engine_memory // 2 // (64 * _MIB) * (64 * _MIB)
    derived: dict[str, Any] = {
        "name": kind.name,
        "title": kind.title,
        "description": kind.description,
        "users": kind.takers(settings.users),
        "provider_groups": kind.provider_groups or (),
        "image": settings.image_of(kind),
        "ours": settings.member_of(settings.image_of(kind)) is not None,
        "spawn_command": kind.taking("command", settings.spawn_command),
        "server_name": settings.server_name_template,
        "volumes": user_volumes(settings),
        "memory_limit": kind.taking("memory", settings.memory_limit) or half,
        "memory_guarantee": kind.taking("guarantee", settings.memory_guarantee),
        "cpu_limit": kind.taking("cpus", settings.cpu_limit),
        "idle_timeout": kind.taking("idle_timeout", settings.idle_timeout),
        "max_age": kind.taking("max_age", settings.max_age),
        "environment": dict(kind.environment),
        "secrets": kind.secrets,
        "networks": kind.networks,
        "gpus": kind.gpus,
    }
    same = {one.name: getattr(settings, one.name) for one in fields(ServerKind) if one.name not in derived}
    return ServerKind(**derived, **same)


def user_volumes(settings: Settings) -> tuple[Volume, ...]:
    """The volumes of each user: the home, unless it is not kept, then the notebook directory in it."""
    homes = [Volume(template, settings.home) for template in settings.volume_templates[:-1]]
    return (*homes, Volume(settings.user_volume, settings.notebook_dir))


def secrets(settings: Settings, proxy_api_password: Secret[str]) -> Secrets:
    """What the contract must not hold; goes into a file of mode 0600."""
    return Secrets(proxy_api_password, _set(settings, settings.login.secret_traits))


def server_secrets(settings: Settings) -> ServerSecrets:
    """What stands in the environment of a kind's servers, and in no document of the hub."""
    given = settings.server_secrets
    return ServerSecrets(
        {one.name: {name: given[name] for name in one.secrets} for one in settings.kinds if one.secrets}
    )


def _set(settings: Settings, traits: Mapping[str, str]) -> dict[str, Any]:
    """Trait -> value, of the traits whose field is set."""
    given = {trait: getattr(settings, field) for trait, field in traits.items()}
    return {trait: value for trait, value in given.items() if value is not None}


def pages(settings: Settings) -> Pages:
    """What the hub's pages show beside JupyterHub's own words."""
    return Pages(settings.hub_title, settings.hub_announcement, settings.hub_help_url)


def proxy_api_password(facts: Facts) -> Secret[str]:
    """The password between hub and proxy: the one that the hub has, or a new one where there is no hub to disagree."""
    held = held_documents.secrets(held_documents.file(facts.held.get("hub", {}), SECRETS_PATH))
    return held.proxy_api_password if held else facts.new_password
