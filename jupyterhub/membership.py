"""What becomes of a user who is in when their membership of a group ends: the session ends, their servers stop, their files stay.

It asks again at requests of the user, and every some minutes for users with a running server. A login service that fails
never throws anybody out. One that works but does not answer to a user's token leaves that user in for as long as
their last proof lasts, so that nobody stays by revoking a token; the user must log in again at once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from contextvars import ContextVar
from typing import Any, NamedTuple

import stopping
from contract import rehearsals
from jupyterhub import roles
from tornado.web import HTTPError

# How long a service that failed is not asked again; seconds.
_PAUSE = 60
# How long a server that starts or stops is waited for before it is stopped; seconds.
_PENDING = 300
_ASK = "your server was stopped, your files are kept. Ask whoever runs this hub."
_KEPT_TOKENS = ("access_token", "token_type", "refresh_token", "scope")


NO_ANSWER = (
    "The login service does not answer as it should. Try again in a minute; whoever runs this hub finds why in its log."
)


class NoAnswer(HTTPError):
    """The service fails, so nothing is known of anybody."""

    def __init__(self) -> None:
        super().__init__(502, NO_ANSWER)


class Refused(NoAnswer):
    """The service works, and does not answer to this user's token: it expired, was revoked, or is used too much."""


class Verdict(NamedTuple):
    """Whether the session goes on; `words`: why the user is no longer welcome. Neither: the user must log in again."""

    stays: bool
    words: str = ""


_STAYS, _LOG_IN = Verdict(True), Verdict(False)
# Why the user of the request that is answered now is no longer welcome; empty for anybody else. For the login page: all that
# an exception of refresh_user brings about is a traceback in the hub's log.
ended: ContextVar[str] = ContextVar("ended", default="")


class _Proof(NamedTuple):
    token: str
    since: float


def kept(token_info: dict[str, Any], groups: list[str]) -> dict[str, Any]:
    """What the hub's database keeps of a login, encrypted."""
    return {"tokens": {name: token_info[name] for name in _KEPT_TOKENS if token_info.get(name)}, "groups": groups}


