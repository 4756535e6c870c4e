"""Attacks of a hub that was taken over: whatever its process can send to the filter, on the real engine.

Each is tried twice: at the engine's own socket, where it succeeds, and through the filter, where it must not. What became of
it is read from the engine, not from the answer.
"""

from __future__ import annotations

import io
import json
import os
import secrets
import tarfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import docker
import docker.errors
import pytest
import requests
from docker.models.containers import Container

from hubdeploy.contract import labels, servers
from hubdeploy.contract.disk import Disk
from hubdeploy.contract.documents import Folder, ServerKind, Servers, Volume
from hubdeploy.contract.use import Use
from tests.engine import filtering
from tests.engine.project import BASE, ensure_base

SECRET = "the-secret-of-somebody-else"


@dataclass(frozen=True)
class Stage:
    """A deployment's network and its filter, and a container of somebody else. `engine` sees what is; `send` is the
    attacker's way to the engine, and `asked` what a server's creation asks for there without an attack."""

    name: str
    engine: docker.DockerClient
    made_from: Servers
    victim: Container
    way: docker.APIClient
    asked: dict[str, Any]

    def send(self, method: str, path: str, version: str = "/v1.41", **more: Any) -> requests.Response:
        return self.way.request(method, f"{self.way.base_url}{version}{path}", timeout=30, **more)

    def create(self, body: dict[str, Any] | bytes, **more: Any) -> requests.Response:
        """A container with the name of ann's server, whatever else it is."""
        content = body if isinstance(body, bytes) else json.dumps({**self.asked, **body}).encode()
        path = f"/containers/create?name={self.name}-user-ann"
        return self.send("POST", path, data=content, headers={"Content-Type": "application/json"}, **more)

    def made(self) -> dict[str, Any]:
        """The container with that name as the engine has it; empty if there is none."""
        with suppress(docker.errors.NotFound):
            return dict(self.engine.containers.get(f"{self.name}-user-ann").attrs)
        return {}

    def clean(self) -> None:
        for one in self.engine.containers.list(all=True, filters={"name": f"{self.name}-user-ann"}):
            one.remove(force=True, v=True)
        for reference in (f"{self.name}-image",):
            with suppress(docker.errors.ImageNotFound):
                self.engine.images.remove(reference, force=True)
        for volume in self.engine.volumes.list(filters={"name": self.name}):
            with suppress(docker.errors.APIError):
                volume.remove()


def _kind(name: str) -> ServerKind:
    return ServerKind(
        name="default", image=BASE, ours=True, network_name=f"{name}-network", server_name=f"{name}-user-{{username}}",
        spawn_command=("/bin/busybox", "sleep", "600"), nb_user="cryptic", nb_uid=1000, notebook_dir="/home/cryptic/work",
        volumes=(Volume(f"{name}-home-{{username}}", "/home/cryptic"), Volume(f"{name}-user-{{username}}", "/home/cryptic/work")),
        memory_limit=2**27, cpu_limit=0.5, pids_limit=64, grant_sudo=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def stages(client: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Stage]]:
    """`open`: the attacker has the engine's own socket; `filtered`: the filter's."""
    ensure_base(client)
    name = f"t{uuid.uuid4().hex[:10]}"
    carried = {labels.DEPLOYMENT: name}
    kinds = (_kind(name), replace(_kind(name), name="large", memory_limit=2**28, users=("bob",)))
    # Of a name that no clean() between two attacks looks for.
    course, physics = (f"s{uuid.uuid4().hex[:10]}" for _ in range(2))
    folders = (
        Folder("course", course, writers=("bob",), readers=("ann",), ours=True),
        Folder("physics", physics, writers=("bob",), ours=True),
    )
    made_from = Servers(carried, "/", kinds, ("bob",), folders)
    for volume in (course, physics):
        client.volumes.create(volume, labels=servers.shared_labels(carried))
    network = client.networks.create(f"{name}-network", labels=carried)
    theirs = {labels.DEPLOYMENT: f"{name}-other", labels.ROLE: labels.SERVER}
    victim = client.containers.run(
        BASE, ["/bin/busybox", "sh", "-c", f"echo {SECRET} > /secret; echo {SECRET}; exec /bin/busybox sleep 600"],
        name=f"{name}-victim", detach=True, labels=theirs, environment={"SECRET": SECRET},
        volumes={f"{name}-theirs": {"bind": "/v"}}, stop_signal="SIGKILL",
    )  # fmt: skip
    try:
        with filtering.serving(made_from, tmp_path_factory.mktemp("filter")) as filtered:
            direct = docker.APIClient(version="1.41", base_url="unix:///var/run/docker.sock")
            asked = {"Image": BASE, "Cmd": ["/bin/busybox", "true"]}
            yield {
                "open": Stage(name, client, made_from, victim, direct, asked),
                "filtered": Stage(name, client, made_from, victim, filtered(), {"Labels": {labels.USER: "ann"}}),
            }
    finally:
        for one in client.containers.list(all=True, filters={"label": f"{labels.DEPLOYMENT}={name}"}):
            one.remove(force=True, v=True)
        victim.remove(force=True, v=True)
        network.remove()
        own = {"label": f"{labels.DEPLOYMENT}={name}"}
        for left in [*client.volumes.list(filters={"name": name}), *client.volumes.list(filters=own)]:
            left.remove(force=True)


