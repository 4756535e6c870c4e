"""How much a volume takes: as the disk counts, whatever names and links are in it."""

from __future__ import annotations

import os
from pathlib import Path

from backup import usage


def of(folder: Path) -> dict[str, float]:
    return usage.of(os.fsencode(folder))


def test_holes_take_nothing_and_a_file_with_two_names_counts_once(tmp_path: Path) -> None:
    empty = of(tmp_path)
    assert (empty["files"], empty["newest"]) == (0, 0)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "file").write_bytes(b"x" * 10**6)
    os.link(tmp_path / "sub" / "file", tmp_path / "again")
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(10**9)
    found = of(tmp_path)
    assert found["files"] == 2
    assert 10**6 <= found["bytes"] - empty["bytes"] < 2 * 10**6


def test_the_newest_file_is_the_one_that_was_written_last_and_a_new_name_is_a_change(tmp_path: Path) -> None:
    for name, when in (("old", 1_000_000_000), ("new", 1_500_000_000)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (when, when))
    before = of(tmp_path)
    assert before["newest"] == 1_500_000_000
    (tmp_path / "old").rename(tmp_path / "older")
    after = of(tmp_path)
    assert after["newest"] == before["newest"]
    assert after["changed"] > before["changed"]


def test_no_link_leads_out_of_a_volume(tmp_path: Path) -> None:
    (tmp_path / "volume").mkdir()
    (tmp_path / "elsewhere").write_bytes(b"x" * 10**6)
    (tmp_path / "volume" / "link").symlink_to("../elsewhere")
    assert of(tmp_path / "volume")["bytes"] < 10**6


def test_each_volume_is_looked_at_by_its_name(tmp_path: Path) -> None:
    for name in ("lab-user-ada", "lab-user-eve"):
        (tmp_path / name).mkdir()
    found = usage.main(tmp_path)
    assert list(found["volumes"]) == ["lab-user-ada", "lab-user-eve"]
    assert 0 < found["free"] <= found["size"]
    assert usage.main(tmp_path / "nothing")["volumes"] == {}
