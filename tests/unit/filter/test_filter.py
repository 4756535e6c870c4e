"""The filter in front of an engine that remembers what it was asked: what it passes on, and what it refuses.

What a real engine does with the same requests is tried in tests/hub/test_filter.py.
"""

from __future__ import annotations

import asyncio
import importlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import ClientSession, UnixConnector, web
from hypothesis import given, settings
from hypothesis import strategies as st
from yarl import URL

from hubdeploy.contract import documents, labels, servers
from hubdeploy.contract.documents import Folder
from tests import hub_modules
from tests.unit.hub.hub_image import contract, with_two_kinds

with hub_modules.importable():
    process = importlib.import_module("filter.__main__")
    table = importlib.import_module("filter.table")
Answer, Refused = table.Answer, table.Refused

MADE_FROM = contract().servers
OWN, THEIRS, COMPONENT = "a" * 64, "b" * 64, "c" * 64
SERVER = {labels.DEPLOYMENT: "lab", labels.ROLE: labels.SERVER, labels.USER: "ann"}
CREATE = "/containers/create?name=lab-user-ann"
IMAGE = "lab/base-notebook:latest"


class Engine:
    """Holds three containers: a server of this deployment, one of another, and this deployment's hub."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str], Any]] = []
        self.volumes: dict[str, dict[str, str]] = {}
        self.user, self.link = "1000", ""
        self.mac_in_endpoint = False
        self.environment: tuple[str, ...] = ()
        self.containers = {
            OWN: SERVER,
            THEIRS: {**SERVER, labels.DEPLOYMENT: "other"},
            COMPONENT: {**SERVER, labels.ROLE: "hub"},
        }

    async def ask(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: object | None = None
    ) -> Any:
        self.asked.append((method, path, dict(query or {}), body))
        kind, _, name = path.strip("/").partition("/")
        if kind == "volumes":
            there = self.volumes.get(name)
            return Answer(404, b"{}") if there is None else _answer({"Labels": there})
        if kind == "containers" and name.endswith("/json"):
            there = self.containers.get(name.removesuffix("/json"))
            environment = [*self.environment]
            config = {"Labels": there, "User": self.user, "WorkingDir": "/home/cryptic/work", "Env": environment}
            return Answer(404, b"{}") if there is None else _answer({"Config": config})
        return _answer({"Id": "sha256:1"} if kind == "images" else [] if name == "json" else {"Id": "new"})

    @asynccontextmanager
    async def stream(self, path: str, query: Mapping[str, str]) -> AsyncIterator[Any]:
        self.asked.append(("GET", path, dict(query), None))

        async def pieces() -> AsyncIterator[bytes]:
            yield b"{}"

        yield SimpleNamespace(status=200, content_type="application/json", content=SimpleNamespace(iter_any=pieces))

    async def link_target(self, container: str, path: str) -> str:
        return self.link

    @property
    def changes(self) -> list[tuple[str, str, dict[str, str], Any]]:
        return [one for one in self.asked if one[0] != "GET"]


def _answer(content: Any) -> Any:
    return Answer(200, json.dumps(content).encode())


async def _nothing_measured(volumes: Any, folders: Any) -> dict[str, tuple[int, int]]:
    return {}


Ask = Callable[..., Any]


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def ask(engine: Engine, tmp_path: Any) -> Ask:
    """ask(method, path, body=..., headers=...) -> (status, content), through the filter's own server and a socket"""

    def asked(method: str, path: str, version: str = "/v1.41", **more: Any) -> Any:
        gate = table.Gate(
            engine,
            more.pop("made_from", MADE_FROM),
            more.pop("measure", _nothing_measured),
            secrets=more.pop("secrets", documents.NO_SECRETS),
        )
        return asyncio.run(_through_the_filter(gate, str(tmp_path / "s"), method, version + path, more))

    return asked


async def _through_the_filter(gate: Any, socket: str, method: str, path: str, more: dict[str, Any]) -> tuple[int, Any]:
    runner = process.runner(gate, table.ROWS)
    await runner.setup()
    await web.UnixSite(runner, socket).start()
    try:
        async with (
            ClientSession(connector=UnixConnector(socket)) as session,
            session.request(method, URL(f"http://filter{path}", encoded=True), **more) as answer,
        ):
            return answer.status, await answer.read()
    finally:
        await runner.cleanup()


