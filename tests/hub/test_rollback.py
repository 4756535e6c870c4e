"""A new hub that is not well goes back by itself, a good one by hand; image, database, and all that ran the image. Whoever
works in a server notices none of it.
"""

from __future__ import annotations

import re
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import docker
import pytest

from hubdeploy.blueprint import draw
from hubdeploy.commands import rollback, up
from hubdeploy.commands.deployment import Deployment
from hubdeploy.contract import labels
from hubdeploy.family import FAMILY
from hubdeploy.plan import operations as op
from tests.hub import killing, volumes
from tests.hub.clone import Clone
from tests.hub.person import Kernel, Person
from tests.hub.test_replacement import TICKING, Watch
from tests.hub.waiting import until

PASSWORD, ADMINS = "a-password-of-users", "a-password-of-admins-that-is-long-enough"
# The components whose image is the hub's.
ROLES = ("guard", "filter", "hub", "clock")

CANNOT_MIGRATE = "\n\ndef upgrade_if_needed(file: Path) -> None:\n    raise RuntimeError('no such revision')\n"
DOES_NOT_START = """

as_it_was = main


def main() -> None:
    if breaks():
        sys.exit("broken on purpose")
    as_it_was()
"""
ANSWERS_500 = """

class Broken(pages.RequestHandler):
    def get(self) -> None:
        raise RuntimeError("broken on purpose")


HANDLERS = (*HANDLERS, *([(r"/login", Broken)] if breaks() else []))
"""
CANNOT_SPAWN = """

async def broken(self: ServerSpawner) -> None:
    raise RuntimeError("broken on purpose")


ServerSpawner.start_object = broken
"""
BREAKS_ON_DEMAND = """
from jupyterhub.handlers.login import LoginHandler


class Broken(LoginHandler):
    async def get(self) -> None:
        if Path("{data}/breaks").exists():
            raise RuntimeError("broken on purpose")
        await super().get()


HANDLERS = (*HANDLERS, (r"/login", Broken))
"""
DIES_LATER = """
import os
import threading

if breaks():
    threading.Timer(15, lambda: os._exit(3)).start()
"""
ALWAYS = "\n\ndef breaks() -> bool:\n    return True\n"
# What no canary can find.
IN_ITS_PLACE = """

def breaks() -> bool:
    return "_canary" not in Path("/srv/jupyterhub/documents/contract.json").read_text()
"""


@dataclass(frozen=True)
class Lab:
    """A deployment where grace works."""

    clone: Clone
    client: docker.DockerClient
    grace: Person
    kernel: Kernel

    def up(self, *words: str) -> tuple[int, str]:
        """Exit code and output of `up`, which may fail."""
        command = [sys.executable, "-m", "hubdeploy.commands.commandline", "up", "--yes", *words]
        finished = subprocess.run(
            command, cwd=self.clone.root, env=self.clone.environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=400, check=False,
        )  # fmt: skip
        return finished.returncode, finished.stdout

    def running(self) -> dict[str, tuple[str, tuple[str, ...]]]:
        """Role of each component that runs the hub's image -> the image's id, and what the engine was asked for."""
        found = {}
        for role in ROLES:
            container = self.clone.container(f"{self.clone.name}-{role}")
            assert container.status == "running"
            attributes = container.attrs
            networks = attributes["NetworkSettings"]["Networks"]
            wanted = [
                f"{name} {one['IPAMConfig']} {sorted(set(one['Aliases'] or ()) - {container.short_id})}"
                for name, one in sorted(networks.items())
            ]
            config, host = attributes["Config"], attributes["HostConfig"]
            settings = {key: config[key] for key in sorted(config) if key not in ("Hostname", "Image")}
            found[role] = (attributes["Image"], (str(settings), str(host), *wanted))
        return found

    def jobs(self) -> list[str]:
        """The names of all helpers that are there."""
        return [one.name for one in self.clone.containers() if one.name and "-job-" in one.name]

    def started(self) -> dict[str, str]:
        """Role of each of these components -> when its container was started last."""
        return {role: self.clone.container(f"{self.clone.name}-{role}").attrs["State"]["StartedAt"] for role in ROLES}

    @property
    def latest(self) -> str:
        return str(self.client.images.get(f"{self.clone.name}/hub:latest").id)


