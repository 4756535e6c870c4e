"""Every request that the hub may make, a row each; jobs.py has the clock's. What fits no row is refused.

A row has its own query, drawn anew for the engine, and no row passes a body on.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import asdict, dataclass, field, replace
from http import HTTPStatus
from typing import Any, Generic, TypeVar

from aiohttp import web
from contract import cards, labels, rehearsals, servers
from contract.disk import Disk
from contract.documents import NO_SECRETS, Folder, ServerKind, Servers, ServerSecrets
from contract.use import Use

from filter import reading
from filter.engine import Answer, Away, Engine
from filter.question import HEALTH, SOCKET
from filter.reading import ID, IMAGE, NAME, Refused

# The name of a server's own layer begins with this; no volume's name can.
LAYER = "@"
# Streams of events at a time; the hub has one that lasts, and one for each server that just ended.
MOST_STREAMS = 16
log = logging.getLogger("filter")

_NUMBER, _TIME, _FLAG, _ANY = r"\d{1,5}", r"\d{1,12}(\.\d{1,9})?", r"(?i:0|1|true|false)", ".{1,4096}"


@dataclass(frozen=True)
class Asked:
    """A request of the hub: the parts of its path and its query, and the body of the one row that has any."""

    request: web.Request
    place: str
    query: Mapping[str, str]
    body: bytes


Response = Answer | web.StreamResponse


class Side:
    """Who asks, and how many of its requests were refused."""

    refused = 0


_Side = TypeVar("_Side", bound=Side)


@dataclass(frozen=True)
class Row(Generic[_Side]):
    """`path` is a pattern with at most one group, `query` a pattern of the value for each name."""

    method: str
    path: str
    answer: Callable[[_Side, Asked], Awaitable[Response]]
    query: Mapping[str, str] = field(default_factory=dict)
    body: bool = False


# Bytes and files of all users' volumes, of further volumes, and of folders of the engine's host (name -> path).
Measure = Callable[[Collection[str], Mapping[str, str]], Awaitable[Mapping[str, tuple[int, int]]]]


class Gate(Side):
    """What the hub's rows share: the engine, what servers are made from, and what was refused."""

    def __init__(
        self,
        engine: Engine,
        made_from: Servers,
        measure: Measure,
        folder: str = os.path.dirname(SOCKET),
        secrets: ServerSecrets = NO_SECRETS,
    ) -> None:
        """`measure` is Desk.measured; `folder` lies in a volume of the engine's."""
        self.engine, self.made_from, self.measure, self.folder = engine, made_from, measure, folder
        self.secrets = secrets
        self.streams = 0
        # Container of a server of a kind with networks -> the MAC address that it was given.
        self.addresses: dict[str, str] = {}
        # None before it was tried.
        self.bounds_volumes: bool | None = None
        # No two requests look for the same card's holder, and then both take it.
        self.lending = asyncio.Lock()

    @property
    def filters(self) -> list[str]:
        """The labels of all servers of this deployment, and of nothing else."""
        carried = {**self.made_from.labels, labels.ROLE: labels.SERVER}
        return [f"{label}={value}" for label, value in carried.items()]

    async def own(self, container: str) -> Answer:
        """A server of this deployment as the engine describes it, or the engine's answer that there is none."""
        answer = await self.engine.ask("GET", f"/containers/{container}/json")
        if not answer.found:
            return answer
        carried = answer.content["Config"]["Labels"] or {}
        if any(carried.get(label) != value for label, value in (one.split("=", 1) for one in self.filters)):
            return message(HTTPStatus.NOT_FOUND, f"No such container: {container}")
        return answer

    async def act(self, asked: Asked, method: str, action: str = "", query: Mapping[str, str] | None = None) -> Answer:
        """What the engine answers to a request about a server of this deployment."""
        found = await self.own(asked.place)
        return await self.engine.ask(method, f"/containers/{asked.place}{action}", query) if found.found else found


def message(status: int, text: str) -> Answer:
    """An answer as the engine gives it where something is wrong."""
    return Answer(status, json.dumps({"message": text}).encode())


async def ping(gate: Gate, asked: Asked) -> Answer:
    return await gate.engine.ask("GET", "/_ping")


async def health(gate: Gate, asked: Asked) -> Answer:
    """Whether the engine answers, and how many requests of the hub were refused."""
    answer = await gate.engine.ask("GET", "/_ping")
    return Answer(HTTPStatus.OK, json.dumps({"refused": gate.refused}).encode()) if answer.found else answer


