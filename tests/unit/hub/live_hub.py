"""A real JupyterHub with the image's own modules and configuration, as a process that listens on the loopback address.

It has no proxy and no engine, so it answers pages and API, and starts no server.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import requests

from hubdeploy import contract as shared
from hubdeploy.contract.documents import CONTRACT_FILE, DOCUMENTS, SECRETS_FILE, Contract, to_bytes
from tests import hub_modules
from tests.ports import free_port
from tests.unit.hub import hub_image

ADMIN, TOKEN = "kaben", "token-of-the-tests"
_STARTS_WITHIN = 60
_CONFIG = f"""
from jupyterhub.proxy import Proxy

class NoProxy(Proxy):
    should_start = False
    async def add_route(self, routespec, target, data): pass
    async def delete_route(self, routespec): pass
    async def get_all_routes(self): return {{}}
    async def check_routes(self, *args, **kwargs): pass

load_subconfig("jupyterhub_config.py")
c.JupyterHub.proxy_class = NoProxy
# There is no TLS here either.
c.JupyterHub.tornado_settings["xsrf_cookie_kwargs"] = {{}}
c.JupyterHub.api_tokens = {{"{TOKEN}": "{ADMIN}"}}
c.JupyterHub.hub_bind_url = c.JupyterHub.hub_connect_url = "http://127.0.0.1:PORT"
c.Hub.port_for_servers = FOR_SERVERS
"""


@dataclass(frozen=True)
class LiveHub:
    """`url` is for its proxy, `url_for_servers` for users' servers. `folder` holds its documents and its database."""

    url: str
    url_for_servers: str
    folder: Path

    def call(self, method: str, path: str, **arguments: Any) -> requests.Response:
        """A request of the admin's token to the API."""
        headers = {"Authorization": f"token {TOKEN}"}
        return requests.request(method, f"{self.url}/hub/api{path}", headers=headers, timeout=30, **arguments)

    def log_in(self, name: str, password: str, window: requests.Session | None = None) -> requests.Response:
        """The page that a browser gets for the login form."""
        window = window or requests.Session()
        window.get(f"{self.url}/hub/login", timeout=30)
        form = {"username": name, "password": password, "_xsrf": window.cookies["_xsrf"]}
        return window.post(f"{self.url}/hub/login?next=/hub/token", data=form, timeout=30)

    def users(self) -> set[str | None]:
        answer = self.call("GET", "/users")
        answer.raise_for_status()
        return {user["name"] for user in answer.json()}


@contextmanager
def running(
    folder: Path,
    contract: Contract | None = None,
    application: str = "hub.Hub",
    config: str = "",
    within: float = _STARTS_WITHIN,
) -> Iterator[LiveHub]:
    """Started within so many seconds, with its files in `folder`; `application` is JupyterHub's own, or ours; `config` are
    lines of configuration that somebody added."""
    port, for_servers = free_port(), free_port()
    # Side by side, as in the image: modules, templates, the contract, documents.
    shutil.copytree(hub_modules.FOLDER, folder, ignore=shutil.ignore_patterns("secrets"), dirs_exist_ok=True)
    shutil.copytree(Path(shared.__file__).parent, folder / "contract", dirs_exist_ok=True)
    for component in ("guard", "filter"):
        shutil.copytree(hub_modules.FOLDER.parent / component, folder / component, dirs_exist_ok=True)
    contract = contract or hub_image.contract()
    contract = replace(contract, hub=replace(contract.hub, data_dir=str(folder)))
    (folder / DOCUMENTS).mkdir(exist_ok=True)
    (folder / CONTRACT_FILE).write_bytes(to_bytes(contract))
    (folder / SECRETS_FILE).write_bytes(to_bytes(hub_image.secrets(contract.login.name)))
    (folder / "config_of_tests.py").write_text(_configuration(port, for_servers) + config)
    module, _, name = application.rpartition(".")
    code = f"from {module} import {name}; {name}.launch_instance(['--config=config_of_tests.py'])"
    environment = os.environ | {
        "PYTHONPATH": str(folder),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-c", code], cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        hub = LiveHub(f"http://127.0.0.1:{port}", f"http://127.0.0.1:{for_servers}", folder)
        _await(hub, process, within)
        yield hub
    finally:
        process.terminate()
        process.wait(timeout=30)


def _configuration(port: int, for_servers: int) -> str:
    return _CONFIG.replace("PORT", str(port)).replace("FOR_SERVERS", str(for_servers))


def _await(hub: LiveHub, process: subprocess.Popen[bytes], within: float) -> None:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if requests.get(f"{hub.url}/hub/health", timeout=5).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.1)
    raise AssertionError(f"the hub does not answer:\n{(hub.folder / 'log').read_text()}")
