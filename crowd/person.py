"""What one person of a class does: login, start of the server, JupyterLab, a notebook, cells with pauses, saving, stop.

The requests of JupyterLab are those that it made in Chromium, in their order; tests/hub/test_rehearsal.py records them again and
compares. Files come from the pages themselves (pages.py).
"""

from __future__ import annotations

import asyncio
import json
import random
import time
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from contract import rehearsals
from contract.rehearsals import Wanted
from yarl import URL

from crowd.browser import Browser, Failed
from crowd.cells import CELLS, FIRST
from crowd.kernel import PROTOCOL, Kernel, KernelFailed

# Seconds: JupyterLab asks so often what has changed, and saves so often by itself.
_POLL_EVERY, _SAVED_EVERY = 10.0, 120.0
_CELL_WITHIN, _KERNEL_WITHIN, _STOPPED_WITHIN = 60.0, 60.0, 60.0
_STEP = 0.2
_EVENT = b"data: "
# What JupyterLab asks its server for until its launcher shows: those in one line at the same time, as the page does.
_SETTINGS = "lab/api/settings/@jupyterlab"
_LOADING = (
    ("api/kernelspecs", "api/me", "lab/api/settings", "api/kernels", "api/terminals", "api/sessions", "lab/api/workspaces"),
    ("lab/api/translations/default", "api/me", "api/kernelspecs"),
    ("lab/api/build", "lsp/status", "lab/api/translations", "api/contents?content=1&hash=0",
     f"{_SETTINGS}/docmanager-extension:plugin", f"{_SETTINGS}/codemirror-extension:plugin",
     f"{_SETTINGS}/notebook-extension:panel", "lab/api/themes/@jupyterlab/theme-light-extension/index.css",
     "lab/api/workspaces/default"),
    ("lab/api/settings?ids_only=true", "api/nbconvert", "api/hub-notices", "kernelspecs/python3/logo-svg.svg"),
)  # fmt: skip
_POLLED = ("api/contents?content=1&hash=0", "api/kernels", "api/sessions", "api/terminals", "lab/api/workspaces")
# Parts of other images' servers, or of servers of an earlier version.
_MAY_BE_MISSING = frozenset(("api/hub-notices", "lsp/status", "api/nbconvert", "lab/api/workspaces/default"))
_NOTEBOOK = {
    "cells": [], "nbformat": 4, "nbformat_minor": 5,
    "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}},
}  # fmt: skip

# What has happened, how many seconds it took, and why it failed.
Tell = Callable[[str, float, str], None]


