"""A user who fills the disk that all share, by bytes and by files, in each place where a server can write; on an engine whose
images, volumes and own files all lie on one small disk. Another user's work goes on and is saved.
"""

from __future__ import annotations

import dataclasses
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import docker
import pytest

from tests import nested
from tests.hub.clone import Clone
from tests.hub.remote import Chapter, RemoteClone
from tests.hub.waiting import until
from tests.nested import DISK, SecondEngine

pytestmark = pytest.mark.nested

# Who fills what: user -> place, and whether by many files.
FILLERS = {
    "bea": ("/home/{user}", False),
    "cal": ("/home/{user}/work", True),
    "dan": ("/tmp", False),
    "eve": ("/var/tmp", True),
    "fay": ("/opt", False),
    "gil": ("/usr/local", True),
    # A folder that ada writes to as well.
    "hal": ("/srv/shared/physics", False),
}
SUDO, SHARING = ("fay", "gil"), ("ada", "hal")
# Bytes that are left when all is up.
FREE = 2 * 10**9
_SILENCE = 1800
# Seconds in which whoever fills the disk is stopped: two looks, a measure, and what a full disk delays.
STOPPED_WITHIN = 60
FILL_BYTES = """
import itertools, sys
for number in itertools.count():
    try:
        with open(f"{sys.argv[1]}/filling-{number}", "wb", buffering=0) as file:
            while file.write(bytes(2**20)):
                pass
    except OSError:
        pass
"""
FILL_FILES = """
import itertools, os, sys
os.makedirs(f"{sys.argv[1]}/filling", exist_ok=True)
for number in itertools.count():
    try:
        open(f"{sys.argv[1]}/filling/{number}", "w").close()
    except OSError:
        pass
"""
# Saves as Jupyter does, five times a second, and prints when it did or could not.
SAVE = """
import os, sys, time
for number in range(100_000):
    try:
        with open("saving.new", "w") as file:
            file.write(f"{number} " + "x" * 100_000)
            file.flush()
            os.fsync(file.fileno())
        os.replace("saving.new", "saved")
        print(f"saved {time.time()}", flush=True)
    except OSError as error:
        print(f"failed {time.time()}", flush=True)
    time.sleep(0.2)
"""


@dataclass(frozen=True)
class Lab:
    """A deployment on a small disk. `chapter` is a user of that host."""

    clone: RemoteClone
    engine: SecondEngine
    chapter: Chapter

    def free(self) -> tuple[int, int]:
        """Bytes and files that the disk has room for."""
        script = f"stat -f -c '%a %S %d' {DISK}"
        blocks, size, files = self.engine.machine.run("sh", "-c", script).output.split()
        return int(blocks) * int(size), int(files)

    def has_server(self, user: str) -> bool:
        return self.clone.has_container(self.clone.server_name(user))

    def hub_log(self) -> str:
        return self.clone.container(self.clone.settings.hub_name).logs().decode()