class Watch:
    """Of one authenticator, a grouped.Grouped under Admission. All of it runs on the hub's event loop."""

    def __init__(self, authenticator: Any) -> None:
        self._authenticator = authenticator
        self._log = authenticator.log
        # User -> the token that proved the membership last, and when; and since when a token has been in doubt.
        self._proven: dict[str, _Proof] = {}
        self._doubtful: dict[str, _Proof] = {}
        self._asking: dict[str, asyncio.Task[Verdict]] = {}
        self._silent_until = 0.0
        self._running: set[asyncio.Task[None]] = set()
        self._stopping: set[str] = set()

    def begin(self, users: dict[Any, Any]) -> None:
        """Looks after JupyterHub's `users` from now on, first of all at once: settings may be others than before."""
        if self._authenticator.enable_auth_state:
            self._run(self._rounds(users))

    async def _rounds(self, users: dict[Any, Any]) -> None:
        while True:
            for user in [one for one in users.values() if one.active and not rehearsals.is_simulated(one.name)]:
                try:
                    await self.check(user)
                except Exception:
                    # One user's trouble must not hide another one's end.
                    self._log.exception("the membership of %s could not be checked", user.name)
            await asyncio.sleep(self._authenticator.check_every)

    async def check(self, user: Any) -> Verdict:
        """Of a user of JupyterHub's. Whoever may not stay has no server and no token afterwards, or soon."""
        task = self._asking.get(user.name)
        if task is None:
            task = self._asking[user.name] = asyncio.ensure_future(self._checked(user))
            task.add_done_callback(lambda _: self._asking.pop(user.name, None))
        return await asyncio.shield(task)

    async def _checked(self, user: Any) -> Verdict:
        state = await user.get_auth_state() or {}
        without_groups = await self._without_groups(user.name)
        if "ended" in state and not without_groups["allowed"]:
            self._stop_servers(user)
            return Verdict(False, state["ended"])
        tokens = state.get("tokens")
        if tokens is None:
            return await self._doubt(user, "", without_groups)
        proof = self._proven.get(user.name)
        now = time.monotonic()
        if now < self._silent_until or (
            proof is not None
            and proof.token == tokens["access_token"]
            and now - proof.since < self._authenticator.check_every
        ):
            return _STAYS
        model: dict[str, Any] | None = None
        try:
            model = await self._authenticator.asked_again(tokens)
        except Refused:
            pass
        except NoAnswer:
            self._silent_until = time.monotonic() + min(_PAUSE, self._authenticator.check_every)
            return _STAYS
        if await user.get_auth_state() != state:
            # The user has logged in meanwhile, which is the newer answer.
            return _STAYS
        if model is None:
            return await self._doubt(user, tokens["access_token"], without_groups)
        if model["groups"] is None:
            return _STAYS
        if model["name"] != user.name:
            self._log.warning("the account of %s has another name now", user.name)
            return await self._doubt(user, tokens["access_token"], without_groups)
        if not await self._is_allowed(user.name, model):
            return await self._end(user, self._no_longer(state["groups"]))
        self._proven[user.name] = _Proof(model["auth_state"]["tokens"]["access_token"], now)
        self._doubtful.pop(user.name, None)
        await self._apply(user, model, model["auth_state"])
        return _STAYS

    async def _without_groups(self, name: str) -> dict[str, Any]:
        """The model of a login of somebody in no group, and whether it is `allowed`."""
        admin = name in self._authenticator.admin_users
        model = {"name": name, "admin": admin, "groups": [], "auth_state": {}}
        return {**model, "allowed": await self._is_allowed(name, model)}

    async def _is_allowed(self, name: str, model: dict[str, Any]) -> bool:
        try:
            return bool(await self._authenticator.check_allowed(name, model))
        except HTTPError as error:
            if error.status_code != 403:
                raise
            return False

    async def _doubt(self, user: Any, token: str, without_groups: dict[str, Any]) -> Verdict:
        now = time.monotonic()
        doubt = self._doubtful.get(user.name)
        if doubt is None or doubt.token != token:
            proof = self._proven.get(user.name)
            since = proof.since if proof is not None and proof.token == token else now
            doubt = self._doubtful[user.name] = _Proof(token, since)
        is_over = now - doubt.since >= self._authenticator.proof_lasts
        if without_groups["allowed"]:
            # The list lets them in; what they are by a group is in doubt.
            if is_over:
                await self._apply(user, without_groups, await user.get_auth_state())
            return _STAYS
        if not is_over:
            # The next request asks.
            user._auth_refreshed = None
            return _LOG_IN
        service = self._authenticator.login_service
        return await self._end(user, f"{service} no longer confirms that you may use this hub: {_ASK}")

    def _no_longer(self, groups: Iterable[str]) -> str:
        left = sorted(set(groups) & self._authenticator.letting_in)
        if left:
            return f"You are no longer a member of {' or '.join(left)}: {_ASK}"
        return f"You are not in {self._authenticator.group} that may use this hub any more: {_ASK}"

    async def _end(self, user: Any, words: str) -> Verdict:
        self._log.warning("the membership of %s has ended: session, tokens and servers end, volumes stay", user.name)
        self._authenticator.audit.record("membership ended", user=user.name)
        for token in list(user.orm_user.api_tokens):
            user.db.delete(token)
        await self._apply(user, {"admin": False, "groups": []}, {"ended": words})
        self._proven.pop(user.name, None)
        self._doubtful.pop(user.name, None)
        user._auth_refreshed = None
        self._stop_servers(user)
        return Verdict(False, words)

    async def _apply(self, user: Any, model: dict[str, Any], state: Any) -> None:
        if bool(model["admin"]) != user.admin:
            user.admin = bool(model["admin"])
            roles.assign_default_roles(user.db, entity=user.orm_user)
            self._log.warning("%s is %s admin", user.name, "now an" if user.admin else "no longer an")
        user.sync_groups(self._authenticator.with_listed(user.name, model["groups"]))
        await user.save_auth_state(state)

    def _stop_servers(self, user: Any) -> None:
        for name, spawner in user.spawners.items():
            if spawner.active or spawner.pending:
                self._run(self._stop_server(user, name, spawner))

    async def _stop_server(self, user: Any, name: str, spawner: Any) -> None:
        """A server that cannot be stopped is tried again at the next round."""
        key = spawner._log_name
        if key in self._stopping:
            return
        self._stopping.add(key)
        try:
            deadline = time.monotonic() + _PENDING
            while spawner.pending and time.monotonic() < deadline:
                await asyncio.sleep(1)
            if spawner.pending or not spawner.active:
                return
            await stopping.stop(user, name)
        except Exception:
            self._log.exception("the server of %s could not be stopped", user.name)
        finally:
            self._stopping.discard(key)

    def _run(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