def wish(**changed: Any) -> dict[str, Any]:
    return {"Env": ["JUPYTERHUB_API_TOKEN=t"], "Labels": {labels.USER: "ann"}, **changed}


def test_a_server_is_made_from_the_filters_own_document(ask: Ask, engine: Engine) -> None:
    assert ask("POST", CREATE, json=wish())[0] == 200
    ((method, path, query, body),) = engine.changes
    wanted = servers.Wish("ann", {"JUPYTERHUB_API_TOKEN": "t"}, home_is_new=True)
    assert (method, path, query) == ("POST", "/containers/create", {"name": "lab-user-ann"})
    assert body == servers.creation(MADE_FROM, wanted, mac_in_endpoint=False)


@pytest.mark.parametrize(("kind", "found"), [("large", ["KEY=canary"]), ("small", [])])
def test_a_secret_is_in_the_environment_of_its_kind_alone(
    ask: Ask, engine: Engine, kind: str, found: list[str]
) -> None:
    made = with_two_kinds()
    small, large = made.kinds
    made_from = replace(made, kinds=(small, replace(large, secrets=("KEY",)))).servers
    secrets = documents.ServerSecrets({"large": {"KEY": documents.Secret("canary"), "OLD": documents.Secret("canary")}})
    carried = {labels.USER: "ann", labels.KIND: kind}
    assert ask("POST", CREATE, json=wish(Labels=carried), made_from=made_from, secrets=secrets)[0] == 200
    ((*_, body),) = engine.changes
    assert [line for line in body["Env"] if "canary" in line] == found
    assert "canary" not in json.dumps({**body, "Env": ()})


def test_of_a_servers_environment_the_hub_sees_what_it_gave_itself(ask: Ask, engine: Engine) -> None:
    engine.environment = ("JUPYTERHUB_API_TOKEN=t", "KEY=canary", "MEM_LIMIT=1", "COURSE=physics")
    status, content = ask("GET", f"/containers/{OWN}/json")
    assert status == 200
    assert json.loads(content)["Config"]["Env"] == ["JUPYTERHUB_API_TOKEN=t", "MEM_LIMIT=1"]


@pytest.mark.parametrize(
    ("user", "kind", "memory"),
    [("ann", "", 2**30), ("ann", "small", 2**30), ("ann", "large", 2**34), ("bob", "", 2**30), ("bob", "large", None),
     ("ann", "huge", None), ("ann", ["large"], None)],
)  # fmt: skip
def test_a_kind_is_made_for_whoever_may_have_it_alone(
    ask: Ask, engine: Engine, user: str, kind: Any, memory: int | None
) -> None:
    """Whatever the hub says of the user's choice."""
    carried = {labels.USER: user, **({labels.KIND: kind} if kind else {})}
    path = CREATE.replace("lab-user-ann", f"lab-user-{user}")
    status, _ = ask("POST", path, json=wish(Labels=carried), made_from=with_two_kinds().servers)
    made = [body["HostConfig"]["Memory"] for *_, body in engine.changes]
    assert (status, made) == ((200, [memory]) if memory else (403, []))


PHYSICS = Folder("physics", "lab-shared-physics", writers=("ann",), readers=("bob",), ours=True)
CLIMATE = Folder("climate", "climate-2024", readers=None)
SCANS = Folder("scans", path="/srv/scans", readers=("ann",))
NAS = Folder("nas", "lab-shared-nas-1", options={"type": "nfs"}, readers=("ann",), kinds=("large",))
SHARING = replace(with_two_kinds(), folders=(PHYSICS, CLIMATE, SCANS, NAS)).servers
OF_PHYSICS = {labels.DEPLOYMENT: "lab", labels.ROLE: labels.SHARED}


