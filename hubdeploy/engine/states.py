"""Proves new hub images, keeps what a hub can go back to, and brings it back. A helper of the hub's image does what concerns its
database; the engine's own descriptions make containers as they were, whatever this version would make.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

import docker.errors

from hubdeploy.blueprint.components.filter import ENGINE_SOCKET
from hubdeploy.blueprint.specs import Mount, Store
from hubdeploy.contract import containers, servers, states
from hubdeploy.contract.documents import Secret, from_bytes, to_bytes
from hubdeploy.contract.states import Listed, Listing, State, Watched
from hubdeploy.engine import helper
from hubdeploy.engine.act import Progress
from hubdeploy.engine.connection import Connection, already_gone, translated
from hubdeploy.engine.helper import Helper
from hubdeploy.errors import EngineError, indented
from hubdeploy.plan import operations as op

# The one that has the hub's packages.
_PYTHON = "/opt/hub/bin/python"
# Characters of a program's standard error in a message.
_LAST_WORDS = 2000


def prove(connection: Connection, operation: op.ImageProved, progress: Progress) -> None:
    code, _, errors = _run(connection, operation.store, "prove")
    if code != 0:
        raise EngineError(
            wanted=f"the new {operation.store.image}, able to upgrade the hub's database",
            found=f"on a copy of the database it failed:\n{indented(errors[-_LAST_WORDS:])}",
            fix="nothing was replaced, so the old hub runs on; correct the image, or restore a damaged database, then run"
            " ./invoke up again",
        )


def lend(connection: Connection, operation: op.CopyLent, progress: Progress) -> None:
    _checked(connection, operation.store, "lend", str(operation), mounts=(Mount(operation.volume, states.LENT),))


def note(connection: Connection, operation: op.StateNoted, progress: Progress) -> None:
    store, api = operation.store, connection.api
    with translated(str(operation)):
        _end_watch(connection, store)
        image = api.inspect_container(store.hub)["Image"]
        running = dict[str, str]()
        for name in operation.containers:
            with already_gone():
                found = api.inspect_container(name)
                if found["Image"] == image:
                    running[name] = description(connection, found)
    state = State(time.time(), image, running)
    files = {f"{states.STATES}/{states.RUNNING}": Secret(to_bytes(state))}
    _checked(connection, store, "note", str(operation), files=files)


def keep(connection: Connection, operation: op.StateKept, progress: Progress) -> None:
    store = operation.store
    _name_images(connection, store, _listed(_checked(connection, store, "keep", str(operation))))


def bring(connection: Connection, operation: op.StateBrought, progress: Progress) -> None:
    with translated(str(operation)):
        _end_watch(connection, operation.store)
    _checked(connection, operation.store, "bring", str(operation), operation.state.id, writes=True)


def listed(connection: Connection, store: Store) -> tuple[Listed, ...]:
    """All states, the one that is noted first, then the newest. Both volumes must be there."""
    return _listed(_checked(connection, store, "listing", "a list of what the hub can go back to"))


def remove_copies(connection: Connection, operation: op.CopiesGone, progress: Progress) -> None:
    _checked(connection, operation.store, "prune", str(operation), writes=True)


def old_copies(connection: Connection, store: Store) -> tuple[int, int]:
    """How many old copies of the database lie in the data volume, beyond those that are kept, and their bytes."""
    count, _, size = _checked(connection, store, "old", "the old copies of the database, counted").partition(" ")
    return int(count or 0), int(size or 0)


def recreate(connection: Connection, operation: op.ContainerRecreated, progress: Progress) -> None:
    with translated(str(operation)):
        containers.recreate(connection.api, operation.name, operation.description)


def watch(connection: Connection, store: Store, watched: Watched) -> None:
    """Starts the late watch, which works by itself from then on and is removed at its end."""
    wanted = Helper(
        name=states.watch_name(store.deployment),
        image=store.image,
        command=(_PYTHON, "-m", "late_watch"),
        deployment=store.deployment,
        mounts=(
            Mount(store.data, states.DATA),
            Mount(store.documents, states.DOCUMENTS),
            Mount(store.states, states.STATES),
            Mount(ENGINE_SOCKET, states.SOCKET, "bind"),
        ),
        files={},
        capabilities=(),
        network="host",
        environment={"WATCHED": to_bytes(watched).decode()},
        task="a look at the hub",
        goes_by_itself=True,
    )
    with translated(f"{wanted.name} looks at the hub"):
        _end_watch(connection, store)
    helper.start(connection, wanted)


def _end_watch(connection: Connection, store: Store) -> None:
    """Whoever replaces the hub ends the watch of it."""
    try:
        connection.api.remove_container(states.watch_name(store.deployment), force=True)
    except docker.errors.APIError as error:
        # Gone, or at its end: the engine removes it then.
        if error.status_code not in (404, 409):
            raise


def description(connection: Connection, found: Mapping[str, Any]) -> str:
    """What it takes to make an inspected container again: the body of the engine's request, and its place in each network."""
    # The engine makes these from the container's id, or has them from the host.
    config = {key: value for key, value in found["Config"].items() if key not in ("Hostname", "Domainname")}
    networks = (
        found["NetworkSettings"]["Networks"] if found["HostConfig"]["NetworkMode"] not in ("host", "none") else {}
    )
    body = {**config, "Image": found["Image"], "HostConfig": found["HostConfig"]}
    places = {name: _place(connection, one, found["Id"]) for name, one in networks.items()}
    return json.dumps({"body": body, "networks": places})


