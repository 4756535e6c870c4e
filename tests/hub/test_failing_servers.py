"""What a user reads in the browser, and an operator in `./invoke logs --user`, when a server does not start or ends by
itself. A table at the end of the run says how soon they read it.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import Error, Page, expect

from hubdeploy.contract import labels
from tests import reports
from tests.hub import volumes, window
from tests.hub.clone import Clone
from tests.hub.person import Person
from tests.hub.waiting import until

_TABLE = "failing servers, seconds from the fact to the user's page and to the operator's log"
_USERS = ("greedy", "mistaken", "locked", "late", "ending", "frugal", "verbose")
_PASSWORD = "password of these tests"
_TOLD_WITHIN = 30
# Seconds; the hub finds the end of a server within two.
_FOUND_WITHIN = 15
# The least that a server may have; the test takes twice as much.
_MEMORY, _GREED = "256M", 512 * 1024**2
# Bytes; twice as much as the engine keeps of a log.
_PRINTED = 60_000_000
# An operator's own lines at the top of the start script, each of which only one user meets.
_MISTAKES = f"""
case "${{JUPYTERHUB_USER:-}}" in
greedy) exec /usr/bin/python3 -c 'x = b"x" * {_GREED}' ;;
mistaken) load-the-module-of-our-lab ;;
esac
"""


@pytest.fixture(scope="module")
def troubled(hub: Clone, new_clone: Callable[..., Clone], pytestconfig: pytest.Config) -> Iterator[Clone]:
    """A deployment whose start script has a mistake, and one of whose volumes belongs to root."""
    made = new_clone("\n".join(_USERS), USER_PASSWORD=_PASSWORD, USER_MEMORY_LIMIT=_MEMORY)
    made.share_images_of(hub)
    script = made.root / "base-notebook" / "start-singleuser.sh"
    script.write_text(script.read_text().replace("set -euo pipefail\n", f"set -euo pipefail\n{_MISTAKES}", 1))
    made.up()
    _make_volume_of_root(made, "locked")
    reports.add_row(pytestconfig, _TABLE, ("what happened", "page", "log"))
    yield made
    made.remove()


def _make_volume_of_root(clone: Clone, user: str) -> None:
    name = clone.server_name(user)
    own = {labels.DEPLOYMENT: clone.name, labels.ROLE: "volume", labels.UID: str(clone.settings.nb_uid)}
    clone.client.volumes.create(name, labels=own)
    # With a file: the engine gives an empty volume the owner of the image's folder.
    volumes.fill(clone.client, name, clone.settings.notebook_image, {"notes.txt": b"of another machine"})


# What happened -> the user, what the page says, and what the log says besides.
_FAILURES = {
    "killed for memory": (
        "greedy", "The server ran out of memory while it started. Its limit is 256 MiB.", "with USER_MEMORY_LIMIT",
    ),
    "a mistake in the start script": (
        "mistaken", "load-the-module-of-our-lab: command not found", "ended with exit code 127 while it started",
    ),
    "a volume that is not writable": (
        "locked", "it belongs to UID 0", "docker run --rm --user 0 --entrypoint chown",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", _FAILURES)
def test_user_and_operator_read_why_a_server_did_not_start(
    troubled: Clone, page: Page, artifacts: Path, pytestconfig: pytest.Config, what: str
) -> None:
    user, for_both, for_operator = _FAILURES[what]
    since = time.time()
    on_page = _start_in_vain(troubled, page, user, [for_both])
    for operators in ("docker run", "invoke", "USER_MEMORY_LIMIT"):
        expect(page.locator("body")).not_to_contain_text(operators)
    page.screenshot(path=artifacts / f"failed-{user}.png")
    in_log = _read_in_log(troubled, user, [for_both, for_operator])
    fact = _ended_at(troubled, user, since)
    reports.add_row(pytestconfig, _TABLE, (what, f"{on_page - fact:.1f}", f"{in_log - fact:.1f}"))
    assert not troubled.has_container(troubled.server_name(user))


def test_the_command_in_the_message_makes_the_volume_the_users(troubled: Clone) -> None:
    person = _logged_in(troubled, "locked")
    person.call("POST", "/hub/api/users/locked/server")
    until(lambda: "chown" in troubled.invoke("logs", "--user", "locked"), _TOLD_WITHIN, "the message is in the log")
    shown = re.search(r"`(docker run [^`]*)`", troubled.invoke("logs", "--user", "locked"))
    assert shown
    subprocess.run(shlex.split(shown[1]), check=True, timeout=60)
    person.start_server()


def test_a_missing_image_is_reported_and_up_brings_it_back(
    troubled: Clone, page: Page, artifacts: Path, pytestconfig: pytest.Config
) -> None:
    texts = (f"The image {troubled.settings.notebook_image} is not on this host", "./invoke up")
    troubled.client.images.remove(troubled.settings.notebook_image, force=True, noprune=True)
    fact = time.time()
    on_page = _start_in_vain(troubled, page, "late", ["The server has no image. Tell the operator"])
    page.screenshot(path=artifacts / "failed-late.png")
    in_log = _read_in_log(troubled, "late", texts)
    reports.add_row(pytestconfig, _TABLE, ("an image that is gone", f"{on_page - fact:.1f}", f"{in_log - fact:.1f}"))
    troubled.up()
    _logged_in(troubled, "late").start_server()


def test_the_page_of_a_stopped_server_says_how_it_ended(
    troubled: Clone, page: Page, artifacts: Path, pytestconfig: pytest.Config
) -> None:
    _logged_in(troubled, "ending").start_server()
    window.log_in(page, troubled.url, "ending", _PASSWORD)
    fact = time.time()
    troubled.container(troubled.server_name("ending")).kill()
    ended = page.get_by_text("The server was stopped from outside. Start it again.")

    def is_shown() -> bool:
        # The page of a server that does not answer goes on by itself, perhaps at this moment.
        with suppress(Error):
            page.goto(f"{troubled.url}/user/ending/lab")
        return ended.is_visible()

    until(is_shown, _FOUND_WITHIN, "the page says how the server ended")
    on_page = time.time()
    page.screenshot(path=artifacts / "ended-by-itself.png")
    # JupyterHub's own poll, each half minute, would find it too.
    assert "the engine reports the end of the server" in troubled.invoke("logs", "--no-follow", "--tail", "1000")
    in_log = _read_in_log(troubled, "ending", ["The server was stopped from outside", "its exit code is 137"])
    row = ("a running server that ended", f"{on_page - fact:.1f}", f"{in_log - fact:.1f}")
    reports.add_row(pytestconfig, _TABLE, row)


def test_a_kernel_that_ran_out_of_memory_is_no_reason_for_a_later_shutdown(troubled: Clone, page: Page) -> None:
    frugal = _logged_in(troubled, "frugal")
    frugal.start_server()
    kernel = frugal.open_kernel()
    kernel.send(f"x = b'x' * {_GREED}")
    server = troubled.server_name("frugal")
    until(lambda: bool(_recorded(troubled, "frugal", "oom")), _TOLD_WITHIN, "the kernel ran out of memory")
    assert troubled.container(server).status == "running"
    frugal.call("POST", "/user/frugal/api/shutdown").raise_for_status()
    until(lambda: not troubled.has_container(server), _FOUND_WITHIN, "the hub has removed the server")
    window.log_in(page, troubled.url, "frugal", _PASSWORD)
    page.goto(f"{troubled.url}/user/frugal/lab")
    expect(page.locator("body")).to_contain_text("The server was shut down.")
    expect(page.locator("body")).not_to_contain_text("memory")
    expect(page.locator("body")).not_to_contain_text("last words")
    assert "memory" not in troubled.invoke("logs", "--user", "frugal")


def test_a_server_that_prints_without_end_does_not_fill_the_disk(troubled: Clone) -> None:
    _logged_in(troubled, "verbose").start_server()
    server = troubled.container(troubled.server_name("verbose"))
    printed = f"yes {'x' * 1000} | head -c {_PRINTED} > /proc/1/fd/1"
    assert server.exec_run(["sh", "-c", printed]).exit_code == 0
    assert 10_000_000 < len(server.logs()) < 30_000_000
    server.remove(force=True)


def _logged_in(clone: Clone, user: str) -> Person:
    person = clone.person(user)
    person.log_in(_PASSWORD).raise_for_status()
    person.take_token()
    return person


def _start_in_vain(clone: Clone, page: Page, user: str, texts: Iterable[str]) -> float:
    """The time at which the browser showed all texts, as seconds since the epoch."""
    window.log_in(page, clone.url, user, _PASSWORD)
    page.get_by_role("button", name="Start My Server", exact=True).click()
    for words in texts:
        expect(page.locator("body")).to_contain_text(words, timeout=_TOLD_WITHIN * 1000)
    return time.time()


def _read_in_log(clone: Clone, user: str, texts: Iterable[str]) -> float:
    """The time at which the operator's command had printed them, as seconds since the epoch."""
    printed = clone.invoke("logs", "--user", user)
    for words in texts:
        assert words in printed
    return time.time()


def _ended_at(clone: Clone, user: str, since: float) -> float:
    """The time at which the user's container ended, in the engine's record, as seconds since the epoch."""
    return _recorded(clone, user, "die", since)[-1]


def _recorded(clone: Clone, user: str, event: str, since: float = 0) -> list[float]:
    """The times of one kind of event of the user's container that the engine still knows, as seconds since the epoch."""
    found = clone.client.events(
        since=int(since), until=int(time.time()) + 1, decode=True,
        filters={"event": event, "container": clone.server_name(user)},
    )  # fmt: skip
    return [float(one["timeNano"]) / 1e9 for one in found]
