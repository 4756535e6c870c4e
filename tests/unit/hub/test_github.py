"""Login with GitHub's organizations and teams: a real JupyterHub asks a stand-in, users have servers, and memberships end."""

from __future__ import annotations

import sqlite3
import stat
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from hubdeploy.contract.documents import Contract, Login, User
from tests.hub import waiting
from tests.hub.github_standin import GitHubStandIn
from tests.unit.hub import hub_image, live_hub, small_server
from tests.unit.hub.hub_image import SECRETS
from tests.unit.hub.live_hub import ADMIN, LiveHub

LISTED = "ann"
WITHIN = 30.0
_SERVERS = f"""
c.JupyterHub.spawner_class = "simple"
c.Spawner.cmd = [{sys.executable!r}, {small_server.__file__!r}]
# They end with the hub, and not with their container as elsewhere.
c.JupyterHub.cleanup_servers = True
# Seconds; the operator has no such setting.
c.Authenticator.check_every = 0.3
"""
_ORGANIZATIONS = {
    "allowed_groups": ("cryptic-labs", "other:data-team"),
    "admin_groups": ("cryptic-labs:staff",),
}
_RATE_LIMIT = 403, '{"message": "API rate limit exceeded for user ID 7."}'
_DOWN = 503, "<html>Unicorn!</html>"


def contract(github: GitHubStandIn, **traits: Any) -> Contract:
    """Of a hub that asks this stand-in, with `traits` of its own."""
    settings = {"github_url": github.url, "client_id": github.client_id}
    login = Login("github", "github.GitHub", {**settings, **traits})
    return hub_image.contract(login, (User(LISTED, groups=("physics",)), User(ADMIN, admin=True)))


@pytest.fixture(scope="module")
def github() -> Iterator[GitHubStandIn]:
    with GitHubStandIn("127.0.0.1", "the-hub", SECRETS["github"]["client_secret"]) as started:
        yield started


@pytest.fixture(scope="module")
def hub(github: GitHubStandIn, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveHub]:
    folder = tmp_path_factory.mktemp("hub")
    with live_hub.running(folder, contract(github, **_ORGANIZATIONS), config=_SERVERS) as started:
        yield started


@pytest.fixture(scope="module")
def impatient(github: GitHubStandIn, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveHub]:
    """A hub on which nobody stays whom GitHub does not confirm at once."""
    folder = tmp_path_factory.mktemp("impatient")
    with live_hub.running(
        folder, contract(github, **_ORGANIZATIONS), config=f"{_SERVERS}c.Authenticator.proof_lasts = 0\n"
    ) as started:
        yield started


@pytest.fixture(autouse=True)
def in_order(github: GitHubStandIn) -> None:
    github.members.clear()
    github.failing.clear()
    github.gives_refresh_tokens = False


class Person:
    """A browser at the hub, and at GitHub as `login`."""

    def __init__(self, hub: LiveHub, login: str) -> None:
        self.hub, self.login = hub, login
        self.browser = requests.Session()
        self.browser.headers["Accept"] = "text/html,*/*;q=0.8"

    def log_in(self) -> requests.Response:
        """The page at the end."""
        form = self.browser.get(f"{self.hub.url}/hub/oauth_login?next=/hub/token", timeout=30)
        asked = {name: values[0] for name, values in parse_qs(urlsplit(form.url).query).items()}
        wanted = {name: asked[name] for name in ("redirect_uri", "state", "scope") if name in asked} | {
            "login": self.login
        }
        session = f"{form.url.partition('/login/')[0]}/session"
        return self.browser.get(session, params=wanted, timeout=30)

    def visit(self, path: str = "/hub/token", **headers: str) -> requests.Response:
        return self.browser.get(f"{self.hub.url}{path}", headers=headers, timeout=30)

    def is_in(self) -> bool:
        return self.visit().url.endswith("/hub/token")

    def start_server(self) -> None:
        answer = self.hub.call("POST", f"/users/{self.login.lower()}/server")
        assert answer.status_code in (201, 202), answer.text
        waiting.until(self.has_server, WITHIN, "the server runs")

    def has_server(self) -> bool:
        servers = self.model()["servers"]
        return any(server["ready"] for server in servers.values())

    def model(self) -> dict[str, Any]:
        answer = self.hub.call("GET", f"/users/{self.login.lower()}")
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found


