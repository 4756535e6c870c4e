"""A user who leaves: their account and files go, their files come back, and nobody else notices."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from hubdeploy.commands import backup, forget, hub_program
from hubdeploy.commands.deployment import Deployment
from hubdeploy.contract import labels
from tests import terminal
from tests.hub import killing, volumes
from tests.hub.clone import Clone
from tests.hub.killing import Silent
from tests.hub.person import Person

# Names and modes that a careless copy would lose.
_WRITE = """
import os
os.makedirs("odd", exist_ok=True); os.chmod("odd", 0o2770)
open("odd/new\\nline *?[", "w").write("kept")
os.link("odd/new\\nline *?[", "odd/linked"); os.symlink("/nowhere", "odd/away")
open("odd/closed", "w").close(); os.chmod("odd/closed", 0)
"""
_READ = """
import os, stat
linked, closed = os.stat("odd/linked"), os.stat("odd/closed")
print(open("odd/linked").read(), linked.st_nlink, os.readlink("odd/away"), closed.st_uid == os.getuid(), oct(closed.st_mode))
print(oct(os.stat("odd").st_mode), oct(os.stat(".").st_mode), os.stat(".").st_uid, sorted(os.listdir()))
"""


@dataclass(frozen=True)
class Leaver:
    """A user whom an admin has added, and who will leave."""

    hub: Clone
    boss: Person
    name: str

    def write(self, person: Person) -> str:
        """Writes into the notebook directory, and gives what `read` does."""
        kernel = person.open_kernel()
        kernel.run(f"import os; os.chdir('{self.hub.settings.notebook_dir}')\n{_WRITE}")
        kernel.close()
        return self.read(person)

    def read(self, person: Person) -> str:
        kernel = person.open_kernel()
        found = kernel.run(f"import os; os.chdir('{self.hub.settings.notebook_dir}')\n{_READ}")
        kernel.close()
        return found

    def add(self) -> Person:
        """The user, logged in, with a running server."""
        self.boss.call("POST", f"/hub/api/users/{self.name}").raise_for_status()
        person = self.hub.person(self.name)
        assert person.log_in(self.hub.user_password).status_code == 200
        person.take_token()
        person.start_server()
        return person

    @property
    def has_account(self) -> bool:
        return self.boss.call("GET", f"/hub/api/users/{self.name}").status_code == 200

    @property
    def volumes(self) -> set[str]:
        found = self.hub.client.volumes.list(filters={"label": f"{labels.DEPLOYMENT}={self.hub.name}"})
        return {str(one.name) for one in found if str(one.name).endswith(f"-{self.name}")}

    def forget(self, *words: str, typed: str = "") -> tuple[int, str]:
        """Exit code and screen of the command, at which `typed` is answered."""
        at = f"Type {self.name} to go on: "
        code, lines = terminal.run(
            self.hub.root, self.hub.environ, "forget", self.name, *words, at=at, keys=f"{typed or self.name}\n"
        )
        return code, "\n".join(lines)


@pytest.fixture
def new_leaver(hub: Clone) -> Iterator[Callable[[str], Leaver]]:
    boss = hub.person("boss")
    assert boss.log_in(hub.admin_password).status_code == 200
    boss.take_token()
    made: list[Leaver] = []

    def make(name: str) -> Leaver:
        made.append(Leaver(hub, boss, name))
        return made[-1]

    yield make
    for one in made:
        boss.call("DELETE", f"/hub/api/users/{one.name}")


def test_a_user_is_forgotten_and_their_files_come_back(
    hub: Clone, logged_in: Callable[[str], Person], new_leaver: Callable[[str], Leaver]
) -> None:
    leaver = new_leaver("dora")
    dora = leaver.add()
    written = leaver.write(dora)
    others = logged_in("ada")
    others.start_server()
    going_on = others.open_kernel()
    there = leaver.volumes
    assert there == {f"{hub.name}-home-dora", f"{hub.name}-user-dora"}

    code, screen = leaver.forget()
    assert (code, "the server of dora runs" in screen) == (1, True), screen
    hub.stop_server(dora)
    code, screen = leaver.forget(typed="eve")
    assert (code, "nothing was changed" in screen) == (1, True), screen
    assert leaver.has_account
    assert leaver.volumes == there

    code, screen = leaver.forget()
    assert code == 0, screen
    assert not leaver.has_account
    assert leaver.volumes == set()
    assert going_on.run("print(6 * 7)") == "42\n"
    going_on.close()
    assert dora.log_in(hub.user_password).status_code == 403
    assert "user forgotten" in hub.invoke("audit", "--user", "dora")
    kept = hub.invoke("backups")
    assert "the files of dora, who was forgotten" in kept
    assert "is forgotten, and has nothing here" in hub.invoke("forget", "dora")

    hub.invoke("forget", "dora", "--undo")
    assert leaver.volumes == there
    dora = leaver.add()
    assert leaver.read(dora) == written
    hub.stop_server(dora)
    code, screen = leaver.forget("--undo")
    assert (code, "other files are in the volume" in screen) == (1, True), screen


def test_who_is_let_in_is_not_forgotten_and_who_was_never_here_is_unknown(hub: Clone) -> None:
    for name, found, what in (
        ("grace", "grace may log in: userlist:", "take the line of grace out of userlist, run ./invoke up"),
        ("nobody-here", "nobody-here has no account, no server, no volume", "./invoke users shows all"),
        ("", "none was given", "./invoke forget ada"),
    ):
        code, lines = terminal.run(hub.root, hub.environ, "forget", *filter(None, [name]))
        assert (code, found in "\n".join(lines), what in "\n".join(lines)) == (1, True, True), lines


class Killed(BaseException):
    pass


@dataclass
class Killer:
    """Ends a run before and after each act that changes something, once; `at` are those so far."""

    at: set[str] = field(default_factory=set)

    def passes(self, moment: str) -> None:
        if moment not in self.at:
            self.at.add(moment)
            raise Killed

    def around(self, act: Callable[..., Any], name: Callable[..., str]) -> Callable[..., Any]:
        """`name` of an act's arguments is empty for one that only reads."""

        def acting(*arguments: Any, **named: Any) -> Any:
            what = name(*arguments)
            if what:
                self.passes(f"before {what}")
            done = act(*arguments, **named)
            if what:
                self.passes(f"after {what}")
            return done

        return acting


