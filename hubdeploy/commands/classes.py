"""`class`: what is done for a whole class. `class prepare` has the hub start the servers of a group at a time; `class close` has
them stopped, and a folder of each collected. `class rehearse` is in rehearsal.py.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hubdeploy.commands import access, collection, hub_program, rehearsal
from hubdeploy.commands.deployment import Deployment, held_contract
from hubdeploy.contract import names
from hubdeploy.contract.documents import Contract
from hubdeploy.errors import Caution, DeployError, EngineError
from hubdeploy.plan.snapshot import Snapshot
from hubdeploy.settings.declarations import Settings

REHEARSE, PREPARE, CLOSE = "rehearse", "prepare", "close"
_PROGRAM = "orders"
_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])\Z")
# Seconds: for which the hub is waited for, beyond the time that a server has to start or to stop.
_WITHIN, _LOOK_EVERY = 300.0, 1.0


@dataclass(frozen=True)
class Words:
    """What was typed behind `class`: what to do, for whom, and which folder."""

    what: str
    who: str
    folder: str


def of_class(
    load: Callable[[], Deployment],
    words: Words,
    asked: rehearsal.Asked,
    *,
    at: str,
    withdraw: bool,
    most: str,
    yes: bool,
) -> None:
    """Does what the words say. Raises DeployError for words that make no sense."""
    if words.what == REHEARSE and not words.who:
        rehearsal.rehearse(load(), asked, yes=yes)
    elif words.what == PREPARE and not words.folder:
        prepare(load(), words.who, at=at, withdraw=withdraw)
    elif words.what == CLOSE and words.who:
        close(load(), words.who, words.folder, most=most, yes=yes)
    else:
        raise DeployError(
            wanted="what to do about a class: rehearse, prepare @GROUP, or close @GROUP FOLDER",
            found=" ".join(("class", *filter(None, (words.what, words.who, words.folder)))),
            fix="write one of these, such as ./invoke class prepare @physics --at 08:50",
        )


# -- prepare ----------------------------------------------------------------------------------------------------------


def prepare(deployment: Deployment, who: str, *, at: str, withdraw: bool) -> None:
    """Orders a start, withdraws it, or without a name prints what is ordered and what came of it."""
    if not who:
        _show(deployment)
        return
    due = _moment(at, _now(deployment.settings))
    who, members = _members(deployment, deployment.observe(), who)
    if withdraw:
        gone = _ask(deployment, "withdraw", who)["withdrawn"]
        deployment.display.line(f"the start for {who} is withdrawn" if gone else f"no start is ordered for {who}")
        return
    _ask(deployment, "start", who, str(due.timestamp()))
    when = f"at {due:%H:%M on %A, %-d %B} ({due.tzname()})" if at else "now"
    deployment.display.line(
        f"{who}, {_people(members)}: servers that do not run then are started {when}, one after the other"
    )
    if not deployment.engine.running_since(deployment.settings.hub_name):
        deployment.display.cautions(
            [Caution("the hub does not run, and starts no server then", "run ./invoke up before")]
        )
    deployment.display.line(
        f"./invoke class prepare shows how it goes; ./invoke class prepare {who} --withdraw takes it back"
    )


def _moment(at: str, now: datetime) -> datetime:
    """When this time of day comes next; now without one. Raises DeployError."""
    if not at:
        return now
    if not _TIME.match(at):
        raise DeployError(wanted="a time of day", found=f"--at {at}", fix="write one such as --at 08:50")
    hour, minute = map(int, at.split(":"))
    todays = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return todays if todays > now else todays + timedelta(days=1)


def _show(deployment: Deployment) -> None:
    zone = ZoneInfo(deployment.settings.timezone)
    orders = [one for one in _ask(deployment, "show")["orders"] if one["what"] == "start"]
    if not orders:
        deployment.display.line("no start is ordered; ./invoke class prepare @GROUP --at 08:50 orders one")
        return
    rows = [(f"{datetime.fromtimestamp(one['at'], zone):%Y-%m-%d %H:%M}", one["people"], _state(one)) for one in orders]
    access.print_table(("when", "for", "what came of it"), rows)
    for name, why in _failures(orders[-1]):
        deployment.display.line(f"{name}: {why}")


def _state(order: Mapping[str, Any]) -> str:
    outcome = order["outcome"]
    if outcome is None:
        return "servers are being started" if order["at"] <= time.time() else "to come"
    if outcome.get("missed"):
        return "missed: the hub did not run"
    if "error" in outcome:
        return f"failed: {outcome['error']}"
    started = list(outcome["users"].values()).count("started")
    failed = len(list(_failures(order)))
    return f"{started} of {_people(outcome['users'])} started, {len(outcome['users']) - started - failed} ran, {failed} failed"


def _failures(order: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    users = (order["outcome"] or {}).get("users", {})
    return ((name, said) for name, said in users.items() if said not in ("started", "ran"))


# -- close ------------------------------------------------------------------------------------------------------------


def close(deployment: Deployment, who: str, folder: str, *, most: str, yes: bool) -> None:
    """Stops servers, after a question, collects the folder of each, and tells their users. Raises DeployError if somebody's
    server did not stop or somebody's folder could not be collected."""
    wanted = collection.Wanted.read(folder, most) if folder else None
    snapshot = deployment.observe()
    who, members = _members(deployment, snapshot, who)
    running = sorted({one.user for one in snapshot.servers if one.running} & set(members))
    line = deployment.display.line
    line(f"{who}: {_people(members)}, of whom {len(running)} have a server that runs")
    line(
        f"the folder {folder} of each is collected, and stays"
        if folder
        else "nothing is collected, as no folder was named"
    )
    if running:
        if not deployment.engine.running_since(deployment.settings.hub_name):
            raise DeployError(
                wanted="a hub that stops servers", found="the hub does not run", fix="run ./invoke up first"
            )
        deployment.display.agree(f"Stop {len(running)} servers, with what runs in them?", yes=yes)
        _stop(deployment, who, running)
    if wanted:
        collected = collection.collect(deployment, snapshot, who, members, wanted)
        _tell(deployment, who, collected.words)
        collected.refuse_missed()


