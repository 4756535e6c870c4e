"""`class rehearse`: simulated people work on this deployment as a class would, and all that they made is removed.

They come from a helper on the network of the engine's host, so through the published port, TLS and the proxy. Each logs in with a
pass that is good once: made here, known to the helper, and to the hub by its digest, for as long as the rehearsal lasts.
"""

from __future__ import annotations

import json
import secrets
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from statistics import mean
from typing import Any
from urllib.parse import urlsplit

from rich.console import Console
from rich.table import Column, Table

from hubdeploy import files
from hubdeploy.blueprint import documents, jobs
from hubdeploy.blueprint.components import COMPONENTS
from hubdeploy.blueprint.components import filter as filter_component
from hubdeploy.blueprint.components import hub as hub_component
from hubdeploy.blueprint.specs import Mount
from hubdeploy.commands import hub_program, reachability, rehearsal_picture
from hubdeploy.commands.deployment import Deployment
from hubdeploy.contract import rehearsals
from hubdeploy.contract.documents import Secret, to_bytes
from hubdeploy.contract.rehearsals import Event, Host, Wanted
from hubdeploy.contract.servers import filled
from hubdeploy.contract.use import Use
from hubdeploy.engine import Helper
from hubdeploy.errors import DeployError, EngineError, Interrupted, NotReady, indented
from hubdeploy.plan import operations as op
from hubdeploy.plan import rehearsal
from hubdeploy.plan.rehearsal import Course, Load
from hubdeploy.plan.snapshot import Snapshot
from hubdeploy.settings.declarations import Settings

_PYTHON = "/opt/hub/bin/python"
_PROGRAM = "passes"
# Pictures and figures of rehearsals, in the checkout.
FOLDER = "rehearsals"
# Seconds beyond the arrivals and twice the work, in which whoever waited for a place works as well.
_SLACK = 600
_MOST_OVER, _MOST_MINUTES, _MOST_THINK = 3600, 60, 300
# Seconds: between two lines of progress, two looks at hub and proxy, and two at people's servers.
_TOLD_EVERY, _LOOK_EVERY, _LOOK_AT_SERVERS_EVERY = 10.0, 5.0, 20.0
# Of so many servers at a time, as each look is a request.
_SERVERS_LOOKED_AT = 20
_GONE_WITHIN, _ENDS_WITHIN = 240.0, 30.0


@dataclass(frozen=True)
class Asked:
    """How many people, the seconds over which they arrive, the minutes that each works, and the seconds between two cells."""

    users: int
    over: int
    minutes: float
    think: float

    @property
    def within(self) -> int:
        """Seconds that the whole may take."""
        return int(self.over + 2 * 60 * self.minutes + _SLACK)

    @classmethod
    def read(cls, users: str, over: str, minutes: str, think: str) -> Asked:
        """From what was typed. Raises DeployError for the first that makes no sense."""
        return cls(
            int(_number("users", users, 1, rehearsals.MOST_USERS, whole=True)),
            int(_number("over", over, 0, _MOST_OVER, whole=True)),
            _number("minutes", minutes, 0.1, _MOST_MINUTES),
            _number("think", think, 0.1, _MOST_THINK),
        )


def _number(option: str, typed: str, least: float, most: float, *, whole: bool = False) -> float:
    try:
        found = int(typed) if whole else float(typed)
    except ValueError:
        found = -1
    if not least <= found <= most:
        kind = "a whole number" if whole else "a number"
        raise DeployError(
            wanted=f"{kind} from {least:g} to {most:g}",
            found=f"--{option} {typed}",
            fix="for example: ./invoke class rehearse --users 40 --over 60 --minutes 5 --think 10",
        )
    return found


