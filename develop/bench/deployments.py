"""Work lists e, f, h and i, and the floors: what the operator's commands, the plan and the proxy take."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import docker

from develop.bench import servers
from develop.bench.figures import Figure
from develop.bench.rigs import STOCK, Ours, Rig, Stock, built, by_part, fresh_base, remove_image, taking_turns, timed
from hubdeploy.blueprint import routing
from hubdeploy.contract import labels
from tests import nested
from tests.archive import tar

_QUICK_ROUNDS, _FLOOR_ROUNDS, _SPAWN_ROUNDS, _PROXY_ROUNDS = 7, 5, 10, 3
_TO_FLOOR = "one server, POST to ready, to a container that imports jupyter_server"
_USERS = 1000
_CONNECTIONS, _SECONDS = 16, 8
_PLUGINS = "/usr/libexec/docker/cli-plugins"
_UPSTREAM = "upstream"


def builds(ours: Ours, stock: Stock, client: docker.DockerClient, run: str) -> list[Figure]:
    """(e) All images from no cache, sizes, and `build` with nothing changed."""
    found, sizes = {}, {}
    for rig in (ours, stock):
        with ours.removing_images(), fresh_base(client, rig.base, run) as base:
            found[rig.label] = [rig.build(base)]
            sizes[rig.label] = {name: _size(client, image) for name, image in rig.science_images.items()}
    quick = [ours.invoke("build") for _ in range(_QUICK_ROUNDS)]
    start = [ours.invoke("--list") for _ in range(_QUICK_ROUNDS)]
    own = [one - min(start) for one in quick]
    hub = [sizes["ours"]["hub"] + sizes["ours"]["proxy"]], [sizes["stock"]["hub"]]
    return [
        Figure("e", "images from no cache, with the scientific packages", "s", found["ours"], found["stock"], 0.45),
        Figure("e", "build with nothing changed, without Invoke's own start", "s", own, (), 0.3),
        Figure("e", "image of users' servers, with the scientific packages", "MB",
               [sizes["ours"]["base-notebook"]], [sizes["stock"]["base-notebook"]], 1.0),
        Figure("e", "image of the hub (ours: and of the proxy)", "MB", *hub),
    ]  # fmt: skip


def _size(client: docker.DockerClient, image: str) -> float:
    return float(client.images.get(image).attrs["Size"]) / 1000**2


def nothing_to_do(ours: Ours, stock: Stock, client: docker.DockerClient, folder: Path) -> list[Figure]:
    """(f) `up` with nothing to do, beside `docker compose up -d --build` of stock's images and hub."""
    with _compose(client, stock, folder) as compose:
        for _ in range(2):
            ours.invoke("up")
            timed(compose, folder, _compose_environ(folder))
        found = taking_turns(
            [ours, stock], _QUICK_ROUNDS,
            lambda rig: ours.invoke("up") if rig is ours else timed(compose, folder, _compose_environ(folder)),
        )  # fmt: skip
    note = "compose: two images, one container; ours: four images, two containers"
    return [
        Figure("f", "up with nothing to do, to docker compose's", "s", found["ours"], found["stock"], 1.2, note=note)
    ]


@contextmanager
def _compose(client: docker.DockerClient, stock: Stock, folder: Path) -> Iterator[list[str]]:
    """The command `docker compose up` for stock; its containers and images are removed at the end."""
    plugins = folder / "cli-plugins"
    plugins.mkdir()
    # Docker's plugins in the version that users have, from the image of the tests' newer engine.
    source = client.containers.create(nested.engine_image(client), ["true"])
    try:
        for name in ("docker-compose", "docker-buildx"):
            stream, _ = source.get_archive(f"{_PLUGINS}/{name}")
            subprocess.run(["tar", "-x", "-C", str(plugins)], input=b"".join(stream), check=True)
    finally:
        source.remove()
    for name in ("hub", "notebook"):
        context = folder / name
        context.mkdir()
        text = (STOCK / f"{name}.Dockerfile").read_text().replace("${PARENT}", stock.base)
        (context / "Dockerfile").write_text(text)
    (folder / "hub" / "jupyterhub_config.py").write_bytes((STOCK / "jupyterhub_config.py").read_bytes())
    project = f"{stock.name}-compose"
    file = folder / "compose.yaml"
    file.write_text(json.dumps(_compose_file()))
    command = ["docker", "compose", "--project-name", project, "--file", str(file)]
    environ = _compose_environ(folder)
    try:
        yield [*command, "up", "--detach", "--build"]
    finally:
        timed([*command, "down", "--volumes", "--rmi", "local"], folder, environ)


