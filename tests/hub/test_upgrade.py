"""`up` takes over a deployment that the version before this one made, while somebody works in it."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import docker
import pytest

from tests.hub.clone import CHECKOUT, Clone, copy_checkout
from tests.hub.person import Kernel, Person
from tests.hub.test_replacement import identities
from tests.hub.wheels import WHEEL_NAME, make_wheel

# Version 1.0.0.
BEFORE = "ad4702a"
PASSWORD = "a-password-of-grace"
# The owner's files in a checkout, which git does not have.
_OWN = (".env", ".env.local", "userlist", "jupyterhub/secrets")


@pytest.mark.slow
def test_up_takes_over_a_deployment_of_the_version_before_without_losing_a_session(
    new_clone: Callable[..., Clone], client: docker.DockerClient, tmp_path: Path
) -> None:
    clone = new_clone("boss admin\ngrace\n", USER_PASSWORD=PASSWORD)
    replace_code(clone.root, lay_out_the_version_before)
    up = [sys.executable, "-m", "hubdeploy.commands.commandline", "up", "--yes"]
    subprocess.run(up, cwd=clone.root, env=clone.environ, stdin=subprocess.DEVNULL, capture_output=True, check=True)
    # A browser keeps the certificate that it trusts, wherever the checkout's files are moved.
    trusted = tmp_path / "trusted.crt"
    shutil.copy(clone.settings.certificate_path, trusted)
    grace = Person(clone.url, "grace", trusted)
    assert grace.log_in(PASSWORD).status_code == 200
    grace.take_token()
    grace.start_server()
    kernel = grace.open_kernel()
    kernel.run("kept = 41; open('/home/cryptic/work/of-version-1.txt', 'w').write('kept')")
    before, volumes = identities(clone), names_of_volumes(clone, client)

    replace_code(clone.root, copy_checkout)
    planned = clone.invoke("plan")
    clone.up()

    after = identities(clone)
    assert {name for name in before if before[name] != after[name]} == {
        clone.settings.hub_name,
        clone.settings.proxy_name,
    }
    assert "the proxy restarts, connections blink" in planned
    assert "the hub restarts, sessions go on" in planned
    # The walls' own is all that came.
    assert names_of_volumes(clone, client) == volumes | set(clone.settings.component_volumes)
    # The connection broke with the proxy; a browser connects again by itself, and the kernel went on.
    kernel = Kernel(grace, kernel.path.rpartition("/")[2])
    assert kernel.run("print(kept + 1)") == "42\n"
    assert "nothing to do" in clone.up()
    kernel.close()
    _assert_home_lasts(clone, grace)


def _assert_home_lasts(clone: Clone, grace: Person) -> None:
    """After a stop and a start her files are where they were, in a home that lasts."""
    clone.stop_server(grace)
    grace.start_server()
    kernel = grace.open_kernel()
    assert kernel.run("print(open('/home/cryptic/work/of-version-1.txt').read())") == "kept\n"
    install = f"%pip install --quiet --no-index /tmp/{WHEEL_NAME.format('trial')}"
    kernel.run(f"{make_wheel('trial')}\nget_ipython().run_line_magic('pip', '{install.removeprefix('%pip ')}')")
    kernel.close()
    clone.stop_server(grace)
    grace.start_server()
    kernel = grace.open_kernel()
    assert kernel.run("import trial; print(trial.answer)") == "42\n"
    kernel.close()


def replace_code(root: Path, lay_out: Callable[[Path], None]) -> None:
    """Replaces everything in a checkout but its owner's files by what `lay_out` writes."""
    kept = root.with_name(f"{root.name}-kept")
    for name in _OWN:
        if (root / name).exists():
            (kept / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.move(root / name, kept / name)
    for path in root.iterdir():
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    lay_out(root)
    shutil.copytree(kept, root, dirs_exist_ok=True)
    shutil.rmtree(kept)


def lay_out_the_version_before(root: Path) -> None:
    archive = subprocess.run(["git", "archive", BEFORE], cwd=CHECKOUT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(root, filter="data")


def names_of_volumes(clone: Clone, client: docker.DockerClient) -> set[str]:
    return {volume.name for volume in client.volumes.list() if volume.name.startswith(clone.name)}
