"""Real deployments over the settings that people change, every pair of them in some row: each brings its hub up by its
own command line, logs users in, runs a cell in a server, and finds what the cell wrote in the user's volume afterwards.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from hubdeploy.contract import servers
from tests import reports
from tests.hub import volumes
from tests.hub.clone import Clone
from tests.hub.foreign_image import build_docker_stacks
from tests.hub.matrix import ROWS, Row
from tests.hub.stage import Stage, staged

_WRITTEN = "written by a cell.txt"
# A program of the hub, or of a notebook, asks a web site; its default TLS context decides on trust.
_ASK_SITE = """
import ssl, urllib.error, urllib.request
try:
    urllib.request.urlopen({url!r}, timeout=20).close()
    print("trusted")
except urllib.error.URLError as error:
    print("not trusted" if isinstance(error.reason, ssl.SSLCertVerificationError) else error)
"""
_ASK_SELF = """
import json, os, pathlib, subprocess
def output(*words):
    return subprocess.run(words, capture_output=True, text=True).stdout.strip()
pathlib.Path({name!r}).write_text({text!r})
print(json.dumps({{
    "uid": int(output("id", "-u")),
    "user": output("id", "-un"),
    "group": output("id", "-gn"),
    "pwd": output("pwd"),
    "home": os.environ["HOME"],
    "owner of home": os.stat(os.environ["HOME"]).st_uid,
    "owner of the folder above": os.stat(os.environ["HOME"] if os.getcwd() == os.environ["HOME"] else "..").st_uid,
    "may sudo": subprocess.run(["sudo", "-n", "true"], capture_output=True).returncode == 0,
}}))
"""


@pytest.fixture(scope="session")
def shelf(clone: Clone, new_clone: Callable[..., Clone]) -> Clone:
    """Keeps the images of every row for the next one, under a name that is never deployed."""
    kept = new_clone("ada\n")
    kept.share_images_of(clone)
    return kept


@pytest.fixture(scope="session")
def docker_stacks(clone: Clone) -> Callable[[], str]:
    return lambda: build_docker_stacks(clone.settings)


@pytest.fixture
def stage(
    row: Row,
    client: docker.DockerClient,
    new_clone: Callable[..., Clone],
    docker_stacks: Callable[[], str],
    tmp_path: Path,
) -> Iterator[Stage]:
    with staged(row, client, new_clone, "" if row.values["image"] == "ours" else docker_stacks(), tmp_path) as ready:
        yield ready


@pytest.mark.parametrize(
    "row", [pytest.param(row, id=row.name, marks=() if row.quick else pytest.mark.slow) for row in ROWS]
)
def test_a_deployment_with_these_settings_works(stage: Stage, shelf: Clone, pytestconfig: pytest.Config) -> None:
    began, verdict = time.monotonic(), "failed"
    try:
        stage.clone.share_images_of(shelf)
        stage.clone.up()
        shelf.share_images_of(stage.clone)
        _assert_hub_is_as_set(stage)
        for user, may_sudo in stage.may_sudo().items():
            _assert_server_works(stage, user, may_sudo)
        assert "nothing to do" in stage.clone.invoke("plan")
        verdict = "works"
    finally:
        seconds = f"{time.monotonic() - began:.0f} s"
        reports.add_row(pytestconfig, "matrix of real deployments", (stage.row.name, stage.row, seconds, verdict))


def _assert_hub_is_as_set(stage: Stage) -> None:
    clone, settings = stage.clone, stage.clone.settings
    hub, proxy = clone.container(settings.hub_name), clone.container(settings.proxy_name)
    assert hub.attrs["Config"]["Image"] == settings.image_reference("hub")
    assert proxy.attrs["Config"]["Image"] == settings.image_reference("proxy")
    assert settings.network_name in hub.attrs["NetworkSettings"]["Networks"]
    assert settings.network_name in proxy.attrs["NetworkSettings"]["Networks"]
    database = volumes.read(clone.client, settings.data_volume, settings.base_image, "jupyterhub.sqlite")
    assert database.content.startswith(b"SQLite format 3")
    assert hub.exec_run(["test", "-f", f"{settings.data_mount}/jupyterhub.sqlite"]).exit_code == 0
    asked = hub.exec_run(["/opt/hub/bin/python", "-c", _ASK_SITE.format(url=stage.company_site)])
    assert isinstance(asked.output, bytes)
    assert asked.output.decode().strip() == ("trusted" if stage.trusts_company else "not trusted")


def _assert_server_works(stage: Stage, user: str, may_sudo: bool) -> None:
    clone, settings = stage.clone, stage.clone.settings
    person = stage.log_in(user)
    person.start_server()
    _assert_server_is_as_set(stage, user)
    text = secrets.token_hex(8)
    kernel = person.open_kernel()
    answers = json.loads(kernel.run(_ASK_SELF.format(name=_WRITTEN, text=text)))
    assert answers == {
        "uid": settings.nb_uid,
        "user": settings.nb_user,
        "group": "users",
        "pwd": settings.notebook_dir,
        "home": f"/home/{settings.nb_user}",
        "owner of home": settings.nb_uid,
        "owner of the folder above": settings.nb_uid,
        "may sudo": may_sudo,
    }
    # A foreign image has its own authorities.
    trusts = stage.trusts_company and stage.ours
    assert kernel.run(_ASK_SITE.format(url=stage.company_site)).strip() == ("trusted" if trusts else "not trusted")
    kernel.close()
    clone.stop_server(person)
    found = volumes.read(clone.client, clone.server_name(user), settings.base_image, _WRITTEN)
    assert (found.content.decode(), found.uid) == (text, settings.nb_uid)


def _assert_server_is_as_set(stage: Stage, user: str) -> None:
    client, settings = stage.clone.client, stage.clone.settings
    server = stage.clone.container(stage.clone.server_name(user)).attrs
    image = client.images.get(settings.notebook_image)
    assert server["Image"] == image.id
    assert list(server["NetworkSettings"]["Networks"]) == [settings.network_name]
    kept = {settings.home_volume.format(username=user): settings.home} if settings.home_volume != "none" else {}
    mounted = {mount["Name"]: mount["Destination"] for mount in server["Mounts"]}
    lasting = {stage.clone.server_name(user): settings.notebook_dir, **kept}
    assert {name: mounted.pop(name) for name in lasting} == lasting
    passing = {servers.SCRATCH, settings.home} - set(lasting.values())
    assert set(mounted.values()) == (passing if server["HostConfig"]["ReadonlyRootfs"] else set())
    assert "Health" not in server["State"], "an image's own health check would run"
    # Our image names its user; a foreign image gets the user's name when it starts.
    config = image.attrs["Config"] if stage.ours else server["Config"]
    environment = dict(line.split("=", 1) for line in config["Env"])
    assert (environment["NB_USER"], environment["NB_UID"]) == (settings.nb_user, str(settings.nb_uid))
    if stage.ours:
        assert environment["NOTEBOOK_DIR"] == config["WorkingDir"] == settings.notebook_dir
        assert config["User"] == str(settings.nb_uid)
