"""What the command line orders for a class, and how the hub carries it out. Time, users and JupyterHub's API are given here;
real servers start and stop in tests/hub/test_classes.py.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from jupyterhub import orm

from tests.unit.hub import hub_image

orders, attendant, audit = (hub_image.load(name) for name in ("orders", "attendant", "audit"))
NOW = 1_800_000_000.0


def ordered(folder: Path, *words: str) -> Any:
    return orders.main([str(folder), *words])


def events(folder: Path) -> list[tuple[str, str]]:
    return [(one.event, one.user) for one in audit.entries(folder)]


def test_a_start_takes_the_place_of_an_open_one_and_can_be_withdrawn(tmp_path: Path) -> None:
    ordered(tmp_path, "start", "@physics", str(NOW))
    ordered(tmp_path, "start", "@maths", str(NOW))
    ordered(tmp_path, "start", "@physics", str(NOW + 60))
    found = ordered(tmp_path, "show")["orders"]
    assert [(one["people"], one["at"]) for one in found] == [("@maths", NOW), ("@physics", NOW + 60)]
    assert ordered(tmp_path, "withdraw", "@physics") == {"withdrawn": 1}
    assert ordered(tmp_path, "withdraw", "@physics") == {"withdrawn": 0}
    assert ("start of servers of @maths ordered for 2027-01-15 08:00 UTC", "") in events(tmp_path)


def test_what_is_due_is_open_until_it_is_closed_and_old_orders_go(tmp_path: Path) -> None:
    now = [NOW]
    store = orders.Orders(tmp_path, lambda: now[0])
    first, later = store.add("start", "@physics", NOW), store.add("start", "@maths", NOW + 1)
    assert [one.number for one in store.due()] == [first]
    now[0] += 1
    assert [one.number for one in store.due()] == [first, later]
    store.close(first, {"users": {}})
    assert [one.number for one in store.due()] == [later]
    assert [one.outcome for one in store.all()] == [{"users": {}}, None]
    now[0] += orders.KEPT + 1
    store.add("start", "@physics", now[0])
    assert [one.people for one in store.all()] == ["@physics"]


def test_each_user_of_a_class_that_is_closed_is_on_record(tmp_path: Path) -> None:
    ordered(tmp_path, "stop", "@physics", json.dumps({"ada": "over", "bob": "over"}))
    ordered(tmp_path, "tell", "@physics", json.dumps({"ada": "collected"}))
    stopped = "server stopped, as the class is over"
    assert events(tmp_path) == [(stopped, "ada"), (stopped, "bob"), ("files collected", "ada")]


class Spawner(SimpleNamespace):
    """A server that starts at the first look, or fails with these words."""

    @property
    def active(self) -> bool:
        return self.ready or bool(self.pending)

    def options_again(self) -> dict[str, str]:
        return {"kind": "big"}

    def tell_end(self, end: Any, level: int) -> None:
        self.ended = end.for_user


class Hub:
    """Stands in for JupyterHub's application, and for the queue: a database of users, whose servers are given."""

    def __init__(self, folder: Path) -> None:
        self.db = orm.new_session_factory("sqlite://")()
        self.authenticator = SimpleNamespace(
            data_dir=str(folder), listed_groups={"ada": ("physics",), "new": ("physics",)}
        )
        self.users: dict[Any, Any] = {}
        self.told: list[tuple[str, str]] = []
        self.dismissed: list[str] = []
        self.asked: list[tuple[str, dict[str, str], int]] = []
        self.port_for_servers, self.hub_prefix = 1, "/hub/"
        self.stays: set[str] = set()
        self.starting: list[asyncio.Task[None]] = []

    def add(self, name: str, *groups: str, runs: bool = False) -> Spawner:
        row = orm.User(name=name)
        self.db.add(row)
        for group in groups:
            row.groups.append(orm.Group.find(self.db, group) or orm.Group(name=group))
        self.db.commit()
        spawner = Spawner(ready=runs, pending="", is_prepared=False, _spawn_future=None, name=name)
        spawners = {"": spawner}
        self.users[row] = SimpleNamespace(
            name=name, spawner=spawner, spawners=spawners, get_spawner=lambda name, replace_failed: spawner
        )
        return spawner

    def dismiss(self, spawner: Any, *, unless_seen: bool = False) -> None:
        if spawner.pending:
            self.dismissed.append(spawner.name)
            spawner.pending = ""

    def send(self, row: Any, notice: Any) -> None:
        self.told.append((row.name, notice.text))

    def open(self, name: str) -> Spawner:
        found: Spawner = next(one.spawner for row, one in self.users.items() if row.name == name)
        return found


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    made = Hub(tmp_path)

    async def ask(self: Any, user: Any, options: dict[str, str]) -> None:
        made.asked.append((user.name, options, sum(bool(one.spawner.pending) for one in made.users.values())))
        user.spawner.pending = "spawn"

        async def start() -> None:
            await asyncio.sleep(0.05)
            if user.name not in made.stays:
                user.spawner.pending, user.spawner.ready = "", True

        made.starting.append(asyncio.ensure_future(start()))

    async def stop(user: Any) -> None:
        user.spawner.ready = False

    monkeypatch.setattr(attendant.Attendant, "_ask", ask)
    monkeypatch.setattr(attendant.stopping, "stop", stop)
    monkeypatch.setattr(attendant, "_STEP", 0.01)
    return made


