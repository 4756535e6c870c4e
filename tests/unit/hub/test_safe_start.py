"""When the spawner starts a server safely, and what such a server gets; the handler behind the button."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from docker.errors import APIError
from dockerspawner import DockerSpawner

from guard import question
from hubdeploy.contract import servers
from tests.unit.filter.test_servers import environment
from tests.unit.hub import hub_image
from tests.unit.hub.hub_image import contract
from tests.unit.hub.test_spawner import FakeEngine

HOME, WORK = "/home/cryptic", "/home/cryptic/work"
Start = Callable[..., "Started"]


class Started(SimpleNamespace):
    """`environments`, `mounts`: of each container that was asked for. `committed`: options that were kept for later starts.
    `answer`: what start() gave, or its error."""

    committed: list[Any]

    environments: list[dict[str, str]]
    mounts: list[dict[str, str]]
    answer: Any


class Engine(FakeEngine):
    """`fails`: how many of the first containers end at once. `link`: what the notebook directory is a link to."""

    def __init__(self, fails: int, state: dict[str, Any], link: str) -> None:
        super().__init__(log=b"oh no")
        self.fails, self.ended, self.link = fails, state, link
        self.asked: list[dict[str, Any]] = []

    def create_container_from_config(self, wished: dict[str, Any], name: str) -> dict[str, str]:
        made = super().create_container_from_config(wished, name)
        self.asked.append(self.created)
        self.state = {"Running": False, **self.ended} if len(self.asked) <= self.fails else {"Running": True}
        return made

    def start(self, name: str) -> None:
        # The image's own folder is no link.
        aside = any(mount["Target"] == f"{HOME}/my-home" for mount in self.asked[-1]["HostConfig"]["Mounts"])
        if self.link and not aside:
            refusal = SimpleNamespace(status_code=409)
            raise APIError("409", refusal, explanation=servers.is_a_link(WORK, self.link))  # type: ignore[arg-type]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    def started(
        user: str = "ann", options: Any = None, fails: int = 0, state: Any = None, link: str = "", **changes: Any
    ) -> Started:
        config = hub_image.load_config(contract(**changes), tmp_path)
        server = config.JupyterHub.spawner_class(config=config, user=SimpleNamespace(name=user, groups=[]))
        engine = Engine(fails, state or {"ExitCode": 3, "OOMKilled": False}, link)
        engine.made_from = contract(**changes).servers
        monkeypatch.setattr(type(server), "client", engine)
        monkeypatch.setattr(DockerSpawner, "get_env", lambda self: {"JUPYTERHUB_ROOT_DIR": WORK})
        monkeypatch.setattr(question, "ask", lambda about: "stand" if about == "rules" else "isolated")
        monkeypatch.setattr(DockerSpawner, "pull_image", lambda self, image: _nothing())
        monkeypatch.setattr(DockerSpawner, "get_ip_and_port", lambda self: _nothing(("127.0.0.1", 1)))
        monkeypatch.setattr(
            hub_image.load("spawner"), "accepts_connections", lambda *place: _nothing(engine.state["Running"])
        )
        monkeypatch.setattr(DockerSpawner, "get_object", lambda self: _nothing(_object(self, engine)))
        server.user_options, committed = options or {}, []
        server.db = SimpleNamespace(commit=lambda: committed.append(server.orm_spawner.user_options))
        server.orm_spawner = SimpleNamespace(user_options=options, server=None, state={}, name="")
        try:
            answer: Any = asyncio.run(server.start())
        except hub_image.load("spawner").ServerFailed as failure:
            answer = failure
        mounts = [
            {mount["Source"]: mount["Target"] for mount in one["HostConfig"]["Mounts"] if "Source" in mount}
            for one in engine.asked
        ]
        return Started(
            committed=committed,
            environments=[environment(one) for one in engine.asked],
            mounts=mounts,
            answer=answer,
        )

    return started


async def _nothing(value: Any = None) -> Any:
    return value


def _object(server: Any, engine: Engine) -> Any:
    return engine.inspect_container("x") if server.object_id else None


def test_an_ordinary_start_leaves_nothing_aside(start: Start) -> None:
    found = start()
    (environment,) = found.environments
    assert "NOTEBOOK_SAFE_START" not in environment
    assert environment["JUPYTERHUB_ROOT_DIR"] == WORK


def test_a_user_who_asks_gets_a_safe_start_once(start: Start) -> None:
    found = start(options={"safe_start": True})
    (environment,) = found.environments
    assert environment["NOTEBOOK_SAFE_START"] == "You asked for it."
    assert environment["JUPYTERHUB_ROOT_DIR"] == HOME
    assert found.mounts == [{"lab-home-ann": HOME, "lab-user-ann": WORK}]
    assert found.committed == [{}], "JupyterHub takes kept options for the next start"


@pytest.mark.parametrize("value", ["true", ["yes"], 1, None])
def test_a_link_to_the_spawn_page_cannot_ask_for_a_safe_start(start: Start, value: Any) -> None:
    assert "NOTEBOOK_SAFE_START" not in start(options={"safe_start": value}).environments[0]


def test_a_failed_start_is_followed_by_a_safe_one_that_says_why(start: Start) -> None:
    found = start(fails=1)
    first, second = found.environments
    assert "NOTEBOOK_SAFE_START" not in first
    assert second["NOTEBOOK_SAFE_START"].startswith("The ordinary start failed. The server ended with exit code 3")
    assert found.answer == ("127.0.0.1", 1)


@pytest.mark.parametrize("state", [{"ExitCode": 137, "OOMKilled": True}, {"ExitCode": 73, "OOMKilled": False}])
def test_what_a_safe_start_cannot_help_is_not_tried_again(start: Start, state: dict[str, Any]) -> None:
    found = start(fails=1, state=state)
    assert len(found.environments) == 1
    assert found.answer.status_code == 500


def test_two_failures_are_a_failure(start: Start) -> None:
    found = start(fails=2)
    assert len(found.environments) == 2
    assert "oh no" in found.answer.jupyterhub_message


def test_a_foreign_image_starts_safely_with_the_users_home_beside_its_own(start: Start) -> None:
    found = start(ours=False, options={"safe_start": True})
    assert found.mounts == [{"lab-home-ann": f"{HOME}/my-home", "lab-user-ann": WORK}]
    assert found.environments[0]["JUPYTERHUB_ROOT_DIR"] == HOME


def test_a_link_in_the_way_of_a_servers_volume_is_left_aside(start: Start) -> None:
    """It is the filter that refuses, for a server of root."""
    found = start(link="/etc", grant_sudo=True)
    assert [mounts["lab-home-ann"] for mounts in found.mounts] == [HOME, f"{HOME}/my-home"]
    assert "is a link to /etc" in found.environments[1]["NOTEBOOK_SAFE_START"]
    assert found.answer == ("127.0.0.1", 1)
