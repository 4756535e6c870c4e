"""What the filter makes of the clock's requests, on the real engine."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
import pytest

from hubdeploy.contract import jobs, labels
from hubdeploy.contract.documents import UNDER_WAY, Job, Jobs, Volume
from tests.engine import filtering
from tests.engine.project import BASE, ensure_base
from tests.hub.waiting import until

Ask = Callable[[str, str], Any]
# How many network interfaces there are.
_LINKS = "/bin/busybox grep -c : /proc/net/dev"


def _job(name: str, script: str, **more: Any) -> Job:
    return Job(name, BASE, ("/bin/busybox", "sh", "-c", script), every=300, **{"within": 20, **more})


@pytest.fixture(scope="module")
def made_from(client: docker.DockerClient) -> Iterator[Jobs]:
    ensure_base(client)
    name = f"t{secrets.token_hex(5)}"
    carried = {labels.DEPLOYMENT: name}
    client.volumes.create(f"{name}-routes", labels=carried)
    yield Jobs(
        carried,
        (
            _job("well", "echo one; echo two; echo"),
            _job("bad", "echo broken; exit 3"),
            _job("mute", ":"),
            _job("slow", "exec /bin/busybox sleep 600", within=1),
            _job("long", "exec /bin/busybox sleep 20", volumes=(Volume(f"{name}-routes", "/disk"),)),
            _job(
                "keeper",
                "echo kept > /routes/kept; echo $LOG",
                writes=(Volume(f"{name}-routes", "/routes"),),
                reads_log=f"{name}-talker",
            ),
            _job("looker", "read line < /disk/kept; echo $line", volumes=(Volume(f"{name}-routes", "/disk"),)),
            # Of two streams either may come last.
            _job("writer", "{ echo x > /here; } 2>/dev/null || echo refused"),
            _job("everybodys", "cd /volumes; echo *", users_at="/volumes"),
            _job("host", _LINKS, network="host"),
            _job("alone", _LINKS),
            Job("absent", "hubdeploy-test/no-such-image:1", ("true",), 300, 20),
            Job("no-program", BASE, ("/bin/none",), 300, 20),
        ),
        user_volumes=(f"{name}-user-{{username}}",),
    )
    for container in client.containers.list(all=True, filters={"label": f"{labels.DEPLOYMENT}={name}"}):
        container.remove(force=True)
    client.volumes.get(f"{name}-routes").remove()


@pytest.fixture
def talker(client: docker.DockerClient, made_from: Jobs) -> Iterator[None]:
    """A container with a log, on both of its streams."""
    name = f"{made_from.labels[labels.DEPLOYMENT]}-talker"
    command = ["/bin/busybox", "sh", "-c", "echo out; echo err >&2"]
    container = client.containers.run(BASE, command, name=name, detach=True, labels=dict(made_from.labels))
    container.wait()
    yield
    container.remove()


@pytest.fixture
def ask(made_from: Jobs, tmp_path: Path) -> Iterator[Ask]:
    with filtering.serving_jobs(made_from, tmp_path) as asking:
        yield asking


def _run(ask: Ask, name: str) -> tuple[int, str]:
    found = ask("POST", f"/jobs/{name}")
    return found["code"], found["words"]


@pytest.fixture
def held(client: docker.DockerClient, made_from: Jobs) -> Callable[[], list[dict[str, Any]]]:
    """The containers of jobs that the engine has."""
    own = [f"{label}={value}" for label, value in jobs.carried(made_from).items()]
    return lambda: [
        dict(one.attrs) for one in client.containers.list(all=True, filters={"label": own}, ignore_removed=True)
    ]


def test_a_jobs_end_and_its_last_line_are_told_and_nothing_is_left(ask: Ask, held: Callable[[], list[Any]]) -> None:
    assert _run(ask, "well") == (0, "two")
    assert _run(ask, "bad") == (3, "broken")
    assert _run(ask, "mute") == (0, "it printed nothing")
    assert _run(ask, "slow") == (1, "it took longer than 1 s")
    code, words = _run(ask, "absent")
    assert (code, words.partition(":")[0]) == (1, "the engine does not make its container")
    code, words = _run(ask, "no-program")
    assert (code, words.partition(":")[0]) == (1, "the engine does not start its container")
    assert held() == []


def test_what_the_engine_holds_is_the_template_and_it_goes_when_nobody_listens(
    ask: Ask, made_from: Jobs, held: Callable[[], list[dict[str, Any]]], tmp_path: Path
) -> None:
    with _asked(tmp_path / "jobs.sock", "long"):
        until(lambda: [one["State"]["Running"] for one in held()] == [True], 20, "the job runs")
        (found,) = held()
        template = jobs.creation(made_from, next(one for one in made_from.jobs if one.name == "long"))
        for name in ("Image", "User", "Entrypoint", "Cmd"):
            assert found["Config"][name] == template[name]
        assert jobs.carried(made_from).items() <= found["Config"]["Labels"].items()
        for name, wanted in template["HostConfig"].items():
            assert found["HostConfig"][name] == (
                wanted | {"MaximumRetryCount": 0} if name == "RestartPolicy" else wanted
            ), name
        assert found["Mounts"][0]["RW"] is False
        with pytest.raises(OSError, match="the job long runs already"):
            ask("POST", "/jobs/long")
    until(lambda: held() == [], 20, "the job is gone")


def test_a_job_writes_nowhere_and_sees_the_hosts_network_only_where_its_template_says_so(ask: Ask) -> None:
    assert _run(ask, "writer") == (0, "refused")
    assert _run(ask, "host") == (0, str(len(socket.if_nameindex())))
    assert _run(ask, "alone") == (0, "1")


def test_a_job_may_write_to_a_volume_and_read_a_log_where_its_template_says_so(ask: Ask, talker: None) -> None:
    code, words = _run(ask, "keeper")
    assert (code, set(words.split())) == (0, {"out", "err"})
    assert _run(ask, "looker") == (0, "kept")


@pytest.fixture
def users(client: docker.DockerClient, made_from: Jobs) -> Iterator[str]:
    """Volumes of two users, one of which an older deployment made, and of nobody; the deployment's name."""
    name = made_from.labels[labels.DEPLOYMENT]
    carried = {
        f"{name}-user-ada": {**made_from.labels, labels.UID: "1000"},
        f"{name}-user-bob": {},
        f"{name}-user-of-others": {labels.DEPLOYMENT: "others", labels.UID: "1000"},
        f"{name}-of-nobody": dict(made_from.labels),
    }
    made = [client.volumes.create(volume, labels=found) for volume, found in carried.items()]
    yield name
    for one in made:
        one.remove()


