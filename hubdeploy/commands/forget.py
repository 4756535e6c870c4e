"""`forget`: removes what a user who left has here, after it is in the repository of backups; `--undo` brings volumes back.

No volume is removed that is not in the repository as it is. Killed anywhere, it is run again and comes to the same end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from hubdeploy.blueprint import backup as drawn
from hubdeploy.blueprint import restoring
from hubdeploy.blueprint.components import hub
from hubdeploy.blueprint.specs import VolumeSpec
from hubdeploy.commands import access, backup, daily, execution, hub_program, usage
from hubdeploy.commands.deployment import Deployment, held_contract
from hubdeploy.commands.usage import Used
from hubdeploy.contract import backups, labels, names
from hubdeploy.engine import Ended
from hubdeploy.errors import DeployError, EngineError, Interrupted, indented
from hubdeploy.plan import operations as op
from hubdeploy.plan import people
from hubdeploy.plan.access import ADDED, PROMOTED
from hubdeploy.plan.people import Person
from hubdeploy.plan.snapshot import Snapshot
from hubdeploy.plan.steps import Step

_PROGRAM = "account_removal"


@dataclass(frozen=True)
class _Leaver:
    """`held` is what the hub has of the person; `own` are the volumes that this deployment made, `others` stay."""

    person: Person
    held: Mapping[str, Any]
    own: tuple[str, ...]
    others: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.person.name

    @property
    def is_known_to_hub(self) -> bool:
        return bool(self.held["account"] or self.held["by_admin"])

    @property
    def has_nothing(self) -> bool:
        return not (self.is_known_to_hub or self.own or self.person.servers)


def forget(deployment: Deployment, name: str, *, undo: bool) -> None:
    """Raises DeployError, with nothing removed, where something would bring the user back, or their server runs."""
    user = names.normalized(name)
    if not user:
        raise DeployError(
            wanted="the name of a user", found="none was given", fix="write it behind: ./invoke forget ada"
        )
    if undo:
        _bring_back(deployment, user)
    else:
        _forget(deployment, user)


def _forget(deployment: Deployment, user: str) -> None:
    snapshot = deployment.observe()
    leaver = _leaver(deployment, snapshot, user)
    for refused in _obstacles(leaver, snapshot):
        raise refused
    if leaver.has_nothing:
        _refuse_stranger(deployment, snapshot, user)
        return
    line, display = deployment.display.line, deployment.display
    display.refuse_without_terminal("the user's name typed back", "run it on a terminal")
    disk = usage.look(deployment, leaver.own)
    for said in _lines(leaver, disk.volumes):
        line(said)
    archived = _archived(deployment, snapshot, leaver) if leaver.own else {}
    display.typed_back(user, "This removes all that stands above.")
    _remove_account(deployment, snapshot, leaver)
    _do(deployment, [op.ContainerGone(one.name) for one in leaver.person.servers])
    if leaver.own:
        _refuse_changed(deployment, leaver, archived)
        _do(deployment, [op.VolumeGone(one) for one in leaver.own])
    line(f"{user} is forgotten." + (f" ./invoke forget {user} --undo brings the files back." if leaver.own else ""))


def _leaver(deployment: Deployment, snapshot: Snapshot, user: str) -> _Leaver:
    settings = deployment.settings
    held = hub_program.ask(deployment.engine, settings, _PROGRAM, "show", user)
    person = people.of(user, settings, snapshot, access.hear(deployment), access.listed_at(settings))
    own = [one for one in person.volumes if labels.DEPLOYMENT in snapshot.volumes[one].labels]
    return _Leaver(person, held, tuple(own), tuple(one for one in person.volumes if one not in own))


def _obstacles(leaver: _Leaver, snapshot: Snapshot) -> Iterator[DeployError]:
    """What must be done before: one thing a time, in their order."""
    user, wanted = leaver.name, "a user whom nothing lets in any more"
    # What an admin did in the admin page goes with the account.
    lasting = [one for one in leaver.person.enter if one not in (ADDED, PROMOTED)]
    if any(one.startswith("userlist") for one in lasting):
        yield DeployError(
            wanted=wanted,
            found=f"{user} may log in: {', '.join(lasting)}",
            fix=f"take the line of {user} out of userlist, run ./invoke up, then this again",
        )
    elif lasting:
        yield DeployError(
            wanted=wanted,
            found=f"{user} may log in, as of their last login: {', '.join(lasting)}",
            fix=f"take {user} out of the group where the login gets it from, delete the account in the admin page, then run"
            " this again",
        )
    contract = held_contract(snapshot)
    if contract and user in {one.name for one in contract.users}:
        yield DeployError(
            wanted=wanted, found=f"the hub has the list of before, with {user}", fix="run ./invoke up, then this again"
        )
    if leaver.person.is_running:
        running = next(one.name for one in leaver.person.servers if one.running)
        yield DeployError(
            wanted="a user whose server does not run",
            found=f"the server of {user} runs",
            fix=f"stop it in the admin page, or by docker stop {running}, then run this again",
        )
    if leaver.has_nothing and leaver.others:
        yield DeployError(
            wanted="a volume that this deployment made",
            found=f"of {user} there are only volumes that were here before: {', '.join(leaver.others)}",
            fix="remove them by docker volume rm, if that is meant",
        )


def _refuse_stranger(deployment: Deployment, snapshot: Snapshot, user: str) -> None:
    """Of a user who has nothing here: one who was forgotten before is no mistake."""
    archives = _archives(deployment, snapshot, user)
    if not archives:
        raise DeployError(
            wanted="the name of a user who has something here",
            found=f"{user} has no account, no server, no volume and no archive",
            fix="correct the name: ./invoke users shows all",
        )
    deployment.display.line(f"{user} is forgotten, and has nothing here. {_kept(archives[-1]['time'])}")


def _lines(leaver: _Leaver, held: Mapping[str, Used]) -> Iterator[str]:
    found = leaver.held
    yield f"what {leaver.name} has here:"
    if leaver.is_known_to_hub:
        counted = {"token": found.get("tokens"), "session": found.get("sessions")}
        more = [f"{number} {key}{'s' * (number > 1)}" for key, number in counted.items() if number]
        more += [
            words for key, words in (("password", "a password"), ("invitation", "an invitation")) if found.get(key)
        ]
        yield f"  an account with {', '.join(more)}" if more else "  an account"
        yield f"    to remove it {hub.CONSEQUENCE.sentence}"
    for server in leaver.person.servers:
        yield f"  the container {server.name}, which does not run"
    for volume in leaver.own:
        yield f"  the volume {volume}: {usage.mb(held[volume].bytes)} MB, {held[volume].files} files"
    for volume in leaver.others:
        yield f"  not removed: the volume {volume}, which this deployment did not make"


def _archived(deployment: Deployment, snapshot: Snapshot, leaver: _Leaver) -> Mapping[str, Used]:
    """What each volume held when it was put into the repository."""
    backup.prepare(deployment, snapshot)
    progress = backup.Progress(deployment)
    ended, receipt = _run(deployment, snapshot, "archive", leaver.name, taken=leaver.own, progress=progress)
    progress.close()
    if not receipt:
        raise EngineError(
            wanted=f"an archive of all files of {leaver.name}, before they are removed",
            found=f"it ended with code {ended.code}, and nothing was removed:\n{indented(ended.errors)}",
            fix="correct the cause, then run this again",
        )
    size = f"{receipt['bytes'] / 10**6:.1f} MB, {receipt['seconds']:.0f} s"
    deployment.display.line(f"archived as snapshot {receipt['snapshot'][:8]}: {size}. {_kept(receipt['at'])}")
    for said in backup.oddities(receipt):
        deployment.display.line(said)
    return {name: Used(**one) for name, one in receipt["volumes"].items()}


def _remove_account(deployment: Deployment, snapshot: Snapshot, leaver: _Leaver) -> None:
    """With the hub stopped, which keeps users in its memory. A run that was killed may have left it stopped."""
    settings = deployment.settings
    states = {one.role: one for one in snapshot.components}
    mine = states[hub.ROLE]
    if leaver.is_known_to_hub:
        _do(deployment, [op.ContainerStopped(mine.name)] if mine.running else [])
        hub_program.run(deployment.engine, settings, _PROGRAM, (settings.data_mount, "remove", leaver.name))
        deployment.display.line(f"  ok the account of {leaver.name} is removed")
    if mine.running and not leaver.is_known_to_hub:
        return
    # After `down` nothing runs, and the hub is not started either.
    if mine.running or any(one.running for one in states.values()):
        _do(deployment, [op.ContainerStarted(mine.name), op.ContainerHealthy(mine.name)])


def _refuse_changed(deployment: Deployment, leaver: _Leaver, archived: Mapping[str, Used]) -> None:
    """Somebody may have written between the archive and the account's end."""
    there = usage.look(deployment, leaver.own).volumes
    changed = [one for one in leaver.own if not there[one].is_same(archived[one])]
    if changed:
        raise DeployError(
            wanted="volumes as they are in the repository",
            found=f"the volume {changed[0]} has changed since, so it is not removed",
            fix="run this again",
        )