def rehearse(deployment: Deployment, asked: Asked, *, yes: bool) -> None:
    """Prints what it will do, then progress, then what the people felt; writes a picture and the figures. Raises DeployError
    where it cannot begin, and if somebody could not work to the end. Simulated people are gone either way."""
    settings, line = deployment.settings, deployment.display.line
    snapshot = deployment.observe(files=False)
    _refuse_unfit(deployment, snapshot)
    at_work = [one for one in snapshot.servers if one.running and not rehearsals.is_simulated(one.user)]
    for said in _intent(settings, asked, len(at_work)):
        line(said)
    if at_work:
        deployment.display.agree("Go on, though they will feel it as they would feel a class?", yes=yes)
    folder = settings.root / FOLDER
    folder.mkdir(exist_ok=True)
    with files.locked(folder):
        course, load, ended = _run(deployment, snapshot, asked)
    _report(deployment, asked, course, load, ended, folder)


def _intent(settings: Settings, asked: Asked, at_work: int) -> Iterator[str]:
    arrive = "in the same second" if asked.over == 0 else f"within {asked.over} s"
    yield (
        f"{asked.users} simulated people arrive {arrive}, work for {asked.minutes:g} minutes each, and pause {asked.think:g} s"
        f" between two cells, at {settings.public_url}"
    )
    yield "their servers, files and accounts are removed afterwards; nobody else can log in as one of them"
    if at_work:
        yield f"{at_work} servers of users run"


def _refuse_unfit(deployment: Deployment, snapshot: Snapshot) -> None:
    """Raises DeployError unless the deployment is whole, and knows simulated people: else they could not be removed."""
    settings = deployment.settings
    states = {one.role: one for one in snapshot.components}
    missing = [one.role for one in COMPONENTS if not (one.role in states and states[one.role].running)]
    if missing:
        raise DeployError(
            wanted="a deployment of which every component runs",
            found=f"{' and '.join(missing)} does not run"
            if len(missing) == 1
            else f"{' and '.join(missing)} do not run",
            fix="run ./invoke up first",
        )
    if states[hub_component.ROLE].image_id != states[filter_component.ROLE].image_id:
        raise DeployError(
            wanted="hub and filter of one image",
            found="they have two",
            fix="run ./invoke up, which brings both up to date",
        )
    if wrong := reachability.trouble(deployment.engine, settings, None):
        raise NotReady(
            wanted=f"the login page at {settings.public_url}",
            found=wrong,
            fix="see ./invoke status, then run ./invoke up",
        )
    if taken := _ask(deployment, "show")["taken"]:
        raise DeployError(
            wanted="names of simulated people that nobody has",
            found=f"an admin has added {', '.join(taken)}",
            fix="delete these users in the admin page",
        )


def _ask(deployment: Deployment, what: str, *arguments: str) -> dict[str, Any]:
    return hub_program.ask(deployment.engine, deployment.settings, _PROGRAM, what, *arguments)


def _run(deployment: Deployment, snapshot: Snapshot, asked: Asked) -> tuple[Course, Load, str]:
    """What has happened, what the host gave, and what the helper said on standard error."""
    settings = deployment.settings
    _wait_for_helper(deployment)
    clear(deployment)
    # The last one ends the rehearsal.
    *tokens, end = (secrets.token_urlsafe(32) for _ in range(asked.users + 1))
    watch = _Watch(deployment, Course(asked.users))
    try:
        with _interruptible():
            _ask(deployment, "begin", str(asked.within + _SLACK), *map(rehearsals.digest, (end, *tokens)))
            ended = deployment.engine.run_helper(_helper(settings, asked, [*tokens, end]), watch.hear)
    finally:
        deployment.display.line("removing what the simulated people made")
        clear(deployment)
    if ended.code != 0:
        raise EngineError(
            wanted="simulated people at work",
            found=f"their helper ended with code {ended.code}:\n{indented(ended.errors)}",
            fix="run ./invoke up, which brings the hub's image up to date, then run this again",
        )
    return watch.course, watch.load(settings, snapshot.engine.memory), ended.errors


