"""The ordinary stop of a user's server, as at the button of the hub's pages: kernels end in peace, volumes stay."""

from __future__ import annotations

from typing import Any


async def stop(user: Any, name: str = "") -> None:
    """Returns when the server of JupyterHub's `user` is gone. It must run, and neither start nor stop already. Raises whatever
    keeps it from being stopped; it can be tried again."""
    spawner = user.spawners[name]
    # At once: nobody else may begin to stop it.
    spawner._stop_pending = True
    try:
        await user.settings["proxy"].delete_user(user, name)
        await user.stop(name)
    finally:
        spawner._stop_pending = False
