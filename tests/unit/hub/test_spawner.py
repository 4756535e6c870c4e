"""The spawner with a fake engine: what it asks the filter for, and what it says when that fails."""

from __future__ import annotations

import asyncio
import copy
import json
import logging
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from docker.errors import APIError, ImageNotFound
from dockerspawner import DockerSpawner

from guard import question
from hubdeploy.contract import labels, servers
from tests.ports import free_port
from tests.unit.hub import hub_image
from tests.unit.hub.hub_image import contract

RUNNING = {"Running": True}
ENDED = "2026-11-27T13:00:00.000000000Z"
KILLED_FOR_MEMORY = [{"Action": action, "timeNano": 1_795_784_400 * 10**9} for action in ("oom", "die")]
MAC = "02:42:ac:12:80:01"
Make = Callable[..., Any]


class FakeEngine:
    """Replaces docker-py's client, the filter and the engine; remembers the requests. `made_from`: as in the filter."""

    def __init__(
        self, state: dict[str, Any] | None = None, log: bytes = b"", recorded: Iterable[dict[str, Any]] = ()
    ) -> None:
        self.state = state or RUNNING
        self.recorded = recorded
        self.log = log
        self.wished: dict[str, Any] = {}
        self.created: dict[str, Any] = {}
        self.name = ""
        self.made_from = contract().servers
        self.removed: list[str] = []
        self.stopping, self.stopped = threading.Event(), threading.Event()

    def ping(self) -> bool:
        return True

    def inspect_image(self, image: str) -> dict[str, Any]:
        return {"Id": "sha256:0123", "Config": {"Labels": None}}

    def create_container_from_config(self, wished: dict[str, Any], name: str) -> dict[str, str]:
        """As the filter does."""
        self.wished, self.name = wished, name
        wish = hub_image.load("filter.reading").wish(json.dumps(wished).encode())
        assert name == servers.filled(self.made_from.kinds[0].server_name, wish.user)
        self.created = servers.creation(self.made_from, wish, mac_in_endpoint=False)
        return {"Id": "0123456789"}

    def inspect_container(self, name: str) -> dict[str, Any]:
        networks = {"lab-network": {"MacAddress": MAC}}
        state = {"Error": "", "FinishedAt": ENDED, **self.state}
        return {"Id": "0123456789", "State": state, "NetworkSettings": {"Networks": networks}}

    def remove_container(self, name: str, **options: Any) -> None:
        self.removed.append(name)

    def stop(self, name: str) -> None:
        self.stopping.set()
        assert self.stopped.wait(30)

    def logs(self, name: str, tail: int) -> bytes:
        return self.log

    def events(self, **arguments: Any) -> Iterator[dict[str, Any]]:
        yield from self.recorded


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """make(user, engine, **changes of the contract) -> the user's spawner"""

    def spawner(user: str = "ann", engine: FakeEngine | None = None, **changes: Any) -> Any:
        config = hub_image.load_config(contract(**changes), tmp_path)
        server = config.JupyterHub.spawner_class(config=config, user=SimpleNamespace(name=user, groups=[]))
        engine = engine or FakeEngine()
        engine.made_from = contract(**changes).servers
        monkeypatch.setattr(type(server), "client", engine)
        monkeypatch.setattr(DockerSpawner, "get_env", lambda self: {"JUPYTERHUB_API_TOKEN": "own"})
        monkeypatch.setattr(question, "ask", lambda about: "stand" if about == "rules" else "isolated")
        server._stages = []
        server._ends.clear()
        return server

    return spawner


def test_the_hub_asks_for_a_users_server_and_says_nothing_of_how_it_is_made(make: Make) -> None:
    engine = FakeEngine()
    asyncio.run(make("bob", engine).create_object())
    assert engine.wished == {
        "Env": ["JUPYTERHUB_API_TOKEN=own"],
        "Labels": {labels.USER: "bob", labels.ASIDE: "no"},
    }
    assert engine.created["Labels"][labels.USER] == "bob"


@pytest.mark.parametrize("name", ["ann", "Ann.Lee", "{raw_username}", "octo-", "müller", "日本", "a_b@c"])
def test_hub_and_filter_know_a_server_by_the_same_name(make: Make, name: str) -> None:
    engine = FakeEngine()
    server = make(name, engine)
    asyncio.run(server.create_object())
    assert engine.name == server.container_name == f"lab-user-{DockerSpawner._escape(name)}"


