"""Asks the foreign images of users' servers which JupyterHub they have, once for each image.

The answer is kept in a file of the checkout that git ignores. Its key is all that decides it: the image's id, which names its
content on any engine, the command, and the question. So each clone asks for itself, and the file is never wrong. It holds
the version that was found and not the verdict, as the hub's version may change. A missing answer is not kept: the engine
may have been busy.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from hubdeploy import family, files
from hubdeploy.engine import Engine
from hubdeploy.errors import DeployError, Problem, Refused, read_text
from hubdeploy.plan import checks, compatibility
from hubdeploy.plan.compatibility import Found, Wanted
from hubdeploy.plan.snapshot import Snapshot
from hubdeploy.settings.declarations import Settings
from hubdeploy.settings.kinds import FILE, UNSET, Kind

MEMORY = ".notebook-images.json"
# JupyterLab prints its version within 4 s, and takes much longer for the first time from a slow disk.
WITHIN = 60.0


Evidence = tuple[Wanted, Found] | Problem


def evidence(
    settings: Settings, snapshot: Snapshot, engine: Engine, say: Callable[[str], None]
) -> tuple[Evidence, ...]:
    """What servers need and what their images have; a Problem for one that does not answer. Nothing of images of ours, which
    their lock file pins, and of those that are not pulled yet."""
    foreign = [one for one in settings.server_kinds if settings.member_of(settings.image_of(one)) is None]
    there = [one for one in foreign if settings.image_of(one) in snapshot.images]
    if not there:
        return ()
    lock = f"{family.FAMILY['hub'].folder}/requirements.lock"
    # The lock rather than requirements.in: the hub's image is installed from it.
    hub = compatibility.hub_version(read_text(settings.root / lock, lock, "the lock file of the hub's image"), lock)
    asked: dict[tuple[str, Sequence[str]], Wanted] = {}
    for one in (_wanted(settings, kind, hub) for kind in there):
        asked.setdefault((one.image, one.command), one)
    return tuple(_of_one(settings, one, snapshot, engine, say) for one in asked.values())


def _wanted(settings: Settings, kind: Kind, hub: str) -> Wanted:
    own = f"the kind {kind.name} in {FILE}"
    image_from = "DOCKER_NOTEBOOK_IMAGE" if kind.image is UNSET else f"the image of {own}"
    command_from = "DOCKER_SPAWN_CMD" if kind.image is UNSET and kind.command is UNSET else f"command of {own}"
    command = kind.taking("command", settings.spawn_command)
    ours = settings.image_reference("base-notebook")
    return Wanted(settings.image_of(kind), command, hub, ours, image_from, command_from)


def _of_one(
    settings: Settings, wanted: Wanted, snapshot: Snapshot, engine: Engine, say: Callable[[str], None]
) -> Evidence:
    reference, state = wanted.image, snapshot.images[wanted.image]
    question = compatibility.question(wanted.command[0])
    memory, key = settings.root / MEMORY, _key(state.id, question)
    with files.locked(settings.root):
        found = _remembered(memory, key)
        if found is None:
            say(f"  .. asking image {reference} which JupyterHub it has, once")
            ask = partial(engine.run_once, state.id, question, deployment=settings.name, within=WITHIN)
            answered = _asked(ask, wanted)
            if isinstance(answered, Problem):
                return answered
            _remember(memory, key, found := answered)
    return wanted, found


def refuse_misfit(settings: Settings, snapshot: Snapshot, engine: Engine, say: Callable[[str], None]) -> None:
    """Raises Refused if a foreign image of users' servers is on the engine and does not fit the hub."""
    problems = tuple(checks.notebook_images(evidence(settings, snapshot, engine, say)))
    if problems:
        raise Refused(problems)


def _asked(ask: Callable[..., str], wanted: Wanted) -> Found | Problem:
    output = ask()
    # An entrypoint may need rights that a server has and this container has not; then the image is asked without it.
    found = compatibility.answer(output) or compatibility.answer(ask(entrypoint=False))
    return found or compatibility.unanswered(output, wanted)


def _key(image_id: str, question: tuple[str, ...]) -> str:
    return f"{image_id} {hashlib.sha256(json.dumps(question).encode()).hexdigest()[:16]}"


def _remembered(memory: Path, key: str) -> Found | None:
    match _read(memory).get(key):
        case {"command": bool(command), "jupyterhub": str() | None as version}:
            return Found(command, version)
    return None


def _remember(memory: Path, key: str, found: Found) -> None:
    content = {**_read(memory), key: {"command": found.command, "jupyterhub": found.jupyterhub}}
    # Where the checkout cannot be written, the next run asks again.
    with suppress(DeployError, OSError):
        files.replace(memory, json.dumps(content, indent=2).encode() + b"\n", mode=0o644)


def _read(memory: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(memory.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
