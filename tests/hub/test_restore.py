"""A deployment whose engine is lost: from the repository and its password alone it comes back on a new one, and each user
finds every byte. The repository is on another machine, which has a real OpenSSH server.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import docker.errors
import pytest

from hubdeploy.commands import backup
from hubdeploy.settings import loading
from tests import nested
from tests.hub import killing, sftp, volumes
from tests.hub.clone import Clone, copy_checkout, of_this_machine
from tests.hub.remote import RemoteClone
from tests.hub.sftp import SftpServer
from tests.nested import SecondEngine

pytestmark = pytest.mark.nested

USERLIST = "boss admin\nada\nzoë\n"
# Seconds a command may print nothing: one silent step of a build on a busy machine.
_SILENCE = 1800
# Names, kinds and contents that a careless copy would lose.
_WRITE = """
import os, pathlib
odd = pathlib.Path("odd"); odd.mkdir()
(odd / "new\\nline *?[").write_text("kept by USER")
os.link(odd / "new\\nline *?[", odd / "linked")
(odd / "closed").touch(mode=0)
(odd / "away").symlink_to("/nowhere")
(odd / "old").write_bytes(bytes(range(256)) * 5000)
os.utime(odd / "old", ns=(-10**9, 1))
os.mkfifo(odd / "pipe")
open(b"odd/\\xff\\xfe", "w").write("no UTF-8")
pathlib.Path.home().joinpath(".of-the-home").write_text("kept by USER")
print("written")
"""


@pytest.fixture(scope="module")
def run() -> str:
    return uuid.uuid4().hex


@pytest.fixture(scope="module")
def server(client: docker.DockerClient, run: str) -> Iterator[SftpServer]:
    with sftp.serving(client, f"{run}-sftp") as found:
        yield found


@pytest.fixture(scope="module")
def second_engine(run: str) -> Iterator[SecondEngine]:
    client = docker.from_env(timeout=_SILENCE)
    with nested.second_engine(client, run) as engine:
        yield engine
    client.close()


def put_access(root: Path, server: SftpServer) -> None:
    folder = root / "jupyterhub" / "secrets" / "backup"
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in server.files.items():
        (folder / name).write_bytes(content)
        (folder / name).chmod(0o600)


def backed_up(clone: Clone) -> str:
    """The password, after a backup that was killed and one that was not."""
    assert killing.kill_helper(clone, backup.take, "-m backup take") == 1
    told = clone.invoke("backup")
    assert re.search(r"snapshot [0-9a-f]{8}: \d+ volumes", told)
    assert "the engine's own disk" not in told
    assert len(re.findall(r"^[0-9a-f]{8} ", clone.invoke("backups"), re.MULTILINE)) == 1
    password = loading.load(clone.root, clone.environ).backup_password
    assert password is not None
    return password.reveal()


def test_a_lost_engine_comes_back_from_repository_and_password_alone(
    new_clone: Callable[..., Clone],
    server: SftpServer,
    second_engine: SecondEngine,
    client: docker.DockerClient,
    tmp_path: Path,
) -> None:
    lost = new_clone(USERLIST, BACKUP_REPOSITORY=server.repository, USER_PASSWORD=uuid.uuid4().hex)
    put_access(lost.root, server)
    lost.up()
    for name in ("ada", "zoë", "boss"):
        person = lost.person(name)
        person.log_in(lost.admin_password if name == "boss" else lost.user_password)
        person.take_token()
        person.start_server()
        kernel = person.open_kernel()
        code = f"import os; os.chdir({lost.settings.notebook_dir!r})\n{_WRITE.replace('USER', name)}"
        assert kernel.run(code) == "written\n"
        kernel.close()
    # Kernels run on, and write nothing more.
    password = backed_up(lost)
    before, url = volumes.looks(lost, lost.settings.image_reference("hub")), lost.url
    user_password = lost.user_password
    lost.remove()

    root = tmp_path / "fresh"
    root.mkdir()
    copy_checkout(root)
    there = docker.DockerClient(base_url=second_engine.url, timeout=_SILENCE)
    found = RemoteClone(root, lost.name, lost.port, there, docker_host=second_engine.url)
    found.set_local(BACKUP_REPOSITORY=server.repository, BACKUP_PASSWORD=password, **of_this_machine())
    put_access(root, server)
    nested.send_image(found.settings.base_image, client, there)
    # In a fresh clone it has the name of the project.
    image = found.settings.image_reference("hub")
    told = found.invoke("restore")
    assert f"comes back as {lost.name}" in told
    assert password not in told
    assert volumes.looks(found, image) == before

    found.up()
    assert (found.url, found.user_password) == (url, user_password)
    (tmp_path / "story").mkdir()
    read = found.reader(tmp_path / "story")
    for name in ("ada", "zoë"):
        where = f"{found.settings.notebook_dir}/odd/new\nline *?["
        assert read(name, "find", where) == {"login": 200, "found": f"kept by {name}\n"}
    # On the new engine the newest backup is the one of the lost engine still.
    proved = found.invoke("drill")
    files = sum(len(lines) for lines in before.values())
    compared = re.search(r"^  (\d+) files", proved, re.MULTILINE)
    assert compared is not None
    assert int(compared[1]) >= files - sum(line.count("\\xff") for lines in before.values() for line in lines)
    assert "logged in, started a server, and read" in proved
    assert found.thrown_away() == []
    assert "proved last" in found.invoke("status")
