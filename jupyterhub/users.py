"""The hub's API of users, where JupyterHub's own would do harm. `hub.py` puts these handlers in front of JupyterHub's.

They refuse a name under which no server could start, before anything is added, they keep JupyterHub from taking a user's
name away, and they put on record whom an admin added, changed and deleted. Everything else JupyterHub's own handlers do.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from contract import rehearsals, servers
from jupyterhub.apihandlers.users import UserAPIHandler, UserListAPIHandler
from tornado.web import HTTPError

_SHOWN = 40


def obstacle(name: str, volumes: Iterable[str]) -> str:
    """Why no server could start for a user of this name, in a sentence that says what to do; empty if one could.
    `volumes` are DockerSpawner's templates of the names of a user's volumes."""
    shown = name if len(name) <= _SHOWN else f"{name[:_SHOWN]}…"
    if rehearsals.is_simulated(name):
        return f"The name {shown} is kept for rehearsals. Choose another one."
    for template in volumes:
        volume = servers.filled(template, name)
        if len(volume) > servers.LONGEST_NAME:
            over = len(volume) - servers.LONGEST_NAME
            return (
                f"The name {shown} is too long by {over} characters: the engine could not make the user's volume."
                " Choose a shorter name."
            )
        if not servers.is_name(volume):
            return (
                f"The engine could not make a volume for the name {shown}. Choose a name of letters, digits and _ . - ."
            )
    return ""


class _Guarded:
    """Looks at a request's body before JupyterHub's handler does, and at what has come of it. `added` are users' names."""

    added: tuple[str, ...] = ()

    def refuse_unfit(self, names: Iterable[Any]) -> None:
        volumes = [volume.name for volume in self.config.ServerSpawner.kinds.kinds[0].volumes]  # type: ignore[attr-defined]
        for name in names:
            found = obstacle(self.authenticator.normalize_username(name), volumes)  # type: ignore[attr-defined]
            if found:
                raise HTTPError(400, found)

    @property
    def who(self) -> str:
        return str(self.current_user.name)  # type: ignore[attr-defined]

    def user_from_username(self, name: str) -> Any:
        """JupyterHub adds a user here."""
        user = super().user_from_username(name)  # type: ignore[misc]
        self.authenticator.admit(user.name, self.who)  # type: ignore[attr-defined]
        self.added = (*self.added, user.name)
        return user

    def note_admins(self, names: Iterable[str], *, before: bool = False) -> None:
        """Puts on record which of these users have become admins, or are none any more; `before`: whether they were."""
        for name in names:
            now = bool(self.find_user(name).admin)  # type: ignore[attr-defined]
            if now != before:
                self.authenticator.promote(name, self.who, admin=now)  # type: ignore[attr-defined]


class UserHandler(_Guarded, UserAPIHandler):  # type: ignore[misc]  # jupyterhub has no types
    """/users/NAME: adds one user, changes or deletes one."""

    async def post(self, name: str) -> None:
        await super().post(name)
        self.note_admins(self.added)

    async def patch(self, name: str) -> None:
        user = self.find_user(name)
        before = user is not None and bool(user.admin)
        await super().patch(name)
        if user.name != name:
            self.authenticator.rename(name, user.name, self.who)
        self.note_admins([user.name], before=before)

    async def delete(self, name: str) -> None:
        await super().delete(name)
        self.authenticator.dismiss(name, self.who)

    def write(self, chunk: Any) -> None:
        """Without what the hub keeps of the user's login: no admin needs a user's token of another service."""
        model = json.loads(chunk) if isinstance(chunk, str) else chunk
        if isinstance(model, dict) and model.pop("auth_state", None) is not None:
            chunk = json.dumps(model)
        super().write(chunk)

    def get_json_body(self) -> Any:
        body = super().get_json_body()
        if self.request.method == "POST":
            self.refuse_unfit(self.path_args)
        elif self.request.method == "PATCH" and isinstance(body, dict) and isinstance(body.get("name"), str):
            # The admin page sends the name along when it changes something else. JupyterHub 6.1.1 then stores no name,
            # and can never list its users again.
            if body["name"] == self.path_args[0]:
                del body["name"]
            else:
                self.refuse_unfit([body["name"]])
        return body


class UserListHandler(_Guarded, UserListAPIHandler):  # type: ignore[misc]
    """/users: lists all, or adds some."""

    async def post(self) -> None:
        await super().post()
        self.note_admins(self.added)

    def get_json_body(self) -> Any:
        body = super().get_json_body()
        names = body.get("usernames") if isinstance(body, dict) else None
        if isinstance(names, list) and all(isinstance(name, str) for name in names):
            self.refuse_unfit(names)
        return body
