"""`access` and `audit`: who may enter and why, and who did. They read what the hub has on record, and change nothing."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Column, Table

from hubdeploy.commands import hub_program
from hubdeploy.commands.deployment import Deployment
from hubdeploy.contract import names
from hubdeploy.contract.documents import User
from hubdeploy.errors import Caution, DeployError, read_text
from hubdeploy.plan import access
from hubdeploy.plan.access import Access, Heard
from hubdeploy.settings import userlist
from hubdeploy.settings.declarations import Settings
from hubdeploy.settings.folders import Folder

_DAY = 86400


def show(deployment: Deployment, name: str) -> None:
    """The access of one person, in sentences, or a table of all whose names are known."""
    settings = deployment.settings
    heard, lines = hear(deployment), listed_at(settings)
    if name:
        found = access.of(names.normalized(name), settings, heard, lines)
        _sentences(found, access.groups(settings), {one.name: one for one in settings.folders})
        return
    rows = [
        (
            one.name,
            _yes(one.enter),
            _yes(one.admin),
            _yes(one.sudo),
            ", ".join(one.groups),
            ", ".join(dict.fromkeys((*one.enter, *one.sudo))),
        )
        for one in access.everybody(settings, heard, lines)
    ]
    print_table(("user", "may log in", "admin", "sudo", "groups", "because of"), rows)
    for folder in settings.folders:
        print(f"~/shared/{folder.name}: {_who(folder, settings.users)}{_with_kinds(folder)}")
    for key, groups in access.groups(settings).items():
        print(f"and members of {', '.join(groups)}, as {key} says: the login's provider is asked at each login")


def audit(deployment: Deployment, *, user: str, days: str) -> None:
    """Logins, failures and changes of the last `days`, the oldest first. Raises DeployError if that is no number."""
    if not days.isdecimal() or not int(days):
        raise DeployError(wanted="a number of days", found=f"--days {days}", fix="write one such as --days 7")
    since = datetime.now(UTC).timestamp() - int(days) * _DAY
    settings = deployment.settings
    printed = hub_program.run(deployment.engine, settings, "audit", (settings.data_mount, str(since)))
    wanted = names.normalized(user)
    entries = [json.loads(line) for line in printed.splitlines()]
    rows = [_row(one) for one in entries if not wanted or wanted in (one["user"], one["by"])]
    if rows:
        print_table(("time", "what", "user", "by", "address"), rows)
    else:
        print(f"nothing in the last {days} days" + (f" with the name {wanted}" if wanted else ""))


def listed_at(settings: Settings) -> dict[str, userlist.Line]:
    """Name, or @ and a group -> the line of userlist that begins with it."""
    return userlist.lines(read_text(settings.root / "userlist", "userlist", "the users who may log in"))


def hear(deployment: Deployment) -> Heard:
    """What the hub has on record. Without a hub nothing is: then list and settings alone decide."""
    settings = deployment.settings
    try:
        printed = hub_program.run(deployment.engine, settings, "standing", (settings.data_mount,))
    except DeployError as error:
        deployment.display.cautions(
            [Caution(f"the hub was not asked whom admins have added: {error.found}", error.fix)]
        )
        return Heard()
    found: Mapping[str, Any] = json.loads(printed)
    groups = {user: frozenset(mine) for user, mine in found["groups"].items()}
    return Heard(frozenset(found["added"]), frozenset(found["promoted"]), groups, _accounts(found.get("accounts")))


def _accounts(found: Mapping[str, str | None] | None) -> dict[str, datetime | None] | None:
    """As in Heard; a hub of an earlier version says nothing of them."""
    if found is None:
        return None
    return {name: datetime.fromisoformat(one).replace(tzinfo=UTC) if one else None for name, one in found.items()}


def _sentences(found: Access, groups: Mapping[str, Iterable[str]], folders: Mapping[str, Folder]) -> None:
    members = " or ".join(f"of {', '.join(named)} ({key})" for key, named in groups.items())
    # Only the login's provider knows who is in a group, and it is asked at a login.
    unless = f", unless as a member {members}, as which they have not logged in" if members else ""
    for reasons, does, does_not in (
        (found.enter, "may log in", f"may not log in{unless}"),
        (found.admin, "is an admin", "is no admin"),
        (found.sudo, "may use sudo", "may not use sudo"),
    ):
        print(f"{found.name} {does}: {', '.join(reasons)}" if reasons else f"{found.name} {does_not}")
    if not found.enter:
        print("neither userlist names them, nor has an admin added them")
    if found.groups:
        print(f"{found.name} is in {', '.join(found.groups)}")
    for folder, writes in found.folders.items():
        print(f"{found.name} {'writes to' if writes else 'reads'} ~/shared/{folder}{_with_kinds(folders[folder])}")


def _who(folder: Folder, users: Iterable[User]) -> str:
    """Who writes to a folder, and who only reads it."""
    users = tuple(users)
    readers = folder.readers(users)
    said = {"written": folder.writers(users), "read": ("everybody",) if readers is None else readers}
    return "; ".join(f"{word} by {', '.join(names)}" for word, names in said.items() if names) or "nobody sees it"


def _with_kinds(folder: Folder) -> str:
    return f", with a server of the kind {' or '.join(folder.kinds)}" if folder.kinds else ""


def _row(entry: Mapping[str, Any]) -> tuple[str, ...]:
    time = datetime.fromtimestamp(entry["at"]).astimezone()
    return (f"{time:%Y-%m-%d %H:%M:%S}", entry["event"], entry["user"], entry["by"], entry["address"])


def _yes(reasons: Iterable[str]) -> str:
    return "yes" if any(reasons) else ""


def print_table(columns: Iterable[str], rows: Iterable[tuple[str, ...]]) -> None:
    """Without lines, and with whole cells."""
    table = Table(*(Column(name, overflow="fold") for name in columns), box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for row in rows:
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 200, highlight=False, markup=False).print(table)