async def disk(gate: Gate, asked: Asked) -> Answer:
    """How full the engine's disk is, where volumes lie, as in Disk."""
    return Answer(HTTPStatus.OK, json.dumps(asdict(Disk.of(os.statvfs(gate.folder)))).encode())


async def growth(gate: Gate, asked: Asked) -> Answer:
    """What takes the disk: `measured`, name -> bytes and files, of all users' volumes and of what running servers write to;
    `servers`, the id of a running one's container -> the names of all that it writes to: its own, and what it shares."""
    query = {"filters": json.dumps({"label": gate.filters})}
    there = (await gate.engine.ask("GET", "/containers/json", query)).content
    own: dict[str, list[str]] = {}
    layers: dict[str, str] = {}
    for one in there:
        found = await gate.engine.ask("GET", f"/containers/{one['Id']}/json")
        if not found.found:
            continue
        server = found.content
        own[one["Id"]] = [mount["Name"] for mount in server["Mounts"] if mount["Type"] == "volume" and mount["RW"]]
        # The layer that it writes to; an engine that keeps layers otherwise does not say where that is.
        layer = ((server.get("GraphDriver") or {}).get("Data") or {}).get("UpperDir")
        if layer and not server["HostConfig"]["ReadonlyRootfs"]:
            name = f"{LAYER}{one['Id']}"
            own[one["Id"]].append(name)
            layers[name] = layer
    measured = await gate.measure({name for names in own.values() for name in names} - layers.keys(), layers)
    return Answer(HTTPStatus.OK, json.dumps({"measured": measured, "servers": own}).encode())


async def list_servers(gate: Gate, asked: Asked) -> Answer:
    wanted = reading.filters(asked.query.get("filters", "{}"), {"label": ".{1,512}"})
    wanted["label"] = [*wanted.get("label", ()), *gate.filters]
    query = {"all": asked.query.get("all", "0"), "filters": json.dumps(wanted)}
    return await gate.engine.ask("GET", "/containers/json", query)


async def inspect(gate: Gate, asked: Asked) -> Answer:
    """A server as the engine describes it, but of its environment what the hub gave it: there are secrets in the rest."""
    answer = await gate.own(asked.place)
    if not answer.found:
        return answer
    server = answer.content
    environment = server["Config"].get("Env") or ()
    server["Config"]["Env"] = [line for line in environment if servers.is_hubs(line.partition("=")[0])]
    return Answer(answer.status, json.dumps(server).encode())


async def create(gate: Gate, asked: Asked) -> Answer:
    """A server, made from the filter's own template: the hub says whose it is."""
    wish = reading.wish(asked.body)
    # The groups that a login names are the hub's to know.
    kind = gate.made_from.kind_for(wish.user, wish.kind, None)
    if kind is None:
        raise Refused(f"a server of the kind {wish.kind}, which {wish.user} may not have"[:200])
    _refuse_other_cards(gate, wish, kind)
    name = servers.filled(kind.server_name, wish.user)
    if asked.query.get("name") != name:
        raise Refused(f"a name that is not the one of {wish.user}'s server"[:200])
    # The volumes of a simulated person have no names.
    simulated = rehearsals.is_simulated(wish.user)
    volumes = () if simulated else servers.volumes(kind, wish.user)
    if not all(servers.is_name(one) for one in (name, *(volume.name for volume in volumes))):
        return message(HTTPStatus.BAD_REQUEST, f"the engine takes no volume or container with the name of {wish.user}")
    new = simulated
    for volume in volumes:
        there = await _usable(gate, volume.name)
        new = new or (not there and volume.target == servers.home(kind))
    for folder, _ in gate.made_from.folders_of(wish.user, kind.name):
        if problem := await _unusable(gate, folder):
            return message(HTTPStatus.CONFLICT, f"{folder.name} cannot be shared: {problem}")
    made = replace(wish, home_is_new=new)
    quota = await _bounds_volumes(gate, kind)
    body = servers.creation(
        gate.made_from,
        made,
        mac_in_endpoint=gate.engine.mac_in_endpoint,
        quota=quota,
        secrets=gate.secrets,
        address=await _address(gate, kind, name) if kind.networks else "",
    )
    async with gate.lending if wish.cards else nullcontext():
        if taken := await _taken(gate, wish.cards):
            return message(HTTPStatus.CONFLICT, taken)
        return await gate.engine.ask("POST", "/containers/create", {"name": name}, body)


