"""The admin page on the real images: what each server takes and for how long it is idle, and notices to a group."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.hub import window
from tests.hub.clone import Clone

_PASSWORD = "password of these tests"
_ADMIN_PASSWORD = "password of the admins of these tests"
_KINDS = """
kinds:
  small: {title: Small, memory: 512M}
  large: {title: Large, memory: 1G, cpus: 1.5, users: [boss]}
"""
_TEXT = "Save now: the machine restarts at 12:00. <img src=x onerror=\"document.title='run'\">"
_MEASURED_WITHIN, _SHOWN_WITHIN = 60_000, 20_000
# Pixels of a phone.
_NARROW = 390


@pytest.fixture(scope="module")
def lab(new_lab: Callable[..., Clone]) -> Iterator[Clone]:
    passwords = {"USER_PASSWORD": _PASSWORD, "ADMIN_PASSWORD": _ADMIN_PASSWORD}
    made = new_lab("ada\nbob\nboss admin\n", _KINDS, **passwords, IDLE_TIMEOUT="2h")
    yield made
    made.remove()


def admin_page(lab: Clone, page: Page) -> None:
    window.log_in(page, lab.url, "boss", _ADMIN_PASSWORD)
    page.wait_for_url("**/hub/home")
    page.goto(f"{lab.url}/hub/admin")


def open_lab(lab: Clone, page: Page, name: str) -> None:
    window.log_in(page, lab.url, name, _PASSWORD)
    page.wait_for_url("**/hub/home")
    page.goto(f"{lab.url}/user/{name}/lab")
    # Messages are shown from then on.
    expect(page.locator("#hub-memory")).to_be_visible(timeout=window.START_WITHIN)


def cell(page: Page, user: str, column: str) -> Locator:
    return page.locator(f"#servers [data-server={user}] [data-column={column}]")


def in_lab(page: Page) -> Locator:
    """The notice at the top of JupyterLab."""
    return page.get_by_role("status").get_by_role("listitem").filter(has_text="Save now")


def on_a_page(page: Page) -> Locator:
    return page.get_by_role("status").filter(has_text="Save now")


def take_pictures(page: Page, artifacts: Path) -> None:
    """Light and dark, wide and narrow; no width needs scrolling to the side."""
    for width in (_NARROW, 1366):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        for theme in ("light", "dark"):
            page.evaluate(f"document.documentElement.dataset.bsTheme = '{theme}'")
            page.screenshot(path=artifacts / f"admin-servers-{width}-{theme}.png", full_page=True)


@pytest.mark.slow
def test_an_admin_sees_what_each_server_takes_and_tells_a_group_something(
    lab: Clone, new_page: Callable[[], Page], artifacts: Path
) -> None:
    boss, ada, bob = lab.person("boss"), lab.person("ada"), lab.person("bob")
    ada.at_work(_PASSWORD).send("while True: pass")
    bob.at_work(_PASSWORD).close()
    assert boss.log_in(_ADMIN_PASSWORD).ok
    boss.take_token()
    boss.call("POST", "/hub/api/groups/physics").raise_for_status()
    boss.call("POST", "/hub/api/groups/physics/users", json={"users": ["ada"]}).raise_for_status()

    page = new_page()
    admin_page(lab, page)
    busy, idle = cell(page, "ada", "processor"), cell(page, "bob", "processor")
    # A loop takes what it gets, on a machine with other work as well.
    expect(busy).to_have_text(re.compile(r"^[1-9]\d+ %"), timeout=_MEASURED_WITHIN)
    expect(idle).to_have_text(re.compile(r"1?\d %"), timeout=_MEASURED_WITHIN)
    expect(cell(page, "bob", "active")).to_have_text(re.compile(r"\d min"))
    expect(cell(page, "bob", "stops")).not_to_have_text("–")
    expect(cell(page, "ada", "kind")).to_have_text("Small")
    expect(cell(page, "ada", "memory")).to_contain_text(" of 512 MB")
    expect(page.locator("#servers-host")).to_contain_text("2 servers run. Servers take")
    page.get_by_role("button", name="Processor").click()
    assert page.locator("#servers-rows tr").first.get_attribute("data-server") == "ada"

    adas, bobs = new_page(), new_page()
    open_lab(lab, adas, "ada")
    open_lab(lab, bobs, "bob")
    page.get_by_text("Notices to users").click()
    page.get_by_label("Text of the notice").fill(_TEXT)
    page.get_by_label("To whom").select_option("physics")
    page.get_by_role("button", name="Send notice").click()
    expect(page.get_by_text("The notice to the group physics is sent.")).to_be_visible()
    expect(in_lab(adas)).to_be_visible(timeout=_SHOWN_WITHIN)
    adas.screenshot(path=artifacts / "jupyterlab-notice.png")
    for mine, seen in ((adas, 1), (bobs, 0)):
        mine.goto(f"{lab.url}/hub/home")
        expect(mine.get_by_role("button", name="Stop My Server", exact=True)).to_be_visible()
        expect(on_a_page(mine)).to_have_count(seen)
    assert "run" not in adas.title()
    adas.screenshot(path=artifacts / "home-notice.png")
    take_pictures(page, artifacts)

    adas.goto(f"{lab.url}/user/ada/lab")
    expect(in_lab(adas)).to_be_visible(timeout=_SHOWN_WITHIN)
    bobs.goto(f"{lab.url}/user/bob/lab")
    expect(bobs.locator("#hub-memory")).to_be_visible(timeout=window.START_WITHIN)
    expect(in_lab(bobs)).to_have_count(0)
    page.get_by_role("button", name="Take back").click()
    expect(page.get_by_text("The notice is shown no longer.")).to_be_visible()
    expect(in_lab(adas)).to_have_count(0, timeout=_SHOWN_WITHIN)
    assert "notice to physics: Save now" in " ".join(lab.invoke("audit").split())
