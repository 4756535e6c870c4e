"""Runs a program of the hub's image on the hub's data volume, in a throw-away container, whether the hub runs or not.

Arguments are seen by whoever may use the engine, so none is ever a secret. What comes back is what the program prints.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from hubdeploy import files
from hubdeploy.blueprint import documents
from hubdeploy.engine import Engine
from hubdeploy.settings.declarations import Settings

# The one that has the hub's packages.
_PYTHON = "/opt/hub/bin/python"
_WITHIN = 60.0


def run(
    engine: Engine, settings: Settings, module: str, arguments: Sequence[str] = (), *, reads_documents: bool = False
) -> str:
    """Standard output of `python -m MODULE ARGUMENTS`, with the data volume where the hub has it, and, where
    `reads_documents`, the hub's documents. Raises DeployError if there is no hub, or the program fails."""
    mounts = {settings.data_mount: True}
    if reads_documents:
        mounts[documents.DOCUMENTS_MOUNT] = False
    # Two at once would each remove the other's container.
    with files.locked(settings.root):
        return engine.run_in_hub(
            settings.hub_name,
            (_PYTHON, "-m", module, *arguments),
            mounts=mounts,
            deployment=settings.name,
            within=_WITHIN,
        )


def ask(engine: Engine, settings: Settings, module: str, *arguments: str) -> dict[str, Any]:
    """What a program answers, as JSON, that gets the data directory before its arguments. Raises as `run` does."""
    answer: dict[str, Any] = json.loads(run(engine, settings, module, (settings.data_mount, *arguments)))
    return answer
