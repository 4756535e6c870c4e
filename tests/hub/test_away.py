"""What a browser and a program get while the hub or a server does not answer, and that the browser goes on by itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.hub import window
from tests.hub.clone import Clone
from tests.hub.person import Person
from tests.hub.waiting import until

_BACK_WITHIN = 60
_SIZES = {"1366": (1366, 768), "390": (390, 844)}
_BROWSER, _PROGRAM = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}, {"Accept": "*/*"}


@pytest.fixture
def hub_away(hub: Clone) -> Iterator[Callable[[], None]]:
    """Calling it brings the hub back; it is stopped until then."""
    container = hub.container(hub.settings.hub_name)

    def back() -> None:
        container.start()
        until(
            lambda: hub.person("grace").call("GET", "/hub/health").status_code == 200, _BACK_WITHIN, "the hub is back"
        )

    container.stop()
    yield back
    back()


def test_a_page_says_that_the_hub_is_away_and_goes_on_by_itself(
    hub: Clone, logged_in: Callable[[str], Person], page: Page, artifacts: Path, request: pytest.FixtureRequest
) -> None:
    grace = logged_in("grace")
    grace.start_server()
    kernel = grace.open_kernel()
    window.log_in(page, hub.url, "grace", hub.user_password)
    hub_back = request.getfixturevalue("hub_away")

    page.goto(f"{hub.url}/hub/home")
    expect(page.get_by_role("status")).to_contain_text("Servers that run go on")
    _look(page, artifacts, "hub-away")
    assert kernel.run("print(6 * 7)") == "42\n"

    hub_back()
    expect(page.get_by_role("button", name="Stop My Server", exact=True)).to_be_visible(timeout=_BACK_WITHIN * 1000)
    assert kernel.run("print(6 * 7)") == "42\n"
    kernel.close()


def test_programs_get_the_proxys_own_words(hub: Clone, hub_away: Callable[[], None]) -> None:
    def asked(path: str, headers: dict[str, str]) -> tuple[int, str]:
        answer = hub.person("grace").call("GET", path, headers=headers)
        return answer.status_code, (re.findall("<h1>(.*)</h1>", answer.text) or [answer.text])[0]

    for path in ("/hub/home", "/user/nobody/lab"):
        assert asked(path, _BROWSER) == (502, "The hub is away for a moment")
        assert asked(path, _PROGRAM) == (502, "Bad Gateway")
    for path in ("/hub/api/users", "/user/nobody/api", "/user/nobody/api/kernels"):
        assert asked(path, _BROWSER) == (502, "Bad Gateway")


def test_a_page_says_that_a_server_does_not_answer_and_leads_to_its_end(
    hub: Clone, logged_in: Callable[[str], Person], page: Page, artifacts: Path, request: pytest.FixtureRequest
) -> None:
    grace = logged_in("grace")
    grace.start_server()
    window.log_in(page, hub.url, "grace", hub.user_password)
    page.goto(f"{hub.url}/user/grace/lab")
    expect(page.locator("#jp-main-dock-panel")).to_be_visible(timeout=window.START_WITHIN)
    hub_back = request.getfixturevalue("hub_away")
    hub.container(hub.server_name("grace")).kill()

    page.goto(f"{hub.url}/user/grace/lab")
    expect(page.get_by_role("status")).to_contain_text("offers to start it again")
    expect(page.get_by_role("link", name="The hub's home page")).to_have_attribute("href", "/hub/home")
    _look(page, artifacts, "server-away")
    api = grace.call("GET", "/user/grace/api/status", headers=_BROWSER)
    assert (api.status_code, api.text) == (504, "Gateway Timeout")

    hub_back()
    expect(page.get_by_text("The server was stopped from outside.")).to_be_visible(timeout=_BACK_WITHIN * 1000)


def _look(page: Page, artifacts: Path, name: str) -> None:
    """Pictures for people, light and dark, wide and narrow; no width needs scrolling to the side."""
    for size, (width, height) in _SIZES.items():
        page.set_viewport_size({"width": width, "height": height})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        for theme in ("light", "dark"):
            page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
            page.screenshot(path=artifacts / f"{name}-{size}-{theme}.png")
