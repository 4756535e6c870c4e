"""Runs the project's checks in an environment of their own: the part that always runs (ruff, mypy, shellcheck, then pytest's
suites) and the long groups of develop/groups.py. It gets what only tests need, and closes with what each part came to.

Nothing is skipped: a machine without an engine fails at the first test that needs it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from ctypes.util import find_library
from pathlib import Path

from develop import checkout, groups, longtests, records, shellscripts, turns
from develop.groups import GROUPS
from develop.parts import Parts
from hubdeploy.errors import DeployError
from hubdeploy.machine import debian

# Debian's package for each program that tests run, and for the library that the browser's driver is linked to.
_LIBRARIES = {"atomic": "libatomic1"}
# Unit tests compare with openssl how cert.conf is read, and bring files back by restic.
_CHECKERS = {"shellcheck": "shellcheck", "git": "git", "openssl": "openssl", "restic": "restic"}
# The engine asks ps what runs in a container.
_PROGRAMS = {"/bin/busybox": "busybox-static", "/usr/bin/mmdebstrap": "mmdebstrap", "/bin/ps": "procps"}
# Unit tests need processors only, so they share out all of them; those on the engine would wait too long for each other.
# The story is one of the hub's tests, for a machine that has to show that it can run one.
_ALWAYS = {
    "unit": ["--numprocesses=auto", "tests/unit"],
    "engine": ["tests/engine"],
    "hub": ["tests/hub"],
    "story": ["tests/hub/test_story.py::test_user_logs_in_runs_a_cell_and_finds_a_file_again"],
}
SUITES = (*_ALWAYS, "bare")


def run(root: Path, *, everything: bool, rest: bool, minutes: str, group: str, only: str) -> None:
    """The part that always runs, and (`everything`) every long group after it. `rest`: the long groups alone that are due,
    within the `minutes` (a whole number; empty: without a limit). `group`: that long group alone. `only` leaves the suites
    named in it, separated by commas; of bare there are long groups only. Raises DeployError if an option makes no sense or
    a check fails."""
    suites = _checked_suites(everything, rest, minutes, group, only)
    _get_programs(_CHECKERS if suites == ["unit"] else _CHECKERS | _PROGRAMS)
    parts = Parts(root, _environment(root))
    try:
        if not (rest or group):
            _always(parts, suites)
        wanted = [one for one in GROUPS if _is_wanted(one, suites, everything or rest, group, only)]
        standings = [turns.Standing(one, records.digest(root, one), records.read(root, one)) for one in wanted]
        if standings:
            due = turns.in_order(standings, checkout.commits(root)) if rest else standings
            longtests.run(parts, standings, due, int(minutes) * 60 if minutes else None)
    finally:
        parts.close()


def type_checks(python: str) -> list[list[str]]:
    """The runs of mypy, to be called in the checkout: what pyproject.toml lists, then each image's folder alone. Both have
    a module `quick`, and mypy wants one of each name."""
    folders = ("base-notebook", "jupyterhub", "guard", "filter", "clock", "backup", "crowd")
    return [[python, "-m", "mypy"], *([python, "-m", "mypy", folder] for folder in folders)]


def bench(root: Path, *, only: str) -> None:
    """Measures this project beside stock; `only` are the letters of some rows, such as `a,b`. Raises DeployError if a
    measurement cannot be made."""
    _get_programs(_PROGRAMS)
    command = [_environment(root), "-m", "develop.bench", *(["--only", only] if only else [])]
    code = subprocess.run(command, cwd=root, check=False).returncode
    if code != 0:
        raise DeployError(wanted="every measurement made", found=f"bench ended with code {code}", fix="see above")


def _checked_suites(everything: bool, rest: bool, minutes: str, group: str, only: str) -> list[str]:
    """The suites that are wanted. Raises DeployError for what the options cannot mean."""
    if minutes and not (rest and minutes.isdecimal() and int(minutes)):
        raise DeployError(
            wanted="--minutes, a whole number above 0, beside --rest",
            found=f"--minutes {minutes}" + ("" if rest else " without it"),
            fix="for example: ./invoke test --rest --minutes 25",
        )
    if sum((everything, rest, bool(group))) > 1 or (group and only):
        raise DeployError(
            wanted="one of --all, --rest and --group", found="two that exclude one another", fix="leave one out"
        )
    if group and groups.named(group) is None:
        names = ", ".join(one.name for one in GROUPS)
        raise DeployError(wanted=f"a long group: {names}", found=f"--group {group}", fix="name one of these")
    suites = only.split(",") if only else ["unit", "engine", "hub", "bare"]
    if not set(suites) <= set(SUITES):
        raise DeployError(wanted=f"some of {', '.join(SUITES)}", found=f"--only {only}", fix="name some of these")
    return suites


def _is_wanted(one: groups.Group, suites: Sequence[str], long: bool, group: str, only: str) -> bool:
    if group:
        return one.name == group
    # Who names bare wants its long groups, as it has no other tests.
    return bool(one.suites.intersection(suites if long else {"bare"}.intersection(only.split(","))))


def _always(parts: Parts, suites: Sequence[str]) -> None:
    """The part that always runs; it ends with the first check that fails."""
    parts.check("ruff check", [parts.python, "-m", "ruff", "check", "."])
    parts.check("ruff format", [parts.python, "-m", "ruff", "format", "--check", "."])
    for command in type_checks(parts.python):
        parts.check(" ".join(command[2:]), command)
    parts.check("shellcheck", ["shellcheck", *shellscripts.find(parts.root)])
    for suite in suites:
        if suite in _ALWAYS:
            parts.pytest(suite, ["-m", f"not ({longtests.MARKS})", *_ALWAYS[suite]])
            parts.demand_success()


def _get_programs(programs: dict[str, str]) -> None:
    missing = [package for program, package in programs.items() if shutil.which(program) is None]
    if programs is not _CHECKERS:
        missing += [package for library, package in _LIBRARIES.items() if find_library(library) is None]
    if not missing:
        return
    if not debian.can_install():
        raise DeployError(
            wanted=f"{', '.join(missing)}, which only tests need",
            found="they are not installed, and this is not root on Debian or Ubuntu",
            fix=f"install them, for example: sudo apt-get install {' '.join(missing)}",
        )
    debian.install(missing, print)


def _environment(root: Path) -> str:
    """The Python of .venv/test, which holds requirements-dev.lock; made when the lock changed."""
    folder, lock = root / ".venv" / "test", root / "requirements-dev.lock"
    stamp, python = folder / "requirements.lock", folder / "bin" / "python"
    if not (stamp.exists() and stamp.read_bytes() == lock.read_bytes()):
        print("making the tests' environment from requirements-dev.lock", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        environ = dict(os.environ)
        bundle = Path("/etc/ssl/certs/ca-certificates.crt")
        if bundle.exists():
            environ.setdefault("PIP_CERT", str(bundle))
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*install, "--require-hashes", "-r", str(lock)], check=True, env=environ)
        shutil.copy(lock, stamp)
    return str(python)