def carried_out(hub: Hub, tmp_path: Path, within: float = 5.0) -> list[Any]:
    """The outcomes of all orders."""

    async def run() -> None:
        one = attendant.Attendant(hub, hub, hub)
        deadline = asyncio.get_running_loop().time() + within
        while any(order.outcome is None for order in orders.Orders(tmp_path).all()):
            one.look()
            assert asyncio.get_running_loop().time() < deadline
            await asyncio.sleep(0.02)

    asyncio.run(run())
    return [order.outcome for order in orders.Orders(tmp_path).all()]


def test_the_first_server_of_a_class_starts_alone_and_who_runs_keeps_theirs(hub: Hub, tmp_path: Path) -> None:
    """The first brings the image's files into memory. Groups are those of userlist and those that a login named."""
    hub.add("ada")
    hub.add("bob", "physics")
    hub.add("dan", "physics", runs=True)
    hub.add("eve", "maths")
    ordered(tmp_path, "start", "@physics", str(attendant.time.time()))
    (outcome,) = carried_out(hub, tmp_path)
    assert outcome == {"users": {"ada": "started", "bob": "started", "dan": "ran", "new": "has no account yet"}}
    assert hub.asked == [("ada", {"kind": "big"}, 0), ("bob", {"kind": "big"}, 0)]
    assert hub.open("bob").is_prepared


def test_a_start_that_is_far_too_late_is_not_made(hub: Hub, tmp_path: Path) -> None:
    hub.add("ada")
    ordered(tmp_path, "start", "@physics", str(attendant.time.time() - attendant.LATEST - 1))
    assert carried_out(hub, tmp_path) == [{"missed": True}]
    assert not hub.asked


def test_who_waits_for_a_place_until_the_class_has_long_begun_waits_no_longer(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add("ada")
    hub.stays.add("ada")
    monkeypatch.setattr(attendant, "LATEST", 0.2)
    ordered(tmp_path, "start", "@physics", str(attendant.time.time()))
    (outcome,) = carried_out(hub, tmp_path)
    assert (outcome["users"]["ada"], hub.dismissed) == ("it did not start", ["ada"])


def test_a_class_that_is_closed_stops_its_servers_with_a_word_and_takes_who_waits_out_of_the_queue(
    hub: Hub, tmp_path: Path
) -> None:
    ada, bob = hub.add("ada", runs=True), hub.add("bob")
    bob.pending = "spawn"
    hub.add("dan")
    ordered(
        tmp_path, "stop", "@physics", json.dumps(dict.fromkeys(("ada", "bob", "dan", "gone"), "The class is over."))
    )
    (outcome,) = carried_out(hub, tmp_path)
    assert outcome["users"] == {"ada": "stopped", "bob": "stopped", "dan": "did not run", "gone": "did not run"}
    assert (ada.ready, hub.dismissed) == (False, ["bob"])
    assert "The class is over." in ada.ended


def test_users_are_told_and_who_has_no_account_keeps_nobody_from_it(hub: Hub, tmp_path: Path) -> None:
    hub.add("ada")
    ordered(tmp_path, "tell", "@physics", json.dumps({"gone": "collected", "ada": "Your folder was collected."}))
    carried_out(hub, tmp_path)
    assert hub.told == [("ada", "Your folder was collected.")]


def test_an_order_that_fails_is_closed_with_its_error(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(self: Any, order: Any) -> dict[str, Any]:
        raise RuntimeError("no such thing")

    monkeypatch.setattr(attendant.Attendant, "_start_all", fails)
    ordered(tmp_path, "start", "@physics", "0")
    assert carried_out(hub, tmp_path) == [{"error": "no such thing"}]
