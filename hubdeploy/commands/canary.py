"""The canary of new images: a throw-away deployment of them, in which users of its own start servers. Where the hub's image is
new, it has a copy of the database. It fails before anything that users could notice, and touches nothing of theirs.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from hubdeploy.blueprint import draw
from hubdeploy.blueprint import throwaway as drawn
from hubdeploy.blueprint.specs import Blueprint
from hubdeploy.commands.throwaway import ThrowAway
from hubdeploy.contract import backups, servers
from hubdeploy.engine import Engine
from hubdeploy.errors import DeployError, EngineError, Interrupted, indented
from hubdeploy.plan import operations as op
from hubdeploy.plan.snapshot import Snapshot
from hubdeploy.settings.declarations import Settings
from hubdeploy.settings.kinds import ONLY
from hubdeploy.tls.certificates import Pair

# Who works in it; somebody of that name keeps their files, as volumes have the deployment's name.
USER = "canary"
# Lines of a log below an error.
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
    users = [_user(kind) for kind in operation.kinds]
    canary = ThrowAway(engine, drawn.settings_of(settings, drawn.CANARY, *users), blueprint)
    goes_on = "nothing was replaced, so the old hub runs on" if operation.on_copy else "users have what they had"
    images = ", ".join(operation.kinds.values())
    tried = "on the new images and a copy of the database" if operation.on_copy else f"on {images}"
    what = "the images' folders" if operation.on_copy else "the image, or name another one"
    try:
        with canary.removed_afterwards():
            _work(canary, operation, hear)
    except Interrupted:
        # The steps of the canary are no steps of the plan, which tells where it was stopped.
        raise KeyboardInterrupt from None
    except DeployError as failed:
        raise DeployError(
            wanted=f"a canary at work, {tried}",
            found=f"the canary failed: {failed.found}",
            fix=f"{goes_on}; correct {what}, then run ./invoke up again,"
            f" or ./invoke up --no-canary, which tries none; {failed.fix}",
        ) from failed


def _user(kind: str) -> str:
    return USER if kind == ONLY.name else f"{USER}-{kind}"


def _work(canary: ThrowAway, operation: op.CanaryHeard, hear: Callable[[str], None]) -> None:
    settings = canary.settings
    if operation.on_copy:
        data = next(one for one in draw.volumes(settings) if one.remembers_servers)
        canary.engine.apply(op.VolumeExists(data))
        canary.engine.apply(op.CopyLent(operation.store, data.name))
    canary.come_up(hear)
    for kind, image in operation.kinds.items():
        if len(operation.kinds) > 1:
            hear(f"a server of the kind {kind}, on {image}")
        _try(canary, kind, image, hear)


def _try(canary: ThrowAway, kind: str, image: str, hear: Callable[[str], None]) -> None:
    user = _user(kind)
    try:
        canary.visit(user, kind=kind, hear=lambda what: hear(_SEEN[what]))
    except DeployError as failed:
        container, words = _last_words(canary, user)
        raise DeployError(
            wanted=failed.wanted,
            found=f"on {image} {failed.found}",
            fix=f"the last lines of {container} stand below\n{indented(words)}",
        ) from failed
    hear("a cell ran, and wrote to its volumes")


def _last_words(canary: ThrowAway, user: str) -> tuple[str, str]:
    """The container that has to say something, and the end of its log: the server, or the hub where that has removed it."""
    server = servers.filled(canary.settings.server_name_template, user)
    with suppress(EngineError):
        return server, canary.last_words(server, _LAST_LINES)
    return canary.settings.hub_name, canary.last_words(canary.settings.hub_name, _LAST_LINES)
