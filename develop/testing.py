"""Runs the project's checks: gets what only tests need, then ruff, mypy and pytest in an environment of their own.

Nothing is skipped: a machine without an engine fails at the first test that needs it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from ctypes.util import find_library
from pathlib import Path

from hubdeploy.errors import DeployError
from hubdeploy.machine import debian

# Debian's package for each program that tests run, and for the library that the browser's driver is linked to.
_LIBRARIES = {"atomic": "libatomic1"}
# The engine asks ps what runs in a container.
_PROGRAMS = {"/bin/busybox": "busybox-static", "/usr/bin/mmdebstrap": "mmdebstrap", "/bin/ps": "procps"}
SUITES = ("unit", "engine", "hub", "bare")


def run(root: Path, *, everything: bool, rest: bool, only: str) -> None:
    """All suites, or `only` one of them; `everything` adds what is marked nested or slow, and `rest` is that alone.
    Raises DeployError if one fails."""
    if only and only not in SUITES:
        raise DeployError(wanted=" or ".join(SUITES), found=f"--only {only}", fix="name one of these")
    suites = [only] if only else list(SUITES)
    if suites != ["unit"]:
        _get_programs()
    python = _environment(root)
    long = "nested or slow"
    marks = ["-m", long] if rest else [] if everything or only == "bare" else ["-m", f"not ({long})"]
    pytest = [python, "-m", "pytest", "--durations=10", *marks]
    # Unit tests need processors only, so they share out all of them; those on the engine would wait too long for each other.
    real = [f"tests/{suite}" for suite in suites if suite != "unit"]
    commands = [
        [python, "-m", "ruff", "check", "."],
        [python, "-m", "ruff", "format", "--check", "."],
        *type_checks(python),
        *([[*pytest, "--numprocesses=auto", "tests/unit"]] if "unit" in suites else []),
        *([[*pytest, *real]] if real else []),
    ]
    for command in commands:
        print("+", " ".join(command[1:]), flush=True)
        code = subprocess.run(command, cwd=root, check=False).returncode
        if code != 0:
            raise DeployError(
                wanted="every check to pass", found=f"{command[2]} ended with code {code}", fix="see above"
            )


def type_checks(python: str) -> list[list[str]]:
    """The runs of mypy, to be called in the checkout: what pyproject.toml lists, then each image's folder alone. Both have
    a module `quick`, and mypy wants one of each name."""
    return [[python, "-m", "mypy", *folder] for folder in ([], ["base-notebook"], ["jupyterhub"])]


def bench(root: Path, *, only: str) -> None:
    """Measures this project beside stock; `only` are the letters of some rows, such as `a,b`. Raises DeployError if a
    measurement cannot be made."""
    _get_programs()
    command = [_environment(root), "-m", "develop.bench", *(["--only", only] if only else [])]
    code = subprocess.run(command, cwd=root, check=False).returncode
    if code != 0:
        raise DeployError(wanted="every measurement made", found=f"bench ended with code {code}", fix="see above")


def _get_programs() -> None:
    missing = [package for program, package in _PROGRAMS.items() if not Path(program).exists()]
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