@pytest.mark.slow
def test_killed_at_each_step_it_comes_to_the_same_end_and_no_file_is_lost(
    hub: Clone, new_leaver: Callable[[str], Leaver], monkeypatch: pytest.MonkeyPatch
) -> None:
    leaver = new_leaver("dory")
    dory = leaver.add()
    written = leaver.write(dory)
    hub.stop_server(dory)
    there, killer, ownerless = leaver.volumes, Killer(), volumes.without_owner(hub)

    def run(*, undo: bool = False) -> bool:
        """Whether it came to its end."""
        deployment = Deployment(hub.root, hub.environ, Silent())
        with monkeypatch.context() as patched:
            for owner, name, acts in (
                (deployment, "apply", lambda operation, *_: str(operation)),
                (backup, "run_program", lambda _, command, *__: command[3]),
                (hub_program, "run", lambda *words: "account removed" if "remove" in words[-1] else ""),
            ):
                patched.setattr(owner, name, killer.around(getattr(owner, name), acts))
            try:
                forget.forget(deployment, "dory", undo=undo)
            except Killed:
                return False
            return True

    def kill_helper(program: str, *, undo: bool) -> None:
        code = killing.kill_helper(hub, lambda deployment: forget.forget(deployment, "dory", undo=undo), program)
        assert code == 1

    kill_helper("restic backup", undo=False)
    assert leaver.volumes == there
    while not run():
        assert volumes.without_owner(hub) - ownerless == set()
        if leaver.volumes != there:
            # What is not there is in the repository.
            assert "the files of dory" in hub.invoke("backups")
    assert (leaver.has_account, leaver.volumes) == (False, set())
    steps = ("account removed", "archive", f"container {hub.settings.hub_name} is stopped")
    assert {f"{when} {step}" for when in ("before", "after") for step in steps} <= killer.at
    assert len([moment for moment in killer.at if "volume" in moment]) == 2 * len(there)

    kill_helper("restic restore", undo=True)
    while not run(undo=True):
        assert volumes.without_owner(hub) - ownerless == set()
    assert {"before bring-back", "after bring-back"} <= killer.at
    # As if the one before had been killed among its files.
    (first, *_) = sorted(there)
    volumes.fill(hub.client, first, hub.settings.image_reference("hub"), {".restoring/straight": b"", "half": b"x"})
    assert run(undo=True)
    dory = leaver.add()
    assert leaver.read(dory) == written
    hub.stop_server(dory)