def _made_with(found: Callable[[dict[str, Any]], Any], **body: Any) -> Callable[[Stage], bool]:
    """An attack by creation: true if the container that is there has what `found` looks for."""

    def attack(stage: Stage) -> bool:
        course, physics = (folder.volume for folder in stage.made_from.folders)
        words = {"NAME": stage.name, "IMAGE": stage.engine.images.get(BASE).id, "COURSE": course, "PHYSICS": physics}
        asked = json.dumps(body)
        for word, meant in words.items():
            asked = asked.replace(word, str(meant))
        stage.create(json.loads(asked))
        return bool((made := stage.made()) and found(made))

    return attack


def _host(key: str, value: Any) -> Callable[[Stage], bool]:
    return _made_with(lambda made: made["HostConfig"][key] == value, HostConfig={key: value})


def _told(method: str, path: str, secret: str = SECRET, **more: Any) -> Callable[[Stage], bool]:
    """An attack that reads: true if the answer has the secret."""

    def attack(stage: Stage) -> bool:
        path_there = path.replace("VICTIM", str(stage.victim.id)).replace("NAME", stage.name)
        return secret in stage.send(method, path_there, **more).text

    return attack


def _executed(stage: Stage) -> bool:
    body = {"Cmd": ["/bin/busybox", "cat", "/secret"], "AttachStdout": True}
    made = stage.send("POST", f"/containers/{stage.victim.id}/exec", json=body)
    return made.ok and SECRET in stage.send("POST", f"/exec/{made.json()['Id']}/start", json={}).text


def _case_folded(stage: Stage) -> bool:
    stage.create({"hostconfig": {"privileged": True}})
    return bool((made := stage.made()) and made["HostConfig"]["Privileged"])


def _doubled(stage: Stage) -> bool:
    body = json.dumps({"Labels": {labels.USER: "ann"}, **stage.asked})
    stage.create(f'{body[:-1]}, "Labels": {{"{labels.ROLE}": "hub"}}}}'.encode())
    return bool((made := stage.made()) and made["Config"]["Labels"].get(labels.ROLE) == "hub")


def _in_pieces(stage: Stage) -> bool:
    def pieces() -> Iterator[bytes]:
        yield json.dumps({**stage.asked, "HostConfig": {"Privileged": True}}).encode()

    path = f"/containers/create?name={stage.name}-user-ann"
    stage.send("POST", path, data=pieces(), headers={"Content-Type": "application/json"})
    return bool((made := stage.made()) and made["HostConfig"]["Privileged"])


def _changed(stage: Stage) -> bool:
    memory = secrets.randbelow(1000) * 4096 + 2**26
    stage.send("POST", f"/containers/{stage.victim.id}/update", json={"Memory": memory, "MemorySwap": memory})
    stage.victim.reload()
    return bool(stage.victim.attrs["HostConfig"]["Memory"] == memory)


