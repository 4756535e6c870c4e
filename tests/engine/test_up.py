"""What `up`, `plan`, `down` and `clean` leave on a real engine."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import re
import signal
import socket
import tarfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.models.containers import Container

from hubdeploy.blueprint.components import clock, filter, guard, hub, proxy
from hubdeploy.blueprint.documents import CONTRACT_PATH
from hubdeploy.blueprint.specs import NOTHING, SERVERS_STOP, Consequence
from hubdeploy.commands import check_files, status
from hubdeploy.contract import labels, servers
from hubdeploy.contract.documents import Contract, from_bytes
from hubdeploy.errors import DeployError, Interrupted, NotReady, Refused
from hubdeploy.family import FAMILY
from hubdeploy.plan import operations as op
from hubdeploy.plan.snapshot import Snapshot
from hubdeploy.plan.steps import Plan
from hubdeploy.tls import certificates, selection
from tests.engine.project import BASE, Project
from tests.ports import free_port

NewProject = Callable[[], Project]


def ids(client: docker.DockerClient, project: Project) -> dict[str, str | None]:
    """Name -> id of everything with the project's label."""
    found = {f"container {one.name}": one.id for one in client.containers.list(all=True, filters=project.own)}
    found |= {f"network {one.name}": one.id for one in client.networks.list(filters=project.own)}
    # A volume has no id, and its creation time changes when it is written.
    found |= {f"volume {one.name}": one.attrs["Mountpoint"] for one in client.volumes.list(filters=project.own)}
    return found | {f"image {tag}": one.id for one in client.images.list(filters=project.own) for tag in one.tags}


def touched(plan: Plan) -> set[str]:
    """What the plan's steps change, as `kind name`; what they try or put on record apart."""
    found = set()
    for step in plan.steps:
        if isinstance(step.operation, op.CanaryHeard | op.StateNoted | op.StateKept):
            continue
        if isinstance(step.operation, op.ImageBuilt):
            # Of servers it gets its name later.
            found.add(f"image {step.operation.spec.reference}")
            continue
        words = str(step.operation).split()
        found.add(" ".join(words[:2]) if words[0] in ("container", "image", "network", "volume") else words[0])
    return found


def causes(plan: Plan) -> str:
    return " | ".join(step.cause for step in plan.steps)


def start_server(client: docker.DockerClient, project: Project, user: str) -> Container:
    """A user's server as the hub's spawner labels it, on the users' network."""
    deployment = project.deployment()
    assert not project.plan().steps, "start servers of a deployment that is up"
    held = (deployment.engine.read_files(deployment.settings.hub_name, "/srv/jupyterhub") or {})[CONTRACT_PATH]
    kind = from_bytes(Contract, held.reveal()).kinds[0]
    return client.containers.run(
        kind.image,
        ["/bin/busybox", "sleep", "600"],
        name=kind.server_name.format(username=user),
        detach=True,
        network=kind.network_name,
        stop_signal="SIGKILL",
        labels={
            labels.DEPLOYMENT: project.name,
            labels.ROLE: labels.SERVER,
            labels.USER: user,
            labels.FINGERPRINT: kind.fingerprint,
        },
    )


@pytest.fixture
def up(project: Project) -> Project:
    project.up()
    return project


def test_up_twice_changes_nothing(client: docker.DockerClient, up: Project) -> None:
    before = ids(client, up)
    assert up.plan().steps == ()
    up.up()
    assert ids(client, up) == before


def test_hub_has_a_fixed_address_outside_the_pool(client: docker.DockerClient, up: Project) -> None:
    network = client.networks.get(f"{up.name}-network").attrs["IPAM"]["Config"][0]
    hub = client.containers.get(f"{up.name}-hub")

    def address() -> str:
        hub.reload()
        return str(hub.attrs["NetworkSettings"]["Networks"][f"{up.name}-network"]["IPAddress"])

    before = address()
    assert network["IPRange"] != network["Subnet"]
    (up.root / "userlist").write_text("kaben admin\ndana\n")
    up.up()
    hub = client.containers.get(f"{up.name}-hub")
    assert address() == before


