"""Login by a real OpenID Connect provider, nanoidp, from the first page to the hub's home page."""

from __future__ import annotations

import html
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import requests
import yaml

from hubdeploy.blueprint import documents
from hubdeploy.commands import discovery
from hubdeploy.contract.documents import Secret, User
from hubdeploy.settings.declarations import defaults
from tests.ports import free_port
from tests.unit.hub import hub_image, live_hub
from tests.unit.hub.live_hub import ADMIN, LiveHub

_STARTS_WITHIN = 60
PASSWORD = "a password for all"
GROUPS = {"ada": ["teachers", "pupils"], "bob": ["pupils"], "eve": ["others"], "ann": [], "mallory": ["others"]}


@dataclass(frozen=True)
class NanoIDP:
    issuer: str
    folder: Path

    def set_groups(self, groups: Mapping[str, list[str]]) -> None:
        users = {name: {"password": PASSWORD, "groups": listed} for name, listed in groups.items()}
        (self.folder / "users.yaml").write_text(yaml.safe_dump({"config_version": 1, "users": users}))

    def reload(self) -> None:
        requests.post(f"{self.issuer}/api/config/reload", timeout=30).raise_for_status()


@contextmanager
def running(folder: Path) -> Iterator[NanoIDP]:
    port = free_port()
    made = NanoIDP(f"http://127.0.0.1:{port}", folder)
    client = {
        "client_id": "the-hub",
        "client_secret": hub_image.SECRETS["oidc"]["client_secret"],
        "description": "a hub",
    }
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
            if requests.get(f"{idp.issuer}/api/health", timeout=5).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.1)
    raise AssertionError(f"nanoidp does not answer:\n{(idp.folder / 'log').read_text()}")


@pytest.fixture(scope="module")
def idp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NanoIDP]:
    with running(tmp_path_factory.mktemp("idp")) as started:
        yield started


@pytest.fixture(scope="module")
def hub(idp: NanoIDP, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveHub]:
    """Its contract is drawn as `up` draws it, but for its own address, which the test's hub finds out by itself."""
    settings = defaults(
        oidc_issuer=idp.issuer, oidc_client_id="the-hub", oidc_client_secret=Secret("secret-of-the-hub"),
        allowed_groups=("pupils",), admin_groups=("teachers",),
    )  # fmt: skip
    found, about = discovery.find(settings, None)
    assert found, about
    login = documents.contract(settings, 2**33, found).login
    login = replace(login, traits={**login.traits, "oauth_callback_url": ""})
    contract = hub_image.contract(login, (User("ann"), User(ADMIN, admin=True)))
    with live_hub.running(tmp_path_factory.mktemp("hub"), contract) as started:
        yield started


def log_in(hub: LiveHub, name: str, password: str = PASSWORD) -> requests.Response:
    """Fills in the provider's form, and gives the page that a browser ends on."""
    browser = requests.Session()
    form = browser.get(f"{hub.url}/hub/oauth_login?next=/hub/token", timeout=30)
    fields = re.findall(r'<input[^>]*type="hidden"[^>]*name="([^"]+)"[^>]*value="([^"]*)"', form.text)
    hidden = {field: html.unescape(value) for field, value in fields}
    return browser.post(form.url, {**hidden, "username": name, "password": password}, timeout=30)


def test_a_member_of_the_group_enters(hub: LiveHub) -> None:
    answer = log_in(hub, "bob")
    assert (answer.status_code, answer.url) == (200, f"{hub.url}/hub/token")


def test_a_listed_user_enters_without_a_group(hub: LiveHub) -> None:
    assert log_in(hub, "ann").url == f"{hub.url}/hub/token"
    assert hub.call("GET", "/users/ann").json()["admin"] is False


def test_a_member_of_the_admins_group_is_an_admin(hub: LiveHub) -> None:
    assert log_in(hub, "ada").status_code == 200
    assert hub.call("GET", "/users/ada").json()["admin"] is True


def test_who_is_in_neither_is_refused_in_words(hub: LiveHub) -> None:
    answer = log_in(hub, "eve")
    assert answer.status_code == 403
    assert "eve is neither on this hub&#39;s list of users nor in a group that may use it" in answer.text


def test_a_wrong_password_stays_at_the_provider(hub: LiveHub, idp: NanoIDP) -> None:
    assert log_in(hub, "bob", "another password").url.startswith(idp.issuer)


def test_who_left_the_groups_is_out_and_no_admin_at_the_next_login(hub: LiveHub, idp: NanoIDP) -> None:
    for name in ("ada", "bob"):
        assert log_in(hub, name).status_code == 200
    idp.set_groups({**GROUPS, "ada": ["pupils"], "bob": ["others"]})
    idp.reload()
    try:
        assert log_in(hub, "bob").status_code == 403
        assert log_in(hub, "ada").status_code == 200
        assert hub.call("GET", "/users/ada").json()["admin"] is False
    finally:
        idp.set_groups(GROUPS)
        idp.reload()


def test_a_key_that_the_provider_renews_is_found(hub: LiveHub, idp: NanoIDP) -> None:
    requests.post(f"{idp.issuer}/api/keys/rotate", timeout=30).raise_for_status()
    assert log_in(hub, "ann").status_code == 200
