"""What an operator sees while a deployment is changed: plans, progress, questions, the greeting. No other module asks
questions; `status`, `logs`, `config`, `check_files` and `setup` print their own findings.

On a terminal builds are a live table; elsewhere each line has a prefix. Passwords are shown on a terminal only.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Sequence
from functools import partial
from textwrap import fill
from typing import TYPE_CHECKING

from hubdeploy.blueprint.specs import Severity
from hubdeploy.contract.documents import Secret
from hubdeploy.errors import Caution, Declined, DeployError, Interrupted, Problem
from hubdeploy.plan import operations as op
from hubdeploy.plan.steps import INDENT, Plan, Step
from hubdeploy.settings.declarations import Settings, keys_of_fields
from hubdeploy.tls.certificates import Pair

if TYPE_CHECKING:
    from hubdeploy.commands.buildtable import BuildTable

_in_whole_words = partial(fill, subsequent_indent=INDENT, break_long_words=False, break_on_hyphens=False)
# Answers that are a no, also where something else than yes or no is asked for.
_NO = ("", "n", "no")


class Display:
    """Prints to standard output; `terminal` is false where that is piped or kept, as in a log."""

    def __init__(self) -> None:
        # While images are built, on a terminal.
        self._table: BuildTable | None = None

    @property
    def terminal(self) -> bool:
        # Not what the environment says (FORCE_COLOR): that must not put a password into a kept log.
        return sys.stdout.isatty()

    def line(self, text: str = "") -> None:
        print(text, flush=True)

    def plan(self, plan: Plan) -> None:
        """Every step with its cause, and below it what it means for users."""
        self._lines(plan.lines())

    def cautions(self, cautions: Iterable[Caution]) -> None:
        for caution in cautions:
            self._lines(f"warning: {caution}".split("\n"))

    def _lines(self, lines: Iterable[str]) -> None:
        """Lines that fit a terminal, where no word is cut; elsewhere as they are, for programs to read."""
        width = shutil.get_terminal_size().columns
        for line in lines:
            fits = not self.terminal or len(line) <= width
            self.line(line if fits else _in_whole_words(line, width))

    def warnings(self, problems: Sequence[Problem], going_on: str) -> None:
        """Problems in spite of which a command goes on."""
        # On standard error: a program may read what a command prints.
        for problem in problems:
            print(f"warning: {problem}", file=sys.stderr)
        if problems:
            print(f"{going_on}\n", file=sys.stderr)

    # -- progress ---------------------------------------------------------------------------------------------------

    def begun(self, step: Step) -> None:
        if isinstance(step.operation, op.ImageBuilt):
            if self._table:
                self._table.begun(step.operation.spec.name)
            else:
                self.line(f"{step.operation.spec.name} | build begins")
        elif isinstance(step.operation, op.ContainerHealthy | op.ImagePulled | op.CanaryHeard):
            self.line(f"  .. waiting until {step.operation}")

    def printed(self, step: Step, line: str) -> None:
        if isinstance(step.operation, op.CanaryHeard):
            self.line(f"{INDENT}{line}")
        if not isinstance(step.operation, op.ImageBuilt):
            return
        if self._table:
            self._table.printed(step.operation.spec.name, line)
        else:
            self.line(f"{step.operation.spec.name} | {line}")

    def done(self, step: Step, seconds: float) -> None:
        if isinstance(step.operation, op.ImageBuilt) and self._table:
            self._table.done(step.operation.spec.name, seconds)
        else:
            self.line(f"  ok {step.operation} ({seconds:.1f} s)")

    def building(self, steps: Sequence[Step]) -> None:
        if not self.terminal:
            return
        # Imported here: it takes long to import and is seldom needed.
        from hubdeploy.commands.buildtable import BuildTable

        names = [step.operation.spec.name for step in steps if isinstance(step.operation, op.ImageBuilt)]
        self._table = BuildTable(names)

    def built(self) -> None:
        if self._table:
            self._table.close()
            self._table = None

    # -- questions --------------------------------------------------------------------------------------------------

    def confirm(self, plan: Plan, name: str, *, yes: bool) -> None:
        """Asks before a session or data is lost; the default is no. Raises Declined without a yes, DeployError without a
        terminal. Data is removed only if the deployment's name is typed back."""
        if any(step.consequence.severity is Severity.DATA_IS_LOST for step in plan.steps):
            self.typed_back(name, "This removes users' data for ever.")
        elif plan.loses:
            lost = " and ".join(dict.fromkeys(step.consequence.sentence for step in plan.loses))
            self.agree(f"Go on, though {lost}?", yes=yes)

    def agree(self, question: str, *, yes: bool) -> None:
        """Asks unless `yes`; the default is no. Raises Declined without a yes, DeployError without a terminal."""
        if yes:
            return
        self.refuse_without_terminal("a yes", "add --yes if that is meant")
        if self._answer(f"{question} [y/N] ").lower() not in ("y", "yes"):
            raise Declined

    def typed_back(self, name: str, loss: str) -> None:
        """Asks for a name, after a sentence that says what is lost; no option replaces that. Raises as `confirm` does."""
        self.refuse_without_terminal(f"{name} typed back", "run it on a terminal")
        typed = self._answer(f"{loss} Type {name} to go on: ")
        if typed == name:
            return
        if typed.lower() in _NO:
            raise Declined
        raise DeployError(wanted=f"{name} typed back", found="something else", fix="nothing was changed")

    def _answer(self, question: str) -> str:
        try:
            return input(question).strip()
        except EOFError:
            return ""
        except KeyboardInterrupt:
            raise Interrupted("nothing of this plan was done", again="asks again") from None

    def refuse_without_terminal(self, wanted: str, fix: str) -> None:
        """Raises DeployError where nobody can be asked."""
        if not (self.terminal and sys.stdin.isatty()):
            raise DeployError(
                wanted=wanted, found="something would be lost and there is no terminal to ask on", fix=fix
            )

    # -- reports ----------------------------------------------------------------------------------------------------

    def greeting(self, settings: Settings) -> None:
        """Where the hub is, who the admins are, and how everybody logs in."""
        admins = (
            ", ".join(user.name for user in settings.users if user.admin)
            or "nobody (give someone the flag admin in userlist)"
        )
        self.line(f"\nJupyterHub is up: {settings.public_url}")
        self.line(f"admins: {admins}")
        login = settings.login
        self.line(f"login: {login.greeting.format(**vars(settings))}")
        if login.shown and self.terminal:
            for label, field in login.shown.items():
                secret: Secret[str] | None = getattr(settings, field)
                self.line(f"       {label}: {secret.reveal() if secret else 'none'}")
        elif login.shown:
            keys = keys_of_fields()
            self.line(
                f"       the passwords are {' and '.join(keys[field] for field in login.shown.values())} in .env.local"
            )

    def checked(self, settings: Settings, pair: Pair | None) -> None:
        self.line(f"settings and userlist are fine: {len(settings.users)} users")
        if settings.behind:
            self.line("certificate: the one of the proxy in front, as TLS is outside")
            return
        if pair is None:
            self.line("certificate: none yet; up makes one")
            return
        kind = "brought" if pair.made_from is None else "self-made"
        valid = f"valid until {pair.expires:%Y-%m-%d} ({pair.days} days)"
        self.line(f"certificate: {kind}, {valid if pair.days >= 0 else f'expired on {pair.expires:%Y-%m-%d}'}")