def _refuse_other_cards(gate: Gate, wish: servers.Wish, kind: ServerKind) -> None:
    """Raises Refused unless the server is to have as many cards of the deployment's as its kind says."""
    if len(wish.cards) != kind.gpus or len(set(wish.cards)) < kind.gpus or not {*wish.cards} <= {*gate.made_from.cards}:
        named = cards.label(wish.cards) or "no card"
        raise Refused(f"{named} for a server of the kind {kind.name}, which has {kind.gpus} of GPUS"[:200])


async def _taken(gate: Gate, wanted: Collection[str], starts: str = "") -> str:
    """Which of these cards another container has, as a sentence; empty where none has. `starts`: the id of the container that is
    to start with them."""
    if not wanted:
        return ""
    held = cards.holders(await _card_holders(gate), time.time(), starts)
    return next((servers.is_taken(card) for card in wanted if cards.own_device(card) in held), "")


async def _card_holders(gate: Gate) -> list[Mapping[str, Any]]:
    """All containers of this engine that may hold a card, also other deployments'."""
    query = {"all": "1", "filters": json.dumps({"label": [labels.CARDS]})}
    answer = await gate.engine.ask("GET", "/containers/json", query)
    if not answer.found:
        raise Away("who holds a card cannot be looked at")
    found: list[Mapping[str, Any]] = answer.content
    return found


async def held_cards(gate: Gate, asked: Asked) -> Answer:
    """Each card of the deployment that is held -> the user whose server has it, empty for another deployment's."""
    held = cards.holders(await _card_holders(gate), time.time())
    found = {}
    for card in gate.made_from.cards:
        if holder := held.get(cards.own_device(card)):
            carried = holder["Labels"]
            is_own = gate.made_from.labels.items() <= carried.items()
            found[card] = carried.get(labels.USER, "") if is_own else ""
    return Answer(HTTPStatus.OK, json.dumps(found).encode())


async def _address(gate: Gate, kind: ServerKind, name: str) -> str:
    """A MAC address that tells the networks of the kind, and that no server but the one of this name has or is about to have."""
    query = {"filters": json.dumps({"label": gate.filters})}
    there = (await gate.engine.ask("GET", "/containers/json", query)).content
    attached = (one["NetworkSettings"]["Networks"].get(kind.network_name) for one in there)
    given = {address for other, address in gate.addresses.items() if other != name}
    taken = given | {one["MacAddress"] for one in attached if one}
    gate.addresses[name] = servers.mac_address(name, kind.networks, taken)
    return gate.addresses[name]


async def _bounds_volumes(gate: Gate, kind: ServerKind) -> bool:
    """Whether the engine bounds what a volume takes: only a trial shows it. It must have XFS with project quotas."""
    if gate.bounds_volumes is None and kind.disk_limit:
        name = f"{_own(gate)}-quota-trial"
        carried = {**gate.made_from.labels, labels.ROLE: labels.ONE_OFF}
        body = {"Name": name, "Driver": servers.DRIVER, "DriverOpts": servers.bounds(kind), "Labels": carried}
        made = await gate.engine.ask("POST", "/volumes/create", {}, body)
        if made.found:
            await gate.engine.ask("DELETE", f"/volumes/{name}")
        gate.bounds_volumes = made.found
        how = "bounds" if made.found else "does not bound"
        log.info("the engine %s what a volume takes%s", how, "" if made.found else f": {made.content['message']}")
    return bool(gate.bounds_volumes)


async def _usable(gate: Gate, volume: str) -> bool:
    """True if the volume is there already, False if the engine will make it. Raises Refused if it is something else than a
    user's volume of this deployment. One without the label of any deployment was there before all of them."""
    carried = await _labels_of(gate, volume)
    if carried is None:
        return False
    if labels.DEPLOYMENT in carried and carried.get(labels.ROLE) != labels.VOLUME:
        raise Refused(f"the volume {volume}, which is no user's")
    if carried.get(labels.DEPLOYMENT, _own(gate)) != _own(gate) and volume.startswith(f"{_own(gate)}-"):
        raise Refused(f"the volume {volume} of another deployment")
    return True