def test_two_servers_never_have_the_same_address(engine: Engine) -> None:
    """Neither one that runs, nor one that was just made. A server that is made again keeps its own."""
    networks = ("10.1.2.0/24",)
    made_from, running = contract(networks=networks).servers, servers.mac_address("lab-user-ann", networks)
    second = servers.mac_address("lab-user-ann", networks, [running])

    async def listed(method: str, path: str, query: Any = None, body: Any = None) -> Any:
        if path == "/containers/json":
            places = ({"lab-network": {"MacAddress": running}}, {"another": {"MacAddress": "02:42:00:00:00:01"}})
            return _answer([{"NetworkSettings": {"Networks": one}} for one in places])
        return await Engine.ask(engine, method, path, query, body)

    engine.ask = listed  # type: ignore[method-assign]

    async def made(gate: Any, user: str) -> str:
        asked = table.Asked(
            None, "", {"name": f"lab-user-{user}"}, json.dumps({"Labels": {labels.USER: user}}).encode()
        )
        await table.create(gate, asked)
        return str(engine.changes[-1][3]["MacAddress"])

    async def story() -> list[str]:
        gate = table.Gate(engine, made_from, _nothing_measured)
        # Somebody to whom chance gives what ann has.
        gate.addresses["lab-user-eve"] = second
        return [await made(gate, "ann"), await made(gate, "ann"), await made(gate, "bob")]

    first, again, other = asyncio.run(story())
    assert first == again == servers.mac_address("lab-user-ann", networks, [running, second])
    assert other == servers.mac_address("lab-user-bob", networks)


def test_the_networks_of_a_server_are_those_of_a_kind_that_its_user_may_have(ask: Ask, engine: Engine) -> None:
    small, large = with_two_kinds().servers.kinds
    made_from = replace(MADE_FROM, kinds=(small, replace(large, networks=("10.1.2.0/24",))))

    def address(user: str, kind: str) -> str | None:
        body = wish(Labels={labels.USER: user, labels.KIND: kind})
        status, _ = ask("POST", f"/containers/create?name=lab-user-{user}", json=body, made_from=made_from)
        return engine.changes[-1][3].get("MacAddress") if status == 200 else f"{status}"

    assert address("ann", "large") == servers.mac_address("lab-user-ann", ("10.1.2.0/24",))
    assert address("ann", "small") is None
    assert address("bob", "large") == "403"


def shared(body: dict[str, Any]) -> list[tuple[str, str, str, bool]]:
    mounts = [one for one in body["HostConfig"]["Mounts"] if one["Target"].startswith(servers.SHARED)]
    return [(one["Type"], one["Source"], one["Target"], one["ReadOnly"]) for one in mounts]


def test_a_server_has_what_is_shared_with_its_user_whatever_the_hub_says(ask: Ask, engine: Engine) -> None:
    engine.volumes |= {"lab-shared-physics": OF_PHYSICS, "climate-2024": {}}
    for user, kind in (("ann", "small"), ("ann", "large"), ("bob", "small"), ("eve", "small")):
        path = CREATE.replace("lab-user-ann", f"lab-user-{user}")
        carried = {labels.USER: user, labels.KIND: kind}
        host = {"Mounts": [{"Type": "bind", "Source": "/", "Target": "/mnt"}]}
        assert ask("POST", path, json=wish(Labels=carried, HostConfig=host), made_from=SHARING)[0] == 403
        assert ask("POST", path, json=wish(Labels=carried), made_from=SHARING)[0] == 200
    climate = ("volume", "climate-2024", "/srv/shared/climate", True)
    physics, scans = (
        ("volume", "lab-shared-physics", "/srv/shared/physics"),
        ("bind", "/srv/scans", "/srv/shared/scans", True),
    )
    nas = ("volume", "lab-shared-nas-1", "/srv/shared/nas", True)
    assert [shared(body) for *_, body in engine.changes] == [
        [climate, (*physics, False), scans],
        [climate, nas, (*physics, False), scans],
        [climate, (*physics, True)],
        [climate],
    ]


