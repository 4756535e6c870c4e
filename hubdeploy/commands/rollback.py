"""`rollback`: the hub as it was before an upgrade, image and database. `up` comes here by itself where a new hub is not well."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from hubdeploy.blueprint import draw, jobs
from hubdeploy.blueprint.specs import Store
from hubdeploy.commands import execution, reachability
from hubdeploy.commands.deployment import Deployment, Drawn
from hubdeploy.commands.reachability import Confirm
from hubdeploy.contract import states as contract
from hubdeploy.contract.documents import Secret, from_bytes, to_bytes
from hubdeploy.contract.states import Listed, State, WentBack
from hubdeploy.engine import Engine
from hubdeploy.errors import DeployError, Interrupted, NotReady
from hubdeploy.plan import operations as op
from hubdeploy.plan.rollback import going_back, is_there, watched
from hubdeploy.plan.snapshot import Snapshot
from hubdeploy.plan.steps import Plan
from hubdeploy.tls import selection

_STEP = 1.0
# Seconds of the late watch.
_LATE = 3600.0


def rollback(
    deployment: Deployment, *, to: str = "", yes: bool = False, confirm: Confirm = reachability.confirm
) -> None:
    """Brings the state `to` back, or the last one that has another image than `up` brought. It says what is lost, and asks.

    Raises DeployError if there is no such state, or its image is gone.
    """
    settings, snapshot = deployment.settings, deployment.observe(files=False)
    store = draw.store(settings)
    kept = [one for one in states(deployment, store, snapshot) if not one.is_noted]
    chosen = _chosen(kept, to, snapshot, store)
    plan = going_back(chosen, store, snapshot, with_database=bool(to))
    deployment.show_and_do(plan, yes=yes)
    if plan.steps:
        _remember(deployment, store, "somebody ran ./invoke rollback")
    pair = None if settings.behind else selection.current(settings, deployment.engine.read_volume)
    confirm(deployment.engine, settings, pair)
    deployment.display.line(f"the hub is as of {op.when(chosen.state.at)}; ./invoke up brings the new one again")


def show(deployment: Deployment) -> None:
    """Prints the states that are kept, the newest first."""
    # Imported here: it takes long to import, and `up` does without.
    from rich.console import Console
    from rich.table import Table

    snapshot = deployment.observe(files=False)
    store = draw.store(deployment.settings)
    kept = [one for one in states(deployment, store, snapshot) if not one.is_noted]
    if not kept:
        deployment.display.line("there is no state yet: up keeps one when it brings another hub image")
        return
    hub = snapshot.containers.get(store.hub)
    table = Table("state", "kept", "image", "MB", "", box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for one in kept:
        note = "its image is gone" if not is_there(one.state, snapshot) else ""
        note = "the hub has this image" if hub and hub.image_id == one.state.image else note
        image = one.state.image.removeprefix("sha256:")[:12]
        table.add_row(one.state.id, op.when(one.state.at), image, f"{one.size / 1e6:.1f}", note)
    Console(width=None if sys.stdout.isatty() else 200, highlight=False, markup=False).print(table)


@contextmanager
def unless_well(deployment: Deployment, drawn: Drawn, confirm: Confirm) -> Iterator[None]:
    """What fails inside brings the hub back that the plan replaced: image and database. Ctrl-C leaves all as it is."""
    try:
        yield
    except Interrupted:
        raise
    except DeployError as failed:
        if drawn.plan.upgrades:
            _go_back(deployment, drawn, failed, confirm)
        raise


def watch(deployment: Deployment, drawn: Drawn, confirm: Confirm, seconds: float) -> bool:
    """Looks at a new hub for so long; False if somebody ended it. Raises NotReady if the login page fails for a while, or the hub
    is started again."""
    hub, display = drawn.blueprint.store.hub, deployment.display
    display.line(f"watching the new hub for {seconds:.0f} s (Ctrl-C ends the watch; ./invoke rollback goes back later)")
    since, until = deployment.engine.running_since(hub), time.monotonic() + seconds
    try:
        while time.monotonic() < until:
            confirm(deployment.engine, drawn.settings, drawn.served)
            if deployment.engine.running_since(hub) != since:
                raise NotReady(
                    wanted=f"the new hub at work for {seconds:.0f} s",
                    found=f"{hub} ended, and the engine started it again",
                    fix="see ./invoke logs for why",
                )
            time.sleep(_STEP)
    except KeyboardInterrupt:
        display.line("the watch has ended; the new hub stays")
        return False
    display.line("the new hub is well")
    return True


def watch_on(deployment: Deployment, drawn: Drawn) -> None:
    """Has a container of the engine look at the new hub for an hour more, which goes back by itself."""
    store, snapshot = drawn.blueprint.store, deployment.observe(files=False)
    old = drawn.snapshot.containers[store.hub].image_id
    kept = next(one for one in states(deployment, store, snapshot) if one.state.image == old and not one.is_noted)
    question = jobs.login_page_question(drawn.settings)
    deployment.engine.watch(store, watched(kept, store, snapshot, drawn.settings.proxy_name, question, seconds=_LATE))
    deployment.display.line(
        f"{contract.watch_name(store.deployment)} looks at it for an hour more: if it is not well then, the old hub comes back,"
        " and ./invoke status says so"
    )


def went_back(engine: Engine, store: Store, snapshot: Snapshot) -> str:
    """When and why the hub went back, or could not, since the last upgrade; empty where it did not."""
    if store.states not in snapshot.volumes:
        return ""
    found = engine.read_volume(store.states, contract.WENT_BACK).get(contract.WENT_BACK)
    told = from_bytes(WentBack, found.reveal()) if found else None
    if told is None:
        return ""
    if told.failed:
        return f"the hub could not go back on {op.when(told.at)}, though {told.why}: {told.failed}"
    return f"the hub went back on {op.when(told.at)}: {told.why}"


def _go_back(deployment: Deployment, drawn: Drawn, failed: DeployError, confirm: Confirm) -> None:
    """Brings back what the plan replaced, and raises DeployError that says so; returns where the plan replaced nothing yet."""
    store, engine = drawn.blueprint.store, deployment.engine
    old = drawn.snapshot.containers[store.hub].image_id
    if engine.image_id(store.image) == old:
        return
    try:
        snapshot = deployment.observe(files=False)
        # The new image may not even be able to list states.
        found = () if _is_untouched(drawn.snapshot, snapshot, old) else states(deployment, store, snapshot)
        kept = [one for one in found if one.state.image == old]
        plan = going_back(kept[0] if kept else Listed(State(0, old, {}), 0, is_noted=True), store, snapshot)
        replaces = _replaces(plan)
        if replaces:
            deployment.display.line(f"\n{failed.found}\nso the hub goes back:")
            deployment.display.plan(plan)
        execution.carry_out(plan.steps, deployment.apply, deployment.display)
        if replaces:
            _remember(deployment, store, failed.found.partition("\n")[0])
            confirm(engine, drawn.settings, drawn.served)
    except Interrupted:
        raise
    except DeployError as again:
        raise DeployError(
            wanted="the old hub, as the new one is not well",
            found=f"{failed.found}; going back failed as well: {again.found}",
            fix=f"./invoke rollback tries again; {again.fix}",
        ) from failed
    if replaces:
        raise DeployError(
            wanted="a new hub that is well",
            found=f"{failed.found}; the old hub runs again, with its image and its database",
            fix=f"correct the image's folder, then ./invoke up; {failed.fix}",
        ) from failed


def _remember(deployment: Deployment, store: Store, why: str) -> None:
    """For `status`."""
    told = Secret(to_bytes(WentBack(time.time(), why)))
    deployment.apply(op.VolumeHolds(store.states, {contract.WENT_BACK: told}, "why the hub went back"))


def _is_untouched(before: Snapshot, now: Snapshot, image: str) -> bool:
    """Whether all containers with the image are there as they were before."""
    there = {(one.id, one.running) for one in now.containers.values()}
    return all((one.id, one.running) in there for one in before.containers.values() if one.image_id == image)


def _replaces(plan: Plan) -> bool:
    """Whether anything that runs is replaced: a name of an image alone is nothing that users notice."""
    return any(not isinstance(step.operation, op.ImageTagged) for step in plan.steps)


def states(deployment: Deployment, store: Store, snapshot: Snapshot) -> tuple[Listed, ...]:
    """What the hub can go back to; nothing where no `up` has made the volumes yet."""
    return deployment.engine.states(store) if has_store(store, snapshot) else ()


def has_store(store: Store, snapshot: Snapshot) -> bool:
    return {store.data, store.documents, store.states} <= snapshot.volumes.keys()


def _chosen(kept: list[Listed], to: str, snapshot: Snapshot, store: Store) -> Listed:
    image = snapshot.images.get(store.image)
    fitting = [one for one in kept if (one.state.id == to if to else image is None or one.state.image != image.id)]
    if not fitting:
        raise DeployError(
            wanted=f"the state {to}" if to else "a state with another image than the hub's",
            found="there is none" if not kept else f"there are {', '.join(one.state.id for one in kept)}",
            fix="./invoke rollback --list shows what is kept",
        )
    if not is_there(fitting[0].state, snapshot):
        raise DeployError(
            wanted=f"the image of the state {fitting[0].state.id}",
            found="somebody removed it from the engine",
            fix="choose another state: ./invoke rollback --list",
        )
    return fitting[0]
