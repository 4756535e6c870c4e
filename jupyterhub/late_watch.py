"""`python -m late_watch`: looks at a new hub for an hour, and brings the old one back if it is not well, image and database.

`up` makes its container, which holds the engine's socket. It takes no request from anybody: what it sees is the engine's word and
the login page. It ends at once where somebody else replaces or stops the hub.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contract import containers, labels, login_page, states
from contract.documents import from_bytes, to_bytes
from contract.states import State, Watched, WentBack
from docker import APIClient
from docker.errors import APIError, NotFound
from states import Store

# Seconds between two looks, failures in a row, and unasked starts of the hub, after which it is not well.
STEP, FAILURES, STARTS = 10.0, 6, 3
_STOPPED = ("created", "exited", "paused", "dead")
_STOP_WITHIN = 10
# Seconds for a component that comes back, and for a helper of a command that works on states.
_HEALTHY_WITHIN, _ALONE_WITHIN = 180.0, 120.0


class Over(Exception):
    """Nobody need watch any more: somebody replaced, stopped or removed what is watched."""


@dataclass
class Look:
    """What is seen of the hub, look by look."""

    api: Any
    watched: Watched
    trouble: Callable[..., str] = login_page.trouble
    failures: int = 0
    away: int = 0
    starts: int | None = None

    def again(self) -> str:
        """Why the hub must go back; empty if it need not, or not yet. Raises Over."""
        hub, proxy = self._found(self.watched.hub), self._found(self.watched.proxy)
        if (hub and hub["Image"] != self.watched.image) or (proxy and proxy["Id"] != self.watched.proxy_id):
            raise Over
        if not hub or not proxy or any(one["State"]["Status"] in _STOPPED for one in (hub, proxy)):
            # An `up` may just make it anew.
            self.failures, self.away = 0, self.away + 1
            if self.away > 1:
                raise Over
            return ""
        self.away = 0
        before, self.starts = self.starts, hub["RestartCount"] if self.starts is None else self.starts
        if before is not None and hub["RestartCount"] - before >= STARTS:
            return f"{self.watched.hub} ended {STARTS} times, and the engine started it again"
        wrong = self.trouble(*self.watched.question)
        self.failures = self.failures + 1 if wrong else 0
        return wrong if self.failures >= FAILURES else ""

    def _found(self, name: str) -> dict[str, Any] | None:
        try:
            return dict(self.api.inspect_container(name))
        except NotFound:
            return None


class WayBack:
    """To the state that `watched` names, in the order in which the library goes: its plan for that is plan/rollback.py."""

    def __init__(self, api: Any, watched: Watched, store: Store, folder: Path) -> None:
        self._api, self._watched, self._store, self._folder = api, watched, store, folder

    def go(self, why: str) -> None:
        """Raises whatever keeps it from its end, when the record of that is written."""
        record = WentBack(time.time(), why)
        try:
            self._be_alone()
            self._go(from_bytes(State, (self._folder / self._watched.state / states.STATE).read_bytes()))
        except Exception as error:
            record = WentBack(record.at, why, failed=str(error) or type(error).__name__)
            raise
        finally:
            (self._folder / states.WENT_BACK).write_bytes(to_bytes(record))

    def _be_alone(self) -> None:
        """Takes the name of the helpers that work on states, of which there is one at a time."""
        deployment, deadline = self._watched.deployment, time.monotonic() + _ALONE_WITHIN
        while True:
            try:
                self._api.rename(states.watch_name(deployment), states.helper_name(deployment))
                return
            except APIError as error:
                if error.status_code != 409 or time.monotonic() > deadline:
                    raise
            time.sleep(1)

    def _go(self, state: State) -> None:
        for server in self._newer_servers(state.at):
            self._stop(server)
        self._stop(self._watched.hub)
        try:
            self._store.bring(state.id)
        except OSError:
            # The database is the new hub's still.
            self._api.start(self._watched.hub)
            raise
        for name in self._watched.newcomers:
            self._remove(name)
        for name in self._watched.order:
            self._remove(name)
            containers.recreate(self._api, name, state.containers[name])
            self._api.start(name)
            self._await_health(name)
        repository, _, tag = self._watched.reference.rpartition(":")
        self._api.tag(state.image, repository, tag, force=True)

    def _newer_servers(self, at: float) -> Iterator[str]:
        """Servers that the old database does not know."""
        wanted = [f"{labels.DEPLOYMENT}={self._watched.deployment}", f"{labels.ROLE}={labels.SERVER}"]
        for one in self._api.containers(filters={"label": wanted}):
            if one["Created"] > at:
                yield one["Id"]

    def _stop(self, name: str) -> None:
        try:
            self._api.stop(name, timeout=_STOP_WITHIN)
        except NotFound:
            return

    def _remove(self, name: str) -> None:
        self._stop(name)
        try:
            self._api.remove_container(name, force=True)
        except NotFound:
            return

    def _await_health(self, name: str) -> None:
        deadline = time.monotonic() + _HEALTHY_WITHIN
        while True:
            check = containers.health_command(self._api.inspect_container(name))
            try:
                if check is None or containers.run(self._api, name, check)[0] == 0:
                    return
            except APIError as error:
                # It does not run at this moment.
                if error.status_code != 409:
                    raise
            if time.monotonic() > deadline:
                raise TimeoutError(f"{name} is not healthy after {_HEALTHY_WITHIN:.0f} s")
            time.sleep(0.2)


def main() -> None:
    os.umask(0o077)
    watched = from_bytes(Watched, os.environ["WATCHED"].encode())
    api = APIClient(base_url=f"unix://{states.SOCKET}", version="auto")
    store = Store(Path(states.DATA), Path(states.DOCUMENTS), Path(states.STATES))
    look, until = Look(api, watched), time.monotonic() + watched.seconds
    while time.monotonic() < until:
        time.sleep(STEP)
        try:
            why = look.again()
        except Over:
            return
        if why:
            WayBack(api, watched, store, Path(states.STATES)).go(why)
            return


if __name__ == "__main__":
    main()
