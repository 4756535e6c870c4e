"""A rehearsal of an order: the authority's staging server, whose certificates nobody trusts, asks what the authority will ask,
from where it will ask. It has limits of its own, so a failure uses up nothing.

Each rehearsal has a new account, and goes as far as the challenge: that is what fails.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta

import requests
from acme import challenges, client, crypto_util, errors, messages
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from josepy.errors import Error as KeyFault
from josepy.jwa import ES256
from josepy.jwk import JWKEC

from clock.preflight import Found

# Seconds for each question to the server, and for its own questions.
_WITHIN, _ASKS_WITHIN = 5, 20.0
# What it says where the fault is its own, or of this account.
_NO_ANSWER = frozenset(("rateLimited", "serverInternal", "badNonce", "externalAccountRequired", "userActionRequired"))

Show = Callable[[str, str], AbstractContextManager[None]]


def rehearse(server: str, host: str, show: Show) -> Found:
    """What the server of the directory `server` (a URL) says of `host`. `show(token, content)` lets port 80 answer the
    challenge."""
    try:
        with warnings.catch_warnings():
            # As with the directory: what is heard can only keep from ordering.
            warnings.simplefilter("ignore")
            _ask(server, host, show)
    except errors.ValidationError as failed:
        return _refused(server, "; ".join(_reason(one) for one in failed.failed_authzrs))
    except messages.Error as error:
        told = f"{error.code or error.typ}: {error.detail}"
        if error.code in _NO_ANSWER:
            return Found(doubtful=(f"no rehearsal: {server} says {told}",))
        return _refused(server, told)
    except requests.RequestException:
        return Found(doubtful=(f"no rehearsal: {server} does not answer this machine",))
    except errors.TimeoutError:
        return Found(doubtful=(f"no rehearsal: {server} did not say within {_ASKS_WITHIN:.0f} s what it found",))
    except (errors.Error, KeyFault, OSError, ValueError, KeyError) as error:
        return Found(doubtful=(f"no rehearsal with {server}: {_told(error)}",))
    return Found(well=(f"a rehearsal with {server} succeeded",))


def _ask(server: str, host: str, show: Show) -> None:
    key = JWKEC(key=ec.generate_private_key(ec.SECP256R1()))
    network = client.ClientNetwork(key, alg=ES256, verify_ssl=False, user_agent="hubdeploy", timeout=_WITHIN)
    asked = client.ClientV2(client.ClientV2.get_directory(server, network), network)
    asked.new_account(messages.NewRegistration.from_data(terms_of_service_agreed=True))
    pem = key.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    order = asked.new_order(crypto_util.make_csr(pem, [host]))
    (authorization,) = order.authorizations
    by_http = next(one for one in authorization.body.challenges if isinstance(one.chall, challenges.HTTP01))
    response, content = by_http.chall.response_and_validation(key)
    with show(by_http.chall.encode("token"), content):
        asked.answer_challenge(by_http, response)
        asked.poll_authorizations(order, datetime.now() + timedelta(seconds=_ASKS_WITHIN))


def _refused(server: str, told: str) -> Found:
    return Found(refused=(f"a rehearsal with {server} failed, so the order would: {told}",))


def _reason(authorization: messages.AuthorizationResource) -> str:
    told = (one.error.detail for one in authorization.body.challenges if one.error is not None)
    return next((one for one in told if one), f"the challenge is {authorization.body.status.name}")


def _told(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
