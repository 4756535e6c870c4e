"""(l) Forty people at once, each in a browser that knows nothing: the simulated people of a rehearsal, on both sides by the
login form.

They fetch the files that pages name. Stock's pages do not name the parts of JupyterLab that its program loads later, which ours
do, so they fetch less of stock.
"""

from __future__ import annotations

import asyncio
import importlib
import re
from collections import Counter
from collections.abc import Sequence
from statistics import median

import docker

from develop.bench.figures import Figure
from develop.bench.hubapi import READY_WITHIN
from develop.bench.rigs import USERS, Rig, forget, taking_turns
from develop.bench.servers import stop
from hubdeploy.contract import rehearsals
from hubdeploy.contract.rehearsals import Wanted
from tests import hub_modules

with hub_modules.importable():
    browser, person = (importlib.import_module(f"crowd.{name}") for name in ("browser", "person"))

_ROUNDS = 1
# Seconds or why there is no output.
_Visit = float | str


def at_once(rigs: Sequence[Rig], client: docker.DockerClient) -> list[Figure]:
    """(l) From each one's login to their first output; a failure counts as the longest time that anybody waits."""

    def once(rig: Rig) -> list[_Visit]:
        try:
            return asyncio.run(_visits(rig))
        finally:
            stop(rig, USERS)
            for user in USERS:
                forget(client, rig, user)

    rounds = taking_turns(rigs, _ROUNDS, once)
    visits = {label: [visit for one in found for visit in one] for label, found in rounds.items()}
    ours, stock = ([float(READY_WITHIN) if isinstance(one, str) else one for one in visits[rig.label]] for rig in rigs)
    reasons = {label: Counter(one for one in found if isinstance(one, str)) for label, found in visits.items()}
    note = f"a failure counts as {READY_WITHIN} s; {'; '.join(_told(label, visits[label]) for label in visits)}"
    for label, found in reasons.items():
        print(f"{label}: {dict(found.most_common(5))}", flush=True)
    return [
        Figure("l", f"{len(USERS)} at once, each from login to the first output", "s", ours, stock, 0.35, note=note),
        Figure("l", "people of these who failed", "", [float(reasons["ours"].total())], (), 0.0),
    ]


def _told(label: str, visits: Sequence[_Visit]) -> str:
    good = [one for one in visits if not isinstance(one, str)]
    others = f", the others {median(good):.0f} s" if good else ""
    return f"{len(visits) - len(good)} of {len(visits)} failed of {label}{others}"


async def _visits(rig: Rig) -> list[_Visit]:
    """Of each user; everybody's JupyterLab stays open until the last one has an output or has failed."""
    everybody = asyncio.Barrier(len(USERS))
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_visit(rig, user, everybody)) for user in USERS]
    return [task.result() for task in tasks]


async def _visit(rig: Rig, user: str, everybody: asyncio.Barrier) -> _Visit:
    wanted = Wanted(
        "https", "127.0.0.1", rig.port, "localhost", "/", rig.url, over=0, work=0, think=0, within=READY_WITHIN
    )
    found: list[_Visit] = []

    def hear(what: str, took: float, why: str) -> None:
        if what == rehearsals.FIRST:
            found.append(took)

    async with browser.opened(wanted, lambda took: None) as own:
        form = {"username": user, "password": rig.user_password}
        visitor = person.Person(own, wanted, user, "login?next=%2Fhub%2Fspawn", form, hear)
        try:
            async with asyncio.timeout(READY_WITHIN):
                await visitor.arrive()
        except (person.Failed, person.KernelFailed) as error:
            found.append(re.sub(rf"{user}|\d+(\.\d+){{3}}", "…", str(error)))
        except TimeoutError:
            found.append("no output in time")
        await everybody.wait()
        visitor.close()
    return found[0]
