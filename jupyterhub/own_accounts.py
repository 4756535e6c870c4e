"""Login by a password of the user's own, which they choose at a one-time link. The login page is JupyterHub's.

Nobody gets a password by logging in, and nobody chooses whose password it is: an invitation names the account. Nothing here
changes anything on a GET, or without the page's XSRF token. Passwords and tokens are in no log and in no file.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import argon2
import password_rules
import passwords
from accounts import end_sessions
from argon2.exceptions import InvalidHashError, VerificationError
from jupyterhub import orm
from jupyterhub.apihandlers.base import APIHandler
from jupyterhub.auth import Authenticator
from jupyterhub.handlers.base import BaseHandler
from jupyterhub.handlers.login import LoginHandler
from jupyterhub.scopes import needs_scope
from tornado.web import HTTPError, authenticated
from traitlets import Unicode

_Result = TypeVar("_Result")
# OWASP's choice of argon2id: 19 MiB and about 30 ms, so that a class that logs in at once waits a second or two.
_HASHER = argon2.PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
# At once: each takes a processor, and memory of the hub's.
_AT_ONCE = 2
_TOKEN_BYTES = 32


class Accounts(Authenticator):  # type: ignore[misc]  # jupyterhub has no types
    """Users of JupyterHub's database with a password in the file on the data volume; a user without one cannot log in."""

    data_dir = Unicode(config=True, help="Where the file with the passwords lies.")

    @cached_property
    def passwords(self) -> passwords.Passwords:
        return passwords.Passwords(Path(self.data_dir) / passwords.FILE)

    @cached_property
    def _workers(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="passwords")

    @cached_property
    def _nobodys(self) -> str:
        """The hash of a password that nobody knows: an unknown name is verified as long as a known one."""
        return _HASHER.hash(secrets.token_urlsafe(_TOKEN_BYTES))

    async def apart(self, work: Callable[..., _Result], *arguments: Any) -> _Result:
        """The result of work that takes long, done beside the hub's loop."""
        return await asyncio.get_running_loop().run_in_executor(self._workers, work, *arguments)

    def get_handlers(self, app: Any) -> list[tuple[str, type[Any]]]:
        return [
            ("/login", LoginHandler),
            ("/invite", InviteHandler),
            ("/password", PasswordHandler),
            (r"/api/invitations", InvitationsHandler),
            (r"/api/users/([^/]+)/invitation", InvitationHandler),
        ]

    async def authenticate(self, handler: Any, data: dict[str, str]) -> str | None:
        name: str = self.normalize_username(data.get("username", ""))
        user = handler.find_user(name)
        whose = account_of(user) if user else ""
        return name if await self.apart(self._is_right, whose, data.get("password", "")) else None

    def _is_right(self, account: str, password: str) -> bool:
        held = self.passwords.hash_of(account)
        try:
            _HASHER.verify(held or self._nobodys, password_rules.prepared(password))
        except (VerificationError, InvalidHashError):
            return False
        if held and _HASHER.check_needs_rehash(held):
            self.passwords.renew(account, held, hashed(password))
        return held is not None

    def delete_user(self, user: Any) -> None:
        self.passwords.forget(account_of(user))
        super().delete_user(user)


def hashed(password: str) -> str:
    return _HASHER.hash(password_rules.prepared(password))


def account_of(user: Any) -> str:
    return passwords.account(user.id, user.created)


