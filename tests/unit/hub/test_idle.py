"""Which servers are stopped, when their users are warned, and what keeps a server.

Time, activity and the processor's use are given here. Real servers are in tests/hub/test_idle.py.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests

from tests.hub import waiting
from tests.unit.hub import hub_image, live_hub, small_server

idle = hub_image.load("idle")
notices = hub_image.load("notices")
HOUR, MINUTE = 3600.0, 60.0
# 21:00 in the hub's time zone.
EVENING = datetime(2026, 11, 27, 15, 30, tzinfo=UTC).timestamp()


def test_a_server_is_due_after_its_last_use_or_at_its_age_whichever_is_first() -> None:
    both = idle.Limits(12 * HOUR, 24 * HOUR)
    assert both.due(0, 5 * HOUR) == idle.Due(17 * HOUR, 17 * HOUR - 10 * MINUTE)
    assert both.due(0, 20 * HOUR) == idle.Due(24 * HOUR, 24 * HOUR - 10 * MINUTE, by_age=True)
    assert idle.Limits(12 * HOUR).due(0, 400 * HOUR).at == 412 * HOUR
    assert idle.Limits().due(0, 0) is None


def test_a_short_limit_warns_for_half_of_it_and_a_server_reports_three_times_meanwhile() -> None:
    assert [idle.warned_for(limit) for limit in (60, 20 * MINUTE, 12 * HOUR)] == [30, 600, 600]
    assert [idle.report_every(limit) for limit in (60, 12 * HOUR, None)] == [10, 200, None]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (60, "1 minute"),
        (90 * MINUTE, "90 minutes"),
        (12 * HOUR, "12 hours"),
        (36 * HOUR, "36 hours"),
        (168 * HOUR, "7 days"),
    ],
)
def test_a_limit_is_read_as_it_is_written(seconds: float, words: str) -> None:
    assert idle.in_words(seconds) == words


class Hub(SimpleNamespace):
    """A hub with the running servers of ann and bob, a watch, and a clock."""

    now: float
    # User -> the share of a processor that the container takes.
    busy: dict[str, float]

    def opened(self, **limits: Any) -> None:
        """A new hub on the same database."""
        (self.kind,) = hub_image.contract(timezone="Asia/Kolkata", **limits).kinds
        for one in self.users.values():
            one.spawners[""].kind = self.kind
        self.notices = notices.Notices(self.folder / notices.FILE)
        self.watch = idle.IdleWatch([self.kind], self.notices, self.keeps)

    def look_for(self, seconds: float) -> None:
        """Looks as often as the hub does, for so long."""
        until = self.now + seconds
        while self.now < until:
            self.now += self.watch.look_every
            asyncio.run(self.watch.look(self.users))

    def report(self, user: str) -> None:
        """The server reports that it is in use."""
        self.row(user).last_activity = datetime.fromtimestamp(self.now, UTC).replace(tzinfo=None)

    def row(self, user: str) -> Any:
        return self.users[user].spawners[""].orm_spawner

    def messages(self, user: str) -> list[Any]:
        return list(self.notices.unread(self.users[user]))


def user(hub: Hub, name: str) -> Any:
    made = SimpleNamespace(name=name, created=datetime(2026, 11, 1), spawners={}, settings={"proxy": hub.proxy})
    began = datetime.fromtimestamp(hub.now, UTC).replace(tzinfo=None)

    async def stop(server: str) -> None:
        spawner = made.spawners.pop(server)
        assert spawner._stop_pending
        hub.stopped.append(name)

    async def processor_seconds() -> float:
        return float(hub.busy.get(name, 0.0) * hub.now)

    made.stop = stop
    made.spawners[""] = SimpleNamespace(
        name="", ready=True, object_id=f"c-{name}", user=made, _stop_pending=False, processor_seconds=processor_seconds,
        orm_spawner=SimpleNamespace(started=began, last_activity=began), db=SimpleNamespace(commit=lambda: None),
        tell_end=lambda end, level: hub.ends.__setitem__(name, end),
    )  # fmt: skip
    return made


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    made = Hub(folder=tmp_path, now=EVENING, busy={}, kernels=set(), stopped=[], ends={}, keeps=())

    async def delete_user(one: Any, server: str) -> None:
        assert server in one.spawners, "the route goes first"

    made.proxy = SimpleNamespace(delete_user=delete_user)
    made.users = {name: user(made, name) for name in ("ann", "bob")}
    made.opened(idle_timeout=12 * 3600)

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.fromtimestamp(made.now, tz)

    monkeypatch.setattr(idle, "time", SimpleNamespace(time=lambda: made.now, monotonic=lambda: made.now))
    monkeypatch.setattr(idle, "datetime", Clock)

    async def has_busy_kernel(spawner: Any) -> bool:
        return spawner.user.name in made.kernels

    monkeypatch.setattr(idle, "_has_busy_kernel", has_busy_kernel)
    return made


def test_a_kernel_that_is_busy_without_any_work_of_a_processor_keeps_its_server_while_it_is(hub: Hub) -> None:
    """As of an image of others, which does not report it."""
    hub.kernels.add("ann")
    hub.look_for(26 * HOUR)
    assert hub.stopped == ["bob"]
    hub.kernels.clear()
    hub.look_for(13 * HOUR)
    assert hub.stopped == ["bob", "ann"]


def test_an_admin_sees_the_end_that_the_user_was_told_of(hub: Hub) -> None:
    spawner, began, limit = hub.users["ann"].spawners[""], hub.now, 12 * 3600
    active, due = hub.watch.outlook(spawner)
    assert (active, due.at) == (began, began + limit)
    # A hub that comes late warns for the whole time.
    hub.now += limit + 3600
    hub.opened(idle_timeout=limit)
    hub.look_for(3 * hub.watch.look_every)
    (told,) = hub.messages("ann")
    assert told.id == f"idle-{int(hub.watch.outlook(spawner)[1].at)}"
    assert hub.watch.is_ending(spawner)
    hub.keeps = ("ann",)
    hub.opened(idle_timeout=limit)
    assert hub.watch.outlook(spawner) == (began, None)
    assert not hub.watch.is_ending(spawner)


def test_a_server_whose_user_keeps_it_is_never_stopped(hub: Hub) -> None:
    hub.keeps = ("ann",)
    hub.opened(idle_timeout=3600, max_age=7200)
    hub.look_for(3 * HOUR)
    assert (hub.messages("ann"), hub.stopped) == ([], ["bob"])


def test_a_forgotten_server_is_stopped_after_a_warning_and_its_user_reads_when_and_why(hub: Hub) -> None:
    hub.look_for(11 * HOUR)
    hub.report("bob")
    assert (hub.messages("ann"), hub.stopped) == ([], [])
    hub.look_for(51 * MINUTE)
    (warning,) = hub.messages("ann")
    assert (warning.text, warning.button) == (
        "Your server will be stopped at 09:00, as nothing runs in it. Files stay, variables of notebooks are lost.",
        "Keep my server",
    )
    hub.look_for(10 * MINUTE)
    assert hub.stopped == ["ann"]
    text = "Your server was stopped at 09:00 on 28 November, as nothing ran in it for 12 hours."
    assert hub.ends["ann"].for_user == f"{text} Start it again when you need it."
    assert "IDLE_TIMEOUT" in hub.ends["ann"].for_operator
    assert [one.text for one in hub.messages("ann")] == [text], "and the warning is gone"
    assert hub.messages("bob") == []


def test_what_a_server_reports_takes_the_warning_back_and_keeps_it(hub: Hub) -> None:
    hub.look_for(11 * HOUR + 55 * MINUTE)
    assert len(hub.messages("ann")) == 1
    hub.report("ann")
    hub.look_for(10 * MINUTE)
    assert (hub.messages("ann"), hub.stopped) == ([], ["bob"])


def test_who_presses_the_button_of_the_warning_keeps_the_server_at_once(hub: Hub) -> None:
    hub.look_for(12 * HOUR - MINUTE)
    (warning,) = hub.messages("ann")
    hub.notices.mark_read(hub.users["ann"], warning.id)
    assert hub.messages("ann") == []
    hub.look_for(12 * HOUR - 12 * MINUTE)
    assert hub.stopped == ["bob"]
    hub.look_for(13 * MINUTE)
    assert hub.stopped == ["bob", "ann"], "it is kept for as long again, and no longer"


def test_a_container_that_uses_the_processor_is_kept_without_a_warning(hub: Hub) -> None:
    """A server of an image of others does not report a silent cell, and no server reports a program that it has forgotten."""
    hub.busy |= {"ann": 0.2, "bob": 0.02}
    for _ in range(40):
        hub.look_for(HOUR)
        assert hub.messages("ann") == []
    assert hub.stopped == ["bob"]


def test_a_container_that_may_take_little_is_in_use_when_it_takes_half_of_that(hub: Hub) -> None:
    hub.opened(idle_timeout=12 * 3600, cpu_limit=0.1)
    hub.busy |= {"ann": 0.06, "bob": 0.02}
    hub.look_for(13 * HOUR)
    assert hub.stopped == ["bob"]


def test_a_hub_that_was_away_takes_no_silence_of_that_time_for_idleness(hub: Hub) -> None:
    hub.now += 20 * HOUR
    hub.opened(idle_timeout=12 * 3600)
    hub.look_for(5 * MINUTE)
    assert (len(hub.messages("ann")), hub.stopped) == (1, []), (
        "both are warned for ten minutes, whatever the hub missed"
    )
    hub.report("ann")
    hub.look_for(6 * MINUTE)
    assert hub.stopped == ["bob"]


def test_a_server_that_starts_or_stops_is_left_alone(hub: Hub) -> None:
    hub.users["ann"].spawners[""].ready = False
    hub.look_for(13 * HOUR)
    assert hub.stopped == ["bob"]


def test_a_server_of_the_greatest_age_is_stopped_whatever_runs_in_it(hub: Hub) -> None:
    hub.opened(max_age=2 * 3600)
    hub.busy["ann"] = 1.0
    for _ in range(4):
        hub.look_for(28 * MINUTE)
        hub.report("ann")
    (warning,) = hub.messages("ann")
    assert (warning.text, warning.button) == (
        "Your server will be stopped at 23:00, as it has run for 2 hours. Files stay, variables of notebooks are lost.",
        "Dismiss",
    )
    hub.notices.mark_read(hub.users["ann"], warning.id)
    hub.look_for(9 * MINUTE)
    assert hub.stopped == ["ann", "bob"]
    assert "as it had run for 2 hours, the most that a server may." in hub.ends["ann"].for_user


def test_an_engine_that_does_not_answer_stops_nobody(hub: Hub) -> None:
    async def away() -> float:
        raise OSError("no engine")

    hub.users["ann"].spawners[""].processor_seconds = away
    hub.look_for(13 * HOUR)
    assert hub.stopped == ["bob"]


def test_a_stop_that_fails_is_tried_again(hub: Hub) -> None:
    ann, stop = hub.users["ann"], hub.users["ann"].stop

    async def fails(server: str) -> None:
        ann.stop = stop
        raise OSError("no engine")

    ann.stop = fails
    hub.look_for(12 * HOUR + 2 * MINUTE)
    assert (hub.stopped, ann.spawners[""]._stop_pending) == (["bob"], False)
    hub.look_for(12 * MINUTE)
    assert hub.stopped == ["bob", "ann"]


def test_without_limits_nothing_is_watched(hub: Hub) -> None:
    hub.opened()
    assert hub.watch.look_every == 0
    hub.watch.begin(hub.users)


# Seconds; servers report more often.
_LIMIT, _WITHIN = 12, 90.0
_SERVERS = f"""
import sys
from jupyterhub.spawner import SimpleLocalProcessSpawner
from spawner import ServerSpawner