@pytest.fixture(scope="module")
def lab(new_clone: Callable[..., Clone], client: docker.DockerClient) -> Iterator[Lab]:
    clone = new_clone("boss admin\ngrace\nlinus\n", USER_PASSWORD=PASSWORD, ADMIN_PASSWORD=ADMINS)
    with at_work(clone, client) as lab:
        yield lab


@contextmanager
def at_work(clone: Clone, client: docker.DockerClient) -> Iterator[Lab]:
    clone.up()
    grace = clone.person("grace")
    assert grace.log_in(PASSWORD).status_code == 200
    grace.take_token()
    grace.start_server()
    kernel = grace.open_kernel()
    kernel.run(TICKING)
    yield Lab(clone, client, grace, kernel)
    kernel.close()


@contextmanager
def broken(lab: Lab, module: str, added: str) -> Iterator[Watch]:
    """The checkout with a broken hub, while somebody watches grace's server."""
    path = lab.clone.root / FAMILY["hub"].folder / module
    whole = path.read_text()
    end = whole.find('\n\nif __name__ == "__main__":')
    path.write_text(whole[:end] + added + whole[end:] if end > 0 else whole + added)
    try:
        with Watch(lab.grace, lab.kernel) as watch:
            until(lambda: watch.answered > 10 and watch.ticks > 5, 30, "the watch has seen requests and ticks")
            yield watch
            seen = watch.answered
            until(lambda: watch.answered > seen + 20, 30, "the watch has seen requests afterwards")
    finally:
        path.write_text(whole)


def assert_as_before(lab: Lab, before: object, latest: str) -> None:
    """All that ran the hub's image is as it was, and nothing of a trial is left."""
    clone = lab.clone
    assert lab.running() == before
    assert lab.latest == latest
    assert lab.grace.call("GET", "/hub/api/user").json()["name"] == "grace", "her token is known"
    assert lab.jobs() == []
    assert clone.thrown_away() == []
    assert "nothing to do" in clone.invoke("plan")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "added", "found"),
    [
        ("database.py", CANNOT_MIGRATE, "on a copy of the database it failed"),
        ("start.py", ALWAYS + DOES_NOT_START, "_canary-hub exited with code 1"),
        ("hub.py", ALWAYS + ANSWERS_500, "500"),
        ("spawner.py", CANNOT_SPAWN, "canary's server does not start: "),
    ],
    ids=["cannot migrate", "does not start", "answers 500", "cannot spawn"],
)
def test_a_broken_hub_is_found_before_it_replaces_anything(lab: Lab, module: str, added: str, found: str) -> None:
    before, latest, started = lab.running(), lab.latest, lab.started()
    with broken(lab, module, added) as watch:
        code, printed = lab.up("--watch", "30")

    assert code == 1, printed
    assert found in printed, printed
    assert "nothing was replaced, so the old hub runs on" in printed
    assert lab.started() == started
    assert watch.failures == []
    assert_as_before(lab, before, latest)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "added", "found"),
    [
        ("start.py", IN_ITS_PLACE + DOES_NOT_START, "exited with code 1"),
        ("hub.py", IN_ITS_PLACE + ANSWERS_500, "answers 500"),
        ("start.py", IN_ITS_PLACE + DIES_LATER, "ended, and the engine started it again"),
    ],
    ids=["does not start", "answers 500", "dies later"],
)
def test_a_hub_that_breaks_in_its_place_goes_back_and_nobody_notices(
    lab: Lab, module: str, added: str, found: str
) -> None:
    before, latest = lab.running(), lab.latest
    with broken(lab, module, added) as watch:
        code, printed = lab.up("--watch", "30")

    assert code == 1, printed
    assert found in printed, printed
    assert watch.failures == []
    assert_as_before(lab, before, latest)