def member(hub: LiveHub, github: GitHubStandIn, login: str, group: str = "cryptic-labs") -> Person:
    """A member of a group, logged in, with a running server."""
    github.members.setdefault(group, {})[login.lower()] = "active"
    person = Person(hub, login)
    assert person.log_in().status_code == 200
    person.start_server()
    return person


def wait_for_questions(github: GitHubStandIn, about: str, times: int = 3) -> None:
    """Until GitHub has been asked for paths with this word so many times more."""
    before = sum(about in path for path in github.asked)
    waiting.until(
        lambda: sum(about in path for path in github.asked) >= before + times, WITHIN, f"{about} is asked for"
    )


def log(hub: LiveHub) -> str:
    return (hub.folder / "log").read_text()


def test_members_enter_and_are_no_admins(hub: LiveHub, github: GitHubStandIn) -> None:
    github.members = {"cryptic-labs": {"mia": "active"}, "other:data-team": {"tom": "active"}}
    for login, group in (("Mia", "cryptic-labs"), ("tom", "other:data-team")):
        person = Person(hub, login)
        assert person.log_in().url == f"{hub.url}/hub/token"
        assert (person.model()["admin"], person.model()["groups"]) == (False, [group])


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"cryptic-labs": {"eve": "pending"}},
        {"other:data-team": {"eve": "pending"}},
        {"other": {"eve": "active"}, "other:another-team": {"eve": "active"}, "cryptic-labs": {"mia": "active"}},
    ],
    ids=["in none", "invited", "invited to a team", "in others"],
)
def test_nobody_enters_without_list_and_membership(
    hub: LiveHub, github: GitHubStandIn, members: dict[str, dict[str, str]]
) -> None:
    github.members = members
    answer = Person(hub, "eve").log_in()
    assert answer.status_code == 403
    assert (
        "eve is neither on this hub&#39;s list of users nor in an organization or team that may use it." in answer.text
    )
    assert "eve" not in hub.users()


def test_whoever_was_here_by_a_membership_and_has_none_is_refused_until_an_admin_adds_them(
    hub: LiveHub, github: GitHubStandIn
) -> None:
    github.members = {"cryptic-labs": {"gil": "active"}}
    gil = Person(hub, "gil")
    assert gil.log_in().status_code == 200
    github.members = {}
    assert gil.log_in().status_code == 403
    hub.call("POST", "/users", json={"usernames": ["added"]}).raise_for_status()
    assert Person(hub, "added").log_in().status_code == 200


def test_the_list_needs_no_membership_even_while_organizations_cannot_be_asked(
    hub: LiveHub, github: GitHubStandIn
) -> None:
    github.failing = {"/orgs/": (403, '{"message": "the organization has enabled OAuth App access restrictions"}')}
    assert Person(hub, LISTED).log_in().status_code == 200
    admin = Person(hub, ADMIN)
    assert admin.log_in().status_code == 200
    assert admin.model()["admin"]
    assert "OAuth App access restrictions" in log(hub)


@pytest.mark.parametrize("failing", ["/access_token", "/user", "/orgs/"])
@pytest.mark.parametrize(
    "answer",
    [_DOWN, _RATE_LIMIT, (404, "not found"), (200, "[]"), (200, "nonsense"), (0, "")],
    ids=lambda one: f"{one[0]} {one[1]}",
)
def test_github_that_fails_gives_a_page_in_words_and_lets_nobody_in(
    hub: LiveHub, github: GitHubStandIn, failing: str, answer: tuple[int, str]
) -> None:
    github.members = {"cryptic-labs": {"mia": "active"}}
    github.failing = {failing: answer}
    page = Person(hub, "mia").log_in()
    assert page.status_code == 502
    assert "The login service does not answer as it should" in page.text
    assert "Traceback" not in log(hub)


