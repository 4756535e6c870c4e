"""The canary of an upgrade: a throw-away deployment of the new images on a copy of the database, in which a user of its own
starts a server. It fails before anything that users could notice, and touches nothing of theirs.
"""

from __future__ import annotations

from collections.abc import Callable

from hubdeploy.blueprint import draw
from hubdeploy.blueprint import throwaway as drawn
from hubdeploy.blueprint.specs import Blueprint
from hubdeploy.commands.throwaway import ThrowAway
from hubdeploy.contract import backups
from hubdeploy.engine import Engine
from hubdeploy.errors import DeployError, Interrupted, indented
from hubdeploy.plan import operations as op
from hubdeploy.plan.snapshot import Snapshot
from hubdeploy.settings.declarations import Settings
from hubdeploy.tls.certificates import Pair

# Who works in it; somebody of that name keeps their files, as volumes have the deployment's name.
USER = "canary"
# Lines of its hub's log below an error.
_LAST_LINES = 15
_SEEN = {backups.LOGIN_PAGE: "its login page comes", backups.SERVER: "its server answers"}


def live(
    engine: Engine,
    settings: Settings,
    blueprint: Callable[[Settings, Snapshot, Pair], Blueprint],
    operation: op.CanaryHeard,
    hear: Callable[[str], None],
) -> None:
    """`settings` are the real deployment's, `blueprint` draws one from other settings. `hear` gets a line for each thing that
    works. Raises DeployError with what failed; all of the canary is gone either way.
    """
    canary = ThrowAway(engine, drawn.settings_of(settings, drawn.CANARY, USER), blueprint)
    try:
        with canary.removed_afterwards():
            _work(canary, operation, hear)
    except Interrupted:
        # The steps of the canary are no steps of the plan, which tells where it was stopped.
        raise KeyboardInterrupt from None
    except DeployError as failed:
        raise DeployError(
            wanted="a canary at work, on the new images and a copy of the database",
            found=f"the canary failed: {failed.found}",
            fix="nothing was replaced, so the old hub runs on; correct the images' folders, then run ./invoke up again,"
            f" or ./invoke up --no-canary, which tries none; {failed.fix}",
        ) from failed


def _work(canary: ThrowAway, operation: op.CanaryHeard, hear: Callable[[str], None]) -> None:
    settings = canary.settings
    data = next(one for one in draw.volumes(settings) if one.remembers_servers)
    canary.engine.apply(op.VolumeExists(data))
    canary.engine.apply(op.CopyLent(operation.store, data.name))
    canary.come_up(hear)
    try:
        canary.visit(USER, hear=lambda what: hear(_SEEN[what]))
    except DeployError as failed:
        words = canary.last_words(settings.hub_name, _LAST_LINES)
        raise DeployError(
            wanted=failed.wanted,
            found=failed.found,
            fix=f"the last lines of {settings.hub_name} stand below\n{indented(words)}",
        ) from failed
    hear("a cell ran")
