"""Who may enter, whichever way they log in: who is on the userlist, whom an admin has added, and members of the groups that
the settings name. Nobody else, and nobody for having entered before.

It stands over the class of the login. Each login is recorded, and failures are slowed down.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import accounts
import groups
import passes
from audit import Audit
from contract import rehearsals
from jupyterhub.auth import Authenticator
from jupyterhub.utils import maybe_future
from tornado.web import HTTPError
from traitlets import Dict, Unicode
from traitlets.config import Config
from tries import Tries


class TooManyFailures(HTTPError):
    """Says how long to wait, in words and for programs."""

    def __init__(self, seconds: int) -> None:
        pause = f"{seconds} seconds" if seconds < 120 else f"{seconds // 60} minutes"
        super().__init__(429, f"Too many failed logins. Try again in {pause}.", reason="Too Many Requests")
        self.headers = {"Retry-After": str(seconds)}


class Admission(Authenticator):  # type: ignore[misc]  # jupyterhub has no types
    """What all logins share. `over` puts it over a login's class."""

    data_dir = Unicode(config=True, help="Where the hub's data lie: the record of users, and the log.")
    listed_groups = Dict(config=True, help="User -> their groups of userlist, beside which a login may know others.")

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        data = Path(self.data_dir)
        self._named = accounts.Named(data / accounts.RECORD)
        self.audit = Audit(data)
        self.passes = passes.Passes(data / passes.FILE)
        self._tries = Tries()
        self.allowed_users: set[str] = {*self.allowed_users, *self._named.added}
        self.admin_users: set[str] = {*self.admin_users, *self._named.promoted}

    def check_allow_config(self) -> None:
        """Raises SystemExit for a configuration that lets in people whom nobody named, and for one that JupyterHub would
        ignore: a misspelled limit is no limit."""
        super().check_allow_config()
        wrong = sorted({*opened(self), *unknown(type(self), self.config)})
        if wrong:
            raise SystemExit(
                f"the hub does not start: {', '.join(wrong)} would let in people whom neither userlist nor a setting"
                " names, or is no trait of this login"
            )

    async def get_authenticated_user(self, handler: Any, data: Any) -> Any:
        # JupyterHub asks for no override here; no other place sees a login's beginning, its failure and its success.
        address = handler.request.remote_ip
        typed = self.normalize_username(data["username"]) if data and "username" in data else ""
        known = typed if typed in self.allowed_users else ""
        if typed:
            self._begin(typed, known, address)
        try:
            found = await super().get_authenticated_user(handler, data)
            if found and rehearsals.is_simulated(found["name"]):
                raise HTTPError(403, "This name is kept for rehearsals.")
        except HTTPError:
            self.audit.record_failure("login failed", user=known, address=address)
            raise
        if not found:
            self.audit.record_failure("login failed", user=known, address=address)
            return found
        self._tries.succeeded(typed, address)
        self.audit.record("login", user=found["name"], address=address)
        if found.get("groups") is not None:
            found = {**found, "groups": self.with_listed(found["name"], found["groups"])}
        # Who is no admin any more must be said: JupyterHub leaves a user's rights as they are otherwise.
        return {**found, "admin": bool(found["admin"])}

    def with_listed(self, name: str, named: Iterable[str]) -> list[str]:
        """The groups of a user, of which a login names some."""
        return sorted({*named, *self.listed_groups.get(name, ())})

    async def add_user(self, user: Any) -> None:
        # JupyterHub calls it for all users of its database when it starts, and for each new one.
        await maybe_future(super().add_user(user))
        if listed := self.listed_groups.get(user.name):
            groups.give(getattr(user, "orm_user", user), listed)

    def _begin(self, typed: str, known: str, address: str) -> None:
        if seconds := self._tries.begin(typed, address):
            self.audit.record_failure("login paused", user=known, address=address)
            raise TooManyFailures(seconds)

    async def knows_password(self, handler: Any, name: str, password: str) -> bool:
        """Whether a user who is logged in gives their own password; a wrong one counts as a failed login."""
        address = handler.request.remote_ip
        self._begin(name, name, address)
        if await maybe_future(self.authenticate(handler, {"username": name, "password": password})):
            self._tries.succeeded(name, address)
            return True
        self.audit.record_failure("login failed", user=name, address=address)
        return False

    async def refresh_user(self, user: Any, handler: Any = None, **arguments: Any) -> Any:
        """No service knows the simulated people of a rehearsal; they stay as long as that lasts."""
        if rehearsals.is_simulated(user.name):
            return self.passes.are_good
        found = super().refresh_user(user, handler, **arguments)
        # Not in a task of its own: what it notes for this request would be lost.
        return await found if inspect.isawaitable(found) else found

    def admit(self, name: str, by: str) -> None:
        """An admin adds a user, who may enter from now on."""
        self._named.admit(name)
        self.allowed_users.add(name)
        self.audit.record("user added", user=name, by=by)

    def rename(self, old: str, new: str, by: str) -> None:
        promoted = old in self._named.promoted
        self._forget(old)
        self._named.admit(new)
        self.allowed_users.add(new)
        self.audit.record(f"user renamed to {new}", user=old, by=by)
        if promoted:
            self._set_admin(new, admin=True)

    def promote(self, name: str, by: str, *, admin: bool) -> None:
        """An admin makes somebody an admin, or takes that back."""
        self._set_admin(name, admin=admin)
        self.audit.record("made an admin" if admin else "no admin any more", user=name, by=by)

    def dismiss(self, name: str, by: str) -> None:
        """An admin has deleted a user."""
        self._forget(name)
        self.audit.record("user deleted", user=name, by=by)

    def _forget(self, name: str) -> None:
        self._named.dismiss(name)
        self.allowed_users.discard(name)
        self.admin_users.discard(name)

    def _set_admin(self, name: str, *, admin: bool) -> None:
        self._named.promote(name, admin=admin)
        (self.admin_users.add if admin else self.admin_users.discard)(name)


def over(login: type[Authenticator]) -> type[Authenticator]:
    """The login's class with Admission over it, under the name of its own."""
    return type(login.__name__, (Admission, login), {"__module__": login.__module__})


def opened(authenticator: Authenticator) -> list[str]:
    """The traits that let in somebody, and that the contract does not set."""
    ours = authenticator.config.get("Authenticator", {}).keys() - {"allow_all", "allow_existing_users"}
    letting_in = [name for name in authenticator.trait_names(config=True) if name.startswith(("allow", "admin_"))]
    return [name for name in letting_in if name not in ours and getattr(authenticator, name)]


def unknown(login: type[Authenticator], config: Config) -> list[str]:
    """What the sections of the login's classes set and no trait takes."""
    sections = {one.__name__ for one in login.__mro__ if issubclass(one, Authenticator)}
    traits = login.class_traits(config=True)
    return [f"{one}.{name}" for one in sections & config.keys() for name in config[one] if name not in traits]
