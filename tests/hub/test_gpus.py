"""Cards (GPUs) on the real images and a real engine: each server of a kind with cards has its own, whoever finds none waits in
words, and the hub gets no card for anybody by asking for it.

Cards are devices of this engine's host that are made here, with the numbers of /dev/null. NVIDIA's cannot be tried without one:
here is only what the engine answers then.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from hubdeploy.contract import labels
from tests.hub import window
from tests.hub.clone import Clone
from tests.hub.person import Person
from tests.hub.waiting import until

_PASSWORD, _ADMIN_PASSWORD = "password of these tests", "password of the admins of these tests"
# Pixels of a phone, and milliseconds in which the admin page knows what was asked of the engine.
_NARROW, _SHOWN_WITHIN = 390, 60_000
_KINDS = "kinds:\n  plain: {title: Plain}\n  gpu: {title: With a card, gpus: 1}\n"
# The devices of a server's cards, and whether it can use them.
_SHOW = """
import os
folder = {folder!r}
for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
    with open(os.path.join(folder, name), "r+b", buffering=0) as device:
        device.write(b"x")
        print(name, device.read())
"""
# As the hub's own root, past everything that the hub checks.
_ASK_THE_FILTER = """
import json, sys
from engine import client
engine = client()
for name, carried in json.loads(sys.argv[1]):
    answer = engine._post_json(engine._url("/containers/create"), data={"Labels": carried}, params={"name": name})
    print(answer.status_code, answer.json().get("message"))
"""


def _on_the_host(hub: Clone, script: str) -> None:
    """Runs a script as root of the engine's host, whose devices it finds in /host."""
    image = hub.settings.image_reference("hub")
    volumes = {"/dev": {"bind": "/host", "mode": "rw"}}
    hub.client.containers.run(image, ["-ec", script], entrypoint="/bin/sh", user="0", volumes=volumes, remove=True)


@pytest.fixture(scope="module")
def folder(hub: Clone) -> Iterator[str]:
    """A folder of the engine's host with two devices."""
    name = f"hubtest-{secrets.token_hex(4)}"
    made = " && ".join(f"mknod -m 666 /host/{name}/fake{number} c 1 3" for number in (0, 1))
    try:
        _on_the_host(hub, f"mkdir /host/{name} && {made}")
        yield f"/dev/{name}"
    finally:
        _on_the_host(hub, f"rm -rf /host/{name}")


@pytest.fixture(scope="module")
def lab(folder: str, new_lab: Callable[..., Clone]) -> Iterator[Clone]:
    named = ", ".join(f"{folder}/fake{number}" for number in (0, 1))
    people = "ada\nbob\ncleo\ndan\nboss admin\n"
    made = new_lab(people, _KINDS, USER_PASSWORD=_PASSWORD, ADMIN_PASSWORD=_ADMIN_PASSWORD, GPUS=named)
    yield made
    made.remove()


def _person(lab: Clone, name: str) -> Person:
    return lab.person(name).enter(_PASSWORD)


def _ask(person: Person, kind: str) -> None:
    person.call("POST", f"/hub/api/users/{person.name}/server", json={"kind": kind}).raise_for_status()


def _is_ready(person: Person) -> bool:
    return bool(person.servers().get("", {}).get("ready"))


def _devices(person: Person, folder: str) -> str:
    kernel = person.open_kernel()
    try:
        return kernel.run(_SHOW.format(folder=folder))
    finally:
        kernel.close()


@pytest.mark.slow
def test_each_server_has_a_card_of_its_own_and_who_finds_none_waits_until_one_is_free(
    lab: Clone, folder: str, new_page: Callable[[], Page], artifacts: Path
) -> None:
    ada, bob, cleo, dan = (_person(lab, name) for name in ("ada", "bob", "cleo", "dan"))
    for one in (ada, bob):
        _ask(one, "gpu")
    until(lambda: _is_ready(ada) and _is_ready(bob), 120, "both have a server")
    seen = {one.name: _devices(one, folder) for one in (ada, bob)}
    assert sorted(seen.values()) == ["fake0 b''\n", "fake1 b''\n"], "each has one, and no two the same"
    dan.start_server("plain")
    assert _devices(dan, folder) == ""

    page = new_page()
    window.log_in(page, lab.url, "cleo", _PASSWORD)
    page.wait_for_url("**/hub/home")

    def waits() -> None:
        _ask(cleo, "gpu")
        page.goto(f"{lab.url}/hub/spawn-pending/cleo")
        expect(page.locator("#progress-message")).to_have_text(
            "All 2 cards (GPUs) of this host are taken. You are the first in the queue. Your server starts by itself when a card"
            " is free for it. Keep this page open."
        )

    waits()
    page.screenshot(path=artifacts / "gpus-queue.png")
    # Who needs no card does not wait behind her.
    lab.stop_server(dan)
    dan.start_server("plain")

    # A hub that was replaced knows who has a card.
    lab.container(lab.settings.hub_name).restart()
    until(lambda: lab.container(lab.settings.hub_name).health == "healthy", 60, "the hub is back")
    until(lambda: _is_ready(ada) and _is_ready(bob), 60, "it knows the servers")
    waits()
    shown = lab.invoke("status")
    cards = {one.name: f"{folder}/{seen[one.name].split()[0]}" for one in (ada, bob)}
    rows = [line.split() for line in shown.splitlines() if line.startswith(("ada", "bob", "dan"))]
    assert [(row[0], row[-1] if row[0] != "dan" else "") for row in rows] == [*cards.items(), ("dan", "")]

    _nobody_gets_another_card_by_asking(lab, cards["bob"])
    _an_admin_sees_who_has_which(lab, new_page(), cards, artifacts)

    lab.stop_server(ada)
    page.wait_for_url("**/user/cleo/lab**", timeout=60_000)
    assert _devices(cleo, folder) == seen["ada"]
    assert _devices(bob, folder) == seen["bob"]


