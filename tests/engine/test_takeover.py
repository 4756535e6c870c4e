"""An older deployment's network and volumes, made by hand and without a label, are taken over: the operator sets their
names. Nothing is copied, nothing is lost, and they are never removed.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import io
import tarfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import docker
import pytest
from jupyterhub.app import JupyterHub

from guard import question
from hubdeploy.blueprint.documents import CONTRACT_PATH
from hubdeploy.commands import execution, up
from hubdeploy.commands.deployment import Deployment
from hubdeploy.contract import labels
from hubdeploy.contract.documents import Servers, from_bytes
from hubdeploy.errors import DeployError
from hubdeploy.plan import operations as op
from hubdeploy.plan import removal
from tests.engine import filtering
from tests.engine.project import BASE, Project
from tests.unit.hub import hub_image

# GitHub's names have hyphens, which the older layout left in a volume's name and DockerSpawner escapes today.
USER = "octo-cat"
HUB_FILES = {"jupyterhub.sqlite": b"SQLite format 3\0kaben", "jupyterhub_cookie_secret": b"0123"}
USER_FILES = {"thesis.ipynb": b'{"cells": []}\n', "data/one.csv": b"1,2\n"}
OLD_UID = 1000
SERVER = ["/bin/busybox", "httpd", "-f", "-p", "8888", "-h", "/"]


@dataclass(frozen=True)
class Older:
    """What `make network volumes` and some years of use left on the engine, under names of this test's own."""

    client: docker.DockerClient
    name: str

    @property
    def network(self) -> str:
        return f"{self.name}-network"

    @property
    def data(self) -> str:
        return f"{self.name}-data"

    def volume_of(self, user: str) -> str:
        return f"{self.name}-user-{user}"

    def make(self) -> None:
        self.client.networks.create(self.network)
        self._fill(self.data, HUB_FILES, 0)
        self._fill(self.volume_of(USER), USER_FILES, OLD_UID)

    def _fill(self, volume: str, files: Mapping[str, bytes], owner: int) -> None:
        self.client.volumes.create(volume)
        filler = self.client.containers.create(BASE, ["/bin/busybox", "true"], volumes={volume: {"bind": "/v"}})
        try:
            filler.put_archive("/", _tar(files, owner))
        finally:
            filler.remove()

    def give(self, volume: str, owner: int) -> None:
        command = ["/bin/busybox", "chown", str(owner), "/v"]
        self.client.containers.run(BASE, command, remove=True, volumes={volume: {"bind": "/v"}})

    def state(self) -> dict[str, Any]:
        """The network's id; each volume's mount point and labels. (Its creation time changes when it is written.)"""
        volumes = [self.client.volumes.get(name) for name in (self.data, self.volume_of(USER))]
        kept = {one.name: (one.attrs["Mountpoint"], one.attrs["Labels"]) for one in volumes}
        return {"network": self.client.networks.get(self.network).id, **kept}

    def remove(self) -> None:
        self.client.networks.get(self.network).remove()
        for volume in (self.data, self.volume_of(USER)):
            self.client.volumes.get(volume).remove()


def _tar(files: Mapping[str, bytes], owner: int) -> bytes:
    """An archive of files below v, and v itself; all belong to the owner."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for folder in ("v", *sorted({f"v/{Path(name).parent}" for name in files if "/" in name})):
            info = tarfile.TarInfo(folder)
            info.type, info.mode, info.uid = tarfile.DIRTYPE, 0o755, owner
            tar.addfile(info)
        for name, data in files.items():
            info = tarfile.TarInfo(f"v/{name}")
            info.size, info.mode, info.uid = len(data), 0o644, owner
            tar.addfile(info, io.BytesIO(data))
    return content.getvalue()


def looked_into(deployment: Deployment) -> list[str]:
    """The volumes that a plan reads, even if it refuses them."""
    asked: list[str] = []
    owners = deployment.engine.volume_owners

    def noted(volumes: Sequence[str], *, deployment: str) -> dict[str, int]:
        asked.extend(volumes)
        return owners(volumes, deployment=deployment)

    deployment.engine.volume_owners = noted  # type: ignore[method-assign]
    with contextlib.suppress(DeployError):
        deployment.check(deployment.draw())
    return asked


def revealed(deployment: Deployment, volume: str) -> dict[str, bytes]:
    """Name -> content of a volume's files."""
    return {name: content.reveal() for name, content in deployment.engine.read_volume(volume).items()}


