"""Accounts of the hub's own on the real images, in browsers: links from the command line and from the admin page, used, used
twice, withdrawn; a password that is changed, and one that is forgotten.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.hub import window
from tests.hub.browser import BrowserMachine
from tests.hub.clone import Clone

pytestmark = pytest.mark.slow

PASSWORDS = {name: f"kelp moss of {name} under seven bridges" for name in ("boss", "dana", "erik", "fay")}
CHANGED, RENEWED = "violet otter carries 42 lamps", "nine herons left the brick chimney"


@pytest.fixture(scope="module")
def hub(new_clone: Callable[..., Clone], chromium: BrowserMachine) -> Clone:
    made = new_clone("boss admin\ndana\nerik\nfay\n", AUTHENTICATOR="accounts")
    made.up()
    chromium.reach(made)
    return made


class Admin:
    """A page of the admin's, and the table of passwords and links on it; `tokens` holds the token of each link it showed."""

    def __init__(self, page: Page, hub: Clone) -> None:
        self.page, self.hub, self.tokens = page, hub, list[str]()
        page.goto(f"{hub.url}/hub/admin")

    def row(self, name: str) -> Locator:
        return self.page.locator(f'#accounts-rows tr[data-user="{name}"]')

    def make_link(self, name: str, button: str) -> str:
        self.page.get_by_role("button", name=f"{button}: {name}").click()
        # What the page prints instead, should it fail.
        expect(self.page.locator("#accounts-notices")).to_contain_text(f"The link of {name}, good once")
        link = self.page.get_by_label(f"Link of {name}").input_value()
        self.tokens.append(link.partition("#")[2])
        return link


def words(page: Page, link: str) -> Locator:
    """What the page behind a link says; the link is opened anew, as from a mail."""
    page.goto("about:blank")
    page.goto(link)
    return page.locator("#invite-words")


def choose(page: Page, link: str, name: str, password: str) -> None:
    expect(words(page, link)).to_contain_text("serves once")
    assert "#" not in page.url
    expect(page.get_by_label("Your name here")).to_have_value(name)
    page.get_by_label("New password").fill(password)
    page.get_by_label("The same again").fill(password)
    page.get_by_role("button", name="Take this password").click()
    page.wait_for_url(re.compile(rf"/(spawn-pending|user)/{name}"))


def may_log_in(page: Page, hub: Clone, name: str, password: str) -> bool:
    page.context.clear_cookies()
    window.log_in(page, hub.url, name, password)
    return page.url.endswith("/hub/home")


def is_in(page: Page, hub: Clone) -> bool:
    page.goto(f"{hub.url}/hub/token")
    return page.url.endswith("/hub/token")


