"""Whatever settings say of login, TLS and exposure: they are refused, or nobody gets in whom neither list, nor admin, nor
group names, and `access` says the same as the hub does.

The hub's own class of the login decides, on the configuration that the deployment puts into it. What a provider says of a
person is given to it; everything behind that is real.
"""

from __future__ import annotations

import asyncio
import dataclasses
import ipaddress
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st
from tornado.web import HTTPError

from hubdeploy.blueprint import documents, provider
from hubdeploy.contract.documents import User
from hubdeploy.plan import access
from hubdeploy.plan.access import Heard
from hubdeploy.settings import declarations, logins, rules, userlist
from hubdeploy.settings.declarations import Settings
from hubdeploy.settings.logins import LOGINS, LoginRow
from tests.search import deployments
from tests.search.texts import texts
from tests.unit.hub import hub_image

USERS = (User("ann"), User("bea", sudo=True), User("kaben", admin=True))
LINES = userlist.lines("ann\nbea sudo\nkaben admin\n")
HEARD = Heard(frozenset({"added"}), frozenset({"added"}))
# Known to the hub's database, as somebody is whom a group had let in once.
KNOWN = "known"
PASSWORDS = {"user_password": "the users' password", "admin_password": "the password of the admins of this hub"}
_PROVIDER = provider.Provider(
    issuer="https://id.test", authorize_url="https://id.test/authorize", token_url="https://id.test/token",
    userdata_url="https://id.test/userinfo", jwks_url="https://id.test/keys", algorithms=("RS256",), scope=("openid",),
    basic_auth=True,
)  # fmt: skip
_TOKEN = {"access_token": "token", "token_type": "bearer", "scope": []}
_KEYS = sorted(
    {
        "AUTHENTICATOR", "HUB_HOST", "HUB_PORT", "TLS", "BIND_ADDRESS", "TRUSTED_PROXIES",
        "ACME_EMAIL", "HTTP_PORT", "SECRETS_VOLUME", "GRANT_SUDO",
        *(declarations.keys_of_fields()[one] for row in LOGINS.values() for one in (*row.needs, *row.groups)),
    }
)  # fmt: skip


@st.composite
def combinations(draw: st.DrawFn) -> dict[str, str]:
    """Key -> text; each is legal by itself, and they fit together by chance alone. Half of them have all that one login needs."""
    chosen = {key for key in _KEYS if draw(st.booleans())}
    if draw(st.booleans()):
        # Nothing is open beyond this machine.
        chosen -= {"HUB_HOST", "BIND_ADDRESS", "TLS", "TRUSTED_PROXIES", "ACME_EMAIL"}
    if draw(st.booleans()):
        login = draw(st.sampled_from(list(LOGINS)))
        keys = declarations.keys_of_fields()
        others = [keys[one] for name, row in LOGINS.items() for one in (*row.needs, *row.groups) if name != login]
        chosen = chosen.difference(others) | {"AUTHENTICATOR", *(keys[one] for one in LOGINS[login].needs)}
        fixed = {"AUTHENTICATOR": st.just(login)}
    else:
        fixed = {}
    return {key: draw(fixed.get(key, texts(key, legal=True))) for key in sorted(chosen)}


@dataclasses.dataclass(frozen=True)
class Person:
    """Somebody who proves to the login's provider who they are, and whom it puts into `groups`."""

    name: str
    groups: frozenset[str] = frozenset()


def people(settings: Settings) -> Iterator[Person]:
    """All kinds of people, listed ones among them."""
    named = [group for groups in access.groups(settings).values() for group in groups]
    yield from (Person(user.name) for user in USERS)
    yield from (Person(name) for name in ("added", KNOWN, "stranger"))
    yield Person("outsider", frozenset({"a group that nobody named"}))
    yield from (Person(f"member{number}", frozenset({group})) for number, group in enumerate(named))


def enters(login: Any, settings: Settings, person: Person) -> dict[str, Any] | None:
    """What the hub makes of the person's login; None where it is refused."""
    request, user = SimpleNamespace(remote_ip="192.0.2.7"), SimpleNamespace(id=1, created=None)
    handler = SimpleNamespace(request=request, find_user=lambda name: user)
    if settings.login.invites:
        # Everybody has a password, and knows it.
        login._is_right = lambda account, password: True
        data: Any = {"username": person.name, "password": "their own"}
    elif not one_for_all(settings):
        groups = {settings.oidc_groups_claim: list(person.groups)}
        said = {"login": person.name, "sub": person.name, "email": "", "email_verified": True, **groups}
        said[settings.oidc_username_claim] = person.name

        async def answered(*_: Any) -> dict[str, Any]:
            return said

        async def member_of(*_: Any) -> set[str]:
            return set(person.groups & login.named_groups)

        login.token_to_user, login.memberships = answered, member_of
        data = None
        login.authenticate = lambda *_: login._token_to_auth_model(_TOKEN)
    else:
        password = "admin_password" if person.name in login.admin_users else "user_password"
        data = {"username": person.name, "password": PASSWORDS[password]}
    try:
        found: dict[str, Any] | None = asyncio.run(login.get_authenticated_user(handler, data))
    except HTTPError as error:
        if error.status_code != 403:
            raise
        return None
    return found