@pytest.mark.parametrize(
    ("volumes", "words"),
    [
        ({"lab-shared-physics": OF_PHYSICS}, "climate cannot be shared: there is no volume climate-2024"),
        ({"climate-2024": {}}, "physics cannot be shared: there is no volume lab-shared-physics"),
        (
            {"climate-2024": {}, "lab-shared-physics": {}},
            "physics cannot be shared: the volume lab-shared-physics is no folder",
        ),
        (
            {"climate-2024": {}, "lab-shared-physics": {**OF_PHYSICS, labels.DEPLOYMENT: "other"}},
            "physics cannot be shared: the volume lab-shared-physics is no folder",
        ),
        (
            {"climate-2024": {labels.DEPLOYMENT: "other"}, "lab-shared-physics": OF_PHYSICS},
            "climate cannot be shared: the volume climate-2024 is no folder",
        ),
    ],
)
def test_what_is_shared_was_made_for_it(
    ask: Ask, engine: Engine, volumes: dict[str, dict[str, str]], words: str
) -> None:
    engine.volumes |= volumes
    status, content = ask("POST", CREATE, json=wish(), made_from=SHARING)
    assert (status, engine.changes) == (409, [])
    assert words in json.loads(content)["message"]


def test_a_simulated_person_gets_a_server_without_volumes_that_anybody_could_look_for(ask: Ask, engine: Engine) -> None:
    path = CREATE.replace("lab-user-ann", "lab-user-rehearsal001-2e")
    assert ask("POST", path, json=wish(Labels={labels.USER: "rehearsal001."}))[0] == 200
    assert not [path for _, path, *_ in engine.asked if path.startswith("/volumes/")]
    ((*_, body),) = engine.changes
    assert "Source" not in json.dumps(body)


@pytest.mark.parametrize("can", [True, False])
def test_a_users_volumes_are_bounded_where_a_trial_shows_that_the_engine_can(
    ask: Ask, engine: Engine, can: bool
) -> None:
    limited = contract(disk_limit=10**10).servers

    async def trying(method: str, path: str, query: Any = None, body: Any = None) -> Any:
        found = await Engine.ask(engine, method, path, query, body)
        if path != "/volumes/create":
            return found
        return _answer({}) if can else Answer(400, b'{"message": "quota size requested but no quota support"}')

    engine.ask = trying  # type: ignore[method-assign]
    assert ask("POST", CREATE, json=wish(), made_from=limited)[0] == 200
    tried, *others, (*_, made) = engine.changes
    assert tried[3]["DriverOpts"] == {"size": "10000000000"}
    assert tried[3]["Labels"][labels.ROLE] == labels.ONE_OFF
    assert [one[:2] for one in others] == ([("DELETE", "/volumes/lab-quota-trial")] if can else [])
    home, work, scratch = made["HostConfig"]["Mounts"]
    bounded = {"Name": "local", "Options": {"size": "10000000000"}} if can else None
    assert [one["VolumeOptions"].get("DriverConfig") for one in (home, work, scratch)] == [bounded, bounded, None]


def test_the_disk_is_measured_by_what_each_server_can_write_to(ask: Ask, engine: Engine) -> None:
    asked: list[tuple[set[str], dict[str, str]]] = []

    async def measure(volumes: set[str], folders: dict[str, str]) -> dict[str, tuple[int, int]]:
        asked.append((volumes, folders))
        return {"home": (1, 2)}

    async def answered(method: str, path: str, query: Any = None, body: Any = None) -> Any:
        if path == "/containers/json":
            return _answer([{"Id": "c1"}, {"Id": "c2"}, {"Id": "gone"}])
        if path == "/containers/gone/json":
            return Answer(404, b"{}")
        name = path.split("/")[2]
        mounts = [
            {"Type": "volume", "Name": f"home-{name}", "RW": True},
            {"Type": "volume", "Name": "climate", "RW": False},
            {"Type": "bind", "Source": "/etc"},
        ]
        layer = {"Data": {"UpperDir": f"/layers/{name}"}}
        return _answer({"Mounts": mounts, "GraphDriver": layer, "HostConfig": {"ReadonlyRootfs": name == "c1"}})

    engine.ask = answered  # type: ignore[method-assign]
    status, content = ask("GET", "/growth", measure=measure)
    assert status == 200
    assert asked == [({"home-c1", "home-c2"}, {"@c2": "/layers/c2"})]
    assert json.loads(content) == {
        "measured": {"home": [1, 2]},
        "servers": {"c1": ["home-c1"], "c2": ["home-c2", "@c2"]},
    }


