"""Cards (GPUs) of a host: which are free, how the engine is asked for one, and what the filter lets the hub ask for.

A real engine with devices is in tests/hub/test_gpus.py.
"""

from __future__ import annotations

import asyncio
import importlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from hubdeploy.contract import cards, labels, servers
from tests import hub_modules
from tests.unit.hub.hub_image import with_two_kinds

with hub_modules.importable():
    table = importlib.import_module("filter.table")
Answer, Refused = table.Answer, table.Refused

UUIDS = tuple(f"GPU-8f6d5c1e-0000-1111-2222-33334444555{number}" for number in range(2))
AMD = ("/dev/dri/renderD128+/dev/kfd", "/dev/dri/renderD129+/dev/kfd")
LEADING = ("0", "1", "2")
NOW = 1_800_000_000.0


def listed(name: str, held: str, state: str = "running", *, age: float = 3600, of: str = "lab") -> dict[str, Any]:
    """A container as the engine lists it."""
    carried = {labels.DEPLOYMENT: of, labels.ROLE: labels.SERVER, labels.USER: name, labels.CARDS: held}
    return {"Id": f"id-{name}", "State": state, "Created": int(NOW - age), "Labels": carried}


@pytest.mark.parametrize(
    ("state", "age", "holds"),
    [("running", 9e5, True), ("paused", 9e5, True), ("restarting", 9e5, True), ("created", 5, True), ("created", 90, False),
     ("exited", 5, False), ("dead", 5, False), ("removing", 5, False)],
)  # fmt: skip
def test_a_container_holds_its_card_from_its_making_to_its_end(state: str, age: float, holds: bool) -> None:
    """One that was made and never started, as when the hub was killed between the two, holds none after a minute."""
    held = cards.holders([listed("ann", "1", state, age=age)], NOW)
    assert cards.free(LEADING, held) == (["0", "2"] if holds else ["0", "1", "2"])


def test_a_card_is_known_by_its_own_device_and_the_others_may_be_many_cards() -> None:
    held = cards.holders([listed("ann", AMD[0]), listed("bob", "/dev/dri/renderD130+/dev/kfd")], NOW)
    assert cards.free(AMD, held) == [AMD[1]]
    assert cards.free(("/dev/dri/renderD129", "/dev/dri/renderD128"), held) == ["/dev/dri/renderD129"]


def test_of_two_that_were_made_for_one_card_the_first_starts() -> None:
    """As two deployments do at the same moment: each filter sees the other's container when it starts its own."""
    first, second = listed("ann", "0", "created", age=2), listed("eve", "0", "created", age=1)
    assert cards.holders([first, second], NOW, "id-ann") == {}
    assert cards.holders([first, second], NOW, "id-eve") == {"0": first}
    first["Created"] = second["Created"]
    starts = [one["Id"] for one in (first, second) if not cards.holders([first, second], NOW, one["Id"])]
    assert len(starts) == 1
    second["State"] = "running"
    assert cards.holders([first, second], NOW, "id-ann") == {"0": second}


@pytest.mark.parametrize(
    ("named", "wanted"),
    [
        (("0", "2"), {"DeviceRequests": [{"Driver": "nvidia", "DeviceIDs": ["0", "2"], "Capabilities": [["gpu"]]}]}),
        (UUIDS[:1], {"DeviceRequests": [{"Driver": "nvidia", "DeviceIDs": [UUIDS[0]], "Capabilities": [["gpu"]]}]}),
        (("nvidia.com/gpu=0",), {"DeviceRequests": [{"Driver": "cdi", "DeviceIDs": ["nvidia.com/gpu=0"]}]}),
        (AMD, {"Devices": [
            {"PathOnHost": path, "PathInContainer": path, "CgroupPermissions": "rw"}
            for path in ("/dev/dri/renderD128", "/dev/kfd", "/dev/dri/renderD129")
        ]}),
        ((), {}),
    ],
)  # fmt: skip
def test_the_engine_is_asked_for_cards_by_name_and_never_by_count(
    named: tuple[str, ...], wanted: dict[str, Any]
) -> None:
    """By count everybody would get the same one."""
    assert cards.request(named) == wanted


