"""What JupyterLab's page does by itself on our image, in a real browser: what a user waits for before the first click."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Response, Route, expect

from tests.hub import window
from tests.hub.clone import Clone
from tests.hub.person import Person

USER = "linus"


@pytest.fixture
def user(hub: Clone, page: Page, logged_in: Callable[[str], Person]) -> Person:
    """Logged in to the page as well, with a server that runs."""
    person = logged_in(USER)
    person.start_server()
    window.log_in(page, hub.url, USER, hub.user_password)
    page.wait_for_url("**/hub/home")
    return person


def hold_what_saves_the_layout(page: Page) -> None:
    """No request that saves a workspace gets an answer."""

    def hold(route: Route) -> None:
        if route.request.method == "GET":
            route.continue_()

    page.route("**/lab/api/workspaces/**", hold)


def test_the_launcher_waits_for_no_layout_to_be_saved(user: Person, page: Page) -> None:
    hold_what_saves_the_layout(page)
    page.goto(f"{user.url}/user/{USER}/lab?reset")
    window.launcher(page).wait_for(timeout=window.START_WITHIN)


def test_the_launcher_waits_for_no_message_to_the_user(user: Person, page: Page) -> None:
    page.route("**/head-start/static/notices.js*", lambda route: None)
    page.goto(f"{user.url}/user/{USER}/lab?reset")
    window.launcher(page).wait_for(timeout=window.START_WITHIN)


def test_there_is_one_launcher_when_the_layout_is_saved(user: Person, page: Page) -> None:
    with page.expect_response(lambda answer: "/lab/api/workspaces/" in answer.url and answer.request.method == "PUT"):
        page.goto(f"{user.url}/user/{USER}/lab?reset")
    # JupyterLab reads the folder again when it has saved, and looks then whether it opens a launcher itself.
    page.wait_for_load_state("networkidle")
    assert page.locator(".jp-Launcher").count() == 1


def test_a_file_that_the_address_names_opens_without_a_launcher(user: Person, page: Page) -> None:
    text = {"type": "file", "format": "text", "content": "named by the address"}
    user.call("PUT", f"/user/{USER}/api/contents/named.txt", json=text).raise_for_status()
    page.goto(f"{user.url}/user/{USER}/lab/tree/named.txt?reset")
    expect(page.locator(".jp-FileEditor .cm-content")).to_have_text("named by the address", timeout=window.START_WITHIN)
    assert page.locator(".jp-Launcher").count() == 0


def test_what_a_notebook_asks_for_is_imported_before_it_opens(user: Person, page: Page) -> None:
    with page.expect_response("**/api/nbconvert*", timeout=window.START_WITHIN) as answer:
        page.goto(f"{user.url}/user/{USER}/lab?reset")
    assert "html" in answer.value.json()


def test_a_notebook_that_was_left_open_gets_its_kernel_without_a_question(user: Person, page: Page, hub: Clone) -> None:
    page.goto(f"{user.url}/user/{USER}/lab?reset")
    with page.expect_response(_saves_layout_with_notebook):
        window.open_notebook(page)
    page.goto(f"{user.url}/hub/home")
    hub.stop_server(user)
    user.start_server()
    page.goto(f"{user.url}/user/{USER}/lab")
    page.get_by_text("| Idle").wait_for(timeout=window.START_WITHIN)
    assert page.locator(".jp-Dialog").count() == 0


def _saves_layout_with_notebook(answer: Response) -> bool:
    request = answer.request
    return "/lab/api/workspaces/" in answer.url and request.method == "PUT" and ".ipynb" in (request.post_data or "")