def test_a_job_has_the_volumes_of_all_users_where_its_template_says_so(ask: Ask, users: str) -> None:
    assert _run(ask, "everybodys") == (0, f"{users}-user-ada {users}-user-bob")


def test_what_somebody_began_by_hand_under_a_jobs_name_goes_on(
    ask: Ask, users: str, client: docker.DockerClient, made_from: Jobs
) -> None:
    by_hand = client.containers.run(
        BASE,
        ["/bin/busybox", "sleep", "60"],
        name=f"{users}-job-everybodys",
        detach=True,
        labels=jobs.carried(made_from),
    )
    try:
        assert _run(ask, "everybodys") == (UNDER_WAY, "somebody began it by hand, and it runs")
        by_hand.reload()
        assert by_hand.status == "running"
    finally:
        by_hand.remove(force=True)
    assert _run(ask, "everybodys")[0] == 0


def test_a_log_of_a_container_that_does_not_exist_is_empty(ask: Ask) -> None:
    assert _run(ask, "keeper") == (0, "it printed nothing")


def test_a_container_that_a_killed_filter_left_is_replaced_and_one_of_others_is_not(
    client: docker.DockerClient, ask: Ask, made_from: Jobs
) -> None:
    name = f"{made_from.labels[labels.DEPLOYMENT]}-job-well"
    client.containers.create(BASE, ["/bin/busybox", "true"], name=name, labels=jobs.carried(made_from))
    assert _run(ask, "well") == (0, "two")
    others = client.containers.create(BASE, ["/bin/busybox", "true"], name=name, labels=dict(made_from.labels))
    try:
        code, words = _run(ask, "well")
        assert (code, "Conflict" in words) == (1, True)
        assert client.containers.get(name).id == others.id
    finally:
        others.remove()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/jobs/other"),
        ("POST", "/jobs/"),
        ("POST", "/jobs/well?image=x"),
        ("POST", "/jobs/well/../../info"),
        ("GET", "/jobs/well"),
        ("GET", "/containers/json"),
        ("POST", "/containers/create"),
        ("GET", "/info"),
        ("GET", "/_ping"),
    ],
)
def test_the_clock_may_ask_for_nothing_but_a_job_by_its_name(ask: Ask, method: str, path: str) -> None:
    with pytest.raises(OSError, match="the filter refuses this"):
        ask(method, path)


@contextmanager
def _asked(socket_path: Path, name: str) -> Iterator[None]:
    """Inside, a job was asked for; afterwards nobody listens."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(socket_path))
        connection.sendall(f"POST /v1.41/jobs/{name} HTTP/1.1\r\nHost: filter\r\n\r\n".encode())
        yield