def _stop(deployment: Deployment, who: str, running: list[str]) -> None:
    words = f"Your server was stopped at {_now(deployment.settings):%H:%M}, as the class is over."
    outcome = _carried_out(deployment, "stop", who, dict.fromkeys(running, words))
    left = {name: said for name, said in outcome.items() if said not in ("stopped", "did not run")}
    deployment.display.line(f"{len(outcome) - len(left)} servers are stopped")
    if left:
        name, said = next(iter(left.items()))
        raise EngineError(
            wanted="servers that stop",
            found=f"{len(left)} did not, such as the one of {name}: {said}",
            fix="run this again; nothing was collected yet",
        )


def _tell(deployment: Deployment, who: str, words: Mapping[str, str]) -> None:
    """What users read in JupyterLab, now or when they come back."""
    if words:
        _ask(deployment, "tell", who, json.dumps(words))


def _carried_out(deployment: Deployment, what: str, who: str, words: Mapping[str, str]) -> dict[str, str]:
    """User -> what came of an order that the hub carries out at once."""
    number = _ask(deployment, what, who, json.dumps(words))["number"]
    deadline = time.monotonic() + _WITHIN
    while time.monotonic() < deadline:
        outcome = next(one["outcome"] for one in _ask(deployment, "show")["orders"] if one["number"] == number)
        if outcome is not None and "users" in outcome:
            return dict(outcome["users"])
        if outcome is not None:
            raise EngineError(wanted=f"a hub that does this: {what}", found=outcome["error"], fix="see ./invoke logs")
        time.sleep(_LOOK_EVERY)
    raise EngineError(
        wanted=f"a hub that carries out an order: {what}",
        found=f"it had not done so after {_WITHIN:.0f} s",
        fix="run ./invoke up, which brings the hub up to date, then run this again",
    )


# -- who --------------------------------------------------------------------------------------------------------------


def _members(deployment: Deployment, snapshot: Snapshot, who: str) -> tuple[str, list[str]]:
    """The group or user as the hub has it, and the names. Raises DeployError for nobody."""
    contract = held_contract(snapshot)
    if contract is None:
        raise DeployError(wanted="a deployment with a hub", found="there is none yet", fix="run ./invoke up first")
    name = names.normalized(who.removeprefix("@"))
    groups = _groups(deployment, contract)
    if who.startswith("@"):
        if found := groups.get(name):
            return f"@{name}", sorted(found)
        there = ", ".join(f"@{one}" for one in sorted(groups)) or "none"
        raise DeployError(
            wanted=f"a group that the hub knows: {there}",
            found=who,
            fix="correct the name; a group that is new in userlist is there after ./invoke up",
        )
    if name not in {user.name for user in contract.users} and name not in access.hear(deployment).names:
        raise DeployError(
            wanted="a group with its @, or a user whom the hub knows",
            found=f"{who}, who is unknown",
            fix=f"write @{name} for a group, or correct the name",
        )
    return name, [name]


def _groups(deployment: Deployment, contract: Contract) -> dict[str, set[str]]:
    """Group -> members, by userlist or by their last login."""
    found: dict[str, set[str]] = {}
    listed = {user.name: user.groups for user in contract.users}
    for name, groups in (*listed.items(), *access.hear(deployment).groups.items()):
        for group in groups:
            found.setdefault(group, set()).add(name)
    return found


def _people(members: Mapping[str, Any] | list[str]) -> str:
    return "1 person" if len(members) == 1 else f"{len(members)} people"


def _now(settings: Settings) -> datetime:
    return datetime.now(ZoneInfo(settings.timezone))


def _ask(deployment: Deployment, what: str, *arguments: str) -> dict[str, Any]:
    return hub_program.ask(deployment.engine, deployment.settings, _PROGRAM, what, *arguments)
