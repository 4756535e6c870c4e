"""The two documents that the hub reads and nothing else: its contract (no secret in it) and its secrets. Pure."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from hubdeploy.blueprint import routing
from hubdeploy.contract import labels
from hubdeploy.settings.declarations import Settings

# The port inside the hub's container; users' servers reach it on their network only.
HUB_PORT = 8081
# Paths inside the hub's container.
CONTRACT_PATH = "/srv/jupyterhub/contract.json"
SECRETS_PATH = "/srv/jupyterhub/secrets.json"
PROXY_MOUNT_IN_HUB = "/srv/proxy"
_MIB = 1024**2


def hub_contract(settings: Settings, engine_memory: int) -> dict[str, Any]:
    """Everything that the hub must know; `engine_memory` (bytes) decides the default of USER_MEMORY_LIMIT."""
    return {
        "deployment": settings.name,
        "labels": {labels.DEPLOYMENT: settings.name},
        "hub": {
            "connect_url": f"http://{settings.hub_name}:{HUB_PORT}",
            "port": HUB_PORT,
            "data_dir": settings.data_mount,
        },
        "proxy": {
            "api_url": f"http://{routing.API_ADDRESS}",
            "api_user": routing.API_USER,
            "rules_file": f"{PROXY_MOUNT_IN_HUB}/rules.toml",
        },
        "authenticator": settings.authenticator,
        "github": _github(settings),
        "users": _users(settings),
        "server": server_contract(settings, engine_memory),
    }


def _users(settings: Settings) -> list[dict[str, Any]]:
    """By name: the order of the userlist's lines says nothing, so it must not restart the hub."""
    users = sorted(settings.users, key=lambda user: user.name)
    return [{"name": user.name, "admin": user.admin, "sudo": user.sudo} for user in users]


def server_contract(settings: Settings, engine_memory: int) -> dict[str, Any]:
    """What every user's server is made from, with a fingerprint of it that each server carries as a label."""
    server: dict[str, Any] = {
        "image": settings.notebook_image,
        "ours": settings.notebook_member is not None,
        "command": list(settings.spawn_command),
        "nb_user": settings.nb_user,
        "nb_uid": settings.nb_uid,
        "notebook_dir": settings.notebook_dir,
        "network": settings.network_name,
        "name_template": settings.server_name_template,
        "user_volume": settings.user_volume,
        # Rounded, as an engine in a virtual machine reports a few pages more or less after each start.
        "memory_limit": settings.memory_limit or engine_memory // 2 // (64 * _MIB) * (64 * _MIB),
        "cpu_limit": settings.cpu_limit,
        "pids_limit": settings.pids_limit,
        "grant_sudo": settings.grant_sudo,
    }
    return {**server, "fingerprint": hashlib.sha256(json.dumps(server).encode()).hexdigest()[:16]}


def hub_secrets(settings: Settings, proxy_api_password: str) -> dict[str, str | None]:
    """What the contract must not hold; goes into a file of mode 0600."""
    passwords = settings.uses_passwords
    return {
        "proxy_api_password": proxy_api_password,
        "user_password": settings.user_password if passwords else None,
        "admin_password": settings.admin_password if passwords else None,
        "github_client_secret": None if passwords else settings.github_client_secret,
    }


def to_bytes(document: dict[str, Any]) -> bytes:
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False).encode() + b"\n"


def _github(settings: Settings) -> dict[str, Any] | None:
    if settings.uses_passwords:
        return None
    return {
        "url": settings.github_url,
        "client_id": settings.github_client_id,
        "callback_url": settings.callback_url,
    }
