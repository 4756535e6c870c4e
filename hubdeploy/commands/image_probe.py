"""Looks into the foreign image of users' servers, once for each image, and refuses one that does not fit the hub.

What a look found is remembered in a file of the checkout that git ignores, by all that decides it: the image's id,
which names its content on any engine, the command, and the question itself. So every clone looks once for itself, and
nothing of that need be shared or cleaned: the file may be lost, never wrong. It holds the version found, not the
verdict, as the hub may get another. A look without an answer is not remembered: the engine may have been busy.
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
from hubdeploy.errors import DeployError, read_text
from hubdeploy.plan import compatibility
from hubdeploy.plan.compatibility import Look
from hubdeploy.plan.snapshot import Snapshot
from hubdeploy.settings.declarations import Settings

MEMORY = ".looked-at.json"
# JupyterLab prints its version within 4 s, and takes much longer for the first time from a slow disk.
WITHIN = 60.0


def refuse_misfit(settings: Settings, snapshot: Snapshot, engine: Engine, say: Callable[[str], None]) -> None:
    """Raises DeployError if DOCKER_NOTEBOOK_IMAGE is foreign, on the engine, and does not fit the hub. One that is still
    to be pulled cannot be looked into yet; ours is pinned by its lock."""
    reference = settings.notebook_image
    state = snapshot.images.get(reference)
    if settings.notebook_member or state is None:
        return
    lock = f"{family.FAMILY['hub'].folder}/requirements.lock"
    # The lock rather than requirements.in: the hub's image is installed from it.
    hub = compatibility.hub_version(read_text(settings.root / lock, lock, "the lock file of the hub's image"), lock)
    wanted = compatibility.Wanted(reference, settings.spawn_command, hub, settings.image_reference("base-notebook"))
    question = compatibility.question(wanted.command[0])
    memory, key = settings.root / MEMORY, _key(state.id, question)
    with files.locked(settings.root):
        look = _remembered(memory, key)
        if look is None:
            say(f"  .. looking for JupyterHub in image {reference}, once")
            look = _looked(partial(engine.said_in, state.id, question, deployment=settings.name, within=WITHIN), wanted)
            _remember(memory, key, look)
    compatibility.refuse_misfit(look, wanted)


def _looked(ask: Callable[..., str], wanted: compatibility.Wanted) -> Look:
    output = ask()
    # An entrypoint may need rights that a server has and a look has not; then the image is asked without it.
    look = compatibility.answer(output) or compatibility.answer(ask(entrypoint=False))
    if look is None:
        raise compatibility.unanswered(output, wanted)
    return look


def _key(image_id: str, question: tuple[str, ...]) -> str:
    return f"{image_id} {hashlib.sha256(json.dumps(question).encode()).hexdigest()[:16]}"


def _remembered(memory: Path, key: str) -> Look | None:
    match _read(memory).get(key):
        case {"command": bool(command), "jupyterhub": str() | None as version}:
            return Look(command, version)
    return None


def _remember(memory: Path, key: str, look: Look) -> None:
    content = {**_read(memory), key: {"command": look.command, "jupyterhub": look.jupyterhub}}
    # A checkout that cannot be written costs the next run a look.
    with suppress(DeployError, OSError):
        files.replace(memory, json.dumps(content, indent=2).encode() + b"\n", mode=0o644)


def _read(memory: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(memory.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
