"""A night of thirty servers in minutes: work goes on, and whoever was forgotten gives their memory back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.hub.clone import Clone
from tests.hub.person import Person
from tests.hub.waiting import until

_PASSWORD = "password of these tests"
_EACH = 10
_BUSY, _LOOKING, _FORGOTTEN = (
    [f"{kind}{number:02}" for number in range(_EACH)] for kind in ("busy", "looking", "away")
)
# Seconds. JupyterLab in sight asks so often.
_ASK_EVERY = 10.0
_STOPPED_WITHIN, _LONGER = 420, 45
# A server with an idle kernel takes about 95 MB.
_MEMORY_BACK = _EACH * 50 * 1024**2


@pytest.fixture(scope="module")
def quick(hub: Clone, new_clone: Callable[..., Clone]) -> Iterator[Clone]:
    """A deployment in which three minutes are a night."""
    people = "\n".join([*_BUSY, *_LOOKING, *_FORGOTTEN])
    made = new_clone(people, USER_PASSWORD=_PASSWORD, USER_MEMORY_LIMIT="512M", IDLE_TIMEOUT="3m")
    made.share_images_of(hub)
    made.up()
    yield made
    made.remove()


@contextmanager
def in_sight(people: list[Person]) -> Iterator[None]:
    """What JupyterLab asks its server as long as its page can be seen."""
    over = threading.Event()

    def ask() -> None:
        while not over.wait(_ASK_EVERY):
            for person in people:
                for what in ("kernels", "sessions", "terminals"):
                    person.call("GET", f"/user/{person.name}/api/{what}")

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    yield
    over.set()
    thread.join()


def available_memory() -> int:
    (line,) = [line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemAvailable:")]
    return int(line.split()[1]) * 1024


@pytest.mark.slow
def test_after_a_night_exactly_the_forgotten_servers_are_gone_and_their_memory_is_back(quick: Clone) -> None:
    looking = [quick.person(name) for name in _LOOKING]
    for person in looking:
        person.at_work(_PASSWORD)
    with in_sight(looking):
        busy = [quick.person(name) for name in _BUSY]
        for person in busy:
            kernel = person.at_work(_PASSWORD)
            kernel.send("import time; time.sleep(3600)")
            kernel.close()
        # Their pages were left open on machines that sleep: the websockets stay.
        forgotten = [quick.person(name) for name in _FORGOTTEN]
        left_open = [person.at_work(_PASSWORD) for person in forgotten]
        taken = available_memory()
        left = {quick.server_name(name) for name in _FORGOTTEN}
        until(lambda: not any(map(quick.has_container, left)), _STOPPED_WITHIN, "the forgotten servers are gone")
        assert available_memory() - taken > _MEMORY_BACK
        for kernel in left_open:
            kernel.close()
        time.sleep(_LONGER)
        assert [one.name for one in (*busy, *looking) if not one.servers().get("", {}).get("ready")] == []
    for person in forgotten:
        assert "as nothing ran in it for 3 minutes." in person.page("/hub/home"), person.name
    assert [one.name for one in (*busy, *looking) if "Your server was stopped" in one.page("/hub/home")] == []
