"""Joins board, memory and hub with Jupyter Server: two addresses, an event for its pages, a look at memory and kernels.

Pages read all once, at `api/hub-notices`. Later changes come over the websocket of events that JupyterLab has open anyway.
"""

import asyncio
import os
import signal
import time
from contextlib import suppress
from functools import partial
from typing import Any

import home
from jupyter_server._tz import utcnow
from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import url_path_join
from tornado import web

from hub_notices import memory
from hub_notices.board import Board, Notice
from hub_notices.hub import UNREACHABLE, Line

EVENT = "urn:hub-notices:state"
_SCHEMA = {
    "$id": EVENT,
    "version": "1",
    "title": "What a page shows of its hub and its memory",
    "type": "object",
    "required": ["state"],
    "properties": {"state": {"type": "object"}},
}
# Seconds. A page notices a rise of memory so soon. Jupyter Server itself notices a dead kernel within 3 s.
_LOOK_EVERY = 2.0
# So long a large process may take to be gone when it was killed.
_GONE_WITHIN = 2.0
# The hub is asked when the first page asks, so that a server's start waits for nothing; without a page after this time.
_ASK_HUB_WITHIN = 60.0
# So long a page waits for the hub's first answer.
_HUB_ANSWERS_WITHIN = 2.0
# A page that lost its websocket for a while learns then what it missed.
_SEND_AT_LEAST_EVERY = 60.0
# Memory in steps of a hundredth of the limit: smaller changes are sent to no page.
_STEPS = 100
_KERNEL_WAS_GIVEN_UP = (
    "A kernel ended each time as soon as it was started. Something in your home may be the reason: a start-up file in"
    ' ~/.ipython, or a package that you installed.\nFile > Hub Control Panel has the button "Stop my server and start it'
    ' safely": same files, your settings and packages left aside. reset-my-packages, in a terminal, puts the packages aside.'
)