def _compose_file() -> dict[str, Any]:
    # No hub runs: the row compares how soon each tool sees that there is nothing to do.
    return {
        "services": {
            "hub": {
                "build": "hub", "command": ["sleep", "infinity"], "init": True, "volumes": ["data:/data"], "networks": ["hub"],
            },
            "notebook": {"build": "notebook", "command": ["true"], "deploy": {"replicas": 0}},
        },
        "networks": {"hub": {}},
        "volumes": {"data": {}},
    }  # fmt: skip


def _compose_environ(folder: Path) -> dict[str, str]:
    return {**os.environ, "DOCKER_CONFIG": str(folder)}


def plan_for_many(ours: Ours, client: docker.DockerClient) -> list[Figure]:
    """(h) `plan` while 1,000 containers and 1,000 volumes of users are on the engine."""
    image = f"{ours.name}-tiny:latest"
    built(client, {"Dockerfile": b"ARG PARENT\nFROM scratch\nCOPY nothing /\n", "nothing": b""}, image, "", ours.name)
    own = {labels.DEPLOYMENT: ours.name}
    api = client.api

    def make(number: int) -> None:
        name = f"{ours.name}-user-many{number}"
        carried = {**own, labels.ROLE: labels.SERVER, labels.USER: f"many{number}"}
        client.volumes.create(name, labels={**own, labels.ROLE: "volume", labels.UID: "1000"})
        api.create_container(image, ["nothing"], name=name, labels=carried)

    try:
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(make, range(_USERS)))
        seconds = [ours.invoke("plan") for _ in range(_QUICK_ROUNDS)]
    finally:

        def remove(number: int) -> None:
            name = f"{ours.name}-user-many{number}"
            with contextlib.suppress(docker.errors.NotFound):
                api.remove_container(name, force=True)
            with contextlib.suppress(docker.errors.NotFound):
                api.remove_volume(name)

        with ThreadPoolExecutor(4) as threads:
            list(threads.map(remove, range(_USERS)))
        remove_image(client, image)
    return [Figure("h", f"plan with {_USERS} users, whole process", "s", seconds, (), 1.0)]


def proxy(ours: Ours, stock: Stock, client: docker.DockerClient, run: str) -> list[Figure]:
    """(i) Requests through the proxy to one upstream, with TLS on both, by wrk on the engine's host."""
    image = nested.image(client, "load", "bookworm", ["nginx-light", "wrk"])
    with ExitStack() as stack:
        stack.callback(nested.clear, client, run)
        for rig in (ours, stock):
            name = f"{rig.name}-{_UPSTREAM}"
            answer = "printf 'server { listen 9000; location / { return 200 ok; } }' > /etc/nginx/conf.d/x.conf"
            client.containers.run(
                image, ["sh", "-c", f"{answer}; exec nginx -g 'daemon off;'"], name=name,
                network=rig.network, labels={nested.LABEL: run}, detach=True, init=True,
            )  # fmt: skip
            stack.enter_context(_routed(rig, client, name))
        load = client.containers.run(
            image, ["sleep", "infinity"], network_mode="host", labels={nested.LABEL: run}, detach=True, init=True
        )

        def once(rig: Rig) -> tuple[float, float]:
            url = f"https://localhost:{rig.port}/{_UPSTREAM}/"
            command = ["wrk", "-t1", f"-c{_CONNECTIONS}", f"-d{_SECONDS}s", "--latency", url]
            code, output = load.exec_run(command)
            assert isinstance(output, bytes)
            text = output.decode()
            if code != 0 or "Non-2xx" in text or "Socket errors" in text:
                raise RuntimeError(f"{rig.label}: {text}")
            return _per_second(text), _milliseconds(text, "99%")

        found = taking_turns([ours, stock], _PROXY_ROUNDS, once)
    rates, tails = by_part([ours, stock], found)
    return [
        Figure("i", "requests through the proxy, TLS", "1/s", rates[0], rates[1], 2.5, lower=False),
        Figure("i", "their 99th percentile", "ms", tails[0], tails[1]),
    ]


