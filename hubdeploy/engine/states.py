"""Proves new hub images and keeps what a hub can go back to. A helper of the hub's image does what concerns its database."""

from __future__ import annotations

from collections.abc import Callable

from hubdeploy.blueprint.specs import Mount, Store
from hubdeploy.contract import states
from hubdeploy.engine import helper
from hubdeploy.engine.connection import Connection
from hubdeploy.engine.helper import Helper
from hubdeploy.errors import EngineError, indented
from hubdeploy.plan import operations as op

Progress = Callable[[str], None]
# The one that has the hub's packages.
_PYTHON = "/opt/hub/bin/python"
# Characters of a program's standard error in a message.
_LAST_WORDS = 2000


def prove(connection: Connection, operation: op.ImageProved, progress: Progress) -> None:
    store = operation.store
    code, _, errors = _run(connection, store, "prove")
    if code != 0:
        raise EngineError(
            wanted=f"the new {store.image}, able to upgrade the hub's database",
            found=f"on a copy of the database it failed:\n{indented(errors[-_LAST_WORDS:])}",
            fix="nothing was replaced, so the old hub runs on; correct the image, or restore a damaged database, then run"
            " ./invoke up again",
        )


def _run(connection: Connection, store: Store, verb: str, *words: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a program that only reads the hub's data."""
    heard: list[str] = []
    wanted = Helper(
        name=f"{store.deployment}-job-states",
        image=store.image,
        command=(_PYTHON, "-m", "states", verb, *words),
        deployment=store.deployment,
        mounts=(Mount(store.data, states.DATA, read_only=True), Mount(store.states, states.STATES)),
        files={},
        capabilities=(),
        network="none",
        environment={},
        task="work on the hub's states",
    )
    ended = helper.run(connection, wanted, heard.append)
    return ended.code, "\n".join(heard), ended.errors
