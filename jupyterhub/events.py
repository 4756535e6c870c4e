"""The engine's events about users' servers: what led to the end of one, and word of each end as it happens.

It reads and never changes anything, and the hub never waits for it: the stream has a thread of its own.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import suppress
from typing import Any

import ends
from docker import APIClient

log = logging.getLogger("events")

# Seconds before the end that are asked for, and seconds after it in which a late event may still come.
BEFORE, AFTER = 90.0, 1.0
# Seconds between two tries to reach an engine that went away: the first pause, which doubles, and the longest.
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0

Check = Callable[[], Coroutine[Any, Any, object]]


def around_end(client: APIClient, container: str, state: Mapping[str, Any]) -> ends.Events:
    """The events of the container with this id, whose `state` the engine gave. Blocks for AFTER seconds at most, and only
    where the events decide what is said and have not come yet. Raises DockerException and OSError."""
    ended = ends.seconds(state["FinishedAt"])
    # The engine's clock is this one: the hub runs on the engine's host.
    until = max(time.time(), ended + AFTER) if ends.is_doubtful(state) else time.time()
    asked = {"container": container, "type": "container", "event": ["kill", "oom", "die"]}
    recorded: list[Mapping[str, Any]] = []
    # As text: docker-py cuts a datetime to whole seconds, which would lose the last events.
    stream = client.events(decode=True, since=f"{ended - BEFORE:.6f}", until=f"{until:.6f}", filters=asked)  # type: ignore[call-overload]
    try:
        for event in stream:
            recorded.append(event)
            known = ends.events_of(recorded)
            if known.complete and (ends.is_stopped(state, known) or ends.is_out_of_memory(state, known)):
                break
    finally:
        # The engine may have closed it already, at the time `until`.
        with suppress(OSError):
            stream.close()
    return ends.events_of(recorded)


class EndWatch:
    """Runs a server's check in the hub's loop as soon as the engine reports its end.

    One stream serves all servers. An engine that restarts is found again, and then every server is checked, as ends may
    have been missed meanwhile. JupyterHub's own poll, twice a minute, goes on beside it.
    """

    def __init__(self, engine: Callable[[], APIClient], carried: Mapping[str, str]) -> None:
        """`engine` makes a client; `carried` are labels that the servers' containers have."""
        self._engine = engine
        self._filters = {
            "type": "container",
            "event": "die",
            "label": [f"{key}={value}" for key, value in carried.items()],
        }
        self._checks: dict[str, Check] = {}
        self._running: set[asyncio.Task[object]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    def follow(self, container: str, check: Check) -> None:
        """Has `check` run when the container with this id ends. Call it in the hub's loop."""
        self._checks[container] = check
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            threading.Thread(target=self._listen, args=[self._loop], name="engine-events", daemon=True).start()

    def forget(self, container: str) -> None:
        self._checks.pop(container, None)

    def _listen(self, loop: asyncio.AbstractEventLoop) -> None:
        pause = FIRST_PAUSE
        while not loop.is_closed():
            try:
                for container in self._ended():
                    pause = FIRST_PAUSE
                    loop.call_soon_threadsafe(self._check, container)
            except Exception as error:
                # Whatever an engine that goes away looks like from docker-py and the libraries below it.
                if not loop.is_closed():
                    log.warning("the engine's events broke off: %s", error)
            time.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    def _ended(self) -> Iterator[str | None]:
        """The ids of containers as they end; first of all None, when the stream is there."""
        client = self._engine()
        try:
            stream = client.events(decode=True, filters=self._filters)
            yield None
            for event in stream:
                yield event["Actor"]["ID"]
        finally:
            client.close()

    def _check(self, container: str | None) -> None:
        """In the hub's loop. None checks all."""
        if container is not None and container in self._checks:
            log.info("the engine reports the end of the server in container %s", container[:12])
        for check in [self._checks[one] for one in self._checks if container in (None, one)]:
            task = asyncio.ensure_future(check())
            self._running.add(task)
            task.add_done_callback(self._checked)

    def _checked(self, task: "asyncio.Task[object]") -> None:
        self._running.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("a server that ended could not be checked", exc_info=task.exception())