def test_the_guard_may_change_the_hosts_network_and_no_more(client: docker.DockerClient, up: Project) -> None:
    host = client.containers.get(f"{up.name}-guard").attrs["HostConfig"]
    assert (host["CapDrop"], host["CapAdd"], host["NetworkMode"]) == (["ALL"], ["NET_ADMIN"], "host")
    assert host["ReadonlyRootfs"]
    assert [mount["Source"] for mount in host["Mounts"]] == [f"{up.name}-guard"]


def test_the_filter_alone_has_the_engines_socket_and_it_has_no_network(
    client: docker.DockerClient, up: Project
) -> None:
    found = client.containers.get(f"{up.name}-filter").attrs
    host = found["HostConfig"]
    assert (host["CapDrop"], host["CapAdd"], host["NetworkMode"]) == (["ALL"], None, "none")
    assert host["ReadonlyRootfs"]
    assert found["Config"]["User"] == f"{filter.UID}:{Path(filter.ENGINE_SOCKET).stat().st_gid}"
    mounts = {
        container.name: {mount["Source"] for mount in container.attrs["HostConfig"]["Mounts"]}
        for container in client.containers.list(filters=up.own)
    }
    assert [name for name, sources in mounts.items() if filter.ENGINE_SOCKET in sources] == [f"{up.name}-filter"]
    for volume, roles in {"filter": ("filter", "hub"), "clock": ("filter", "clock")}.items():
        having = {name for name, sources in mounts.items() if f"{up.name}-{volume}" in sources}
        assert having == {f"{up.name}-{role}" for role in roles}
    attributes = client.containers.get(f"{up.name}-clock").attrs
    assert (attributes["HostConfig"]["NetworkMode"], attributes["Config"]["User"]) == (
        "none",
        f"{clock.UID}:{clock.UID}",
    )


def test_no_capability_and_no_new_privileges_for_hub_and_proxy(client: docker.DockerClient, up: Project) -> None:
    for name in (f"{up.name}-hub", f"{up.name}-proxy"):
        host = client.containers.get(name).attrs["HostConfig"]
        assert host["CapDrop"] == ["ALL"]
        assert "no-new-privileges" in host["SecurityOpt"]
        assert not host["Privileged"]


def test_nothing_listens_beyond_this_machine(client: docker.DockerClient, up: Project) -> None:
    for container in client.containers.list(filters=up.own):
        bindings = container.attrs["HostConfig"]["PortBindings"] or {}
        assert {one["HostIp"] for many in bindings.values() for one in many} <= {"127.0.0.1"}


