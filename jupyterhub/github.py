"""Login with GitHub, or a GitHub Enterprise server, by OAuthenticator's class; and the organizations and teams of a user.

A group is an organization, or `organization:team`. GitHub is asked for those that the settings name, one by one, so nothing
depends on how many a user is in.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import grouped
import membership
from oauthenticator.github import GitHubOAuthenticator
from traitlets import default

_WITHIN = 10


class GitHub(grouped.Grouped, GitHubOAuthenticator):  # type: ignore[misc]  # oauthenticator has no types
    """The traits of OAuthenticator's class."""

    group = "an organization or team"

    @default("login_service")
    def _name_of_the_service(self) -> str:
        return "GitHub"

    @default("scope")
    def _asks_for_organizations_only_if_they_count(self) -> list[str]:
        return ["read:org"] if self.named_groups else []

    @default("enable_auth_state")
    def _asks_again_only_if_groups_count(self) -> bool:
        return bool(self.named_groups)

    async def get_token_info(self, handler: Any, params: Any) -> dict[str, Any]:
        """The answer to the code that the browser brought, or to a refresh token. Raises Refused for one that is not valid:
        GitHub then answers with status 200 and an error."""
        headers = self.build_token_info_request_headers()
        body = urlencode(params).encode()
        answer = await self.httpfetch(
            self.token_url, "asking for a token", method="POST", headers=headers, body=body, request_timeout=_WITHIN
        )
        if isinstance(answer, dict) and isinstance(answer.get("access_token"), str):
            return {"token_type": "bearer", **answer}
        error = answer.get("error") if isinstance(answer, dict) else "no answer that could be read"
        self.log.error("%s sent no access_token: %s", self.token_url, error)
        raise membership.Refused if isinstance(answer, dict) and "error" in answer else membership.NoAnswer

    async def token_to_user(self, token_info: dict[str, Any]) -> dict[str, Any]:
        status, user = await self._ask(self.userdata_url, token_info)
        if status == 200 and isinstance(user.get("login"), str):
            return user
        self.log.error("%s names no user (status %s)", self.userdata_url, status)
        raise membership.NoAnswer

    async def get_user_groups(self, auth_state: dict[str, Any]) -> set[str]:
        login = auth_state[self.user_auth_state_key]["login"]
        return await self.memberships(login, auth_state["token_response"])

    async def memberships(self, login: str, token_info: dict[str, Any]) -> set[str]:
        """The organizations and teams of the user, of those that the settings name. Raises Refused and NoAnswer."""
        return {one for one in sorted(self.named_groups) if await self._is_member(one, login, token_info)}

    async def _is_member(self, group: str, login: str, token_info: dict[str, Any]) -> bool:
        """Whoever is invited and has not accepted is no member. GitHub leads somebody outside on to the public members."""
        organization, _, team = group.partition(":")
        place = f"teams/{team}/memberships" if team else "members"
        status, answer = await self._ask(f"{self.github_api}/orgs/{organization}/{place}/{login}", token_info)
        if status == 404:
            return False
        if not team and status == 204:
            return True
        if team and status == 200 and isinstance(answer.get("state"), str):
            return bool(answer["state"] == "active")
        self.log.error("GitHub does not say whether %s is in %s (status %s)", login, group, status)
        raise membership.NoAnswer

    async def _ask(self, url: str, token_info: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Status and answer, which is empty if there is none. A 404 is GitHub's own. Raises Refused and NoAnswer."""
        headers = self.build_userdata_request_headers(token_info["access_token"], token_info["token_type"])
        response = await self.httpfetch(
            url, "asking GitHub", parse_json=False, raise_error=False, headers=headers, request_timeout=_WITHIN
        )
        try:
            answer = json.loads(response.body or b"{}")
        except ValueError:
            answer = None
        if response.code in (401, 403, 429):
            said = answer.get("message") if isinstance(answer, dict) else ""
            self.log.error("%s: GitHub does not answer to this token (status %s): %s", url, response.code, said)
            raise membership.Refused
        if response.code >= 500 or not isinstance(answer, dict) or (response.code == 404 and "message" not in answer):
            self.log.error("%s: GitHub does not answer as it should (status %s)", url, response.code)
            raise membership.NoAnswer
        return response.code, answer
