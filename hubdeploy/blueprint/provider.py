"""What an OpenID Connect provider says of itself, read as what the hub needs of it. Pure: commands/discovery.py asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from hubdeploy.contract.documents import Contract
from hubdeploy.errors import Problem, Refused
from hubdeploy.settings import readers

# OpenID Connect Discovery, section 4.
PLACE = readers.DISCOVERY
# A token that is signed with one of these verifies with a public key. `none` and the client's own secret (HS256) are not here.
_BY_PUBLIC_KEY = frozenset(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"))
_SCOPE = ("openid", "profile", "email")
_BASIC, _IN_THE_FORM = "client_secret_basic", "client_secret_post"


@dataclass(frozen=True)
class Provider:
    """Each field is a trait of the hub's class, in jupyterhub/oidc.py. `userdata_url` is empty where the provider has none;
    `basic_auth`: the hub names itself in a header, not in the form."""

    issuer: str
    authorize_url: str
    token_url: str
    userdata_url: str
    jwks_url: str
    algorithms: tuple[str, ...]
    scope: tuple[str, ...]
    basic_auth: bool

    @property
    def asked(self) -> tuple[str, ...]:
        """The URLs that the hub itself asks, and no browser."""
        return tuple(url for url in (self.token_url, self.userdata_url, self.jwks_url) if url)


def read(issuer: str, groups_claim: str, document: Any) -> Provider:
    """The provider that `document` describes; raises Refused if it is another one, or one that the hub cannot use."""
    said = document if isinstance(document, Mapping) else {}
    if said.get("issuer") != issuer:
        found = f"{issuer}{PLACE} is about the issuer {said.get('issuer')!r}"
        fix = "set OIDC_ISSUER as the provider writes it, to the letter, / at the end included"
        raise _refused(found, f"a provider that calls itself {issuer}", fix)
    algorithms = tuple(sorted(_BY_PUBLIC_KEY & set(_words(said, "id_token_signing_alg_values_supported", ("RS256",)))))
    if not algorithms:
        wanted = f"one of {', '.join(sorted(_BY_PUBLIC_KEY))}"
        raise _refused(f"{issuer} signs with no public key", wanted, "choose such an algorithm at the provider")
    methods = _words(said, "token_endpoint_auth_methods_supported", (_BASIC,))
    if not {_BASIC, _IN_THE_FORM} & set(methods):
        found = f"{issuer} takes a client by {', '.join(map(repr, methods))} alone"
        raise _refused(found, f"{_BASIC} or {_IN_THE_FORM}", "register a client with a secret there")
    return Provider(
        issuer=issuer,
        authorize_url=_url(issuer, said, "authorization_endpoint"),
        token_url=_url(issuer, said, "token_endpoint"),
        userdata_url=_url(issuer, said, "userinfo_endpoint") if "userinfo_endpoint" in said else "",
        jwks_url=_url(issuer, said, "jwks_uri"),
        algorithms=algorithms,
        # Some providers send a claim only to who asks for the scope of its name.
        scope=(*_SCOPE, *({groups_claim} & set(_words(said, "scopes_supported", ())) - set(_SCOPE))),
        basic_auth=_BASIC in methods,
    )


def held(issuer: str, contract: Contract | None) -> Provider | None:
    """The provider that a hub's contract has; None if it has none, or that of another issuer."""
    traits: dict[str, Any] = dict(contract.login.traits) if contract else {}
    names = [one.name for one in fields(Provider)]
    if traits.get("issuer") != issuer or not traits.keys() >= set(names):
        return None
    return Provider(**{name: traits[name] for name in names})


def _url(issuer: str, said: Mapping[str, Any], name: str) -> str:
    """An address of the provider; it has TLS, or is this machine's."""
    url = said.get(name)
    try:
        return readers.protected_url(url if isinstance(url, str) else "")
    except readers.Unfit as unfit:
        found = f"{issuer} names {url!r} as its {name}, which {unfit.found}"
        raise _refused(found, unfit.wanted, "ask whoever runs the provider") from None


def _words(said: Mapping[str, Any], name: str, default: tuple[str, ...]) -> tuple[str, ...]:
    """A list of words; as the standard has it where the provider says nothing."""
    found = said.get(name)
    return tuple(str(one) for one in found) if isinstance(found, list) else default


def _refused(found: str, wanted: str, fix: str) -> Refused:
    return Refused([Problem.of_no_file(found=found, wanted=wanted, fix=fix)])
