"""(k) A hub with 1,000 accounts and 100 running servers: the admin page, and how long the hub's event loop keeps others waiting.

The hub is a process with the image's own modules. One small program stands for all servers, another for the filter, so that
the hub's own work is measured and nothing else. Meanwhile servers report and wait for messages, and admins look.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import requests

from develop.bench.figures import Figure
from hubdeploy.contract.disk import Disk
from hubdeploy.contract.documents import User
from tests.ports import free_port
from tests.unit.hub import hub_image, live_hub, small_server, standin_filter
from tests.unit.hub.live_hub import ADMIN, TOKEN, LiveHub

ACCOUNTS, RUNNING, ADMINS = 1000, 100, 5
# Seconds: a hub makes its accounts at the first start, all servers run, and the hub is watched for so long.
_RUN_WITHIN, _WATCHED = 300, 60.0
# Seconds between two questions of one page, two loads of a page by one admin, and two reports of one server.
_LOOK_EVERY, _LOAD_EVERY, _REPORT_EVERY = 5.0, 10.0, 200.0
_PAGES = 20
_LIST = "/hub/api/users?include_stopped_servers=1&offset=0&limit=50&sort=id"
_CONFIG = """
import asyncio, time
from jupyterhub.spawner import Spawner
from jupyterhub.apihandlers.base import APIHandler
import engine
from filter import question
from spawner import ServerSpawner

question.SOCKET = engine.SOCKET = "{socket}"

class Server(ServerSpawner):
    async def start(self):
        self.object_id = f"{{int(self.user.name.removeprefix('user')):064x}}"
        return "127.0.0.1", {port}

    async def stop(self, now=False):
        self.object_id = ""

    # The stand-in has no events.
    start_polling, stop_polling = Spawner.start_polling, Spawner.stop_polling

class Lag(APIHandler):
    '''How late the event loop was at each step since the last question, in seconds.'''
    late, running = [], None

    def get(self):
        Lag.running = Lag.running or asyncio.ensure_future(self.watch())
        late, Lag.late = Lag.late, []
        self.write({{"late": late}})

    @staticmethod
    async def watch():
        while True:
            before = time.monotonic()
            await asyncio.sleep({step})
            Lag.late.append(time.monotonic() - before - {step})

c.JupyterHub.spawner_class = Server
c.JupyterHub.extra_handlers += [("/api/lag", Lag)]
"""
_STEP = 0.005


def accounts() -> list[Figure]:
    pages, late = asyncio.run(_measured())
    return [
        Figure("k", f"admin page of {ACCOUNTS} accounts, {RUNNING} running, with its figures", "s", pages, (), 1.0),
        Figure("k", "99th percentile of the event loop's delay meanwhile", "ms", [1000 * _at(late, 0.99)], (), 100),
        Figure("k", "its longest delay", "ms", [1000 * max(late)]),
    ]


def _at(samples: list[float], share: float) -> float:
    return sorted(samples)[int(share * (len(samples) - 1))]


async def _measured() -> tuple[list[float], list[float]]:
    """Seconds of each page, and of each delay."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, _hub(Path(folder)) as hub:
        async with _session(hub) as session, asyncio.TaskGroup() as group:
            cookies = await asyncio.to_thread(_cookies, hub)
            await _start(session)
            await _lag(session)
            working = [
                *(group.create_task(_server(session, f"user{number}", number)) for number in range(RUNNING)),
                *(group.create_task(_admin(session, cookies, number)) for number in range(ADMINS)),
            ]
            # The first look at everything is over.
            await asyncio.sleep(_LOAD_EVERY)
            await _lag(session)
            pages = [await _page(session, cookies) for _ in range(_PAGES)]
            await asyncio.sleep(_WATCHED)
            late = await _lag(session)
            for one in working:
                one.cancel()
    return pages, late


