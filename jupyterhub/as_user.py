"""Requests that the hub makes as one of its users, each with a token that is made for it and deleted after it."""

from __future__ import annotations

from typing import Any

from jupyterhub import orm
from tornado.httpclient import AsyncHTTPClient, HTTPResponse

# Seconds for which such a token lives where a hub ends in between, and for which an answer is waited for.
_LIVES, _ANSWERED_WITHIN = 300, 60.0


async def fetch(user: Any, url: str, *, scope: str, note: str, **request: Any) -> HTTPResponse:
    """The answer to a request of JupyterHub's `user`, who has this scope for what is theirs. `request` is as AsyncHTTPClient has
    it. Raises HTTPError for an answer that says no, OSError where nobody answers."""
    token = user.new_api_token(note=note, expires_in=_LIVES, scopes=[f"{scope}!user"])
    headers = {"Authorization": f"token {token}"}
    try:
        return await AsyncHTTPClient().fetch(url, headers=headers, request_timeout=_ANSWERED_WITHIN, **request)
    finally:
        # Its user may be gone meanwhile, and their tokens with them.
        if row := orm.APIToken.find(user.db, token):
            user.db.delete(row)
            user.db.commit()
