"""A real OpenID Connect provider, nanoidp, with users of its own: a process of this machine."""

from __future__ import annotations

import html
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests
import yaml

from tests.ports import free_port

_STARTS_WITHIN = 60
CLIENT, PASSWORD = "the-hub", "a password for all"
GROUPS = {"ada": ["teachers", "pupils"], "bob": ["pupils"], "eve": ["others"], "ann": [], "mallory": ["others"]}


@dataclass(frozen=True)
class NanoIDP:
    """`url` is where it listens, and `issuer` what it calls itself."""

    issuer: str
    url: str
    folder: Path

    def set_groups(self, groups: Mapping[str, list[str]]) -> None:
        users = {name: {"password": PASSWORD, "groups": listed} for name, listed in groups.items()}
        (self.folder / "users.yaml").write_text(yaml.safe_dump({"config_version": 1, "users": users}))

    def reload(self) -> None:
        requests.post(f"{self.url}/api/config/reload", timeout=30).raise_for_status()


@contextmanager
def running(folder: Path, secret: str, issuer: str | None = None, port: int | None = None) -> Iterator[NanoIDP]:
    """It knows one client, the-hub. `issuer`: where browsers and hub find it, if something stands in front of its port."""
    port = port or free_port()
    url = f"http://127.0.0.1:{port}"
    made = NanoIDP(issuer or url, url, folder)
    client = {"client_id": CLIENT, "client_secret": secret, "description": "a hub"}
    settings = {
        "config_version": 1,
        "server": {"host": "127.0.0.1", "port": port},
        "oauth": {"issuer": made.issuer, "clients": [client]},
    }
    (folder / "settings.yaml").write_text(yaml.safe_dump(settings))
    made.set_groups(GROUPS)
    words = [sys.executable, "-m", "nanoidp", "--config", str(folder), "--strict-config"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(words, cwd=folder, stdout=log, stderr=log)
    try:
        _await(made, process)
        yield made
    finally:
        process.terminate()
        process.wait(timeout=30)


def _await(idp: NanoIDP, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _STARTS_WITHIN
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if requests.get(f"{idp.url}/api/health", timeout=5).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.1)
    raise AssertionError(f"nanoidp does not answer:\n{(idp.folder / 'log').read_text()}")


def log_in(
    hub_url: str, name: str, password: str = PASSWORD, browser: requests.Session | None = None
) -> requests.Response:
    """Fills in the provider's form, and gives the page that a browser ends on."""
    browser = browser or requests.Session()
    form = browser.get(f"{hub_url}/hub/oauth_login?next=/hub/token", timeout=30)
    fields = re.findall(r'<input[^>]*type="hidden"[^>]*name="([^"]+)"[^>]*value="([^"]*)"', form.text)
    hidden = {field: html.unescape(value) for field, value in fields}
    return browser.post(form.url, {**hidden, "username": name, "password": password}, timeout=30)
