"""Login with GitHub: the real OAuthenticator in the hub, a browser, and a stand-in that plays GitHub."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.hub import window
from tests.hub.clone import Clone


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
