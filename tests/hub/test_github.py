"""Login with GitHub: the real OAuthenticator in the hub, a browser, and a stand-in that plays GitHub."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.hub import window
from tests.hub.clone import Clone
from tests.hub.github_standin import GitHubStandIn
from tests.hub.waiting import until


def test_a_listed_user_gets_a_server_of_their_own(github_hub: Clone, page: Page) -> None:
    assert window.log_in_with_github(page, github_hub.url, "Octocat") == 302
    window.start_server(page, github_hub.url)
    assert "/user/octocat/lab" in page.url
    assert github_hub.has_container(github_hub.server_name("octocat"))


def test_an_unlisted_user_is_turned_away_until_an_admin_adds_them(
    github_hub: Clone, new_page: Callable[[], Page], artifacts: Path
) -> None:
    newcomer = new_page()
    assert window.log_in_with_github(newcomer, github_hub.url, "newcomer") == 403
    expect(newcomer.get_by_role("heading", name="You may not do this")).to_be_visible()
    newcomer.screenshot(path=artifacts / "github-turned-away.png")

    admin = new_page()
    assert window.log_in_with_github(admin, github_hub.url, "octoadmin") == 302
    window.add_user(admin, github_hub.url, "newcomer")
    admin.screenshot(path=artifacts / "admin-page-with-newcomer.png")

    assert window.log_in_with_github(newcomer, github_hub.url, "newcomer") == 302
    window.start_server(newcomer, github_hub.url)
    assert "/user/newcomer/lab" in newcomer.url


def test_a_plain_user_sees_no_admin_page(github_hub: Clone, page: Page) -> None:
    assert window.log_in_with_github(page, github_hub.url, "octocat") == 302
    page.goto(f"{github_hub.url}/hub/admin")
    expect(page.get_by_role("heading", name="You may not do this")).to_be_visible()


def _add_users(page: Page) -> Locator:
    """The button of the admin page."""
    return page.get_by_role("link", name="Add Users").or_(page.get_by_role("button", name="Add Users")).first


@pytest.fixture
def with_organizations(github_hub: Clone, github: GitHubStandIn) -> Iterator[Clone]:
    """The deployment with settings that later tests must not find."""
    github_hub.set_local(ALLOWED_ORGANIZATIONS="Cryptic-Labs", ADMIN_ORGANIZATIONS="cryptic-labs:staff")
    github_hub.up()
    yield github_hub
    github.members.clear()
    github_hub.set_local(ALLOWED_ORGANIZATIONS=None, ADMIN_ORGANIZATIONS=None)
    github_hub.up()


def test_whoever_leaves_the_organization_loses_session_and_server_and_keeps_the_files(
    with_organizations: Clone, github: GitHubStandIn, new_page: Callable[[], Page], artifacts: Path
) -> None:
    """A hub that starts asks at once, so nobody waits here for the next ten minutes to be over."""
    hub = with_organizations
    github.members.update({"cryptic-labs": {"mona": "active"}, "cryptic-labs:staff": {"octocat": "active"}})
    mona, octocat = new_page(), new_page()
    assert window.log_in_with_github(mona, hub.url, "Mona") == 302
    window.start_server(mona, hub.url)
    assert window.log_in_with_github(octocat, hub.url, "octocat") == 302
    octocat.goto(f"{hub.url}/hub/admin")
    expect(_add_users(octocat)).to_be_visible()

    github.members.clear()
    hub.container(hub.settings.hub_name).restart()
    until(lambda: not hub.has_container(hub.server_name("mona")), 60, "the server is stopped")
    assert hub.has_volume(hub.server_name("mona"))
    mona.goto(f"{hub.url}/user/mona/lab")
    expect(mona.get_by_role("alert")).to_contain_text("You are no longer a member of cryptic-labs")
    mona.screenshot(path=artifacts / "github-no-longer-a-member.png")
    assert window.log_in_with_github(mona, hub.url, "mona") == 403
    # The list still lets him in.
    octocat.goto(f"{hub.url}/hub/admin")
    expect(octocat.get_by_role("heading", name="You may not do this")).to_be_visible()
    octocat.goto(f"{hub.url}/hub/home")
    expect(octocat.get_by_role("button", name="Logout")).to_be_visible()
