"""What a plan is: steps with their causes and consequences, and how an operator reads them. Plain data; it decides nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hubdeploy.blueprint.specs import NOTHING, Consequence
from hubdeploy.plan import operations as op

INDENT = "     "


@dataclass(frozen=True)
class Step:
    """One operation, why it is needed, and what it means for users (`users`: for whom; empty where for all or none)."""

    operation: op.Operation
    cause: str
    consequence: Consequence = NOTHING
    users: tuple[str, ...] = ()


@dataclass(frozen=True)
class Pending:
    """Running servers that go on as they are and pick a change up at their next start."""

    users: tuple[str, ...]
    cause: str


@dataclass(frozen=True)
class Plan:
    """`taken_over`: what somebody else made, and the new deployment uses as it is. `note` is printed above the steps."""

    steps: tuple[Step, ...]
    pending: tuple[Pending, ...] = ()
    taken_over: tuple[str, ...] = ()
    note: str = ""

    @property
    def loses(self) -> tuple[Step, ...]:
        return tuple(step for step in self.steps if step.consequence.loses)

    @property
    def upgrades(self) -> bool:
        """Whether the hub gets another image."""
        return any(isinstance(step.operation, op.StateKept) for step in self.steps)

    @property
    def without_canary(self) -> Plan:
        """The same, but that no canary tries the new images."""
        return replace(self, steps=tuple(one for one in self.steps if not isinstance(one.operation, op.CanaryHeard)))

    @property
    def pulls(self) -> Plan:
        """The images to pull, as a plan of their own: what they hold decides all that is built on them."""
        pulled = tuple(step for step in self.steps if isinstance(step.operation, op.ImagePulled))
        return Plan(pulled, note="first, as all else depends on it:")

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> list[str]:
        """What an operator reads. What belongs to a step is indented as its text is, by INDENT."""
        lines = ["nothing to do"] if not self.steps else [self.note] if self.note else []
        lines += [
            f"     {found} is there and used as it is: nothing is copied, and clean never removes it"
            for found in self.taken_over
        ]
        previous = ""
        for number, step in enumerate(self.steps, start=1):
            because = f" - {step.cause}" if step.cause != previous else ""
            previous = step.cause
            lines.append(f"{number:3}. {step.operation}{because}")
            if step.consequence.sentence:
                lines.append(f"     users: {step.consequence.sentence}{_named(step.users)}")
        lines += [f"     users: {_pick_up(one.users)} - {one.cause}" for one in self.pending]
        return lines


def _named(users: Sequence[str]) -> str:
    """Names behind a sentence, counted where there are several."""
    count = f" ({len(users)} users)" if len(users) > 1 else ""
    return f"{count}: {', '.join(users)}" if users else ""


def _pick_up(users: Sequence[str]) -> str:
    if len(users) == 1:
        return f"{users[0]} picks it up at their next start"
    return f"{len(users)} users pick it up at their next start ({', '.join(users)})"
