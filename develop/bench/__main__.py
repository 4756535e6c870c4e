"""Runs the work lists, prints the table, keeps the run as JSON and draws it."""

from __future__ import annotations

import argparse
import os
import platform
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from functools import partial
from pathlib import Path

import docker

from develop.bench import crowd, deployments, document, figures, people, picture, servers
from develop.bench.figures import Figure, Run
from develop.bench.rigs import Ours, Stock, trusting_base
from hubdeploy.settings import loading
from hubdeploy.tls import certificates
from tests.hub.clone import CHECKOUT

Work = Callable[[], list[Figure]]
ROWS = ("floor", "f", "a", "b", "l", "c", "j", "d", "g", "m", "h", "i", "k", "e")


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench")
    parser.add_argument("--only", default="", help="letters of the rows, such as a,b")
    parser.add_argument(
        "--out", type=Path, help="where the JSON goes; without it a whole run goes into develop/bench/results"
    )
    parser.add_argument(
        "--document", action="store_true", help="only write docs/performance.md from develop/bench/results"
    )
    options = parser.parse_args()
    # However it ends, it removes what it made on the engine.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench was ended"))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if not options.document:
        wanted = [row for row in ROWS if not options.only or row in options.only.split(",")]
        run = measure(wanted)
        print(document.table(run))
        whole = wanted == list(ROWS)
        path = run.save(options.out or (figures.RESULTS if whole else CHECKOUT / "tests" / "artifacts" / "bench"))
        picture.draw([run], path.with_suffix(".svg"))
        print(f"\nkept as {path.relative_to(CHECKOUT)}, drawn beside it")
        if not whole:
            return
    document.write()


def measure(rows: list[str]) -> Run:
    client = docker.from_env(timeout=600)
    machine_info = client.info()
    date, started = datetime.now().isoformat(timespec="seconds"), time.monotonic()
    token = secrets.token_hex(4)
    measured: list[Figure] = []
    with ExitStack() as stack:
        stack.callback(client.close)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        machine = loading.load(CHECKOUT, os.environ)
        base = stack.enter_context(trusting_base(client, machine.base_image, machine.extra_ca_bundle, token))
        ours, stock = _deployed(client, folder, base, stack)
        works = _works(ours, stock, client, token, folder)
        for row in rows:
            say(f"row {row}")
            for one in works[row]():
                measured.append(one)
                print(document.line(one), flush=True)
    minutes = (time.monotonic() - started) / 60
    engine = f"Docker Engine {machine_info['ServerVersion']}, {platform.machine()}"
    return Run(date, engine, machine_info["NCPU"], machine_info["MemTotal"] / 1024**3, minutes, measured)


def _deployed(client: docker.DockerClient, folder: Path, base: str, stack: ExitStack) -> tuple[Ours, Stock]:
    """Both deployments, up; images that exist already are used."""
    for name in ("ours", "stock", "compose"):
        (folder / name).mkdir()
    say("ours comes up")
    ours = Ours(client, folder / "ours")
    stack.callback(ours.remove)
    ours.invoke("up")
    say("stock is built and comes up")
    stock = Stock(client, folder / "stock", base)
    stack.callback(stock.remove)
    stock.build(base)
    stock.up(certificates.read_request(CHECKOUT / "jupyterhub" / "cert.conf", "localhost"))
    return ours, stock


def _works(ours: Ours, stock: Stock, client: docker.DockerClient, token: str, folder: Path) -> dict[str, Work]:
    both = (ours, stock)
    return {
        "a": partial(servers.one_spawn, both),
        "b": partial(servers.stampede, both),
        "c": partial(servers.first_output, both, client, token),
        "j": partial(servers.first_visit, both, client, token),
        "d": partial(servers.restart, both, client),
        "e": partial(deployments.builds, ours, stock, client, token),
        "f": partial(deployments.nothing_to_do, ours, stock, client, folder / "compose"),
        "g": partial(servers.idle, both, client),
        "h": partial(deployments.plan_for_many, ours, client),
        "i": partial(deployments.proxy, ours, stock, client, token),
        "k": crowd.accounts,
        "l": partial(people.at_once, both, client),
        "m": partial(servers.at_work, both, client),
        "floor": partial(deployments.floors, ours, client),
    }


def say(text: str) -> None:
    print(f"== {datetime.now():%H:%M:%S} {text}", flush=True)


if __name__ == "__main__":
    main()
