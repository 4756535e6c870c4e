"""Asks the foreign image of users' servers which JupyterHub it has, once for each image.

The answer is kept in a file of the checkout that git ignores. Its key is all that decides it: the image's id, which names its
content on any engine, the command, and the question. So each clone asks for itself, and the file is never wrong. It holds
the version that was found and not the verdict, as the hub's version may change. A missing answer is not kept: the engine
may have been busy.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
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

MEMORY = ".notebook-images.json"
# JupyterLab prints its version within 4 s, and takes much longer for the first time from a slow disk.
WITHIN = 60.0


def evidence(
    settings: Settings, snapshot: Snapshot, engine: Engine, say: Callable[[str], None]
) -> tuple[Wanted, Found] | Problem | None:
    """What servers need and what their image has; a Problem if it does not answer. None for an image of ours, which its
    lock file pins, and for an image that is not pulled yet."""
    reference = settings.notebook_image
    state = snapshot.images.get(reference)
    if settings.notebook_member or state is None:
        return None
    lock = f"{family.FAMILY['hub'].folder}/requirements.lock"
    # The lock rather than requirements.in: the hub's image is installed from it.
    hub = compatibility.hub_version(read_text(settings.root / lock, lock, "the lock file of the hub's image"), lock)
    wanted = Wanted(reference, settings.spawn_command, hub, settings.image_reference("base-notebook"))
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
    """Raises Refused if DOCKER_NOTEBOOK_IMAGE is foreign, on the engine, and does not fit the hub."""
    problems = tuple(checks.notebook_image(evidence(settings, snapshot, engine, say)))
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
