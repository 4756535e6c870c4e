"""What `config`, `status` and `logs` print. They look and change nothing; secrets show as ***."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

import yaml
from rich.console import Console
from rich.table import Table

from hubdeploy.commands.deployment import Deployment
from hubdeploy.contract import labels
from hubdeploy.errors import DeployError, EngineError
from hubdeploy.plan.snapshot import ContainerState, Snapshot
from hubdeploy.settings import declarations
from hubdeploy.settings import reference as about
from hubdeploy.settings.declarations import DERIVED, Settings
from hubdeploy.tls import selection
from hubdeploy.tls.certificates import Pair


def config(deployment: Deployment) -> None:
    """Every setting as YAML: its value, and whether it comes from shell, .env.local, .env or derives."""
    found = deployment.settings
    origins = found.origins
    shown = {
        key: {"value": value, "from": origins.get(key, DERIVED)} for key, value in declarations.masked(found).items()
    }
    print(yaml.safe_dump(shown, sort_keys=False, allow_unicode=True), end="")


def reference(key: str) -> None:
    """What one setting means; without a key the page of all settings."""
    print(about.explanation(key) if key else about.page(), end="\n" if key else "")


def status(deployment: Deployment) -> None:
    """Tables of containers, users' servers, images and the certificate."""
    snapshot = deployment.observe()
    console = Console()
    for table in (_containers(snapshot, deployment.settings), _servers(snapshot), _images(snapshot)):
        if table.row_count:
            console.print(table)
    pair = selection.current(deployment.settings, deployment.engine.read_volume)
    console.print(_certificate(deployment.settings, pair), markup=False)


def logs(deployment: Deployment, *, user: str, proxy: bool, follow: bool, tail: str) -> None:
    """The log of one user's server, the proxy, or the hub, as it comes, from `tail` lines back."""
    lines, found = _lines(tail), deployment.settings
    if user:
        pieces = _of_server(deployment, user, follow=follow, tail=lines)
    else:
        pieces = deployment.engine.logs(found.proxy_name if proxy else found.hub_name, follow=follow, tail=lines)
    try:
        for piece in pieces:
            sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
    except KeyboardInterrupt:
        return


def _of_server(deployment: Deployment, user: str, *, follow: bool, tail: int) -> Iterator[bytes]:
    """A server that is gone took its log along; what the hub wrote about it, its last words among that, stands in."""
    servers = _servers_by_user(deployment.observe())
    if user in servers:
        try:
            yield from deployment.engine.logs(servers[user], follow=follow, tail=tail)
            return
        except EngineError:
            # Removed meanwhile, as a server that did not start is.
            servers = _servers_by_user(deployment.observe())
            if user in servers:
                raise
    log = b"".join(deployment.engine.logs(deployment.settings.hub_name, follow=False, tail="all"))
    told = _told_about(user, log, servers)
    yield from told[-tail:] if tail else ()


def _lines(tail: str) -> int:
    """Read here and not by Invoke, which answers anything but a number with its traceback."""
    if not re.fullmatch(r"[0-9]{1,9}", tail):
        raise DeployError(
            wanted="a number of lines to begin with",
            found=f"--tail {tail} is none",
            fix="write one, such as --tail 20",
        )
    return int(tail)


def _servers_by_user(snapshot: Snapshot) -> dict[str, str]:
    return {state.labels.get(labels.USER, ""): state.name for state in snapshot.servers}


def _told_about(user: str, log: bytes, servers: Iterable[str]) -> list[bytes]:
    """The lines of the hub's log about the user's servers; jupyterhub/spawner.py marks them."""
    # At its beginning, after the hub's own mark: what a server printed may hold any words.
    marked = re.compile(rb"\[[^\]]*\] server of " + re.escape(user.encode()) + b": ")
    told = [line for line in log.splitlines(keepends=True) if marked.match(line)]
    if not told:
        there = ", ".join(sorted(servers)) or "nobody"
        raise DeployError(
            wanted=f"a server of {user}",
            found=f"{user} has none, nor had one since the hub was made; servers have: {there}",
            fix="correct the name",
        )
    return told


def _containers(snapshot: Snapshot, found: Settings) -> Table:
    table = Table("container", "state", "health", "since", title=f"{found.name} at {found.public_url}")
    for name in (found.proxy_name, found.hub_name):
        state = snapshot.containers.get(name)
        if state is None:
            table.add_row(name, "does not exist", "", "")
        else:
            table.add_row(name, state.state, state.health, _since(state))
    return table


def _servers(snapshot: Snapshot) -> Table:
    table = Table("user", "state", "since", title="servers")
    for state in sorted(snapshot.servers, key=lambda one: one.labels.get(labels.USER, "")):
        table.add_row(state.labels.get(labels.USER, state.name), state.state, _since(state))
    return table


def _images(snapshot: Snapshot) -> Table:
    table = Table("image", "content", "built", "MB", title="images")
    now = datetime.now(UTC)
    for image in snapshot.own_images:
        content = image.labels.get(labels.CONTENT, "")[:12]
        names = [reference for reference in image.references if not reference.endswith(f":{content}")]
        age = f"{_age((now - image.created).total_seconds())} ago"
        earlier = f"{image.labels.get(labels.ROLE, '').removeprefix('image:')} (an earlier build)"
        table.add_row(", ".join(names) or earlier, content, age, f"{image.size / 1e6:.0f}")
    return table


def _certificate(found: Settings, pair: Pair | None) -> str:
    if pair is None:
        return "certificate: none yet"
    days = (pair.expires - datetime.now(UTC)).days
    where = f" in the volume {found.secrets_volume}" if found.secrets_volume else ""
    kind = f"brought{where}" if pair.made_from is None else "self-made"
    return f"certificate: {kind}, expires {pair.expires:%Y-%m-%d} (in {days} days)"


def _since(state: ContainerState) -> str:
    return state.status.partition(" (")[0]


def _age(seconds: float) -> str:
    for size, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"
