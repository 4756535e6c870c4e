"""A rehearsal on the real images: its people work through the published port, and nothing of them is left, however it ends."""

from __future__ import annotations

import importlib
import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import docker.errors
import pytest
from playwright.sync_api import Page, Request

from hubdeploy.contract import labels, rehearsals
from tests import hub_modules
from tests.hub import window
from tests.hub.clone import Clone
from tests.hub.person import Person
from tests.hub.waiting import until

with hub_modules.importable():
    crowd_person = importlib.import_module("crowd.person")

_REHEARSE = ("class", "rehearse", "--users", "3", "--over", "2", "--minutes", "0.2", "--think", "1")
# A notebook's name, or a session's.
_ONE_OF_MANY = r"[^/]+\.ipynb|[0-9a-f-]{36}"
_AT_WORK_WITHIN, _GONE_WITHIN, _ENDS_WITHIN = 120, 90, 300


@pytest.fixture
def boss(hub: Clone) -> Person:
    person = hub.person("boss")
    assert person.log_in(hub.admin_password).ok
    person.take_token()
    return person


class Left:
    """What a deployment holds of simulated people, and of everybody else."""

    def __init__(self, clone: Clone, boss: Person) -> None:
        self.clone, self.boss = clone, boss

    def servers(self) -> set[str]:
        return {
            one.name or ""
            for one in self.clone.containers()
            if rehearsals.is_simulated(one.labels.get(labels.USER, ""))
        }

    def accounts(self) -> set[str]:
        users = self.boss.call("GET", "/hub/api/users").json()
        return {one["name"] for one in users if rehearsals.is_simulated(one["name"])}

    def volumes(self) -> set[str]:
        """All of the deployment's; those without a name are named by the engine."""
        found = self.clone.client.volumes.list(filters={"label": f"{labels.DEPLOYMENT}={self.clone.name}"})
        return {str(one.name) for one in found}

    @property
    def is_nothing(self) -> bool:
        return not self.servers() and not self.accounts()

    def helper(self) -> Any:
        try:
            return self.clone.container(f"{self.clone.name}-job-rehearsal")
        except docker.errors.NotFound:
            return None


@pytest.fixture
def left(hub: Clone, boss: Person) -> Iterator[Left]:
    found = Left(hub, boss)
    yield found
    until(lambda: found.is_nothing, _GONE_WITHIN, "no simulated person is left")


@pytest.fixture
def begun(hub: Clone) -> Iterator[subprocess.Popen[str]]:
    """A rehearsal that would last for an hour."""
    words = ("class", "rehearse", "--users", "3", "--over", "0", "--minutes", "60", "--think", "1", "--yes")
    # A shell ignores the signal for what it starts in the background, and this run may be one of these.
    command = ["env", "--default-signal=INT", sys.executable, "-m", "hubdeploy.commands.commandline", *words]
    process = subprocess.Popen(
        command, cwd=hub.root, env=hub.environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True,
    )  # fmt: skip
    yield process
    if process.poll() is None:
        process.kill()
    process.communicate()


def figures(clone: Clone) -> dict[str, Any]:
    """Of the last rehearsal."""
    newest = max((clone.root / "rehearsals").glob("*.json"))
    found: dict[str, Any] = json.loads(newest.read_text())
    return found


@pytest.mark.slow
def test_people_work_through_the_published_port_and_leave_nothing(
    hub: Clone, left: Left, logged_in: Callable[[str], Person]
) -> None:
    ada = logged_in("ada")
    ada.start_server()
    kernel = ada.open_kernel()
    volumes = left.volumes()
    refused = subprocess.run(
        [sys.executable, "-m", "hubdeploy.commands.commandline", *_REHEARSE], cwd=hub.root, env=hub.environ,
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_ENDS_WITHIN, check=False,
    )  # fmt: skip
    assert refused.returncode == 1, "users are at work, and nobody can be asked"
    assert "servers of users run" in refused.stdout
    assert not left.accounts()

    printed = hub.invoke(*_REHEARSE, "--yes")
    assert left.is_nothing
    assert left.volumes() == volumes
    assert left.helper() is None
    assert kernel.run("print(6 * 7)") == "42\n"
    kernel.close()

    found = figures(hub)
    assert (found["failed"], found["unfinished"]) == ([], 0)
    assert found["seconds"]["first cell"]["count"] == 3
    assert found["seconds"]["cell"]["count"] >= 3
    assert found["seconds"]["save"]["count"] >= 3
    # More than the kernel alone: the requests were real ones.
    log = hub.container(hub.settings.hub_name).logs().decode()
    for number in (1, 2, 3):
        name = re.escape(rehearsals.name(number))
        assert re.search(rf"302 POST /hub/rehearsal .*{name}@|302 POST /hub/rehearsal", log)
        assert re.search(rf"200 GET /hub/api/users/{name}/server/progress", log)
        assert re.search(rf"20[24] DELETE /hub/api/users/{name}/server", log)
    assert found["verdict"] in printed
    (picture,) = [Path(line.removeprefix("written: ")) for line in printed.splitlines() if line.endswith(".svg")]
    assert picture.read_text().startswith("<svg")
    assert "a cell " in printed

    audit = hub.invoke("audit")
    assert "rehearsal of 3 people begun" in audit
    assert "rehearsal ended" in audit
    assert not any(rehearsals.is_simulated(word) for word in hub.invoke("users").split())