@contextmanager
def _interruptible() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted("the rehearsal was cut short, and what it made is removed", again="begins anew") from None


def helper_name(settings: Settings) -> str:
    """Of which there is one at a time."""
    return f"{settings.name}-job-rehearsal"


def _helper(settings: Settings, asked: Asked, tokens: list[str]) -> Helper:
    scheme, address, port, host, path, *_ = jobs.login_page_question(settings)
    public = urlsplit(settings.public_url)
    wanted = Wanted(
        scheme, address, int(port), host, path, f"{public.scheme}://{public.netloc}",
        over=asked.over, work=int(60 * asked.minutes), think=asked.think, within=asked.within,
    )  # fmt: skip
    return Helper(
        name=helper_name(settings),
        image=settings.image_reference("hub"),
        command=(_PYTHON, "-m", "crowd", rehearsals.FOLDER),
        deployment=settings.name,
        mounts=(Mount("", rehearsals.FOLDER),),
        files={
            f"{rehearsals.FOLDER}/{rehearsals.WANTED}": Secret(to_bytes(wanted)),
            f"{rehearsals.FOLDER}/{rehearsals.PASSES}": Secret(json.dumps(tokens).encode()),
        },
        capabilities=(),
        network="host",
        environment={"TZ": settings.timezone},
        task="a rehearsal",
        held=True,
    )


def _wait_for_helper(deployment: Deployment) -> None:
    """One whose operator's process was killed ends by itself, within seconds. Raises DeployError where another one goes on."""
    deadline = time.monotonic() + _ENDS_WITHIN
    name = helper_name(deployment.settings)
    while deployment.engine.running_since(name):
        if time.monotonic() > deadline:
            raise DeployError(
                wanted="a rehearsal alone",
                found=f"a rehearsal runs already, in the container {name}",
                fix=f"wait for its end, or stop it: docker stop {name}",
            )
        time.sleep(1)


def clear(deployment: Deployment) -> None:
    """No pass is good any more, and no simulated person is left: the hub removes them, with their servers and what lies there.
    What it does not remove in time is removed here, as far as it is on the engine; the hub's next start removes accounts."""
    deadline = time.monotonic() + _GONE_WITHIN
    left = _ask(deployment, "end")["left"]
    while left and time.monotonic() < deadline and deployment.engine.running_since(deployment.settings.hub_name):
        time.sleep(1)
        left = _ask(deployment, "show")["left"]
    name = deployment.settings.name
    for one in deployment.engine.observe(name, names=(), directories={}).servers:
        if rehearsals.is_simulated(one.user):
            deployment.apply(op.ContainerGone(one.name))


