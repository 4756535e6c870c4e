"""What a server takes of memory and processors, out of the engine's statistics. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Use:
    """`memory`: bytes of the host's memory; the cache of files on disk does not count. `processor`: seconds of processors since
    the container's start. `at`: when, as the engine writes times. `written`: bytes that went to a disk since the start, as far as
    the kernel knows who wrote them; `unwritten`: bytes that wait for it."""

    memory: int
    processor: float
    at: str
    written: int = 0
    unwritten: int = 0

    @classmethod
    def of(cls, statistics: Mapping[str, Any]) -> Use:
        """Raises KeyError where the container does not run."""
        memory = statistics["memory_stats"]
        # The first name is of the first version of control groups, the other of the second.
        of = memory["stats"]
        cache = of.get("total_inactive_file", of.get("inactive_file", 0))
        unwritten = of.get("total_dirty", of.get("file_dirty", 0)) + of.get(
            "total_writeback", of.get("file_writeback", 0)
        )
        processor = statistics["cpu_stats"]["cpu_usage"]["total_usage"]
        moved = (statistics.get("blkio_stats") or {}).get("io_service_bytes_recursive") or ()
        return cls(
            int(memory["usage"]) - int(cache),
            float(processor) / 1e9,
            str(statistics["read"]),
            sum(int(one["value"]) for one in moved if one["op"].lower() == "write"),
            int(unwritten),
        )
