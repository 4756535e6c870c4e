"""What running containers have of the host's memory and processors."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from hubdeploy.contract.use import Use
from hubdeploy.engine.connection import Connection, already_gone, translated

# The engine answers each question at its next look, once a second: asked together, all are answered by one look.
_AT_ONCE = 16


def of(connection: Connection, containers: Iterable[str]) -> dict[str, Use]:
    """By name; a container that has ended, or is not there, is left out."""
    api = connection.api

    def one(name: str) -> Use | None:
        # One that has ended has no figures; of one that is removed while it is asked the engine gives an empty answer.
        with suppress(KeyError, ValueError), already_gone():
            return Use.of(api.stats(name, stream=False, one_shot=True))
        return None

    names = list(containers)
    with translated("what containers use can be read"), ThreadPoolExecutor(_AT_ONCE) as pool:
        found = dict(zip(names, pool.map(one, names), strict=True))
    return {name: use for name, use in found.items() if use}
