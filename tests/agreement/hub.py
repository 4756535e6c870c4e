"""The hub's side of the model: its own modules run on the documents that the deployment puts into it.

JupyterHub's loader executes jupyterhub_config.py; JupyterHub, authenticator, proxy client and spawner are the real
classes. Nothing is started, and what the spawner asks of the engine goes into the wire.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import logging
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from functools import cache
from pathlib import Path
from types import FunctionType, MethodType, ModuleType, SimpleNamespace
from typing import Any
from unittest import mock

import jupyterhub.traitlets
from jupyterhub.app import JupyterHub
from sqlalchemy import make_url
from traitlets.config.loader import PyFileConfigLoader

from hubdeploy.contract import servers
from hubdeploy.contract.documents import (
    CONTRACT_FILE,
    DOCUMENTS,
    SECRETS_FILE,
    SERVER_SECRETS_FILE,
    Contract,
    Servers,
    ServerSecrets,
    from_bytes,
)
from hubdeploy.settings.declarations import Settings
from tests import hub_modules
from tests.agreement import border
from tests.agreement.leaves import Leaves, environment, flat
from tests.agreement.wire import Wire, put

CONFIG = "jupyterhub_config.py"
# As an archive names it.
_SECRETS = SERVER_SECRETS_FILE.lstrip("/")
# Modules of the hub's whose objects stand in the configuration.
_OBJECTS = ("broadcasts", "load", "notices")
# A user who is not on the userlist: an admin added them in the admin page.
ADDED = "added.by-admin"
REMOVED = "left.the-list"
# What is installed does not change while tests run, and looking it up takes longer than all the rest.
_entry_points = cache(jupyterhub.traitlets.entry_points)


@cache
def folder() -> Path:
    """Where the configuration and its documents lie side by side, as in the image."""
    made = border.new_folder()
    shutil.copy(hub_modules.FOLDER / CONFIG, made)
    (made / DOCUMENTS).mkdir()
    return made


class _AtOnce(Executor):
    """Replaces the spawner's threads: nothing here takes time."""

    def submit(self, work: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        done: Future[Any] = Future()
        done.set_result(work(*arguments, **named))
        return done


@cache
def loop() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()


@contextlib.contextmanager
def image_modules() -> Iterator[ModuleType]:
    """Inside, the image's modules can be imported by their names there; gives the spawner's."""
    with hub_modules.importable():
        importlib.import_module("start")
        yield importlib.import_module("spawner")


def render(settings: Settings, wire: Wire, contract: bytes, secrets: bytes) -> Leaves:
    """Leaves of the hub, its login, its proxy client, and of the servers that it makes."""
    (folder() / CONTRACT_FILE).write_bytes(contract)
    (folder() / SECRETS_FILE).write_bytes(secrets)
    with (
        image_modules() as spawner,
        mock.patch.object(spawner.engine, "client", return_value=wire),
        mock.patch.object(spawner.ServerSpawner, "_executor", _AtOnce()),
        # The real ones would keep the wire for later tests in this process.
        mock.patch.object(spawner.ServerSpawner, "_of_thread", threading.local()),
        mock.patch.object(jupyterhub.traitlets, "entry_points", _entry_points),
    ):
        config = PyFileConfigLoader(CONFIG, path=str(folder())).load_config()
        app = importlib.import_module("hub").Hub(config=config, log_level=logging.ERROR)
        app.init_hub()
        login = app.authenticator_class(parent=app)
        return {
            **flat(_configured(config, "JupyterHub", app) | _configured(config, "Hub", app), "hub"),
            "hub.database": make_url(app.db_url).database,
            **flat(_login(config, login), "login"),
            **flat(_configured(config, app.proxy_class.__name__, _proxy(app)), "routes"),
            **_removed(wire, contract),
            **_servers(settings, wire, app, login),
        }


def _configured(config: Any, section: str, instance: Any) -> dict[str, Any]:
    """The traits that the configuration sets, with their values in the real object."""
    values = {name: getattr(instance, name) for name in config[section]}
    return {name: _plain(value) for name, value in sorted(values.items())}


def _plain(value: Any) -> Any:
    """Classes and functions by their names, as the modules are loaded anew each time; an object of the hub's by its class."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if type(value).__module__ in _OBJECTS:
        value = type(value)
    return f"{value.__module__}.{value.__qualname__}" if isinstance(value, type | FunctionType | MethodType) else value


def _login(config: Any, login: Any) -> dict[str, Any]:
    own = type(login).__name__
    values = {name: value for one in ("Authenticator", own) for name, value in _configured(config, one, login).items()}
    derived = ("authorize_url", "token_url", "userdata_url", "scope", "enable_auth_state") if own == "GitHub" else ()
    return {"class": own, **values, **{name: _plain(getattr(login, name)) for name in derived}}


def _proxy(app: JupyterHub) -> Any:
    """The hub's client of the proxy, which has sent nothing yet."""

    async def made() -> Any:
        proxy = app.proxy_class(parent=app, app=app, hub=app.hub, public_url=app.bind_url)
        proxy._start_future.cancel()
        return proxy

    return loop().run_until_complete(made())


def _removed(wire: Wire, contract: bytes) -> Leaves:
    """The labels by which the hub finds the containers of a user who left the userlist."""
    carried = from_bytes(Contract, contract).labels
    importlib.import_module("start").ServerRemover(wire, carried)(REMOVED)
    asked = wire.requests[-1]
    return {"removed.labels": tuple(sorted(json.loads(asked.params["filters"])["label"]))}


def kinds(settings: Settings) -> dict[str, str]:
    """Kind of user -> one of that kind: plain (or added in the admin page), sudo, admin."""
    plain = next((user.name for user in settings.users if not user.sudo and not user.admin), ADDED)
    found = {"plain": plain}
    for user in settings.users:
        if user.sudo:
            found.setdefault("sudo", user.name)
        if user.admin:
            found.setdefault("admin", user.name)
    return found


def _servers(settings: Settings, wire: Wire, app: JupyterHub, login: Any) -> Leaves:
    leaves: Leaves = {}
    for kind, name in kinds(settings).items():
        user = SimpleNamespace(
            name=name, groups=[], escaped_name=name, url=f"/user/{name}/", admin=name in login.admin_users
        )
        server = app.spawner_class(
            config=app.config, user=user, hub=app.hub, authenticator=login, api_token="token",
            oauth_client_id=f"jupyterhub-user-{name}",
        )  # fmt: skip
        server._stages = []
        loop().run_until_complete(server.create_object())
        leaves |= created(wire, f"spawner[{kind}]")
    return leaves


def created(wire: Wire, path: str) -> Leaves:
    """What the filter makes of the last request for a server."""
    made = [one for one in wire.requests if one.is_for("POST", "/containers/create")]
    variables = [line for one in made for line in one.body.get("Env") or () if line.startswith("SERVERS=")]
    made_from = from_bytes(Servers, variables[-1].removeprefix("SERVERS=").encode())
    wish = importlib.import_module("filter.reading").wish(json.dumps(made[-1].body).encode())
    archives = [put(one) for one in wire.requests if one.is_for("PUT", "/containers/", "/archive")]
    given = next(files[_SECRETS] for files in archives if _SECRETS in files)
    body = servers.creation(made_from, wish, mac_in_endpoint=False, secrets=from_bytes(ServerSecrets, given))
    return {f"{path}.Name": made[-1].params["name"], **flat({**body, "Env": environment(body["Env"])}, path)}
