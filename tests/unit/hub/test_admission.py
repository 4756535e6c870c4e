"""Who may enter, and what is recorded of it: a real JupyterHub, asked as a browser asks it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.unit.hub import hub_image, live_hub
from tests.unit.hub.live_hub import ADMIN, LiveHub

PASSWORD = hub_image.SECRETS["shared-password"]["user_password"]
ADMINS_PASSWORD = hub_image.SECRETS["shared-password"]["admin_password"]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveHub]:
    with live_hub.running(tmp_path_factory.mktemp("hub")) as started:
        yield started


def recorded(hub: LiveHub) -> list[tuple[str, str, str]]:
    return [(one.event, one.user, one.by) for one in hub_image.load("audit").entries(hub.folder)]


def test_a_class_behind_one_address_enters(hub: LiveHub) -> None:
    assert [hub.log_in("ann", PASSWORD).status_code for _ in range(100)] == [200] * 100


def test_failures_are_paused_and_others_go_on(hub: LiveHub) -> None:
    assert [hub.log_in("bob", "wrong password").status_code for _ in range(5)] == [403] * 5
    for password in ("wrong password", PASSWORD):
        refused = hub.log_in("bob", password)
        assert (refused.status_code, int(refused.headers["Retry-After"]) > 0) == (429, True)
        assert "Too many failed logins. Try again in" in refused.text
        assert 'name="username"' in refused.text
    assert hub.log_in("ann", PASSWORD).status_code == 200
    assert {("login failed", "bob", ""), ("login paused", "bob", ""), ("login", "ann", "")} <= {*recorded(hub)}


def test_a_guesser_on_a_users_server_cannot_pass_for_many_addresses(hub: LiveHub) -> None:
    for number, url, found in ((1, hub.url, {403}), (2, hub.url_for_servers, {403, 429})):
        statuses = set()
        for last in range(7):
            window = requests.Session()
            window.headers["X-Forwarded-For"] = window.headers["X-Real-Ip"] = f"192.0.{number}.{last}"
            window.get(f"{url}/hub/login", timeout=30)
            form = {"username": "kaben", "password": "wrong password", "_xsrf": window.cookies["_xsrf"]}
            statuses.add(window.post(f"{url}/hub/login", data=form, timeout=30).status_code)
        assert statuses == found
    addresses = {one.address for one in hub_image.load("audit").entries(hub.folder) if one.user == "kaben"}
    assert addresses == {f"192.0.1.{last}" for last in range(7)} | {"127.0.0.1"}


def test_a_name_that_nobody_put_on_record_is_never_written_down(hub: LiveHub) -> None:
    typed = "my-secret-password"
    assert hub.log_in(typed, PASSWORD).status_code == 403
    assert ("login failed", "", "") in recorded(hub)
    assert typed.encode() not in (hub.folder / "audit.sqlite").read_bytes()


def test_to_be_known_to_the_hub_lets_nobody_in(tmp_path: Path) -> None:
    """As a database of a hub is, into which a group had let people."""
    with live_hub.running(tmp_path):
        pass
    with sqlite3.connect(tmp_path / "jupyterhub.sqlite") as file:
        file.execute("insert into users (name, admin, cookie_id) values ('zoe', 0, 'x')")
    with live_hub.running(tmp_path) as hub:
        assert "zoe" in hub.users()
        assert hub.log_in("zoe", PASSWORD).status_code == 403


def test_whom_an_admin_adds_may_enter_also_after_a_restart_until_deleted(tmp_path: Path) -> None:
    with live_hub.running(tmp_path) as hub:
        hub.call("POST", "/users", json={"usernames": ["added", "gone"]}).raise_for_status()
        hub.call("POST", "/users/before").raise_for_status()
        hub.call("PATCH", "/users/before", json={"name": "renamed", "admin": True}).raise_for_status()
        hub.call("DELETE", "/users/gone").raise_for_status()
    with live_hub.running(tmp_path) as hub:
        assert [hub.log_in(name, PASSWORD).status_code for name in ("added", "gone", "before")] == [200, 403, 403]
        assert [hub.log_in("renamed", one).status_code for one in (PASSWORD, ADMINS_PASSWORD)] == [403, 200]
        assert hub.call("GET", "/users/renamed").json()["admin"] is True
        assert [one for one in recorded(hub) if one[2] == ADMIN] == [
            ("user added", "added", ADMIN),
            ("user added", "gone", ADMIN),
            ("user added", "before", ADMIN),
            ("user renamed to renamed", "before", ADMIN),
            ("made an admin", "renamed", ADMIN),
            ("user deleted", "gone", ADMIN),
        ]


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("c.SharedPasswordAuthenticator.allow_all = True", "allow_all"),
        ("c.Authenticator.allow_existing_users = True", "allow_existing_users"),
        ("c.Authenticator.any_allow_confg = True", "Authenticator.any_allow_confg"),
        ("c.SharedPasswordAuthenticator.allowed_user = {'ann'}", "SharedPasswordAuthenticator.allowed_user"),
    ],
)
def test_a_hub_that_would_let_in_anybody_does_not_start(tmp_path: Path, line: str, named: str) -> None:
    with (
        pytest.raises(AssertionError, match=f"the hub does not start: {named} would"),
        live_hub.running(tmp_path, config=line),
    ):
        pass
