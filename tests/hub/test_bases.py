"""Bases differ: official ones lack ca-certificates, ubuntu:24.04 has a person with UID 1000 already. The operator's own
command builds all images on such a base, with an installer from the folder.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator
from typing import Any

import docker
import pytest

from tests.hub.clone import Clone
from tests.hub.wheels import WHEEL_NAME, make_wheel

pytestmark = pytest.mark.slow

# An installer, called as Miniforge's is: `-b -p PREFIX`. It brings Python, pip and a conda that prints its arguments.
STAND_IN = b"""#!/bin/bash
[ "$1 $2" = "-b -p" ] || exit 9
/usr/bin/python3 -m venv "$3"
printf '#!/bin/sh\necho conda "$@"\n' > "$3/bin/conda" && chmod +x "$3/bin/conda"
"""
WITHOUT_AUTHORITIES = (
    "apt-get update && apt-get install -y --no-install-recommends passwd && useradd --uid 1000 --create-home ubuntu "
    "&& dpkg --purge --force-all ca-certificates && rm -rf /etc/ssl/certs /usr/share/ca-certificates /var/lib/apt/lists/*"
)


@pytest.fixture(scope="module")
def built(client: docker.DockerClient, new_clone: Callable[..., Clone]) -> Iterator[Clone]:
    """A clone whose images were built on such a base, with the stand-in for Miniforge's installer."""
    clone = new_clone("ada admin\n")
    dockerfile = f"FROM {clone.settings.base_image}\nRUN {WITHOUT_AUTHORITIES}\n"
    base = f"{clone.name}/base:bare"
    client.images.build(fileobj=io.BytesIO(dockerfile.encode()), tag=base, rm=True)
    installers = clone.root / "anaconda3" / "installers"
    (installers / "Miniforge3-stand-in.sh").write_bytes(STAND_IN)
    (installers / "SHA256SUMS").write_text(f"{hashlib.sha256(STAND_IN).hexdigest()}  Miniforge3-stand-in.sh\n")
    with (clone.root / ".env").open("a") as env:
        env.write(f"BASE_IMAGE={base}\nPYTHON_DISTRIBUTION=miniforge\n")
    kept = [
        line
        for line in (clone.root / ".env.local").read_text().splitlines()
        if not line.startswith(("BASE_", "PYTHON_"))
    ]
    (clone.root / ".env.local").write_text("\n".join(kept) + "\n")
    try:
        clone.invoke("build")
        yield clone
    finally:
        for image in ("base-notebook", "anaconda3", "hub", "proxy", "base"):
            for tag in clone.image_tags():
                if tag.startswith(f"{clone.name}/{image}:"):
                    client.images.remove(tag, force=True)


def output(client: docker.DockerClient, image: str, *command: str) -> str:
    return client.containers.run(image, ["-c", *command], entrypoint="/bin/sh", remove=True).decode()


def test_the_person_of_the_base_makes_room_for_nb_user(client: docker.DockerClient, built: Clone) -> None:
    assert output(client, built.settings.notebook_image, "id -un; id -u; getent passwd ubuntu || echo gone").split() == [
        "cryptic", "1000", "gone",
    ]  # fmt: skip


@pytest.mark.parametrize("image", ["hub", "proxy", "base-notebook"])
def test_every_image_knows_the_public_authorities(client: docker.DockerClient, built: Clone, image: str) -> None:
    count = "grep -c BEGIN /etc/ssl/certs/ca-certificates.crt"
    assert int(output(client, built.settings.image_reference(image), count)) > 100


def test_the_laid_in_installer_filled_conda_and_a_kernel_came_with_it(
    client: docker.DockerClient, built: Clone
) -> None:
    python = "/opt/conda/bin/python -c"
    script = f"{python} 'import ipykernel, sys; print(sys.prefix)'; {python} 'import numpy' 2>&1 | tail -1"
    assert output(client, built.settings.notebook_image, script).splitlines() == [
        "/opt/conda", "ModuleNotFoundError: No module named 'numpy'",
    ]  # fmt: skip


def as_user(client: docker.DockerClient, built: Clone, script: str, **options: Any) -> str:
    """What a script prints in a login shell of a server."""
    server = (
        "import os, sys; sys.path.insert(0, '/usr/local/lib/notebook'); import home; home.prepare(os.environ);"
        " os.execvp('bash', ['bash', '-lc', sys.argv[1]])"
    )
    printed: bytes = client.containers.run(
        built.settings.notebook_image, ["-c", server, script], entrypoint="/opt/jupyter/bin/python", remove=True,
        environment={"HOME": "/home/cryptic"}, **options,
    )  # fmt: skip
    return printed.decode()


def test_what_pip_installs_there_lasts(client: docker.DockerClient, built: Clone) -> None:
    home = client.volumes.create(f"{built.name}-home")
    mounted = {"volumes": {home.name: {"bind": "/home/cryptic"}}}
    install = f"python -c '{make_wheel('trial')}' && pip install --quiet --no-index /tmp/{WHEEL_NAME.format('trial')}"
    try:
        as_user(client, built, install, **mounted)
        assert as_user(client, built, "python -c 'import trial, ipykernel; print(trial.answer)'", **mounted) == "42\n"
    finally:
        home.remove(force=True)


@pytest.mark.parametrize(
    "command",
    [
        "conda install numpy",
        "conda install -y -n base numpy",
        "conda update --all",
        "conda remove --prefix /opt/conda numpy",
    ],
)
def test_conda_refuses_to_change_base_with_the_lines_that_make_an_environment(
    client: docker.DockerClient, built: Clone, command: str
) -> None:
    shown = as_user(client, built, f"{command} 2>&1 || echo refused $?")
    assert "conda create --yes --name mine python ipykernel" in shown
    assert "ipykernel install --user --name mine" in shown
    assert shown.splitlines()[-1] == "refused 1"


@pytest.mark.parametrize(
    "command", ["conda create -n mine", "conda install -n mine numpy", "conda list", "conda install --help"]
)
def test_conda_does_everything_else(client: docker.DockerClient, built: Clone, command: str) -> None:
    assert as_user(client, built, command) == f"{command}\n"


def test_environments_of_conda_are_made_in_the_home(client: docker.DockerClient, built: Clone) -> None:
    assert "envs_dirs:\n  - ~/.conda/envs\n" in as_user(client, built, "cat /opt/conda/.condarc")
