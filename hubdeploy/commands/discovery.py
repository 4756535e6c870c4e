"""Asks an OpenID Connect provider what it is. The result goes into the contract, so the hub starts without the provider."""

from __future__ import annotations

import json
import ssl
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

from hubdeploy.blueprint import provider
from hubdeploy.blueprint.provider import PLACE, Provider
from hubdeploy.contract.documents import Contract
from hubdeploy.errors import Caution, Problem, Refused
from hubdeploy.settings.declarations import Settings

_WITHIN = 10
# More is no such document; bytes.
_LONGEST = 1024**2

Finding = Problem | Caution


def find(settings: Settings, held: Contract | None) -> tuple[Provider | None, tuple[Finding, ...]]:
    """The provider of the login, and what was found about it; None for a login without one. Where the provider does not
    answer, the hub keeps what it holds of the same issuer."""
    if settings.login.discovers is None:
        return None, ()
    issuer: str = getattr(settings, settings.login.discovers)
    url = f"{issuer.removesuffix('/')}{PLACE}"
    try:
        return provider.read(issuer, settings.oidc_groups_claim, fetch(url, settings.extra_ca_bundle)), ()
    except Refused as refused:
        return None, refused.problems
    except (OSError, HTTPException, ValueError) as error:
        found = f"{url} does not answer: {error if isinstance(error, HTTPError) else getattr(error, 'reason', error)}"
    kept = provider.held(issuer, held)
    if kept:
        return kept, (
            Caution(found, "see after it: nobody can log in while it is away; the hub keeps what it knows of it"),
        )
    fix = "correct OIDC_ISSUER, or wait for the provider; EXTRA_CA_BUNDLE names authorities that sign its certificate"
    return None, (Problem.of_no_file(found=found, wanted="the provider's description of itself, in JSON", fix=fix),)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A provider answers itself (OpenID Connect Discovery, 4.2). A way that leads on may leave TLS."""

    def redirect_request(self, *arguments: Any) -> None:
        return None


def fetch(url: str, bundle: Path | None) -> Any:
    """The JSON at `url`; `bundle` holds authorities to trust beside the machine's. Raises OSError, HTTPException, ValueError."""
    trusted = ssl.create_default_context()
    if bundle:
        trusted.load_verify_locations(bundle)
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=trusted), _NoRedirects())
    with opener.open(url, timeout=_WITHIN) as answer:
        return json.loads(answer.read(_LONGEST))
