"""Work lists a to d, g, j and m: users' servers, as users and their operator feel them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import docker
from playwright.sync_api import Browser, BrowserContext, sync_playwright
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from develop.bench.figures import Figure
from develop.bench.hubapi import HubApi, hub_api
from develop.bench.rigs import USERS, Rig, by_part, forget, log_in, taking_turns
from hubdeploy import threads
from hubdeploy.contract.use import Use
from tests.hub import window
from tests.hub.browser import browser_machine

_ONE_ROUNDS, _MANY_ROUNDS, _BROWSER_ROUNDS, _RESTART_ROUNDS = 15, 2, 7, 5
_SETTLE, _WATCH = 15, 45
_REQUESTS_EACH = 0.1
# Servers whose memory is measured.
_FEW = 3
_MIB = 1024**2
_FIRST_VISIT_PARTS = (
    "then until JupyterLab's page comes",
    "then until its launcher shows: Chromium compiles JupyterLab",
    "then until a notebook's kernel is idle",
    "then until the output shows",
)
_FIRST_OUTPUT_PARTS = ("of that, until JupyterLab's page comes", *_FIRST_VISIT_PARTS[1:])
User = USERS[0]


@dataclass(frozen=True)
class Line:
    """What Chromium makes of the machine's own line: bytes a second each way, and milliseconds of a round trip."""

    bytes_per_second: float
    round_trip: float

    def hold(self, context: BrowserContext) -> None:
        """The context's page, opened before, is on this line."""
        conditions = {
            "offline": False,
            "latency": self.round_trip,
            "downloadThroughput": self.bytes_per_second,
            "uploadThroughput": self.bytes_per_second,
        }
        session = context.new_cdp_session(context.pages[0])
        session.send("Network.enable")
        session.send("Network.emulateNetworkConditions", conditions)


_SLOW = Line(bytes_per_second=10e6 / 8, round_trip=40)


def one_spawn(rigs: Sequence[Rig]) -> list[Figure]:
    """(a) POST to ready."""
    found = taking_turns(rigs, _ONE_ROUNDS, spawn)
    samples = [found[rig.label] for rig in rigs]
    return [_of_tries("a", "one server, POST to ready", samples, 0.45, _ONE_ROUNDS, _failures(samples, _ONE_ROUNDS))]


def spawn(rig: Rig) -> float | None:
    """Seconds from the request to a server that answers; None if it failed."""

    async def once() -> float | None:
        async with hub_api(rig) as hub:
            seconds = await hub.start(User)
            await hub.stop_all([User])
            return seconds

    return asyncio.run(once())


def stampede(rigs: Sequence[Rig]) -> list[Figure]:
    """(b) 20 and 40 at once, as seconds per ready server."""
    return [_at_once(rigs, count) for count in (20, 40)]


def _at_once(rigs: Sequence[Rig], count: int) -> Figure:
    users = USERS[:count]

    async def once(rig: Rig) -> tuple[float | None, int]:
        async with hub_api(rig) as hub:
            seconds, each = await hub.start_all(users)
            await hub.stop_all(users)
            failed = each.count(None)
            return (seconds / (count - failed) if failed < count else None), failed

    found = taking_turns(rigs, _MANY_ROUNDS, lambda rig: asyncio.run(once(rig)))
    samples = [[seconds for seconds, _ in found[rig.label] if seconds is not None] for rig in rigs]
    failed = [sum(bad for _, bad in found[rig.label]) for rig in rigs]
    what = f"{count} at once, seconds per ready server"
    return _of_tries("b", what, samples, 0.40, count * _MANY_ROUNDS, failed)


def _failures(samples: Sequence[Sequence[float]], rounds: int) -> list[int]:
    """How many rounds gave no sample, of ours and of stock."""
    return [rounds - len(one) for one in samples]


def _of_tries(
    row: str, what: str, samples: Sequence[Sequence[float]], bar: float, tried: int, failed: Sequence[int]
) -> Figure:
    """The seconds of ours and of stock, and how many tries gave no sample."""
    note = f"failed of {tried}: {failed[0]} of ours, {failed[1]} of stock"
    return Figure(row, what, "s", samples[0], samples[1], bar, note=note, failed=failed)


