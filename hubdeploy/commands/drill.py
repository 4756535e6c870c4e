"""`drill`: proves the newest backup. It comes back into a throw-away deployment that reaches nothing; one of its users logs in
there, and a kernel reads a file. All of it is removed, and a receipt stays.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from hubdeploy.blueprint import restoring
from hubdeploy.blueprint import throwaway as drawn
from hubdeploy.commands import restore
from hubdeploy.commands.deployment import Deployment
from hubdeploy.commands.restore import Found
from hubdeploy.commands.throwaway import ThrowAway
from hubdeploy.contract import backups
from hubdeploy.contract.documents import Return, Secret
from hubdeploy.contract.servers import filled
from hubdeploy.errors import DeployError, EngineError, indented
from hubdeploy.plan import operations as op
from hubdeploy.settings.declarations import Settings
from hubdeploy.settings.volume_names import user_of

_MB = 10**6


def drill(deployment: Deployment) -> None:
    """Prints the receipt. Raises DeployError if the backup is not proved; the throw-away deployment is gone either way."""
    settings, display = deployment.settings, deployment.display
    found = restore.look(deployment, at="", of="")
    user = _user(found.manifest)
    thrown_away = ThrowAway(deployment.engine, drawn.settings_of(settings, drawn.DRILL, user), deployment.blueprint)
    begun = time.monotonic()
    display.line(
        f"{found.title} comes back as {thrown_away.settings.name}, which reaches nothing and is removed afterwards"
    )
    with thrown_away.removed_afterwards():
        told = _bring_back(deployment, thrown_away.settings, found, user)
        display.line(f"  {told['compared']['files']} files are as the snapshot has them; the hub comes up")
        thrown_away.come_up()
        page, digest = _visit(thrown_away, settings, user, told["file"], begun)
    if told["file"] and digest != told["file"]["sha256"]:
        raise DeployError(
            wanted=f"{told['file']['path']} as {user} wrote it",
            found="a kernel reads something else",
            fix="keep this backup, take another one, and run ./invoke drill again",
        )
    receipt = {
        "at": time.time(),
        "snapshot": found.short_id,
        "taken": found.taken.timestamp(),
        "to_login_page": round(page, 1),
        "seconds": round(time.monotonic() - begun, 1),
        "user": user,
        "path": told["file"].get("path", ""),
        "compared": told["compared"],
    }
    content = Secret(json.dumps(receipt, indent=1).encode())
    deployment.apply(op.VolumeHolds(settings.backup_documents_volume, {backups.PROOF: content}, "the drill's receipt"))
    for line in _report(receipt, found):
        display.line(line)


def _user(manifest: Mapping[str, Any]) -> str:
    """A user with files, the one with the fewest bytes; a name that nobody has where there is none."""
    template = manifest["user_volumes"][-1]
    sizes = {
        user: known["bytes"]
        for name, known in manifest["volumes"].items()
        if known["bytes"] and (user := user_of(template, name)) is not None
    }
    return min(sizes, key=lambda one: (sizes[one], one), default="drill")


def _bring_back(deployment: Deployment, wanted: Settings, found: Found, user: str) -> dict[str, Any]:
    targets = restoring.targets(wanted, found.manifest)
    own = filled(wanted.user_volume, user)
    data = restore.data_of(found.manifest)
    users = next((name for name, one in targets.items() if one.name == own), "")
    returns = tuple(Return(name) for name in targets)
    told = restore.bring(deployment, found, targets, returns, databases=data, proves=users or data)
    compared = told["compared"]
    if compared["different"]:
        raise DeployError(
            wanted="every file as the snapshot has it",
            found=f"{compared['different']} differ:\n{indented(chr(10).join(compared['differences']))}",
            fix="see whether the disk is well, take another backup, and run ./invoke drill again",
        )
    return told


def _visit(
    thrown_away: ThrowAway, wanted: Settings, user: str, file: Mapping[str, str], begun: float
) -> tuple[float, str]:
    """Seconds from the drill's begin to the login page, and the SHA-256 that the user's kernel finds."""
    came = dict[str, float]()
    path = f"{wanted.notebook_dir}/{file['path']}" if file else ""
    try:
        digest = thrown_away.visit(user, path, hear=lambda what: came.update({what: time.monotonic() - begun}))
    except EngineError as failed:
        raise EngineError(
            wanted=f"{user} at work on what came back",
            found=failed.found,
            fix="run ./invoke drill again; if it fails again, the backup does not make a hub that works",
        ) from failed
    return came[backups.LOGIN_PAGE], digest


def _report(receipt: Mapping[str, Any], found: Found) -> list[str]:
    hours = (datetime.now().astimezone() - found.taken).total_seconds() / 3600
    read = f", and read {receipt['path']} in a kernel" if receipt["path"] else ""
    compared = receipt["compared"]
    return [
        f"proved: snapshot {receipt['snapshot']}, {hours:.1f} hours old",
        f"  {compared['files']} files, {compared['bytes'] / _MB:.0f} MB: contents, owners, modes and times agree with it",
        f"  {receipt['to_login_page']:.0f} s from nothing to the login page; {receipt['user']} logged in, started a server{read}",
        f"  {receipt['seconds']:.0f} s in all; nothing of it is left",
    ]