class Server(SimpleLocalProcessSpawner):
    object_id = property(lambda self: f"process-{{self.pid}}")
    kind = property(lambda self: self.config.ServerSpawner.kinds.kinds[0])
    _ends, _log_message, tell_end = ServerSpawner._ends, lambda *_: None, ServerSpawner.tell_end

    async def processor_seconds(self):
        return 0.0

c.JupyterHub.spawner_class = Server
c.Spawner.cmd = [{sys.executable!r}, {small_server.__file__!r}]
c.JupyterHub.cleanup_servers = True
"""


def test_a_real_hub_stops_who_reports_nothing_and_says_so_on_the_home_page(tmp_path: Path) -> None:
    contract = hub_image.contract(idle_timeout=_LIMIT)
    with live_hub.running(tmp_path, contract, config=_SERVERS) as hub:

        def server(name: str) -> dict[str, Any]:
            return dict(hub.call("GET", f"/users/{name}").json()["servers"].get("", {}))

        def reported() -> bool:
            """Whether ann's server is gone; bob's reports meanwhile."""
            report = {"last_activity": datetime.now(UTC).isoformat()}
            hub.call("POST", "/users/bob/activity", json={"servers": {"": report}}).raise_for_status()
            return not server("ann")

        for name in ("ann", "bob"):
            assert hub.call("POST", f"/users/{name}/server").status_code in (201, 202)
        waiting.until(lambda: all(server(name).get("ready") for name in ("ann", "bob")), _WITHIN, "both run")
        waiting.until(reported, _WITHIN, "ann's is stopped")
        assert server("bob")["ready"]
        window = requests.Session()
        assert hub.log_in("ann", "user-password", window).ok
        home = window.get(f"{hub.url}/hub/home", timeout=30).text
        assert "as nothing ran in it for" in home
        assert "Start it again when you need it." in home