def _written(stage: Stage) -> bool:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("planted"))
    stage.send("PUT", f"/containers/{stage.victim.id}/archive?path=/", data=content.getvalue())
    found: Any = stage.victim.exec_run(["/bin/busybox", "rm", "/planted"])
    return bool(found.exit_code == 0)


def _stopped(stage: Stage) -> bool:
    stage.send("POST", f"/containers/{stage.victim.id}/stop?t=0")
    stage.victim.reload()
    stopped = stage.victim.status != "running"
    stage.victim.start()
    return stopped


def _image(method: str, path: str, content: Callable[[], bytes]) -> Callable[[Stage], bool]:
    def attack(stage: Stage) -> bool:
        there = path.replace("NAME", stage.name).replace("VICTIM", str(stage.victim.id))
        headers = {"Content-Type": "application/json" if path.startswith("/commit") else "application/x-tar"}
        _ = stage.send(method, there, data=content(), headers=headers).text
        with suppress(docker.errors.ImageNotFound):
            return bool(stage.engine.images.get(f"{stage.name}-image"))
        return False

    return attack


def _tar(**files: str) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    return content.getvalue()


def _volume(stage: Stage) -> bool:
    options = {"type": "none", "o": "bind", "device": "/"}
    body = {"Name": f"{stage.name}-root", "DriverOpts": options}
    stage.send("POST", "/volumes/create", json=body)
    return any(one.name == body["Name"] for one in stage.engine.volumes.list())


def _connected(stage: Stage) -> bool:
    network = stage.engine.networks.get(f"{stage.name}-network")
    stage.send("POST", f"/networks/{network.id}/connect", json={"Container": stage.victim.id})
    network.reload()
    joined = stage.victim in network.containers
    if joined:
        network.disconnect(stage.victim)
    return joined


def _attached(stage: Stage) -> bool:
    headers = {"Upgrade": "tcp", "Connection": "Upgrade"}
    path = f"/containers/{stage.victim.id}/attach?stream=1&stdout=1&logs=1"
    return stage.send("POST", path, headers=headers, stream=True).status_code == 101


def _answered(method: str, path: str) -> Callable[[Stage], bool]:
    """True if the engine itself answers, be it that it cannot."""
    return lambda stage: "the filter refuses this" not in stage.send(method, path).text


def _shared(volume: str) -> dict[str, Any]:
    return {"Type": "volume", "Source": volume, "Target": f"{servers.SHARED}/folder"}


