"""What a person does in a browser window: the pages of the hub and of JupyterLab, by what is seen on them."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from playwright.sync_api import Locator, Page, expect

# A server's first start on a cold disk; milliseconds, as Playwright counts.
START_WITHIN = 120_000
RUN_WITHIN = 60_000


def _login_page(url: str) -> str:
    """The login page that leads to the hub's control panel."""
    return f"{url}/hub/login?next={quote(urlsplit(url).path + '/hub/home', safe='')}"


def log_in(page: Page, url: str, name: str, password: str) -> None:
    """From the login page to whatever page comes next."""
    page.goto(_login_page(url))
    page.get_by_label("Username:").fill(name)
    page.locator("#password_input").fill(password)
    # The page that comes would replace any other that the caller opens meanwhile.
    with page.expect_event("framenavigated"):
        page.get_by_role("button", name="Sign in").click()


def log_in_with_github(page: Page, url: str, name: str) -> int:
    """Through the stand-in's page; the status with which the hub answers the return from there."""
    page.goto(_login_page(url))
    page.get_by_role("button", name="Sign in with GitHub").click()
    page.get_by_label("Username").fill(name)
    with page.expect_response(lambda response: "/hub/oauth_callback" in response.url) as answer:
        page.get_by_role("button", name="Authorize").click()
    return answer.value.status


def start_server(page: Page, url: str) -> None:
    """From the hub's control panel to JupyterLab."""
    page.goto(f"{url}/hub/home")
    page.get_by_role("button", name="Start My Server", exact=True).click()
    page.wait_for_url("**/lab**", timeout=START_WITHIN)
    expect(page.locator("#jp-main-dock-panel")).to_be_visible(timeout=START_WITHIN)


def stop_server(page: Page, url: str) -> None:
    """In the hub's control panel; returns when it offers to start the server again."""
    page.goto(f"{url}/hub/home")
    page.get_by_role("button", name="Stop My Server", exact=True).click()
    expect(page.get_by_role("button", name="Start My Server", exact=True)).to_be_visible(timeout=START_WITHIN)
    expect(page.get_by_role("button", name="Stop My Server", exact=True)).to_be_hidden(timeout=START_WITHIN)


def launcher(page: Page) -> Locator:
    """The button for a new notebook in JupyterLab's launcher."""
    return page.locator('.jp-LauncherCard[data-category="Notebook"]').first


def open_notebook(page: Page) -> None:
    """A new notebook from JupyterLab's launcher, its kernel idle."""
    launcher(page).click()
    # These waits see each frame; those of expect() look each half second after a while.
    page.locator(".jp-Notebook .jp-CodeCell").first.wait_for(timeout=START_WITHIN)
    # The toolbar says idle before there is a kernel; a cell that is run then does nothing.
    page.get_by_text("| Idle").wait_for(timeout=RUN_WITHIN)


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
    page.goto(f"{url}/hub/admin")
    page.get_by_role("link", name="Add Users").or_(page.get_by_role("button", name="Add Users")).first.click()
    page.get_by_test_id("user-textarea").fill(name)
    page.get_by_test_id("submit").click()
    expect(user_row(page, name)).to_be_visible()


def user_row(page: Page, name: str) -> Locator:
    """A user's line in the admin page."""
    return page.get_by_test_id(f"user-name-div-{name}")


def button_of(page: Page, name: str, label: str) -> Locator:
    """A button in a user's line of the admin page."""
    return page.get_by_test_id(f"user-row-{name}").get_by_role("button", name=label)