@pytest.mark.parametrize(("lent", "kept"), [((), True), (("0",), False)])
def test_a_server_without_a_card_gets_none_from_an_engine_whose_runtime_is_nvidias(
    lent: tuple[str, ...], kept: bool
) -> None:
    """Images that are built on NVIDIA's say NVIDIA_VISIBLE_DEVICES=all; that runtime obeys them unless somebody says more."""
    made = servers.creation(lending(LEADING).servers, wish("ann", *lent), mac_in_endpoint=False)
    assert ("NVIDIA_VISIBLE_DEVICES=void" in made["Env"]) is kept
    of_paths = servers.creation(lending(AMD).servers, wish("ann", AMD[0]), mac_in_endpoint=False)
    assert "NVIDIA_VISIBLE_DEVICES=void" in of_paths["Env"]
    without = servers.creation(with_two_kinds().servers, wish("ann"), mac_in_endpoint=False)
    assert not [line for line in without["Env"] if line.startswith("NVIDIA")]


def lending(known: tuple[str, ...], gpus: int = 1) -> Any:
    """A deployment in which ann may have servers of the kind large, with cards, and everybody small ones without."""
    made = with_two_kinds()
    small, large = made.kinds
    return replace(made, kinds=(small, replace(large, gpus=gpus)), cards=known)


def wish(user: str, *named: str) -> servers.Wish:
    return servers.Wish(user, {}, kind="large" if named else "small", cards=named)


class Engine:
    """Lists containers, and remembers what it was asked to change."""

    mac_in_endpoint = False

    def __init__(self, *containers: dict[str, Any]) -> None:
        self.containers = [*containers]
        self.made: list[dict[str, Any]] = []
        self.started: list[str] = []

    async def ask(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: Any = None, within: float = 0
    ) -> Any:
        # Others are served meanwhile, as over a socket.
        await asyncio.sleep(0)
        if path == "/containers/json":
            assert json.loads((query or {})["filters"]) == {"label": [labels.CARDS]}
            return _answer(self.containers)
        if path.endswith("/json") and path.startswith("/containers/"):
            found = next(one for one in self.containers if one["Id"] == path.split("/")[2])
            return _answer({"Config": {"Labels": found["Labels"], "User": "1000"}})
        if path == "/containers/create":
            self.made.append(body)
            self.containers.append(
                {"Id": f"new-{len(self.made)}", "State": "created", "Created": NOW, "Labels": body["Labels"]}
            )
            return _answer({"Id": f"new-{len(self.made)}"})
        if path.endswith("/start"):
            self.started.append(path.split("/")[2])
            return Answer(204, b"")
        return Answer(404, b"{}")


def _answer(content: Any) -> Any:
    return Answer(200, json.dumps(content).encode())


async def _nothing_measured(volumes: Any, folders: Any) -> dict[str, tuple[int, int]]:
    return {}


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table.time, "time", lambda: NOW)


def gate(engine: Engine, made_from: Any) -> Any:
    return table.Gate(engine, made_from.servers, _nothing_measured)


async def create(at: Any, user: str, kind: str, held: object = None) -> Any:
    carried = {labels.USER: user, labels.KIND: kind, **({} if held is None else {labels.CARDS: held})}
    asked = table.Asked(None, "", {"name": f"lab-user-{user}"}, json.dumps({"Labels": carried}).encode())
    return await table.create(at, asked)


def test_a_server_gets_the_card_that_the_hub_names_and_carries_it(now: None) -> None:
    engine = Engine(listed("bob", "0"), listed("cleo", "1", "exited"))
    answer = asyncio.run(create(gate(engine, lending(LEADING)), "ann", "large", "1"))
    assert answer.status == 200
    (made,) = engine.made
    assert made["Labels"][labels.CARDS] == "1"
    assert made["HostConfig"]["DeviceRequests"][0]["DeviceIDs"] == ["1"]