def _place(connection: Connection, endpoint: Mapping[str, Any], container: str) -> dict[str, Any]:
    """As docker's create_endpoint_config takes it. An older engine has the MAC address in the container's own part."""
    place: dict[str, Any] = {"aliases": [one for one in endpoint["Aliases"] or () if not container.startswith(one)]}
    address = (endpoint.get("IPAMConfig") or {}).get("IPv4Address")
    if address:
        place["ipv4_address"] = address
    if endpoint.get("MacAddress") and servers.api_version(connection.api.api_version) >= servers.MAC_IN_ENDPOINT:
        place["mac_address"] = endpoint["MacAddress"]
    return place


def _name_images(connection: Connection, store: Store, kept: tuple[Listed, ...]) -> None:
    """Each state's image has a name of its own, so the engine's prune leaves it; images of states that are gone lose theirs."""
    repository = store.image.rpartition(":")[0]
    wanted = {f"{repository}:{states.TAG}{one.state.id}": one.state.image for one in kept if not one.is_noted}
    with translated(f"images are named as {repository}:{states.TAG}…"):
        there = {name for one in connection.api.images(repository) for name in one["RepoTags"] or ()}
        for name, image in wanted.items():
            with already_gone():
                connection.api.tag(image, repository, name.rpartition(":")[2], force=True)
        for name in there - wanted.keys():
            if name.startswith(f"{repository}:{states.TAG}"):
                with already_gone():
                    connection.api.remove_image(name)


def _listed(printed: str) -> tuple[Listed, ...]:
    return from_bytes(Listing, printed.encode()).states if printed else ()


def _checked(connection: Connection, store: Store, verb: str, wanted: str, *words: str, **more: Any) -> str:
    """What a program prints. Raises EngineError if it fails."""
    code, printed, errors = _run(connection, store, verb, *words, **more)
    if code != 0:
        raise EngineError(
            wanted=wanted,
            found=f"states {verb} ended with code {code}:\n{indented(errors[-_LAST_WORDS:])}",
            fix="see whether the engine's disk is full, then run it again",
        )
    return printed


def _run(
    connection: Connection,
    store: Store,
    verb: str,
    *words: str,
    writes: bool = False,
    files: Mapping[str, Secret[bytes]] | None = None,
    mounts: tuple[Mount, ...] = (),
) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a program for states; unless it `writes`, it only reads the hub's data."""
    heard: list[str] = []
    wanted = Helper(
        name=states.helper_name(store.deployment),
        image=store.image,
        command=(_PYTHON, "-m", "states", verb, *words),
        deployment=store.deployment,
        mounts=(
            Mount(store.data, states.DATA, read_only=not writes),
            Mount(store.documents, states.DOCUMENTS, read_only=not writes),
            Mount(store.states, states.STATES),
            *mounts,
        ),
        files=files or {},
        capabilities=(),
        network="none",
        environment={},
        task="work on the hub's states",
    )
    ended = helper.run(connection, wanted, heard.append)
    return ended.code, "\n".join(heard).strip(), ended.errors