class InviteHandler(BaseHandler):  # type: ignore[misc]
    """The page behind a link. Its script takes the token out of the address, which no server sees, and posts it: alone, to
    learn whose it is, and with a password. An answer is JSON: `state`, and `name` or `fault`."""

    async def get(self) -> None:
        self.finish(await self.render_template("invite.html", shortest=password_rules.SHORTEST))

    async def post(self) -> None:
        accounts, digest = self.authenticator, passwords.digest(self.get_body_argument("token"))
        invitation = accounts.passwords.invitation(digest)
        user = self._user(invitation.account)
        if user is None or invitation.state != "open":
            self._answer(invitation.state if user else "unknown")
            return
        password = self.get_body_argument("password", None, strip=False)
        if password is None:
            self._answer("open", name=user.name)
            return
        fault = await accounts.apart(password_rules.fault, password, user.name)
        if fault:
            self._answer("open", name=user.name, fault=fault)
            return
        hash = await accounts.apart(hashed, password)
        state = accounts.passwords.redeem(digest, hash).state
        if state == "open":
            end_sessions(self.db, user.orm_user)
            self.db.commit()
            accounts.audit.record("password chosen at a link", user=user.name, address=self.request.remote_ip)
            state = "done"
        self._answer(state, name=user.name)

    def _user(self, account: str) -> Any:
        number = account.partition(" ")[0]
        found = self.db.get(orm.User, int(number)) if number else None
        return self._user_from_orm(found) if found and account_of(found) == account else None

    def _answer(self, state: str, **more: str) -> None:
        self.set_header("Cache-Control", "no-store")
        self.set_header("Content-Type", "application/json")
        self.write({"state": state, **more})


class PasswordHandler(BaseHandler):  # type: ignore[misc]
    """The page on which users change their password."""

    @authenticated
    async def get(self) -> None:
        await self._show()

    @authenticated
    async def post(self) -> None:
        user, accounts = self.current_user, self.authenticator
        old, new, again = (self.get_body_argument(one, "", strip=False) for one in ("old", "new", "again"))
        if not await accounts.knows_password(self, user.name, old):
            await self._show("The old password is wrong.")
            return
        fault = "The two new passwords differ." if new != again else ""
        fault = fault or ("The new password is the old one." if new == old else "")
        fault = fault or await accounts.apart(password_rules.fault, new, user.name)
        if fault:
            await self._show(fault)
            return
        hash = await accounts.apart(hashed, new)
        accounts.passwords.keep(account_of(user), hash)
        end_sessions(self.db, user.orm_user, keep=self.get_session_cookie())
        self.db.commit()
        self.set_hub_cookie(user)
        self.set_login_cookie(user)
        accounts.audit.record("password changed", user=user.name, address=self.request.remote_ip)
        self.redirect(f"{self.hub.base_url}password?changed=1", status=303)

    async def _show(self, fault: str = "") -> None:
        if fault:
            self.set_status(403)
        changed = not fault and bool(self.get_query_argument("changed", ""))
        page = self.render_template("password.html", fault=fault, changed=changed, shortest=password_rules.SHORTEST)
        self.finish(await page)


class InvitationsHandler(APIHandler):  # type: ignore[misc]
    """GET: for each user whether they have a password, and until when a link is good; times are seconds since the epoch."""

    @needs_scope("admin:users")  # type: ignore[untyped-decorator]
    def get(self) -> None:
        may = self.get_scope_filter("admin:users")
        statuses = self.authenticator.passwords.statuses()
        users = [user for user in self.db.query(orm.User).order_by(orm.User.name) if may(user, kind="user")]
        found = {user.name: statuses.get(account_of(user), passwords.Status()) for user in users}
        self.write({name: vars(status) for name, status in found.items()})


class InvitationHandler(APIHandler):  # type: ignore[misc]
    """POST: a new link's token, which is shown this once; an earlier link is withdrawn. DELETE: the link is withdrawn."""

    @needs_scope("admin:users")  # type: ignore[untyped-decorator]
    def post(self, user_name: str) -> None:
        user, token = self._found(user_name), secrets.token_urlsafe(_TOKEN_BYTES)
        expires = self.authenticator.passwords.invite(account_of(user), passwords.digest(token))
        self.authenticator.audit.record("link made", user=user.name, by=self.current_user.name)
        self.set_header("Cache-Control", "no-store")
        self.set_status(201)
        self.write({"token": token, "expires": expires})

    @needs_scope("admin:users")  # type: ignore[untyped-decorator]
    def delete(self, user_name: str) -> None:
        user = self._found(user_name)
        if not self.authenticator.passwords.withdraw(account_of(user)):
            raise HTTPError(404, f"{user.name} has no link that is good.")
        self.authenticator.audit.record("link withdrawn", user=user.name, by=self.current_user.name)
        self.set_status(204)

    def _found(self, name: str) -> Any:
        user = self.find_user(name)
        if user is None:
            raise HTTPError(404, f"There is no user {name}.")
        return user
