"""The hub image's own modules and its two documents, for tests; they are side by side, as in the image."""

from __future__ import annotations

import dataclasses
import importlib
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

from traitlets.config import Config
from traitlets.config.loader import PyFileConfigLoader

from hubdeploy.contract import labels
from hubdeploy.contract.documents import (
    CONTRACT_FILE,
    DOCUMENTS,
    SECRETS_FILE,
    Contract,
    Hub,
    Login,
    Proxy,
    Secret,
    Secrets,
    ServerKind,
    User,
    Volume,
    to_bytes,
)
from tests import hub_modules

SHARED = Login("shared-password", "jupyterhub.authenticators.shared.SharedPasswordAuthenticator", {})
GITHUB = Login(
    "github",
    "github.GitHub",
    {
        "github_url": "https://github.com",
        "client_id": "the-client",
        "oauth_callback_url": "https://localhost/hub/oauth_callback",
    },
)
ACCOUNTS = Login("accounts", "own_accounts.Accounts", {})
SECRETS = {
    "shared-password": {"user_password": "user-password", "admin_password": "admin-password-admin-password-0123"},
    "github": {"client_secret": "github-secret"},
    "oidc": {"client_secret": "secret-of-the-hub"},
}
API_PASSWORD = "proxy-secret"
_KIND = ServerKind(
    name="default",
    image="lab/base-notebook:latest",
    ours=True,
    network_name="lab-network",
    server_name="lab-user-{username}",
    spawn_command=("start-singleuser.sh",),
    nb_user="cryptic",
    nb_uid=1000,
    notebook_dir="/home/cryptic/work",
    volumes=(Volume("lab-home-{username}", "/home/cryptic"), Volume("lab-user-{username}", "/home/cryptic/work")),
    memory_limit=2**30,
    cpu_limit=1.5,
    pids_limit=4096,
    grant_sudo=False,
)


def contract(login: Login = SHARED, users: tuple[User, ...] = (), **kind: Any) -> Contract:
    """A contract as the deployment draws it; `kind` are fields of the kind of servers with other values."""
    return Contract(
        deployment="lab",
        labels={labels.DEPLOYMENT: "lab"},
        hub=Hub("http://lab-hub:8081", 8081, "/data", front_url="http://hub-front:8082"),
        proxy=Proxy("http://proxy-admin:8099", "hub", "/srv/routes/rules.toml"),
        login=login,
        users=users or (User("ann"), User("bob", sudo=True), User("kaben", admin=True)),
        kinds=(dataclasses.replace(_KIND, **kind),),
    )


def with_two_kinds() -> Contract:
    """One for everybody, and a large one for ann."""
    made = contract()
    small = dataclasses.replace(_KIND, name="small", title="Small")
    large = dataclasses.replace(
        small, name="large", title="Large & <fast>", users=("ann",), memory_limit=2**34, idle_timeout=60
    )
    return dataclasses.replace(made, kinds=(small, large))


def secrets(login: str) -> Secrets:
    traits = {trait: Secret(value) for trait, value in SECRETS.get(login, {}).items()}
    return Secrets(Secret(API_PASSWORD), traits)


def load(name: str) -> ModuleType:
    """A module of the image, imported by its name there."""
    with hub_modules.importable():
        return importlib.import_module(name)


def load_config(document: Contract | bytes, folder: Path) -> Config:
    """The hub's configuration, loaded by the loader that JupyterHub uses, with the documents beside it."""
    shutil.copy(hub_modules.FOLDER / "jupyterhub_config.py", folder)
    login = document.login.name if isinstance(document, Contract) else "shared-password"
    (folder / DOCUMENTS).mkdir(exist_ok=True)
    (folder / CONTRACT_FILE).write_bytes(to_bytes(document) if isinstance(document, Contract) else document)
    (folder / SECRETS_FILE).write_bytes(to_bytes(secrets(login)))
    with hub_modules.importable():
        loaded: Config = PyFileConfigLoader("jupyterhub_config.py", path=str(folder)).load_config()
    return loaded