@pytest.fixture(scope="module")
def lab(client: docker.DockerClient, hub: Clone, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with nested.second_engine(client, uuid.uuid4().hex, disk="7G") as engine:
        there = docker.DockerClient(base_url=engine.url, timeout=_SILENCE)
        marks = {**dict.fromkeys(SUDO, " sudo"), **dict.fromkeys(SHARING, " @physics")}
        users = "".join(f"{user}{marks.get(user, '')}\n" for user in ("ada", *FILLERS))
        made = RemoteClone.make(
            tmp_path_factory.mktemp("full"), there, users, USER_PASSWORD=uuid.uuid4().hex, ADMIN_PASSWORD=uuid.uuid4().hex * 2
        )  # fmt: skip
        clone = dataclasses.replace(made, docker_host=engine.url)
        (clone.root / "servers.yml").write_text("shared: {physics: {limit: 1G}}\n")
        nested.send_images([*hub.image_tags(), clone.settings.base_image], client, there)
        for tag in hub.image_tags():
            repository, _, version = tag.removeprefix(f"{hub.name}/").rpartition(":")
            there.images.get(tag).tag(f"{clone.name}/{repository}", version)
        clone.up()
        lab = Lab(clone, engine, clone.reader(tmp_path_factory.mktemp("reader")))
        assert lab.chapter("ada", "settle")["login"] == 200
        ballast = lab.free()[0] - FREE
        assert engine.machine.run("fallocate", "-l", str(ballast), f"{DISK}/ballast").exit_code == 0
        yield lab
        there.close()


class Saving:
    """ada at work: saves five times a second. `saved` and `failed` are times, in seconds since 1970."""

    def __init__(self, lab: Lab) -> None:
        self.saved: list[float] = []
        self.failed: list[float] = []
        self._stream: Any = (
            lab.clone.container(lab.clone.server_name("ada"))
            .exec_run(["/opt/conda/bin/python", "-c", SAVE], workdir=lab.clone.settings.notebook_dir, stream=True)
            .output
        )
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        for piece in self._stream:
            for line in str(piece, "utf-8").splitlines():
                how, _, when = line.partition(" ")
                (self.saved if how == "saved" else self.failed).append(float(when))


@pytest.fixture(scope="module")
def saving(lab: Lab) -> Saving:
    return Saving(lab)


def fill(lab: Lab, user: str) -> None:
    """Begins to fill the disk, from within the user's server."""
    place, by_files = FILLERS[user]
    python = ["/opt/conda/bin/python", "-c", FILL_FILES if by_files else FILL_BYTES]
    command = [*(["sudo"] if user in SUDO else []), *python, place.format(user=lab.clone.settings.nb_user)]
    lab.clone.container(lab.clone.server_name(user)).exec_run(command, detach=True)


def clear(lab: Lab, user: str) -> None:
    """What is left of it is deleted, as the operator would."""
    volumes = {
        name: {"bind": f"/v/{number}", "mode": "rw"}
        for number, name in enumerate(
            (f"{lab.clone.name}-home-{user}", f"{lab.clone.name}-user-{user}", f"{lab.clone.name}-shared-physics")
        )
    }  # fmt: skip
    lab.clone.client.containers.run(
        lab.clone.settings.notebook_image, ["sh", "-c", "rm -rf /v/*/filling*"], user="root", volumes=volumes, remove=True,
        network_mode="none",
    )  # fmt: skip


@pytest.mark.parametrize("user", FILLERS)
def test_whoever_fills_the_disk_is_stopped_and_others_go_on_and_save(lab: Lab, saving: Saving, user: str) -> None:
    assert lab.chapter(user, "settle")["login"] == 200
    until(lambda: len(saving.saved) > 3, 30, "ada saves")
    server = lab.clone.container(lab.clone.server_name("ada")).id
    fill(lab, user)
    until(lambda: not lab.has_server(user), STOPPED_WITHIN, f"the server of {user} is stopped")
    until(
        lambda: "as it filled the disk" in lab.hub_log().rpartition(f"server of {user}")[2], 10, "the operator is told"
    )
    before = len(saving.saved)
    until(lambda: len(saving.saved) > before + 10, 30, "ada's work is saved again")
    failed = saving.failed
    print(user, "failed saves", len(failed), "for", failed[-1] - failed[0] if failed else 0, "s; free", lab.free())
    saving.failed.clear()
    assert lab.clone.container(lab.clone.server_name("ada")).id == server
    clear(lab, user)
    until(lambda: lab.free()[0] > FREE // 2 and lab.free()[1] > 50_000, 60, "there is room again")


def test_without_the_hub_hardly_anything_is_saved_on_a_disk_that_somebody_filled_and_with_it_all_is(
    lab: Lab, saving: Saving
) -> None:
    hub = lab.clone.container(lab.clone.settings.hub_name)
    assert lab.chapter("bea", "settle")["login"] == 200
    # Not stopped: an engine starts no container on a full disk.
    hub.pause()
    fill(lab, "bea")
    until(lambda: len(saving.failed) > 20, 60, "ada cannot save")
    saved, failed = len(saving.saved), len(saving.failed)
    until(lambda: len(saving.failed) > failed + 60, 120, "ada cannot save")
    before = len(saving.saved)
    assert before - saved < 30, "at most here and there one comes through"
    hub.unpause()
    until(lambda: not lab.has_server("bea"), STOPPED_WITHIN, "the server of bea is stopped")
    until(lambda: len(saving.saved) > before + 10, 30, "ada's work is saved again")
    clear(lab, "bea")
