"""The how-tos of docs/operating.md are followed to the letter on one deployment, in their order: each command ends well and
prints what stands below it. A section that is added there is followed too.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import documents, terminal
from tests.documents import Command
from tests.hub.clone import Clone

pytestmark = pytest.mark.slow

_PAGE = documents.DOCS / "operating.md"
_HOW_TO = documents.section(_PAGE, "How to")
PASSWORD = "a-password-of-users"
# At the end of such a line stands what is typed.
_QUESTION = re.compile(r"(.*(?:Type \S+ to go on: |\[y/N\] ))(\S+)")
# Seconds for one command.
_WITHIN = 300


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


def _follow(clone: Clone, command: Command) -> tuple[int, str]:
    """Exit code and output of a command, whose questions are answered as the page says."""
    words = command.words
    if words[0] != "./invoke":
        done = subprocess.run(
            words, cwd=clone.root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False
        )
        return done.returncode, done.stdout
    if answers := [found for line in command.prints if (found := _QUESTION.fullmatch(line))]:
        (answer,) = answers
        code, lines = terminal.run(
            clone.root,
            clone.environ,
            *words[1:],
            at=answer[1].rpartition(documents.DIFFERS)[2].strip(),
            keys=f"{answer[2]}\n",
        )
        return code, "\n".join(lines)
    done = subprocess.run(
        [sys.executable, "-m", "hubdeploy.commands.commandline", *words[1:]],
        cwd=clone.root, env=clone.environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, timeout=_WITHIN, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout


@pytest.mark.parametrize("heading", documents.headings(_HOW_TO, 3))
def test_a_how_to_leads_where_it_says(deployment: Clone, heading: str) -> None:
    text = documents.section(_PAGE, heading, 3).replace("NAME", deployment.name)
    followed = list(documents.commands(text))
    assert followed
    for command in followed:
        code, printed = _follow(deployment, command)
        assert code == 0, f"{command.line}\n{printed}"
        missing = command.missing_in(printed)
        assert missing is None, f"{command.line} does not print {missing}:\n{printed}"