# Edit -> what the plan touches, words in its causes, its impact on users.
EDITS: dict[str, tuple[Callable[[Project], object], set[str], list[str], set[Consequence]]] = {
    "userlist": (
        lambda p: (p.root / "userlist").write_text("kaben admin\ndana sudo\n"),
        {"container NAME-filter", "container NAME-hub"},
        ["user dana added", "user carriere4 removed", "users with sudo: "],
        {filter.CONSEQUENCE, hub.CONSEQUENCE},
    ),
    "cert.conf": (
        lambda p: _replace(p.root / "jupyterhub" / "cert.conf", "Mountain View", "Berkeley"),
        {"NAME.crt", "container NAME-proxy"},
        ["cert.conf or the names in it changed", "the certificate changed"],
        set(),
    ),
    "NB_USER": (
        lambda p: p.write_env(NB_USER="ada"),
        {"image NAME/base-notebook:latest", "container NAME-filter", "container NAME-hub"},
        ["NB_USER: cryptic -> ada"],
        {filter.CONSEQUENCE, hub.CONSEQUENCE},
    ),
    "HUB_PORT": (
        lambda p: p.write_env(HUB_PORT=str(free_port())),
        {"container NAME-proxy", "container NAME-filter", "container NAME-clock"},
        ["HUB_PORT: ", "jobs: login-page"],
        {proxy.CONSEQUENCE, filter.CONSEQUENCE, clock.CONSEQUENCE},
    ),
    "GRANT_SUDO": (
        lambda p: p.write_env(GRANT_SUDO="yes"),
        {"container NAME-filter", "container NAME-hub"},
        ["GRANT_SUDO: no -> yes"],
        {filter.CONSEQUENCE, hub.CONSEQUENCE},
    ),
    "proxy/": (
        lambda p: _append(p.root / "proxy" / "Dockerfile"),
        {"image NAME/proxy:latest", "container NAME-proxy"},
        ["proxy/ changed"],
        {proxy.CONSEQUENCE},
    ),
    "jupyterhub/": (
        lambda p: _append(p.root / "jupyterhub" / "Dockerfile"),
        {"image NAME/hub:latest", *(f"container NAME-{role}" for role in ("guard", "filter", "hub", "clock"))},
        ["jupyterhub/ changed"],
        {guard.CONSEQUENCE, filter.CONSEQUENCE, hub.CONSEQUENCE, clock.CONSEQUENCE},
    ),
    "ALLOWED_NETWORKS": (
        lambda p: p.write_env(ALLOWED_NETWORKS="10.1.2.0/24"),
        {"container NAME-guard"},
        ["ALLOWED_NETWORKS: none -> 10.1.2.0/24"],
        {guard.CONSEQUENCE},
    ),
    "anaconda3/": (
        lambda p: _append(p.root / "anaconda3" / "Dockerfile"),
        {"image NAME/anaconda3:latest", "image NAME/base-notebook:latest"},
        ["anaconda3/ changed", "its parent changed"],
        set(),
    ),
    "base-notebook/": (
        lambda p: _append(p.root / "base-notebook" / "Dockerfile"),
        {"image NAME/base-notebook:latest"},
        ["base-notebook/ changed"],
        set(),
    ),
    "minimal-notebook/": (lambda p: _append(p.root / "minimal-notebook" / "Dockerfile"), set(), [], set()),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_changes_what_shows_it_and_no_more(client: docker.DockerClient, up: Project, edit: str) -> None:
    change, expected, words, impacts = EDITS[edit]
    before = ids(client, up)
    change(up)
    drawn = up.plan()
    assert touched(drawn) == {one.replace("NAME", up.name) for one in expected}
    assert all(word in causes(drawn) for word in words), causes(drawn)
    assert {step.consequence for step in drawn.steps} - {NOTHING} == impacts
    up.up()
    after = ids(client, up)
    changed = {name for name in before if before[name] != after.get(name)}
    recreated = {one for one in touched(drawn) if " " in one}
    assert changed == (recreated if edit != "cert.conf" else set()), "a new certificate restarts nothing"
    assert up.plan().steps == ()


def test_running_servers_go_on_and_the_plan_names_who_gets_a_change_later(
    client: docker.DockerClient, up: Project
) -> None:
    server = start_server(client, up, "alice")
    assert up.plan().pending == ()
    up.write_env(USER_PIDS_LIMIT="512")
    _append(up.root / "base-notebook" / "Dockerfile")
    drawn = up.plan()
    assert [pending.users for pending in drawn.pending] == [("alice",), ("alice",)]
    assert not drawn.loses
    up.up()
    server.reload()
    assert server.status == "running"


def test_a_user_who_leaves_the_list_is_named_before_the_server_stops(client: docker.DockerClient, up: Project) -> None:
    server = start_server(client, up, "carriere4")
    (up.root / "userlist").write_text("kaben admin\n")
    drawn = up.plan()
    assert [(step.consequence, step.users) for step in drawn.loses] == [(SERVERS_STOP, ("carriere4",))]
    with pytest.raises(DeployError, match="no terminal to ask"):
        up.up()
    server.reload()
    assert server.status == "running"


def test_another_network_stops_servers_only_when_that_is_meant(client: docker.DockerClient, up: Project) -> None:
    server = start_server(client, up, "alice")
    up.write_env(DOCKER_NETWORK_NAME=f"{up.name}-other")
    with pytest.raises(DeployError, match="no terminal to ask"):
        up.up()
    up.up(yes=True)
    server.reload()
    assert server.status == "exited"
    assert up.plan().steps == ()
    client.containers.get(f"{up.name}-hub").remove(force=True)
    client.containers.get(f"{up.name}-proxy").remove(force=True)


def test_down_stops_and_up_starts_the_same_containers(client: docker.DockerClient, up: Project) -> None:
    before = ids(client, up)
    up.down(servers=False, yes=False)
    assert client.containers.get(f"{up.name}-hub").status == "exited"
    up.up()
    assert ids(client, up) == before


def test_down_leaves_servers_unless_asked(client: docker.DockerClient, up: Project) -> None:
    server = start_server(client, up, "alice")
    up.down(servers=False, yes=False)
    server.reload()
    assert server.status == "running"
    up.down(servers=True, yes=True)
    server.reload()
    assert server.status == "exited"


def test_clean_keeps_every_volume(client: docker.DockerClient, up: Project) -> None:
    client.volumes.create(f"{up.name}-user-alice", labels={labels.DEPLOYMENT: up.name})
    volumes = {one.name for one in client.volumes.list(filters=up.own)}
    up.clean(volumes=False, yes=True)
    assert {one.name for one in client.volumes.list(filters=up.own)} == volumes
    assert not client.containers.list(all=True, filters=up.own)
    assert not client.networks.list(filters=up.own)
    assert not client.images.list(filters=up.own)


def test_clean_with_volumes_asks_for_the_name_even_with_yes(client: docker.DockerClient, up: Project) -> None:
    before = ids(client, up)
    with pytest.raises(DeployError, match="no terminal"):
        up.clean(volumes=True, yes=True)
    assert ids(client, up) == before


def test_two_clones_on_one_engine_leave_each_other_alone(client: docker.DockerClient, new_project: NewProject) -> None:
    one, other = new_project(), new_project()
    other.write_env(NB_USER="ada")
    one.up()
    other.up()
    before = ids(client, other)
    one.clean(volumes=False, yes=True)
    assert ids(client, other) == before
    assert other.plan().steps == ()


def test_a_volume_of_others_is_refused_when_derived_and_used_when_set(
    client: docker.DockerClient, project: Project
) -> None:
    volume = client.volumes.create(f"{project.name}-data", labels={"hubdeploy.test": project.name})
    try:
        with pytest.raises(DeployError, match="set DATA_VOLUME_HOST="):
            project.up()
        assert ids(client, project) == {}
        project.write_env(DATA_VOLUME_HOST=volume.name)
        project.up()
        mounts = client.containers.get(f"{project.name}-hub").attrs["Mounts"]
        assert volume.name in [mount.get("Name") for mount in mounts]
        project.clean(volumes=False, yes=True)
        assert client.volumes.get(volume.name).attrs["Labels"] == volume.attrs["Labels"]
    finally:
        project.remove(client)
        volume.remove()


def test_a_network_of_others_is_used_when_set_and_survives_clean(client: docker.DockerClient, project: Project) -> None:
    network = client.networks.create(f"{project.name}-theirs", labels={"hubdeploy.test": project.name})
    try:
        project.write_env(DOCKER_NETWORK_NAME=f"{project.name}-theirs")
        project.up()
        assert project.plan().steps == ()
        project.clean(volumes=False, yes=True)
        assert client.networks.get(str(network.id)).name == network.name
    finally:
        project.remove(client)
        network.remove()


def test_a_container_of_another_owner_is_refused(client: docker.DockerClient, project: Project) -> None:
    stranger = client.containers.create(BASE, ["/bin/busybox", "true"], name=f"{project.name}-hub")
    try:
        with pytest.raises(DeployError, match=f"the container {project.name}-hub was not made by this deployment"):
            project.up()
        assert ids(client, project) == {}
    finally:
        stranger.remove()


def test_up_decides_all_it_refuses_on_one_snapshot(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    deployment = project.deployment()
    taken, observe = [], deployment.engine.observe

    def counted(*arguments: Any, **options: Any) -> Snapshot:
        taken.append(observe(*arguments, **options))
        return taken[-1]

    monkeypatch.setattr(deployment.engine, "observe", counted)
    project.up(deployment=deployment)
    assert len(taken) == 1


def test_a_taken_port_is_refused_and_the_container_that_holds_it_is_named(
    client: docker.DockerClient, new_project: NewProject
) -> None:
    one, other = new_project(), new_project()
    one.up()
    port = dict(line.split("=", 1) for line in (one.root / ".env").read_text().splitlines())["HUB_PORT"]
    other.write_env(HUB_PORT=port)
    with pytest.raises(DeployError, match=f"port {port} is taken by the container {one.name}-proxy") as refused:
        other.up()
    assert f"of the deployment {one.name}\n" in str(refused.value)
    assert f"DOCKER_MACHINE_NAME={one.name} ./invoke down" in str(refused.value)


def test_another_name_is_warned_of_the_users_volumes_under_the_old_one(
    client: docker.DockerClient, up: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    carried = {labels.DEPLOYMENT: up.name, labels.UID: "1000"}
    client.volumes.create(f"{up.name}-user-ann", labels=carried)
    up.down()
    up.write_env(DOCKER_MACHINE_NAME=f"{up.name}-new")
    up.show_plan()
    (warning,) = [line for line in capsys.readouterr().out.splitlines() if "users' volumes" in line]
    assert f" {up.name} (1)" in warning
    assert f"{up.name}-new is new" in warning


def test_a_port_that_another_program_holds_is_refused_before_anything_is_made(
    client: docker.DockerClient, project: Project
) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        project.write_env(HUB_PORT=str(holder.getsockname()[1]))
        with pytest.raises(DeployError, match=r"is taken by \S+ \(pid \d+\)"):
            project.up()
    assert ids(client, project) == {}


def test_a_changed_user_id_is_refused_until_the_volumes_are_given_away(
    client: docker.DockerClient, up: Project
) -> None:
    name = f"{up.name}-user-alice"
    client.volumes.create(name, labels={labels.DEPLOYMENT: up.name, labels.UID: "1000"})

    def give_to(uid: int) -> None:
        command = ["/bin/busybox", "chown", str(uid), "/v"]
        client.containers.run(BASE, command, remove=True, volumes={name: {"bind": "/v"}})

    give_to(1000)
    up.write_env(NB_UID="2000")
    with pytest.raises(DeployError, match="set NB_UID=1000, or"):
        up.up()
    give_to(2000)
    up.up()


def test_a_failing_build_shows_the_line_and_the_end_of_its_log(client: docker.DockerClient, project: Project) -> None:
    with (project.root / "proxy" / "Dockerfile").open("a") as dockerfile:
        dockerfile.write('RUN ["/bin/busybox", "sh", "-c", "echo this is why; exit 3"]\n')
    with pytest.raises(DeployError) as failure:
        project.up()
    assert 'RUN ["/bin/busybox", "sh", "-c"' in failure.value.message
    assert "this is why" in failure.value.message


def test_the_output_of_a_build_comes_in_whole_lines_without_colours(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    # The engine makes stderr red, and passes on what a program writes as it comes.
    says = "for word in one two; do echo -n $word- >&2; /bin/busybox sleep 0.3; done; echo three >&2"
    with (project.root / "proxy" / "Dockerfile").open("a") as dockerfile:
        dockerfile.write(f'RUN ["/bin/busybox", "sh", "-c", "{says}"]\n')
    project.build()
    printed = capsys.readouterr().out
    assert "proxy | one-two-three\n" in printed
    assert "\x1b" not in printed


def test_a_disk_that_is_too_small_for_the_builds_is_refused_beforehand(
    client: docker.DockerClient, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    huge = dataclasses.replace(FAMILY["hub"], disk=10**18)
    monkeypatch.setitem(FAMILY, "hub", huge)
    with pytest.raises(DeployError, match="the engine's disk has"):
        project.up()
    assert ids(client, project) == {}


def test_a_base_image_that_cannot_be_had_is_named(project: Project) -> None:
    project.write_env(BASE_IMAGE="127.0.0.1:1/nothing:here")
    with pytest.raises(DeployError, match=r"image 127\.0\.0\.1:1/nothing:here") as failure:
        project.up()
    assert "./invoke setup" in failure.value.message


def test_a_hub_that_exits_is_reported_at_once_with_its_last_lines(project: Project) -> None:
    dockerfile = project.root / "jupyterhub" / "Dockerfile"
    dockerfile.write_text(
        "ARG PARENT\nFROM ${PARENT}\n"
        'HEALTHCHECK CMD ["/bin/busybox", "true"]\n'
        'CMD ["/bin/busybox", "sh", "-c", "echo no database here; exit 7"]\n'
    )
    with pytest.raises(NotReady, match="no database here"):
        project.up()


def test_equal_content_under_another_tag_is_tagged_and_not_built(client: docker.DockerClient, up: Project) -> None:
    up.write_env(IMAGE_TAG="v2")
    kinds = {type(step.operation) for step in up.plan().steps}
    assert op.ImageTagged in kinds
    assert op.ImageBuilt not in kinds


def bring(project: Project, days: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lays a pair beside the deployment that it did not make, valid for so many days; 0: it has just expired."""
    settings = project.deployment().settings
    with monkeypatch.context() as patch:
        patch.setattr(certificates, "_MADE_BY", "brought by ")
        patch.setattr(certificates, "VALID_DAYS", days)
        pair, _ = selection.make(settings, "for this test")
    settings.certificate_path.write_bytes(pair.certificate)
    settings.key_path.write_bytes(pair.key.reveal())


def test_an_expired_certificate_keeps_nobody_from_losing_access_and_is_not_served_anew(
    client: docker.DockerClient, up: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bring(up, 20, monkeypatch)
    up.up()
    assert "the certificate that you brought expires in 19 days" in capsys.readouterr().out
    bring(up, 0, monkeypatch)
    (up.root / "userlist").write_text("kaben\n")
    before, served = ids(client, up), _certificates(up)
    up.up()
    printed = capsys.readouterr().out
    assert f"{up.name}.crt expired on " in printed
    assert "it is not served anew, so the proxy stays as it is" in printed
    after = ids(client, up)
    assert {name for name in after if before.get(name) != after[name]} == {f"container {up.name}-hub"}
    assert _certificates(up) == served
    held = (up.deployment().engine.read_files(f"{up.name}-hub", "/srv/jupyterhub") or {})[CONTRACT_PATH]
    assert [(user.name, user.admin) for user in from_bytes(Contract, held.reveal()).users] == [("kaben", False)]
    with pytest.raises(DeployError):
        status.show(up.named())
    printed = capsys.readouterr().out
    assert "certificate: brought, expired on " in printed
    assert "warning: bring the certificate's successor" in printed


def _certificates(project: Project) -> list[bytes]:
    files = project.deployment().engine.read_files(f"{project.name}-proxy", proxy.DIRECTORY) or {}
    return sorted(content.reveal() for path, content in files.items() if path.endswith("cert.pem"))


def test_certificates_come_from_a_volume_when_one_is_set(
    client: docker.DockerClient, up: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    secrets = up.root / "jupyterhub" / "secrets"
    name = f"{up.name}-secrets"
    up.write_env(SECRETS_VOLUME=name)
    with pytest.raises(Refused, match="missing in the volume"):
        up.up()
    with pytest.raises(docker.errors.NotFound):
        client.volumes.get(name)
    holder = client.containers.create(BASE, ["/bin/busybox", "true"], volumes={name: {"bind": "/volume"}})
    try:
        holder.put_archive("/volume", _tar(secrets))
    finally:
        holder.remove()
    for path in secrets.iterdir():
        path.unlink()
    try:
        up.up()
        assert up.plan().steps == ()
        capsys.readouterr()
        # The volume is the only place that holds the pair now.
        with pytest.raises(DeployError, match="nobody answers with TLS"):
            status.show(up.named())
        assert ", expires 20" in capsys.readouterr().out
        check_files.check(up.deployment())
        assert ", valid until 20" in capsys.readouterr().out
    finally:
        up.remove(client)
        client.volumes.get(name).remove()


def kill_after(project: Project, steps: int) -> bool:
    """Runs `up` in a process that is killed right after so many steps; False if the plan had no more steps."""
    child = os.fork()
    if child == 0:
        deployment = project.deployment()
        apply, done = deployment.apply, 0

        def counting(operation: op.Operation, progress: Callable[[str], None] = lambda line: None) -> None:
            nonlocal done
            apply(operation, progress)
            done += 1
            if done == steps:
                os.kill(os.getpid(), signal.SIGKILL)

        deployment.apply = counting  # type: ignore[method-assign]
        try:
            project.up(yes=True, deployment=deployment)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def end_state(client: docker.DockerClient, project: Project) -> dict[str, object]:
    """What must be the same wherever an `up` was killed: everything but ids, times and random secrets."""
    state: dict[str, object] = {
        "resources": sorted(name.replace(project.name, "NAME") for name in ids(client, project))
    }
    for role, root in (("hub", "/srv"), ("proxy", "/etc/traefik")):
        container = client.containers.get(f"{project.name}-{role}")
        networks = container.attrs["NetworkSettings"]["Networks"]
        state[role] = (
            container.status,
            sorted(name.replace(project.name, "NAME") for name in networks),
            sorted(mount["Destination"] for mount in container.attrs["Mounts"]),
        )
        files = project.deployment().engine.read_files(str(container.id), root)
        state[f"{role} files"] = len(files or {})
    return state


@pytest.mark.slow
def test_killed_after_any_step_and_run_again_ends_the_same(
    client: docker.DockerClient, new_project: NewProject
) -> None:
    whole = new_project()
    kinds = [type(step.operation) for step in whole.plan().steps]
    whole.up()
    expected = end_state(client, whole)
    # Between each two kinds of steps once: one volume after another, or the next component, is nothing new.
    between = {pair: number for number, pair in reversed([*enumerate(pairwise(kinds), start=1)])}
    for steps in sorted(between.values()):
        project = new_project()
        assert kill_after(project, steps), f"the plan has {len(kinds)} steps, {steps} were to be done"
        project.up()
        assert end_state(client, project) == expected, f"killed after step {steps}"
        assert project.plan().steps == (), f"killed after step {steps}"
        project.remove(client)


@pytest.mark.parametrize("call", ["remove_network", "connect_container_to_network"])
def test_killed_within_a_step_of_several_calls_and_run_again_ends_the_same(
    client: docker.DockerClient, new_project: NewProject, call: str
) -> None:
    whole, project = new_project(), new_project()
    whole.up()

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(docker.APIClient, call, killed)
        with pytest.raises(Interrupted):
            project.up()
    project.up()
    assert end_state(client, project) == end_state(client, whole)
    assert project.plan().steps == ()
    network = client.networks.get(f"{project.name}-network").attrs["IPAM"]["Config"][0]
    assert network["IPRange"] != network["Subnet"]


@pytest.mark.slow
def test_killed_while_the_hub_is_replaced_and_run_again_ends_the_same(client: docker.DockerClient, up: Project) -> None:
    expected = end_state(client, up)
    for steps in range(1, 8):
        (up.root / "jupyterhub" / "version").write_text(f"{steps + 1}\n")
        (up.root / "proxy" / "version").write_text(f"{steps + 1}\n")
        assert kill_after(up, steps * 2 - 1)
        up.up()
        now = end_state(client, up)
        assert {**now, "resources": None} == {**expected, "resources": None}
        assert up.plan().steps == ()


def _replace(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


def _append(path: Path) -> None:
    with path.open("a") as file:
        file.write("LABEL edited=yes\n")


def _tar(folder: Path) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for path in folder.iterdir():
            tar.add(path, path.name)
    return content.getvalue()


def test_volumes_that_a_prune_would_take_are_counted(
    project: Project, client: docker.DockerClient, capsys: pytest.CaptureFixture[str]
) -> None:
    project.up()
    takes_named = servers.api_version(client.version()["ApiVersion"]) < (1, 42)

    def warned() -> list[str]:
        """The number of volumes, as `plan` and `status` give it."""
        capsys.readouterr()
        project.show_plan()
        with contextlib.suppress(DeployError):
            # There is no login page here.
            status.show(project.named())
        return re.findall(r"would remove (\d+) of this deployment's volumes", capsys.readouterr().out)

    # Those of backups, and of kept states.
    assert warned() == ["3", "3"] * takes_named
    carried = {labels.DEPLOYMENT: project.name, labels.ROLE: labels.VOLUME, labels.UID: "1000"}
    volume = client.volumes.create(f"{project.name}-user-ada", labels=carried)
    assert warned() == ["4", "4"] * takes_named
    holder = client.containers.create(BASE, ["true"], volumes={volume.name: {"bind": "/v"}})
    assert warned() == ["3", "3"] * takes_named
    holder.remove()
