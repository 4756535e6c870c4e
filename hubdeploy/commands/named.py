"""A deployment of which only the name must be known: to stop it, to remove it, to look at it.

A mistake elsewhere in its files is printed as a warning: an operator with a half-edited `.env` can still stop everything.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from hubdeploy.blueprint import throwaway
from hubdeploy.commands import execution
from hubdeploy.commands.deployment import ROOT
from hubdeploy.commands.display import Display
from hubdeploy.engine import Engine
from hubdeploy.plan import removal
from hubdeploy.plan.snapshot import Snapshot
from hubdeploy.plan.steps import Plan
from hubdeploy.settings import loading


class NamedDeployment:
    """The deployment whose name stands in `root`; `settings` are None where its files have mistakes. Raises InputError if
    the name is in doubt."""

    def __init__(self, root: Path, environ: Mapping[str, str], display: Display | None = None) -> None:
        self.name, self.settings, problems = loading.load_name(root, environ)
        self.environ, self.engine = environ, Engine(environ)
        self.display = display or Display()
        self.display.warnings(problems, f"going on with the deployment's name alone, {self.name}")

    def observe(self) -> Snapshot:
        """What carries the deployment's label, and nothing else."""
        return self.engine.observe(self.name, names=(), directories={})

    def down(self, *, servers: bool, yes: bool) -> None:
        """All components are stopped; users' servers go on unless `servers`."""
        self._show_and_do(removal.stopping(self.observe(), self.name, servers=servers), yes=yes)

    def clean(self, *, volumes: bool, yes: bool) -> None:
        """Containers, networks and images are removed; volumes only if asked and the name is typed back. What a drill or a canary
        left that was killed goes as well."""
        left = [
            removal.thrown_away(self.engine.observe(name, names=(), directories={}), name)
            for name in (throwaway.name(self.name, kind) for kind in throwaway.KINDS)
        ]
        plan = removal.removal(self.observe(), self.name, volumes=volumes)
        self._show_and_do(removal.together(*left, plan), yes=yes)

    def _show_and_do(self, plan: Plan, *, yes: bool) -> None:
        self.display.plan(plan)
        self.display.confirm(plan, self.name, yes=yes)
        execution.carry_out(plan.steps, self.engine.apply, self.display)


def load() -> NamedDeployment:
    """The deployment of this checkout."""
    return NamedDeployment(ROOT, os.environ)
