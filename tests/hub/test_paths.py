"""Deployments below a path of their own: two on one host name, and one that moves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.hub import window
from tests.hub.clone import Clone
from tests.hub.conftest import canary
from tests.hub.person import Person


@pytest.fixture(scope="module")
def physics(hub: Clone, new_clone: Callable[..., Clone]) -> Clone:
    """A deployment beside the others, on their host name."""
    clone = new_clone("boss admin\nada\nleaver\n", USER_PASSWORD=canary("physics"))
    with (clone.root / ".env").open("a") as env:
        env.write("HUB_PATH=/physics/\n")
    clone.share_images_of(hub)
    clone.up()
    return clone


def test_a_login_at_one_deployment_leaves_the_login_at_another_alone(
    physics: Clone, github_hub: Clone, page: Page, artifacts: Path
) -> None:
    """In one browser, on one host name and two ports: JupyterLab, the hub's pages, and what one logout ends."""
    window.log_in(page, physics.url, "ada", physics.user_password)
    window.start_server(page, physics.url)
    window.open_notebook(page)
    other = page.context.new_page()
    assert window.log_in_with_github(other, github_hub.url, "monalisa") == 302
    window.start_server(other, github_hub.url)

    # What JupyterLab sends carries cookies: the kernel, the saved notebook.
    output = window.run_cell(page, "print(open('here.txt', 'w').write('still here'), 'characters')")
    expect(output).to_have_text("10 characters", timeout=window.RUN_WITHIN)
    expect(window.file_in_browser(page, "here.txt")).to_be_visible(timeout=window.RUN_WITHIN)
    page.reload()
    expect(window.file_in_browser(page, "here.txt")).to_be_visible(timeout=window.START_WITHIN)
    page.screenshot(path=artifacts / "physics-beside-another.png")

    # A browser sends a cookie to all paths below its own, at any port.
    paths = {cookie["path"] for cookie in page.context.cookies()}
    assert {
        path for path in paths if not path.startswith((physics.settings.hub_path, github_hub.settings.hub_path))
    } == set()

    other.goto(f"{github_hub.url}/hub/logout")
    page.goto(f"https://localhost:{physics.port}/")
    page.wait_for_url(f"{physics.url}/user/ada/lab**")
    window.stop_server(page, physics.url)


def test_a_deployment_that_gets_the_same_cookies_is_named(hub: Clone, physics: Clone) -> None:
    assert f"the deployment {hub.name} answers at localhost/" in physics.invoke("plan")
    assert f"the deployment {physics.name} answers at localhost/physics/" in hub.invoke("plan")


def test_another_path_stops_servers_and_users_go_on_below_it(physics: Clone) -> None:
    leaver = _logged_in(physics)
    leaver.start_server()
    server = physics.server_name("leaver")
    old = physics.url
    env = physics.root / ".env"
    env.write_text(env.read_text().replace("HUB_PATH=/physics/", "HUB_PATH=/physics/solids/"))

    planned = physics.invoke("plan")
    assert "running servers stop: leaver" in planned
    assert physics.has_container(server)
    physics.up()
    assert not physics.has_container(server)
    assert "nothing to do" in physics.invoke("plan")
    assert f"login page: comes at {old}/solids" in physics.invoke("status")

    # Servers are reached below the new path; what lies outside leads to the hub.
    moved = _logged_in(physics)
    moved.start_server()
    assert moved.call("GET", "/user/leaver/api/status").status_code == 200
    leaver.url = f"https://localhost:{physics.port}"
    assert leaver.call("GET", "/").url.startswith(f"{physics.url}/hub/")


def _logged_in(clone: Clone) -> Person:
    person = clone.person("leaver")
    assert person.log_in(clone.user_password).status_code == 200
    person.take_token()
    return person