def _bring_back(deployment: Deployment, user: str) -> None:
    settings, snapshot = deployment.settings, deployment.observe()
    archives = _archives(deployment, snapshot, user)
    volumes = tuple(sorted({volume for one in archives for volume in one["volumes"]}))
    if not volumes:
        raise DeployError(
            wanted=f"an archive of {user}",
            found="there is none",
            fix=f"correct the name: ./invoke backups shows archives, which are kept for {backups.ARCHIVED_DAYS} days",
        )
    carried = {labels.DEPLOYMENT: settings.name, labels.ROLE: labels.VOLUME, labels.UID: str(settings.nb_uid)}
    missing = [one for one in volumes if one not in snapshot.volumes]
    for volume in missing:
        deployment.apply(op.VolumeExists(VolumeSpec(volume, carried, True, "USER_VOLUME")))
    ended, done = _run(deployment, snapshot, "bring-back", user, filled=volumes)
    if not done:
        raise DeployError(
            wanted=f"the files of {user} back in {' and '.join(volumes)}",
            found=f"it ended with code {ended.code}:\n{indented(ended.errors)}",
            fix="where files of a new user of that name are there, move them away first; else run this again",
        )
    for volume in volumes:
        one = Used(**done["volumes"][volume])
        deployment.display.line(f"the volume {volume} is back: {usage.mb(one.bytes)} MB, {one.files} files")
    deployment.display.line(f"To let {user} in, write the name into userlist and run ./invoke up.")