MOUNT = {"Type": "volume", "Source": "NAME-theirs", "Target": "/v"}
BIND = {"Type": "bind", "Source": "/", "Target": "/host"}
DEVICE = {"PathOnHost": "/dev/null", "PathInContainer": "/dev/x", "CgroupPermissions": "rwm"}
ROOT_BY_OPTIONS = {
    "Type": "volume", "Source": "NAME-bound", "Target": "/v",
    "VolumeOptions": {"DriverConfig": {"Name": "local", "Options": {"type": "none", "o": "bind", "device": "/"}}},
}  # fmt: skip
ATTACKS: dict[str, Callable[[Stage], bool]] = {
    "privileged": _host("Privileged", True),
    "a path of the host": _host("Binds", ["/:/host"]),
    "a path of the host as a mount": _made_with(lambda made: made["HostConfig"]["Mounts"], HostConfig={"Mounts": [BIND]}),
    "a path of the host by a volume's options": _made_with(
        lambda made: made["HostConfig"]["Mounts"], HostConfig={"Mounts": [ROOT_BY_OPTIONS]}
    ),
    "somebody else's volume": _made_with(lambda made: made["Mounts"], HostConfig={"Mounts": [MOUNT]}),
    "volumes of another container": _made_with(lambda made: made["Mounts"], HostConfig={"VolumesFrom": ["NAME-victim"]}),
    "the host's processes": _host("PidMode", "host"),
    "the host's network": _host("NetworkMode", "host"),
    "another container's network": _made_with(
        lambda made: made["HostConfig"]["NetworkMode"].startswith("container:"),
        HostConfig={"NetworkMode": "container:NAME-victim"},
    ),
    "the host's memory segments": _host("IpcMode", "host"),
    "the host's name": _host("UTSMode", "host"),
    "the host's users": _host("UsernsMode", "host"),
    "a device": _made_with(lambda made: made["HostConfig"]["Devices"], HostConfig={"Devices": [DEVICE]}),
    "a capability": _made_with(lambda made: made["HostConfig"]["CapAdd"], HostConfig={"CapAdd": ["SYS_ADMIN"]}),
    "no seccomp": _host("SecurityOpt", ["seccomp=unconfined"]),
    "no limit": _made_with(lambda made: not made["HostConfig"]["Memory"]),
    "another image": _made_with(lambda made: made["Config"]["Image"] != BASE, Image="IMAGE"),
    "root": _made_with(lambda made: made["Config"]["User"] == "0", User="0"),
    "another command": _made_with(lambda made: made["Config"]["Cmd"] == ["/bin/sh"], Cmd=["/bin/sh"]),
    "a poisoned environment": _made_with(lambda made: "BASH_ENV=/x" in made["Config"]["Env"], Env=["BASH_ENV=/x"]),
    "sudo for somebody who may not": _made_with(
        lambda made: "GRANT_SUDO=yes" in made["Config"]["Env"], Env=["GRANT_SUDO=yes"], Labels={labels.USER: "ann"}
    ),
    "a component's label": _made_with(
        lambda made: made["Config"]["Labels"][labels.ROLE] == "hub", Labels={labels.ROLE: "hub"}
    ),
    "another user's files": _made_with(lambda made: made["Config"]["Labels"][labels.USER] == "bob", Labels={labels.USER: "bob"}),
    "a kind of servers that others have": _made_with(
        lambda made: made["Config"]["Labels"].get(labels.KIND) == "large", Labels={labels.USER: "ann", labels.KIND: "large"}
    ),
    "a shared folder of others": _made_with(lambda made: made["Mounts"], HostConfig={"Mounts": [_shared("PHYSICS")]}),
    "a shared folder to write, for who only reads": _made_with(
        lambda made: any(mount["RW"] for mount in made["Mounts"]), HostConfig={"Mounts": [_shared("COURSE")]}
    ),
    "keys in another case": _case_folded,
    "a key twice": _doubled,
    "a body in pieces": _in_pieces,
    "inspection of another's container": _told("GET", "/containers/VICTIM/json"),
    "inspection by an old version": _told("GET", "/containers/VICTIM/json", version="/v1.24"),
    "inspection without a version": _told("GET", "/containers/VICTIM/json", version=""),
    "inspection by name": _told("GET", "/containers/NAME-victim/json"),
    "another's log": _told("GET", "/containers/VICTIM/logs?stdout=1&stderr=1&timestamps=0&follow=0&tail=200"),
    "another's processes": _told("GET", "/containers/VICTIM/top", "sleep"),
    "another's file": _told("GET", "/containers/VICTIM/archive?path=/secret"),
    "another's file system": _told("GET", "/containers/VICTIM/export"),
    "a list of all containers": _told("GET", "/containers/json?all=1", "NAME-victim".removeprefix("NAME")),
    "a list of all volumes": _told("GET", "/volumes", "-theirs"),
    "a command in another's container": _executed,
    "another limit for another's container": _changed,
    "a file put into another's container": _written,
    "the end of another's container": _stopped,
    "a terminal of another's container": _attached,
    "a container made an image": _image("POST", "/commit?container=VICTIM&repo=NAME-image&pause=0", bytes),
    "a build": _image("POST", "/build?t=NAME-image", lambda: _tar(Dockerfile=f"FROM {BASE}\n")),
    "an image by import": _image("POST", "/images/create?fromSrc=-&repo=NAME-image", lambda: _tar(x="")),
    "an image by another name": _image("POST", f"/images/{BASE}/tag?repo=NAME-image", bytes),
    "a volume that is the host's disk": _volume,
    "another's container in this network": _connected,
    "the engine's settings": _answered("GET", "/info"),
    "plugins": _answered("GET", "/plugins"),
    "swarm": _answered("GET", "/swarm"),
    "the removal of all that is unused": _answered("GET", "/system/df"),
}  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_on_the_engine_succeeds_without_the_filter_and_fails_with_it(
    stages: dict[str, Stage], attack: str
) -> None:
    succeeded = {}
    for way, stage in stages.items():
        try:
            succeeded[way] = ATTACKS[attack](stage)
        finally:
            stage.clean()
    assert succeeded == {"open": True, "filtered": False}


