"""The late watch of a new hub: when it goes back, when it leaves all as it is, and in which order it goes. The engine is a
stand-in.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import docker.errors
import pytest

from hubdeploy.contract.documents import from_bytes, to_bytes
from hubdeploy.contract.states import RUNNING, WENT_BACK, State, Watched, WentBack
from tests.unit.hub import hub_image

WATCHED = Watched(
    deployment="lab",
    hub="lab-hub",
    proxy="lab-proxy",
    proxy_id="the-proxy",
    image="sha256:new",
    reference="lab/hub:latest",
    question=("https", "localhost"),
    state="19700101-000000",
    order=("lab-guard", "lab-hub"),
    newcomers=("lab-clock",),
    seconds=3600,
)
DESCRIPTION = json.dumps({"body": {"HostConfig": {"NetworkMode": "host"}}, "networks": {}})


class Engine:
    """What the watch asks of docker's client. `said` is all that changed something, in order."""

    def __init__(self) -> None:
        self.containers_by_name: dict[str, dict[str, Any]] = {
            "lab-hub": {"Id": "the-hub", "Image": "sha256:new", "RestartCount": 0, "State": {"Status": "running"}},
            "lab-proxy": {"Id": "the-proxy", "Image": "sha256:proxy", "State": {"Status": "running"}},
        }
        self.said: list[tuple[str, ...]] = []

    def inspect_container(self, name: str) -> dict[str, Any]:
        if name not in self.containers_by_name:
            raise docker.errors.NotFound(name)
        return {"Config": {}, **self.containers_by_name[name]}

    def containers(self, filters: object) -> list[dict[str, Any]]:
        return [{"Id": "older", "Created": -1}, {"Id": "newer", "Created": 1}]

    def create_container_from_config(self, body: object, name: str) -> None:
        self.said.append(("create", name))
        self.containers_by_name[name] = {}

    def tag(self, *words: str, force: bool) -> None:
        self.said.append(("tag", *words))

    def __getattr__(self, verb: str) -> Callable[..., None]:
        return lambda *words, **more: self.said.append((verb, *words))


@pytest.fixture
def late_watch() -> ModuleType:
    return hub_image.load("late_watch")


@pytest.fixture
def engine() -> Engine:
    return Engine()


def look(late_watch: ModuleType, engine: Engine, *answers: str) -> Any:
    """A look that meets these answers for the login page, one after the other, and the last of them for ever."""
    left = list(answers)
    return late_watch.Look(engine, WATCHED, lambda *question: left.pop(0) if len(left) > 1 else left[0])


def test_a_login_page_that_fails_for_a_minute_sends_the_hub_back(late_watch: ModuleType, engine: Engine) -> None:
    watch = look(late_watch, engine, "answers 500")
    assert [watch.again() for _ in range(late_watch.FAILURES)] == [""] * (late_watch.FAILURES - 1) + ["answers 500"]


def test_one_good_answer_begins_the_minute_anew(late_watch: ModuleType, engine: Engine) -> None:
    failing = ["answers 500"] * (late_watch.FAILURES - 1)
    watch = look(late_watch, engine, *failing, "", *failing, "")
    assert {watch.again() for _ in range(3 * late_watch.FAILURES)} == {""}


def test_a_hub_that_ends_again_and_again_goes_back_though_it_answers(late_watch: ModuleType, engine: Engine) -> None:
    watch = look(late_watch, engine, "")
    for count in range(late_watch.STARTS):
        engine.containers_by_name["lab-hub"]["RestartCount"] = count
        assert watch.again() == ""
    engine.containers_by_name["lab-hub"]["RestartCount"] = late_watch.STARTS
    assert "the engine started it again" in watch.again()


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("lab-hub", "Image", "sha256:other"),
        ("lab-hub", "State", {"Status": "exited"}),
        ("lab-proxy", "Id", "another proxy"),
        ("lab-proxy", "State", {"Status": "exited"}),
    ],
)
def test_what_somebody_else_replaced_or_stopped_is_left_alone(
    late_watch: ModuleType, engine: Engine, name: str, field: str, value: object
) -> None:
    watch = look(late_watch, engine, "answers 500")
    for _ in range(late_watch.FAILURES - 1):
        watch.again()
    engine.containers_by_name[name][field] = value
    with pytest.raises(late_watch.Over):
        assert [watch.again(), watch.again()] == ["", ""]
    assert engine.said == []


def test_a_hub_that_was_removed_is_watched_no_longer(late_watch: ModuleType, engine: Engine) -> None:
    watch = look(late_watch, engine, "answers 500")
    del engine.containers_by_name["lab-hub"]
    assert watch.again() == ""
    with pytest.raises(late_watch.Over):
        watch.again()


def test_a_hub_that_is_just_made_anew_is_no_failure(late_watch: ModuleType, engine: Engine) -> None:
    watch = look(late_watch, engine, "answers 500")
    for _ in range(late_watch.FAILURES - 1):
        watch.again()
    hub = engine.containers_by_name.pop("lab-hub")
    assert watch.again() == ""
    engine.containers_by_name["lab-hub"] = hub
    assert watch.again() == ""


@pytest.fixture
def way_back(late_watch: ModuleType, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """To a state that is kept, of a hub without a database."""
    folders = [tmp_path / name for name in ("data", "documents", "states")]
    for folder in folders:
        folder.mkdir()
    states = hub_image.load("states")
    store = states.Store(*folders)
    (folders[-1] / RUNNING).write_bytes(
        to_bytes(State(0.0, "sha256:old", {"lab-guard": DESCRIPTION, "lab-hub": DESCRIPTION}))
    )
    store.note()
    monkeypatch.setattr(states.time, "time", lambda: 0.0)
    store.keep()
    return late_watch.WayBack(engine, WATCHED, store, folders[-1])


def record(tmp_path: Path) -> WentBack:
    return from_bytes(WentBack, (tmp_path / "states" / WENT_BACK).read_bytes())


def test_the_way_back_is_alone_and_stops_the_hub_before_the_database_comes(
    way_back: Any, engine: Engine, tmp_path: Path
) -> None:
    way_back.go("it answers 500")
    assert engine.said == [
        ("rename", "lab-job-watch", "lab-job-states"),
        ("stop", "newer"),
        ("stop", "lab-hub"),
        *((verb, "lab-clock") for verb in ("stop", "remove_container")),
        *((verb, "lab-guard") for verb in ("stop", "remove_container", "create", "start")),
        *((verb, "lab-hub") for verb in ("stop", "remove_container", "create", "start")),
        ("tag", "sha256:old", "lab/hub", "latest"),
    ]
    assert (record(tmp_path).why, record(tmp_path).failed) == ("it answers 500", "")


def test_without_room_for_the_old_database_the_new_hub_starts_again_and_the_record_says_so(
    way_back: Any, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(name: str) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(way_back._store, "bring", full)
    with pytest.raises(OSError, match="no space left"):
        way_back.go("it answers 500")
    assert engine.said[-2:] == [("stop", "lab-hub"), ("start", "lab-hub")]
    assert record(tmp_path).failed == "no space left on device"


def test_the_next_state_that_is_kept_ends_the_record(
    way_back: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    way_back.go("it answers 500")
    monkeypatch.setattr("time.time", lambda: 1.0)
    (tmp_path / "states" / RUNNING).write_bytes(to_bytes(State(0.0, "sha256:old", {})))
    way_back._store.note()
    way_back._store.keep()
    assert not (tmp_path / "states" / WENT_BACK).exists()
