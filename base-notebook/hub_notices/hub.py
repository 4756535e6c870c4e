"""The server's line to its hub: it waits there for messages to the user, and says which ones were read.

One request waits at the hub all the time, so a message arrives at once and the hub is seldom asked. While the hub is away
the server asks again in growing pauses, and never fails.
"""

import asyncio
import os
import random
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from aiohttp import ClientError, ClientTimeout
from jupyterhub.httpclient import fetch

from hub_notices.board import Board

# Seconds. The hub answers each request after ten minutes at the latest.
_ANSWER_WITHIN = ClientTimeout(total=660, sock_connect=5)
_SOONEST, _LATEST = 1.0, 60.0
# The hub is being replaced, or is an older one without this address.
UNREACHABLE = (ClientError, OSError, TimeoutError)


class Line:
    """The messages of one user."""

    def __init__(self, board: Board, environ: Mapping[str, str] = os.environ) -> None:
        self._board = board
        # The hub gives the address of its API for this user with the name escaped.
        self._url = environ.get("JUPYTERHUB_ACTIVITY_URL", "").removesuffix("/activity") + "/notices"
        # Set when the hub answered, or could not, for the first time.
        self.tried = asyncio.Event()
        self._headers = {"Authorization": f"token {environ.get('JUPYTERHUB_API_TOKEN', '')}"}

    async def follow(self) -> None:
        """Keeps the board up to date; ends only by cancellation."""
        known, pause = "", _SOONEST
        while True:
            try:
                await self.confirm()
                answer = await self._ask("GET", f"{self._url}?known={known}")
                self._board.take_from_hub(answer["notices"])
                known, pause = answer["known"], _SOONEST
            except (*UNREACHABLE, ValueError, KeyError, TypeError):
                pause = min(2 * pause, _LATEST)
            self.tried.set()
            # Servers that lost the same hub come back one after the other.
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))

    async def confirm(self) -> None:
        """Says to the hub what was read; raises one of UNREACHABLE while that cannot be done."""
        for notice in sorted(self._board.unconfirmed):
            await self._ask("DELETE", f"{self._url}/{quote(notice, safe='')}")
            self._board.unconfirmed.discard(notice)

    async def _ask(self, method: str, url: str) -> dict[str, Any]:
        answer = await fetch(url, method=method, headers=self._headers, timeout=_ANSWER_WITHIN)
        async with answer:
            return dict(await answer.json()) if answer.status == 200 else {}
