"""The hub's own pages in a real browser: what an admin does in the admin page, what a lost connection does to a page, what
the operator puts on the pages, and that the pages can be read on a phone and in the dark.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import docker
import pytest
from docker.models.networks import Network
from playwright.sync_api import Page, expect

from tests.hub import window
from tests.hub.browser import BrowserMachine
from tests.hub.clone import Clone
from tests.hub.person import Person
from tests.hub.waiting import until

_STOPS_WITHIN = 30
# WCAG's least contrast of text and what lies below it, and of pictures.
_CONTRAST, _CONTRAST_OF_PICTURES = 4.5, 3
# What a page looks like to an eye: JavaScript for the functions below.
_SEEN = """
  const numbers = (color) => color.match(/[\\d.]+/g).map(Number);
  const light = (color) => {
    const [r, g, b] = color.map((v) => v / 255).map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const below = (one) => {
    const color = numbers(getComputedStyle(one).backgroundColor);
    return (color[3] ?? 1) > 0 || !one.parentElement ? color : below(one.parentElement);
  };
  const contrast = (one, other) => {
    const [dark, bright] = [light(one), light(other)].sort((a, b) => a - b);
    return (bright + 0.05) / (dark + 0.05);
  };
"""
_CONTRAST_OF_BUTTONS = f"""() => {{
  {_SEEN}
  const seen = [...document.querySelectorAll(".btn")].filter((one) => one.checkVisibility() && !one.disabled);
  return seen.map((one) => [
    one.textContent.trim() || one.value || one.className, contrast(numbers(getComputedStyle(one).color), below(one)),
  ]);
}}"""
# The contrast of each pixel of the logo that hides what lies below it.
_CONTRAST_OF_LOGO = f"""() => {{
  {_SEEN}
  const image = document.querySelector("img.jpy-logo");
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
  const context = canvas.getContext("2d");
  context.filter = getComputedStyle(image).filter;
  context.drawImage(image, 0, 0);
  const data = [...context.getImageData(0, 0, canvas.width, canvas.height).data];
  const pixels = Array.from({{ length: data.length / 4 }}, (_, at) => data.slice(4 * at, 4 * at + 4));
  return pixels.filter(([, , , alpha]) => alpha === 255).map((pixel) => contrast(pixel.slice(0, 3), below(image)));
}}"""


@pytest.fixture
def another_network(client: docker.DockerClient, hub: Clone) -> Iterator[Network]:
    """A network that the browser can join, which changes its machine's interfaces."""
    network = client.networks.create(f"{hub.name}-elsewhere", driver="bridge")
    yield network
    network.reload()
    for guest in network.attrs["Containers"]:
        network.disconnect(guest, force=True)
    network.remove()


def test_the_admin_page_survives_an_admin(hub: Clone, page: Page, artifacts: Path) -> None:
    window.log_in(page, hub.url, "boss", hub.admin_password)
    window.add_user(page, hub.url, "zoe")

    # The name goes along unchanged, which JupyterHub 6.1.1 alone takes for no name.
    window.button_of(page, "zoe", "Edit User").click()
    page.locator("#admin-check").check()
    page.get_by_test_id("submit").click()
    for _ in ("at once", "after a reload"):
        for name in ("zoe", "boss", "ada"):
            expect(window.user_row(page, name)).to_be_visible()
        page.reload()

    window.button_of(page, "zoe", "Start Server").click()
    expect(window.button_of(page, "zoe", "Stop Server")).to_be_visible(timeout=window.START_WITHIN)
    assert hub.container(hub.server_name("zoe")).status == "running"

    # A start that this page did not ask for.
    boss = hub.person("boss")
    assert boss.log_in(hub.admin_password).ok
    boss.take_token()
    assert boss.call("POST", "/hub/api/users/guest/server").status_code == 202
    page.reload()
    expect(window.button_of(page, "guest", "Stop Server")).to_be_visible(timeout=window.START_WITHIN)

    page.get_by_role("link", name="Add Users").or_(page.get_by_role("button", name="Add Users")).first.click()
    page.get_by_test_id("user-textarea").fill("a" * 250)
    page.get_by_test_id("submit").click()
    expect(page.get_by_role("alert").filter(has_text="Choose a shorter name")).to_be_visible()

    page.goto(f"{hub.url}/hub/admin")
    window.button_of(page, "guest", "Edit User").click()
    page.get_by_test_id("delete-user").click()
    expect(page.get_by_role("status").filter(has_text="guest stands on the userlist")).to_be_visible()
    page.screenshot(path=artifacts / "admin-page-after-deletion.png")


def test_stop_my_server_survives_a_change_of_network_interfaces(
    hub: Clone,
    page: Page,
    logged_in: Callable[[str], Person],
    chromium: BrowserMachine,
    another_network: Network,
) -> None:
    """As on the engine's own machine, where the end of each server takes an interface away."""
    logged_in("ada").start_server()
    window.log_in(page, hub.url, "ada", hub.user_password)
    page.wait_for_function("window._jupyterhub_page_loaded")
    # A hub that keeps the page waiting, so that the change falls into the request.
    container = hub.container(hub.settings.hub_name)
    container.pause()
    try:
        with page.expect_request("**/hub/api/users/ada/server*"), page.expect_event("requestfailed"):
            page.get_by_role("button", name="Stop My Server", exact=True).click()
            another_network.connect(chromium.container)
    finally:
        container.unpause()
    expect(page.get_by_role("button", name="Start My Server", exact=True)).to_be_visible(timeout=window.START_WITHIN)
    expect(page.get_by_role("dialog")).to_be_hidden()
    # The repeated request finds the first one at work, and does not wait for it.
    until(lambda: not hub.has_container(hub.server_name("ada")), _STOPS_WITHIN, "the server is gone")


def test_an_announcement_is_on_every_page_without_a_restart(hub: Clone, page: Page) -> None:
    started = hub.container(hub.settings.hub_name).attrs["State"]["StartedAt"]
    (hub.root / "logo.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" width="61" height="28"/>')
    help_url = "https://help.example.org/"
    written = hub.root / ".env"
    before = written.read_text()
    written.write_text(f"{before}HUB_ANNOUNCEMENT='Down on <Friday>.'\nHUB_LOGO=logo.svg\nHUB_HELP_URL={help_url}\n")
    try:
        printed = hub.up()
        assert "what the hub's pages show and the hub's logo changed" in printed
        page.goto(f"{hub.url}/hub/login")
        expect(page.get_by_text("Down on <Friday>.")).to_be_visible()
        expect(page.get_by_role("link", name="Help")).to_have_attribute("href", help_url)
        assert page.locator("img.jpy-logo").evaluate("image => image.naturalWidth") == 61
    finally:
        written.write_text(before)
        hub.up()
    page.reload()
    expect(page.get_by_text("Down on")).to_be_hidden()
    assert hub.container(hub.settings.hub_name).attrs["State"]["StartedAt"] == started


@pytest.mark.parametrize("width", [390, 1366])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_can_be_read_on_a_phone_and_by_everybody(
    hub: Clone, page: Page, scheme: Literal["light", "dark"], width: int, artifacts: Path
) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 800})
    window.log_in(page, hub.url, "boss", "wrong")
    expect(page.get_by_role("alert").filter(has_text="Invalid username or password")).to_be_visible()
    _assert_readable(page, width)
    page.screenshot(path=artifacts / f"login-{width}-{scheme}.png", full_page=True)
    window.log_in(page, hub.url, "boss", hub.admin_password)
    page.goto(f"{hub.url}/hub/token")
    page.wait_for_function("window._jupyterhub_page_loaded")
    page.get_by_role("button", name="Request new API token").click()
    expect(page.locator("#token-result")).not_to_be_empty()
    for name, (path, shown) in {
        "home": ("hub/home", page.get_by_role("button", name="Start My Server", exact=True)),
        "token": ("hub/token", page.get_by_role("button", name="revoke").first),
        "admin": ("hub/admin", window.user_row(page, "boss")),
        "nothing": ("hub/nothing", page.get_by_role("heading", name="There is no such page")),
        "not-running": ("user/boss/lab", page.get_by_role("button", name="Launch Server")),
    }.items():
        page.goto(f"{hub.url}/{path}")
        expect(shown).to_be_visible()
        _assert_readable(page, width)
        if name == "admin":
            page.get_by_role("button", name="Details of boss").click()
            expect(page.get_by_text("last_activity").first).to_be_visible()
            _assert_readable(page, width)
        page.screenshot(path=artifacts / f"{name}-{width}-{scheme}.png", full_page=True)


def test_the_hubs_own_logo_can_be_seen_in_the_dark(hub: Clone, page: Page) -> None:
    page.emulate_media(color_scheme="dark")
    page.goto(f"{hub.url}/hub/login")
    expect(page.locator("img.jpy-logo")).to_be_visible()
    pixels = sorted(page.evaluate(_CONTRAST_OF_LOGO))
    # All but those at the edges, which are a mixture.
    assert pixels[len(pixels) // 20] >= _CONTRAST_OF_PICTURES


def _assert_readable(page: Page, width: int) -> None:
    """Nothing is wider than the window, buttons stand out from what they say, and each has a name."""
    assert page.evaluate("document.documentElement.scrollWidth") <= width, page.url
    buttons = page.evaluate(_CONTRAST_OF_BUTTONS)
    assert buttons
    assert [one for one in buttons if one[1] < _CONTRAST] == []
    for button in page.get_by_role("button").all():
        expect(button).to_have_accessible_name(re.compile(r"\S"))
