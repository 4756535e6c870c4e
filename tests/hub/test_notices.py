"""What JupyterLab tells its user in a real browser: memory, why a kernel ended, and messages that are kept until read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from hubdeploy.settings import env_local
from tests.hub import window
from tests.hub.clone import Clone
from tests.hub.person import Person
from tests.hub.waiting import until

_PASSWORD = "password of these tests"
_ADMIN_PASSWORD = "password of the admins of these tests"
_MEMORY, _DISK = "384M", "64M"
_GREEDY = "kept = []\nwhile True:\n    kept.append(bytearray(10**7))"
_SHOWN_WITHIN = 30_000
# A server asks a hub that was away in growing pauses.
_SHOWN_BY_ANOTHER_HUB_WITHIN = 90_000


@pytest.fixture(scope="module")
def small(hub: Clone, new_clone: Callable[..., Clone]) -> Iterator[Clone]:
    """A deployment whose servers have little memory, and whose users little of the disk."""
    passwords = {"USER_PASSWORD": _PASSWORD, "ADMIN_PASSWORD": _ADMIN_PASSWORD}
    users = "ada\ncareful\nkeen\nboss admin\n"
    made = new_clone(users, USER_MEMORY_LIMIT=_MEMORY, USER_DISK_LIMIT=_DISK, **passwords)
    made.share_images_of(hub)
    made.up()
    yield made
    made.remove()


def logged_in(clone: Clone, name: str, password: str = _PASSWORD) -> Person:
    person = clone.person(name)
    assert person.log_in(password).ok
    person.take_token()
    return person


def announce(clone: Clone, text: str) -> None:
    env = clone.root / ".env"
    others = [line for line in env.read_text().splitlines() if not line.startswith("HUB_ANNOUNCEMENT=")]
    env.write_text(env_local.added("\n".join([*others, ""]), {"HUB_ANNOUNCEMENT": text}, "for these tests"))
    clone.up()


def message(page: Page, text: str | re.Pattern[str]) -> Locator:
    """A message at the top of the page."""
    return page.get_by_role("status").get_by_role("listitem").filter(has_text=text)


def test_a_kernel_that_ran_out_of_memory_says_so_below_its_cell(small: Clone, page: Page, artifacts: Path) -> None:
    window.log_in(page, small.url, "ada", _PASSWORD)
    window.start_server(page, small.url)
    expect(page.locator("#hub-memory")).to_contain_text("of 384 MiB", timeout=_SHOWN_WITHIN)
    size = ["python3", "-c", "import os; shm = os.statvfs('/dev/shm'); print(shm.f_frsize * shm.f_blocks // 1024**2)"]
    assert small.container(small.server_name("ada")).exec_run(size).output == b"384\n"

    window.open_notebook(page)
    reason = "The kernel of Untitled.ipynb ran out of memory and was ended. The limit of this server is 384 MiB."
    output = window.run_cell(page, _GREEDY)
    expect(output).to_contain_text(reason, timeout=window.RUN_WITHIN)
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(reason)
    page.screenshot(path=artifacts / "jupyterlab-out-of-memory.png")
    dialog.get_by_role("button", name="Ok").click()
    # The kernel is there again, and its message was read: no page shows it once more.
    expect(window.run_cell(page, "print(6 * 7)")).to_have_text("42", timeout=window.RUN_WITHIN)
    expect(message(page, "ran out of memory")).to_have_count(0)

    # A program in a terminal, which no notebook knows.
    greedy = ["/opt/conda/bin/python", "-c", "kept = b'x' * 500_000_000"]
    assert small.container(small.server_name("ada")).exec_run(greedy).exit_code == 137
    told = message(
        page, "A program in this server ran out of memory and was ended. The limit of this server is 384 MiB"
    )
    expect(told).to_be_visible(timeout=_SHOWN_WITHIN)


def test_a_message_stays_until_it_was_read(small: Clone, page: Page, artifacts: Path) -> None:
    announce(small, "No hub on Sunday. <img src=x onerror=\"document.title='run'\">")
    person = logged_in(small, "careful")
    person.start_safely()
    window.log_in(page, small.url, "careful", _PASSWORD)
    page.wait_for_url("**/hub/home")
    page.goto(f"{small.url}/user/careful/lab")
    announced = message(page, 'No hub on Sunday. <img src=x onerror="')
    reason = message(page, "This is a safe start. You asked for it.")
    expect(announced).to_be_visible(timeout=_SHOWN_WITHIN)
    expect(reason).to_be_visible()
    page.screenshot(path=artifacts / "jupyterlab-messages.png")
    page.get_by_role("menuitem", name="Settings").click()
    page.get_by_text("Theme", exact=True).hover()
    page.get_by_text("JupyterLab Dark", exact=True).click()
    expect(page.locator("body[data-jp-theme-light=false]")).to_have_count(1)
    page.screenshot(path=artifacts / "jupyterlab-messages-dark.png")

    # Neither a new page, nor a new server, nor a new hub takes away what was not read.
    small.container(small.settings.hub_name).restart()
    until(lambda: person.call("GET", "/hub/api").ok, 60, "the hub answers")
    window.stop_server(page, small.url)
    person.start_safely()
    page.goto(f"{small.url}/user/careful/lab")
    expect(announced).to_be_visible(timeout=_SHOWN_WITHIN)
    with page.expect_response(lambda answer: answer.request.method == "DELETE" and answer.status == 204):
        announced.get_by_role("button", name="Dismiss").click()
    expect(announced).to_have_count(0)
    reason.get_by_role("button", name="Dismiss").click()
    expect(reason).to_have_count(0)

    page.reload()
    # The safe start lasts, so its reason is back. What was read is not.
    expect(reason).to_be_visible(timeout=_SHOWN_WITHIN)
    expect(announced).to_have_count(0)
    announce(small, "No hub on Monday.")
    expect(message(page, "No hub on Monday.")).to_be_visible(timeout=_SHOWN_WITHIN)
    assert "run" not in page.title()


def test_who_takes_more_of_the_disk_than_allowed_is_told_and_starts_safely_until_files_are_deleted(
    small: Clone, page: Page, artifacts: Path
) -> None:
    def restart_hub() -> None:
        """A hub measures as soon as it has started."""
        small.container(small.settings.hub_name).restart()
        until(lambda: person.call("GET", "/hub/api").ok, 60, "the hub answers")

    def write(size: int) -> None:
        script = f"head -c {size}000000 /dev/zero > large; sync large"
        assert small.container(small.server_name("keen")).exec_run(["sh", "-c", script]).exit_code == 0

    person = logged_in(small, "keen")
    person.start_server()
    write(55)
    window.log_in(page, small.url, "keen", _PASSWORD)
    page.wait_for_url("**/hub/home")
    page.goto(f"{small.url}/user/keen/lab")
    # The hub serves JupyterLab's files: until all are there it must not be away.
    expect(page.locator("#hub-memory")).to_be_visible(timeout=_SHOWN_WITHIN)
    restart_hub()
    expect(message(page, re.compile(r"Your files take 5\d MB of your 67 MB\. Delete"))).to_be_visible(
        timeout=_SHOWN_BY_ANOTHER_HUB_WITHIN
    )
    write(75)
    restart_hub()
    expect(message(page, "Your next server starts without your settings")).to_be_visible(
        timeout=_SHOWN_BY_ANOTHER_HUB_WITHIN
    )
    page.screenshot(path=artifacts / "jupyterlab-disk-limit.png")

    small.stop_server(person)
    person.start_server()
    page.goto(f"{small.url}/user/keen/lab")
    expect(message(page, "This is a safe start. Your files take")).to_be_visible(timeout=_SHOWN_WITHIN)
    assert small.container(small.server_name("keen")).exec_run(["rm", "large"]).exit_code == 0
    small.stop_server(person)
    person.start_server()
    page.goto(f"{small.url}/user/keen/lab")
    expect(page.locator("#hub-memory")).to_be_visible(timeout=_SHOWN_WITHIN)
    expect(message(page, "safe start")).to_have_count(0)


def test_nobody_reads_or_dismisses_messages_of_others(small: Clone) -> None:
    person = logged_in(small, "ada")
    assert person.call("GET", "/hub/api/users/ada/notices").status_code == 200
    assert person.call("GET", "/hub/api/users/careful/notices").status_code == 404
    assert person.call("DELETE", "/hub/api/users/careful/notices/any").status_code == 404
    assert small.person("ada").call("GET", "/hub/api/users/ada/notices").status_code == 403
    # An admin may open the server, and read there. That the user has read something, only the user can say.
    person.start_server()
    boss = logged_in(small, "boss", _ADMIN_PASSWORD)
    assert boss.call("GET", "/user/ada/api/hub-notices").status_code == 200
    assert boss.call("DELETE", "/user/ada/api/hub-notices/any").status_code == 403
    assert boss.call("DELETE", "/hub/api/users/ada/notices/any").status_code == 403
    assert person.call("DELETE", "/user/ada/api/hub-notices/any").status_code == 204
