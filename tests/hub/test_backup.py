"""A backup of a running deployment, and one user's files brought back by the document's own commands."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator

import pytest

from hubdeploy.settings import loading
from tests import documents
from tests.hub.clone import Clone
from tests.hub.person import Person

# Names and contents that a careless copy would lose.
_WRITE = """
import os, sqlite3
os.makedirs("odd", exist_ok=True)
open("odd/new\\nline *?[", "w").write("kept")
os.link("odd/new\\nline *?[", "odd/linked") if not os.path.exists("odd/linked") else None
open("odd/closed", "w").close(); os.chmod("odd/closed", 0)
os.path.lexists("odd/away") or os.symlink("/nowhere", "odd/away")
print("written")
"""
_READ = """
import os, stat
one, other, closed = os.stat("/v/odd/new\\nline *?["), os.stat("/v/odd/linked"), os.stat("/v/odd/closed")
print(open("/v/odd/new\\nline *?[").read(), one.st_ino == other.st_ino, stat.S_IMODE(closed.st_mode), os.readlink("/v/odd/away"),
      one.st_uid)
"""


@pytest.fixture
def restored(hub: Clone) -> Iterator[str]:
    """The name of the volume that the document's commands fill."""
    name = f"{hub.name}-ada-restored"
    yield name
    hub.client.volumes.get(name).remove(force=True)


def test_a_users_files_come_back_and_a_lost_repository_is_told(
    hub: Clone, logged_in: Callable[[str], Person], restored: str
) -> None:
    ada = logged_in("ada")
    ada.start_server()
    kernel = ada.open_kernel()
    assert kernel.run(f"import os; os.chdir('{hub.settings.notebook_dir}')\n{_WRITE}") == "written\n"
    told = hub.invoke("backup")
    password = loading.load(hub.root, hub.environ).backup_password
    assert password is not None
    assert "Keep BACKUP_PASSWORD elsewhere too" in told
    assert re.search(r"snapshot [0-9a-f]{8}: \d+ volumes, \d+ files", told)
    assert "It lies on the engine's own disk" in told
    assert len(re.findall(r"^[0-9a-f]{8} ", hub.invoke("backups"), re.MULTILINE)) == 1
    # The kernel went on, and sees them come back beside what is there now.
    kernel.run("open('odd/linked', 'w').write('changed')")
    found = re.search(r"are in (\S+/work/restored-\S+)$", hub.invoke("restore", "--user", "ada"), re.MULTILINE)
    assert found is not None
    assert kernel.run(f"print(open('odd/linked').read(), open('{found[1]}/odd/linked').read())") == "changed kept\n"
    kernel.close()
    assert password.reveal() not in told

    for command in _by_hand(hub.name, restored):
        subprocess.run(command, check=True, capture_output=True, timeout=120)
    image = hub.settings.image_reference("hub")
    words = ["/usr/bin/python3", "-c", _READ]
    read = hub.client.containers.run(image, words, volumes={restored: {"bind": "/v", "mode": "ro"}}, remove=True)
    assert read.decode() == f"kept True 0 /nowhere {hub.settings.nb_uid}\n"

    # A repository that is lost is not made anew behind anybody's back.
    hub.client.volumes.get(hub.settings.backup_volume).remove()
    with pytest.raises(AssertionError, match=r"went to is not there: (?s:.*)\./invoke backup --new begins another one"):
        hub.invoke("backup")
    assert re.search(r"snapshot [0-9a-f]{8}: .*; 1 kept", hub.invoke("backup", "--new"))


def _by_hand(name: str, volume: str) -> list[list[str]]:
    """The document's commands that bring one user's volume back."""
    text = documents.section(documents.DOCS / "operating.md", "By hand")
    return [
        [word.replace("ada-restored", volume).replace("NAME", name) for word in command.words]
        for command in documents.commands(text)
    ]
