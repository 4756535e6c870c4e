"""Links of `invite`: where they may go, and what is refused. The hub's program is the real one, on a real database."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from jupyterhub import orm

from hubdeploy.commands import invite
from hubdeploy.commands.deployment import Deployment
from hubdeploy.commands.display import Display
from hubdeploy.errors import DeployError
from tests.unit.hub import hub_image

program, passwords = hub_image.load("invitations"), hub_image.load("passwords")
FIRST = "https://localhost/hub/invite#"


class Screen(Display):
    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self._terminal, self.lines = terminal, list[str]()

    @property
    def terminal(self) -> bool:
        return self._terminal

    def line(self, text: str = "") -> None:
        self.lines.append(text)


class Hub:
    """A checkout, and the data of its hub; `asked` are the arguments that the hub's program got."""

    def __init__(self, root: Path) -> None:
        self.root, self.data, self.asked = root, root / "data", list[str]()
        self.data.mkdir()
        (root / "userlist").write_text("kaben admin\nada\nbob\n")
        (root / ".env").write_text("AUTHENTICATOR=accounts\n")
        (root / "jupyterhub").mkdir()
        session = orm.new_session_factory(f"sqlite:///{self.data}/jupyterhub.sqlite")()
        session.add_all(orm.User(name=name) for name in ("kaben", "ada", "bob", "added"))
        session.commit()
        self.store = passwords.Passwords(self.data / passwords.FILE)
        self.accounts = passwords.accounts(self.data / "jupyterhub.sqlite")

    def invite(self, name: str = "", *, terminal: bool = True, all_to: str = "", withdraw: bool = False) -> list[str]:
        screen = Screen(terminal)
        deployment = Deployment(self.root, {}, screen)
        invite.invite(deployment, name, all_to=all_to, withdraw=withdraw, ask=self._ask)
        return screen.lines

    def _ask(self, what: str, users: Iterable[str]) -> Mapping[str, Any]:
        arguments = [str(self.data), what, *users]
        self.asked += arguments
        answer: Mapping[str, Any] = program.main(arguments)
        return answer

    def state(self, token: str) -> tuple[str, str]:
        found = self.store.invitation(passwords.digest(token))
        return found.state, next((name for name, one in self.accounts.items() if one == found.account), "")


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    return Hub(tmp_path)


def token_of(lines: list[str]) -> str:
    (link,) = [line for line in lines if line.startswith(FIRST)]
    return link.removeprefix(FIRST)


@pytest.mark.parametrize("name", ["ada", "ADA", "added"])
def test_a_terminal_shows_a_link_that_is_good(hub: Hub, name: str) -> None:
    token = token_of(hub.invite(name))
    assert hub.state(token) == ("open", name.lower())
    assert token not in " ".join(hub.asked)


def test_the_link_leads_to_where_browsers_reach_the_hub(hub: Hub) -> None:
    (hub.root / ".env").write_text("AUTHENTICATOR=accounts\nHUB_HOST=hub.example.org\nHUB_PORT=8443\nHUB_PATH=/lab\n")
    assert "https://hub.example.org:8443/lab/hub/invite#" in "\n".join(hub.invite("ada"))


def test_elsewhere_than_on_a_terminal_no_link_is_made(hub: Hub) -> None:
    with pytest.raises(DeployError, match="whoever reads a link can use it"):
        hub.invite("ada", terminal=False)
    assert hub.asked == []


def test_a_newer_link_and_a_withdrawal_end_the_older_one(hub: Hub) -> None:
    older = token_of(hub.invite("ada"))
    newer = token_of(hub.invite("ada"))
    assert (hub.state(older)[0], hub.state(newer)[0]) == ("withdrawn", "open")
    assert hub.invite("ada", terminal=False, withdraw=True) == ["the link of ada is withdrawn"]
    assert hub.state(newer)[0] == "withdrawn"
    assert hub.invite("ada", withdraw=True) == ["ada has no link that is good"]


def test_a_file_gets_a_line_for_each_listed_user_without_a_password(hub: Hub) -> None:
    hub.store.keep(hub.accounts["bob"], "hash")
    file = hub.root / "links"
    printed = hub.invite(all_to=str(file), terminal=False)
    lines = [line.split("\t") for line in file.read_text().splitlines()]
    assert [name for name, *_ in lines] == ["ada", "kaben"]
    for name, link, _ in lines:
        assert hub.state(link.removeprefix(FIRST)) == ("open", name)
        assert link not in "\n".join(printed)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_no_file_is_overwritten_or_left_empty(hub: Hub) -> None:
    file = hub.root / "links"
    file.write_text("kept")
    with pytest.raises(DeployError, match="links is there already"):
        hub.invite(all_to=str(file))
    assert (file.read_text(), hub.asked) == ("kept", [])
    with pytest.raises(DeployError, match="cannot be made"):
        hub.invite(all_to=str(hub.root / "no folder" / "links"))
    for name in ("kaben", "ada", "bob"):
        hub.store.keep(hub.accounts[name], "hash")
    hub.invite(all_to=str(hub.root / "none"))
    assert not (hub.root / "none").exists()


def test_users_whom_the_hub_does_not_know_are_named(hub: Hub) -> None:
    with pytest.raises(DeployError, match="the hub has no user eve\n"):
        hub.invite("eve")
    with pytest.raises(DeployError, match="the hub has no user eve\n"):
        hub.invite("eve", withdraw=True)
    (hub.root / "userlist").write_text("kaben admin\neve\n")
    with pytest.raises(DeployError, match="the hub has no user eve yet"):
        hub.invite(all_to=str(hub.root / "links"))
    assert [line.split("\t")[0] for line in (hub.root / "links").read_text().splitlines()] == ["kaben"]


def test_a_program_that_fails_leaves_no_file(hub: Hub) -> None:
    hub.data.rename(hub.root / "elsewhere")
    with pytest.raises(OSError, match="No such file"):
        hub.invite(all_to=str(hub.root / "links"))
    assert not (hub.root / "links").exists()


Wrong = Callable[[Hub], object]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda hub: hub.invite(),
        lambda hub: hub.invite("ada", all_to="links"),
        lambda hub: hub.invite(all_to="links", withdraw=True),
        lambda hub: hub.invite(withdraw=True),
    ],
)
def test_what_makes_no_sense_is_refused(hub: Hub, wrong: Wrong) -> None:
    with pytest.raises(DeployError, match="invite --all FILE"):
        wrong(hub)
    assert hub.asked == []


def test_another_login_needs_no_link(hub: Hub) -> None:
    (hub.root / ".env").write_text("AUTHENTICATOR=shared-password\n")
    with pytest.raises(DeployError, match="AUTHENTICATOR is shared-password, and its users need no link"):
        hub.invite("ada")
    assert hub.asked == []
