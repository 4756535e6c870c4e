"""More people than a host has memory for, on the real images: nobody is stopped, and whoever waits gets in by themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.hub import window
from tests.hub.clone import Clone
from tests.hub.person import Person
from tests.hub.waiting import until

_PASSWORD = "password of these tests"
_STUDENTS = tuple(f"student{number:02}" for number in range(1, 20))
# Of 2 GB a quarter is the deployment's; each server is sure of 256 MB.
_SEATS = 6


@pytest.fixture(scope="module")
def small(new_lab: Callable[..., Clone]) -> Iterator[Clone]:
    """A deployment that may take 2 GB of its host's memory."""
    people = "\n".join([*_STUDENTS, "boss admin"])
    passwords = {"USER_PASSWORD": _PASSWORD, "ADMIN_PASSWORD": _PASSWORD * 2}
    made = new_lab(people, **passwords, HOST_MEMORY="2G", USER_MEMORY_LIMIT="512M")
    yield made
    made.remove()


def asking(clone: Clone, name: str) -> Person:
    person = clone.person(name).enter(_PASSWORD * 2 if name == "boss" else _PASSWORD)
    person.call("POST", f"/hub/api/users/{name}/server").raise_for_status()
    return person


def state(person: Person) -> str:
    server = person.servers().get("")
    return "none" if server is None else str(server["pending"] or ("ready" if server["ready"] else "?"))


@pytest.mark.slow
def test_twenty_people_on_a_host_for_six_all_get_in_one_after_the_other(
    small: Clone, new_page: Callable[[], Page], artifacts: Path
) -> None:
    waiting = [asking(small, name) for name in _STUDENTS]

    def inside() -> list[Person]:
        return [one for one in waiting if state(one) == "ready"]

    until(lambda: len(inside()) == _SEATS, 120, "the first six have a server")
    assert {one.name for one in inside()} == set(_STUDENTS[:_SEATS])
    page = new_page()
    window.log_in(page, small.url, "boss", _PASSWORD * 2)
    page.wait_for_url("**/hub/home")
    page.goto(f"{small.url}/hub/spawn")
    expect(page.locator("#progress-message")).to_have_text(
        "This host is full. You are the first in the queue. Your server starts by itself when there is room. Keep this page open."
    )
    expect(page.get_by_text("You wait for a server.")).to_be_visible()
    page.screenshot(path=artifacts / "seats-queue.png")
    page.get_by_role("button", name="Leave the queue").click()
    page.wait_for_url("**/user/boss/**")
    expect(page.get_by_role("heading", name="Server not running")).to_be_visible()
    page.goto(f"{small.url}/hub/spawn")
    expect(page.locator("#progress-message")).to_contain_text("first in the queue")
    assert [state(one) for one in waiting] == ["ready"] * _SEATS + ["spawn"] * (len(waiting) - _SEATS)

    # An admin's turn is next.
    order, there = [], inside()
    kernels = {one.name: one.open_kernel() for one in there}
    there[0].call("DELETE", f"/hub/api/users/{there[0].name}/server").raise_for_status()
    waiting.remove(there[0])
    page.wait_for_url("**/user/boss/lab**", timeout=60_000)
    assert len(inside()) == _SEATS - 1
    while waiting:
        for one in inside():
            if one.name not in kernels:
                order.append(one.name)
                kernels[one.name] = one.open_kernel()
            assert kernels[one.name].run("print(6 * 7)") == "42\n"
        leaving = next(one for one in waiting if one.name in kernels)
        leaving.call("DELETE", f"/hub/api/users/{leaving.name}/server").raise_for_status()
        waiting.remove(leaving)
        if any(one.name not in kernels for one in waiting):
            until(lambda: len(inside()) == _SEATS - 1, 60, "the next one got in")
        assert len(inside()) < _SEATS
    assert order == list(_STUDENTS[_SEATS:])
    log = small.container(small.settings.hub_name).logs().decode()
    assert log.count("has no memory for another server") == 1, "the operator reads it once"
