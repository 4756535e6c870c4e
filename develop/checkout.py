"""What git knows of the checkout: its files, and how many commits led to it. Reads only."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from hubdeploy.errors import DeployError


def files(root: Path, pathspecs: Sequence[str] = (".",)) -> list[str]:
    """The names, from `root`, of the files that git's pathspecs name, sorted: all that git tracks, and what it would
    track. Raises DeployError where `root` is no git repository or there is no git."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *pathspecs]
    try:
        listed = subprocess.run(command, cwd=root, capture_output=True, check=True)
    except FileNotFoundError:
        raise _not_listed("there is no git here") from None
    except subprocess.CalledProcessError as error:
        raise _not_listed(error.stderr.decode(errors="replace").strip()) from None
    return sorted({name for name in os.fsdecode(listed.stdout).split("\0") if name})


def _not_listed(reason: str) -> DeployError:
    return DeployError(
        wanted="the checkout's files, listed by git", found=reason, fix="run this in a clone, on a machine with git"
    )


def commits(root: Path) -> int:
    """How many commits lead to the one that is checked out; 0 before the first. A shallow clone knows fewer."""
    counted = subprocess.run(
        ["git", "rev-list", "--count", "HEAD"], cwd=root, capture_output=True, text=True, check=False
    )
    return int(counted.stdout) if counted.returncode == 0 else 0
