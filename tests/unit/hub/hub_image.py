"""The hub image's own modules and its two documents, for tests: as they lie side by side in the image."""

from __future__ import annotations

import importlib
import json
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from traitlets.config.loader import Config, PyFileConfigLoader

FOLDER = Path(__file__).parents[3] / "jupyterhub"
SECRETS = {
    "proxy_api_password": "proxy-secret",
    "user_password": "user-password",
    "admin_password": "admin-password-admin-password-0123",
    "github_client_secret": "github-secret",
}


def contract(**changes: Any) -> dict[str, Any]:
    """A contract as the deployment renders it; `server` in `changes` is merged, the rest replaces."""
    server = {
        "image": "lab/base-notebook:latest",
        "ours": True,
        "command": ["start-singleuser.sh"],
        "nb_user": "cryptic",
        "nb_uid": 1000,
        "notebook_dir": "/home/cryptic/work",
        "network": "lab-network",
        "name_template": "lab-user-{username}",
        "user_volume": "lab-user-{username}",
        "memory_limit": 2**30,
        "cpu_limit": 1.5,
        "pids_limit": 4096,
        "grant_sudo": False,
        "fingerprint": "0123abcd",
    }
    document = {
        "deployment": "lab",
        "public_url": "https://localhost",
        "labels": {"hubdeploy.deployment": "lab"},
        "hub": {"connect_url": "http://lab-hub:8081", "port": 8081, "data_dir": "/data"},
        "proxy": {
            "api_url": "http://proxy-admin:8099",
            "api_user": "hub",
            "rules_file": "/srv/proxy/rules.toml",
        },
        "authenticator": "shared-password",
        "github": None,
        "users": [user("kaben", admin=True), user("ann"), user("bob", sudo=True)],
        "server": server | changes.pop("server", {}),
    }
    return document | changes


def user(name: str, *, admin: bool = False, sudo: bool = False) -> dict[str, Any]:
    return {"name": name, "admin": admin, "sudo": sudo}


def load(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module of the image, found as it is found there: by PYTHONPATH."""
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module(name)


def load_config(document: dict[str, Any], folder: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """The hub's configuration, loaded by the loader that JupyterHub uses, with the documents beside it."""
    monkeypatch.syspath_prepend(str(FOLDER))
    shutil.copy(FOLDER / "jupyterhub_config.py", folder)
    (folder / "contract.json").write_text(json.dumps(document))
    (folder / "secrets.json").write_text(json.dumps(SECRETS))
    config: Config = PyFileConfigLoader("jupyterhub_config.py", path=str(folder)).load_config()
    return config
