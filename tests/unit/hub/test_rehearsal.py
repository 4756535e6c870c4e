"""How simulated people log in, and that nobody else can: a real JupyterHub of each kind of login, asked as a browser asks it."""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from hubdeploy.contract import rehearsals
from hubdeploy.contract.documents import Login
from tests.unit.hub import hub_image, live_hub
from tests.unit.hub.live_hub import ADMIN, LiveHub

passes = hub_image.load("passes")
PASSWORD = hub_image.SECRETS["shared-password"]["user_password"]
DUMMY = Login("dummy", "jupyterhub.auth.DummyAuthenticator", {})
_GONE_WITHIN = 30


@pytest.fixture(
    scope="module", params=[hub_image.SHARED, hub_image.ACCOUNTS, hub_image.GITHUB], ids=lambda one: one.name
)
def hub(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveHub]:
    with live_hub.running(tmp_path_factory.mktemp("hub"), hub_image.contract(login=request.param)) as started:
        yield started


class Rehearsal:
    """One of two people, with their passes and the one that ends it."""

    def __init__(self, hub: LiveHub, seconds: str = "600") -> None:
        self.hub = hub
        self.end, self.first, self.second = (secrets.token_urlsafe(32) for _ in range(3))
        program(hub, "begin", seconds, *map(rehearsals.digest, (self.end, self.first, self.second)))


@pytest.fixture
def begun(hub: LiveHub) -> Iterator[Rehearsal]:
    yield Rehearsal(hub)
    end(hub)


def program(hub: LiveHub, what: str, *arguments: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = passes.main((str(hub.folder), what, *arguments))
    return found


def end(hub: LiveHub) -> None:
    program(hub, "end")
    until(lambda: not program(hub, "show")["left"])


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _GONE_WITHIN
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.1)


class Browser:
    def __init__(self, hub: LiveHub) -> None:
        self.hub, self.session = hub, requests.Session()

    def post(self, token: str, **fields: str) -> requests.Response:
        """The form that simulated people send, from the login page."""
        self.session.get(f"{self.hub.url}/hub/login", timeout=30)
        form = {rehearsals.PASS: token, "_xsrf": self.session.cookies.get("_xsrf", path="/hub/") or "", **fields}
        where = f"{self.hub.url}/hub/{rehearsals.LOGIN}?next=/hub/home"
        return self.session.post(where, data=form, allow_redirects=False, timeout=30)

    @property
    def user(self) -> str | None:
        """Who is logged in, as the hub's own pages have it."""
        page = self.session.get(f"{self.hub.url}/hub/home", allow_redirects=False, timeout=30)
        found = re.search(r'user: "([^"]+)"', page.text) if page.status_code == 200 else None
        return found[1] if found else None


def test_a_pass_lets_its_person_in_under_every_login(begun: Rehearsal) -> None:
    first, second = Browser(begun.hub), Browser(begun.hub)
    assert first.post(begun.first).status_code == 302
    assert second.post(begun.second).status_code == 302
    assert (first.user, second.user) == ("rehearsal001.", "rehearsal002.")
    assert program(begun.hub, "show")["left"] == ["rehearsal001.", "rehearsal002."]


def test_a_pass_is_good_once(begun: Rehearsal) -> None:
    assert Browser(begun.hub).post(begun.first).status_code == 302
    again = Browser(begun.hub)
    assert again.post(begun.first).status_code == 403
    assert again.user is None


def test_a_forged_pass_is_refused(begun: Rehearsal) -> None:
    for forged in ("", "x" * 43, rehearsals.digest(begun.first), rehearsals.name(1), begun.first.upper()):
        browser = Browser(begun.hub)
        assert (browser.post(forged).status_code, browser.user) == (403, None), forged


def test_another_site_cannot_send_the_form(begun: Rehearsal) -> None:
    browser = Browser(begun.hub)
    assert browser.post(begun.first, _xsrf="").status_code == 403
    assert browser.user is None
    assert browser.post(begun.first).status_code == 302, "the pass was not used up"


def test_without_a_rehearsal_there_is_no_such_login(hub: LiveHub) -> None:
    assert Browser(hub).post("any pass").status_code == 404


def test_a_pass_that_is_too_old_is_refused(hub: LiveHub) -> None:
    assert Browser(hub).post(Rehearsal(hub, "-1").first).status_code == 404


