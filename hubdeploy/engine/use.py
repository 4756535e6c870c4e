"""What running containers have of the host's memory and processors."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from hubdeploy.contract.use import Use
from hubdeploy.engine.connection import Connection, already_gone, translated


def of(connection: Connection, containers: Iterable[str]) -> dict[str, Use]:
    """By name; a container that has ended, or is not there, is left out."""
    found: dict[str, Use] = {}
    with translated("what containers use can be read"):
        for name in containers:
            with already_gone(), suppress(KeyError):
                found[name] = Use.of(connection.api.stats(name, stream=False, one_shot=True))
    return found
