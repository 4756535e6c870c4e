"""JupyterHub's application with handlers of this project in front of JupyterHub's own, and a port for users' servers.

JupyterHub asks its own handlers first and `extra_handlers` last, so a configuration alone cannot replace one. No file of
the package is changed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attendant
import auth_key
import grouped
import pages
import rehearsal
import users
from contract import rehearsals
from jupyterhub.app import JupyterHub
from jupyterhub.crypto import CryptKeeper
from spawner import ServerSpawner
from tornado.httpserver import HTTPServer
from traitlets import Integer

# (path below /hub, handler); the first that fits answers.
HANDLERS: tuple[tuple[str, type[Any]], ...] = (
    (r"/api/users", users.UserListHandler),
    (r"/api/users/([^/]+)", users.UserHandler),
    (rf"/{rehearsals.LOGIN}", rehearsal.RehearsalHandler),
)


class Hub(JupyterHub):  # type: ignore[misc]  # jupyterhub has no types
    """Is configured as JupyterHub."""

    port_for_servers = Integer(config=True, help="What the hub listens on for users' servers, at all its addresses.")

    def init_handlers(self) -> None:
        super().init_handlers()
        handlers = [*HANDLERS, (r"/logo", pages.LogoHandler, {"default": self.logo_file})]
        self.handlers[:0] = self.add_url_prefix(self.hub_prefix, handlers)

    async def init_users(self) -> None:
        if self.authenticator.enable_auth_state:
            CryptKeeper.instance().keys = [auth_key.kept(Path(self.cookie_secret_file).with_name(auth_key.FILE))]
        await super().init_users()

    async def start(self) -> None:
        # What comes straight from a server is its own request, whatever its headers say of another address.
        HTTPServer(self.tornado_application, xheaders=False).listen(self.port_for_servers)
        await super().start()
        if isinstance(self.authenticator, grouped.Grouped):
            self.authenticator.watch.begin(self.users)
        if ServerSpawner.disk_watch:
            ServerSpawner.disk_watch.begin(self.users)
        if ServerSpawner.idle_watch:
            ServerSpawner.idle_watch.begin(self.users)
        if ServerSpawner.seats:
            ServerSpawner.seats.begin(self.users)
        self.sweep = rehearsal.Sweep(self.authenticator, ServerSpawner.seats)
        self.sweep.begin(self.users)
        if ServerSpawner.notices:
            self.attendant = attendant.Attendant(self, ServerSpawner.notices, ServerSpawner.seats)
            self.attendant.begin()