@pytest.mark.slow
def test_a_hub_that_breaks_after_up_has_ended_goes_back_by_itself(lab: Lab) -> None:
    clone, before, latest = lab.clone, lab.running(), lab.latest
    hub, file = clone.settings.hub_name, f"{clone.settings.data_mount}/breaks"
    with broken(lab, "hub.py", BREAKS_ON_DEMAND.format(data=clone.settings.data_mount)) as watch:
        code, printed = lab.up("--watch", "3")
        assert code == 0, printed
        assert lab.latest != latest
        assert "the hub went back" not in clone.invoke("status")
        late = clone.container(f"{clone.name}-job-watch").attrs
        assert (late["HostConfig"]["CapDrop"], late["HostConfig"]["CapAdd"]) == (["ALL"], None)
        assert late["HostConfig"]["ReadonlyRootfs"]
        assert {one["Destination"] for one in late["Mounts"]} == {"/data", "/documents", "/states", "/run/docker.sock"}
        assert clone.container(hub).exec_run(["touch", file]).exit_code == 0
        until(lambda: lab.latest == latest, 150, "the old hub is back")
        until(lambda: not lab.jobs(), 30, "the late watch has ended")
    assert clone.container(hub).exec_run(["rm", file]).exit_code == 0

    assert watch.failures == []
    assert_as_before(lab, before, latest)
    (told,) = [line for line in clone.invoke("status").splitlines() if line.startswith("the hub went back on ")]
    assert told.endswith("answers 500: it does not reach the hub")


@pytest.mark.slow
def test_a_hub_without_room_for_its_data_is_found_before_it_replaces_anything(
    new_clone: Callable[..., Clone], client: docker.DockerClient
) -> None:
    volume = f"hubtest-{secrets.token_hex(4)}-small"
    clone = new_clone("grace\n", DATA_VOLUME_HOST=volume, USER_PASSWORD=PASSWORD)
    # What it holds lasts as long as a container mounts it: here the hub, which never stops.
    client.volumes.create(
        volume,
        driver_opts={"type": "tmpfs", "device": "tmpfs", "o": "size=8m"},
        labels={labels.DEPLOYMENT: clone.name},
    )
    with at_work(clone, client) as lab:
        data = clone.settings.data_mount
        fill = f"import shutil; open('{data}/ballast', 'wb').write(bytes(shutil.disk_usage('{data}').free - 500_000))"
        assert clone.container(clone.settings.hub_name).exec_run(["python3", "-c", fill]).exit_code == 0
        before, latest, started = lab.running(), lab.latest, lab.started()
        with broken(lab, "healthcheck.py", "# another line\n"):
            code, printed = lab.up("--watch", "3")

        assert code == 1, printed
        assert "the volume of the hub's data has 0.5 MB free" in printed, printed
        assert lab.started() == started
        assert_as_before(lab, before, latest)


