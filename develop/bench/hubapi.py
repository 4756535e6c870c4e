"""The hub's API as a program uses it, for many users at once. TLS is verified against the deployment's own certificate."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import aiohttp

from develop.bench.rigs import ADMIN, Rig, log_in

# Seconds: as long as a person would wait, and longer than the limits of both hubs.
READY_WITHIN = 200
_STOPPED_WITHIN = 120
_STEP = 0.05


class HubApi:
    """An admin's session."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session, self._url = session, url

    async def start(self, user: str) -> float | None:
        """Seconds from the request to a server that the hub calls ready and that answers behind the proxy; None if it
        failed."""
        started = time.monotonic()
        try:
            async with asyncio.timeout(READY_WITHIN):
                async with self._session.post(f"{self._url}/hub/api/users/{user}/server") as answer:
                    if answer.status not in (201, 202):
                        return None
                if answer.status == 202 and not await self._becomes_ready(user):
                    return None
                async with self._session.get(f"{self._url}/user/{user}/api") as answer:
                    return time.monotonic() - started if answer.status == 200 else None
        except (TimeoutError, aiohttp.ClientError):
            return None

    async def _becomes_ready(self, user: str) -> bool:
        async with self._session.get(f"{self._url}/hub/api/users/{user}/server/progress") as stream:
            async for line in stream.content:
                if line.startswith(b"data:"):
                    event = json.loads(line.removeprefix(b"data:"))
                    if event.get("ready") or event.get("failed"):
                        return bool(event.get("ready"))
        return False

    async def start_all(self, users: Sequence[str]) -> tuple[float, list[float | None]]:
        """Seconds until the last one was ready or had failed, and each one's own."""
        started = time.monotonic()
        found = await asyncio.gather(*(self.start(user) for user in users))
        return time.monotonic() - started, found

    async def stop_all(self, users: Sequence[str]) -> None:
        await asyncio.gather(*(self._stop(user) for user in users))

    async def _stop(self, user: str) -> None:
        """Waits until the hub has no server of the user: a failed start may go on, and would count as the next one."""
        deadline = time.monotonic() + _STOPPED_WITHIN
        while time.monotonic() < deadline:
            async with self._session.delete(f"{self._url}/hub/api/users/{user}/server"):
                pass
            async with self._session.get(f"{self._url}/hub/api/users/{user}") as answer:
                found = await answer.json()
                if not found["server"] and not found["pending"]:
                    return
            await asyncio.sleep(_STEP * 5)

    async def version(self) -> bool:
        """Whether the hub's API answers."""
        try:
            async with self._session.get(f"{self._url}/hub/api/", timeout=aiohttp.ClientTimeout(total=2)) as answer:
                return answer.status == 200
        except (TimeoutError, aiohttp.ClientError):
            return False

    async def serves(self, user: str) -> bool:
        """Whether a user's server answers behind the proxy."""
        try:
            url = f"{self._url}/user/{user}/api/status"
            async with self._session.get(url, timeout=aiohttp.ClientTimeout(total=2)) as answer:
                return answer.status == 200
        except (TimeoutError, aiohttp.ClientError):
            return False


@asynccontextmanager
async def hub_api(rig: Rig) -> AsyncIterator[HubApi]:
    admin = await asyncio.to_thread(log_in, rig, ADMIN)
    context = ssl.create_default_context(cafile=str(rig.certificate))
    connector = aiohttp.TCPConnector(ssl=context, limit=0)
    headers = {"Authorization": f"token {admin.token}"}
    async with aiohttp.ClientSession(
        connector=connector, headers=headers, timeout=aiohttp.ClientTimeout(total=None)
    ) as session:
        yield HubApi(session, rig.url)
