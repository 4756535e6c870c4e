"""Which archives a backup drops, and when volumes may be filled; that restic gives all back is in tests/hub/test_forget.py."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hubdeploy.contract import backups
from tests import hub_modules

with hub_modules.importable():
    archive, restic_module = (importlib.import_module(f"backup.{name}") for name in ("archive", "restic"))
Failed = restic_module.Failed


def ended(code: int = 0, errors: str = "") -> Any:
    return restic_module.Ended(code, "", errors)


@dataclass
class Restic:
    """Of a repository with archives of these ages in days; all calls are kept."""

    ages: dict[str, int]
    ended: Any = ended()
    volumes: Path = Path("/volumes")
    calls: list[tuple[str, ...]] = field(default_factory=list)

    def snapshots(self, tag: str) -> list[dict[str, Any]]:
        assert tag == backups.ARCHIVE
        now = datetime.now(UTC)
        return [
            {
                "short_id": name,
                "time": f"{(now - timedelta(days=age)).replace(tzinfo=None).isoformat()}789Z",
                "tags": [tag, "user=ada", "bytes=7"],
                "paths": [f"{self.volumes}/lab-user-ada"],
            }
            for name, age in self.ages.items()
        ]

    def run(self, *words: str, hear: object = None) -> Any:
        self.calls.append(words)
        return self.ended

    def nodes(self, snapshot: str) -> list[dict[str, Any]]:
        self.run("ls", "--json", "--no-lock", snapshot)
        return []

    def must(self, *words: str) -> str:
        self.calls.append(words)
        return ""


def archives(restic: Restic) -> Any:
    return archive.Archive(None, restic, lambda said: None, volumes=restic.volumes)


def test_an_archive_says_whose_it_is_how_large_and_of_which_volumes() -> None:
    (found,) = archives(Restic({"one": 3})).listed()
    assert (found["id"], found["user"], found["bytes"], found["volumes"]) == ("one", "ada", 7, ["lab-user-ada"])


def test_archives_are_dropped_after_their_time_and_not_before() -> None:
    restic = Restic({"old": backups.ARCHIVED_DAYS + 1, "young": backups.ARCHIVED_DAYS - 1})
    archives(restic).drop_old()
    assert restic.calls == [("forget", "--prune", "old")]
    restic = Restic({"young": 1})
    archives(restic).drop_old()
    assert restic.calls == []


def test_a_repository_that_somebody_else_uses_keeps_an_old_archive_for_now() -> None:
    locked = ended(1, "unable to create lock in backend: repository is already locked by PID 7")
    archives(Restic({"old": 999}, locked)).drop_old()
    with pytest.raises(Failed, match="no space"):
        archives(Restic({"old": 999}, ended(1, "no space"))).drop_old()


def test_nothing_is_written_where_one_volume_holds_other_files_or_no_archive_has_it(tmp_path: Path) -> None:
    for name in ("lab-home-ada", "lab-user-ada"):
        (tmp_path / name).mkdir()
    restic = Restic({"one": 1}, volumes=tmp_path)
    with pytest.raises(Failed, match="no archive of ada holds lab-home-ada"):
        archives(restic).bring_back("ada")
    (tmp_path / "lab-home-ada").rmdir()
    (tmp_path / "lab-user-ada" / "new").touch()
    with pytest.raises(Failed, match="other files are in the volume lab-user-ada"):
        archives(restic).bring_back("ada")
    assert [path.name for path in tmp_path.rglob("*")] == ["lab-user-ada", "new"]
    assert "restore" not in [words[0] for words in restic.calls]
