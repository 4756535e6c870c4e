"""The reasons that `access` gives; that the hub decides the same is in tests/unit/hub/test_access.py."""

from __future__ import annotations

from hubdeploy.contract.documents import Secret, User
from hubdeploy.plan import access
from hubdeploy.plan.access import Access, Heard
from hubdeploy.settings import userlist
from hubdeploy.settings.declarations import Settings, defaults
from hubdeploy.settings.folders import Folder

LIST = "# who may enter\nann\nBea sudo\nkaben admin\n"
HEARD = Heard(
    added=frozenset({"zoe", "bea"}),
    promoted=frozenset({"zoe"}),
    groups={"ann": frozenset({"pupils"}), "tess": frozenset({"teachers"}), "left": frozenset()},
)


def settings(**given: object) -> Settings:
    login = {"oidc_issuer": "https://id.test", "oidc_client_id": "hub", "oidc_client_secret": Secret("secret")}
    groups = {"allowed_groups": ("pupils", "others"), "admin_groups": ("teachers",)}
    users = (User("ann"), User("bea", sudo=True), User("kaben", admin=True))
    return defaults(users=users, **login, **groups, **given)


def reasons(name: str, found: Settings) -> tuple[tuple[str, ...], ...]:
    one = access.of(name, found, HEARD, userlist.lines(LIST))
    return one.enter, one.admin, one.sudo


def test_each_reason_names_its_line_group_or_rule() -> None:
    assert reasons("ann", settings()) == (("userlist:2", "group pupils (ALLOWED_GROUPS)"), (), ())
    assert reasons("bea", settings()) == (("userlist:3", "added in the admin page"), (), ("userlist:3 (sudo)",))
    assert reasons("kaben", settings()) == (("userlist:4",), ("userlist:4 (admin)",), ())
    teacher = ("group teachers (ADMIN_GROUPS)",)
    assert reasons("tess", settings()) == (teacher, teacher, ())
    promoted = ("made an admin in the admin page",)
    assert reasons("zoe", settings()) == (("added in the admin page", *promoted), promoted, ())


def test_who_may_not_enter_may_nothing() -> None:
    assert reasons("left", settings(grant_sudo=True)) == ((), (), ())
    assert reasons("ann", settings(grant_sudo=True))[2] == ("GRANT_SUDO=yes",)


def test_a_login_without_groups_asks_for_none() -> None:
    found = settings(authenticator="shared-password")
    assert reasons("tess", found) == ((), (), ())
    assert access.groups(found) == {}


def test_everybody_are_those_whose_names_are_known() -> None:
    found = access.everybody(settings(), HEARD, userlist.lines(LIST))
    assert [one.name for one in found] == ["ann", "bea", "kaben", "tess", "zoe"]


def test_what_a_group_gives_is_named_by_its_line_and_what_its_members_share_is_shown() -> None:
    text = "ada @staff @physics:read\nBea sudo @staff\neve\n@staff sudo admin\n"
    shared = (
        Folder("physics", 1),
        Folder("data", 2, volume="data"),
        Folder("staff", 3, kinds=("large",)),
        Folder("mine", 4, users=("bea",)),
    )
    users, _ = userlist.parse(text, source="userlist")
    found = defaults(users=users, folders=shared)

    def one(name: str) -> Access:
        return access.of(name, found, Heard(groups={"ada": frozenset({"pupils"})}), userlist.lines(text))

    ada, bea, eve = one("ada"), one("bea"), one("eve")
    assert (ada.admin, ada.sudo) == (("userlist:4 (@staff admin)",), ("userlist:4 (@staff sudo)",))
    assert bea.sudo == ("userlist:2 (sudo)", "userlist:4 (@staff sudo)")
    assert (ada.groups, bea.groups, eve.groups) == (("@physics", "@staff", "pupils"), ("@staff",), ())
    assert ada.folders == {"data": False, "physics": False, "staff": True}
    assert bea.folders == {"data": False, "mine": True, "staff": True}
    assert (eve.folders, one("nobody").folders) == ({"data": False}, {})