def first_output(rigs: Sequence[Rig], client: docker.DockerClient, run: str) -> list[Figure]:
    """(c) In Chromium, from the click on 'sign in' to the first cell's output on screen."""
    found = _first_visits(rigs, client, run)
    whole, *parts = by_part(rigs, {label: [_from_the_click(one) for one in rounds] for label, rounds in found.items()})
    failed = _failures(whole, _BROWSER_ROUNDS)
    return [
        _of_tries("c", "click on 'sign in' to the first output", whole, 0.50, _BROWSER_ROUNDS, failed),
        *(Figure("c", what, "s", part[0], part[1]) for what, part in zip(_FIRST_OUTPUT_PARTS, parts, strict=True)),
    ]


def _from_the_click(times: tuple[float, ...]) -> tuple[float, ...]:
    """The whole, and each part, of a visit's seconds without the login page's."""
    return sum(times[1:]), *times[1:]


def first_visit(rigs: Sequence[Rig], client: docker.DockerClient, run: str) -> list[Figure]:
    """(j) The same over a slow line with nothing in the cache, from the login page's address to the output."""
    found = _first_visits(rigs, client, run, _SLOW)
    whole, *parts = by_part(rigs, {label: [(sum(one), *one) for one in rounds] for label, rounds in found.items()})
    what = "a first visit over 10 Mbit/s and 40 ms, login page to the first output"
    named = ("of that, until the login page takes a name", *_FIRST_VISIT_PARTS)
    return [
        _of_tries("j", what, whole, 0.45, _BROWSER_ROUNDS, _failures(whole, _BROWSER_ROUNDS)),
        *(Figure("j", what, "s", part[0], part[1]) for what, part in zip(named, parts, strict=True)),
    ]


def _first_visits(
    rigs: Sequence[Rig], client: docker.DockerClient, run: str, line: Line | None = None
) -> dict[str, list[tuple[float, ...]]]:
    """For each rig its visits, and of each the seconds of its parts; the browser has an empty cache, the user an empty home and
    no server."""
    with browser_machine(client, run, [rig.certificate for rig in rigs]) as machine, sync_playwright() as playwright:
        # Before anything connects to it: joining a network ends its connections.
        for rig in rigs:
            machine.forward(rig.port, client.networks.get(rig.network), f"{rig.proxy}:{rig.proxy_port}")
        browser = machine.connect(playwright)

        def visit(rig: Rig) -> tuple[float, ...] | None:
            try:
                return _visit(browser, rig, line=line)
            finally:
                # This thread's event loop is Playwright's.
                threads.run(partial(stop, rig)).result()
                forget(client, rig, User)

        return taking_turns(rigs, _BROWSER_ROUNDS, visit)


def _visit(browser: Browser, rig: Rig, *, line: Line | None) -> tuple[float, ...] | None:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    try:
        page = context.new_page()
        if line:
            line.hold(context)
        times = [time.monotonic()]
        page.goto(f"{rig.url}/hub/login?next=%2Fhub%2Fspawn")
        page.get_by_label("Username:").fill(User)
        page.locator("#password_input").fill(rig.user_password)
        times.append(time.monotonic())
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/lab**", timeout=window.START_WITHIN, wait_until="commit")
        times.append(time.monotonic())
        window.launcher(page).wait_for(timeout=window.START_WITHIN)
        times.append(time.monotonic())
        window.open_notebook(page)
        times.append(time.monotonic())
        window.run_cell(page, "print(6 * 7)").filter(has_text="42").wait_for(timeout=window.RUN_WITHIN)
        times.append(time.monotonic())
        return tuple(later - earlier for earlier, later in pairwise(times))
    except (AssertionError, PlaywrightTimeout):
        return None
    finally:
        context.close()


def stop(rig: Rig, users: Sequence[str] = (User,)) -> None:
    async def now() -> None:
        async with hub_api(rig) as hub:
            await hub.stop_all(users)

    asyncio.run(now())


