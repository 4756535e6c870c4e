"""A throw-away deployment, for a drill or a canary: it comes up by the code of `up`, a user works in it, and all of it is
removed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from hubdeploy.blueprint import documents, draw
from hubdeploy.blueprint import throwaway as drawn
from hubdeploy.blueprint.specs import Blueprint, Mount
from hubdeploy.commands import execution
from hubdeploy.contract import backups
from hubdeploy.contract.documents import Secret
from hubdeploy.engine import Engine, Helper
from hubdeploy.errors import EngineError, indented
from hubdeploy.plan import operations as op
from hubdeploy.plan import removal
from hubdeploy.plan.reconcile import reconcile
from hubdeploy.plan.snapshot import Snapshot
from hubdeploy.plan.steps import Plan, Step
from hubdeploy.settings.declarations import Settings
from hubdeploy.tls import selection
from hubdeploy.tls.certificates import Pair

_PYTHON = "/opt/hub/bin/python"


@dataclass(frozen=True)
class ThrowAway:
    """`settings` are its own, as blueprint/throwaway.py makes them; `blueprint` draws what should exist."""

    engine: Engine
    settings: Settings
    blueprint: Callable[[Settings, Snapshot, Pair], Blueprint]

    @contextmanager
    def removed_afterwards(self) -> Iterator[None]:
        """Also what one left that was killed."""
        self._remove()
        try:
            yield
        finally:
            self._remove()

    def come_up(self, hear: Callable[[str], None] = lambda line: None) -> None:
        """Brings all of it up, cut off. `hear` gets a line for each component that is healthy."""
        settings = self.settings
        snapshot = self.engine.observe(settings.name, names=draw.names(settings), directories=draw.directories())
        pair, _ = selection.make(settings, "it is thrown away")
        blueprint = drawn.cut_off(self.blueprint(settings, snapshot, pair))
        # It is itself what tries images.
        self._do(reconcile(blueprint, snapshot).without_canary, hear)

    def visit(self, user: str, path: str = "", kind: str = "", hear: Callable[[str], None] = lambda what: None) -> str:
        """The SHA-256 of the file at `path` as a kernel of `user` reads it; empty without a path, where the kernel writes to the
        user's volumes. The server is of the `kind`, or of the user's first one. `hear` gets backups.LOGIN_PAGE and backups.SERVER
        when these answer. Raises EngineError with what did not happen."""
        settings, told = self.settings, dict[str, Any]()
        folders = [one.target for one in documents.user_volumes(settings)]

        def listen(line: str) -> None:
            said = json.loads(line)
            told.update(said.get(backups.RESULT, {}))
            for what in said.get(backups.PROGRESS, {}):
                hear(what)

        assert settings.user_password is not None
        helper = Helper(
            name=drawn.visitor_name(settings.name),
            image=settings.image_reference("hub"),
            command=(_PYTHON, "-m", "backup.proving", drawn.address(settings), user, path, kind, *folders),
            deployment=settings.name,
            mounts=(Mount("", backups.DOCUMENTS),),
            files={f"{backups.DOCUMENTS}/{backups.PASSWORD}": Secret(settings.user_password.reveal().encode())},
            capabilities=(),
            network=settings.network_name,
            environment={"TZ": settings.timezone},
            task=f"the visit of {user}",
        )
        ended = self.engine.run_helper(helper, listen)
        if ended.code != 0:
            raise EngineError(
                wanted=f"{user} at work in {settings.name}",
                found=f"the visit ended with code {ended.code}:\n{indented(ended.errors)}",
                fix="see what the hub, the proxy or the server misses",
            )
        return str(told.get("sha256", ""))

    def last_words(self, container: str, lines: int) -> str:
        """The end of a container's log."""
        return b"".join(self.engine.logs(container, follow=False, tail=lines)).decode(errors="replace").strip()

    def _remove(self) -> None:
        """Containers first, and then what is left: the hub of a killed run may have started a server meanwhile."""
        plan = self._removal()
        if containers := removal.of_containers(plan).steps:
            self._do(Plan(containers))
            plan = self._removal()
        self._do(plan)

    def _removal(self) -> Plan:
        snapshot = self.engine.observe(self.settings.name, names=(), directories={})
        plan = removal.removal(snapshot, self.settings.name, volumes=True)
        return removal.with_names_of_images(plan, snapshot, self.settings.name)

    def _do(self, plan: Plan, hear: Callable[[str], None] = lambda line: None) -> None:
        execution.carry_out(plan.steps, self.engine.apply, _Quiet(hear))


@dataclass(frozen=True)
class _Quiet:
    """Nobody needs to read each step of what is thrown away."""

    hear: Callable[[str], None]

    def begun(self, step: Step) -> None: ...
    def printed(self, step: Step, line: str) -> None: ...
    def done(self, step: Step, seconds: float) -> None:
        if isinstance(step.operation, op.ContainerHealthy):
            self.hear(str(step.operation))

    def building(self, steps: Any) -> None: ...
    def built(self) -> None: ...
