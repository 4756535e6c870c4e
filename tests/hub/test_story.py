"""A user's whole story with the shared password, in a real browser on the real images; and what an operator's userlist does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.hub import window
from tests.hub.clone import Clone
from tests.hub.person import Kernel, Person


def test_user_logs_in_runs_a_cell_and_finds_a_file_again(hub: Clone, page: Page, artifacts: Path) -> None:
    page.goto(f"{hub.url}/")
    expect(page.get_by_label("Username:")).to_be_visible()
    page.screenshot(path=artifacts / "login-page.png")
    window.log_in(page, hub.url, "ada", hub.user_password)

    window.start_server(page, hub.url)
    window.open_notebook(page)
    output = window.run_cell(page, "import numpy\nprint('six times seven is', numpy.prod([6, 7]))")
    expect(output).to_have_text("six times seven is 42", timeout=window.RUN_WITHIN)
    written = window.run_cell(page, "print(open('found-again.txt', 'w').write('still here'), 'characters')")
    expect(written).to_have_text("10 characters", timeout=window.RUN_WITHIN)
    expect(window.file_in_browser(page, "found-again.txt")).to_be_visible(timeout=window.RUN_WITHIN)
    page.screenshot(path=artifacts / "jupyterlab-with-output.png")
    # JupyterLab opens the notebook again after the restart; it asks for a kernel if the notebook was never saved.
    with page.expect_response(lambda answer: answer.request.method == "PUT" and ".ipynb" in answer.url):
        page.keyboard.press("Control+s")
        page.get_by_role("button", name="Rename and Save").click()

    first_server = hub.container(hub.server_name("ada")).id
    window.stop_server(page, hub.url)
    assert not hub.has_container(hub.server_name("ada"))

    window.start_server(page, hub.url)
    assert hub.container(hub.server_name("ada")).id != first_server
    window.file_in_browser(page, "found-again.txt").dblclick()
    expect(page.locator(".jp-FileEditor .cm-content")).to_have_text("still here", timeout=window.RUN_WITHIN)
    page.screenshot(path=artifacts / "jupyterlab-after-restart.png")


def test_admin_sees_the_users_in_the_admin_page(hub: Clone, page: Page, artifacts: Path) -> None:
    window.log_in(page, hub.url, "boss", hub.admin_password)
    page.goto(f"{hub.url}/hub/admin")
    for name in ("boss", "ada", "sam"):
        expect(window.user_row(page, name)).to_be_visible()
    page.screenshot(path=artifacts / "admin-page.png")


def test_the_users_password_does_not_let_an_admin_in(hub: Clone) -> None:
    assert hub.person("boss").log_in(hub.user_password).status_code == 403


def test_an_unlisted_name_does_not_get_in(hub: Clone) -> None:
    assert hub.person("stranger").log_in(hub.user_password).status_code == 403


def test_the_login_page_is_served_under_the_deployments_certificate(hub: Clone) -> None:
    for host in ("localhost", "127.0.0.1"):
        person = hub.person("ada")
        person.url = f"https://{host}:{hub.port}"
        assert person.call("GET", "/hub/login").status_code == 200


def test_a_server_with_the_sudo_flag_can_sudo(logged_in: Callable[[str], Person]) -> None:
    assert _who_sudo_makes(logged_in("sam")) == ("0", "root")


def test_a_server_without_the_sudo_flag_cannot_sudo(logged_in: Callable[[str], Person]) -> None:
    assert _who_sudo_makes(logged_in("linus")) == ("1", "")


def test_who_leaves_the_userlist_is_locked_out_and_keeps_the_volume(
    hub: Clone, logged_in: Callable[[str], Person]
) -> None:
    person = logged_in("leaver")
    person.start_server()
    server = hub.server_name("leaver")
    assert hub.has_container(server)

    hub.write_userlist((hub.root / "userlist").read_text().replace("leaver\n", ""))
    assert "leaver" in hub.up()

    assert hub.person("leaver").log_in(hub.user_password).status_code == 403
    assert person.call("GET", "/hub/api/user").status_code == 403
    assert not hub.has_container(server)
    assert hub.has_volume(server)


def _who_sudo_makes(person: Person) -> tuple[str, str]:
    """Exit code of `sudo -n id -un` in the person's kernel, and the user that it names."""
    person.start_server()
    kernel: Kernel = person.open_kernel()
    code = "import subprocess as s; r = s.run(['sudo', '-n', 'id', '-un'], capture_output=True, text=True)"
    exit_code, _, name = kernel.run(f"{code}; print(r.returncode, r.stdout)").strip().partition(" ")
    kernel.close()
    return exit_code, name


def test_who_loses_the_flag_in_userlist_is_no_admin_any_more(hub: Clone) -> None:
    others = (hub.root / "userlist").read_text()
    hub.write_userlist(f"{others}climber admin\n")
    hub.up()
    person = hub.person("climber")
    assert person.log_in(hub.admin_password).status_code == 200
    person.take_token()
    assert person.call("GET", "/hub/api/users").status_code == 200
    hub.write_userlist(f"{others}climber\n")
    hub.up()
    assert person.call("GET", "/hub/api/users").status_code == 403
    assert person.log_in(hub.admin_password).status_code == 403
    hub.write_userlist(others)
    hub.up()
