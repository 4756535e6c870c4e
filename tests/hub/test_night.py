"""A night of thirty servers in minutes: work goes on, and whoever was forgotten gives their memory back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.hub.clone import Clone
from tests.hub.person import Kernel, Person
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


def at_work(clone: Clone, name: str) -> tuple[Person, Kernel]:
    person = clone.person(name)
    assert person.log_in(_PASSWORD).ok
    person.take_token()
    person.start_server()
    kernel = person.open_kernel()
    assert kernel.run("print(6 * 7)") == "42\n"
    return person, kernel


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
    looking = [at_work(quick, name)[0] for name in _LOOKING]
    with in_sight(looking):
        busy = []
        for name in _BUSY:
            person, kernel = at_work(quick, name)
            kernel.send("import time; time.sleep(3600)")
            kernel.close()
            busy.append(person)
        # Their pages were left open on machines that sleep: the websockets stay.
        forgotten = [at_work(quick, name) for name in _FORGOTTEN]
        taken = available_memory()
        left = {quick.server_name(name) for name in _FORGOTTEN}
        until(lambda: not any(map(quick.has_container, left)), _STOPPED_WITHIN, "the forgotten servers are gone")
        assert available_memory() - taken > _MEMORY_BACK
        time.sleep(_LONGER)
        assert [one.name for one in (*busy, *looking) if not one.servers().get("", {}).get("ready")] == []
    for person, _ in forgotten:
        assert "as nothing ran in it for 3 minutes." in person.page("/hub/home"), person.name
    assert [one.name for one in (*busy, *looking) if "Your server was stopped" in one.page("/hub/home")] == []
