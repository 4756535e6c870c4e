"""What users share, on the real images: who sees it, who writes to it, and that nobody gets what is not theirs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from hubdeploy.contract import labels
from tests.hub import volumes, window
from tests.hub.browser import BrowserMachine
from tests.hub.clone import Clone
from tests.hub.person import Person

_PASSWORD = "password of these tests"
_USERS = "kaben admin @staff\nada @physics @course:read\nbob @physics @course\neve\n@staff keep\n"
_SHARED = """
shared:
  physics:
  course: {{groups: [course, staff]}}
  climate: {{volume: {volume}}}
  scans: {{path: {path}, groups: [physics]}}
"""
_WRITE = """
import os
found = {}
for name in sorted(os.listdir("/srv/shared")):
    try:
        open(f"/srv/shared/{name}/of-USER", "w").write("USER")
        found[name] = "written"
    except OSError as error:
        found[name] = error.strerror
import json; print(json.dumps(found))
"""
# As the hub's own root: what the engine is asked for beside the wish is not the hub's to say.
_ASK_THE_FILTER = """
import json
from engine import client
engine = client()
mount = {{"Type": "volume", "Source": "{volume}", "Target": "/mnt", "ReadOnly": False}}
wish = {{"Labels": {{"{user}": "eve"}}, "HostConfig": {{"Mounts": [mount]}}}}
answer = engine._post_json(engine._url("/containers/create"), data=wish, params={{"name": "{name}"}})
print(json.dumps([answer.status_code, answer.json()["message"]]))
"""


@pytest.fixture(scope="module")
def lab(hub: Clone, new_clone: Callable[..., Clone], chromium: BrowserMachine) -> Iterator[Clone]:
    made = new_clone(_USERS, USER_PASSWORD=_PASSWORD, BACKUP_PASSWORD="password-of-backups-0123456789")
    climate, data = f"{made.settings.name}-climate-of-tests", made.root / "data"
    data.mkdir()
    (data / "scan.txt").write_text("scanned")
    made.client.volumes.create(climate)
    (made.root / "servers.yml").write_text(_SHARED.format(volume=climate, path=data))
    made.share_images_of(hub)
    volumes.fill(made.client, climate, hub.settings.image_reference("hub"), {"rain.csv": b"1,2\n"})
    made.up()
    chromium.reach(made)
    yield made
    made.remove()
    made.client.volumes.get(climate).remove()


def enter(lab: Clone, name: str) -> Person:
    person = lab.person(name).enter(_PASSWORD)
    person.start_server()
    return person


def run(lab: Clone, user: str, code: str) -> str:
    """What Python prints in the user's server, as the user."""
    ran = lab.container(lab.server_name(user)).exec_run(["/opt/conda/bin/python", "-c", code.replace("USER", user)])
    assert isinstance(ran.output, bytes)
    assert ran.exit_code == 0, ran.output
    return ran.output.decode()


@pytest.mark.slow
def test_members_share_a_folder_others_do_not_see_it_and_data_is_never_written(
    lab: Clone, new_page: Callable[[], Page], artifacts: Path
) -> None:
    page = new_page()
    window.log_in(page, lab.url, "ada", _PASSWORD)
    page.wait_for_url("**/hub/home")
    window.start_server(page, lab.url)
    for user in ("bob", "eve"):
        enter(lab, user)
    refused = "Read-only file system"
    found = {user: json.loads(run(lab, user, _WRITE)) for user in ("ada", "bob", "eve")}
    assert found == {
        "ada": {"climate": refused, "course": refused, "physics": "written", "scans": refused},
        "bob": {"climate": refused, "course": "written", "physics": "written", "scans": refused},
        "eve": {"climate": refused},
    }
    print(run(lab, "ada", "print(open('/srv/shared/course/of-bob').read(), open('/srv/shared/scans/scan.txt').read())"))
    # In the file browser, by the link, ada finds what bob wrote.
    page.reload()
    page.get_by_role("listitem", name="shared").or_(
        page.locator(".jp-DirListing-item", has_text="shared")
    ).first.dblclick()
    page.locator(".jp-DirListing-item", has_text="physics").first.dblclick()
    expect(page.locator(".jp-DirListing-item", has_text="of-bob")).to_be_visible()
    page.screenshot(path=artifacts / "folders-lab.png")

    # The hub cannot have another folder mounted.
    code = _ASK_THE_FILTER.format(
        user=labels.USER, name=lab.server_name("eve"), volume=f"{lab.settings.name}-shared-physics"
    )
    asked = lab.container(lab.settings.hub_name).exec_run(["/opt/hub/bin/python", "-c", code], user="0")
    assert isinstance(asked.output, bytes)
    assert json.loads(asked.output)[0] == 403

    assert lab.invoke("access", "ada").splitlines()[3:] == [
        "ada is in @course, @physics",
        "ada reads ~/shared/climate",
        "ada reads ~/shared/course",
        "ada writes to ~/shared/physics",
        "ada reads ~/shared/scans",
    ]
    everybody = lab.invoke("access")
    assert "~/shared/course: written by bob, kaben; read by ada\n~/shared/climate: read by everybody\n" in everybody

    # ada leaves the group: the plan says it, her running server keeps the folder, the next one has neither folder nor link to it.
    (lab.root / "userlist").write_text(_USERS.replace("ada @physics @course:read", "ada"))
    planned = lab.invoke("plan")
    assert "user ada loses 2 groups" in planned or "user ada loses @physics" in planned
    assert "the settings of servers changed" in planned
    lab.up()
    window.stop_server(page, lab.url)
    window.start_server(page, lab.url)
    assert json.loads(run(lab, "ada", _WRITE)) == {"climate": refused}
    window.stop_server(page, lab.url)