def test_a_membership_that_ends_ends_session_tokens_and_server_and_the_page_says_why(
    hub: LiveHub, github: GitHubStandIn
) -> None:
    lea = member(hub, github, "Lea")
    token = hub.call("POST", "/users/lea/tokens").json()["token"]
    github.members = {}
    waiting.until(lambda: not lea.has_server(), WITHIN, "the server is stopped")
    words = (
        "You are no longer a member of cryptic-labs: your server was stopped, your files are kept."
        " Ask whoever runs this hub."
    )
    assert lea.visit("/hub/api/user", Accept="application/json").status_code == 403
    for _ in range(2):
        page = lea.visit("/user/lea/lab")
        assert ("/hub/login" in page.url, words in page.text) == (True, True)
    call = requests.get(f"{hub.url}/hub/api/user", headers={"Authorization": f"token {token}"}, timeout=30)
    assert call.status_code == 403
    assert lea.log_in().status_code == 403
    assert lea.model()["groups"] == []
    audit = hub_image.load("audit").entries(hub.folder)
    assert [one.event for one in audit if one.user == "lea"] == ["login", "membership ended"]
    github.members = {"cryptic-labs": {"lea": "active"}}
    assert lea.log_in().status_code == 200
    assert "Traceback (most recent call last):\n      File" not in log(hub)


def test_an_ended_member_without_a_server_is_out_at_the_next_request(hub: LiveHub, github: GitHubStandIn) -> None:
    github.members = {"other:data-team": {"kim": "active"}}
    kim = Person(hub, "kim")
    assert kim.log_in().status_code == 200
    github.members = {}
    waiting.until(lambda: not kim.is_in(), WITHIN, "the session is over")


def test_an_admin_by_organization_is_one_as_long_as_it_says_so(hub: LiveHub, github: GitHubStandIn) -> None:
    github.members = {"cryptic-labs": {"ada": "active"}}
    ada = member(hub, github, "ada", "cryptic-labs:staff")
    assert ada.model()["admin"]
    del github.members["cryptic-labs:staff"]
    waiting.until(lambda: not ada.model()["admin"], WITHIN, "she is no admin")
    assert ada.has_server()
    assert ada.is_in()
    github.members["cryptic-labs:staff"] = {"ada": "active"}
    assert ada.log_in().status_code == 200
    assert ada.model()["admin"]
    github.members = {"cryptic-labs": {"ada": "active"}}
    assert ada.log_in().status_code == 200
    assert not ada.model()["admin"]


def test_a_listed_user_stays_when_a_membership_ends_and_is_no_admin_by_it(hub: LiveHub, github: GitHubStandIn) -> None:
    ann = member(hub, github, LISTED, "cryptic-labs:staff")
    assert ann.model()["admin"]
    github.members = {}
    waiting.until(lambda: not ann.model()["admin"], WITHIN, "she is no admin")
    assert (ann.has_server(), ann.is_in()) == (True, True)


def test_groups_of_the_list_stand_beside_those_that_github_names(hub: LiveHub, github: GitHubStandIn) -> None:
    listed = Person(hub, LISTED)
    assert listed.model()["groups"] == ["physics"]
    github.members = {"cryptic-labs": {LISTED: "active"}}
    assert listed.log_in().status_code == 200
    assert sorted(listed.model()["groups"]) == ["cryptic-labs", "physics"]
    if not listed.has_server():
        listed.start_server()
    github.members = {}
    waiting.until(lambda: listed.model()["groups"] == ["physics"], WITHIN, "GitHub's group is gone")


def test_github_that_fails_throws_nobody_out(impatient: LiveHub, github: GitHubStandIn) -> None:
    pat = member(impatient, github, "pat")
    github.members = {}
    for place in ("/user", "/orgs/"):
        github.failing = {place: _DOWN}
        wait_for_questions(github, place)
        assert (pat.has_server(), pat.is_in()) == (True, True)
    github.failing = {}
    waiting.until(lambda: not pat.has_server(), WITHIN, "the server is stopped")


def test_a_hub_that_starts_with_other_organizations_asks_at_once(github: GitHubStandIn, tmp_path: Path) -> None:
    patient = _SERVERS.replace("0.3", "600")
    with live_hub.running(tmp_path, contract(github, **_ORGANIZATIONS), config=patient) as hub:
        ian = member(hub, github, "ian")
    with live_hub.running(tmp_path, contract(github, allowed_groups=("another",)), config=patient) as hub:
        ian.hub = hub
        waiting.until(lambda: not ian.has_server(), WITHIN, "the server is stopped")
        assert "You are not in an organization or team that may use this hub any more" in ian.visit().text
        assert ian.log_in().status_code == 403


