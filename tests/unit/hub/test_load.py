"""What the admin page learns of servers: who may ask, what each server takes, and how seldom the engine is asked for it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests

from hubdeploy.contract import seats as rule
from hubdeploy.contract.use import Use
from tests.hub import waiting
from tests.unit.hub import hub_image, live_hub, small_server, standin_filter
from tests.unit.hub.live_hub import LiveHub
from tests.unit.hub.standin_filter import StandIn

load, disk, seats, ends = (hub_image.load(name) for name in ("load", "disk", "seats", "ends"))
MB = 1024**2
_START = datetime(2026, 11, 28, 9, tzinfo=UTC)


def use(seconds: float, processor: float, memory: int = 100 * MB) -> dict[str, Any]:
    """What the filter says of a server, so many seconds after the first question."""
    at = f"{_START + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S.%f}000Z"
    return {"memory": memory, "processor": processor, "at": at}


class Story(SimpleNamespace):
    """A watch, a clock, and a filter that answers at once."""

    def look(self, seconds: float = 0.0) -> Any:
        """What is known so many seconds later, when the engine's answer to this look has come."""
        self.now += seconds

        async def looked() -> Any:
            assert isinstance(self.watch.loads, dict)
            if self.watch._asking:
                await self.watch._asking
            return self.watch._loads

        return asyncio.run(looked())


@pytest.fixture
def story(monkeypatch: pytest.MonkeyPatch) -> Story:
    made = Story(now=1000.0, watch=load.LoadWatch(), asked=[], answers=[])

    def ask(*question: Any) -> Any:
        made.asked.append(question[2])
        answer = made.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(load, "time", SimpleNamespace(monotonic=lambda: made.now))
    monkeypatch.setattr(load.question, "ask", ask)
    monkeypatch.setattr(load, "_FIRST_STEP", 0)
    return made


def test_the_share_of_a_processor_is_what_was_taken_between_two_looks(story: Story) -> None:
    story.answers = [{"c": use(0, 5.0)}, {"c": use(2, 6.0)}, {"c": use(12, 26.0, 200 * MB), "new": use(12, 1.0)}]
    assert story.look() == {"c": load.Load(100 * MB, 0.5)}
    assert story.look(10) == {"c": load.Load(200 * MB, 2.0), "new": load.Load(100 * MB)}


