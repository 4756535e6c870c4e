"""`invite`: one-time links at which users choose their password, where AUTHENTICATOR is accounts.

A link's token is made here and leaves this process in two ways only: onto a terminal, or into a file that nobody else may
read. The hub's data gets its digest.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path

from hubdeploy.commands import hub_program
from hubdeploy.commands.deployment import Deployment
from hubdeploy.contract import names
from hubdeploy.errors import DeployError
from hubdeploy.settings.declarations import Settings
from hubdeploy.settings.logins import LOGINS

_PROGRAM = "invitations"
# By name: until when a link is good, true for one that was withdrawn; None for a user whom the hub does not know.
_Answer = Mapping[str, float | bool | None]
# What to do and for whom -> the program's answer.
Ask = Callable[..., _Answer]


def invite(deployment: Deployment, name: str, *, all_to: str, withdraw: bool, ask: Ask | None = None) -> None:
    """Prints the link of one user, withdraws it, or writes a line for each user of userlist without a password into the file
    `all_to`. Raises DeployError where it cannot, and no link is made then."""
    settings = deployment.settings
    _refuse_other_logins(settings)
    ask = ask or _asker(deployment)
    if bool(name) == bool(all_to) or (withdraw and all_to):
        raise DeployError(
            wanted="./invoke invite NAME, ./invoke invite NAME --withdraw, or ./invoke invite --all FILE",
            found="neither one name nor a file for all links was given" if not name else "--all goes with nothing else",
            fix="write one of these",
        )
    if all_to:
        _to_file(deployment, Path(all_to), ask)
    elif withdraw:
        user = names.normalized(name)
        done = _known(user, ask("withdraw", [user]))
        deployment.display.line(f"the link of {user} is withdrawn" if done else f"{user} has no link that is good")
    else:
        _to_terminal(deployment, names.normalized(name), ask)


def _refuse_other_logins(settings: Settings) -> None:
    if settings.login.invites:
        return
    having = " or ".join(name for name, row in LOGINS.items() if row.invites)
    raise DeployError(
        wanted=f"AUTHENTICATOR={having}, where each user chooses a password at a link",
        found=f"AUTHENTICATOR is {settings.authenticator}, and its users need no link",
        fix=f"set AUTHENTICATOR={having} and run ./invoke up, or let them log in as they do",
    )


def _to_terminal(deployment: Deployment, user: str, ask: Ask) -> None:
    if not deployment.display.terminal:
        raise DeployError(
            wanted="a terminal to show the link on",
            found="what this prints goes into a file or a program, and whoever reads a link can use it",
            fix="run it on a terminal, or write the links into a file that only you can read: --all FILE",
        )
    token = _token()
    expires = _known(user, ask("invite", [f"{user}:{_digest(token)}"]))
    deployment.display.line(f"{user} chooses a password at this link, once, until {_day(expires)}:")
    deployment.display.line(_link(deployment.settings, token))
    deployment.display.line("Earlier links of this user are no longer good.")


def _to_file(deployment: Deployment, path: Path, ask: Ask) -> None:
    settings = deployment.settings
    tokens = {user.name: _token() for user in settings.users}
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        exists = isinstance(error, FileExistsError)
        raise DeployError(
            wanted="a file that can be made for the links",
            found=f"{path} is there already" if exists else f"{path} cannot be made ({error.strerror})",
            fix="name another file, or remove this one" if exists else "name a file in a folder of yours",
        ) from None
    kept = False
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            done = ask("invite-missing", [f"{user}:{_digest(token)}" for user, token in tokens.items()])
            invited = {user: expires for user, expires in done.items() if expires is not None}
            for user, expires in sorted(invited.items()):
                file.write(f"{user}\t{_link(settings, tokens[user])}\tuntil {_day(expires)}\n")
            kept = bool(invited)
    finally:
        if not kept:
            path.unlink(missing_ok=True)
    line = deployment.display.line
    line(f"{path}: {_count(invited)}" if invited else "each user of userlist whom the hub knows has a password")
    if invited:
        line("Give each their own line, then remove the file. Earlier links of these users are no longer good.")
    unknown = sorted(user for user, expires in done.items() if expires is None)
    if unknown:
        raise DeployError(
            wanted="a hub that knows each user of userlist",
            found=f"the hub has no user {', '.join(unknown)} yet, so there is no link",
            fix="run ./invoke up, then ./invoke invite NAME",
        )


def _count(invited: Iterable[str]) -> str:
    names = list(invited)
    return f"the link of {names[0]}" if len(names) == 1 else f"the links of {len(names)} users without a password"


def _known(user: str, answer: _Answer) -> float | bool:
    done = answer[user]
    if done is None:
        raise DeployError(
            wanted="the name of a user of this hub",
            found=f"the hub has no user {user}",
            fix="correct the name; or add it to userlist and run ./invoke up, or add the user in the admin page",
        )
    return done


def _asker(deployment: Deployment) -> Ask:
    def ask(what: str, users: Iterable[str]) -> _Answer:
        return hub_program.ask(deployment.engine, deployment.settings, _PROGRAM, what, *users)

    return ask


def _token() -> str:
    return secrets.token_urlsafe(32)


def _digest(token: str) -> str:
    # As jupyterhub/passwords.py keeps it.
    return hashlib.sha256(token.encode()).hexdigest()


def _link(settings: Settings, token: str) -> str:
    return f"{settings.public_url}/hub/invite#{token}"


def _day(expires: float) -> str:
    return f"{datetime.fromtimestamp(expires).astimezone():%Y-%m-%d %H:%M}"