def login_of(settings: Settings, folder: Path) -> Any:
    """The hub's class, with its configuration; it raises SystemExit where that would open the door."""
    contract = documents.contract(settings, 2**33, _PROVIDER if settings.login.discovers else None)
    contract = dataclasses.replace(contract, hub=dataclasses.replace(contract.hub, data_dir=str(folder)))
    config = hub_image.load_config(contract, folder)
    if one_for_all(settings):
        config.Authenticator.update(PASSWORDS)
    accounts = hub_image.load("accounts")
    named = accounts.Named(folder / accounts.RECORD)
    for name in HEARD.added:
        named.admit(name)
        named.promote(name, admin=True)
    login = config.JupyterHub.authenticator_class(config=config)
    login.check_allow_config()
    # As JupyterHub does at its start.
    login.allowed_users |= login.admin_users
    for name in (*(user.name for user in USERS), *HEARD.added, KNOWN):
        asyncio.run(login.add_user(SimpleNamespace(name=name)))
    return login


def one_for_all(settings: Settings) -> bool:
    """Whether all prove who they are by the same password, whatever the row of the login says of itself."""
    return "user_password" in settings.login.secret_traits


def faults(given_texts: Mapping[str, str], folder: Path) -> list[str] | None:
    """What is wrong; None where the settings are refused."""
    settings = dataclasses.replace(deployments.settings_of(dict(given_texts)), users=USERS)
    if rules.contradictions(settings, str):
        return None
    try:
        login = login_of(settings, folder)
    except SystemExit as refused:
        return [str(refused)]
    found = []
    for person in people(settings):
        entered = enters(login, settings, person)
        heard = dataclasses.replace(HEARD, groups={person.name: person.groups})
        said = access.of(person.name, settings, heard, LINES)
        if bool(entered) != bool(said.enter):
            found.append(f"{person} enters: {bool(entered)}, and access says {said.enter}")
        elif entered and entered["admin"] != bool(said.admin):
            found.append(f"{person} is an admin: {entered['admin']}, and access says {said.admin}")
        if entered and person.name in (KNOWN, "stranger", "outsider"):
            found.append(f"{person} enters, whom nobody names")
    if one_for_all(settings) and (settings.behind or not ipaddress.ip_address(settings.bind_address).is_loopback):
        found.append(f"one password for all at {settings.bind_address}, TLS {settings.tls}")
    return found


def test_settings_are_refused_or_let_in_those_whom_they_name(tmp_path: Path) -> None:
    counted: Counter[str] = Counter()

    @profile(deadline=None, max_examples=240, derandomize=True, database=None)
    @given(combinations())
    def each(drawn: dict[str, str]) -> None:
        found = faults(drawn, tmp_path)
        assert not found, found
        counted["refused" if found is None else deployments.settings_of(drawn).authenticator] += 1

    each()
    assert counted["refused"] > 40
    assert {*LOGINS} <= counted.keys()


@pytest.mark.parametrize(
    ("login", "broken", "noticed"),
    [
        ("github", {"traits": {**LOGINS["github"].traits, "allow_all": "oauth_is_on"}}, "allow_all"),
        ("oidc", {"traits": {**LOGINS["oidc"].traits, "allowed_group": "allowed_groups"}}, "allowed_group"),
        (
            "oidc",
            {"authenticator_class": "oauthenticator.generic.GenericOAuthenticator", "groups": ()},
            "does not start",
        ),
        ("shared-password", {"personal": True}, "one password for all"),
    ],
)
def test_a_login_that_is_broken_on_purpose_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, login: str, broken: dict[str, Any], noticed: str
) -> None:
    monkeypatch.setattr(Settings, "oauth_is_on", True, raising=False)
    row: LoginRow = dataclasses.replace(LOGINS[login], **broken)
    monkeypatch.setitem(logins.LOGINS, login, row)
    keys = [declarations.keys_of_fields()[one] for one in (*row.needs, *row.groups)]
    given_texts = {key: declarations.declarations()[key][1].example for key in keys}
    given_texts |= {"AUTHENTICATOR": login, "HUB_HOST": "hub.example.org", "BIND_ADDRESS": "0.0.0.0"}
    found = faults(given_texts, tmp_path)
    assert found is not None
    assert any(noticed in one for one in found)
