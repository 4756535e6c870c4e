"""Login by an OpenID Connect provider: a real JupyterHub asks a stand-in that lies as the test says."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests

from hubdeploy.blueprint import provider
from hubdeploy.commands import discovery
from hubdeploy.contract.documents import Contract, Login, User
from tests.ports import free_port
from tests.unit.hub import hub_image, live_hub, oidc_standin
from tests.unit.hub.live_hub import ADMIN, LiveHub
from tests.unit.hub.oidc_standin import CLIENT_ID, CLIENT_SECRET, Claims, StandIn

LISTED = "ann@example.org"


def contract(issuer: str, **traits: Any) -> Contract:
    """Of a hub that asks this provider, with `traits` of its own."""
    found = provider.read(issuer, "groups", discovery.fetch(f"{issuer}{provider.PLACE}", None))
    settings = {"client_id": CLIENT_ID, "username_claim": "email", "groups_claim": "groups"}
    groups = {"allowed_groups": ("pupils",), "admin_groups": ("teachers",)}
    login = Login("oidc", "oidc.OIDC", {**settings, **groups, **vars(found), **traits})
    return hub_image.contract(login, (User(LISTED), User(ADMIN, admin=True)))


@pytest.fixture(scope="module")
def standin() -> Iterator[StandIn]:
    with oidc_standin.running() as started:
        yield started


@pytest.fixture(scope="module")
def hub(standin: StandIn, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveHub]:
    with live_hub.running(tmp_path_factory.mktemp("hub"), contract(standin.issuer)) as started:
        yield started


@pytest.fixture(autouse=True)
def honest(standin: StandIn) -> None:
    standin.be_honest()


def log_in(hub: LiveHub, standin: StandIn, **claims: Any) -> requests.Response:
    """The page that a browser ends on."""
    standin.claims = {"email": LISTED, "email_verified": True, **claims}
    return requests.Session().get(f"{hub.url}/hub/oauth_login?next=/hub/token", timeout=30)


def log(hub: LiveHub) -> str:
    return (hub.folder / "log").read_text()


def is_admin(hub: LiveHub, name: str) -> bool:
    answer = hub.call("GET", f"/users/{name}")
    answer.raise_for_status()
    return bool(answer.json()["admin"])


def test_a_listed_user_enters(hub: LiveHub, standin: StandIn) -> None:
    answer = log_in(hub, standin)
    assert (answer.status_code, answer.url) == (200, f"{hub.url}/hub/token")
    assert not is_admin(hub, LISTED)


def test_the_login_page_names_the_provider(hub: LiveHub) -> None:
    assert "127.0.0.1" in requests.get(f"{hub.url}/hub/login", timeout=30).text


def signed_by_another(standin: StandIn, claims: Claims) -> str:
    return standin.signed(claims, key=oidc_standin.new_key())


def signed_by_an_unknown_key(standin: StandIn, claims: Claims) -> str:
    return standin.signed(claims, kid="unknown")


def not_signed(standin: StandIn, claims: Claims) -> str:
    return jwt.encode(claims, "", "none", headers={"kid": oidc_standin.KID})


def signed_by_the_clients_secret(standin: StandIn, claims: Claims) -> str:
    return standin.signed(claims, key=CLIENT_SECRET * 2, algorithm="HS256")


def changed_afterwards(standin: StandIn, claims: Claims) -> str:
    head, _, signature = standin.signed(claims).split(".")
    body = standin.signed({**claims, "email": ADMIN}).split(".")[1]
    return f"{head}.{body}.{signature}"


def no_token(standin: StandIn, claims: Claims) -> str:
    return "nonsense"


@pytest.mark.parametrize(
    "sign",
    [
        signed_by_another,
        signed_by_an_unknown_key,
        not_signed,
        signed_by_the_clients_secret,
        changed_afterwards,
        no_token,
    ],
)
def test_a_token_that_the_provider_did_not_sign_is_refused(
    hub: LiveHub, standin: StandIn, sign: Callable[[StandIn, Claims], str]
) -> None:
    standin.sign = lambda claims: sign(standin, claims)
    answer = log_in(hub, standin)
    assert answer.status_code == 403
    assert "cannot be verified" in answer.text


@pytest.mark.parametrize(
    "wrong",
    [
        {"iss": "https://another.example"}, {"aud": "another-client"}, {"aud": [CLIENT_ID, "another"], "azp": "another"},
        # Seconds from now.
        {"exp": -3600}, {"iat": 3600}, {"nbf": 3600},
        {"iss": None}, {"aud": None}, {"exp": None}, {"iat": None}, {"sub": None},
    ],
    ids=str,
)  # fmt: skip
def test_a_token_that_is_not_for_this_hub_and_this_hour_is_refused(
    hub: LiveHub, standin: StandIn, wrong: Claims
) -> None:
    now = int(time.time())
    claims = {name: now + value if isinstance(value, int) else value for name, value in wrong.items()}
    answer = log_in(hub, standin, **claims)
    assert answer.status_code == 403
    assert "cannot be verified" in answer.text


def test_claims_of_another_user_are_refused(hub: LiveHub, standin: StandIn) -> None:
    standin.userinfo = {"sub": "8", "groups": ["teachers"]}
    assert log_in(hub, standin).status_code == 403


@pytest.mark.parametrize("verified", [False, None, "true", "false", 1])
def test_an_address_that_is_not_verified_is_refused(hub: LiveHub, standin: StandIn, verified: Any) -> None:
    answer = log_in(hub, standin, email_verified=verified)
    assert answer.status_code == 403
    assert "has not verified your e-mail address" in answer.text


@pytest.mark.parametrize(
    "name",
    # The sign of Kelvin in lower case is a plain k.
    [
        "a b@example.org",
        "../kaben",
        "x" * 65,
        "\u212aaben",
        "kaben\x00",
        "",
        7,
        None,
        ["kaben"],
    ],
    ids=ascii,
)
def test_a_name_that_userlist_could_not_hold_is_refused(hub: LiveHub, standin: StandIn, name: Any) -> None:
    answer = log_in(hub, standin, email=name, groups=["pupils"])
    assert answer.status_code == 403
    assert "name" in answer.text.partition("The hub says")[2]


def test_a_name_is_the_same_however_it_is_written(hub: LiveHub, standin: StandIn) -> None:
    assert log_in(hub, standin, email="Ann@Example.org").status_code == 200
    assert log_in(hub, standin, email="e\u0301va@example.org", groups=["pupils"]).status_code == 200
    assert "\u00e9va@example.org" in hub.users()


@pytest.mark.parametrize("groups", [None, [], ["others"], "pupils", {"pupils": True}, [["pupils"]]], ids=str)
def test_nobody_enters_without_list_and_group(hub: LiveHub, standin: StandIn, groups: Any) -> None:
    answer = log_in(hub, standin, email="eve@example.org", groups=groups)
    assert answer.status_code == 403
    assert "neither on this hub&#39;s list of users nor in a group" in answer.text
    assert "eve@example.org" not in hub.users()


def test_whoever_leaves_the_group_is_refused_at_the_next_login(hub: LiveHub, standin: StandIn) -> None:
    bob = {"email": "bob@example.org"}
    assert log_in(hub, standin, **bob, groups=["pupils"]).status_code == 200
    assert log_in(hub, standin, **bob, groups=["others"]).status_code == 403
    assert "bob@example.org" in hub.users()


def test_whom_an_admin_has_added_and_made_an_admin_needs_neither_list_nor_group(hub: LiveHub, standin: StandIn) -> None:
    added = "added@example.org"
    hub.call("POST", "/users", json={"usernames": [added], "admin": True}).raise_for_status()
    assert log_in(hub, standin, email=added).status_code == 200
    assert is_admin(hub, added)
    hub.call("PATCH", f"/users/{added}", json={"name": added, "admin": False}).raise_for_status()
    assert log_in(hub, standin, email=added).status_code == 200
    assert not is_admin(hub, added)
    hub.call("DELETE", f"/users/{added}").raise_for_status()
    assert log_in(hub, standin, email=added).status_code == 403


def test_groups_at_the_address_of_users_count(hub: LiveHub, standin: StandIn) -> None:
    standin.userinfo = {"groups": ["pupils"]}
    assert log_in(hub, standin, email="carla@example.org").status_code == 200


def test_an_admin_by_group_is_one_as_long_as_the_group_says_so(hub: LiveHub, standin: StandIn) -> None:
    tess = {"email": "tess@example.org"}
    assert log_in(hub, standin, **tess, groups=["teachers"]).status_code == 200
    assert is_admin(hub, "tess@example.org")
    assert log_in(hub, standin, **tess, groups=["pupils"]).status_code == 200
    assert not is_admin(hub, "tess@example.org")


def test_an_admin_of_the_list_needs_no_group(hub: LiveHub, standin: StandIn) -> None:
    assert log_in(hub, standin, email=ADMIN).status_code == 200
    assert is_admin(hub, ADMIN)


@pytest.mark.parametrize("failing", ["/token", "/userinfo"])
def test_a_provider_that_fails_gives_a_page_in_words(hub: LiveHub, standin: StandIn, failing: str) -> None:
    standin.failing = {failing}
    answer = log_in(hub, standin)
    assert answer.status_code == 502
    assert "The login service does not answer as it should" in answer.text
    assert "Traceback" not in log(hub)


def test_what_came_back_once_does_not_come_back_again(hub: LiveHub, standin: StandIn) -> None:
    standin.claims = {"email": LISTED, "email_verified": True}
    browser = requests.Session()
    answers = browser.get(f"{hub.url}/hub/oauth_login", timeout=30).history
    back = next(answer.url for answer in answers if "/hub/oauth_callback" in answer.url)
    assert browser.get(back, timeout=30).status_code == 400
    assert requests.get(back, timeout=30).status_code == 400


def test_a_login_that_somebody_else_began_is_refused(hub: LiveHub, standin: StandIn) -> None:
    """The code is good: only the state says that it is another browser's."""
    standin.claims = {"email": LISTED, "email_verified": True}
    back = f"{hub.url}/hub/oauth_login"
    for _ in range(2):
        back = requests.get(back, allow_redirects=False, timeout=30).headers["Location"]
    assert "/hub/oauth_callback" in back
    victim = requests.Session()
    victim.get(f"{hub.url}/hub/oauth_login", allow_redirects=False, timeout=30)
    assert victim.get(back, timeout=30).status_code == 400
    assert victim.get(f"{hub.url}/hub/home", allow_redirects=False, timeout=30).status_code == 302


