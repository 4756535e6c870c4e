"""The button of the home page that starts a user's server safely: without their configuration and packages, on the same
files. A running server is stopped first. It never acts on a GET, nor without the page's XSRF token.
"""

from jupyterhub.handlers.pages import SpawnHandler
from spawner import SAFE_START
from tornado import web


class SafeStartHandler(SpawnHandler):  # type: ignore[misc]  # jupyterhub has no types
    """POST /hub/safe-start: for the user who asks, then on to the page of a starting server."""

    def get(self) -> None:
        self.redirect(f"{self.hub.base_url}home")

    @web.authenticated
    async def post(self) -> None:
        user = self.current_user
        spawner = user.get_or_create_spawner("", display_name="", replace_failed=True)
        if spawner.pending:
            raise web.HTTPError(409, f"The server is pending {spawner.pending}; try again in a moment")
        if spawner.active:
            await self.stop_single_user(user)
        pending_url = self._get_pending_url(user, "")
        options = {**(spawner.orm_spawner.user_options or {}), SAFE_START: True}
        await self._wrap_spawn_single_user(user, "", "", spawner, pending_url, options)