def test_what_servers_take_is_asked_of_this_deployments_servers_alone(ask: Ask, engine: Engine) -> None:
    """One that ends meanwhile is left out. Amounts as engine 20.10 gives them, and as a newer one does."""
    processor = {"cpu_usage": {"total_usage": 2_500_000_000}}
    moved = {
        "io_service_bytes_recursive": [
            {"op": "read", "value": 1},
            {"op": "Write", "value": 40},
            {"op": "write", "value": 2},
        ]
    }
    stats = {
        "old": {"usage": 900, "stats": {"inactive_file": 50, "total_inactive_file": 100, "dirty": 1, "total_dirty": 7}},
        "new": {"usage": 900, "stats": {"inactive_file": 200, "file_dirty": 2, "file_writeback": 3}},
        "ended": {},
    }

    async def answered(method: str, path: str, query: Any = None, body: Any = None) -> Any:
        engine.asked.append((method, path, dict(query), body))
        if path == "/containers/json":
            return _answer([{"Id": one} for one in (*stats, "gone", "removed")])
        name = path.split("/")[2]
        if name == "removed":
            # What the engine gives of one that is removed while it waits for its own next look.
            return Answer(200, b"")
        found = {"read": f"at {name}", "memory_stats": stats.get(name), "cpu_stats": processor, "blkio_stats": moved}
        return _answer(found) if name in stats else Answer(404, b'{"message": "No such container"}')

    engine.ask = answered  # type: ignore[method-assign]
    status, content = ask("GET", "/use")
    assert status == 200
    assert json.loads(content) == {
        "old": {"memory": 800, "processor": 2.5, "at": "at old", "written": 42, "unwritten": 7},
        "new": {"memory": 700, "processor": 2.5, "at": "at new", "written": 42, "unwritten": 5},
    }
    listed = engine.asked[0][2]
    assert set(json.loads(listed["filters"])["label"]) == {f"{labels.DEPLOYMENT}=lab", f"{labels.ROLE}={labels.SERVER}"}


def test_only_who_may_use_sudo_gets_it(ask: Ask, engine: Engine) -> None:
    ask("POST", CREATE, json=wish())
    ask("POST", "/containers/create?name=lab-user-bob", json=wish(Labels={labels.USER: "bob"}))
    assert [body["User"] for *_, body in engine.changes] == ["1000", "0"]


@pytest.mark.parametrize(
    "body",
    [
        wish(Image="debian"),
        wish(HostConfig={"Privileged": True}),
        wish(hostconfig={"Privileged": True}),
        wish(User="0"),
        wish(Entrypoint=["sh"]),
        wish(Labels={labels.USER: "ann", labels.ROLE: "hub"}),
        wish(Labels={labels.USER: "bob"}),
        wish(Labels={labels.USER: ""}),
        wish(Labels={labels.USER: ["ann"]}),
        wish(Labels={}),
        wish(Labels=None),
        wish(Labels={labels.USER: "ann", labels.ASIDE: "perhaps"}),
        wish(Env={"JUPYTERHUB_API_TOKEN": "t"}),
        *(
            wish(Env=[line])
            for line in (
                "GRANT_SUDO=yes", "NB_UID=0", "NB_USER=root", "CHOWN_EXTRA=/etc", "BASH_ENV=/x", "PATH=/x", "LD_PRELOAD=/x",
                "PYTHONPATH=/x", "JUPYTERHUB_API_TOKEN", "jupyterhub_api_token=t", "JUPYTERHUB_\nPATH=/x", "=t", "TZ=x",
            )
        ),
        wish(Env=["JUPYTERHUB_A=1", "JUPYTERHUB_A=2"]),
        wish(Env=[f"JUPYTERHUB_A={'a' * 40_000}"]),
        wish(Env=[f"JUPYTERHUB_{number}=" for number in range(200)]),
        [],
        "text",
    ],
    ids=lambda body: str(body)[:60],
)  # fmt: skip
def test_the_hub_chooses_nothing_but_the_user_and_its_own_part_of_the_environment(
    ask: Ask, engine: Engine, body: Any
) -> None:
    status, content = ask("POST", CREATE, json=body)
    assert (status, engine.changes) == (403, [])
    assert b"the filter refuses this" in content


