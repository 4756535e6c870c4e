"""JupyterHub's application with handlers of this project in front of JupyterHub's own.

JupyterHub asks its own handlers first and `extra_handlers` last, so a configuration alone cannot replace one. No file of
the package is changed.
"""

from __future__ import annotations

from typing import Any

import pages
import users
from jupyterhub.app import JupyterHub

# (path below /hub, handler); the first that fits answers.
HANDLERS: tuple[tuple[str, type[Any]], ...] = (
    (r"/api/users", users.UserListHandler),
    (r"/api/users/([^/]+)", users.UserHandler),
)


class Hub(JupyterHub):  # type: ignore[misc]  # jupyterhub has no types
    """Is configured as JupyterHub."""

    def init_handlers(self) -> None:
        super().init_handlers()
        handlers = [*HANDLERS, (r"/logo", pages.LogoHandler, {"default": self.logo_file})]
        self.handlers[:0] = self.add_url_prefix(self.hub_prefix, handlers)