@dataclass
class _Watch:
    """Hears the helper, shows how far people are, and asks the engine now and then what servers, hub and proxy take."""

    deployment: Deployment
    course: Course
    _told: str = ""
    _told_at: float = field(default_factory=time.monotonic)
    _looked_at: float = 0.0
    _servers_at: float = 0.0
    # Container -> each look at it: when, and what it uses.
    _looks: dict[str, list[tuple[float, Use]]] = field(default_factory=dict)
    # Of each look at servers: their mean of memory, and how many people were at work.
    _means: list[int] = field(default_factory=list)
    _at_work: list[int] = field(default_factory=list)

    def hear(self, line: str) -> None:
        said = json.loads(line)
        if rehearsals.HOST in said:
            self.course.hosts.append(Host(**said[rehearsals.HOST]))
        else:
            event = Event(**said[rehearsals.EVENT])
            self.course.events.append(event)
            if event.what == rehearsals.FAILED:
                self.deployment.display.line(f"  {rehearsals.name(event.who)} failed: {event.why}")
        now = time.monotonic()
        if now - self._told_at > _TOLD_EVERY and self.course.progress != self._told:
            self._told, self._told_at = self.course.progress, now
            self.deployment.display.line(f"  {self._told}")
        self._look(now)

    def _look(self, now: float) -> None:
        settings = self.deployment.settings
        if now - self._looked_at > _LOOK_EVERY:
            self._looked_at = now
            self._use((settings.hub_name, settings.proxy_name), now)
        at_work = sorted(self.course.who(rehearsals.FIRST) - self.course.gone)
        if at_work and now - self._servers_at > _LOOK_AT_SERVERS_EVERY:
            self._servers_at = now
            some = at_work[:: -(-len(at_work) // _SERVERS_LOOKED_AT)]
            names = [filled(settings.server_name_template, rehearsals.name(one)) for one in some]
            if taken := [one.memory for one in self._use(names, now)]:
                self._means.append(sum(taken) // len(taken))
                self._at_work.append(len(at_work))

    def _use(self, names: Iterable[str], now: float) -> Iterable[Use]:
        found = self.deployment.engine.use(names)
        for name, one in found.items():
            self._looks.setdefault(name, []).append((now, one))
        return found.values()

    def load(self, settings: Settings, engine_memory: int) -> Load:
        contract = documents.contract(settings, engine_memory)
        kind = contract.servers.kinds_of(rehearsals.name(1))[0]
        before = self.course.hosts[0] if self.course.hosts else Host(0.0, 0.0, 0.0, 0, 1)
        parts = (settings.hub_name, settings.proxy_name)
        hub, proxy = (max((use.memory for _, use in self._looks.get(one, ())), default=None) for one in parts)
        each = [self._processor(one) for one in self._looks if one not in parts]
        at_work = sum(self._at_work) / max(1, len(self._at_work))
        return Load(
            before.processors, contract.hub.memory or engine_memory, before.available, kind.memory_guarantee or 0,
            max(self._means, default=None), hub, proxy, sum(map(self._processor, parts)), at_work * mean(each or [0.0]),
        )  # fmt: skip

    def _processor(self, name: str) -> float:
        """The part of one processor that a container took between the first look and the last."""
        looks = self._looks.get(name) or [(0.0, Use(0, 0.0, ""))]
        (first, before), (last, after) = looks[0], looks[-1]
        return (after.processor - before.processor) / (last - first) if last > first else 0.0


def _report(deployment: Deployment, asked: Asked, course: Course, load: Load, errors: str, folder: Path) -> None:
    line = deployment.display.line
    first, *others = rehearsal.HEAD
    columns = (Column(first), *(Column(name, justify="right") for name in others))
    table = Table(*columns, box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for row in rehearsal.rows(course):
        table.add_row(*row)
    line()
    Console(width=None if sys.stdout.isatty() else 200, highlight=False, markup=False).print(table)
    line()
    for said in (*errors.splitlines(), *rehearsal.lines(course, load)):
        line(said)
    found = rehearsal.verdict(course, load)
    for path in _kept(deployment.settings, asked, course, load, folder):
        line(f"written: {path}")
    if course.who(rehearsals.FAILED) or course.unfinished:
        raise DeployError(
            wanted=f"{asked.users} people at work to the end",
            found=found,
            fix="see above why, and docs/teaching.md for what helps",
        )
    line(found)


def _kept(settings: Settings, asked: Asked, course: Course, load: Load, folder: Path) -> Iterator[Path]:
    """Writes the picture, and the figures for programs."""
    now = datetime.now().astimezone()
    title = f"{settings.name}: {asked.users} simulated people, {now:%Y-%m-%d %H:%M}"
    path = folder / f"{now:%Y-%m-%dT%H%M%S}.svg"
    files.replace(path, rehearsal_picture.draw(course, load, title).encode(), mode=0o644)
    yield path
    figures = json.dumps(rehearsal.document(course, load, vars(asked)), indent=1)
    files.replace(path.with_suffix(".json"), f"{figures}\n".encode(), mode=0o644)
    yield path.with_suffix(".json")
