"""Steps are carried out in order, and Ctrl-C says how far they came."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from hubdeploy.commands import execution
from hubdeploy.errors import Interrupted
from hubdeploy.plan import operations as op
from hubdeploy.plan.steps import Step

STEPS = [Step(op.ContainerStopped(name), "asked for") for name in ("lab-proxy", "lab-hub", "lab-user-ada")]


class Quiet:
    def begun(self, step: Step) -> None: ...
    def printed(self, step: Step, line: str) -> None: ...
    def done(self, step: Step, seconds: float) -> None: ...
    def building(self, steps: Sequence[Step]) -> None: ...
    def built(self) -> None: ...


def test_ctrl_c_says_what_is_done_what_was_under_way_and_that_the_command_goes_on() -> None:
    def apply(operation: Any, printed: Callable[[str], None]) -> None:
        if operation.name == "lab-hub":
            raise KeyboardInterrupt

    with pytest.raises(Interrupted) as stopped:
        execution.carry_out(STEPS, apply, Quiet())
    assert stopped.value.code == 130
    assert stopped.value.message.split("\n") == [
        "",
        "stopped by Ctrl-C: 1 of 3 steps are done, and stay so",
        "  under way: container lab-hub is stopped",
        "  do:        run the same command again: it goes on from here",
    ]