async def _unusable(gate: Gate, folder: Folder) -> str:
    """Why a folder that users share can be mounted by none, empty where it can. A path, and what the engine mounts from another
    machine, it refuses itself where they are not there."""
    if folder.path or folder.options:
        return ""
    carried = await _labels_of(gate, folder.volume)
    if carried is None:
        # The engine would make an empty one, of root's.
        return f"there is no volume {folder.volume}"
    owner = carried.get(labels.DEPLOYMENT)
    is_own = owner == _own(gate) and carried.get(labels.ROLE) == labels.SHARED
    if is_own if folder.ours else not owner:
        return ""
    return f"the volume {folder.volume} is no folder that was made for it"


async def _labels_of(gate: Gate, volume: str) -> Mapping[str, str] | None:
    """What a volume carries; None if it is not there."""
    answer = await gate.engine.ask("GET", f"/volumes/{volume}")
    if answer.status == HTTPStatus.NOT_FOUND:
        return None
    if not answer.found:
        raise Away(f"the volume {volume} cannot be looked at")
    return answer.content.get("Labels") or {}


def _own(gate: Gate) -> str:
    return gate.made_from.labels[labels.DEPLOYMENT]


async def start(gate: Gate, asked: Asked) -> Answer:
    """A link in the home, where the notebook directory's volume belongs, would lead the engine to put the user's files into a
    folder of the system, which root reads before it drops to the user."""
    found = await gate.own(asked.place)
    if not found.found:
        return found
    config = found.content["Config"]
    if config["User"] == servers.ROOT:
        target = await gate.engine.link_target(asked.place, config["WorkingDir"])
        if target:
            return message(HTTPStatus.CONFLICT, servers.is_a_link(config["WorkingDir"], target))
    wanted = cards.of_label((config["Labels"] or {}).get(labels.CARDS, ""))
    async with gate.lending if wanted else nullcontext():
        if taken := await _taken(gate, wanted, asked.place):
            return message(HTTPStatus.CONFLICT, taken)
        return await gate.engine.ask("POST", f"/containers/{asked.place}/start")


async def stop(gate: Gate, asked: Asked) -> Answer:
    return await gate.act(asked, "POST", "/stop", {"t": asked.query["t"]} if "t" in asked.query else {})


async def pause(gate: Gate, asked: Asked) -> Answer:
    return await gate.act(asked, "POST", "/pause")


async def unpause(gate: Gate, asked: Asked) -> Answer:
    return await gate.act(asked, "POST", "/unpause")


async def remove(gate: Gate, asked: Asked) -> Answer:
    return await gate.act(asked, "DELETE", query={"v": "1", "force": "1"})


async def read_log(gate: Gate, asked: Asked) -> Answer:
    return await gate.act(asked, "GET", "/logs", {"stdout": "1", "stderr": "1", "tail": asked.query.get("tail", "200")})


async def statistics(gate: Gate, asked: Asked) -> Answer:
    return await gate.act(asked, "GET", "/stats", {"stream": "0", "one-shot": "1"})


async def use(gate: Gate, asked: Asked) -> Answer:
    """Id of each running server's container -> what it takes, as in Use. All are asked side by side: an old engine takes a second
    for each."""
    query = {"filters": json.dumps({"label": gate.filters})}
    there = (await gate.engine.ask("GET", "/containers/json", query)).content
    once = {"stream": "0", "one-shot": "1"}
    answers = await asyncio.gather(*(gate.engine.ask("GET", f"/containers/{one['Id']}/stats", once) for one in there))
    found = {}
    for one, answer in zip(there, answers, strict=True):
        # It may have ended meanwhile, or it was removed: of such a one the engine gives an empty answer.
        with suppress(KeyError, TypeError, ValueError):
            found[one["Id"]] = asdict(Use.of(answer.content))
    return Answer(HTTPStatus.OK, json.dumps(found).encode())


async def events(gate: Gate, asked: Asked) -> web.StreamResponse:
    """The engine's events of this deployment's servers, as they come."""
    wanted = reading.filters(
        asked.query.get("filters", "{}"),
        {"type": "container", "event": "die|kill|oom", "container": ID, "label": ".{1,512}"},
    )
    if gate.streams >= MOST_STREAMS:
        raise Refused("more streams of events than there may be")
    wanted |= {"type": ["container"], "label": [*wanted.get("label", ()), *gate.filters]}
    times = {name: asked.query[name] for name in ("since", "until") if name in asked.query}
    gate.streams += 1
    try:
        return await passed_on(gate, asked, "/events", {**times, "filters": json.dumps(wanted)})
    finally:
        gate.streams -= 1