@pytest.mark.slow
def test_by_hand_the_hub_goes_back_with_its_database_and_forward_again(lab: Lab) -> None:
    clone, before, latest = lab.clone, lab.running(), lab.latest
    healthcheck = clone.root / "jupyterhub" / "healthcheck.py"
    healthcheck.write_text(healthcheck.read_text() + "# another line\n")
    code, printed = lab.up("--watch", "3")
    assert (code, "the new hub is well" in printed) == (0, True), printed
    after = lab.running()
    assert {role for role in ROLES if after[role][0] == before[role][0]} == set()

    boss, linus = clone.person("boss"), clone.person("linus")
    assert boss.log_in(ADMINS).status_code == 200
    boss.take_token()
    assert boss.call("POST", "/hub/api/users/newcomer").status_code == 201
    assert linus.log_in(PASSWORD).status_code == 200
    linus.take_token()
    linus.start_server()

    assert len([line for line in clone.invoke("rollback", "--list").splitlines() if ":" in line]) >= 1
    with Watch(lab.grace, lab.kernel) as watch:
        until(lambda: watch.answered > 10 and watch.ticks > 5, 30, "the watch has seen requests and ticks")
        printed = clone.invoke("rollback", "--yes")
        seen = watch.answered
        until(lambda: watch.answered > seen + 20, 30, "the watch has seen requests afterwards")

    assert lab.running() == before
    assert lab.latest == latest
    assert "users: logins and tokens since" in printed
    assert f"container {clone.server_name('linus')} is stopped" in printed
    assert watch.failures == []
    assert boss.call("GET", "/hub/api/user").status_code == 403, "tokens made since are lost"
    assert lab.grace.servers()[""]["ready"]
    assert boss.log_in(ADMINS).status_code == 200
    boss.take_token()
    assert boss.call("GET", "/hub/api/users/newcomer").status_code == 200, "whom an admin added stays on record"
    assert linus.log_in(PASSWORD).status_code == 200
    linus.take_token()
    linus.start_server()

    clone.up()
    assert {role: image for role, (image, _) in lab.running().items()} == {
        role: image for role, (image, _) in after.items()
    }
    assert lab.kernel.run("ticking.set(); print(kept + 1)").replace("tick\n", "") == "42\n"


@pytest.mark.slow
def test_an_upgrade_and_a_rollback_that_are_killed_between_two_steps_are_completed_by_the_next(lab: Lab) -> None:
    clone, before, ownerless = lab.clone, lab.running(), volumes.without_owner(lab.clone)
    deployment = Deployment(clone.root, clone.environ)
    store = draw.store(deployment.settings)
    kept = deployment.engine.states(store)
    healthcheck = clone.root / "jupyterhub" / "healthcheck.py"
    healthcheck.write_text(healthcheck.read_text() + "# one more line\n")
    for wanted in (
        f"image {store.image} is proved on a copy of the database",
        f"container {clone.name}_canary-hub is healthy",
        "its server answers",
        f"all that runs the image of {store.hub} is on record",
        f"container {clone.name}-guard is removed",
        f"container {store.hub} is stopped",
        f"database and image of {store.hub} are kept",
        f"container {store.hub} is removed",
    ):
        assert killing.killed_after(clone, lambda deployment: up.up(deployment, yes=True), wanted), wanted
        assert volumes.without_owner(clone) - ownerless == set()
    clone.up()
    assert clone.thrown_away() == []
    after = lab.running()
    assert {role for role in ROLES if after[role][0] == before[role][0]} == set()
    found = deployment.engine.states(store)
    assert found[0].state.at > max((one.state.at for one in kept), default=0)
    assert len(found) <= len(kept) + 1, "two that hold the same are one"
    assert set(found[0].state.containers) == {f"{clone.name}-{role}" for role in ROLES}

    for wanted in (
        f"container {store.hub} is stopped",
        f"the database is as of {op.when(found[0].state.at)}",
        f"container {clone.name}-guard is removed",
        f"container {store.hub} is created as it was",
    ):
        assert killing.killed_after(clone, lambda deployment: rollback.rollback(deployment, yes=True), wanted), wanted
        assert volumes.without_owner(clone) - ownerless == set()
    clone.invoke("rollback", "--yes")
    assert lab.running() == before
    assert lab.grace.servers()[""]["ready"]
    listing = lab.client.containers.run(
        before["hub"][0],
        ["ls", "/states"],
        remove=True,
        volumes={store.states: {"bind": "/states", "mode": "ro"}},
    )
    left = {name for name in listing.decode().split() if not re.fullmatch(r"\d{8}-\d{6}", name)}
    assert left == {"went-back.json"}, "nothing half is left"
