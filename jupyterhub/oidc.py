"""Login by an OpenID Connect provider. OAuthenticator's generic class believes the token that it is given; this one verifies it.

It fetches nothing at the hub's start: the contract says where the provider is. Who may enter, and who is an admin, is decided
anew at each login, by userlist and by the groups that the settings name, and by nothing else.
"""

from __future__ import annotations

import asyncio
from functools import cached_property
from typing import Any
from urllib.parse import urlencode, urlsplit

import grouped
import jwt
import membership
import users
from contract import names
from oauthenticator.generic import GenericOAuthenticator
from tornado.web import HTTPError
from traitlets import List, Unicode, default

# Clocks differ; seconds.
_LEEWAY = 60
# How long a key that the provider has withdrawn may still be believed; seconds.
_KEYS_LAST = 300
_WITHIN = 10
_MUST_HOLD = ["exp", "iat", "iss", "aud", "sub"]
_UNVERIFIED = "What the login service says of you cannot be verified. Whoever runs this hub finds why in its log."


class OIDC(grouped.Grouped, GenericOAuthenticator):  # type: ignore[misc]  # oauthenticator has no types
    """The traits of the generic class, and those below."""

    issuer = Unicode(config=True, help="The provider, to the letter as its tokens name it.")
    jwks_url = Unicode(config=True, help="Where its public keys are.")
    algorithms = List(Unicode(), config=True, help="What it may sign with.")
    groups_claim = Unicode(config=True, help="Which claim lists a user's groups.")

    @default("login_service")
    def _name_of_the_provider(self) -> str:
        return urlsplit(self.issuer).hostname or self.issuer

    @cached_property
    def _keys(self) -> jwt.PyJWKClient:
        # No cooldown: who cannot make the provider send a token cannot make the hub ask for keys.
        return jwt.PyJWKClient(self.jwks_url, lifespan=_KEYS_LAST, timeout=_WITHIN, cooldown_duration=0)

    async def get_token_info(self, handler: Any, params: Any) -> dict[str, Any]:
        """The answer to the code that the browser brought: both tokens."""
        headers = self.build_token_info_request_headers()
        body = urlencode(params).encode()
        answer = await self.httpfetch(self.token_url, "asking for tokens", method="POST", headers=headers, body=body)
        if not isinstance(answer, dict) or not all(
            isinstance(answer.get(one), str) for one in ("id_token", "access_token")
        ):
            self.log.error("%s sent no id_token and access_token", self.token_url)
            raise membership.NoAnswer
        return {"token_type": "Bearer", **answer}

    async def token_to_user(self, token_info: Any) -> dict[str, Any]:
        """The claims of the verified token, with those that the provider keeps for its address of users."""
        claims = await asyncio.get_running_loop().run_in_executor(None, self._verified, token_info["id_token"])
        if not self.userdata_url:
            return claims
        more = await super().token_to_user(token_info)
        if not isinstance(more, dict) or more.get("sub") != claims["sub"]:
            self.log.error("%s speaks of another user than the id_token", self.userdata_url)
            raise HTTPError(403, _UNVERIFIED)
        return {**more, **claims}

    def _verified(self, id_token: str) -> dict[str, Any]:
        """The claims of a token. It blocks: keys that are not at hand are fetched."""
        try:
            key = self._keys.get_signing_key_from_jwt(id_token)
            claims: dict[str, Any] = jwt.decode(
                id_token, key.key, algorithms=self.algorithms, audience=self.client_id, issuer=self.issuer,
                leeway=_LEEWAY, options={"require": _MUST_HOLD},
            )  # fmt: skip
        except (jwt.PyJWKClientConnectionError, OSError) as error:
            self.log.error("no keys at %s: %s", self.jwks_url, error)
            raise membership.NoAnswer from error
        except (jwt.PyJWTError, TypeError, ValueError) as error:
            self.log.error("id_token refused: %s", error)
            raise HTTPError(403, _UNVERIFIED) from error
        if claims.get("azp", self.client_id) != self.client_id:
            self.log.error("id_token refused: it was made for another client")
            raise HTTPError(403, _UNVERIFIED)
        return claims

    def user_info_to_username(self, claims: dict[str, Any]) -> str:
        """The user's name. Whatever userlist could not hold is refused."""
        claim = claims.get(self.username_claim)
        if not isinstance(claim, str):
            raise HTTPError(403, f"The login service does not say your name: it sends no {self.username_claim}.")
        if self.username_claim == "email" and claims.get("email_verified") is not True:
            raise HTTPError(
                403, "The login service has not verified your e-mail address. Have it verified there first."
            )
        name = names.normalized(claim)
        # Some letters become plain ones: the sign of Kelvin would enter as another user's k.
        if not names.is_spelled(name) or not names.is_short(name) or (name.isascii() and not claim.isascii()):
            raise HTTPError(403, "Your name at the login service is none that this hub can take.")
        obstacle = users.obstacle(name, [volume.name for volume in self.config.ServerSpawner.kinds.kinds[0].volumes])
        if obstacle:
            raise HTTPError(403, obstacle)
        return name

    async def get_user_groups(self, auth_state: dict[str, Any]) -> set[str]:
        """The user's groups, of those that the settings name."""
        found = auth_state[self.user_auth_state_key].get(self.groups_claim)
        return {one for one in self.named_groups if one in found} if isinstance(found, list) else set()