@contextmanager
def _hub(folder: Path) -> Iterator[LiveHub]:
    users = (User(ADMIN, admin=True), *(User(f"user{number}") for number in range(ACCOUNTS - 1)))
    contract = hub_image.contract(users=users, memory_guarantee=2**20, idle_timeout=12 * 3600)
    port = free_port()
    config = _CONFIG.format(socket=folder / "s", port=port, step=_STEP)
    server = [sys.executable, small_server.__file__]
    everything = subprocess.Popen(
        server,
        env={"JUPYTERHUB_SERVICE_URL": f"http://127.0.0.1:{port}"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with (
            standin_filter.running(folder / "s", _answer),
            live_hub.running(folder, contract, config=config, within=_RUN_WITHIN) as hub,
        ):
            yield hub
    finally:
        everything.terminate()
        everything.wait()


def _answer(path: str) -> Any:
    """What an engine with these servers would say."""
    at = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}000Z"
    if path == "/use":
        # Engine 20.10 takes about so long.
        time.sleep(1)
        return {
            one: {"memory": 10**8, "processor": time.monotonic() / 10, "at": at} for one in map(_id, range(RUNNING))
        }
    if path == "/disk":
        return asdict(Disk.of(os.statvfs("/")))
    if path == "/growth":
        volumes = [f"lab-{kind}-user{number}" for kind in ("home", "user") for number in range(ACCOUNTS)]
        return {"measured": dict.fromkeys(volumes, (10**8, 1000)), "servers": {}}
    if found := re.fullmatch(r"/containers/lab-user-user(\d+)/json", path):
        return {"Id": _id(int(found[1])), "State": {"Running": True, "Status": "running"}}
    return {}


def _id(number: int) -> str:
    """Of a user's container."""
    return f"{number:064x}"


@asynccontextmanager
async def _session(hub: LiveHub) -> AsyncIterator[aiohttp.ClientSession]:
    headers = {"Authorization": f"token {TOKEN}"}
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(hub.url, headers=headers, connector=connector) as session:
        yield session


def _cookies(hub: LiveHub) -> str:
    """An admin's, from the login form."""
    window = requests.Session()
    password = hub_image.SECRETS["shared-password"]["admin_password"]
    hub.log_in(ADMIN, password, window).raise_for_status()
    return "; ".join(f"{one.name}={one.value}" for one in window.cookies)


async def _start(session: aiohttp.ClientSession) -> None:
    async with asyncio.timeout(_RUN_WITHIN):
        for number in range(RUNNING):
            async with session.post(f"/hub/api/users/user{number}/server") as answer:
                answer.raise_for_status()
        while True:
            async with session.get("/hub/api/load") as answer:
                found = (await answer.json())["servers"]
            if sum(one["state"] == "runs" for one in found) == RUNNING:
                return
            await asyncio.sleep(1)


async def _lag(session: aiohttp.ClientSession) -> list[float]:
    """Of whatever comes each few milliseconds, how long it waits; in a long delay several come."""
    async with session.get("/hub/api/lag") as answer:
        late = (await answer.json())["late"]
    return [one - _STEP * before for one in late for before in range(1 + int(max(one, 0) / _STEP))]


async def _page(session: aiohttp.ClientSession, cookies: str) -> float:
    """Seconds for what the admin page asks before it shows its users and servers."""
    started = time.monotonic()
    async with session.get("/hub/admin", headers={"Cookie": cookies}) as answer:
        if 'id="servers"' not in await answer.text():
            raise RuntimeError(f"no admin page: {answer.status}")

    async def part(path: str) -> None:
        async with session.get(path, headers={"Accept": "application/jupyterhub-pagination+json"}) as answer:
            answer.raise_for_status()
            await answer.read()

    await asyncio.gather(*(part(path) for path in (_LIST, "/hub/api/load", "/hub/api/broadcasts")))
    return time.monotonic() - started


async def _admin(session: aiohttp.ClientSession, cookies: str, number: int) -> None:
    await asyncio.sleep(_LOOK_EVERY * number / ADMINS)
    while True:
        await _page(session, cookies)
        for _ in range(int(_LOAD_EVERY / _LOOK_EVERY)):
            await asyncio.sleep(_LOOK_EVERY)
            async with session.get("/hub/api/load") as answer:
                await answer.read()


async def _server(session: aiohttp.ClientSession, user: str, number: int) -> None:
    """Waits for messages all the time, and reports that it is in use."""

    async def wait() -> None:
        known = ""
        while True:
            async with session.get(f"/hub/api/users/{user}/notices?known={known}") as answer:
                known = (await answer.json())["known"]

    async def report() -> None:
        await asyncio.sleep(_REPORT_EVERY * number / RUNNING)
        while True:
            now = datetime.now(UTC).isoformat()
            said = {"last_activity": now, "servers": {"": {"last_activity": now}}}
            async with session.post(f"/hub/api/users/{user}/activity", json=said) as answer:
                answer.raise_for_status()
            await asyncio.sleep(_REPORT_EVERY)

    await asyncio.gather(wait(), report())
