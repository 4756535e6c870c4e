"""Which servers are stopped as nothing runs in them, on the real images, with limits of a minute instead of hours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.hub import window
from tests.hub.clone import Clone
from tests.hub.foreign_image import build_docker_stacks
from tests.hub.person import Person
from tests.hub.waiting import until

_PASSWORD = "password of these tests"
_STOPPED_WITHIN = 240
_USERS = ("silent", "program", "looking", "away", "forgotten")
# What a page that is covered by another one, or minimized, says of itself.
_OUT_OF_SIGHT = """() => {
  Object.defineProperty(document, "hidden", { get: () => true });
  Object.defineProperty(document, "visibilityState", { get: () => "hidden" });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


@pytest.fixture(scope="module")
def quick(hub: Clone, new_clone: Callable[..., Clone]) -> Iterator[Clone]:
    """A deployment in which a minute is a night."""
    limits = {"IDLE_TIMEOUT": "1m", "KERNEL_IDLE_TIMEOUT": "1m"}
    made = new_clone("\n".join(_USERS), USER_PASSWORD=_PASSWORD, USER_MEMORY_LIMIT="512M", **limits)
    made.share_images_of(hub)
    made.up()
    yield made
    made.remove()


def open_lab(clone: Clone, page: Page, name: str) -> None:
    window.log_in(page, clone.url, name, _PASSWORD)
    page.wait_for_url("**/hub/home")
    page.goto(f"{clone.url}/user/{name}/lab")
    # Messages are shown from then on.
    expect(page.locator("#hub-memory")).to_be_visible(timeout=window.START_WITHIN)


@pytest.mark.slow
def test_only_forgotten_servers_are_stopped_and_each_user_reads_when_and_why(
    quick: Clone, new_page: Callable[[], Page], artifacts: Path
) -> None:
    silent = quick.person("silent")
    cell = silent.at_work(_PASSWORD)
    cell.send("import time; time.sleep(3600)")
    cell.close()
    program = quick.person("program")
    program.at_work(_PASSWORD)
    quick.container(quick.server_name("program")).exec_run(["sh", "-c", "while :; do :; done"], detach=True)
    looking = quick.person("looking")
    looking.at_work(_PASSWORD)
    in_sight = new_page()
    open_lab(quick, in_sight, "looking")
    away = quick.person("away")
    away.at_work(_PASSWORD)
    out_of_sight = new_page()
    open_lab(quick, out_of_sight, "away")
    out_of_sight.evaluate(_OUT_OF_SIGHT)
    # Its kernel's websocket stays open, as when somebody leaves a page.
    forgotten = quick.person("forgotten")
    left_open = forgotten.at_work(_PASSWORD)

    warning = out_of_sight.get_by_role("status").get_by_role("listitem").filter(has_text="as nothing runs in it")
    expect(warning).to_be_visible(timeout=_STOPPED_WITHIN * 1000)
    out_of_sight.screenshot(path=artifacts / "jupyterlab-idle.png")
    before = away.servers()[""]["last_activity"]
    warning.get_by_role("button", name="Keep my server").click()
    until(lambda: away.servers()[""]["last_activity"] > before, 30, "the hub knows that it is kept")
    until(lambda: not quick.has_container(quick.server_name("forgotten")), _STOPPED_WITHIN, "the forgotten one is gone")
    until(lambda: not forgotten.servers(), 30, "the hub knows it")
    left_open.close()
    for person in (silent, program, looking):
        assert person.servers()[""]["ready"], person.name

    reason = "as nothing ran in it for 1 minute."
    page = new_page()
    window.log_in(page, quick.url, "forgotten", _PASSWORD)
    page.wait_for_url("**/hub/home")
    expect(page.get_by_role("status").filter(has_text=reason)).to_contain_text("Your server was stopped at")
    page.screenshot(path=artifacts / "home-idle.png")
    assert reason in quick.invoke("logs", "--user", "forgotten")
    window.start_server(page, quick.url)
    expect(page.get_by_role("status").get_by_role("listitem").filter(has_text=reason)).to_be_visible(timeout=30_000)

    # An open page holds its kernel no longer than that, and work does.
    def kernels(person: Person) -> list[str]:
        answer = person.call("GET", f"/user/{person.name}/api/kernels?no_track_activity=1")
        return [one["execution_state"] for one in answer.json()]

    until(lambda: kernels(looking) == [], _STOPPED_WITHIN, "the kernel of the page is shut down")
    assert kernels(silent) == ["busy"]


@pytest.mark.slow
def test_in_an_image_of_others_a_cell_that_only_waits_keeps_its_server(
    hub: Clone, new_clone: Callable[..., Clone]
) -> None:
    image = build_docker_stacks(hub.settings)
    foreign = new_clone(
        "silent\nforgotten\n", USER_PASSWORD=_PASSWORD, DOCKER_NOTEBOOK_IMAGE=image, NB_USER="jovyan", IDLE_TIMEOUT="1m"
    )
    foreign.share_images_of(hub)
    try:
        foreign.up()
        silent, forgotten = foreign.person("silent"), foreign.person("forgotten")
        cell = silent.at_work(_PASSWORD)
        cell.send("import time; time.sleep(3600)")
        cell.close()
        left_open = forgotten.at_work(_PASSWORD)
        until(lambda: not forgotten.servers(), _STOPPED_WITHIN, "the forgotten one is gone")
        left_open.close()
        assert silent.servers()[""]["ready"]
        tokens = silent.call("GET", "/hub/api/users/silent/tokens").json()["api_tokens"]
        assert not [one for one in tokens if one["note"] == "busy kernels"]
    finally:
        foreign.remove()