@pytest.mark.parametrize(
    "body",
    [
        b'{"Labels": {"hubdeploy.user": "ann"}, "Labels": {"hubdeploy.user": "ann"}}',
        b'{"Labels": {"hubdeploy.user": "ann", "Hubdeploy.User": "bob"}}',
        b'{"Labels": {"hubdeploy.user": "ann"}, "labels": {}}',
        b'{"Labels": {"hubdeploy.user": "ann"}} {}',
        b"[" * 100_000,
        b"\xff",
        b"",
    ],
)
def test_a_body_that_two_could_read_differently_is_refused(ask: Ask, engine: Engine, body: bytes) -> None:
    assert ask("POST", CREATE, data=body)[0] == 403
    assert engine.changes == []


def test_a_body_is_bounded_and_whole(ask: Ask, engine: Engine) -> None:
    assert ask("POST", CREATE, data=b" " * 300_000)[0] == 403

    async def pieces() -> AsyncIterator[bytes]:
        yield json.dumps(wish()).encode()

    assert ask("POST", CREATE, data=pieces())[0] == 403
    assert engine.changes == []


@pytest.mark.parametrize(
    "name", ["lab-user-bob", "lab-hub", "", "lab-user-ann&name=lab-user-ann", "lab-user-ann&platform=x"]
)
def test_a_server_has_its_users_name(ask: Ask, engine: Engine, name: str) -> None:
    assert ask("POST", f"/containers/create?name={name}", json=wish())[0] == 403
    assert engine.changes == []


@pytest.mark.parametrize(
    "carried",
    [
        {labels.DEPLOYMENT: "lab", labels.ROLE: "proxy-volume"},
        {labels.DEPLOYMENT: "other", labels.ROLE: labels.VOLUME},
        {labels.DEPLOYMENT: "other"},
    ],
)
def test_a_volume_that_is_no_users_of_this_deployment_is_not_mounted(
    ask: Ask, engine: Engine, carried: dict[str, str]
) -> None:
    engine.volumes["lab-user-ann"] = carried
    assert ask("POST", CREATE, json=wish())[0] == 403
    assert engine.changes == []


@pytest.mark.parametrize("carried", [{}, {labels.DEPLOYMENT: "lab", labels.ROLE: labels.VOLUME}])
def test_a_users_old_volumes_are_used(ask: Ask, engine: Engine, carried: dict[str, str]) -> None:
    engine.volumes |= {"lab-user-ann": carried, "lab-home-ann": carried}
    assert ask("POST", CREATE, json=wish())[0] == 200
    assert "--recursive" not in str(engine.changes)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/start"), ("POST", "/pause"), ("POST", "/unpause"), ("POST", "/stop"),
        ("POST", "/stop?t=5"), ("DELETE", "?v=True&link=False&force=True"),
        ("GET", "/json"), ("GET", "/logs?stdout=1&stderr=1&timestamps=0&follow=0&tail=200"),
        ("GET", "/stats?stream=False&one-shot=True"),
    ],
)  # fmt: skip
def test_a_request_about_a_server_of_this_deployment_passes_and_about_anything_else_finds_none(
    ask: Ask, engine: Engine, method: str, path: str
) -> None:
    assert ask(method, f"/containers/{OWN}{path}")[0] == 200
    assert engine.asked[-1][1].startswith(f"/containers/{OWN}")
    for other in (THEIRS, COMPONENT, "d" * 64):
        engine.asked.clear()
        assert ask(method, f"/containers/{other}{path}")[0] == 404
        assert [one[:2] for one in engine.asked] == [("GET", f"/containers/{other}/json")]