def _archives(deployment: Deployment, snapshot: Snapshot, user: str) -> list[dict[str, Any]]:
    """The archives of one user, the oldest first."""
    if deployment.settings.backup_password is None:
        return []
    ended, found = _run(deployment, snapshot, "list", user)
    if not found:
        raise EngineError(
            wanted="the list of archives",
            found=f"it ended with code {ended.code}:\n{indented(ended.errors)}",
            fix="see whether the repository can be reached, and BACKUP_PASSWORD",
        )
    return [one for one in found["archives"] if one["user"] == user]


def _run(
    deployment: Deployment,
    snapshot: Snapshot,
    word: str,
    user: str,
    *,
    taken: tuple[str, ...] = (),
    filled: tuple[str, ...] = (),
    progress: backup.Hear = lambda said: None,
) -> tuple[Ended, dict[str, Any]]:
    """Runs a program of backup/ for one user, on the volumes that it reads or fills, see backup.run_program."""
    settings = deployment.settings
    try:
        return backup.run_program(
            deployment,
            (*backup.program(word), user),
            drawn.mounts(settings, taken, filled),
            daily.documents(settings, snapshot),
            capabilities=restoring.CAPABILITIES if filled else drawn.READING,
            progress=progress,
            tmpfs=restoring.TMPFS if filled else (),
        )
    except KeyboardInterrupt:
        raise Interrupted("no volume was removed") from None


def _kept(since: float | str) -> str:
    taken = datetime.fromisoformat(since) if isinstance(since, str) else datetime.fromtimestamp(since)
    until = taken.astimezone() + timedelta(days=backups.ARCHIVED_DAYS)
    return f"The archive is kept until {until:%Y-%m-%d}."


def _do(deployment: Deployment, operations: Sequence[op.EngineOperation]) -> None:
    execution.carry_out([Step(one, "asked for") for one in operations], deployment.apply, deployment.display)