class Person:
    """Logs in by posting `form` to the address `login` below the hub's, and is `name` from then on."""

    def __init__(
        self, browser: Browser, wanted: Wanted, name: str, login: str, form: dict[str, str], tell: Tell
    ) -> None:
        self._browser, self._wanted, self._tell = browser, wanted, tell
        self._name, self._login, self._form = name, login, form
        self._chance = random.Random(name)
        self._hub, self._server = browser.base / "hub", browser.base / "user" / self._name
        self._beside: set[asyncio.Task[None]] = set()
        self._cells: list[str] = []
        self._notebook = ""
        self._has_server = False

    async def live(self) -> None:
        """From the login page to the stop of the server. Raises Failed or KernelFailed."""
        try:
            await self._work(await self.arrive())
        finally:
            self.close()
        await self.stop()

    async def arrive(self) -> Kernel:
        """From the login page to the first output; JupyterLab goes on asking until `close`. Raises Failed or KernelFailed."""
        begun = await self._log_in()
        await self._start()
        await self._open_lab()
        kernel = await self._open_notebook()
        await kernel.run(FIRST, _CELL_WITHIN)
        self._tell(rehearsals.FIRST, time.monotonic() - begun, "")
        self._begin(self._poll)
        return kernel

    def close(self) -> None:
        """Closes the page; the server goes on."""
        for task in self._beside:
            task.cancel()

    async def _log_in(self) -> float:
        """When the button was pressed."""
        page = await self._browser.page(self._browser.base)
        await self._browser.files(page.files)
        self._begin(self._browser.files, page.prefetched)
        begun = time.monotonic()
        form = self._form | {"_xsrf": page.fields.get("_xsrf") or self._browser.xsrf(self._hub / "")}
        page = await self._browser.page(URL(f"{self._hub}/{self._login}"), form)
        self._has_server = True
        if page.url.partition("?")[0].endswith("/hub/spawn"):
            # A choice among kinds of servers.
            page = await self._browser.page(URL(page.url), page.fields)
        self._tell(rehearsals.LOGGED_IN, time.monotonic() - begun, "")
        self._begin(self._browser.files, [*page.files, *page.prefetched])
        return begun

    async def _start(self) -> None:
        begun, last = time.monotonic(), dict[str, Any]()
        url = self._hub / "api" / "users" / self._name / "server" / "progress"
        async with self._browser.stream(url.with_query(_xsrf=self._browser.xsrf(url))) as answer:
            async for line in answer.content:
                if line.startswith(_EVENT):
                    last = json.loads(line.removeprefix(_EVENT))
        if not last.get("ready"):
            raise Failed(f"no server: {last.get('message') or 'the hub does not say why'}")
        self._tell(rehearsals.STARTED, time.monotonic() - begun, "")

    async def _open_lab(self) -> None:
        begun = time.monotonic()
        page = await self._browser.page(self._hub / "spawn-pending" / self._name)
        if not page.config:
            raise Failed(f"{URL(page.url).path} came instead of JupyterLab")
        await self._browser.files([*page.files, *page.prefetched])
        first = True
        for together in _LOADING:
            await asyncio.gather(*(self._ask(one) for one in together))
            if first:
                self._begin(self._hear_events)
            first = False
        self._tell(rehearsals.LAB, time.monotonic() - begun, "")
        await self._keep_workspace()

    async def _work(self, kernel: Kernel) -> None:
        end, saved, count = time.monotonic() + self._wanted.work, time.monotonic(), 0
        await self._think()
        while time.monotonic() < end:
            code = CELLS[count % len(CELLS)]
            count += 1
            sent = time.monotonic()
            await kernel.run(code, _CELL_WITHIN)
            self._tell(rehearsals.CELL, time.monotonic() - sent, "")
            self._cells.append(code)
            # By hand at the end of each round, by itself now and then.
            if count % len(CELLS) == 0 or time.monotonic() - saved > _SAVED_EVERY:
                await self._save()
                saved = time.monotonic()
            await self._think()
        await self._save()

    async def _open_notebook(self) -> Kernel:
        made = await self._call("POST", "api/contents", {"type": "notebook", "path": ""})
        self._notebook = made["path"]
        contents = f"api/contents/{self._notebook}"
        await asyncio.gather(self._ask(f"{contents}?content=0&hash=0"), self._ask("api/contents?content=1&hash=0"))
        await self._ask(f"{contents}?type=notebook&content=1&hash=1")
        await asyncio.gather(*(self._ask(f"{contents}/checkpoints") for _ in range(3)), self._ask("api/sessions"))
        asked = {"path": str(uuid.uuid4()), "type": "notebook", "name": self._notebook, "kernel": {"name": "python3"}}
        session = await self._call("POST", "api/sessions", asked)
        page = str(uuid.uuid4())
        channels = self._server / "api" / "kernels" / session["kernel"]["id"] / "channels"
        kernel = Kernel(await self._browser.socket(channels.with_query(session_id=page), (PROTOCOL,)), page)
        known = {"id": session["id"], "path": self._notebook}
        await asyncio.gather(
            self._ask("api/sessions"), self._ask("api/kernels"), self._call("PATCH", f"api/sessions/{session['id']}", known),
            self._ask("api/kernelspecs"), kernel.greet(_KERNEL_WITHIN),
        )  # fmt: skip
        return kernel

    async def _save(self) -> None:
        begun, contents = time.monotonic(), f"api/contents/{self._notebook}"
        cells = [
            {
                "cell_type": "code", "id": f"cell{number}", "execution_count": number, "metadata": {}, "outputs": [],
                "source": code,
            }
            for number, code in enumerate(self._cells, start=1)
        ]  # fmt: skip
        body = {"type": "notebook", "format": "json", "content": {**_NOTEBOOK, "cells": cells}}
        await self._ask(f"{contents}?content=0&hash=1")
        await self._call("PUT", contents, body)
        await asyncio.gather(
            self._ask(f"{contents}?content=0&hash=1"), self._ask("api/contents?content=1&hash=0"),
            self._ask(f"{contents}/checkpoints"), self._call("POST", f"{contents}/checkpoints"),
        )  # fmt: skip
        self._tell(rehearsals.SAVE, time.monotonic() - begun, "")

    async def stop(self) -> None:
        """At the button of the hub's page; returns when there is no server. It does nothing for whoever is not logged in."""
        if not self._has_server:
            return
        await self._browser.page(self._hub / "home")
        account = self._hub / "api" / "users" / self._name
        await self._browser.call("DELETE", account / "server")
        deadline = time.monotonic() + _STOPPED_WITHIN
        while (await self._browser.call("GET", account))["servers"]:
            if time.monotonic() > deadline:
                raise Failed(f"the server did not stop within {_STOPPED_WITHIN:.0f} s")
            await asyncio.sleep(_STEP)
        self._has_server = False

    async def _think(self) -> None:
        await asyncio.sleep(self._wanted.think * self._chance.uniform(0.5, 1.5))

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(_POLL_EVERY)
            await asyncio.gather(*(self._ask(one) for one in _POLLED))
            await self._keep_workspace()

    async def _keep_workspace(self) -> None:
        body = {"data": {"layout-restorer:data": {"main": None}}, "metadata": {"id": "default"}}
        await self._browser.call("PUT", self._at("lab/api/workspaces/default"), body, may_be_missing=True)

    async def _hear_events(self) -> None:
        """The page keeps it open, and reads what comes."""
        async for _ in await self._browser.socket(self._server / "api" / "events" / "subscribe"):
            pass

    def _begin(self, work: Callable[..., Awaitable[None]], *arguments: Any) -> None:
        """Beside all else; a failure there fails what needs it later."""

        async def quiet() -> None:
            with suppress(Failed):
                await work(*arguments)

        task = asyncio.ensure_future(quiet())
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)

    async def _ask(self, path: str) -> None:
        """What JupyterLab asks its server for; nobody reads the answer."""
        missing = path.partition("?")[0] in _MAY_BE_MISSING
        await self._browser.call("GET", self._at(path), may_be_missing=missing)

    async def _call(self, method: str, path: str, body: Any = None) -> Any:
        return await self._browser.call(method, self._at(path), body)

    def _at(self, path: str) -> URL:
        """With the number that JupyterLab adds, so that no cache answers."""
        there, _, query = path.partition("?")
        number = str(time.time_ns() // 10**6)
        return URL(f"{self._server}/{there}?{query + '&' if query else ''}{number}")


__all__ = ["Failed", "KernelFailed", "Person"]