async def passed_on(gate: Gate, asked: Asked, path: str, query: Mapping[str, str]) -> web.StreamResponse:
    """The engine's answer, piece by piece."""
    async with gate.engine.stream(path, query) as answer:
        response = web.StreamResponse(status=answer.status)
        response.content_type = answer.content_type
        await response.prepare(asked.request)
        async for piece in answer.content.iter_any():
            try:
                await response.write(piece)
            except ConnectionError:
                # The hub heard enough.
                break
        return response


async def inspect_image(gate: Gate, asked: Asked) -> Answer:
    return await _own_image(gate, asked.place)


async def assets(gate: Gate, asked: Asked) -> Response:
    """The folder of an image with JupyterLab's files for browsers, as a tar, out of a container that never runs."""
    found = await _own_image(gate, asked.place)
    if not found.found:
        return found
    image: dict[str, Any] = found.content
    place = (image["Config"]["Labels"] or {}).get(labels.ASSETS)
    if place is None:
        return message(HTTPStatus.NOT_FOUND, f"image {asked.place} has no files for browsers")
    body = {
        "Image": image["Id"],
        "Cmd": ["true"],
        "Labels": {**gate.made_from.labels, labels.ROLE: labels.ONE_OFF},
        "HostConfig": {"NetworkMode": "none"},
    }
    made = await gate.engine.ask("POST", "/containers/create", {}, body)
    if not made.found:
        return made
    container = made.content["Id"]
    try:
        return await passed_on(gate, asked, f"/containers/{container}/archive", {"path": place})
    finally:
        await gate.engine.ask("DELETE", f"/containers/{container}", {"v": "1", "force": "1"})


async def _own_image(gate: Gate, reference: str) -> Answer:
    """An image that a server of this deployment starts with, by its name, or one that servers have, by its id."""
    names = {kind.image for kind in gate.made_from.kinds}
    if reference not in names:
        known = [(await gate.engine.ask("GET", f"/images/{name}/json")) for name in sorted(names)]
        ids = {one.content["Id"] for one in known if one.found}
        query = {"all": "1", "filters": json.dumps({"label": gate.filters})}
        ids |= {one["ImageID"] for one in (await gate.engine.ask("GET", "/containers/json", query)).content}
        if reference not in ids:
            raise Refused("an image that is no server's")
    return await gate.engine.ask("GET", f"/images/{reference}/json")


ROWS = (
    Row("GET", "/_ping", ping),
    Row("GET", HEALTH, health),
    Row("GET", "/disk", disk),
    Row("GET", "/growth", growth),
    Row("GET", "/use", use),
    Row("GET", "/cards", held_cards),
    Row("GET", "/containers/json", list_servers,
        {"all": _FLAG, "limit": "-1", "size": "0", "trunc_cmd": "0", "filters": _ANY}),
    Row("GET", f"/containers/({NAME})/json", inspect),
    Row("POST", "/containers/create", create, {"name": NAME}, body=True),
    Row("POST", f"/containers/({ID})/start", start),
    Row("POST", f"/containers/({ID})/stop", stop, {"t": _NUMBER}),
    Row("POST", f"/containers/({ID})/pause", pause),
    Row("POST", f"/containers/({ID})/unpause", unpause),
    Row("DELETE", f"/containers/({ID})", remove, {"v": _FLAG, "link": "(?i:0|false)", "force": _FLAG}),
    Row("GET", f"/containers/({ID})/logs", read_log,
        {"stdout": "1", "stderr": "1", "timestamps": "0", "follow": "0", "tail": _NUMBER}),
    Row("GET", f"/containers/({ID})/stats", statistics, {"stream": "(?i:0|false)", "one-shot": "(?i:1|true)"}),
    Row("GET", "/events", events, {"since": _TIME, "until": _TIME, "filters": _ANY}),
    Row("GET", f"/images/({IMAGE})/json", inspect_image),
    Row("GET", f"/images/({IMAGE})/assets", assets),
)  # fmt: skip


def row_for(rows: Sequence[Row[_Side]], method: str, path: str) -> tuple[Row[_Side], str]:
    """The row of a request, and what its path names. Raises Refused if there is none."""
    for row in rows:
        match = re.fullmatch(row.path, path)
        if match and row.method == method:
            return row, match.group(1) if match.re.groups else ""
    raise Refused("no such request")
