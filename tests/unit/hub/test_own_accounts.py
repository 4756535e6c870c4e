"""Accounts of the hub's own: login, links and passwords, against a real JupyterHub."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests
from jupyterhub import orm

from hubdeploy.contract.documents import User
from tests.unit.hub import hub_image, live_hub
from tests.unit.hub.live_hub import LiveHub

GOOD, BETTER = "violet-otter-42-lamp", "kelp moss under seven bridges"
NAMES = ("ada", "bob", "cleo", "dora", "eve", "finn", "gus", "hal", "ida", "jo", "kim", "lou")
DAY = 24 * 3600.0


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveHub]:
    users = (User("kaben", admin=True), *(User(name) for name in NAMES))
    contract = hub_image.contract(login=hub_image.ACCOUNTS, users=users)
    with live_hub.running(tmp_path_factory.mktemp("hub"), contract) as started:
        yield started


class Browser:
    """Cookies, and the token of the page that was looked at last. Follows no redirect."""

    def __init__(self, hub: LiveHub) -> None:
        self.hub, self.session = hub, requests.Session()
        self.xsrf = ""

    def get(self, path: str) -> requests.Response:
        answer = self.session.get(f"{self.hub.url}/hub{path}", allow_redirects=False, timeout=30)
        found = re.search(r'name="_xsrf" value="([^"]+)"', answer.text) or re.search(
            r'xsrf_token: "([^"]+)"', answer.text
        )
        self.xsrf = found[1] if found else self.xsrf
        return answer

    def post(self, path: str, **fields: str) -> requests.Response:
        fields = {"_xsrf": self.xsrf, **fields}
        return self.session.post(f"{self.hub.url}/hub{path}", data=fields, allow_redirects=False, timeout=30)

    def log_in(self, name: str, password: str) -> bool:
        self.get("/login")
        return self.post("/login", username=name, password=password).status_code == 302

    def is_in(self) -> bool:
        return self.get("/home").status_code == 200

    def follow(self, token: str, **fields: str) -> dict[str, str]:
        """What the page behind a link learns when it posts the token."""
        self.get("/invite")
        answer: dict[str, str] = self.post("/invite", token=token, **fields).json()
        return answer

    def change(self, old: str, new: str, again: str | None = None) -> requests.Response:
        self.get("/password")
        return self.post("/password", old=old, new=new, again=new if again is None else again)


def invite(hub: LiveHub, name: str) -> str:
    answer = hub.call("POST", f"/users/{name}/invitation")
    assert answer.status_code == 201
    return str(answer.json()["token"])


def with_password(hub: LiveHub, name: str, password: str = GOOD) -> Browser:
    """A browser in which the user chose a password and signed in."""
    browser = Browser(hub)
    assert browser.follow(invite(hub, name), password=password) == {"state": "done", "name": name}
    assert browser.log_in(name, password)
    return browser


def statuses(hub: LiveHub) -> dict[str, Any]:
    found: dict[str, Any] = hub.call("GET", "/invitations").json()
    return found


def stored(hub: LiveHub) -> list[Any]:
    """All rows of the file."""
    with closing(sqlite3.connect(hub.folder / "passwords.sqlite")) as file:
        return [file.execute(f"select * from {table} order by 1").fetchall() for table in ("password", "invitation")]


def test_nobody_gets_in_without_a_password(hub: LiveHub) -> None:
    for name in ("bob", "kaben", "nobody"):
        for password in ("", GOOD, name):
            assert not Browser(hub).log_in(name, password)
    assert statuses(hub)["bob"] == {"password_since": None, "invited_until": None}


def test_a_link_gives_the_person_a_password_and_lets_them_in(hub: LiveHub) -> None:
    browser, token = Browser(hub), invite(hub, "ada")
    assert browser.follow(token) == {"state": "open", "name": "ada"}
    assert not browser.log_in("ada", GOOD)
    assert browser.follow(token, password=GOOD)["state"] == "done"
    assert browser.log_in("ADA", GOOD)
    assert browser.is_in()
    assert not Browser(hub).log_in("ada", GOOD.upper())


def test_links_that_are_no_longer_good_say_why_and_give_nothing(hub: LiveHub) -> None:
    used, expired, older = invite(hub, "cleo"), invite(hub, "dora"), invite(hub, "eve")
    assert Browser(hub).follow(used, password=GOOD)["state"] == "done"
    with closing(sqlite3.connect(hub.folder / "passwords.sqlite")) as file, file:
        digest = hub_image.load("passwords").digest(expired)
        file.execute("update invitation set expires = ? where digest = ?", (time.time() - 1, digest))
    newer = invite(hub, "eve")
    by_hand = invite(hub, "bob")
    assert hub.call("DELETE", "/users/bob/invitation").status_code == 204
    assert hub.call("DELETE", "/users/bob/invitation").status_code == 404
    wanted = {
        used: "used",
        expired: "expired",
        older: "withdrawn",
        by_hand: "withdrawn",
        "unknown": "unknown",
        "": "unknown",
    }
    for token, state in wanted.items():
        assert Browser(hub).follow(token) == {"state": state}
        assert Browser(hub).follow(token, password=BETTER) == {"state": state}
    assert Browser(hub).follow(newer) == {"state": "open", "name": "eve"}
    for name in ("bob", "cleo", "dora", "eve"):
        assert not Browser(hub).log_in(name, BETTER)


def test_whoever_has_a_link_cannot_choose_whose_password_it_is(hub: LiveHub) -> None:
    browser = Browser(hub)
    answer = browser.follow(invite(hub, "finn"), password=GOOD, username="kaben", name="kaben", account="1 ")
    assert answer == {"state": "done", "name": "finn"}
    assert not Browser(hub).log_in("kaben", GOOD)
    assert Browser(hub).log_in("finn", GOOD)


def test_an_easy_password_is_refused_and_the_link_stays_good(hub: LiveHub) -> None:
    token = invite(hub, "jo")
    refused = Browser(hub).follow(token, password="password123")
    assert (refused["state"], "easy to guess" in refused["fault"]) == ("open", True)
    assert Browser(hub).follow(token, password=GOOD)["state"] == "done"


def test_a_changed_password_ends_other_sessions_and_keeps_this_one(hub: LiveHub) -> None:
    here, elsewhere = with_password(hub, "gus"), Browser(hub)
    assert elsewhere.log_in("gus", GOOD)
    for wrong in (
        here.change(BETTER, BETTER),
        here.change(GOOD, BETTER, GOOD),
        here.change(GOOD, "short"),
        here.change(GOOD, GOOD),
    ):
        assert wrong.status_code == 403
        assert 'role="alert"' in wrong.text
    assert elsewhere.is_in()
    assert here.change(GOOD, BETTER).status_code == 303
    assert "is changed" in here.get("/password?changed=1").text
    assert (here.is_in(), elsewhere.is_in()) == (True, False)
    assert (Browser(hub).log_in("gus", GOOD), Browser(hub).log_in("gus", BETTER)) == (False, True)


def test_a_forgotten_password_needs_a_link_which_ends_all_sessions(hub: LiveHub) -> None:
    before = with_password(hub, "hal")
    token = invite(hub, "hal")
    # Until it is used, nothing changes.
    assert before.is_in()
    assert Browser(hub).follow(token, password=BETTER)["state"] == "done"
    assert not before.is_in()
    assert (Browser(hub).log_in("hal", GOOD), Browser(hub).log_in("hal", BETTER)) == (False, True)


def test_whoever_stole_a_link_is_found_out_and_out_by_a_newer_one(hub: LiveHub) -> None:
    token, thief = invite(hub, "lou"), Browser(hub)
    assert thief.follow(token, password=GOOD)["state"] == "done"
    assert thief.log_in("lou", GOOD)
    assert Browser(hub).follow(token, password=BETTER) == {"state": "used"}
    assert statuses(hub)["lou"]["password_since"]
    assert with_password(hub, "lou", BETTER).is_in()
    assert not thief.is_in()
    assert not thief.log_in("lou", GOOD)


def test_a_deleted_user_starts_from_nothing(hub: LiveHub) -> None:
    session, token = with_password(hub, "ida"), invite(hub, "ida")
    assert hub.call("DELETE", "/users/ida").status_code == 204
    assert not session.is_in()
    assert Browser(hub).follow(token) == {"state": "unknown"}
    hub.call("POST", "/users/ida").raise_for_status()
    assert statuses(hub)["ida"] == {"password_since": None, "invited_until": None}
    assert Browser(hub).follow(token) == {"state": "unknown"}
    assert not Browser(hub).log_in("ida", GOOD)
    assert with_password(hub, "ida").is_in()


def test_somebody_whom_an_admin_adds_needs_a_link_too(hub: LiveHub) -> None:
    hub.call("POST", "/users/added").raise_for_status()
    assert not Browser(hub).log_in("added", GOOD)
    assert with_password(hub, "added").is_in()


@pytest.mark.parametrize("xsrf", ["", "of another page"])
def test_nothing_is_changed_without_the_pages_token(hub: LiveHub, xsrf: str) -> None:
    token, browser = invite(hub, "bob"), with_password(hub, "kim")
    admin = with_password(hub, "kaben", BETTER)
    before = stored(hub)
    for one in (browser, admin):
        one.xsrf = xsrf
    assert browser.post("/invite", token=token, password=GOOD).status_code == 403
    assert browser.post("/password", old=GOOD, new=BETTER, again=BETTER).status_code == 403
    for method in ("POST", "DELETE"):
        address = f"{hub.url}/hub/api/users/bob/invitation"
        headers = {"Content-Type": "application/json", "X-XSRFToken": xsrf}
        assert admin.session.request(method, address, headers=headers, timeout=30).status_code == 403
    assert stored(hub) == before
    assert browser.is_in()


def test_no_get_changes_anything(hub: LiveHub) -> None:
    token, browser = invite(hub, "bob"), with_password(hub, "kim")
    before = stored(hub)
    query = f"?token={token}&password={BETTER}&old={GOOD}&new={BETTER}&again={BETTER}&_xsrf={browser.xsrf}"
    for path in ("/invite", "/password", "/api/invitations", "/api/users/bob/invitation"):
        browser.get(f"{path}{query}")
    hub.call("GET", f"/users/bob/invitation{query}")
    assert stored(hub) == before


def test_only_an_admin_sees_and_makes_links(hub: LiveHub) -> None:
    user = with_password(hub, "kim")
    user.get("/home")
    headers = {"X-XSRFToken": user.xsrf, "Content-Type": "application/json"}
    for method, path in (
        ("GET", "/invitations"),
        ("POST", "/users/kim/invitation"),
        ("DELETE", "/users/kim/invitation"),
    ):
        address = f"{hub.url}/hub/api{path}"
        answer = user.session.request(method, address, headers=headers, timeout=30)
        assert (answer.status_code, "token" in answer.text) == (403, False)
    admin = with_password(hub, "kaben", BETTER)
    admin.get("/admin")
    headers["X-XSRFToken"] = admin.xsrf
    made = admin.session.post(f"{hub.url}/hub/api/users/bob/invitation", headers=headers, timeout=30)
    assert (made.status_code, made.headers["Cache-Control"]) == (201, "no-store")


def test_no_token_and_no_password_is_written_down(hub: LiveHub) -> None:
    token = invite(hub, "bob")
    Browser(hub).follow(token)
    Browser(hub).follow(token, password=BETTER)
    Browser(hub).log_in("bob", BETTER)
    hub.call("DELETE", "/users/bob/invitation")
    for file in hub.folder.iterdir():
        if file.is_file() and file.suffix != ".py":
            content = file.read_bytes()
            assert token.encode() not in content, file
            assert BETTER.encode() not in content, file


def test_an_unknown_name_is_verified_as_a_known_one(
    hub: LiveHub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    module = hub_image.load("own_accounts")
    accounts = module.Accounts(data_dir=str(tmp_path))
    verified: list[str] = []

    class Hasher:
        """Counts; verifies as the real one."""

        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

        def verify(self, hash: str, password: str) -> bool:
            verified.append(hash.rpartition("$")[0].rpartition("$")[0])
            return bool(real.verify(hash, password))

    real = module._HASHER
    monkeypatch.setattr(module, "_HASHER", Hasher())
    accounts.passwords.keep("ada", module.hashed(GOOD))
    assert [accounts._is_right(account, "wrong") for account in ("ada", "no password", "")] == [False] * 3
    # Kind and costs of each hash.
    assert len(verified) == 3
    assert len(set(verified)) == 1


def test_the_end_of_sessions_reaches_servers_and_no_program(tmp_path: Path) -> None:
    session = orm.new_session_factory(f"sqlite:///{tmp_path}/jupyterhub.sqlite")()
    session.add(orm.OAuthClient(identifier="server"))
    for name in ("ada", "bob"):
        session.add(orm.User(name=name))
        session.commit()
        for kept in ("here", "elsewhere", None):
            orm.APIToken.new(user=orm.User.find(session, name), client_id="server", session_id=kept)
    ada, cookie = orm.User.find(session, "ada"), orm.User.find(session, "ada").cookie_id
    hub_image.load("accounts").end_sessions(session, ada, keep="here")
    session.commit()
    left = {name: {one.session_id for one in orm.User.find(session, name).api_tokens} for name in ("ada", "bob")}
    assert left == {"ada": {"here", None}, "bob": {"here", "elsewhere", None}}
    assert ada.cookie_id != cookie


def test_the_login_page_says_where_a_first_password_comes_from(hub: LiveHub) -> None:
    assert "from whoever runs this hub" in Browser(hub).get("/login").text


def test_the_page_bar_leads_to_the_password(hub: LiveHub) -> None:
    assert 'href="/hub/password"' in with_password(hub, "kim").get("/home").text
