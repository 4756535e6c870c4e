"""What an OpenID Connect provider says of itself: what the hub needs of it, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from hubdeploy.blueprint import provider
from hubdeploy.contract.documents import Contract, Login, from_bytes, to_bytes
from hubdeploy.errors import Refused
from tests.unit.hub import hub_image

ISSUER = "https://id.example.org/realms/lab"
SAID = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/auth",
    "token_endpoint": "https://tokens.example.org/token",
    "userinfo_endpoint": "https://users.example.org/me",
    "jwks_uri": "https://keys.example.org/keys",
}


def read(**said: Any) -> provider.Provider:
    return provider.read(
        ISSUER, "groups", {name: value for name, value in {**SAID, **said}.items() if value is not None}
    )


def test_what_a_provider_leaves_out_is_as_the_standard_has_it() -> None:
    found = read()
    assert (found.algorithms, found.basic_auth, found.scope) == (("RS256",), True, ("openid", "profile", "email"))


def test_a_provider_without_an_address_of_users_is_asked_for_none() -> None:
    assert read(userinfo_endpoint=None).asked == ("https://tokens.example.org/token", "https://keys.example.org/keys")


def test_the_secret_goes_into_the_form_where_no_header_is_taken() -> None:
    assert read(token_endpoint_auth_methods_supported=["private_key_jwt", "client_secret_post"]).basic_auth is False


def test_only_what_a_public_key_verifies_is_believed() -> None:
    assert read(id_token_signing_alg_values_supported=["none", "HS256", "ES256", "RS256"]).algorithms == (
        "ES256",
        "RS256",
    )


def test_groups_are_asked_for_where_the_provider_has_a_scope_of_that_name() -> None:
    assert read(scopes_supported=["openid", "groups", "offline_access"]).scope == (
        "openid",
        "profile",
        "email",
        "groups",
    )


@pytest.mark.parametrize(
    "said",
    [
        {"issuer": f"{ISSUER}/"}, {"issuer": None}, {"issuer": 7},
        {"id_token_signing_alg_values_supported": ["HS256", "none"]},
        {"token_endpoint_auth_methods_supported": ["private_key_jwt"]},
        {"token_endpoint": None}, {"token_endpoint": "http://tokens.example.org/token"}, {"jwks_uri": "file:///etc/passwd"},
        {"authorization_endpoint": 7}, {"userinfo_endpoint": "https://"},
    ],
    ids=str,
)  # fmt: skip
def test_another_or_an_unsafe_provider_is_refused_in_one_message(said: dict[str, Any]) -> None:
    with pytest.raises(Refused) as refused:
        read(**said)
    assert refused.value.code == 1
    assert len(refused.value.problems) == 1
    assert ISSUER in refused.value.problems[0].found


@pytest.mark.parametrize("document", [None, [], "text", 7])
def test_what_is_no_description_is_refused(document: Any) -> None:
    with pytest.raises(Refused):
        provider.read(ISSUER, "groups", document)


def contract(traits: dict[str, Any]) -> Contract:
    """As it was written into a hub, and read back."""
    return from_bytes(Contract, to_bytes(hub_image.contract(Login("oidc", "oidc.OIDC", traits))))


def test_a_hubs_contract_gives_its_provider_back() -> None:
    found = read(scopes_supported=["groups"])
    held = contract({"client_id": "the-hub", "allowed_groups": ("pupils", "lab 3"), **vars(found)})
    assert provider.held(ISSUER, held) == found
    assert held.login.traits["allowed_groups"] == ("pupils", "lab 3")


def test_a_contract_of_another_provider_or_login_gives_none() -> None:
    assert provider.held("https://id.example.org/realms/other", contract(dict(vars(read())))) is None
    assert provider.held(ISSUER, contract({"issuer": ISSUER})) is None
    assert provider.held(ISSUER, hub_image.contract()) is None
    assert provider.held(ISSUER, None) is None
