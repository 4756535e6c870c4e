"""Login by a real OpenID Connect provider, nanoidp, from the first page to the hub's home page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import requests

from hubdeploy.blueprint import documents
from hubdeploy.commands import discovery
from hubdeploy.contract.documents import Secret, User
from hubdeploy.settings.declarations import defaults
from tests import nanoidp
from tests.nanoidp import GROUPS, NanoIDP, log_in
from tests.unit.hub import hub_image, live_hub
from tests.unit.hub.live_hub import ADMIN, LiveHub

SECRET = hub_image.SECRETS["oidc"]["client_secret"]


@pytest.fixture(scope="module")
def idp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NanoIDP]:
    with nanoidp.running(tmp_path_factory.mktemp("idp"), SECRET) as started:
        yield started


@pytest.fixture(scope="module")
def hub(idp: NanoIDP, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveHub]:
    """Its contract is drawn as `up` draws it, but for its own address, which the test's hub finds out by itself."""
    settings = defaults(
        oidc_issuer=idp.issuer, oidc_client_id=nanoidp.CLIENT, oidc_client_secret=Secret(SECRET),
        allowed_groups=("pupils",), admin_groups=("teachers",),
    )  # fmt: skip
    found, about = discovery.find(settings, None)
    assert found, about
    login = documents.contract(settings, 2**33, found).login
    login = replace(login, traits={**login.traits, "oauth_callback_url": ""})
    contract = hub_image.contract(login, (User("ann"), User(ADMIN, admin=True)))
    with live_hub.running(tmp_path_factory.mktemp("hub"), contract) as started:
        yield started


def test_a_member_of_the_group_enters(hub: LiveHub) -> None:
    answer = log_in(hub.url, "bob")
    assert (answer.status_code, answer.url) == (200, f"{hub.url}/hub/token")


def test_a_listed_user_enters_without_a_group(hub: LiveHub) -> None:
    assert log_in(hub.url, "ann").url == f"{hub.url}/hub/token"
    assert hub.call("GET", "/users/ann").json()["admin"] is False


def test_a_member_of_the_admins_group_is_an_admin(hub: LiveHub) -> None:
    assert log_in(hub.url, "ada").status_code == 200
    assert hub.call("GET", "/users/ada").json()["admin"] is True


def test_who_is_in_neither_is_refused_in_words(hub: LiveHub) -> None:
    answer = log_in(hub.url, "eve")
    assert answer.status_code == 403
    assert "eve is neither on this hub&#39;s list of users nor in a group that may use it" in answer.text


def test_a_wrong_password_stays_at_the_provider(hub: LiveHub, idp: NanoIDP) -> None:
    assert log_in(hub.url, "bob", "another password").url.startswith(idp.issuer)


def test_who_left_the_groups_is_out_and_no_admin_at_the_next_login(hub: LiveHub, idp: NanoIDP) -> None:
    for name in ("ada", "bob"):
        assert log_in(hub.url, name).status_code == 200
    idp.set_groups({**GROUPS, "ada": ["pupils"], "bob": ["others"]})
    idp.reload()
    try:
        assert log_in(hub.url, "bob").status_code == 403
        assert log_in(hub.url, "ada").status_code == 200
        assert hub.call("GET", "/users/ada").json()["admin"] is False
    finally:
        idp.set_groups(GROUPS)
        idp.reload()


def test_a_key_that_the_provider_renews_is_found(hub: LiveHub, idp: NanoIDP) -> None:
    requests.post(f"{idp.issuer}/api/keys/rotate", timeout=30).raise_for_status()
    assert log_in(hub.url, "ann").status_code == 200
