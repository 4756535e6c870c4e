"""CONTRIBUTING's promise for an added component, login and setting: each is declared in its one place, and is then
planned, applied, shown, stopped and removed without another edit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import docker
import pytest
import requests

from tests.engine.project import BASE, ensure_base
from tests.hub.clone import Clone
from tests.ports import free_port

PASSPHRASE = "a passphrase for everybody"
COMPONENT = '''\
"""A notice board: shows one file to whoever asks for it on this machine."""

from hubdeploy.blueprint.component import Component, Facts, own_labels
from hubdeploy.blueprint.specs import Consequence, ContainerSpec, Limits, Mount, PublishedPort, Severity, VolumeSpec
from hubdeploy.contract.documents import Secret
from hubdeploy.settings.declarations import Settings

ROLE = "board"


def container(settings: Settings, facts: Facts) -> ContainerSpec:
    return ContainerSpec(
        name=f"{settings.name}-{ROLE}",
        role=ROLE,
        image=COMPONENT.image_reference(settings),
        labels=own_labels(settings, ROLE),
        consequence=Consequence(Severity.CONNECTIONS_BLINK, "the notice board blinks"),
        mounts=(Mount(f"{settings.name}-board", "/www/kept"),),
        published=(PublishedPort("127.0.0.1", PORT, 8000, "BOARD_PORT"),),
        files={"/www/notice": Secret(b"NOTICE")},
        command=("/bin/busybox", "httpd", "-f", "-v", "-p", "8000", "-h", "/www"),
        environment={"BOARD": "yes"},
        capabilities=("CHOWN",),
        limits=Limits(memory=64 * 1024**2, cpus=0.5, pids=16),
        health_command=("/bin/busybox", "wget", "-q", "-O", "-", "http://127.0.0.1:8000/notice"),
    )


def volumes(settings: Settings) -> tuple[VolumeSpec, ...]:
    return (VolumeSpec(f"{settings.name}-board", own_labels(settings, "board-volume"), True, "DOCKER_MACHINE_NAME"),)


COMPONENT = Component(ROLE, "IMAGE", container, volumes=volumes, directory="/www")
'''
LOGIN = """\
    # JupyterHub's own class for trials: one password for everybody.
    "passphrase": LoginRow(
        authenticator_class="jupyterhub.auth.DummyAuthenticator",
        traits={},
        secret_traits={"password": "passphrase"},
        personal=False,
        greeting="a name of userlist and the passphrase",
        needs=("passphrase",),
    ),
    "shared-password": LoginRow("""
SETTINGS = """\
    passphrase: Secret[str] | None = setting(
        "PASSPHRASE", "what everybody types to log in", readers.at_least(8), secret=True, example="'eight or more'"
    )
    motto: str = setting("USER_MOTTO", "what each server finds in MOTTO", readers.token, default="none", example="onward")
    authenticator: str = setting("""


_LAST_FIELD = "    environment: Mapping[str, str] = field(default_factory=dict)\n"


def replace(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    assert text.count(before) == 1, f"{path.name} has it {text.count(before)} times: {before}"
    path.write_text(text.replace(before, after))


@dataclass(frozen=True)
class Extended(Clone):
    """A clone with settings of its own, which its shell sets: they are none to the library that runs these tests."""

    shell: dict[str, str] = field(default_factory=dict)

    @property
    def environ(self) -> dict[str, str]:
        return super().environ | self.shell


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def extended(
    hub: Clone, client: docker.DockerClient, port: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Extended]:
    """A clone with one of each added, and not up yet."""
    ensure_base(client)
    clone = Extended.make(tmp_path_factory.mktemp("extended"), client, "boss admin\nada\n")
    clone.share_images_of(hub)
    library = clone.root / "hubdeploy"
    # A component: a module, and its place in the list.
    components = library / "blueprint" / "components"
    module = COMPONENT.replace("PORT, 8000", f"{port}, 8000").replace("IMAGE", BASE)
    (components / "board.py").write_text(module)
    replace(components / "__init__.py", "import clock, filter,", "import board, clock, filter,")
    replace(
        components / "__init__.py",
        "(proxy.COMPONENT, guard.COMPONENT, filter.COMPONENT, hub.COMPONENT, clock.COMPONENT)",
        "(proxy.COMPONENT, guard.COMPONENT, filter.COMPONENT, hub.COMPONENT, clock.COMPONENT, board.COMPONENT)",
    )
    # A login: a row and its setting.
    replace(library / "settings" / "logins.py", '    "shared-password": LoginRow(', LOGIN)
    # A setting of servers: its declaration, the contract's field, and where it acts.
    replace(library / "settings" / "declarations.py", "    authenticator: str = setting(", SETTINGS)
    replace(library / "contract" / "documents.py", _LAST_FIELD, f'{_LAST_FIELD}    motto: str = "none"\n')
    acts = '    environment = {**kind.environment, **secrets.of(kind), "TZ": kind.timezone, '
    replace(library / "contract" / "servers.py", acts, f'{acts}"MOTTO": kind.motto, ')
    clone.shell.update(PASSPHRASE=PASSPHRASE, USER_MOTTO="onward")
    yield clone
    clone.remove()


def test_an_added_component_login_and_setting_work_without_another_edit(
    extended: Extended, client: docker.DockerClient, port: int
) -> None:
    name = f"{extended.name}-board"
    planned = extended.invoke("plan")
    assert f"container {name} is created" in planned
    assert f"volume {name} exists" in planned
    assert "everybody types to log in" in extended.invoke("config", "--explain", "PASSPHRASE")
    assert PASSPHRASE not in extended.invoke("config")

    assert "a name of userlist and the passphrase" in extended.up()
    notice = f"http://127.0.0.1:{port}/notice"
    assert requests.get(notice, timeout=10).text == "NOTICE"
    assert "nothing to do" in extended.up()
    assert "board" in extended.invoke("status")
    assert "response:200" in extended.invoke("logs", "--of", "board", "--no-follow")
    host = client.containers.get(name).attrs["HostConfig"]
    assert (host["Memory"], host["NanoCpus"], host["PidsLimit"]) == (64 * 1024**2, 500_000_000, 16)
    assert (host["CapDrop"], [one.removeprefix("CAP_") for one in host["CapAdd"]]) == (["ALL"], ["CHOWN"])

    ada = extended.person("ada")
    assert ada.log_in("anything else").status_code == 403
    assert ada.log_in(PASSPHRASE).status_code == 200
    ada.take_token()
    ada.start_server()
    server = client.containers.get(extended.server_name("ada"))
    assert "MOTTO=onward" in server.attrs["Config"]["Env"]

    replace(extended.root / "hubdeploy" / "blueprint" / "components" / "board.py", 'b"NOTICE"', 'b"CHANGED"')
    planned = extended.invoke("plan")
    assert f"container {name} is stopped - notice changed\n     users: the notice board blinks\n" in planned
    assert "-hub" not in planned
    extended.up()
    assert requests.get(notice, timeout=10).text == "CHANGED"
    extended.shell["USER_MOTTO"] = "upward"
    assert "USER_MOTTO: onward -> upward" in extended.invoke("plan")

    extended.invoke("down")
    assert client.containers.get(name).status == "exited"
    extended.invoke("clean", "--yes")
    assert not extended.has_container(name)
    assert extended.has_volume(name), "clean keeps volumes"


def test_contributing_names_the_places_that_this_test_edits() -> None:
    guide = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text()
    for place in (
        "blueprint/components/",
        "settings/logins.py",
        "settings/declarations.py",
        "contract/documents.py",
        "contract/servers.py",
    ):
        assert place in guide
