"""What running containers have of the host's memory and processors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hubdeploy.engine.connection import Connection, already_gone, translated


@dataclass(frozen=True)
class Use:
    """`memory`: bytes, without the cache of files on disk; `processor`: seconds since the container's start."""

    memory: int
    processor: float


def of(connection: Connection, containers: Iterable[str]) -> dict[str, Use]:
    """By name; a container that has ended, or is not there, is left out."""
    found: dict[str, Use] = {}
    with translated("what containers use can be read"):
        for name in containers:
            with already_gone():
                stats = connection.api.stats(name, stream=False, one_shot=True)
                memory = stats["memory_stats"]
                if "usage" not in memory:
                    continue
                detail = memory["stats"]
                cache = detail.get("inactive_file", detail.get("total_inactive_file", 0))
                found[name] = Use(memory["usage"] - cache, stats["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9)
    return found
