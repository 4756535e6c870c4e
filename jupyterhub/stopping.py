"""The ordinary stop of a user's server, as at the button of the hub's pages: kernels end in peace, volumes stay."""

from __future__ import annotations

import asyncio
import time
from typing import Any

# Seconds for which a server that starts or stops is waited for, and between two looks at it.
_SETTLES_WITHIN, _STEP = 200.0, 0.2


async def settle(spawner: Any, seats: Any) -> bool:
    """Whether the server neither starts nor stops any more. Who waits for a place gives it up; `seats` may be None."""
    if seats:
        seats.dismiss(spawner)
    deadline = time.monotonic() + _SETTLES_WITHIN
    while spawner.pending and time.monotonic() < deadline:
        await asyncio.sleep(_STEP)
    return not spawner.pending


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