def test_whoever_revokes_the_token_must_log_in_again_and_keeps_the_server(hub: LiveHub, github: GitHubStandIn) -> None:
    rob = member(hub, github, "rob")
    github.revoke("rob")
    waiting.until(lambda: not rob.is_in(), WITHIN, "he must log in again")
    assert rob.has_server()
    assert rob.log_in().status_code == 200
    wait_for_questions(github, "/user")
    assert (rob.has_server(), rob.is_in()) == (True, True)


@pytest.mark.parametrize("login", ["revoked", "renamed", "limited"])
def test_without_a_proof_the_server_does_not_run_on(impatient: LiveHub, github: GitHubStandIn, login: str) -> None:
    una = member(impatient, github, login)
    if login == "revoked":
        github.revoke(login)
    elif login == "renamed":
        github.tokens = {token: ("una", owner[1]) for token, owner in github.tokens.items()}
    else:
        github.failing = {"/user": _RATE_LIMIT}
    waiting.until(lambda: not una.has_server(), WITHIN, "the server is stopped")
    page = una.visit()
    assert ("/hub/login" in page.url, "GitHub no longer confirms that you may use this hub" in page.text) == (
        True,
        True,
    )


def test_a_token_that_expires_is_renewed(impatient: LiveHub, github: GitHubStandIn) -> None:
    github.gives_refresh_tokens = True
    zoe = member(impatient, github, "zoe")
    for _ in range(2):
        github.revoke("zoe")
        wait_for_questions(github, "/members/zoe", 1)
        assert (zoe.has_server(), zoe.is_in()) == (True, True)


def test_what_is_kept_of_a_login_is_encrypted_by_a_key_that_the_hub_alone_reads(
    hub: LiveHub, github: GitHubStandIn
) -> None:
    member(hub, github, "max")
    key = hub.folder / "jupyterhub_auth_key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    with sqlite3.connect(hub.folder / "jupyterhub.sqlite") as database:
        (kept,) = database.execute("select encrypted_auth_state from users where name = 'max'").fetchone()
    assert kept
    tokens = [token.encode() for token in github.tokens]
    shown = [hub.call("GET", "/users/max").content, hub.call("PATCH", "/users/max", json={"admin": False}).content]
    for content in [kept, *shown, log(hub).encode()]:
        assert not [token for token in tokens if token in content]
    assert key.read_text().strip() not in log(hub)
    assert "auth_state" not in hub.call("GET", "/users/max").json()


def test_groups_that_only_choose_let_nobody_in(github: GitHubStandIn, tmp_path: Path) -> None:
    kind = contract(github).kinds[0]
    choosing = replace(
        contract(github), kinds=(kind, replace(kind, name="gpu", users=(), provider_groups=("cryptic-labs",)))
    )
    github.members = {"cryptic-labs": {LISTED: "active", "eve": "active"}}
    with live_hub.running(tmp_path, choosing, config=_SERVERS) as hub:
        refused = Person(hub, "eve").log_in()
        assert (refused.status_code, "eve is not on this hub&#39;s list of users." in refused.text) == (403, True)
        listed = Person(hub, LISTED)
        assert listed.log_in().status_code == 200
        assert sorted(listed.model()["groups"]) == ["cryptic-labs", "physics"]


def test_without_organizations_github_is_asked_for_none_and_the_admin_page_counts(
    github: GitHubStandIn, tmp_path: Path
) -> None:
    with live_hub.running(tmp_path, contract(github), config=_SERVERS) as hub:
        assert Person(hub, LISTED).log_in().status_code == 200
        assert Person(hub, "sue").log_in().status_code == 403
        hub.call("POST", "/users", json={"usernames": ["sue"]}).raise_for_status()
        sue = Person(hub, "sue")
        assert sue.log_in().status_code == 200
        hub.call("PATCH", "/users/sue", json={"admin": True}).raise_for_status()
        assert sue.log_in().status_code == 200
        assert sue.model()["admin"]
        assert not [path for path in github.asked if path.endswith("/sue")]
        assert {scope for login, scope in github.tokens.values() if login == "sue"} == {""}
        assert not (tmp_path / "jupyterhub_auth_key").exists()