@pytest.mark.parametrize(
    ("kind", "gpus", "held"),
    [("large", 1, "3"), ("large", 1, "/dev/sda"), ("large", 1, "0,1"), ("large", 2, "0,0"), ("large", 2, "0"), ("large", 1, None),
     ("large", 1, ""), ("large", 1, " 0"), ("large", 1, "all"), ("large", 1, ["0"]), ("small", 1, "0"), ("small", 1, "0,1,2")],
)  # fmt: skip
def test_the_hub_gets_no_other_card_and_no_other_number_of_cards_than_a_kind_has(
    kind: str, gpus: int, held: object
) -> None:
    """Whatever somebody who has taken the hub over asks for."""
    engine = Engine()
    with pytest.raises(Refused):
        asyncio.run(create(gate(engine, lending(LEADING, gpus)), "ann", kind, held))
    assert engine.made == []


@pytest.mark.parametrize("deployment", ["lab", "other"])
def test_nobody_gets_a_card_that_a_server_of_any_deployment_has(deployment: str) -> None:
    engine = Engine(listed("bob", AMD[0], of=deployment))
    answer = asyncio.run(create(gate(engine, lending(AMD)), "ann", "large", AMD[0]))
    assert (answer.status, answer.content["message"]) == (409, f"The card {AMD[0]} is another server's.")
    assert engine.made == []


def test_two_requests_for_one_card_at_the_same_moment_make_one_server() -> None:
    engine = Engine()
    made_from = lending(LEADING)
    made_from = replace(made_from, kinds=(made_from.kinds[0], replace(made_from.kinds[1], users=None)))

    async def both() -> list[int]:
        at = gate(engine, made_from)
        return [
            one.status for one in await asyncio.gather(*(create(at, user, "large", "0") for user in ("ann", "bob")))
        ]

    assert sorted(asyncio.run(both())) == [200, 409]
    assert len(engine.made) == 1


@pytest.mark.parametrize(("state", "status"), [("running", 409), ("exited", 204)])
def test_a_container_does_not_start_with_a_card_that_is_another_servers_by_now(state: str, status: int) -> None:
    engine = Engine(listed("ann", "0", "created", age=600), listed("bob", "0", state))
    asked = table.Asked(None, "id-ann", {}, b"")
    answer = asyncio.run(table.start(gate(engine, lending(LEADING)), asked))
    assert (answer.status, engine.started) == (status, ["id-ann"] if status == 204 else [])


def test_the_hub_hears_who_holds_a_card_and_of_other_deployments_only_that_it_is_held() -> None:
    """Of cards that GPUS does not name, it hears nothing."""
    engine = Engine(listed("bob", "0"), listed("eve", "1", of="other"), listed("dan", "9"))
    answer = asyncio.run(table.held_cards(gate(engine, lending(LEADING)), table.Asked(None, "", {}, b"")))
    assert answer.content == {"0": "bob", "1": ""}


def test_which_card_a_server_has_does_not_make_it_out_of_date_and_the_number_does() -> None:
    two, three = (lending(LEADING[:number]).servers for number in (2, 3))
    assert two.fingerprint("ann", two.kinds[1]) == three.fingerprint("ann", three.kinds[1])
    more = lending(LEADING, gpus=2).servers
    assert more.fingerprint("ann", more.kinds[1]) != three.fingerprint("ann", three.kinds[1])
    # One that was started before there were cards is not kept from them.
    without = with_two_kinds().servers
    assert without.fingerprint("ann", without.kinds[0]) == without.kinds[0].fingerprint
    assert without.fingerprint("ann", without.kinds[0]) != two.fingerprint("ann", two.kinds[0])