def test_a_server_learns_which_of_its_images_files_the_hub_serves(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    assets = hub_image.load("assets")
    monkeypatch.setattr(assets.SERVED, "take", lambda engine, image: "a" * 16)
    server, learned = make("ann"), []

    async def start_container() -> tuple[str, int]:
        learned.append(server.get_env().get("HUB_ASSETS"))
        return "127.0.0.1", 0

    async def answers(*_: Any) -> None:
        """At once."""

    monkeypatch.setattr(server, "_start_container", start_container)
    monkeypatch.setattr(server, "_wait_until_it_answers", answers)
    asyncio.run(server.start())
    assert learned == ["a" * 16]


def test_a_server_reports_its_activity_often_enough_for_the_limit(make: Make) -> None:
    assert "JUPYTERHUB_ACTIVITY_INTERVAL" not in make().get_env()
    server = make()
    server.kinds = contract(idle_timeout=12 * 3600).servers
    assert server.get_env()["JUPYTERHUB_ACTIVITY_INTERVAL"] == "200"


def test_two_users_spawners_share_no_docker_thread(make: Make) -> None:
    assert make().executor._max_workers > 1


def start(server: Any, monkeypatch: pytest.MonkeyPatch, address: tuple[str, int] | Exception) -> Any:
    async def container_started(self: Any) -> tuple[str, int]:
        self.object_id = "0123456789"
        if isinstance(address, Exception):
            raise address
        return address

    monkeypatch.setattr(DockerSpawner, "start", container_started)
    return server.start()


@pytest.mark.parametrize("answer", ["fallen", OSError("Connection refused")])
def test_no_server_starts_while_the_guard_does_not_stand(
    make: Make, monkeypatch: pytest.MonkeyPatch, answer: str | OSError
) -> None:
    engine = FakeEngine()
    server = make("ann", engine)
    _answer(monkeypatch, lambda about: answer)
    with pytest.raises(hub_image.load("spawner").ServerFailed, match="kept apart from others") as failure:
        asyncio.run(start(server, monkeypatch, ("127.0.0.1", free_port())))
    assert "./invoke logs --of guard" in failure.value.end.for_operator
    assert (server.object_id, engine.created) == ("", {})


@pytest.mark.parametrize("comes_back", [True, False])
def test_a_start_waits_for_the_filter_and_says_why_it_fails(
    make: Make, monkeypatch: pytest.MonkeyPatch, comes_back: bool
) -> None:
    tries: list[bool] = []

    def ping(self: FakeEngine) -> bool:
        tries.append(True)
        if not comes_back or len(tries) < 3:
            raise ConnectionRefusedError("no filter")
        return True

    monkeypatch.setattr(FakeEngine, "ping", ping)
    monkeypatch.setattr(hub_image.load("spawner"), "FILTER_WITHIN", 0.2)
    server = make("ann")
    if comes_back:
        asyncio.run(server._wait_until_filter_answers())
        assert len(tries) == 3
    else:
        with pytest.raises(hub_image.load("spawner").ServerFailed, match="engine could not be asked") as failure:
            asyncio.run(start(server, monkeypatch, ("127.0.0.1", free_port())))
        assert "./invoke logs --of filter" in failure.value.end.for_operator


def test_a_server_that_the_guard_does_not_confirm_is_removed(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = FakeEngine()
    server = make("ann", engine)
    _answer(monkeypatch, lambda about: "stand" if about == "rules" else "not isolated")
    with pytest.raises(hub_image.load("spawner").ServerFailed, match="kept apart from others") as failure:
        asyncio.run(start(server, monkeypatch, ("127.0.0.1", free_port())))
    assert f"{MAC}: not isolated" in failure.value.end.for_operator
    assert engine.removed == ["0123456789"]


def test_a_filter_that_dies_while_a_server_starts_is_the_reason(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(self: FakeEngine, name: str) -> dict[str, Any]:
        raise ConnectionRefusedError("no filter")

    monkeypatch.setattr(FakeEngine, "inspect_container", gone)
    engine = FakeEngine()
    with pytest.raises(hub_image.load("spawner").ServerFailed, match="engine could not be asked") as failure:
        asyncio.run(start(make("ann", engine), monkeypatch, ("127.0.0.1", free_port())))
    assert "./invoke logs --of filter" in failure.value.end.for_operator
    assert engine.removed == ["0123456789"]


def test_what_a_failed_start_leaves_while_the_filter_is_away_is_removed_when_it_answers(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, away = FakeEngine(), [True]
    server = make("ann", engine)
    _answer(monkeypatch, lambda about: "stand" if about == "rules" else "not isolated")
    monkeypatch.setattr(hub_image.load("spawner"), "LATER_STEP", 0.01)
    removed = FakeEngine.remove_container

    def remove(self: FakeEngine, name: str, **options: Any) -> None:
        if away:
            raise ConnectionRefusedError("no filter")
        removed(self, name, **options)

    monkeypatch.setattr(FakeEngine, "remove_container", remove)

    async def story() -> tuple[list[str], list[str]]:
        with pytest.raises(hub_image.load("spawner").ServerFailed, match="kept apart"):
            await start(server, monkeypatch, ("127.0.0.1", free_port()))
        await asyncio.sleep(0.1)
        before = [*engine.removed]
        away.clear()
        await asyncio.gather(*server._removing)
        return before, engine.removed

    assert asyncio.run(story()) == ([], ["0123456789"])


def _answer(monkeypatch: pytest.MonkeyPatch, answers: Callable[[str], str | OSError]) -> None:
    def ask(about: str) -> str:
        answer = answers(about)
        if isinstance(answer, OSError):
            raise answer
        return answer

    monkeypatch.setattr(question, "ask", ask)
    monkeypatch.setattr(hub_image.load("spawner"), "ISOLATED_WITHIN", 0.1)


def test_start_returns_when_the_server_answers_and_not_before(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()

    async def story() -> tuple[bool, Any]:
        starting = asyncio.ensure_future(start(make(), monkeypatch, ("127.0.0.1", port)))
        early, _ = await asyncio.wait([starting], timeout=0.2)
        async with await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", port):
            return bool(early), await asyncio.wait_for(starting, timeout=5)

    assert asyncio.run(story()) == (False, ("127.0.0.1", port))


@pytest.mark.parametrize(
    ("state", "page", "log"),
    [
        (
            {"ExitCode": 7, "OOMKilled": False},
            "The server ended with exit code 7 while it started.",
            "The server ended with exit code 7 while it started.",
        ),
        (
            {"ExitCode": 137, "OOMKilled": True},
            "The server ran out of memory while it started. Its limit is 1024 MiB.",
            "Servers get more with USER_MEMORY_LIMIT",
        ),
        (
            {"ExitCode": 73, "OOMKilled": False},
            "The server could not write to your files while it started. Show this page to the operator.",
            "-v lab-user-ann:/home/cryptic/work lab/base-notebook:latest -R 1000:users",
        ),
    ],
)
def test_a_server_that_exits_fails_with_a_reason_for_the_user_and_a_remedy_for_the_operator(
    make: Make,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    state: dict[str, Any],
    page: str,
    log: str,
) -> None:
    recorded = KILLED_FOR_MEMORY if state["OOMKilled"] else ()
    server = make(engine=FakeEngine({"Running": False, **state}, log=b"<no space left>\n", recorded=recorded))
    monkeypatch.setattr(server.log, "propagate", True)
    with pytest.raises(hub_image.load("spawner").ServerFailed) as failure:
        asyncio.run(start(server, monkeypatch, ("127.0.0.1", free_port())))
    shown = failure.value.jupyterhub_message
    assert shown.startswith(page)
    assert shown.endswith("<no space left>")
    assert not re.search("docker run|invoke|_LIMIT", shown)
    assert "<pre>Its last words:\n&lt;no space left&gt;</pre>" in failure.value.jupyterhub_html_message
    assert log in "\n".join(record.getMessage() for record in caplog.records)
    # An ordinary start that ended is followed by a safe one.
    assert server.client.removed == ["0123456789"] * (2 if state["ExitCode"] == 7 else 1)


def test_a_server_that_never_answers_fails_before_the_hub_gives_up(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    server = make(engine=FakeEngine(log=b"still thinking"))
    server.start_timeout = 5
    with pytest.raises(hub_image.load("spawner").ServerFailed, match="did not answer") as failure:
        asyncio.run(start(server, monkeypatch, ("127.0.0.1", free_port())))
    assert failure.value.jupyterhub_message.endswith("still thinking")


def test_a_missing_image_is_named_to_the_operator_with_the_remedy(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(hub_image.load("spawner").ServerFailed) as failure:
        asyncio.run(start(make(), monkeypatch, ImageNotFound("gone")))
    assert "lab/base-notebook:latest is not on this host; `./invoke up`" in failure.value.end.for_operator
    assert failure.value.jupyterhub_message.startswith("The server has no image. Tell the operator")


def test_an_exited_server_is_removed_and_its_end_logged(
    make: Make, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = {"Running": False, "ExitCode": 137, "OOMKilled": True}
    engine = FakeEngine(state, log=b"first\nKilled", recorded=KILLED_FOR_MEMORY)
    server = make(engine=engine)
    server.object_id = "0123456789"
    monkeypatch.setattr(server.log, "propagate", True)
    assert "ExitCode=137" in str(asyncio.run(server.poll()))
    assert engine.removed == ["0123456789"]
    # As the hub's pages see it: what is configured is copied, and a function is called with the reader first.
    shown = copy.deepcopy(server.config.JupyterHub.template_vars)["end_of_server"](server.user)
    assert shown("ann").startswith("The server ran out of memory")
    logged = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert logged[-2:] == ["server of ann: first", "server of ann: Killed"]


def test_a_server_whose_container_is_gone_has_an_end_too(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    server = make()
    server.object_id = "0123456789"

    async def gone() -> None:
        return None

    monkeypatch.setattr(server, "get_object", gone)
    assert asyncio.run(server.poll()) == 0
    assert server.end_of_server("ann") == "The server was removed from outside. Start it again."


def test_a_poll_while_the_hub_stops_a_server_sees_no_end_from_outside(make: Make) -> None:
    engine = FakeEngine({"Running": False, "ExitCode": 0, "OOMKilled": False})
    server = make(engine=engine)
    server.object_id = "0123456789"

    async def story() -> int:
        stopping = asyncio.ensure_future(server.stop())
        await asyncio.to_thread(engine.stopping.wait, 30)
        polling = asyncio.ensure_future(server.poll())
        await asyncio.wait([polling], timeout=0.5)
        engine.stopped.set()
        await stopping
        return int(await polling)

    assert asyncio.run(story()) == 0
    assert server.end_of_server("ann") == ""


def test_a_new_start_forgets_how_the_last_server_ended(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    server = make()
    server._ends["ann"] = "The server ended."
    with pytest.raises(Exception, match="gone"):
        asyncio.run(start(server, monkeypatch, RuntimeError("gone")))
    assert server.end_of_server("ann") == ""


def test_a_running_server_polls_as_running(make: Make) -> None:
    server = make()
    server.object_id = "0123456789"
    assert asyncio.run(server.poll()) is None


def test_progress_tells_each_stage_once(make: Make) -> None:
    server = make()
    server._stages = ["Creating the container", "Starting the container"]

    async def two_events() -> list[dict[str, Any]]:
        events = server.progress()
        return [await anext(events), await anext(events)]

    events = asyncio.run(two_events())
    assert [event["message"] for event in events] == ["Creating the container", "Starting the container"]
    assert events[0]["progress"] < events[1]["progress"] < 100


def of_two_kinds(make: Make, user: str, engine: FakeEngine | None = None, **options: Any) -> Any:
    """A spawner with two kinds of servers, and what was chosen for this start, or remembered."""
    server, made_from = make(user, engine), hub_image.with_two_kinds().servers
    server.kinds = made_from
    if engine:
        engine.made_from = made_from
    server.user.admin = False
    server.user_options = options
    server.orm_spawner = SimpleNamespace(user_options=dict(options), server=None)
    server.db = SimpleNamespace(commit=lambda: None)
    return server


def test_a_user_gets_the_kind_that_they_chose_and_a_later_hub_knows_it(make: Make) -> None:
    engine = FakeEngine()
    server = of_two_kinds(make, "ann", engine, kind="large")
    asyncio.run(server.run_pre_spawn_hook())
    asyncio.run(server.create_object())
    assert engine.wished["Labels"][labels.KIND] == "large"
    assert (engine.created["HostConfig"]["Memory"], server.mem_limit) == (2**34, 2**34)
    assert server.get_env()["JUPYTERHUB_ACTIVITY_INTERVAL"] == "10"
    later = of_two_kinds(make, "ann")
    later.load_state(server.get_state())
    assert later.kind.name == "large"


def test_the_hub_names_the_cards_that_were_lent_for_this_start_and_forgets_those_of_the_last(make: Make) -> None:
    engine = FakeEngine()
    server = of_two_kinds(make, "ann", engine, kind="large")
    server.cards = ("0", "1")
    asyncio.run(server.create_object())
    assert engine.wished["Labels"][labels.CARDS] == engine.created["Labels"][labels.CARDS] == "0,1"
    server.seats = None
    asyncio.run(server.run_pre_spawn_hook())
    asyncio.run(server.create_object())
    assert labels.CARDS not in engine.wished["Labels"]


def test_a_server_that_the_engine_gives_no_card_says_so(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """The words are an engine's without NVIDIA's driver."""
    words = 'could not select device driver "nvidia" with capabilities: [[gpu]]'
    server = make("ann")
    server.cards = ("0",)
    with pytest.raises(
        hub_image.load("spawner").ServerFailed, match=r"refused to start the server with its card \(GPU\)"
    ) as failure:
        asyncio.run(start(server, monkeypatch, APIError("500", explanation=words)))
    for_operator = failure.value.end.for_operator
    assert f"{words} (It was to have the card 0; docs/servers.md says what that needs.)" in for_operator
    assert words not in failure.value.end.for_user


def test_who_chose_nothing_gets_the_first_kind(make: Make) -> None:
    server = of_two_kinds(make, "bob")
    asyncio.run(server.run_pre_spawn_hook())
    assert server.kind.name == "small"


@pytest.mark.parametrize(("user", "kind"), [("bob", "large"), ("ann", "gone"), ("ann", 7)])
def test_a_kind_that_is_not_theirs_is_refused_once_and_then_forgotten(make: Make, user: str, kind: Any) -> None:
    server = of_two_kinds(make, user, kind=kind)
    with pytest.raises(hub_image.load("spawner").ServerFailed, match="is not there for you"):
        asyncio.run(server.run_pre_spawn_hook())
    assert server.orm_spawner.user_options == {}


@pytest.mark.parametrize(("group", "kind"), [("students", "large"), ("others", None)])
def test_a_group_of_the_login_may_have_a_kind(make: Make, group: str, kind: str | None) -> None:
    server = of_two_kinds(make, "bob", kind="large")
    small, large = server.kinds.kinds
    server.kinds = replace(server.kinds, kinds=(small, replace(large, provider_groups=("students",))))
    server.user.groups = [SimpleNamespace(name=group)]
    assert bool(asyncio.run(server.get_options_form())) == (kind is not None)
    if kind:
        asyncio.run(server.run_pre_spawn_hook())
        assert server.kind.name == kind
    else:
        with pytest.raises(hub_image.load("spawner").ServerFailed, match="is not there for you"):
            asyncio.run(server.run_pre_spawn_hook())


def test_the_page_offers_the_kinds_of_a_user_and_remembers_the_last_one(make: Make) -> None:
    offered = asyncio.run(of_two_kinds(make, "ann", kind="large").get_options_form())
    assert 'value="large" checked' in offered
    assert 'value="small">' in offered
    assert "Large &amp; &lt;fast&gt;" in offered
    assert "16 GB of memory, 1.5 processors<" in offered
    with_cards = of_two_kinds(make, "ann")
    small, large = with_cards.kinds.kinds
    with_cards.kinds = replace(with_cards.kinds, kinds=(replace(small, gpus=1), large))
    assert "1.5 processors, 1 card (GPU)<" in asyncio.run(with_cards.get_options_form())
    assert asyncio.run(of_two_kinds(make, "bob").get_options_form()) == ""
    assert asyncio.run(make("ann").get_options_form()) == ""


def test_a_form_or_an_address_chooses_a_kind_and_nothing_else(make: Make) -> None:
    server = of_two_kinds(make, "ann", kind="small")
    assert server.options_from_form({"kind": ["large"], "safe_start": ["true"], "image": ["x"]}) == {"kind": "large"}
    assert server.options_from_form({"next": ["/"]}) == {"kind": "small"}
