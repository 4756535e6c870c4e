"""The userlist takes away: against a real JupyterHub database in a file."""

from __future__ import annotations

import json
import os
import sysconfig
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from urllib.parse import quote

import alembic.command
import alembic.config
import pytest
from jupyterhub import dbutil, orm, roles
from sqlalchemy.orm import Session

from hubdeploy.contract.documents import Login, Trait, User
from tests.unit.hub import hub_image

OLD_SCHEMA = "ff1860e38070"
PUPILS = Login(
    "oidc", "oidc.OIDC", {"issuer": "https://id.example", "allowed_groups": ("pupils",), "admin_groups": ("staff",)}
)


@pytest.fixture
def accounts(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    # JupyterHub upgrades a database by the command `alembic`, as the hub image has it on its PATH
    monkeypatch.setenv("PATH", f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}")
    return hub_image.load("accounts")


class Hub:
    """A data volume, and what starts of the hub do to it."""

    def __init__(self, folder: Path, accounts: ModuleType) -> None:
        self.folder = folder
        self.accounts = accounts
        self.url = f"sqlite:///{folder / 'jupyterhub.sqlite'}"
        self.stopped: list[str] = []

    def start(self, *users: User, login: Login = hub_image.SHARED) -> None:
        """As start.py does, and then as JupyterHub does with listed users."""
        self.accounts.apply(users, self.folder, self.stopped.append, login)
        with orm.new_session_factory(self.url)() as session:
            if not session.query(orm.Role).count():
                for role in roles.get_default_roles():
                    roles.create_role(session, role)
            for listed in users:
                self._ensure(session, listed.name, admin=listed.admin)
            session.commit()

    def add_by_admin(self, name: str) -> None:
        self.accounts.Named(self.folder / self.accounts.RECORD).admit(name)
        self.enter(name)

    def enter(self, name: str, *groups: str, admin: bool = False, auth_state: bytes | None = None) -> None:
        """As somebody of whom the login said what is given here."""
        with orm.new_session_factory(self.url)() as session:
            user = self._ensure(session, name, admin=admin)
            user.groups = [orm.Group.find(session, one) or orm.Group(name=one) for one in groups]
            user.encrypted_auth_state = auth_state
            session.commit()

    def open_session(self, name: str) -> None:
        """As a browser and a program that the user logs in with."""
        with orm.new_session_factory(self.url)() as session:
            user = orm.User.find(session, name)
            session.add(orm.OAuthClient(identifier="jupyterhub"))
            session.flush()
            orm.APIToken.new(user=user, session_id="browser", note="browser")
            orm.APIToken.new(user=user, note="program")
            session.commit()

    def cookie(self, name: str) -> str:
        """What the cookie of whoever is logged in says."""
        with orm.new_session_factory(self.url)() as session:
            return str(orm.User.find(session, name).cookie_id)

    def tokens(self, name: str) -> set[str]:
        with orm.new_session_factory(self.url)() as session:
            return {one.note for one in orm.User.find(session, name).api_tokens}

    def _ensure(self, session: Session, name: str, *, admin: bool) -> orm.User:
        known = orm.User.find(session, name) or orm.User(name=name)
        known.admin = known.admin or admin
        session.add(known)
        session.flush()
        roles.assign_default_roles(session, entity=known)
        return known

    def give_listed_groups(self, *users: User) -> None:
        """As the login's class does for each user when the hub starts."""
        with orm.new_session_factory(self.url)() as session:
            for user in users:
                hub_image.load("groups").give(orm.User.find(session, user.name), user.groups)

    def make_group(self, name: str, member: str) -> None:
        with orm.new_session_factory(self.url)() as session:
            session.add(orm.Group(name=name, users=[orm.User.find(session, member)]))
            session.commit()

    def groups(self) -> dict[str, set[str]]:
        with orm.new_session_factory(self.url)() as session:
            return {group.name: {user.name for user in group.users} for group in session.query(orm.Group)}

    def users(self) -> set[str]:
        with orm.new_session_factory(self.url)() as session:
            return {user.name for user in session.query(orm.User)}

    def admins(self) -> set[str]:
        """Who has the flag; that role and flag agree is checked on the way."""
        with orm.new_session_factory(self.url)() as session:
            flagged = {user.name for user in session.query(orm.User) if user.admin}
            assert flagged == {user.name for user in orm.Role.find(session, "admin").users}
            return flagged


@pytest.fixture
def hub(tmp_path: Path, accounts: ModuleType) -> Hub:
    return Hub(tmp_path, accounts)


def listed(names: str) -> list[User]:
    """`listed("kaben* ann")`: kaben is admin."""
    return [User(name.rstrip("*"), admin=name.endswith("*")) for name in names.split()]


def test_the_first_start_takes_nothing_away(hub: Hub) -> None:
    hub.start(*listed("kaben* ann"))
    assert (hub.users(), hub.admins(), hub.stopped) == ({"kaben", "ann"}, {"kaben"}, [])


def test_who_leaves_the_list_loses_server_and_account(hub: Hub) -> None:
    hub.start(*listed("kaben* ann bob"))
    hub.start(*listed("kaben* bob"))
    assert (hub.users(), hub.stopped) == ({"kaben", "bob"}, ["ann"])


def test_who_is_listed_again_is_back(hub: Hub) -> None:
    for names in ("kaben* ann", "kaben*", "kaben* ann"):
        hub.start(*listed(names))
    assert hub.users() == {"kaben", "ann"}


def test_who_loses_the_flag_loses_the_power(hub: Hub) -> None:
    hub.start(*listed("kaben* carriere4*"))
    hub.start(*listed("kaben* carriere4"))
    assert (hub.users(), hub.admins()) == ({"kaben", "carriere4"}, {"kaben"})


def test_whom_an_admin_added_stays(hub: Hub) -> None:
    hub.start(*listed("kaben*"))
    hub.add_by_admin("zoe")
    hub.start(*listed("kaben*"))
    assert hub.users() == {"kaben", "zoe"}


def test_whom_an_admin_added_before_the_list_did_stays_but_not_as_admin(hub: Hub) -> None:
    hub.start(*listed("kaben*"))
    hub.add_by_admin("zoe")
    for names in ("kaben* zoe*", "kaben* zoe*", "kaben*"):
        hub.start(*listed(names))
    assert (hub.users(), hub.admins(), hub.stopped) == ({"kaben", "zoe"}, {"kaben"}, [])


def test_an_older_deployments_database_is_taken_over(hub: Hub) -> None:
    hub.start(*listed("kaben* ann"))
    hub.add_by_admin("zoe")
    (hub.folder / hub.accounts.RECORD).unlink()
    hub.start(*listed("kaben* ann"))
    hub.start(*listed("kaben*"))
    assert hub.users() == {"kaben", "zoe"}


def test_the_record_of_the_last_version_is_taken_over(hub: Hub) -> None:
    """It held the list at the last start, and who had been added before the list did."""
    hub.start(*listed("kaben* ann bob*"))
    hub.enter("zoe")
    record = {"listed": ["ann", "bob", "kaben"], "admins": ["bob", "kaben"], "added_before": ["ann"]}
    (hub.folder / hub.accounts.RECORD).write_text(json.dumps(record))
    hub.start(*listed("kaben* bob"))
    assert (hub.users(), hub.admins()) == ({"kaben", "bob", "ann", "zoe"}, {"kaben"})


def test_whom_an_admin_made_an_admin_stays_one(hub: Hub) -> None:
    hub.start(*listed("kaben* ann"))
    hub.accounts.Named(hub.folder / hub.accounts.RECORD).promote("ann", admin=True)
    with orm.new_session_factory(hub.url)() as session:
        hub._ensure(session, "ann", admin=True)
        session.commit()
    hub.start(*listed("kaben* ann"))
    assert hub.admins() == {"kaben", "ann"}


def test_whom_an_admin_made_an_admin_has_no_account_without_the_line(hub: Hub) -> None:
    hub.start(*listed("kaben* ann"))
    hub.accounts.Named(hub.folder / hub.accounts.RECORD).promote("ann", admin=True)
    hub.start(*listed("kaben*"))
    assert hub.users() == {"kaben"}
    assert hub.accounts.Named(hub.folder / hub.accounts.RECORD).promoted == frozenset()


def test_who_came_by_a_group_stays_while_it_lets_them_in(hub: Hub) -> None:
    hub.start(*listed("kaben* ann"), login=PUPILS)
    hub.enter("zoe", "pupils")
    hub.start(*listed("kaben*"), login=PUPILS)
    assert (hub.users(), hub.stopped) == ({"kaben", "zoe"}, ["ann"])
    hub.start(*listed("kaben*"), login=replace(PUPILS, traits={"issuer": "https://id.example"}))
    assert (hub.users(), hub.stopped) == ({"kaben"}, ["ann", "zoe"])


def test_groups_of_the_list_are_in_the_database_and_who_leaves_one_is_out_of_it(hub: Hub) -> None:
    physics, staff = User("ann", groups=("physics",)), User("bob", groups=("physics", "staff"))
    hub.start(physics, staff)
    hub.give_listed_groups(physics, staff)
    assert hub.groups() == {"physics": {"ann", "bob"}, "staff": {"bob"}}
    hub.start(User("ann"), User("bob", groups=("physics",)))
    assert hub.groups() == {"physics": {"bob"}}
    hub.make_group("made by an admin", "ann")
    hub.start(User("ann"), User("bob"))
    assert hub.groups() == {"made by an admin": {"ann"}}


def test_a_group_of_the_list_lets_nobody_in_who_left_the_list(hub: Hub) -> None:
    zoe = User("zoe", groups=("pupils",))
    hub.start(*listed("kaben*"), zoe)
    hub.give_listed_groups(zoe)
    hub.start(*listed("kaben*"), login=PUPILS)
    assert (hub.users(), hub.stopped) == ({"kaben"}, ["zoe"])


def other(**traits: Trait) -> Login:
    return replace(PUPILS, traits={**PUPILS.traits, **traits})


@pytest.mark.parametrize(
    "login",
    [
        Login("github", "github.GitHub", {"github_url": "https://github.com", "allowed_groups": ("pupils",)}),
        other(issuer="https://other.example"),
        other(username_claim="email"),
        other(allowed_groups=("others",)),
    ],
    ids=["another login", "another provider", "another claim", "another group"],
)
def test_who_came_by_a_group_is_out_when_it_says_nothing_any_more(hub: Hub, login: Login) -> None:
    hub.start(*listed("kaben* ann"), login=PUPILS)
    hub.enter("zoe", "pupils")
    hub.start(*listed("kaben* ann"), login=login)
    assert (hub.users(), hub.stopped) == ({"kaben", "ann"}, ["zoe"])


def test_whom_the_login_asks_again_by_itself_is_left_to_it(hub: Hub) -> None:
    """What is kept of their login is its tokens."""
    github = Login("github", "github.GitHub", {"github_url": "https://github.com", "allowed_groups": ("lab",)})
    hub.start(*listed("kaben*"), login=github)
    hub.enter("zoe", "lab", auth_state=b"encrypted")
    hub.start(*listed("kaben*"), login=replace(github, traits={**github.traits, "allowed_groups": ("other",)}))
    assert hub.users() == {"kaben", "zoe"}
    hub.start(*listed("kaben*"), login=replace(github, traits={**github.traits, "github_url": "https://git.example"}))
    assert hub.users() == {"kaben"}


@pytest.mark.parametrize(
    "login", [hub_image.GITHUB, other(admin_groups=("boards",))], ids=["another login", "another group"]
)
def test_an_admin_by_a_group_is_none_when_it_says_nothing_any_more(hub: Hub, login: Login) -> None:
    hub.start(*listed("kaben* ann"), login=PUPILS)
    hub.enter("ann", "staff", admin=True)
    hub.start(*listed("kaben* ann"), login=PUPILS)
    assert hub.admins() == {"kaben", "ann"}
    hub.start(*listed("kaben* ann"), login=login)
    assert (hub.users(), hub.admins()) == ({"kaben", "ann"}, {"kaben"})


def test_another_login_ends_every_session_and_no_server(hub: Hub) -> None:
    hub.start(*listed("kaben* ann"), login=hub_image.SHARED)
    hub.enter("ann", "pupils", auth_state=b"encrypted")
    hub.open_session("ann")
    before = hub.cookie("ann")
    hub.start(*listed("kaben* ann"), login=hub_image.SHARED)
    assert (hub.cookie("ann"), hub.tokens("ann")) == (before, {"browser", "program"})
    hub.start(*listed("kaben* ann"), login=PUPILS)
    assert hub.cookie("ann") != before
    assert (hub.tokens("ann"), hub.stopped) == ({"program"}, [])
    with orm.new_session_factory(hub.url)() as session:
        ann = orm.User.find(session, "ann")
        assert (ann.encrypted_auth_state, ann.groups) == (None, [])


def test_what_the_list_changes_is_recorded(hub: Hub) -> None:
    hub.start(*listed("kaben* ann"))
    hub.start(*listed("kaben ann* bob"))
    hub.start(*listed("kaben bob"))
    found = [(one.event, one.user, one.by) for one in hub_image.load("audit").entries(hub.folder)]
    assert found == [
        ("user added", "bob", "userlist"),
        ("made an admin", "ann", "userlist"),
        ("no admin any more", "kaben", "userlist"),
        ("user removed", "ann", "userlist"),
    ]


def test_an_account_that_lost_its_name_has_it_again_if_its_server_knows_it(hub: Hub) -> None:
    """What the admin page of JupyterHub 6.1.1 left: a row without a name, whose server may still run."""
    hub.start(*listed("kaben* ann"))
    hub.add_by_admin("zoë@example.org")
    hub.add_by_admin("yan")
    with orm.new_session_factory(hub.url)() as session:
        for name in ("zoë@example.org", "ann"):
            client = orm.OAuthClient(identifier=f"jupyterhub-user-{quote(name)}")
            session.add(orm.Spawner(name="", user=orm.User.find(session, name), oauth_client=client))
        for name in ("zoë@example.org", "yan", "ann"):
            orm.User.find(session, name).name = None
        # A hub that started meanwhile made the listed user anew.
        session.add(orm.User(name="ann"))
        session.commit()
        kept = session.query(orm.Spawner).first().user_id
    hub.start(*listed("kaben* ann"))
    assert hub.users() == {"kaben", "ann", "zoë@example.org"}
    with orm.new_session_factory(hub.url)() as session:
        assert orm.User.find(session, "zoë@example.org").id == kept


def test_an_older_schema_is_upgraded_after_a_backup(hub: Hub) -> None:
    hub.start(*listed("kaben* ann"))
    before = set(hub.folder.iterdir())
    with dbutil._temp_alembic_ini(hub.url) as ini:
        alembic.command.downgrade(alembic.config.Config(ini), OLD_SCHEMA)
    hub.start(*listed("kaben*"))
    assert hub.users() == {"kaben"}
    (backup,) = set(hub.folder.glob("jupyterhub.sqlite*")) - before
    assert backup.name.startswith("jupyterhub.sqlite.")


@pytest.mark.parametrize("left_behind", [None, b""])
def test_a_database_that_is_not_there_yet_is_no_obstacle(hub: Hub, left_behind: bytes | None) -> None:
    if left_behind is not None:
        (hub.folder / "jupyterhub.sqlite").write_bytes(left_behind)
    hub.start(*listed("kaben*"))
    assert hub.users() == {"kaben"}


def test_killed_before_the_record_was_written_the_next_start_ends_the_same(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.start(*listed("kaben* ann bob*"))
    with monkeypatch.context() as patch:
        patch.setattr(hub.accounts, "write_record", lambda path, record: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            hub.start(*listed("kaben* bob"))
    hub.start(*listed("kaben* bob"))
    assert (hub.users(), hub.admins(), hub.stopped) == ({"kaben", "bob"}, {"kaben"}, ["ann"])


def test_a_server_that_cannot_be_stopped_leaves_the_account_for_the_next_try(hub: Hub) -> None:
    hub.start(*listed("kaben* ann"))

    def engine_is_gone(name: str) -> None:
        raise ConnectionError(name)

    with pytest.raises(ConnectionError):
        hub.accounts.apply(listed("kaben*"), hub.folder, engine_is_gone, hub_image.SHARED)
    assert "ann" in hub.users()
    hub.start(*listed("kaben*"))
    assert "ann" not in hub.users()
