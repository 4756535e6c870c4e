"""What a person does in a browser window: the pages of the hub and of JupyterLab, by what is seen on them.

Chromium gives up a page that it is loading when an interface of this machine comes or goes, as every container's start
makes. A browser on another machine never sees that; here it is what a person would do: load the page again.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from playwright.sync_api import Error, Locator, Page, expect

# A server's first start on a cold disk; milliseconds, as Playwright counts.
START_WITHIN = 120_000
RUN_WITHIN = 60_000
_GIVEN_UP = ("ERR_NETWORK_CHANGED", "chrome-error://")
# JupyterLab's page whose scripts broke off while they were loaded stays empty; one that loads is there by then.
_LAB_WITHIN = 40_000
_TRIES = 5


def visit(page: Page, url: str) -> None:
    """The page at `url`, loaded."""
    _loading(page, lambda: page.goto(url))


def await_page(page: Page, pattern: str) -> None:
    """Returns when the window has come to a page whose URL fits."""
    _loading(page, lambda: page.wait_for_url(pattern, timeout=START_WITHIN))


def _loading(page: Page, load: Callable[[], object]) -> None:
    for _ in range(_TRIES):
        try:
            load()
            return
        except Error as error:
            if not any(sign in error.message for sign in _GIVEN_UP):
                raise
        with suppress(Error):
            page.reload()
    raise AssertionError(f"{page.url} could not be loaded in {_TRIES} tries")


def log_in(page: Page, url: str, name: str, password: str) -> None:
    """From the login page to whatever page comes next."""
    visit(page, f"{url}/hub/login?next=%2Fhub%2Fhome")
    page.get_by_label("Username:").fill(name)
    page.locator("#password_input").fill(password)
    page.get_by_role("button", name="Sign in").click()


def log_in_with_github(page: Page, url: str, name: str) -> int:
    """Through the stand-in's page; the status with which the hub answers the return from there."""
    visit(page, f"{url}/hub/login?next=%2Fhub%2Fhome")
    page.get_by_role("button", name="Sign in with GitHub").click()
    page.get_by_label("Username").fill(name)
    with page.expect_response(lambda response: "/hub/oauth_callback" in response.url) as answer:
        page.get_by_role("button", name="Authorize").click()
    return answer.value.status


def start_server(page: Page, url: str) -> None:
    """From the hub's control panel to JupyterLab."""
    visit(page, f"{url}/hub/home")
    page.get_by_role("button", name="Start My Server").click()
    await_page(page, "**/lab**")
    for _ in range(_TRIES):
        with suppress(AssertionError):
            expect(page.locator("#jp-main-dock-panel")).to_be_visible(timeout=_LAB_WITHIN)
            return
        with suppress(Error):
            page.reload()
    raise AssertionError(f"JupyterLab did not show in {_TRIES} tries")


def stop_server(page: Page, url: str) -> None:
    """In the hub's control panel; returns when it offers to start the server again."""
    visit(page, f"{url}/hub/home")
    page.get_by_role("button", name="Stop My Server").click()
    expect(page.get_by_role("button", name="Start My Server")).to_be_visible(timeout=START_WITHIN)
    expect(page.get_by_role("button", name="Stop My Server")).to_be_hidden(timeout=START_WITHIN)


def open_notebook(page: Page) -> None:
    """A new notebook from JupyterLab's launcher, its kernel idle."""
    page.locator('.jp-LauncherCard[data-category="Notebook"]').first.click()
    expect(page.locator(".jp-Notebook .jp-CodeCell").first).to_be_visible(timeout=START_WITHIN)
    # The toolbar's own sign says idle before there is a kernel; a cell that is run then is not run at all.
    expect(page.get_by_text("| Idle")).to_be_visible(timeout=RUN_WITHIN)


def run_cell(page: Page, code: str) -> Locator:
    """Types code into the notebook's last cell and runs it; the place where its output will be."""
    cell = page.locator(".jp-Notebook .jp-CodeCell").last
    number = page.locator(".jp-Notebook .jp-CodeCell").count() - 1
    cell.locator(".cm-content").click()
    # As one piece: typed key by key, the editor would add closing brackets of its own.
    page.keyboard.insert_text(code)
    page.keyboard.press("Shift+Enter")
    return page.locator(".jp-Notebook .jp-CodeCell").nth(number).locator(".jp-OutputArea-output")


def file_in_browser(page: Page, name: str) -> Locator:
    """A file's line in JupyterLab's file browser."""
    return page.locator(".jp-DirListing-item", has_text=name)


def add_user(page: Page, url: str, name: str) -> None:
    """As an admin, in the hub's admin page."""
    visit(page, f"{url}/hub/admin")
    page.get_by_role("link", name="Add Users").or_(page.get_by_role("button", name="Add Users")).first.click()
    page.get_by_test_id("user-textarea").fill(name)
    page.get_by_test_id("submit").click()
    expect(user_row(page, name)).to_be_visible()


def user_row(page: Page, name: str) -> Locator:
    """A user's line in the admin page."""
    return page.get_by_test_id(f"user-name-div-{name}")
