"""The how-tos of docs/operating.md are followed to the letter on one deployment, in their order: each command ends well and
prints what stands below it. A section that is added there is followed too.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import documents
from tests.hub.clone import Clone
from tests.hub.following import follow

pytestmark = pytest.mark.slow

_PAGE = documents.DOCS / "operating.md"
_HOW_TO = documents.section(_PAGE, "How to")
PASSWORD = "a-password-of-users"


@pytest.fixture(scope="module")
def deployment(new_clone: Callable[..., Clone], tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """Of ada, who has a thesis, and others; its checkout is behind another repository."""
    clone = new_clone("boss admin\nada\ngrace\n", USER_PASSWORD=PASSWORD)
    _put_behind(clone.root, tmp_path_factory.mktemp("upstream"))
    clone.up()
    ada = clone.person("ada")
    assert ada.log_in(PASSWORD).status_code == 200
    ada.take_token()
    ada.start_server()
    kernel = ada.open_kernel()
    path = f"{clone.settings.notebook_dir}/thesis.ipynb"
    assert kernel.run(f"print(open({path!r}, 'w').write('chapter 1'))") == "9\n"
    kernel.close()
    return clone


def _put_behind(root: Path, upstream: Path) -> None:
    """Makes the checkout a clone of a repository with one more commit, which changes the hub's image."""

    def git(folder: Path, *words: str) -> None:
        environ = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull}
        identity = ("-c", "user.name=tests", "-c", "user.email=tests@example.org")
        subprocess.run(["git", *identity, *words], cwd=folder, env=environ, check=True, capture_output=True)

    git(root, "init", "--quiet", "--initial-branch=main")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message=what is deployed")
    git(upstream, "clone", "--quiet", str(root), ".")
    healthcheck = upstream / "jupyterhub" / "healthcheck.py"
    healthcheck.write_text(healthcheck.read_text() + "# another line\n")
    git(upstream, "commit", "--quiet", "--all", "--message=an upgrade")
    git(root, "remote", "add", "origin", str(upstream))
    git(root, "fetch", "--quiet", "origin")
    git(root, "branch", "--set-upstream-to=origin/main")


@pytest.mark.parametrize("heading", documents.headings(_HOW_TO, 3))
def test_a_how_to_leads_where_it_says(deployment: Clone, heading: str) -> None:
    text = documents.section(_PAGE, heading, 3).replace("NAME", deployment.name)
    followed = list(documents.commands(text))
    assert followed
    for command in followed:
        follow(deployment, command)