def test_with_the_end_everybody_is_gone_and_their_sessions_are_no_good(begun: Rehearsal) -> None:
    browser, other = Browser(begun.hub), Browser(begun.hub)
    assert browser.post(begun.first).status_code == 302
    token = browser.session.post(
        f"{begun.hub.url}/hub/api/users/rehearsal001./tokens?_xsrf={browser.session.cookies.get('_xsrf', path='/hub/')}",
        json={}, timeout=30,
    ).json()["token"]  # fmt: skip
    asked = {"headers": {"Authorization": f"token {token}"}, "timeout": 30}
    assert requests.get(f"{begun.hub.url}/hub/api/user", **asked).status_code == 200  # type: ignore[arg-type]

    assert other.post(begun.end).status_code == 204
    assert other.user is None, "it lets nobody in"
    until(lambda: not program(begun.hub, "show")["left"])
    assert browser.user is None
    assert requests.get(f"{begun.hub.url}/hub/api/user", **asked).status_code == 403  # type: ignore[arg-type]
    assert Browser(begun.hub).post(begun.second).status_code == 404
    assert "rehearsal001." not in begun.hub.users()


def test_real_users_are_not_touched_by_the_end(begun: Rehearsal) -> None:
    before = begun.hub.users()
    end(begun.hub)
    assert begun.hub.users() == before


def test_an_admin_can_neither_add_nor_rename_anybody_to_such_a_name(hub: LiveHub) -> None:
    name = rehearsals.name(1)
    assert hub.call("POST", f"/users/{name}").status_code == 400
    assert hub.call("POST", "/users", json={"usernames": [name.upper()]}).status_code == 400
    assert hub.call("PATCH", f"/users/{ADMIN}", json={"name": name}).status_code == 400
    assert not {one for one in hub.users() if one and rehearsals.is_simulated(one)}


def test_each_login_is_on_record_and_the_passes_are_nowhere(begun: Rehearsal) -> None:
    Browser(begun.hub).post(begun.first)
    Browser(begun.hub).post("x" * 43)
    entries = list(hub_image.load("audit").entries(begun.hub.folder))
    assert ("login", "rehearsal001.", "rehearsal") in [(one.event, one.user, one.by) for one in entries]
    assert "rehearsal of 2 people begun" in {one.event for one in entries}
    found = (begun.hub.folder / passes.FILE).read_text() + (begun.hub.folder / "log").read_text()
    assert begun.first not in found
    assert (begun.hub.folder / passes.FILE).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("login", [hub_image.SHARED, DUMMY], ids=lambda one: one.name)
def test_a_simulated_name_gets_in_by_no_password(login: Login, tmp_path: Path) -> None:
    with live_hub.running(tmp_path, hub_image.contract(login=login)) as hub:
        assert Browser(hub).post(Rehearsal(hub).first).status_code == 302
        for name in ("rehearsal001.", "Rehearsal001.", "rehearsal002."):
            assert hub.log_in(name, PASSWORD).status_code == 403, name


def test_a_list_that_names_a_simulated_person_lets_nobody_in(tmp_path: Path) -> None:
    """The wall is the hub's own, whatever a list or a provider says; without it the login would succeed."""
    config = "c.Authenticator.allowed_users.add('rehearsal001.')\n"
    with live_hub.running(tmp_path / "walled", config=config) as hub:
        assert hub.log_in("rehearsal001.", PASSWORD).status_code == 403
    without = f"{config}import admission\nadmission.rehearsals.is_simulated = lambda name: False\n"
    with live_hub.running(tmp_path / "open", config=without) as hub:
        assert hub.log_in("rehearsal001.", PASSWORD).status_code == 200


def test_without_the_check_of_passes_a_forged_one_would_let_in(tmp_path: Path) -> None:
    config = "import passes\npasses.Passes.spend = lambda self, token: 'rehearsal001.'\n"
    with live_hub.running(tmp_path, config=config) as hub:
        Rehearsal(hub)
        browser = Browser(hub)
        assert (browser.post("forged").status_code, browser.user) == (302, "rehearsal001.")


def test_a_file_that_names_real_users_gives_them_no_pass(tmp_path: Path) -> None:
    names = {rehearsals.digest("one"): "kaben", rehearsals.digest("other"): "rehearsal002."}
    (tmp_path / passes.FILE).write_text(json.dumps({"until": time.time() + 60, "end": "", "names": names}))
    found = passes.Passes(tmp_path / passes.FILE)
    assert (found.spend("one"), found.spend("other")) == (None, "rehearsal002.")
