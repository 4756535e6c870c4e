"""docs/lab.md and docs/teaching.md are followed to the letter, in their order, on one deployment: files are written as they stand
there, each command ends well and prints what stands below it, and people find what the page promises. What is added to a page is
followed too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import pytest
import requests

from tests import documents
from tests.documents import CHECKOUT, DIFFERS, DOCS, Command
from tests.hub.clone import Clone
from tests.hub.following import follow
from tests.hub.person import Person

pytestmark = pytest.mark.slow

# In the order of a lab: its machine, then a course on it.
_PAGES = ("lab.md", "teaching.md")
# Commands that are not run here -> why not, and the test that runs them.
_ELSEWHERE = {
    "git pull": ("the copy is no repository", "tests/hub/test_operating.py::test_a_how_to_leads_where_it_says"),
}
# Commands that take many minutes -> the same for fewer people.
_INSTEAD = {
    "./invoke class rehearse --users 40": "./invoke class rehearse --users 3 --over 2 --minutes 0.2 --think 1",
}
# Page -> user -> folder in ~/shared -> whether the user writes there.
_FOLDERS = {
    "lab.md": {
        "grace": {"imaging": True, "scans": False},
        "ada": {"imaging": True, "scans": False},
        "bob": {},
    },
    "teaching.md": {"kaben": {"physics": True}, "ada": {"physics": False}, "bob": {"physics": False}},
}
_FILE = re.compile(r"`(userlist|servers\.yml|\.env(?:\.local)?)`")
_PROGRAMS = frozenset(("./invoke", "docker", "git", "sed", "tar"))
_LINKS = "links.txt"
# What the pages' people work at.
_HOMEWORK = "homework/week3"
_LOOK = (
    "for one in $(ls /srv/shared 2>/dev/null); do"
    " touch /srv/shared/$one/of-$0 2>/dev/null && echo $one True || echo $one False; done"
)


@dataclass(frozen=True)
class Shown:
    """A file of the checkout, as it stands in a page."""

    name: str
    text: str


def _steps(page: str, name: str, base: str) -> Iterator[Shown | Command]:
    """What a page says to write and to run, for a deployment of this name. The command before prints a block that is neither."""
    found: list[Shown | Command] = []
    text = re.sub(r"\bBASE\b", base, re.sub(r"\bNAME\b", name, (DOCS / page).read_text()))
    for block in documents.blocks(text):
        if block.lines[0].split()[0] in _PROGRAMS:
            found += documents.commands(block.text)
        elif files := _FILE.findall(block.above):
            found.append(Shown(files[-1], "\n".join(block.lines) + "\n"))
        else:
            last = found[-1]
            assert isinstance(last, Command), f"{page}: no command prints\n{block.text}"
            lines = (re.sub(r"\d[\d.]*", DIFFERS, line) for line in block.lines)
            found[-1] = replace(last, prints=(*last.prints, *lines))
    yield from found


@dataclass
class Lab:
    """A deployment, and the passwords of those who chose one. `folders` is what people find when `servers.yml` is there."""

    clone: Clone
    folders: dict[str, dict[str, bool]] = field(default_factory=dict)
    passwords: dict[str, str] = field(default_factory=dict)

    def write(self, shown: Shown) -> None:
        """A file of settings gets these keys, any other file this text."""
        path = self.clone.root / shown.name
        if shown.name.startswith(".env"):
            keys = {line.partition("=")[0] for line in shown.text.splitlines()}
            kept = [line for line in path.read_text().splitlines() if line.partition("=")[0] not in keys]
            path.write_text("\n".join([*kept, shown.text]))
        else:
            path.write_text(shown.text)

    def follow(self, command: Command) -> None:
        printed = replace(command, line=_INSTEAD.get(command.line, command.line))
        follow(self.clone, printed)
        self._choose_passwords()
        if command.words[:2] in (["./invoke", "up"], ["./invoke", "invite"]):
            self._come()

    def _choose_passwords(self) -> None:
        """Everybody follows their link, as soon as there are links; whoever gave them removes the file."""
        file = self.clone.root / _LINKS
        for line in file.read_text().splitlines() if file.exists() else ():
            name, link = line.split("\t")[:2]
            password = f"seven otters of {name} cross the bridge"
            with requests.Session() as window:
                window.verify, window.trust_env = str(self.clone.settings.certificate_path), False
                window.get(f"{self.clone.url}/hub/invite", timeout=30)
                form = {"token": link.partition("#")[2], "password": password, "_xsrf": window.cookies["_xsrf"]}
                answer = window.post(f"{self.clone.url}/hub/invite", data=form, timeout=30)
            assert answer.json() == {"state": "done", "name": name}
            self.passwords[name] = password
        file.unlink(missing_ok=True)

    def _come(self) -> None:
        """Whoever is in `userlist` gets in and finds what is theirs, and nobody else does."""
        listed = {user.name for user in self.clone.settings.users}
        for name, password in list(self.passwords.items()):
            person = self.clone.person(name)
            assert person.log_in(password).ok == (name in listed)
            if name not in listed:
                del self.passwords[name]
            elif (self.clone.root / "servers.yml").exists() and name in self.folders:
                person.take_token()
                assert self._found(person) == self.folders[name]

    def _found(self, person: Person) -> dict[str, bool]:
        """Whether they write to each of their folders; meanwhile they do their homework."""
        person.start_server()
        server = self.clone.container(self.clone.server_name(person.name))
        work = f"mkdir -p {_HOMEWORK} && echo 42 > {_HOMEWORK}/answer"
        assert server.exec_run(["sh", "-c", work], workdir=self.clone.settings.notebook_dir).exit_code == 0
        looked = server.exec_run(["sh", "-c", _LOOK, person.name])
        assert isinstance(looked.output, bytes)
        self.clone.stop_server(person)
        return {name: writes == "True" for name, writes in map(str.split, looked.output.decode().splitlines())}


@pytest.fixture(scope="module")
def lab(new_clone: Callable[..., Clone]) -> Iterator[Lab]:
    clone = new_clone("kaben admin\n", AUTHENTICATOR="accounts")
    (clone.root / "scans").mkdir()
    (clone.root / "scans" / "slice-1.csv").write_text("1,2\n")
    clone.up()
    yield Lab(clone)
    # Of the page's own making.
    clone.remove()
    for volume in clone.client.volumes.list(filters={"name": f"{clone.name}-scans"}):
        volume.remove()


@pytest.mark.parametrize("guide", _PAGES)
def test_a_page_leads_where_it_says(lab: Lab, guide: str) -> None:
    lab.folders = _FOLDERS[guide]
    for step in _steps(guide, lab.clone.name, lab.clone.settings.base_image):
        if isinstance(step, Shown):
            lab.write(step)
        elif step.line not in _ELSEWHERE:
            lab.follow(step)
    assert "ada" not in lab.passwords
    assert "bob" in lab.passwords
    collected = {path.name for path in lab.clone.root.glob("collected/*/*.tar.gz")}
    assert collected == ({"ada.tar.gz", "bob.tar.gz"} if "class close" in (DOCS / guide).read_text() else set())


def test_each_exception_is_on_a_page_and_runs_in_another_test() -> None:
    lines = {step.line for page in _PAGES for step in _steps(page, "lab", "base") if isinstance(step, Command)}
    assert {*_ELSEWHERE, *_INSTEAD} <= lines
    for _, test in _ELSEWHERE.values():
        file, _, name = test.partition("::")
        assert f"def {name}(" in (CHECKOUT / file).read_text()