def test_people_follow_links_and_only_the_links_person_gets_in(
    hub: Clone, new_page: Callable[[], Page], artifacts: Path
) -> None:
    file = hub.root / "links.txt"
    printed = hub.invoke("invite", "--all", str(file))
    links = {line.split("\t")[0]: line.split("\t")[1] for line in file.read_text().splitlines()}
    assert links.keys() == PASSWORDS.keys()
    assert not any(link in printed for link in links.values())

    # The admin's own link; then the admin page.
    boss, dana, erik, fay, other = (new_page() for _ in range(5))
    boss.goto(f"{hub.url}/hub/login")
    expect(boss.get_by_text("from whoever runs this hub")).to_be_visible()
    boss.screenshot(path=artifacts / "accounts-login.png")
    expect(words(boss, links["boss"])).to_contain_text("serves once")
    boss.screenshot(path=artifacts / "accounts-invite.png")
    boss.get_by_label("New password").fill("Password2024!")
    boss.get_by_label("The same again").fill("Password2024!")
    boss.get_by_role("button", name="Take this password").click()
    expect(boss.get_by_role("alert")).to_contain_text("too easy to guess")
    choose(boss, links["boss"], "boss", PASSWORDS["boss"])
    admin = Admin(boss, hub)
    expect(admin.row("boss")).to_contain_text("since")
    expect(admin.row("dana")).to_contain_text("good until")

    # Used, and used twice.
    choose(dana, links["dana"], "dana", PASSWORDS["dana"])
    expect(words(other, links["dana"])).to_contain_text("has been used")
    other.screenshot(path=artifacts / "accounts-used.png")

    # Withdrawn by hand, and by a newer one.
    boss.get_by_role("button", name="Withdraw: erik").click()
    expect(admin.row("erik")).to_contain_text("nonenone")
    expect(words(erik, links["erik"])).to_contain_text("was withdrawn")
    first = admin.make_link("erik", "Invite")
    second = admin.make_link("erik", "New link")
    boss.screenshot(path=artifacts / "accounts-admin.png", full_page=True)
    expect(words(erik, first)).to_contain_text("a newer one took its place")
    choose(erik, second, "erik", PASSWORDS["erik"])
    expect(words(other, f"{hub.url}/hub/invite")).to_contain_text("is not whole")
    expect(words(other, f"{second[:-1]}_")).to_contain_text("not one of this hub's")

    # Forgotten: the old password is good until the new link is used.
    choose(fay, links["fay"], "fay", PASSWORDS["fay"])
    boss.reload()
    # The connection breaks once; the page asks again.
    boss.route("**/api/users/fay/invitation", lambda route: route.abort("connectionreset"), times=1)
    again = admin.make_link("fay", "New link")
    # A server starts meanwhile: the page shows that once its link is put away.
    fay.wait_for_url(re.compile("/user/fay/lab"))
    boss.wait_for_timeout(3000)
    boss.locator("#accounts-notices").get_by_label("Close").click()
    expect(window.button_of(boss, "fay", "Stop Server")).to_be_visible()
    assert is_in(fay, hub)
    choose(other, again, "fay", RENEWED)
    assert not is_in(fay, hub)
    assert not may_log_in(fay, hub, "fay", PASSWORDS["fay"])
    assert may_log_in(fay, hub, "fay", RENEWED)

    # Changed by its user, which ends the other browser.
    assert may_log_in(erik, hub, "dana", PASSWORDS["dana"])
    dana.goto(f"{hub.url}/hub/home")
    dana.get_by_role("link", name="Password").click()
    for label, text in (("Old password", PASSWORDS["dana"]), ("New password", CHANGED), ("The new one again", CHANGED)):
        dana.get_by_label(label, exact=True).fill(text)
    dana.get_by_role("button", name="Change the password").click()
    expect(dana.get_by_role("status").filter(has_text="is changed")).to_be_visible()
    dana.screenshot(path=artifacts / "accounts-password.png")
    assert (is_in(dana, hub), is_in(erik, hub)) == (True, False)

    # Added and deleted by the admin, whose page shows it at once.
    window.add_user(boss, hub.url, "gast")
    expect(admin.row("gast")).to_contain_text("nonenone")
    boss.set_viewport_size({"width": 390, "height": 844})
    boss.screenshot(path=artifacts / "accounts-admin-phone.png", full_page=True)

    tokens = [*admin.tokens, *(link.partition("#")[2] for link in links.values())]
    assert all(len(token) == 43 for token in tokens)
    for name in (hub.settings.hub_name, hub.settings.proxy_name):
        log = hub.container(name).logs().decode(errors="replace")
        assert [one for one in (*tokens, *PASSWORDS.values(), CHANGED, RENEWED) if one in log] == []


def test_who_left_the_list_starts_from_nothing(hub: Clone, page: Page) -> None:
    """A user of their own: what the other story does does not matter here."""
    hub.write_userlist("boss admin\ndana\nerik\nfay\nmilo\n")
    hub.up()
    links = hub.root / "milo.txt"
    hub.invoke("invite", "--all", str(links))
    (line,) = [line for line in links.read_text().splitlines() if line.startswith("milo\t")]
    choose(page, line.split("\t")[1], "milo", RENEWED)
    for names in ("boss admin\ndana\nerik\nfay\n", "boss admin\ndana\nerik\nfay\nmilo\n"):
        hub.write_userlist(names)
        hub.up()
    assert not may_log_in(page, hub, "milo", RENEWED)
    again = hub.root / "again.txt"
    hub.invoke("invite", "--all", str(again))
    assert "milo\t" in again.read_text()
