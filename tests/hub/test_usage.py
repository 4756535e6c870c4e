"""What takes the engine's disk, and who is known, on a running deployment: users, and somebody who left."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator

import pytest

from hubdeploy.contract import labels
from tests.hub.clone import Clone
from tests.hub.person import Person

_COLUMNS = re.compile(r" {2,}")


@pytest.fixture
def left(hub: Clone) -> Iterator[str]:
    """The volume of a user who left."""
    name = f"{hub.name}-user-long-2dgone"
    carried = {labels.DEPLOYMENT: hub.name, labels.ROLE: labels.VOLUME, labels.UID: "1000"}
    yield str(hub.client.volumes.create(name, labels=carried).name)
    hub.client.volumes.get(name).remove()


def rows(printed: str) -> dict[str, list[str]]:
    """The first cell of each line -> the others."""
    lines = (_COLUMNS.split(line.strip()) for line in printed.splitlines() if line.strip())
    return {first: rest for first, *rest in lines}


def test_what_a_user_wrote_is_theirs_and_who_left_is_named(
    hub: Clone, logged_in: Callable[[str], Person], left: str
) -> None:
    grace = logged_in("grace")
    grace.start_server()
    kernel = grace.open_kernel()
    before = rows(hub.invoke("usage"))["grace"]
    code = "import os; os.makedirs('closed'); open('closed/file', 'wb').write(os.urandom(20_000_000)); os.chmod('closed', 0)"
    kernel.run(f"{code}; open('empty', 'w').close(); os.sync()")
    printed = hub.invoke("usage")
    kernel.run("os.chmod('closed', 0o700); os.remove('closed/file')")
    kernel.close()
    found = rows(printed)
    assert 20 <= float(found["grace"][0]) - float(before[0]) < 21
    assert int(found["grace"][1]) == int(before[1]) + 2
    assert found["long-gone"][-1] == "no account, and nobody lets them in"
    assert "lets them in" not in found["grace"][-1]
    assert float(found[f"{hub.name}-data"][0]) > 0
    assert re.search(r"^images: \d+, \d+\.\d MB", printed, re.MULTILINE)
    assert re.search(r"^free on the engine's disk: \d+\.\d of \d+\.\d MB$", printed, re.MULTILINE)

    shown = hub.invoke("status", "--disk")
    assert "long-gone" in rows(shown)
    assert "login page: comes at" in shown
    assert not hub.client.containers.list(all=True, filters={"name": f"{hub.name}-job-usage"})


def test_users_are_shown_with_what_lets_them_in_and_what_they_left(
    hub: Clone, logged_in: Callable[[str], Person], left: str
) -> None:
    logged_in("guest").start_server()
    listed = hub.root / "userlist"
    text = listed.read_text()
    listed.write_text(text.replace("keeper\n", ""))
    try:
        found = rows(hub.invoke("users"))
    finally:
        listed.write_text(text)
    active, state, size, line = found["guest"]
    assert re.fullmatch(r"[0-9-]+ [0-9:]+", active)
    assert state == "running"
    assert re.fullmatch(r"userlist:\d", line)
    assert float(size) > 0
    assert found["boss"][-1] == "userlist:1"
    assert found["keeper"][-1] == "nobody lets them in"
    assert found["long-gone"] == ["0.0", "no account, and nobody lets them in"]


MEASURE = "import json; from filter import question as q; print(json.dumps(q.ask(q.SOCKET, 'GET', '/growth', 60)))"
WRITE = """
import os
for path, size in (("/home/{user}/of-home", 20), ("closed/of-work", 10), ("/tmp/of-tmp", 5)):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    open(path, "wb").write(bytes(size * 10**6))
os.chmod("closed", 0)
# Beyond the longest path that a program may name.
here = os.getcwd()
for _ in range(30):
    os.mkdir("d" * 200)
    os.chdir("d" * 200)
open("deep", "wb").write(bytes(7 * 10**6))
os.chdir(here)
os.sync()
"""


def measured(hub: Clone, user: str) -> tuple[int, int]:
    """Bytes and files of all that the user's running server can write to, as the hub hears it."""
    server = hub.container(hub.server_name(user)).id
    code, output = hub.container(hub.settings.hub_name).exec_run(["/opt/hub/bin/python", "-c", MEASURE])
    assert code == 0, output
    assert isinstance(output, bytes)
    found = json.loads(output)
    own = [found["measured"][name] for name in found["servers"][server]]
    return sum(one[0] for one in own), sum(one[1] for one in own)


def test_what_a_server_writes_is_measured_wherever_it_can_write(hub: Clone, logged_in: Callable[[str], Person]) -> None:
    for user in ("linus", "sam"):
        logged_in(user).start_server()
    linus, sam = (hub.container(hub.server_name(user)) for user in ("linus", "sam"))
    before = {user: measured(hub, user) for user in ("linus", "sam")}
    code, output = linus.exec_run(["/opt/conda/bin/python", "-c", WRITE.replace("{user}", hub.settings.nb_user)])
    assert code == 0, output
    size, files = measured(hub, "linus")
    assert 42 <= (size - before["linus"][0]) / 10**6 < 43
    assert files - before["linus"][1] == 4 + 1 + 30

    for place in ("/opt/written", "/written", "/run/lock/written"):
        assert linus.exec_run(["touch", place]).exit_code == 1, "the rest of it is read-only"
    script = (
        "head -c 9000000 /dev/zero > /opt/written; mkdir /opt/many; cd /opt/many; for n in $(seq 50); do : > $n; done"
    )
    assert sam.exec_run(["sudo", "sh", "-c", script]).exit_code == 0
    size, files = measured(hub, "sam")
    assert 9 <= (size - before["sam"][0]) / 10**6 < 10
    assert files - before["sam"][1] >= 52
    linus.exec_run(["sh", "-c", "chmod 700 closed; rm -rf closed d* /home/*/of-home"])