def test_a_server_of_root_does_not_start_past_a_link(ask: Ask, engine: Engine) -> None:
    engine.user, engine.link = "0", "/etc"
    status, content = ask("POST", f"/containers/{OWN}/start")
    assert (status, engine.changes) == (409, [])
    assert json.loads(content)["message"] == "/home/cryptic/work is a link to /etc."
    assert servers.is_a_link("/home/cryptic/work") == "/home/cryptic/work is a link to "
    engine.link = ""
    assert ask("POST", f"/containers/{OWN}/start")[0] == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", f"/containers/{OWN}/exec"),
        ("POST", f"/containers/{OWN}/update"),
        ("POST", f"/containers/{OWN}/rename?name=x"),
        ("POST", f"/containers/{OWN}/attach"),
        ("POST", f"/containers/{OWN}/kill"),
        ("GET", f"/containers/{OWN}/archive?path=/"),
        ("PUT", f"/containers/{OWN}/archive?path=/"),
        ("GET", f"/containers/{OWN}/export"),
        ("GET", f"/containers/{OWN}/top"),
        ("GET", f"/containers/{OWN}/logs?follow=1"),
        ("GET", f"/containers/{OWN}/stats?stream=1"),
        ("POST", f"/containers/{OWN}/start?checkpoint=x"),
        ("POST", f"/containers/{OWN}/stop?signal=KILL"),
        ("POST", "/containers/lab-hub/stop"),
        ("POST", "/containers/prune"),
        ("GET", "/containers/../volumes"),
        ("GET", "/containers/%2e%2e/json"),
        ("GET", f"//containers/{OWN}/json"),
        ("GET", f"/containers/{OWN}/json/"),
        ("GET", f"/containers/{OWN}/json?size=1"),
        ("GET", "/images/debian/json"),
        ("GET", "/images/sha256:2/json"),
        ("GET", f"/images/{IMAGE}/get"),
        ("GET", "/images/debian/assets"),
        ("GET", f"/images/x/../{IMAGE}/json"),
        ("GET", "/images/json"),
        ("POST", "/images/create?fromImage=debian"),
        ("POST", "/images/load"),
        ("POST", "/build"),
        ("POST", "/commit?container=x"),
        ("GET", "/volumes"),
        ("POST", "/volumes/create"),
        ("GET", "/networks"),
        ("POST", "/networks/create"),
        ("GET", "/info"),
        ("GET", "/version"),
        ("POST", "/auth"),
        ("GET", "/plugins"),
        ("POST", "/swarm/init"),
        ("POST", "/session"),
        ("GET", "/system/df"),
        ("GET", '/events?filters={"type":["image"]}'),
        ("GET", '/events?filters={"event":["create"]}'),
        ("GET", '/events?filters={"label":"x"}'),
        ("GET", '/containers/json?filters={"status":["exited"]}'),
        ("GET", "/containers/json?filters=x"),
        ("GET", "/containers/json?all=1&all=1"),
        ("GET", "/containers/json?before=x"),
    ],
)
def test_what_stands_in_no_row_is_refused_and_asks_the_engine_nothing(
    ask: Ask, engine: Engine, method: str, path: str
) -> None:
    assert ask(method, path)[0] in (400, 403)
    assert engine.changes == []
    assert all(one[1].startswith(("/images/lab/", "/containers/json")) for one in engine.asked)


@pytest.mark.parametrize("version", ["", "/v1.24", "/v1.40", "/v1.42", "/v1.41/v1.41", "/V1.41"])
def test_another_version_of_the_api_is_refused(ask: Ask, engine: Engine, version: str) -> None:
    assert ask("GET", "/_ping", version=version)[0] == 403
    assert engine.asked == []


@pytest.mark.parametrize(
    "headers", [{"Upgrade": "tcp", "Connection": "Upgrade"}, {"Expect": "100-continue"}, {"Content-Encoding": "gzip"}]
)
def test_a_request_is_one_request(ask: Ask, engine: Engine, headers: dict[str, str]) -> None:
    assert ask("POST", f"/containers/{OWN}/start", headers=headers)[0] in (400, 403)
    assert engine.asked == []


@pytest.mark.parametrize("method", ["POST", "DELETE", "GET"])
def test_a_body_where_none_belongs_is_refused(ask: Ask, engine: Engine, method: str) -> None:
    path = {"POST": f"/containers/{OWN}/start", "DELETE": f"/containers/{OWN}", "GET": f"/containers/{OWN}/json"}[
        method
    ]
    assert ask(method, path, data=b'{"Binds": ["/:/host"]}')[0] == 403
    assert engine.asked == []


