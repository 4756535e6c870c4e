"""Backup, drill and restore are killed at each step, and run again. They end as a run that nobody killed, and leave nothing half
done.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from hubdeploy.blueprint import throwaway
from hubdeploy.commands import backup, drill, restore
from hubdeploy.commands.deployment import Deployment
from tests.hub import killing, volumes
from tests.hub.clone import Clone
from tests.hub.killing import Killer
from tests.hub.waiting import until

pytestmark = pytest.mark.slow

PASSWORD = "a-password-of-users"
# Bytes: restic writes several packs of 16 MB.
_LARGE = 64 * 10**6
# Names and kinds that a careless copy would lose.
_WRITE = f"""
import os, pathlib
odd = pathlib.Path("odd"); odd.mkdir()
(odd / "new\\nline *?[").write_text("kept")
os.link(odd / "new\\nline *?[", odd / "linked")
(odd / "closed").touch(mode=0)
(odd / "away").symlink_to("/nowhere")
pathlib.Path("large").write_bytes(os.urandom({_LARGE}))
print("written")
"""


@dataclass(frozen=True)
class Lab:
    """A deployment in whose volumes lie files of ada and zoë, who do not work now."""

    clone: Clone
    ownerless_before: frozenset[str]

    @property
    def image(self) -> str:
        return str(self.clone.settings.image_reference("hub"))

    def restic(self, *words: str) -> str:
        """What restic prints, in a container beside the helper."""
        name, mounted = self.clone.name, {"mode": "ro"}
        command = ["-r", "/repository", "-p", "/documents/password", "--no-cache", "--no-lock", *words]
        printed = self.clone.client.containers.run(
            self.image, command, entrypoint=["restic"], user="root", remove=True, network_mode="none",
            volumes={f"{name}-backup": {"bind": "/repository", **mounted},
                     f"{name}-backup-documents": {"bind": "/documents", **mounted}},
        )  # fmt: skip
        return bytes(printed).decode()

    def snapshots(self) -> list[str]:
        return [one["id"] for one in json.loads(self.restic("snapshots", "--json")) or []]

    def files_in(self, snapshot: str) -> list[tuple[object, ...]]:
        """What a snapshot's list says of users' files."""
        nodes = [json.loads(line) for line in self.restic("ls", "--json", snapshot).splitlines()]
        return sorted(
            (one["path"], one["type"], one.get("size"), one.get("mode"), one["uid"], one["gid"], one["mtime"])
            for one in nodes
            if one["struct_type"] == "node" and re.match(r"/volumes/.*-(home|user)-", one["path"])
        )

    def check_that_nothing_is_half(self) -> None:
        """The repository is whole and has nothing that no snapshot uses; no helper is left, and no volume without an owner."""
        told = self.restic("check", "--read-data")
        assert "no errors were found" in told, told
        assert not re.search("not referenced|additional files|unused", told), told
        assert [one.name for one in self.clone.containers() if "-job-" in str(one.name)] == []
        self.check_that_volumes_have_owners()

    def check_that_backups_are_whole(self) -> None:
        """The next run is well, and has the same list of files as another that nobody kills."""
        lists = []
        for _ in range(2):
            assert killing.ended(killing.started(self.clone, backup.take)) == 0
            (snapshot,) = self.snapshots()
            lists.append(self.files_in(snapshot))
            self.check_that_nothing_is_half()
        assert lists[0] == lists[1]
        assert len(lists[0]) > 10

    def check_that_volumes_have_owners(self) -> None:
        assert volumes.without_owner(self.clone) - self.ownerless_before == set()


@pytest.fixture(scope="module")
def lab(new_clone: Callable[..., Clone]) -> Lab:
    clone = new_clone("ada\nzoë\n", USER_PASSWORD=PASSWORD, BACKUP_KEEP="1 last")
    before = volumes.without_owner(clone)
    clone.up()
    for name in ("ada", "zoë"):
        person = clone.person(name)
        assert person.log_in(PASSWORD).status_code == 200
        person.take_token()
        person.start_server()
        kernel = person.open_kernel()
        assert kernel.run(f"import os; os.chdir({clone.settings.notebook_dir!r})\n{_WRITE}") == "written\n"
        kernel.close()
        clone.stop_server(person)
    return Lab(clone, before)


# Program of the helper, and what holds in it when it is killed: see killing.kill_helper.
_IN_A_BACKUP = (
    ("-m backup take", "test -e /documents/databases/jupyterhub.sqlite"),
    ("restic backup", ""),
    ("restic backup", 'test -n "$(find /repository/data -type f)"'),
    ("restic forget", ""),
    ("restic forget", 'test -n "$(ls /repository/locks)"'),
)


def test_a_backup_that_is_killed_anywhere_is_whole_when_it_is_run_again(lab: Lab) -> None:
    clone = lab.clone
    for program, then in _IN_A_BACKUP:
        # Something to write, and something to prune.
        volumes.fill(clone.client, f"{clone.name}-user-ada", lab.image, {"large": os.urandom(_LARGE)})
        assert killing.kill_helper(clone, backup.take, program, then) == 1
        lab.check_that_backups_are_whole()
    # A run after one that was cut prunes what no snapshot uses, even if no snapshot goes.
    assert killing.kill_helper(clone, backup.take, "restic backup") == 1
    assert killing.kill_helper(clone, backup.take, "restic prune", 'test -n "$(ls /repository/locks)"') == 1
    lab.check_that_backups_are_whole()
    killer = Killer(clone, backup.take, makes_helpers=True)
    while killer.is_killed():
        lab.check_that_volumes_have_owners()
    assert [one for one in killer.at if one.startswith("after POST containers/ID/start")]
    lab.check_that_backups_are_whole()


def kind(moment: str) -> str:
    """What a drill does to which sort of thing, whether it names its own, and which helper works. Others kill `up` and `restore`
    at each change."""
    when, method, path, *words = moment.split()
    sort, one, *verb = path.partition("?")[0].split("/")
    what = (*verb, *(("create",) if one == "create" else ()), *(("of a drill",) if "_drill" in moment else ()))
    return " ".join((when, method, sort, *what, *(words if when == "after" else ())))


def test_a_drill_that_is_killed_leaves_nothing_after_the_next_or_after_clean(
    lab: Lab, new_clone: Callable[..., Clone]
) -> None:
    clone = lab.clone
    clone.invoke("backup")
    visitor = throwaway.visitor_name(throwaway.name(clone.name, throwaway.DRILL))
    for program, name in (("-m backup restore", ""), ("-m backup.proving", visitor)):
        assert killing.kill_helper(clone, drill.drill, program, name=name) == 1
        assert clone.thrown_away() == []
    killer = Killer(clone, drill.drill, alike=kind)
    while killer.is_killed():
        lab.check_that_volumes_have_owners()
    assert clone.thrown_away() == []
    lab.check_that_nothing_is_half()

    visited = next(moment for moment in killer.at if moment.startswith("after") and "backup.proving" in moment)
    assert Killer(clone, drill.drill, alike=kind, at=[one for one in killer.at if one != visited]).is_killed()
    until(lambda: not killing.runs(clone, visitor), 120, "the visit that nobody waits for has ended")
    shelf = new_clone("ada\n")
    shelf.share_images_of(clone)
    clone.invoke("clean", "--yes")
    assert clone.thrown_away() == []
    lab.check_that_volumes_have_owners()
    clone.share_images_of(shelf)
    clone.up()


def restored(deployment: Deployment) -> None:
    restore.restore(deployment, user="", path="", at="", of="", replace=False)


def test_a_restoration_that_is_killed_anywhere_has_the_same_end_when_it_is_run_again(lab: Lab) -> None:
    clone = lab.clone
    clone.invoke("backup")
    clone.invoke("down", "--servers")
    before, names = volumes.looks(clone, lab.image), set(os.listdir(clone.root))
    for name in (".env", "userlist"):
        (clone.root / name).write_text((clone.root / name).read_text() + "# written since\n")

    # Volumes that hold something are filled beside it, and then it is put away.
    volumes.fill(clone.client, f"{clone.name}-user-ada", lab.image, {"newer": b"x", "large": b"x"})
    assert killing.kill_helper(clone, restored, "-m backup restore", "ls -d /volumes/*/.restoring/new") == 1
    killer = Killer(clone, restored)
    while killer.is_killed():
        lab.check_that_volumes_have_owners()
    assert volumes.looks(clone, lab.image) == before
    aside = {".env.before-restore-1", "userlist.before-restore-1"}
    assert set(os.listdir(clone.root)) == names | aside
    assert all("# written since" in (clone.root / name).read_text() for name in aside)
    assert "# written since" not in (clone.root / ".env").read_text() + (clone.root / "userlist").read_text()

    for name in before:
        clone.client.volumes.get(name).remove()
    assert killing.kill_helper(clone, restored, "-m backup restore", "ls /volumes/*/.restoring/straight") == 1
    for name in before:
        clone.client.volumes.get(name).remove()
    # What differs is that volumes are made: it asks for those that are there, too.
    killer.at = [moment for moment in killer.at if "volumes/create" not in moment]
    while killer.is_killed():
        lab.check_that_volumes_have_owners()
    assert len([moment for moment in killer.at if "volumes/create" in moment]) >= len(before)
    assert volumes.looks(clone, lab.image) == before
    lab.check_that_nothing_is_half()
    clone.up()
    assert clone.person("ada").log_in(PASSWORD).status_code == 200