def test_the_log_has_no_secret_of_a_refused_login(hub: LiveHub, standin: StandIn) -> None:
    for failing in ({"/token"}, {"/userinfo"}, set[str]()):
        standin.failing = failing
        log_in(hub, standin, email="eve@example.org")
    assert "login refused with 403: eve@example.org is neither" in log(hub)
    assert not re.findall(r"code=(?!\[secret\])|id_token=|\.eyJ", log(hub))
    assert CLIENT_SECRET not in log(hub)


@pytest.mark.parametrize("trait", ["token_url", "jwks_url"])
def test_a_provider_that_is_away_gives_a_page_in_words(standin: StandIn, tmp_path: Path, trait: str) -> None:
    nowhere = {trait: f"http://127.0.0.1:{free_port()}/"}
    with live_hub.running(tmp_path, contract(standin.issuer, **nowhere)) as hub:
        answer = log_in(hub, standin)
        assert answer.status_code == 502
        assert "The login service does not answer as it should" in answer.text
        assert "Traceback" not in log(hub)


def test_without_groups_the_list_alone_says_who_enters_and_who_is_an_admin(standin: StandIn, tmp_path: Path) -> None:
    with live_hub.running(tmp_path, contract(standin.issuer, allowed_groups=(), admin_groups=())) as hub:
        assert log_in(hub, standin).status_code == 200
        assert log_in(hub, standin, groups=["teachers"]).status_code == 200
        assert not is_admin(hub, LISTED)
        assert log_in(hub, standin, email="eve@example.org", groups=["pupils", "teachers"]).status_code == 403
