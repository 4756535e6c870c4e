"""`logs`: what a component or a user's server printed, as it comes. It changes nothing."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator

from hubdeploy.blueprint.components import COMPONENTS, SPAWNER
from hubdeploy.commands.named import NamedDeployment
from hubdeploy.errors import DeployError, EngineError
from hubdeploy.plan.snapshot import Snapshot


def show(deployment: NamedDeployment, *, user: str, component: str, follow: bool, tail: str) -> None:
    """The log of one user's server, or of a component, from `tail` lines back."""
    lines = _lines(tail)
    if user:
        pieces = _of_server(deployment, user, follow=follow, tail=lines)
    else:
        pieces = deployment.engine.logs(_component(deployment.observe(), component), follow=follow, tail=lines)
    try:
        for piece in pieces:
            sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
    except KeyboardInterrupt:
        return


def _component(snapshot: Snapshot, role: str) -> str:
    """The name of a component's container."""
    there = {state.role: state.name for state in snapshot.components}
    if role not in there:
        known = ", ".join(dict.fromkeys([*(one.role for one in COMPONENTS), *there]))
        raise DeployError(
            wanted=f"a container of the component {role}",
            found=f"there is none; components are: {known}",
            fix="correct the name, or make it with ./invoke up",
        )
    return there[role]


def _of_server(deployment: NamedDeployment, user: str, *, follow: bool, tail: int) -> Iterator[bytes]:
    """A server that is gone took its log along. The hub's log has its last words, among what the hub wrote about it."""
    snapshot = deployment.observe()
    servers = _servers_by_user(snapshot)
    if user in servers:
        try:
            yield from deployment.engine.logs(servers[user], follow=follow, tail=tail)
            return
        except EngineError:
            # Removed meanwhile, as a server that did not start is.
            snapshot = deployment.observe()
            servers = _servers_by_user(snapshot)
            if user in servers:
                raise
    log = b"".join(deployment.engine.logs(_component(snapshot, SPAWNER), follow=False, tail="all"))
    about = _lines_about(user, log, servers)
    yield from about[-tail:] if tail else ()


def _lines(tail: str) -> int:
    """Read here and not by Invoke, which answers anything but a number with its traceback."""
    if not re.fullmatch(r"[0-9]{1,9}", tail):
        raise DeployError(
            wanted="a number of lines to begin with", found=f"--tail {tail} is none", fix="write one, such as --tail 20"
        )
    return int(tail)


def _servers_by_user(snapshot: Snapshot) -> dict[str, str]:
    return {state.user: state.name for state in snapshot.servers}


def _lines_about(user: str, log: bytes, servers: Iterable[str]) -> list[bytes]:
    """The lines of the hub's log about the user's servers; jupyterhub/spawner.py marks them."""
    # At its beginning, after the hub's own mark: what a server printed may hold any words.
    marked = re.compile(rb"\[[^\]]*\] server of " + re.escape(user.encode()) + b": ")
    about = [line for line in log.splitlines(keepends=True) if marked.match(line)]
    if not about:
        running = ", ".join(sorted(servers))
        now = f"users with a server are: {running}" if running else "no user has a server now"
        raise DeployError(
            wanted="the name of a user who has a server, or had one since the hub's container was made",
            found=f"there is no log of a server of the user {user!r}",
            fix=f"correct the name; {now}",
        )
    return about
