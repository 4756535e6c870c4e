"""Volumes that come back from a real repository, in folders of this machine."""

from __future__ import annotations

import hashlib
import importlib
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hubdeploy.contract import backups
from hubdeploy.contract.documents import Backup, Restore, Return
from tests import hub_modules

with hub_modules.importable():
    restic, returning, taking, comparing = (
        importlib.import_module(f"backup.{name}") for name in ("restic", "returning", "taking", "comparing")
    )
Failed = restic.Failed

# Each run opens the repository, which takes a second of processor by design.
pytestmark = pytest.mark.slow
DATA, ADA, BOB = "lab-data", "lab-user-ada", "lab-user-bob"


class Place:
    """Volumes and documents as a helper has them, and the repository."""

    def __init__(self, root: Path) -> None:
        self.documents, self.volumes = root / "documents", root / "volumes"
        self.repository = root / "repository"
        self.documents.mkdir()
        (self.documents / backups.PASSWORD).write_text("p" * 16)
        (self.documents / backups.FILES).mkdir()
        for name in (DATA, ADA, BOB):
            (self.volumes / name).mkdir(parents=True)

    @property
    def restic(self) -> Any:
        return restic.Restic("lab", str(self.repository), self.documents)

    def take(self) -> str:
        wanted = Backup(
            "lab", str(self.repository), ("9 last",), {backups.DATA: DATA}, ("lab-user-{username}",), (), {}
        )
        receipt = taking.Taking(wanted, self.restic, lambda said: None, self.documents, self.volumes).run()
        return str(receipt["snapshot"])

    def bring(self, *returns: Return, at: str = "", proves: str = "") -> dict[str, Any]:
        one = returning.chosen(self.restic.snapshots(), at)["id"]
        wanted = Restore("lab", str(self.repository), one, returns, DATA, proves)
        found = returning.Returning(wanted, self.restic, lambda said: None, self.documents, self.volumes).run()
        return dict(found)

    def user(self, user: str, at: Path | None = None) -> int:
        with closing(sqlite3.connect((at or self.volumes / DATA) / "hub.sqlite")) as database:
            (count,) = database.execute("select count(*) from users where name = ?", (user,)).fetchone()
        return int(count)

    def add_user(self, user: str) -> None:
        with closing(sqlite3.connect(self.volumes / DATA / "hub.sqlite")) as database:
            database.execute("create table if not exists users (name)")
            database.execute("insert into users values (?)", (user,))
            database.commit()

    def tree(self) -> dict[str, tuple[Any, ...]]:
        """Path -> all that a user could notice; of a volume's own folder not when it was changed."""
        found = {str(one.relative_to(self.volumes)): _looks(one) for one in sorted(self.volumes.rglob("*"))}
        return {path: looks[:3] if "/" not in path else looks for path, looks in found.items()}


def _looks(path: Path) -> tuple[Any, ...]:
    if path.name.endswith(".sqlite"):
        return ()
    found = path.lstat()
    content = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else b""
    return (found.st_mode, found.st_uid, found.st_nlink, found.st_mtime_ns, content)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    found = Place(tmp_path)
    ada = found.volumes / ADA
    (ada / "work").mkdir()
    (ada / "work" / "new\nline *?[").write_text("kept")
    os.link(ada / "work" / "new\nline *?[", ada / "linked")
    (ada / "closed").touch(mode=0)
    (ada / "away").symlink_to("/nowhere")
    os.chown(ada / "work", 1000, 100)
    (ada / "work").chmod(0o2770)
    (found.volumes / BOB / "thesis").write_text("chapter 1")
    found.add_user("ada")
    return found


def test_all_is_as_it_was_whether_the_volumes_are_empty_or_not(place: Place) -> None:
    place.take()
    before = place.tree()
    for is_empty in (True, False):
        for name in (DATA, ADA, BOB):
            if is_empty:
                shutil.rmtree(place.volumes / name)
                (place.volumes / name).mkdir()
            else:
                (place.volumes / name / "newer").write_text("written since")
        place.bring(Return(DATA), Return(ADA), Return(BOB))
        assert place.tree() == before
        assert place.user("ada") == 1


def test_files_come_back_beside_the_present_ones(place: Place) -> None:
    place.take()
    (place.volumes / BOB / "thesis").write_text("chapter 2")
    folders = [place.bring(Return(BOB, "restored"))["folders"][BOB] for _ in range(2)]
    assert folders == ["restored", "restored-2"]
    assert (place.volumes / BOB / "thesis").read_text() == "chapter 2"
    assert (place.volumes / BOB / "restored" / "thesis").read_text() == "chapter 1"


def test_a_path_comes_back_and_its_neighbours_stay(place: Place) -> None:
    place.take()
    ada = place.volumes / ADA
    shutil.rmtree(ada / "work")
    (ada / "linked").write_text("changed")
    place.bring(Return(ADA, paths=("work/new\nline *?[",)))
    assert (ada / "work" / "new\nline *?[").read_text() == "kept"
    assert (ada / "linked").read_text() == "changed"
    with pytest.raises(Failed, match="has no nothing"):
        place.bring(Return(ADA, paths=("nothing",)))
    assert (ada / "linked").read_text() == "changed"