def restart(rigs: Sequence[Rig], client: docker.DockerClient) -> list[Figure]:
    """(d) The hub's container restarted: until its API answers, and what a user's server failed to answer meanwhile."""

    async def once(rig: Rig) -> tuple[float, float] | None:
        async with hub_api(rig) as hub:
            if await hub.start(User) is None:
                await hub.stop_all([User])
                return None
            hub_container = client.containers.get(rig.hub)
            asked = asyncio.create_task(_ask(hub, stopped := asyncio.Event()))
            started = time.monotonic()
            await asyncio.to_thread(hub_container.restart, timeout=30)
            while not await hub.version():
                await asyncio.sleep(0.05)
            seconds = time.monotonic() - started
            stopped.set()
            answers = await asked
            await hub.stop_all([User])
            return seconds, sum(not good for good in answers)

    found = taking_turns(rigs, _RESTART_ROUNDS, lambda rig: asyncio.run(once(rig)))
    seconds, unanswered = by_part(rigs, found)
    failed = _failures(seconds, _RESTART_ROUNDS)
    return [
        _of_tries("d", "hub restarted, until its API answers", seconds, 0.60, _RESTART_ROUNDS, failed),
        Figure("d", "requests to a user's server that failed meanwhile", "", unanswered[0], unanswered[1], 0.0),
    ]


async def _ask(hub: HubApi, stopped: asyncio.Event) -> list[bool]:
    """Whether each of ten requests a second was answered, until `stopped`."""
    answers = []
    while not stopped.is_set():
        answers.append(await hub.serves(User))
        await asyncio.sleep(_REQUESTS_EACH)
    return answers


def idle(rigs: Sequence[Rig], client: docker.DockerClient) -> list[Figure]:
    """(g) Memory and CPU of what does nothing: an idle server, and hub with proxy."""
    users = USERS[:_FEW]
    for rig in rigs:
        _start(rig, users)
    time.sleep(_SETTLE)
    names = {rig.label: ([rig.server_name(user) for user in users], sorted({rig.hub, rig.proxy})) for rig in rigs}
    flat = [name for servers, hubs in names.values() for name in (*servers, *hubs)]
    before = {name: _stats(client, name) for name in flat}
    time.sleep(_WATCH)
    after = {name: _stats(client, name) for name in flat}
    for rig in rigs:
        stop(rig, users)

    def memory(part: Sequence[str]) -> list[float]:
        return [after[name][0] / _MIB for name in part]

    def cpu(part: Sequence[str]) -> list[float]:
        return [100 * (after[name][1] - before[name][1]) / (after[name][2] - before[name][2]) for name in part]

    (ours, our_hub), (stock, stock_hub) = (names[rig.label] for rig in rigs)
    return [
        Figure("g", "memory of an idle server", "MiB", memory(ours), memory(stock), 0.85),
        Figure("g", "idle CPU of a server", "% of a core", cpu(ours), cpu(stock), 1.0),
        Figure("g", "memory of hub and proxy", "MiB", [sum(memory(our_hub))], [sum(memory(stock_hub))]),
        Figure("g", "idle CPU of hub and proxy", "% of a core", [sum(cpu(our_hub))], [sum(cpu(stock_hub))]),
    ]


def _start(rig: Rig, users: Sequence[str]) -> None:
    async def now() -> None:
        async with hub_api(rig) as hub:
            await hub.start_all(users)

    asyncio.run(now())


def at_work(rigs: Sequence[Rig], client: docker.DockerClient) -> list[Figure]:
    """(m) Memory of one person: a server, and in it a kernel that has imported pandas."""
    memory = {}
    for rig in rigs:
        with rig.serving_science():
            users = USERS[:_FEW]
            _start(rig, users)
            kernels = [log_in(rig, user).open_kernel() for user in users]
            for kernel in kernels:
                kernel.run("import pandas")
            time.sleep(_SETTLE)
            memory[rig.label] = [_stats(client, rig.server_name(user))[0] / _MIB for user in users]
            for kernel in kernels:
                kernel.close()
            stop(rig, users)
    ours, stock = (memory[rig.label] for rig in rigs)
    return [Figure("m", "memory of a person: server, and kernel with pandas", "MiB", ours, stock, 0.65)]


def _stats(client: docker.DockerClient, name: str) -> tuple[float, float, float]:
    """Memory without droppable cache (bytes), CPU time (seconds), and the time of asking (seconds)."""
    found = Use.of(client.api.stats(name, stream=False, one_shot=True))
    return found.memory, found.processor, time.monotonic()
