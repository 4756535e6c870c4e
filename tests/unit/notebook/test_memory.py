"""How a server reads its memory, from files as containers had them: version 1 and version 2 of control groups."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.notebook import notebook_image

memory = notebook_image.load("hub_notices.memory")
MIB = 2**20
# A server with a limit of 256 MiB, in which one process was ended for want of memory.
VERSION_1 = {
    "memory/memory.limit_in_bytes": "268435456\n",
    "memory/memory.usage_in_bytes": "209715200\n",
    "memory/memory.stat": (
        "cache 31457280\nrss 167772160\nshmem 10485760\ninactive_file 1048576\nactive_file 4194304\n"
        "hierarchical_memory_limit 268435456\ntotal_cache 31457280\ntotal_rss 167772160\ntotal_shmem 10485760\n"
        "total_inactive_file 16777216\ntotal_active_file 4194304\n"
    ),
    "memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
}
VERSION_2 = {
    "memory.max": "268435456\n",
    "memory.current": "209715200\n",
    "memory.stat": (
        "anon 167772160\nfile 31457280\nkernel 4194304\nshmem 10485760\ninactive_anon 178257920\nactive_anon 0\n"
        "inactive_file 16777216\nactive_file 4194304\nunevictable 0\n"
    ),
    "memory.events": "low 0\nhigh 0\nmax 42\noom 1\noom_kill 1\noom_group_kill 0\n",
}
VERSIONS = pytest.mark.parametrize("files", [VERSION_1, VERSION_2], ids=["version 1", "version 2"])


def written(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return root


@VERSIONS
def test_memory_is_read_without_the_cache_that_can_be_dropped(tmp_path: Path, files: dict[str, str]) -> None:
    assert memory.read(written(tmp_path, files)) == memory.Memory(used=184 * MIB, limit=256 * MIB, kills=1)


@VERSIONS
def test_without_a_limit_there_is_nothing_to_show(tmp_path: Path, files: dict[str, str]) -> None:
    none = {"memory.max": "max\n", "memory/memory.limit_in_bytes": "9223372036854771712\n"}
    assert memory.read(written(tmp_path, files | {name: none[name] for name in files if name in none})) is None


def test_without_files_there_is_nothing_to_show(tmp_path: Path) -> None:
    assert memory.read(tmp_path) is None


def test_a_kernel_that_counts_no_kills_has_none(tmp_path: Path) -> None:
    old = {"memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\n"}
    assert memory.read(written(tmp_path, VERSION_1 | old)).kills == 0


@pytest.mark.parametrize(
    ("size", "words"),
    [(256 * MIB, "256 MiB"), (1024 * MIB, "1 GiB"), (1536 * MIB, "1.5 GiB"), (10 * 1024 * MIB, "10 GiB")],
)
def test_sizes_are_written_as_people_read_them(size: int, words: str) -> None:
    assert memory.in_words(size) == words