def test_a_path_does_not_come_back_through_a_link_out_of_the_volume(place: Place, tmp_path: Path) -> None:
    place.take()
    outside = tmp_path / "outside"
    outside.mkdir()
    shutil.rmtree(place.volumes / ADA / "work")
    (place.volumes / ADA / "work").symlink_to(outside)
    with pytest.raises(Failed, match="leads out of the volume"):
        place.bring(Return(ADA, paths=("work/new\nline *?[",)))
    assert os.listdir(outside) == []


def test_what_a_user_made_under_the_name_of_our_folder_leads_nowhere(place: Place, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (place.volumes / BOB / ".restoring").symlink_to(outside)
    place.take()
    place.bring(Return(BOB))
    assert (place.volumes / BOB / "thesis").read_text() == "chapter 1"
    assert os.listdir(outside) == []


def test_a_proof_compares_every_file_and_names_what_differs(place: Place) -> None:
    snapshot = place.take()
    emptied = [place.volumes / name for name in (DATA, ADA, BOB)]
    for volume in emptied:
        shutil.rmtree(volume)
        volume.mkdir()
    told = place.bring(*(Return(volume.name) for volume in emptied), proves=BOB)
    assert told["compared"]["different"] == 0
    assert told["compared"]["files"] == 6
    assert told["file"] == {"path": "thesis", "sha256": hashlib.sha256(b"chapter 1").hexdigest()}

    (place.volumes / BOB / "thesis").unlink()
    (place.volumes / ADA / "linked").chmod(0o600)
    os.utime(place.volumes / ADA / "work", ns=(0, 1))
    (place.volumes / ADA / "newer").touch()
    (place.volumes / DATA / "hub.sqlite").write_bytes(b"SQLite format 3\0" + bytes(8000))
    found = comparing.compared(place.restic, snapshot, place.volumes, [DATA, ADA, BOB], DATA)
    said = "\n".join(found["differences"])
    # A file of two names is wrong under both.
    assert found["different"] == 6
    for words in (
        "thesis: did not come back",
        "linked: mode 0o600",
        "work: time 1 instead",
        "newer: is not in",
        "hub.sqlite",
    ):
        assert words in said


def test_a_proof_reads_no_file_of_the_hubs_own_data(place: Place) -> None:
    place.take()
    assert place.bring(Return(DATA), proves=DATA)["file"] == {}


def test_a_snapshot_is_chosen_by_its_id_or_a_time(place: Place) -> None:
    first = place.take()
    (place.volumes / BOB / "thesis").write_text("chapter 2")
    second = place.take()
    (place.volumes / BOB / "thesis").write_text("chapter 3")
    kept = place.restic.snapshots()
    assert [one["short_id"] for one in kept] == [first[:8], second[:8]]
    for asked, found in (("", 1), (kept[1]["time"], 1), (kept[0]["time"], 0), (first[:8], 0)):
        assert returning.chosen(kept, asked) is kept[found]
    for asked in ("2001-01-31", "yesterday"):
        with pytest.raises(Failed, match=asked):
            returning.chosen(kept, asked)
    place.bring(Return(BOB), at=first[:8])
    assert (place.volumes / BOB / "thesis").read_text() == "chapter 1"


def test_a_full_disk_is_found_before_anything_is_touched(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.take()
    before = place.tree()
    monkeypatch.setattr(returning, "_free_bytes", lambda folder: 1000)
    with pytest.raises(Failed, match="has 0 MB left"):
        place.bring(Return(ADA), Return(BOB))
    assert place.tree() == before


# Each of these changes something; a run is killed before each.
_STEPS = (
    (restic.Restic, "restore"), (Path, "rename"), (Path, "mkdir"), (Path, "touch"), (Path, "write_text"), (shutil, "rmtree"),
    (os, "chown"), (os, "utime"), (shutil, "copyfile"), (shutil, "copystat"),
)  # fmt: skip


def _killed_before(step: int, work: Callable[[], object]) -> bool:
    """Does the work in a process that dies before its `step`th change. False if it came to its end."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            _die_before(step)
            work()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    ended = os.waitstatus_to_exitcode(status)
    assert ended in (0, 9)
    return ended == 9


def _die_before(step: int) -> None:
    left = iter(range(step, -1, -1))

    def dying(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            if next(left) == 0:
                os._exit(9)
            return real(*arguments, **named)

        return call

    for owner, name in _STEPS:
        setattr(owner, name, dying(getattr(owner, name)))


def _steps() -> Iterator[int]:
    yield from range(200)
    raise AssertionError("it never comes to its end")


@pytest.mark.parametrize("there", ["empty volumes", "volumes in use"])
def test_a_restoration_that_is_killed_anywhere_ends_the_same_when_it_is_run_again(place: Place, there: str) -> None:
    place.take()
    before = place.tree()
    # Each change in a volume that holds something is a run, and ada's has many.
    names = (DATA, ADA, BOB) if there == "empty volumes" else (DATA, BOB)
    for step in _steps():
        for name in names:
            if there == "empty volumes":
                shutil.rmtree(place.volumes / name)
                (place.volumes / name).mkdir()
            else:
                (place.volumes / name / "newer").write_text("written since")
        was_killed = _killed_before(step, lambda: place.bring(*map(Return, names)))
        # In its place or in our folder, also before it is run again.
        assert there == "empty volumes" or list(place.volumes.rglob("thesis"))
        place.bring(*map(Return, names))
        assert place.tree() == before, step
        assert place.user("ada") == 1
        if not was_killed:
            return
