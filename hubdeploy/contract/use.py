"""What a server takes of memory and processors, out of the engine's statistics. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Use:
    """`memory`: bytes of the host's memory; the cache of files on disk does not count. `processor`: seconds of processors since
    the container's start. `at`: when, as the engine writes times."""

    memory: int
    processor: float
    at: str

    @classmethod
    def of(cls, statistics: Mapping[str, Any]) -> Use:
        """Raises KeyError where the container does not run."""
        memory = statistics["memory_stats"]
        cache = memory["stats"].get("total_inactive_file", memory["stats"].get("inactive_file", 0))
        processor = statistics["cpu_stats"]["cpu_usage"]["total_usage"]
        return cls(int(memory["usage"]) - int(cache), float(processor) / 1e9, str(statistics["read"]))