def test_a_list_and_the_events_are_of_this_deployments_servers(ask: Ask, engine: Engine) -> None:
    mine = [f"{labels.DEPLOYMENT}=lab", f"{labels.ROLE}={labels.SERVER}"]
    for path in ("/containers/json", "/events"):
        filters = {"label": [f"{labels.USER}=bob", f"{labels.DEPLOYMENT}=other"]}
        assert ask("GET", f"{path}?filters={json.dumps(filters).replace(' ', '')}")[0] == 200
        assert json.loads(engine.asked[-1][2]["filters"])["label"] == [*filters["label"], *mine]


def test_the_files_for_browsers_come_out_of_a_container_that_never_runs_and_goes(ask: Ask, engine: Engine) -> None:
    async def labelled(method: str, path: str, query: Any = None, body: Any = None) -> Any:
        found = await Engine.ask(engine, method, path, query, body)
        image = {"Id": "sha256:1", "Config": {"Labels": {labels.ASSETS: "/assets"}}}
        return _answer(image) if path == f"/images/{IMAGE}/json" else found

    engine.ask = labelled  # type: ignore[method-assign]
    assert ask("GET", f"/images/{IMAGE}/assets") == (200, b"{}")
    made, taken, removed = engine.asked[-3:]
    assert made[3]["HostConfig"] == {"NetworkMode": "none"}
    assert made[3]["Labels"][labels.ROLE] == labels.ONE_OFF
    assert taken[1:3] == ("/containers/new/archive", {"path": "/assets"})
    assert removed[:2] == ("DELETE", "/containers/new")


def test_refusals_are_counted(engine: Engine) -> None:
    gate = table.Gate(engine, MADE_FROM, _nothing_measured)
    filtered = process.Filter(gate, table.ROWS)

    async def story() -> None:
        for path in ("/v1.41/info", "/v1.41/_ping", "/v1.41/volumes"):
            request: Any = SimpleNamespace(method="GET", raw_path=path, headers={}, read=_nothing)
            await filtered.answer(request)

    asyncio.run(story())
    assert gate.refused == 2


async def _nothing() -> bytes:
    return b""


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
_KEYS = st.sampled_from(
    ["Env", "Labels", "env", "Image", "HostConfig", "User", "Cmd", "Binds", "Mounts", labels.USER, labels.ASIDE, labels.KIND,
     labels.CARDS, "ENV"]
)  # fmt: skip
_LINES = st.sampled_from(["JUPYTERHUB_A=1", "PATH=/x", "NB_UID=0", "JPY_B=", "MEM_LIMIT=1", "JUPYTERHUB_A=2", "x"])
_NAMES = st.sampled_from(["ann", "bob", "ANN", "", "a/b", "../x", "{username}", "\0", "\ud800", "a" * 300, "default"])
_BODIES = st.fixed_dictionaries(
    {},
    optional={
        "Env": st.lists(_LINES, max_size=3) | _JSON,
        "Labels": st.dictionaries(_KEYS, _NAMES | _JSON, max_size=3),
        "HostConfig": _JSON,
    },
)


@settings(max_examples=400, deadline=None, derandomize=True, database=None)
@given(body=_BODIES | st.dictionaries(_KEYS, _JSON, max_size=4), name=_NAMES)
def test_whatever_the_hub_sends_a_server_is_its_template(body: dict[str, Any], name: str) -> None:
    engine = Engine()
    asked = table.Asked(None, "", {"name": f"lab-user-{name}"}, json.dumps(body).encode())
    try:
        asyncio.run(table.create(table.Gate(engine, MADE_FROM, _nothing_measured), asked))
    except Refused:
        assert engine.changes == []
        return
    for *_, made in engine.changes:
        user = body["Labels"][labels.USER]
        given_by_hub = dict(line.split("=", 1) for line in body.get("Env", []))
        assert all(servers.is_hubs(one) for one in given_by_hub)
        aside = body["Labels"].get(labels.ASIDE) == "yes"
        wanted = servers.Wish(
            user, given_by_hub, aside=aside, home_is_new=True, kind=body["Labels"].get(labels.KIND, "")
        )
        assert made == servers.creation(MADE_FROM, wanted, mac_in_endpoint=False)
