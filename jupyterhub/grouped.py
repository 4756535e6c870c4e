"""Logins at a service that knows groups of users. A class below says which groups a user is in; those that the settings name
let in and make admins, anew at each login. admission.py stands over it.

A service that fails gives a page in words and lets nobody in. What becomes of whoever is in already, membership.py decides.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import membership
from oauthenticator.oauth2 import OAuthCallbackHandler, OAuthenticator
from tornado.httpclient import HTTPClientError
from tornado.web import HTTPError
from traitlets import Float, Set, default


class CallbackHandler(OAuthCallbackHandler):  # type: ignore[misc]  # oauthenticator has no types
    """Where the browser comes back to."""

    def log_exception(self, kind: Any, error: Any, trace: Any) -> None:
        """Without the URL: the service's code is in it, and may not be used up yet."""
        if isinstance(error, HTTPError):
            self.log.warning("login refused with %s: %s", error.status_code, error.log_message)
        else:
            super().log_exception(kind, error, trace)


class Grouped(OAuthenticator):  # type: ignore[misc]  # oauthenticator has no types
    """Between a class of OAuthenticator and ours. Groups are `allowed_groups` and `admin_groups`, OAuthenticator's traits."""

    callback_handler = CallbackHandler
    # What the service calls a group.
    group = "a group"

    choosing_groups = Set(config=True, help="Groups whose members may have a kind of servers; they let nobody in.")
    check_every = Float(600, config=True, help="Seconds after which a user's groups are asked for again.")
    proof_lasts = Float(
        3000,
        config=True,
        help="Seconds that a user stays after the service last named a group of theirs, if it no longer answers to them.",
    )

    @property
    def letting_in(self) -> set[str]:
        """The groups whose members may enter."""
        groups: set[str] = self.allowed_groups | self.admin_groups
        return groups

    @property
    def named_groups(self) -> set[str]:
        """The groups that the settings name, which the service is asked for."""
        named: set[str] = self.letting_in | self.choosing_groups
        return named

    @default("manage_groups")
    def _groups_are_the_services(self) -> bool:
        return bool(self.named_groups)

    @default("auth_refresh_age")
    def _requests_look_at_what_is_known(self) -> int:
        return max(1, min(60, int(self.check_every)))

    @default("auth_refresh_strict")
    def _tokens_end_with_the_session(self) -> bool:
        return bool(self.enable_auth_state)

    async def httpfetch(self, url: str, label: str = "fetching", **arguments: Any) -> Any:
        try:
            return await super().httpfetch(url, label, **arguments)
        except (HTTPClientError, OSError, ValueError) as error:
            self.log.error("%s: %s: %s", label, url, error)
            raise membership.NoAnswer from error

    async def update_auth_model(self, auth_model: dict[str, Any]) -> dict[str, Any]:
        """Asks for nothing more, such as e-mail addresses."""
        return auth_model

    async def check_allowed(self, username: str, auth_model: Any) -> bool:
        if await super().check_allowed(username, auth_model):
            return True
        if not self.letting_in:
            raise HTTPError(403, f"{username} is not on this hub's list of users.")
        raise HTTPError(403, f"{username} is neither on this hub's list of users nor in {self.group} that may use it.")

    def is_listed(self, name: str) -> bool:
        """Whether the user of this name needs no group to enter."""
        return name in self.allowed_users or name in self.admin_users

    async def _apply_managed_groups(self, auth_model: dict[str, Any]) -> dict[str, Any]:
        """Whoever is listed enters although the service does not answer for their groups, which then are None: unknown."""
        try:
            applied: dict[str, Any] = await super()._apply_managed_groups(auth_model)
        except membership.NoAnswer:
            if not self.is_listed(auth_model["name"]):
                raise
            return {**auth_model, "groups": None}
        return applied

    async def _token_to_auth_model(self, token_info: dict[str, Any]) -> dict[str, Any]:
        """What JupyterHub keeps is what membership.py needs, and nothing else of the user."""
        auth_model: dict[str, Any] = await super()._token_to_auth_model(token_info)
        if self.enable_auth_state:
            auth_model["auth_state"] = membership.kept(token_info, auth_model["groups"] or [])
        return auth_model

    async def asked_again(self, tokens: dict[str, Any]) -> dict[str, Any]:
        """As for a login, by the tokens of the last one. Raises Refused and NoAnswer."""
        try:
            return await self._token_to_auth_model(tokens)
        except membership.Refused:
            if not tokens.get("refresh_token"):
                raise
        renewed = await self.get_token_info(None, self.build_refresh_token_request_params(tokens["refresh_token"]))
        return await self._token_to_auth_model({"refresh_token": tokens["refresh_token"], **renewed})

    @cached_property
    def watch(self) -> membership.Watch:
        return membership.Watch(self)

    async def refresh_user(self, user: Any, handler: Any = None, **arguments: Any) -> bool:
        """Whether the user's session goes on. The login page says why it has ended."""
        if not self.enable_auth_state:
            return True
        if handler is not None and not hasattr(handler, "_token_authenticated"):
            # JupyterHub 6.1.1 reads it of pages as well, where it is never set.
            handler._token_authenticated = False
        stays, words = await self.watch.check(user)
        membership.ended.set(words)
        return stays
