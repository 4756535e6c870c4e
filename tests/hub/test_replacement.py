"""`up` while people work: it changes only what it must, and nobody notices a new hub."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType

import requests
import websocket

from tests.hub.clone import Clone
from tests.hub.person import Kernel, Person
from tests.hub.waiting import until

_ASK_EVERY = 0.1
_TICK_EVERY = 0.2
# Seconds; a person does not notice a shorter stall. On an idle machine ticks were at most 0.3 s late.
_LONGEST_SILENCE = 3.0
TICKING = f"""
import threading, time
kept, ticking = 41, threading.Event()
def tick():
    while not ticking.wait({_TICK_EVERY}):
        print('tick', flush=True)
thread = threading.Thread(target=tick, daemon=True)
thread.start()
"""


def test_up_after_up_changes_nothing(hub: Clone, logged_in: Callable[[str], Person]) -> None:
    logged_in("grace").start_server()
    hub.up()
    before = identities(hub)
    assert "nothing to do" in hub.up()
    assert identities(hub) == before


def test_nobody_notices_a_new_hub(hub: Clone, logged_in: Callable[[str], Person]) -> None:
    grace = logged_in("grace")
    grace.start_server()
    kernel = grace.open_kernel()
    kernel.run(TICKING)
    before = identities(hub)

    with Watch(grace, kernel) as watch:
        until(lambda: watch.answered > 10 and watch.ticks > 5, 30, "the watch has seen requests and ticks")
        healthcheck = hub.root / "jupyterhub" / "healthcheck.py"
        healthcheck.write_text(healthcheck.read_text() + "# another line\n")
        hub.up()
        seen = watch.answered
        until(lambda: watch.answered > seen + 20, 30, "the watch has seen requests after the replacement")

    after = identities(hub)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {hub.settings.hub_name}
    assert watch.failures == []
    assert watch.longest_silence < _LONGEST_SILENCE
    assert kernel.run("ticking.set(); print(kept + 1)").replace("tick\n", "") == "42\n"
    kernel.close()
    assert logged_in("grace").call("GET", kernel.path).json()["execution_state"] == "idle"


class Watch:
    """Asks a person's server ten times a second and listens to a kernel's socket, both until it is left."""

    def __init__(self, person: Person, kernel: Kernel) -> None:
        self.person, self.kernel = person, kernel
        self.answered = self.ticks = 0
        self.failures: list[str] = []
        self.longest_silence = 0.0
        self._done = threading.Event()
        self._threads = [threading.Thread(target=one, daemon=True) for one in (self._ask, self._listen)]

    def __enter__(self) -> Watch:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        while not self._done.wait(_ASK_EVERY):
            try:
                answer = self.person.call("GET", self.kernel.path)
            except requests.RequestException as error:
                self.failures.append(f"no answer: {error}")
                continue
            if answer.status_code == 200:
                self.answered += 1
            else:
                self.failures.append(f"{answer.status_code}: {answer.text[:200]}")

    def _listen(self) -> None:
        last = time.monotonic()
        while not self._done.is_set():
            try:
                message = self.kernel.receive()
            except (OSError, websocket.WebSocketException) as error:
                self.failures.append(f"the socket broke: {error!r}")
                return
            if message["msg_type"] == "stream":
                now = time.monotonic()
                self.ticks += 1
                self.longest_silence, last = max(self.longest_silence, now - last), now


def identities(hub: Clone) -> dict[str | None, tuple[str | None, str, str]]:
    """Container -> its id, its image's id, and when it was started."""
    return {
        one.name: (one.id, one.attrs["Image"], one.attrs["State"]["StartedAt"])
        for one in hub.containers()
        if one.name in (hub.settings.hub_name, hub.settings.proxy_name, hub.server_name("grace"))
    }
