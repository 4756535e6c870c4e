"""`up` and `plan`: everything exists as the settings say, and a browser would see it."""

from __future__ import annotations

from collections.abc import Iterator

from hubdeploy.commands import authority, daily, reachability, rollback
from hubdeploy.commands.deployment import Deployment, Drawn
from hubdeploy.commands.reachability import Confirm
from hubdeploy.errors import Caution, Interrupted


def up(
    deployment: Deployment,
    *,
    yes: bool = False,
    watch: float = 0,
    canary: bool = True,
    confirm: Confirm = reachability.confirm,
) -> None:
    """Load, observe, plan, carry out: each plan is shown and asked about before a step of it is done. A new hub that is not well
    then, or within `watch` seconds, goes back. Without `canary` none tries the new images before.

    `confirm` raises NotReady unless a browser would get the login page of this deployment.
    """
    drawn = None
    for drawn in plans(deployment):
        if not canary:
            drawn = drawn.of(drawn.plan.without_canary)
        with rollback.unless_well(deployment, drawn, confirm):
            deployment.show_and_do(drawn.plan, yes=yes)
    assert drawn is not None
    try:
        with rollback.unless_well(deployment, drawn, confirm):
            confirm(deployment.engine, drawn.settings, drawn.served)
    except KeyboardInterrupt:
        raise Interrupted("all steps are done; nobody has seen the login page yet") from None
    try:
        authority.confirm(deployment.engine, drawn.settings, deployment.display)
    except KeyboardInterrupt:
        raise Interrupted("the hub is up; the clock goes on with the order of the certificate") from None
    deployment.display.greeting(drawn.settings)
    if wrong := reachability.trouble_in_front(drawn.settings):
        fix = "docs/going-public.md has what nginx and Caddy need; ./invoke status looks again"
        deployment.display.cautions((Caution(f"the proxy in front does not lead here yet: {wrong}", fix),))
    if drawn.plan.upgrades and watch:
        with rollback.unless_well(deployment, drawn, confirm):
            is_well = rollback.watch(deployment, drawn, confirm, watch)
        if is_well:
            rollback.watch_on(deployment, drawn)


def plans(deployment: Deployment) -> Iterator[Drawn]:
    """What is to be carried out, one plan after the other: first the images to pull, where there are any, as they decide
    the contents of all that is built on them. Raises Refused if something stands against what is planned."""
    drawn = checked(deployment)
    pulls = drawn.plan.pulls
    if pulls.steps:
        yield drawn.of(pulls)
        drawn = checked(deployment)
    yield drawn


def checked(deployment: Deployment) -> Drawn:
    """The plan, without a problem; cautions are printed."""
    drawn = deployment.draw()
    deployment.display.cautions(deployment.check(drawn))
    return drawn


def show_plan(deployment: Deployment) -> None:
    """Prints what `up` would do, and how the certificate of an authority is; does nothing."""
    drawn = checked(deployment)
    deployment.display.plan(drawn.plan)
    if signed := authority.state(deployment.engine, drawn.settings, drawn.snapshot):
        deployment.display.line(signed)
    for line in daily.where(drawn.settings):
        deployment.display.line(line)