@pytest.mark.slow
def test_a_rehearsal_whose_operator_is_killed_ends_by_itself(
    hub: Clone, left: Left, begun: subprocess.Popen[str]
) -> None:
    volumes = left.volumes()
    until(lambda: len(left.servers()) == 3, _AT_WORK_WITHIN, "three servers run")
    begun.send_signal(signal.SIGKILL)
    until(lambda: left.is_nothing, _GONE_WITHIN, "all are gone, though nobody asked")
    until(lambda: left.helper().status != "running", _GONE_WITHIN, "the helper has ended")
    assert left.volumes() - volumes <= {one["Name"] for one in left.helper().attrs["Mounts"]}

    hub.invoke(*_REHEARSE, "--yes")
    assert left.helper() is None
    assert left.volumes() == volumes


@pytest.mark.slow
def test_a_rehearsal_whose_helper_is_killed_leaves_nothing(
    hub: Clone, left: Left, begun: subprocess.Popen[str]
) -> None:
    volumes = left.volumes()
    until(lambda: len(left.servers()) == 3, _AT_WORK_WITHIN, "three servers run")
    left.helper().kill()
    printed, _ = begun.communicate(timeout=_ENDS_WITHIN)
    assert begun.returncode == 1, printed
    assert "their helper ended with code 137" in printed
    assert left.is_nothing
    assert left.volumes() == volumes


@pytest.mark.slow
def test_ctrl_c_ends_it_in_peace(hub: Clone, left: Left, begun: subprocess.Popen[str]) -> None:
    until(lambda: len(left.servers()) == 3, _AT_WORK_WITHIN, "three servers run")
    begun.send_signal(signal.SIGINT)
    printed, _ = begun.communicate(timeout=_ENDS_WITHIN)
    assert begun.returncode == 130, printed
    assert "what it made is removed" in printed
    assert "run the same command again: it begins anew" in printed
    assert left.is_nothing
    assert left.helper() is None


@pytest.mark.slow
def test_while_it_lasts_nobody_else_can_be_one_of_them(hub: Clone, left: Left, begun: subprocess.Popen[str]) -> None:
    until(lambda: len(left.servers()) == 3, _AT_WORK_WITHIN, "three servers run")
    for number in (1, 4):
        person = hub.person(rehearsals.name(number))
        assert person.log_in(hub.user_password).status_code == 403
        window = person._window
        form = {"pass": "forged", "_xsrf": window.cookies.get("_xsrf", path="/hub/")}
        answer = window.post(f"{hub.url}/hub/rehearsal", data=form, timeout=30)
        assert answer.status_code == 403
    # Who sees them sees no pass.
    shown = json.dumps([one.attrs for one in hub.containers()])
    held = hub.container(hub.settings.hub_name).exec_run(["cat", f"{hub.settings.data_mount}/rehearsal.json"]).output
    assert isinstance(held, bytes)
    passes = json.loads(held)
    tokens = left.helper().exec_run(["cat", f"{rehearsals.FOLDER}/{rehearsals.PASSES}"]).output.decode()
    assert len(json.loads(tokens)) == 4
    assert not [one for one in json.loads(tokens) if one in shown or one in json.dumps(passes)]
    assert {rehearsals.digest(one) for one in json.loads(tokens)[:3]} == passes["names"].keys()
    begun.send_signal(signal.SIGINT)
    begun.communicate(timeout=_ENDS_WITHIN)


@pytest.mark.slow
def test_under_another_login_and_path_they_work_as_well(github_hub: Clone) -> None:
    github_hub.invoke("class", "rehearse", "--users", "2", "--over", "0", "--minutes", "0.1", "--think", "1")
    assert figures(github_hub)["failed"] == []
    assert not [one for one in github_hub.containers() if rehearsals.is_simulated(one.labels.get(labels.USER, ""))]


@pytest.mark.slow
def test_the_simulated_ask_for_what_a_browser_asks_for(hub: Clone, page: Page) -> None:
    """In JupyterLab's page, until its launcher shows; then what it writes, until a notebook is saved."""
    asked, written = set[str](), set[str]()

    def note(request: Request) -> None:
        path, server = urlsplit(request.url).path, "/user/grace/"
        if not path.startswith(server) or request.resource_type == "document":
            return
        path = path.removeprefix(server)
        if request.method == "GET":
            asked.add(path)
        else:
            written.add(f"{request.method} {re.sub(_ONE_OF_MANY, 'ONE', path)}")

    page.on("request", note)
    window.log_in(page, hub.url, "grace", hub.user_password)
    window.start_server(page, hub.url)
    window.launcher(page).wait_for(timeout=window.START_WITHIN)
    page.wait_for_load_state("networkidle")
    simulated = {one.partition("?")[0] for together in crowd_person._LOADING for one in together}
    # Pictures of a tab's state are none that users wait for.
    assert {one for one in asked if not one.startswith("static/")} == simulated

    window.open_notebook(page)
    window.run_cell(page, "print(6 * 7)").filter(has_text="42").wait_for(timeout=window.RUN_WITHIN)
    page.keyboard.press("Control+s")
    with page.expect_response(lambda answer: "/checkpoints" in answer.url and answer.request.method == "POST"):
        page.get_by_role("button", name="Rename and Save").click()
    # The simulated give their notebook no other name.
    assert written - {"PUT lab/api/workspaces/default", "PATCH api/contents/ONE"} == {
        "POST api/contents", "POST api/sessions", "PATCH api/sessions/ONE", "PUT api/contents/ONE",
        "POST api/contents/ONE/checkpoints",
    }  # fmt: skip
    window.stop_server(page, hub.url)