def start_server(
    client: docker.DockerClient, project: Project, user: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the hub does: its spawner, configured by the contract that `up` put into the hub, on the real engine, through the
    filter that reads what `up` gave it. A guard that says yes stands in, as these images hold none."""
    monkeypatch.setattr(question, "ask", lambda about: question.STAND if about == question.RULES else question.ISOLATED)
    deployment = project.deployment()
    files = deployment.engine.read_files(deployment.settings.hub_name, "/srv/jupyterhub") or {}
    config = hub_image.load_config(files[CONTRACT_PATH].reveal(), folder)
    hub = JupyterHub(config=config)
    hub.init_hub()
    server = hub.spawner_class(
        config=config, hub=hub.hub, authenticator=hub.authenticator_class(parent=hub), api_token="token",
        user=SimpleNamespace(name=user, groups=[], escaped_name=user, url=f"/user/{user}/"), oauth_client_id=f"user-{user}",
    )  # fmt: skip
    environment = client.containers.get(f"{project.name}-filter").attrs["Config"]["Env"]
    variables = dict(line.split("=", 1) for line in environment)
    with filtering.serving(from_bytes(Servers, variables["SERVERS"].encode()), folder) as filtered:
        monkeypatch.setattr(hub_image.load("engine"), "client", filtered)
        # The spawner's threads keep their clients.
        monkeypatch.setattr(type(server), "_of_thread", threading.local())
        asyncio.run(server.start())


@pytest.fixture
def older(client: docker.DockerClient, project: Project) -> Iterator[Older]:
    made = Older(client, f"old-{project.name}")
    made.make()
    project.write_env(
        DOCKER_NETWORK_NAME=made.network,
        DATA_VOLUME_HOST=made.data,
        USER_VOLUME=made.volume_of("{raw_username}"),
        DOCKER_SPAWN_CMD=" ".join(SERVER),
    )
    (project.root / "userlist").write_text(f"kaben admin\n{USER}\n")
    yield made
    project.remove(client)
    made.remove()


def test_the_plan_makes_none_of_what_is_taken_over(project: Project, older: Older) -> None:
    operations = [step.operation for step in project.plan().steps]
    made = [one.spec.name for one in operations if isinstance(one, op.NetworkExists | op.VolumeExists)]
    own = [
        "routes", "proxy", "guard", "filter", "server-secrets", "hub", "states", "reserve", "clock", "backup",
        "backup-documents", "proxy-api",
    ]  # fmt: skip
    assert made == [f"{project.name}-{end}" for end in own]
    (hub,) = [one.spec for one in operations if isinstance(one, op.ContainerCreated) and one.spec.role == "hub"]
    assert f"{older.data} at /data" in hub.shape["mounts"]
    assert older.network in hub.shape["networks"]


def test_the_plan_says_what_is_taken_over_until_it_is(
    project: Project, older: Older, capsys: pytest.CaptureFixture[str]
) -> None:
    project.show_plan()
    printed = [line.strip() for line in _planned(capsys)[:3]]
    found = [f"network {older.network}", f"volume {older.data}", f"user's volume {older.volume_of(USER)}"]
    assert [line.partition(" is there and used as it is")[0] for line in printed] == found
    project.up()
    capsys.readouterr()
    project.show_plan()
    assert _planned(capsys) == ["nothing to do"]


def _planned(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The lines of a plan. An older engine's prune, which would take the volumes, is warned of before."""
    lines = capsys.readouterr().out.splitlines()
    warned = [number for number, line in enumerate(lines) if line.startswith(("warning:", "  do:"))]
    return lines[warned[-1] + 1 :] if warned else lines


def test_users_files_of_another_number_are_refused_with_the_number_to_set(project: Project, older: Older) -> None:
    before = older.state()
    project.write_env(NB_UID="1500")
    with pytest.raises(DeployError, match=f"set NB_UID={OLD_UID}, or") as refused:
        project.up()
    assert f"{older.volume_of(USER)} (of {OLD_UID})" in str(refused.value)
    project.write_env(NB_UID=str(OLD_UID))
    assert project.plan().steps
    assert older.state() == before


def test_users_files_of_root_are_refused_without_a_number_that_nb_uid_cannot_be(
    project: Project, older: Older, client: docker.DockerClient
) -> None:
    # If the older image had no such directory, the engine made the volume's root.
    older.give(older.volume_of(USER), 0)
    with pytest.raises(DeployError) as refused:
        project.show_plan()
    assert "set NB_UID" not in refused.value.fix
    assert refused.value.fix.startswith("stop these servers and give each volume away: docker run")
    assert f"{older.volume_of(USER)} (of 0)" in refused.value.found
    older.give(older.volume_of(USER), OLD_UID)
    project.show_plan()


def test_a_volume_of_another_deployment_is_no_users_whatever_its_name(
    project: Project, older: Older, client: docker.DockerClient
) -> None:
    other = older.volume_of("annex-data")
    client.volumes.create(other, labels={labels.DEPLOYMENT: older.volume_of("annex"), labels.ROLE: "data-volume"})
    try:
        older.give(other, 0)
        assert project.plan().taken_over[2:] == (f"user's volume {older.volume_of(USER)}",)
    finally:
        client.volumes.get(other).remove()


def test_a_network_with_a_volumes_name_is_not_taken_over(
    project: Project, older: Older, client: docker.DockerClient
) -> None:
    volume, network = client.volumes.create(older.network), client.networks.create(older.data)
    try:
        assert project.plan().taken_over == (
            f"network {older.network}", f"volume {older.data}", f"user's volume {older.volume_of(USER)}",
        )  # fmt: skip
    finally:
        network.remove()
        volume.remove()


def test_users_volumes_are_looked_into_until_a_hub_serves_them(project: Project, older: Older) -> None:
    assert looked_into(project.deployment()) == [older.volume_of(USER)]
    project.up()
    assert looked_into(project.deployment()) == []
    project.write_env(NB_UID="1500")
    assert looked_into(project.deployment()) == [older.volume_of(USER)]


def test_many_users_volumes_are_looked_into_with_few_containers(
    project: Project, older: Older, client: docker.DockerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = [older.volume_of(f"many-{number}") for number in range(45)]
    try:
        for number, volume in enumerate(users):
            client.volumes.create(volume)
            if number == 44:
                older.give(volume, 1044)
        engine, made = project.deployment().engine, []
        create = engine.connection.api.create_container

        def counted(*arguments: Any, **options: Any) -> Any:
            made.append(options["name"])
            return create(*arguments, **options)

        monkeypatch.setattr(engine.connection.api, "create_container", counted)
        owners = engine.volume_owners(users, deployment=project.name)
        assert owners == {**dict.fromkeys(users, 0), users[44]: 1044}
        assert len(made) <= 3
    finally:
        for volume in users:
            client.volumes.get(volume).remove()


def test_a_look_into_volumes_that_was_killed_is_in_nobodys_way(
    project: Project, older: Older, client: docker.DockerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment = project.deployment()

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(deployment.engine.connection.api, "get_archive", killed)
        patch.setattr(deployment.engine.connection.api, "remove_container", killed)
        with pytest.raises(KeyboardInterrupt):
            up.show_plan(deployment)
    left = client.containers.list(all=True, filters={"label": f"{labels.DEPLOYMENT}={project.name}"})
    assert len(left) == 1
    project.clean(volumes=False, yes=True)
    client.volumes.get(older.volume_of(USER)).remove()
    client.volumes.create(older.volume_of(USER))


def test_without_an_image_the_message_says_to_pull_one(
    project: Project, older: Older, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment = project.deployment()
    observed = dataclasses.replace(deployment.observe(), images={})
    monkeypatch.setattr(deployment, "observe", lambda: observed)
    assert looked_into(deployment) == []
    assert op.ImagePulled(BASE) in [step.operation for step in deployment.draw().plan.steps]


def test_up_uses_network_and_volumes_as_it_finds_them(
    client: docker.DockerClient, project: Project, older: Older
) -> None:
    before = older.state()
    project.up()
    assert older.state() == before
    assert revealed(project.deployment(), older.data) == HUB_FILES
    assert revealed(project.deployment(), older.volume_of(USER)) == USER_FILES
    hub = client.containers.get(f"{project.name}-hub")
    assert {"/data": older.data}.items() <= {one["Destination"]: one.get("Name") for one in hub.attrs["Mounts"]}.items()
    assert older.network in hub.attrs["NetworkSettings"]["Networks"]
    assert project.plan().steps == ()


def test_a_users_server_has_the_files_of_the_older_one(
    client: docker.DockerClient, project: Project, older: Older, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.up()
    before = older.state()
    start_server(client, project, USER, tmp_path, monkeypatch)
    server = client.containers.get(f"{project.name}-user-octo-2dcat")
    command = ["sh", "-c", "/bin/busybox cat thesis.ipynb && echo more > new"]
    assert server.exec_run(command, workdir="/home/cryptic/work") == (0, USER_FILES["thesis.ipynb"])
    server.remove(force=True)
    assert older.state() == before
    assert revealed(project.deployment(), older.volume_of(USER)) == {**USER_FILES, "new": b"more\n"}


def test_clean_with_volumes_removes_only_what_this_deployment_made(
    client: docker.DockerClient, project: Project, older: Older, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.up()
    before = older.state()
    start_server(client, project, "kaben", tmp_path, monkeypatch)
    assert client.volumes.get(older.volume_of("kaben")).attrs["Labels"][labels.DEPLOYMENT] == project.name
    deployment = project.deployment()
    # What `clean --volumes` does once the name is typed back.
    drawn = removal.removal(deployment.observe(), project.name, volumes=True)
    execution.carry_out(drawn.steps, deployment.apply, deployment.display)
    assert older.state() == before
    assert revealed(deployment, older.volume_of(USER)) == USER_FILES
    left = {one.name for one in client.volumes.list() if project.name in one.name}
    assert left == {older.data, older.volume_of(USER)}


def test_an_image_that_is_removed_meanwhile_is_no_obstacle_to_reading_a_volume(
    client: docker.DockerClient, project: Project, older: Older, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found beside another test run: it removed the image between the list and the container's creation."""
    engine = project.deployment().engine
    listed = engine.connection.api.images()
    gone = {**listed[0], "Id": "sha256:" + "0" * 64}
    monkeypatch.setattr(engine.connection.api, "images", lambda: [gone, *listed])
    assert set(engine.read_volume(older.data)) == set(HUB_FILES)