class Notices:
    """What one server tells its pages."""

    def __init__(self, serverapp: Any) -> None:
        self._kernels = serverapp.kernel_manager
        self._sessions = serverapp.session_manager
        self._events = serverapp.event_logger
        self._log = serverapp.log
        self.board = Board(self.send)
        self.line = Line(self.board)
        self._activity = serverapp.web_app.settings["last_activity_times"]
        self._memory = memory.read()
        # Kills that were seen, and those among them that a message explains.
        self._seen = self._explained = self._memory.kills if self._memory else 0
        self._watched: set[str] = set()
        # Kernels that ran out of memory.
        self._out_of_memory: set[str] = set()
        self._page_asked = asyncio.Event()
        self._sent: tuple[int, float] = (-1, 0.0)
        self._tasks: set[asyncio.Task[None]] = set()

    def state(self) -> dict[str, Any]:
        """All that a page shows. `at` is in milliseconds: a page ignores what is older than what it shows."""
        used = {"used": self._memory.used, "limit": self._memory.limit} if self._memory else None
        return {"at": time.time_ns() // 10**6, "memory": used, "notices": self.board.shown()}

    async def state_with_hub(self) -> dict[str, Any]:
        """The state when the hub has answered, or does not answer in time."""
        self._page_asked.set()
        with suppress(TimeoutError):
            await asyncio.wait_for(self.line.tried.wait(), _HUB_ANSWERS_WITHIN)
        return self.state()

    def send(self) -> None:
        """Sends the state to all pages; without a page this is cheap."""
        self._sent = (self._step(), time.monotonic())
        self._events.emit(schema_id=EVENT, data={"state": self.state()})

    def start(self) -> None:
        if home.SAFE_START in os.environ:
            self.board.post(Notice("safe-start", os.environ[home.SAFE_START], "warning", until="page"))
        if home.START_NOTICE in os.environ:
            self.board.post(Notice("start", os.environ[home.START_NOTICE]))
        self._keep(self._look())
        self._keep(self._follow_hub())

    def mark_read(self, notice: str) -> None:
        self.board.mark_read(notice)
        if self.board.unconfirmed:
            self._keep(self._confirm())

    def _keep(self, work: Any) -> None:
        """Runs work beside the server; the loop itself holds tasks only weakly."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _confirm(self) -> None:
        try:
            await self.line.confirm()
        except UNREACHABLE as error:
            self._log.info("the hub does not know yet what was read: %s", error)

    async def _follow_hub(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._page_asked.wait(), _ASK_HUB_WITHIN)
        await self.line.follow()

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            self._watch_new_kernels()
            self._count_busy_kernels()
            self._memory = memory.read()
            if self._memory and self._memory.kills > self._seen:
                self._seen = self._memory.kills
                self._keep(self._explain_unless_kernel(self._seen))
            step, sent_at = self._sent
            if self._step() != step or time.monotonic() - sent_at > _SEND_AT_LEAST_EVERY:
                self.send()

    def _step(self) -> int:
        return self._memory.used * _STEPS // self._memory.limit if self._memory else -1

    def _watch_new_kernels(self) -> None:
        running = set(self._kernels.list_kernel_ids())
        for kernel in running - self._watched:
            self._kernels.add_restart_callback(kernel, partial(self._kernel_died, kernel), "restart")
            self._kernels.add_restart_callback(kernel, partial(self._kernel_was_given_up, kernel), "dead")
        self._watched = running

    def _count_busy_kernels(self) -> None:
        """A kernel that says nothing while it computes is activity too. JupyterHub's own part of the server reports that to the
        hub."""
        kernels = [self._kernels.get_kernel(kernel) for kernel in self._kernels.list_kernel_ids()]
        if any(getattr(kernel, "execution_state", "") == "busy" for kernel in kernels):
            self._activity["busy_kernels"] = utcnow()

    def _kernel_died(self, kernel: str) -> None:
        """Called by Jupyter Server before it restarts a kernel that ended by itself."""
        self._memory = memory.read()
        if self._memory and self._memory.kills > self._explained and _was_killed(self._kernels.get_kernel(kernel)):
            self._explained = self._memory.kills
            self._out_of_memory.add(kernel)
            self._keep(self._explain(kernel, self._memory.limit))

    def _kernel_was_given_up(self, kernel: str) -> None:
        """Called by Jupyter Server after a kernel has ended six times in a row within seconds."""
        if kernel not in self._out_of_memory and home.SAFE_START not in os.environ:
            self.board.post(Notice("kernel-given-up", _KERNEL_WAS_GIVEN_UP, "warning"))

    async def _explain(self, kernel: str, limit: int) -> None:
        try:
            session = await self._sessions.get_session(kernel_id=kernel)
            subject = f"The kernel of {session['name'] or session['path']}"
        except (web.HTTPError, KeyError):
            subject = "A kernel"
        text = (
            f"{subject} ran out of memory and was ended. The limit of this server is {memory.in_words(limit)}.\n"
            "Variables are gone, files are not.\nWork with less data at a time, or shut down kernels that you do not need."
        )
        self.board.post(Notice(f"memory-{kernel}-{self._explained}", text, "warning", kernel))

    async def _explain_unless_kernel(self, kills: int) -> None:
        """A program in a terminal, or one that a kernel started. Jupyter Server calls _kernel_died for a kernel."""
        await asyncio.sleep(_GONE_WITHIN)
        kernels = [self._kernels.get_kernel(kernel) for kernel in self._kernels.list_kernel_ids()]
        alive = [await kernel.is_alive() for kernel in kernels]
        if self._memory and kills > self._explained and all(alive):
            self._explained = kills
            text = (
                "A program in this server ran out of memory and was ended. The limit of this server is"
                f" {memory.in_words(self._memory.limit)}, for kernels, terminals and files in /dev/shm together."
            )
            self.board.post(Notice(f"memory-{kills}", text, "warning"))


def _was_killed(kernel: Any) -> bool:
    """Whether a kernel that ended was killed; True where that cannot be known."""
    code = getattr(getattr(kernel.provisioner, "process", None), "returncode", None)
    return code in (None, -signal.SIGKILL)


class _Handler(APIHandler):  # type: ignore[misc]  # its package is in the image only
    auth_resource = "hub-notices"
    # A page that is open is no user who works.
    _track_activity = False

    def initialize(self, notices: Notices) -> None:
        self.notices = notices


class StateHandler(_Handler):
    @web.authenticated
    @authorized  # type: ignore[untyped-decorator]
    async def get(self) -> None:
        self.finish(await self.notices.state_with_hub())


class NoticeHandler(_Handler):
    @web.authenticated
    @authorized  # type: ignore[untyped-decorator]
    async def delete(self, notice: str) -> None:
        """Marks a message as read. Only its own user can: others, admins for example, may look at this server."""
        if self.current_user.username != os.environ.get("JUPYTERHUB_USER"):
            raise web.HTTPError(403, "only the server's own user can do that")
        self.notices.mark_read(notice)
        self.set_status(204)
        self.finish()


def load(serverapp: Any) -> None:
    serverapp.event_logger.register_event_schema(_SCHEMA)
    notices = serverapp.web_app.settings["hub_notices"] = Notices(serverapp)
    base = url_path_join(serverapp.base_url, "api/hub-notices")
    with_notices = {"notices": notices}
    serverapp.web_app.add_handlers(
        ".*$", [(base, StateHandler, with_notices), (f"{base}/([^/]+)", NoticeHandler, with_notices)]
    )


def start(serverapp: Any) -> None:
    serverapp.web_app.settings["hub_notices"].start()