@contextmanager
def _routed(rig: Rig, client: docker.DockerClient, upstream: str) -> Iterator[None]:
    """Adds a route to the upstream, under /upstream/, as each proxy wants it."""
    container = client.containers.get(rig.proxy)
    target = f"http://{upstream}:9000"
    if isinstance(rig, Stock):
        code = (
            "import json,urllib.request as r;"
            f"r.urlopen(r.Request('http://127.0.0.1:8001/api/routes/{_UPSTREAM}', json.dumps({{'target': '{target}'}}).encode(),"
            f" {{'Authorization': 'token {rig.token}'}}, method='POST'))"
        )
        assert container.exec_run(["python3", "-c", code]).exit_code == 0
        yield
        return
    text = (
        f'[http.routers.{_UPSTREAM}]\nrule = "PathPrefix(`/{_UPSTREAM}/`)"\nservice = "{_UPSTREAM}"\n'
        f'entryPoints = ["https"]\n[http.services.{_UPSTREAM}.loadBalancer]\n'
        f'[[http.services.{_UPSTREAM}.loadBalancer.servers]]\nurl = "{target}"\n'
    )
    container.put_archive(routing.DYNAMIC_DIRECTORY, tar({f"{_UPSTREAM}.toml": text.encode()}))
    try:
        time.sleep(1)
        yield
    finally:
        container.put_archive(routing.DYNAMIC_DIRECTORY, tar({f"{_UPSTREAM}.toml": b""}))


def _per_second(text: str) -> float:
    found = re.search(r"Requests/sec:\s+([\d.]+)", text)
    assert found, text
    return float(found[1])


def _milliseconds(text: str, percentile: str) -> float:
    found = re.search(rf"{percentile}\s+([\d.]+)(us|ms|s)\b", text)
    assert found, text
    return float(found[1]) * {"us": 0.001, "ms": 1, "s": 1000}[found[2]]


def floors(ours: Ours, client: docker.DockerClient) -> list[Figure]:
    """Lower bounds for the start of a server: an empty container, Python in one, Jupyter's server imported there; and how near
    a start comes to the last, in turns."""
    image = ours.science_images["base-notebook"]
    imports = "floor: a container that imports jupyter_server"
    commands = {
        "floor: a container that runs true": ["/bin/true"],
        "floor: a container that runs python -c pass": ["/opt/jupyter/bin/python", "-c", "pass"],
        imports: ["/opt/jupyter/bin/python", "-c", "import jupyter_server.serverapp"],
    }  # fmt: skip

    def once(command: Sequence[str]) -> float:
        return timed(
            ["docker", "run", "--rm", "--entrypoint", command[0], image, *command[1:]], Path("/"), dict(os.environ)
        )

    found = {what: [once(command) for _ in range(_FLOOR_ROUNDS)] for what, command in commands.items()}
    pairs = [(servers.spawn(ours), once(commands[imports])) for _ in range(_SPAWN_ROUNDS)]
    to_floor = [seconds / floor for seconds, floor in pairs if seconds is not None]
    failed = [len(pairs) - len(to_floor), 0]
    list_seconds = [ours.invoke("--list") for _ in range(_FLOOR_ROUNDS)]
    return [
        *(Figure("floor", what, "s", samples) for what, samples in found.items()),
        Figure("floor", _TO_FLOOR, "", to_floor, (), 1.45, failed=failed),
        Figure("floor", f"invoke --list, Python {sys.version_info[0]}.{sys.version_info[1]}", "s", list_seconds),
    ]
