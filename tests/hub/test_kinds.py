"""Kinds of servers on the real images: chosen on a page, remembered, and had by nobody who may not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from docker.models.containers import Container
from playwright.sync_api import Page, expect

from hubdeploy.contract import labels
from tests.hub import window
from tests.hub.clone import Clone
from tests.hub.foreign_image import build_docker_stacks
from tests.hub.person import Person
from tests.hub.waiting import until

_PASSWORD = "password of these tests"
_KINDS = """
environment: {COURSE: physics}
kinds:
  small:
    title: Small
    description: For the exercises
    memory: 512M
  large:
    title: Large
    description: For those who write their thesis
    users: [ada]
    memory: 1G
    cpus: 1.5
    environment: {OMP_NUM_THREADS: 4}
"""
# As the hub's own root, past everything that the hub checks: a large server for bob.
_ASK_THE_FILTER = """
import json
from engine import client
engine = client()
labels = {{"{user}": "bob", "{kind}": "large"}}
answer = engine._post_json(engine._url("/containers/create"), data={{"Labels": labels}}, params={{"name": "{name}"}})
print(json.dumps([answer.status_code, answer.json()["message"]]))
"""


@pytest.fixture(scope="module")
def lab(new_lab: Callable[..., Clone]) -> Iterator[Clone]:
    made = new_lab("ada\nbob\n", _KINDS, USER_PASSWORD=_PASSWORD)
    yield made
    made.remove()


# Image and kernel of a server, and whether its user may write to the volume of files.
_SHOW = "import os; open('written', 'w').close(); print(os.environ['JUPYTER_IMAGE_SPEC'], os.getcwd())"
# An image of ours in which no kernel starts.
_NO_KERNEL = """
USER root
RUN echo 'raise SystemExit("no kernel today")' > /tmp/none && find /opt -name ipykernel_launcher.py -exec cp /tmp/none {} ';'
USER ${NB_UID}
"""


def at_work(person: Person, kind: str) -> str:
    """What a kernel in a server of this kind shows; the server is stopped before and stays then."""
    if person.servers():
        person.call("DELETE", f"/hub/api/users/{person.name}/server")
        until(lambda: not person.servers(), 60, "the server before is stopped")
    person.start_server(kind)
    kernel = person.open_kernel()
    try:
        return kernel.run(_SHOW).strip()
    finally:
        kernel.close()


def choose(page: Page, lab: Clone, title: str) -> None:
    page.get_by_label(title).check()
    page.get_by_role("button", name="Start", exact=True).click()
    page.wait_for_url("**/lab**", timeout=window.START_WITHIN)


def to_the_choice(page: Page, lab: Clone) -> None:
    page.goto(f"{lab.url}/hub/home")
    page.get_by_role("button", name="Start My Server", exact=True).click()
    expect(page.get_by_role("heading", name="Choose a server")).to_be_visible()


def made_of(container: Container) -> tuple[str, float, dict[str, str]]:
    """Kind, GB of memory, and environment."""
    attrs: dict[str, Any] = container.attrs
    environment = dict(line.split("=", 1) for line in attrs["Config"]["Env"])
    return attrs["Config"]["Labels"][labels.KIND], attrs["HostConfig"]["Memory"] / 1024**3, environment


@pytest.mark.slow
def test_a_user_chooses_a_kind_and_nobody_gets_one_that_is_not_theirs(
    lab: Clone, new_page: Callable[[], Page], artifacts: Path
) -> None:
    page = new_page()
    window.log_in(page, lab.url, "ada", _PASSWORD)
    page.wait_for_url("**/hub/home")
    to_the_choice(page, lab)
    expect(page.get_by_label("Small")).to_be_checked()
    page.screenshot(path=artifacts / "kinds-choose.png")
    page.set_viewport_size({"width": 390, "height": 844})
    page.screenshot(path=artifacts / "kinds-choose-phone.png")
    page.set_viewport_size({"width": 1280, "height": 800})
    choose(page, lab, "Large")
    kind, memory, environment = made_of(lab.container(lab.server_name("ada")))
    assert (kind, memory, environment["OMP_NUM_THREADS"], environment["COURSE"]) == ("large", 1.0, "4", "physics")
    # A hub that was replaced knows the kind, and the page the choice.
    lab.container(lab.settings.hub_name).restart()
    until(lambda: lab.container(lab.settings.hub_name).health == "healthy", 60, "the hub is back")
    window.stop_server(page, lab.url)
    to_the_choice(page, lab)
    expect(page.get_by_label("Large")).to_be_checked()

    # bob has one kind, so there is nothing to choose; asking for the other gives none.
    bob = lab.person("bob")
    assert bob.log_in(_PASSWORD).ok
    bob.take_token()
    bob.call("POST", "/hub/api/users/bob/server", json={"kind": "large"})
    until(lambda: not bob.servers(), 30, "it is refused")
    assert "The kind of server 'large' is not there for you." in lab.invoke("logs", "--user", "bob")
    code = _ASK_THE_FILTER.format(user=labels.USER, kind=labels.KIND, name=lab.server_name("bob"))
    asked = lab.container(lab.settings.hub_name).exec_run(["/opt/hub/bin/python", "-c", code], user="0")
    assert isinstance(asked.output, bytes)
    assert json.loads(asked.output) == [
        403,
        "the filter refuses this: a server of the kind large, which bob may not have",
    ]
    other = new_page()
    window.log_in(other, lab.url, "bob", _PASSWORD)
    window.start_server(other, lab.url)
    kind, memory, environment = made_of(lab.container(lab.server_name("bob")))
    assert (kind, memory, "OMP_NUM_THREADS" in environment) == ("small", 0.5, False)

    # Who loses a kind while a server of it runs keeps that server, and the plan says so.
    choose(page, lab, "Large")
    (lab.root / "servers.yml").write_text(_KINDS.replace("users: [ada]", "users: [eve]"))
    planned = lab.invoke("plan")
    assert "users of large: with eve; without ada" in planned
    assert "their kind of server is gone, or not theirs any more" in planned
    lab.up()
    assert made_of(lab.container(lab.server_name("ada")))[0] == "large"
    window.stop_server(page, lab.url)
    page.get_by_role("button", name="Start My Server", exact=True).click()
    expect(page.get_by_text("The kind of server 'large' is not there for you.").first).to_be_visible()
    page.screenshot(path=artifacts / "kinds-refused.png")
    window.start_server(page, lab.url)
    assert made_of(lab.container(lab.server_name("ada")))[0] == "small"


@pytest.mark.slow
def test_a_new_image_is_tried_before_anybody_can_choose_it_and_one_without_a_kernel_is_nobodys(
    hub: Clone, new_clone: Callable[..., Clone]
) -> None:
    lab = new_clone("ada\nbob\n", USER_PASSWORD=_PASSWORD)
    file = lab.root / "servers.yml"
    file.write_text("kinds:\n  plain: {title: Plain}\n")
    lab.share_images_of(hub)
    lab.up()
    ada, stacks, ours = lab.person("ada"), build_docker_stacks(lab.settings), f"{lab.name}/base-notebook:latest"
    assert ada.log_in(_PASSWORD).ok
    ada.take_token()
    file.write_text(f'kinds:\n  plain: {{title: Plain}}\n  stacks: {{title: Stacks, image: "{stacks}"}}\n')
    assert f"a canary's server answers, on {stacks} - image {stacks} is new" in lab.invoke("plan")
    printed = lab.up()
    for words in (
        f"waiting until a canary's server answers, on {stacks}",
        "its server answers",
        "a cell ran, and wrote",
    ):
        assert words in printed
    assert lab.thrown_away() == []
    for kind, image in {"stacks": stacks, "plain": ours}.items():
        assert at_work(ada, kind) == f"{image} {lab.settings.notebook_dir}"
    assert "nothing to do" in lab.up()

    before = {one.name: one.id for one in lab.containers()}
    image = str(lab.client.images.get(ours).id)
    dockerfile = lab.root / "base-notebook" / "Dockerfile"
    working = dockerfile.read_text()
    dockerfile.write_text(working + _NO_KERNEL)
    for _ in range(2):
        with pytest.raises(AssertionError) as refused:
            lab.up()
        server = f"{lab.name}_canary-user-canary"
        for words in (
            f"the canary failed: on {ours}", "kernel does not", f"the last lines of {server}", "users have what they had"
        ):  # fmt: skip
            assert words in str(refused.value)
        assert {one.name: one.id for one in lab.containers()} == before
        assert lab.thrown_away() == []
        assert str(lab.client.images.get(ours).id) == image
    # Who starts a server meanwhile gets the image of before.
    assert at_work(ada, "plain") == f"{ours} {lab.settings.notebook_dir}"
    assert lab.container(lab.server_name("ada")).attrs["Image"] == image
    dockerfile.write_text(working)
    assert "nothing to do" in lab.up()
