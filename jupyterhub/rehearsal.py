"""The simulated people of a rehearsal, as the hub sees them: each logs in with a pass that is good once, and all of them are
removed when no pass is good any more. Their names are nobody else's: every other login refuses them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import own_accounts
import stopping
from contract import rehearsals
from jupyterhub.handlers.base import BaseHandler
from jupyterhub.utils import maybe_future
from tornado.web import HTTPError

log = logging.getLogger("rehearsal")

# Seconds between two looks.
_LOOK_EVERY = 2.0


class RehearsalHandler(BaseHandler):  # type: ignore[misc]  # jupyterhub has no types
    """POST of a form: `pass`, and the XSRF token of the login page. It is the hub's work at a login, and leads where a login
    leads. The pass that ends the rehearsal lets nobody in. The answer is 404 as long as there is none."""

    async def post(self) -> None:
        passes, address = self.authenticator.passes, self.request.remote_ip
        if not passes.are_good:
            raise HTTPError(HTTPStatus.NOT_FOUND)
        token = self.get_body_argument(rehearsals.PASS, "")
        if passes.ends(token):
            self.set_status(HTTPStatus.NO_CONTENT)
            return
        name = passes.spend(token)
        if name is None:
            self.authenticator.audit.record_failure("login failed", address=address)
            raise HTTPError(HTTPStatus.FORBIDDEN, "This pass is not good.")
        if isinstance(self.authenticator, own_accounts.Accounts):
            # To verify a password is most of the hub's work at such a login, and takes as long for a wrong one.
            await self.authenticator.authenticate(self, {"username": name, "password": ""})
        user = await self.auth_to_user({"name": name, "admin": False, "groups": [], "auth_state": None})
        self.set_login_cookie(user)
        user._auth_refreshed = time.monotonic()
        self.authenticator.audit.record("login", user=name, by="rehearsal", address=address)
        self.redirect(self.get_next_url(user))


class Sweep:
    """Removes simulated people, with server and account, when there is no rehearsal. All of it runs on the hub's event loop."""

    def __init__(self, authenticator: Any, seats: Any) -> None:
        self._authenticator, self._seats = authenticator, seats
        self._running: asyncio.Task[None] | None = None

    def begin(self, users: Any) -> None:
        """Looks after JupyterHub's `users` from now on."""
        self._running = asyncio.ensure_future(self._rounds(users))

    async def _rounds(self, users: Any) -> None:
        while True:
            try:
                await self.look(users)
            except Exception:
                # The next look may succeed, and nobody else looks.
                log.exception("simulated people could not be removed")
            await asyncio.sleep(_LOOK_EVERY)

    async def look(self, users: Any) -> None:
        """Once. It returns when those are gone who can be removed now."""
        if self._authenticator.passes.are_good:
            return
        left = simulated(users)
        found = await asyncio.gather(*(self._remove(users, one) for one in left), return_exceptions=True)
        for one in found:
            if isinstance(one, BaseException):
                log.warning("a simulated person could not be removed: %s", one)

    async def _remove(self, users: Any, user: Any) -> None:
        spawner = user.spawner
        if await stopping.settle(spawner, self._seats) and spawner.active:
            await stopping.stop(user)
        await maybe_future(self._authenticator.delete_user(user))
        await user.delete_spawners()
        users.delete(user)


def simulated(users: Mapping[Any, Any]) -> list[Any]:
    return [user for user in users.values() if rehearsals.is_simulated(user.name)]