def test_what_the_engine_holds_is_the_template(stages: dict[str, Stage], client: docker.DockerClient) -> None:
    """Made once from the hub's wish, through the filter, and once from the template, at the engine."""
    filtered, direct = stages["filtered"], stages["open"]
    wish = {"Env": ["JUPYTERHUB_API_TOKEN=t"], "Labels": {labels.USER: "ann"}}
    held = []
    for way, body in (
        (filtered, json.dumps(wish).encode()),
        (direct, json.dumps(_template(filtered)).encode()),
    ):
        assert way.create(body).status_code == 201
        found = way.made()
        mounts = sorted(found["Mounts"], key=lambda mount: str(mount["Destination"]))
        for scratch in (one for one in mounts if one["Destination"] == servers.SCRATCH):
            # The engine gives it a name of its own.
            assert scratch.pop("Name") in scratch.pop("Source")
        held.append({**{part: found[part] for part in ("Config", "HostConfig", "Name")}, "Mounts": mounts})
        way.clean()
    held[0]["Config"]["Hostname"] = held[1]["Config"]["Hostname"]
    assert held[0] == held[1]
    shared = [
        (one["Destination"], one["RW"]) for one in held[0]["Mounts"] if one["Destination"].startswith(servers.SHARED)
    ]
    assert shared == [(f"{servers.SHARED}/course", False)]


def _template(stage: Stage) -> dict[str, Any]:
    wish = servers.Wish("ann", {"JUPYTERHUB_API_TOKEN": "t"}, home_is_new=True)
    return servers.creation(stage.made_from, wish, mac_in_endpoint=False)


def test_a_server_lives_through_the_filter(stages: dict[str, Stage]) -> None:
    stage = stages["filtered"]
    way, name = stage.way, f"{stage.name}-user-ann"
    try:
        container = stage.create({}).json()["Id"]
        way.start(container)
        assert way.inspect_container(name)["State"]["Running"]
        assert [one["Id"] for one in way.containers(all=True)] == [container]
        way.stop(container, timeout=0)
        assert way.logs(container, tail=10) == b""
        way.remove_container(container, v=True, force=True)
        assert way.containers(all=True) == []
    finally:
        stage.clean()


def test_the_filter_says_what_this_deployments_servers_take(stages: dict[str, Stage]) -> None:
    """Its container of somebody else runs too."""
    stage = stages["filtered"]
    container = stage.create({}).json()["Id"]
    try:
        stage.way.start(container)
        found = stage.send("GET", "/use").json()
        assert set(found) == {container}
        use = Use(**found[container])
        assert 0 < use.memory < stage.engine.info()["MemTotal"]
        assert use.at[:19] >= stage.engine.containers.get(container).attrs["Created"][:19]
    finally:
        stage.clean()


def test_the_events_of_an_end_come_through_the_filter(stages: dict[str, Stage]) -> None:
    stage = stages["filtered"]
    container = stage.create({}).json()["Id"]
    stream = stage.way.events(decode=True, filters={"type": "container", "event": "die"})
    try:
        stage.way.start(container)
        stage.engine.containers.get(container).kill()
        assert next(iter(stream))["Actor"]["ID"] == container
    finally:
        stream.close()
        stage.clean()


def test_refusals_are_counted(stages: dict[str, Stage]) -> None:
    way = stages["filtered"]
    before = way.send("GET", "/health").json()["refused"]
    assert way.send("GET", "/info").status_code == 403
    assert way.send("GET", "/health").json()["refused"] == before + 1


def test_the_filter_knows_how_full_the_engines_disk_is(stages: dict[str, Stage], tmp_path: Path) -> None:
    found, disk = Disk(**stages["filtered"].send("GET", "/disk").json()), Disk.of(os.statvfs(tmp_path))
    assert found.free > 0
    assert abs(found.size - disk.size) < 0.1 * disk.size
    assert abs(found.files - disk.files) < 0.1 * disk.files