def test_who_has_a_card_is_asked_for_with_the_rest_where_there_are_cards(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    story.watch = load.LoadWatch(has_cards=True)
    monkeypatch.setattr(load, "held_cards", lambda: {"0": "ann", "1": ""})
    story.answers = [{"c": use(0, 5.0)}, {"c": use(2, 6.0)}, OSError("away")]
    assert story.look() == {"c": load.Load(100 * MB, 0.5)}
    assert story.watch.cards == {"0": "ann", "1": ""}
    assert story.look(10) == {}
    assert story.watch.cards == {}, "old ones would be taken for new ones"


def test_a_server_that_was_started_again_has_no_share_of_its_earlier_life() -> None:
    assert load.Load.between(Use(**use(0, 50.0)), Use(**use(10, 1.0))) == load.Load(100 * MB, 0.0)
    assert load.Load.between(Use(**use(10, 1.0)), Use(**use(10, 1.0))) == load.Load(100 * MB)


def test_the_engine_is_asked_as_often_for_many_admins_as_for_one_and_not_at_all_for_nobody(story: Story) -> None:
    story.answers = [{"c": use(0, 0)}, {"c": use(2, 0)}, {"c": use(12, 0)}]
    for _ in range(50):
        story.look(0.1)
    assert story.asked == ["/use", "/use"]
    story.look(10)
    assert len(story.asked) == 3
    story.now += 3600
    assert len(story.asked) == 3


def test_who_looks_again_after_a_while_gets_no_share_of_an_hour(story: Story) -> None:
    story.answers = [{"c": use(0, 0.0)}, {"c": use(2, 0.0)}, {"c": use(3600, 1800.0)}, {"c": use(3602, 1802.0)}]
    story.look()
    assert story.look(3600)["c"].processor == 1.0


def test_an_engine_that_is_away_leaves_no_old_figures(story: Story) -> None:
    story.answers = [{"c": use(0, 0)}, {"c": use(2, 0)}, OSError("away"), {"c": use(30, 0)}, {"c": use(32, 1)}]
    assert story.look()
    assert story.look(10) == {}
    assert story.look(10)["c"].processor == 0.5


def test_room_is_counted_by_the_rule_that_lets_servers_start() -> None:
    sure = 256 * MB
    for running in range(20):
        servers = [rule.Server(sure, taken * 10 * MB) for taken in range(running)]
        for available in (0, sure, 1024 * MB, 8192 * MB):
            left = rule.left(sure, servers, cap=4096 * MB, available=available)
            more = [rule.Server(sure)] * max(0, left - 1)
            assert rule.has_room(sure, servers, cap=4096 * MB, available=available) == (left > 0)
            if servers:
                there = {"cap": 4096 * MB, "available": available}
                assert left == 0 or rule.has_room(sure, [*servers, *more], **there)
                assert not rule.has_room(sure, [*servers, *[rule.Server(sure)] * left], **there)


def test_the_disk_of_a_user_who_was_never_measured_is_not_known(tmp_path: Path) -> None:
    (kind,) = hub_image.contract().kinds
    watch = disk.DiskWatch(kind, None, None, tmp_path / "levels")
    assert watch.taken("ann") is None
    watch._known = disk.Measure({"lab-home-ann": disk.Taken(5, 1), "lab-user-ann": disk.Taken(7, 1)})
    assert (watch.taken("ann"), watch.taken("bob")) == (disk.Taken(12, 2), None)


_SERVERS = """
import sys
from jupyterhub.spawner import SimpleLocalProcessSpawner
from filter import question
from spawner import ServerSpawner

question.SOCKET = "{socket}"

class Server(SimpleLocalProcessSpawner):
    object_id = property(lambda self: f"container-{{self.user.name}}" if self.pid else "")
    kind = property(lambda self: self.config.ServerSpawner.kinds.kinds[0])
    is_prepared = False
    _ends, _log_message, tell_end = ServerSpawner._ends, lambda *_: None, ServerSpawner.tell_end

    async def processor_seconds(self):
        return 0.0

    async def memory_taken(self):
        return 0

    async def run_pre_spawn_hook(self):
        if self.user.name == "bob":
            await ServerSpawner.seats.take(self)

c.JupyterHub.spawner_class = Server
c.Spawner.cmd = [{program!r}, {server!r}]
c.JupyterHub.cleanup_servers = True
"""
# More than any host has.
_TOO_MUCH = 2**50
_WITHIN = 60.0


@pytest.fixture(scope="module")
def standin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    asked: list[int] = []

    def answer(path: str) -> dict[str, Any] | None:
        if path != "/use":
            return None
        asked.append(1)
        return {"container-ann": use(2 * len(asked), 0.5 * len(asked), 300 * MB)}

    with standin_filter.running(tmp_path_factory.mktemp("filter") / "s", answer) as started:
        yield started


@pytest.fixture(scope="module")
def hub(standin: StandIn, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveHub]:
    contract = hub_image.contract(title="Small", idle_timeout=12 * 3600, memory_guarantee=_TOO_MUCH)
    config = _SERVERS.format(socket=standin.socket, program=sys.executable, server=small_server.__file__)
    with live_hub.running(tmp_path_factory.mktemp("hub"), contract, config=config) as started:
        started.call("POST", "/users/ann/server").raise_for_status()
        started.call("POST", "/users/bob/server").raise_for_status()
        yield started


def row(hub: LiveHub, user: str) -> dict[str, Any]:
    """The server's row, empty where there is none."""
    found = hub.call("GET", "/load").json()["servers"]
    return next((dict(one) for one in found if one["user"] == user), {})


def test_an_admin_sees_what_runs_what_it_takes_and_who_waits(hub: LiveHub) -> None:
    waiting.until(lambda: row(hub, "ann").get("processor") is not None, _WITHIN, "the engine was asked")
    ann = row(hub, "ann")
    assert (ann["state"], ann["kind"], ann["memory"], ann["processor"]) == ("runs", "Small", 300 * MB, 0.25)
    assert ann["stops"] - ann["active"] == 12 * 3600
    bob = row(hub, "bob")
    assert (bob["state"], bob["place"], bob["memory"], bob["stops"]) == ("waits", 1, None, None)
    host = hub.call("GET", "/load").json()["host"]
    assert (host["taken"], host["room"]) == (300 * MB, [{"kind": "Small", "left": 0}])


def test_the_log_is_not_full_of_looks(hub: LiveHub) -> None:
    assert hub.call("GET", "/load").ok
    assert requests.get(f"{hub.url}/hub/api/load", timeout=30).status_code == 403
    lines = [line for line in (hub.folder / "log").read_text().splitlines() if "GET /hub/api/load" in line]
    assert lines
    assert all("403" in line for line in lines)


def test_nobody_else_sees_it(hub: LiveHub) -> None:
    user = requests.Session()
    hub.log_in("ann", "user-password", user)
    for asked in (requests.get, user.get):
        assert asked(f"{hub.url}/hub/api/load", timeout=30).status_code == 403
    token = hub.call("POST", "/users/ann/tokens").json()["token"]
    headers = {"Authorization": f"token {token}"}
    assert requests.get(f"{hub.url}/hub/api/load", headers=headers, timeout=30).status_code == 403


def test_the_admin_page_is_there_for_admins_alone(hub: LiveHub) -> None:
    admin, user = requests.Session(), requests.Session()
    hub.log_in("kaben", hub_image.SECRETS["shared-password"]["admin_password"], admin)
    hub.log_in("ann", "user-password", user)
    assert 'id="servers"' in admin.get(f"{hub.url}/hub/admin", timeout=30).text
    assert user.get(f"{hub.url}/hub/admin", timeout=30).status_code == 403