def _nobody_gets_another_card_by_asking(lab: Clone, of_bob: str) -> None:
    """The hub, taken over, asks the filter itself."""

    def server(user: str, kind: str, *cards: str) -> tuple[str, dict[str, str]]:
        return lab.server_name(user), {labels.USER: user, labels.KIND: kind, labels.CARDS: ",".join(cards)}

    asked = [
        server("cleo", "gpu", of_bob), server("cleo", "plain", of_bob), server("cleo", "gpu", "/dev/sda"),
        server("cleo", "gpu", "0"), server("cleo", "gpu", of_bob, of_bob), server("cleo", "gpu"),
    ]  # fmt: skip
    before = {one.id for one in lab.containers()}
    code = ["/opt/hub/bin/python", "-c", _ASK_THE_FILTER, json.dumps(asked)]
    answered = lab.container(lab.settings.hub_name).exec_run(code, user="0")
    assert isinstance(answered.output, bytes)
    taken, *refused = answered.output.decode().splitlines()
    assert taken == f"409 The card {of_bob} is another server's."
    assert [line.partition(" the filter refuses this: ")[0] for line in refused] == ["403"] * 5, refused
    assert {one.id for one in lab.containers()} == before


def _an_admin_sees_who_has_which(lab: Clone, page: Page, cards: dict[str, str], artifacts: Path) -> None:
    window.log_in(page, lab.url, "boss", _ADMIN_PASSWORD)
    page.wait_for_url("**/hub/home")
    page.goto(f"{lab.url}/hub/admin")
    for name, words in {**{name: f"With a card, {card}" for name, card in cards.items()}, "dan": "Plain"}.items():
        kind = page.locator(f"#servers [data-server={name}] [data-column=kind]")
        expect(kind).to_have_text(words, timeout=_SHOWN_WITHIN)
    expect(page.locator("#servers-host")).to_contain_text("0 of 2 cards (GPUs) are free.")
    expect(page.locator("#servers-host")).to_contain_text("or 0 With a card more.")
    for width in (_NARROW, 1366):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.screenshot(path=artifacts / f"gpus-admin-{width}.png", full_page=True)


@pytest.mark.slow
def test_an_engine_without_nvidias_driver_is_named_in_the_plan_and_to_who_asks_for_a_card(
    lab: Clone, folder: str, new_page: Callable[[], Page], artifacts: Path
) -> None:
    bob, cleo = (_person(lab, name) for name in ("bob", "cleo"))
    bob.start_server("gpu")
    lab.set_local(GPUS="0, 1")
    planned = lab.invoke("plan")
    for words in (
        f"GPUS: {folder}/fake0, {folder}/fake1 -> 0, 1",
        "GPUS does not name their card any more",
        "GPUS names NVIDIA's card 0, and the engine knows no NVIDIA runtime: servers with a card may not start",
    ):
        assert words in planned
    lab.up()
    assert _is_ready(bob), "who has a card keeps it"
    if cleo.servers():
        lab.stop_server(cleo)
    page = new_page()
    window.log_in(page, lab.url, "cleo", _PASSWORD)
    page.wait_for_url("**/hub/home")
    _ask(cleo, "gpu")
    page.goto(f"{lab.url}/hub/spawn-pending/cleo")
    expect(page.get_by_text("The engine refused to start the server with its card (GPU).").first).to_be_visible()
    page.screenshot(path=artifacts / "gpus-no-driver.png")
    until(lambda: not cleo.servers(), 60, "it has failed")
    log = lab.invoke("logs", "--user", "cleo")
    assert 'could not select device driver "nvidia"' in log
    assert "(It was to have the card 0; docs/servers.md says what that needs.)" in log
    assert not lab.has_container(lab.server_name("cleo"))
    # Without a card all is well.
    cleo.start_server("plain")
