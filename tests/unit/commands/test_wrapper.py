"""The wrapper script `invoke`: when it makes .venv, what it asks of the machine, and how task names may be spelled."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import invoke
import pytest

import hubdeploy

CHECKOUT = Path(__file__).resolve().parents[3]

# Plays python3, and the .venv/bin/python that it makes. STATE is where it notes what happened and reads what to play.
PLAYED_PYTHON = """#!/bin/sh
case "$*" in
    *"version_info < (3, 11)"*) [ -e STATE/old ] && exit 1; echo "$0" ;;
    *"import ensurepip, venv"*) [ ! -e STATE/no-venv-module ] ;;
    *"python%d.%d-venv"*) echo python3.11-venv ;;
    *fcntl.flock*) exec REAL "$@" ;;
    "-m venv --clear .venv") rm -rf .venv; mkdir -p .venv/bin; cp "$0" .venv/bin/python; sleep 0.2; echo made >>STATE/made ;;
    "-m pip config list") cat STATE/pip-config 2>/dev/null ;;
    "-m pip install"*) echo "cert=${PIP_CERT:-} nocache=${PIP_NO_CACHE_DIR:-} $*" >>STATE/pip; [ ! -e STATE/pip-fails ] ;;
    "-m hubdeploy.commands.commandline"*) shift 2; echo "ran <$*> in $PWD" ;;
    --version) echo "Python 3.9.1" ;;
    *) echo "not played: $*" >&2; exit 9 ;;
esac
"""


@dataclass(frozen=True)
class Place:
    """A checkout with the real wrapper, on a machine with a played Python."""

    checkout: Path
    state: Path
    path: str

    def run(
        self, *arguments: str, cwd: Path | None = None, script: Path | None = None, **environ: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(script or self.checkout / "invoke"), *arguments], cwd=cwd or self.checkout, capture_output=True, text=True,
            env={"PATH": self.path, "HOME": str(self.state), **environ}, timeout=60, check=False,
        )  # fmt: skip

    def play(self, what: str, text: str = "") -> None:
        (self.state / what).write_text(text)

    def noted(self, what: str) -> list[str]:
        file = self.state / what
        return file.read_text().splitlines() if file.exists() else []


@pytest.fixture
def place(tmp_path: Path) -> Place:
    checkout, state, programs = tmp_path / "a checkout", tmp_path / "state", tmp_path / "bin"
    for folder in (checkout, state, programs):
        folder.mkdir()
    shutil.copy(CHECKOUT / "invoke", checkout / "invoke")
    (checkout / "requirements.lock").write_text("one==1\n")
    python = programs / "python3"
    python.write_text(PLAYED_PYTHON.replace("STATE", str(state)).replace("REAL", sys.executable))
    apt = programs / "apt-get"
    apt.write_text(
        f'#!/bin/sh\necho "$*" >>{state}/apt\n[ ! -e {state}/apt-fails ] || exit 100\nrm -f {state}/no-venv-module\n'
    )
    whoami = programs / "id"
    whoami.write_text(f"#!/bin/sh\ncat {state}/uid 2>/dev/null || echo 0\n")
    for program in (python, apt, whoami):
        program.chmod(0o755)
    for name in ("sh", "cat", "cp", "mv", "rm", "mkdir", "cmp", "grep", "readlink", "sleep"):
        (programs / name).symlink_to(str(shutil.which(name)))
    return Place(checkout, state, str(programs))


# -- when .venv is made -----------------------------------------------------------------------------------------------


def test_the_first_call_makes_venv_and_the_second_only_runs(place: Place) -> None:
    first = place.run("up", "--yes")
    assert (first.returncode, first.stdout) == (0, f"ran <up --yes> in {place.checkout}\n")
    assert "making .venv" in first.stderr
    second = place.run("up")
    assert (second.returncode, second.stderr) == (0, "")
    assert place.noted("made") == ["made"]


def test_packages_are_installed_by_their_hashes_and_no_others(place: Place) -> None:
    place.run()
    [line] = place.noted("pip")
    assert "--require-hashes" in line
    assert "--no-deps" in line


def test_a_changed_lock_makes_venv_anew(place: Place) -> None:
    place.run()
    (place.checkout / "requirements.lock").write_text("one==2\n")
    assert place.run("up").returncode == 0
    assert place.noted("made") == ["made", "made"]


def test_a_moved_checkout_makes_venv_anew(place: Place) -> None:
    place.run()
    moved = place.checkout.rename(place.checkout.parent / "moved")
    assert place.run(script=moved / "invoke", cwd=moved).stdout == f"ran <> in {moved}\n"
    assert place.noted("made") == ["made", "made"]


def test_a_python_that_an_upgrade_took_away_makes_venv_anew(place: Place) -> None:
    place.run()
    (place.checkout / ".venv/bin/python").unlink()
    assert place.run("up").returncode == 0
    assert place.noted("made") == ["made", "made"]


def test_an_installation_that_failed_is_tried_again(place: Place) -> None:
    place.play("pip-fails")
    failed = place.run("up")
    assert (failed.returncode, failed.stdout) == (1, "")
    assert "PIP_CERT" in failed.stderr
    (place.state / "pip-fails").unlink()
    assert place.run("up").returncode == 0


def test_first_calls_at_the_same_time_make_venv_once_and_all_run(place: Place) -> None:
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda number: place.run(f"task{number}"), range(4)))
    assert [one.returncode for one in done] == [0] * 4, [one.stderr for one in done]
    assert place.noted("made") == ["made"]


# -- where it is called -----------------------------------------------------------------------------------------------


def test_it_runs_in_the_checkout_from_anywhere_and_through_links(place: Place, tmp_path: Path) -> None:
    link = tmp_path / "hub"
    link.symlink_to("a checkout/invoke")
    for script in (None, link):
        assert place.run("up", cwd=Path("/"), script=script).stdout == f"ran <up> in {place.checkout}\n"


@pytest.mark.parametrize("home", ["", "/nonexistent"])
def test_a_missing_home_is_no_obstacle(place: Place, home: str) -> None:
    assert place.run("up", HOME=home).returncode == 0
    assert "nocache=1" in place.noted("pip")[0]


# -- what it asks of the machine --------------------------------------------------------------------------------------


def test_an_old_python_is_refused_with_what_to_do(place: Place) -> None:
    place.play("old")
    refused = place.run("up")
    assert refused.returncode == 1
    assert "wanted Python 3.11 or newer" in refused.stderr
    assert "Python 3.9.1" in refused.stderr


def test_a_newer_python_beside_an_old_one_is_found(place: Place) -> None:
    place.play("old")
    newer = Path(place.path) / "python3.13"
    newer.write_text((Path(place.path) / "python3").read_text().replace("[ -e", "false && [ -e", 1))
    newer.chmod(0o755)
    done = place.run("up")
    assert done.returncode == 0
    assert "python3.13" in done.stderr


def test_root_on_debian_gets_the_missing_venv_package_and_a_message(place: Place) -> None:
    place.play("no-venv-module")
    done = place.run("up")
    assert done.returncode == 0
    assert "installing python3.11-venv" in done.stderr
    assert place.noted("apt")[-1].endswith("install --no-install-recommends python3.11-venv")


@pytest.mark.parametrize("obstacle", ["not root", "apt fails"])
def test_without_the_venv_package_the_message_names_it(place: Place, obstacle: str) -> None:
    place.play("no-venv-module")
    if obstacle == "not root":
        place.play("uid", "1000")
    else:
        place.play("apt-fails")
    refused = place.run("up")
    assert refused.returncode == 1
    assert "apt-get install python3.11-venv as root" in refused.stderr
    assert bool(place.noted("apt")) == (obstacle == "apt fails")


def test_pip_trusts_the_bundle_that_the_environment_names(place: Place, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_text("")
    place.run("up", SSL_CERT_FILE=str(bundle))
    assert f"cert={bundle} " in place.noted("pip")[0]


def test_a_persons_own_choice_of_authorities_stays(place: Place) -> None:
    place.run("up", PIP_CERT="/own.pem", SSL_CERT_FILE=__file__)
    assert "cert=/own.pem " in place.noted("pip")[0]
    shutil.rmtree(place.checkout / ".venv")
    place.play("pip-config", "global.cert='/configured.pem'\n")
    place.run("up", SSL_CERT_FILE=__file__)
    assert "cert= " in place.noted("pip")[1]


# -- how tasks may be spelled -----------------------------------------------------------------------------------------

TASKS = '''
from invoke import task

@task(default=True)
def build(c):
    """Build."""
    print("build")

@task
def base_notebook_image(c, yes=False):
    """Build one image."""
    print("base_notebook_image", yes)

@task
def logs(c, user=""):
    """Show a log."""
    print("logs", user)

@task(positional=["name"])
def access(c, name):
    """Show one, or all."""
    print("access", name or "all")
'''


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    """A checkout whose .venv is ready, with Invoke itself in it."""
    (tmp_path / "hubdeploy/commands").mkdir(parents=True)
    for module in ("hubdeploy/__init__.py", "hubdeploy/commands/__init__.py", "hubdeploy/commands/commandline.py"):
        shutil.copy(CHECKOUT / module, tmp_path / module)
    for name in ("invoke", "requirements.lock"):
        shutil.copy(CHECKOUT / name, tmp_path)
    (tmp_path / "tasks.py").write_text(TASKS)
    (tmp_path / ".venv/bin").mkdir(parents=True)
    shutil.copy(CHECKOUT / "requirements.lock", tmp_path / ".venv/installed")
    (tmp_path / ".venv/checkout").write_text(f"{tmp_path}\n")
    python = tmp_path / ".venv/bin/python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("", "build\n"),
        ("base-notebook-image", "base_notebook_image False\n"),
        ("base_notebook_image", "base_notebook_image False\n"),
        (
            "build base_notebook_image --yes base-notebook-image",
            "build\nbase_notebook_image True\nbase_notebook_image False\n",
        ),
        ("base_notebook_image --yes base_notebook_image", "base_notebook_image True\nbase_notebook_image False\n"),
        ("logs --user base_notebook_image", "logs base_notebook_image\n"),
        (
            "logs --user=base_notebook_image base_notebook_image",
            "logs base_notebook_image\nbase_notebook_image False\n",
        ),
    ],
)
def test_both_spellings_name_a_task_and_values_stay_as_they_are(tasks: Path, arguments: str, expected: str) -> None:
    done = subprocess.run(
        [str(tasks / "invoke"), *arguments.split()], capture_output=True, text=True, cwd="/", check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, expected, "")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("access", "access all\n"),
        ("access ada", "access ada\n"),
        ("access --name ada", "access ada\n"),
        ("access logs", "access logs\n"),
        ("access ada logs", "access ada\nlogs \n"),
    ],
)
def test_a_word_without_an_option_may_be_left_out(tasks: Path, arguments: str, expected: str) -> None:
    done = subprocess.run([str(tasks / "invoke"), *arguments.split()], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, expected, "")


@pytest.mark.parametrize("arguments", ["--help base_notebook_image", "base_notebook_image --help"])
def test_help_knows_both_spellings(tasks: Path, arguments: str) -> None:
    done = subprocess.run([str(tasks / "invoke"), *arguments.split()], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "base-notebook-image [--options]" in done.stdout


def test_the_version_is_ours_with_invokes_beside_it(tasks: Path) -> None:
    done = subprocess.run([str(tasks / "invoke"), "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"hubdeploy {hubdeploy.__version__} (Invoke {invoke.__version__})\n"


def test_an_unknown_task_is_refused_by_name(tasks: Path) -> None:
    done = subprocess.run([str(tasks / "invoke"), "no_such_image"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "no_such_image" in done.stderr


def test_the_list_shows_each_task_once(tasks: Path) -> None:
    done = subprocess.run(
        [str(tasks / "invoke"), "--list"], capture_output=True, text=True, check=False, env={**os.environ}
    )
    assert done.stdout.count("notebook") == 1


# -- developers' tasks ------------------------------------------------------------------------------------------------

DEVELOPERS = '''
from invoke import Collection, task

@task
def test(c, only=""):
    """Run the tests."""
    print("test", only)

@task
def long_test(c):
    """Run the long tests."""
    print("long_test")

namespace = Collection(test, long_test)
'''


def said(checkout: Path, arguments: str) -> tuple[int, str, str]:
    """Exit code, output and errors of a command."""
    done = subprocess.run([str(checkout / "invoke"), *arguments.split()], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def developed(tasks: Path) -> Path:
    """The same checkout with developers' tasks in it."""
    (tasks / "develop").mkdir()
    (tasks / "develop/tasks.py").write_text(DEVELOPERS)
    return tasks


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("test --only unit", "test unit\n"),
        ("logs test", "logs \ntest \n"),
        ("long-test build", "long_test\nbuild\n"),
        ("long_test", "long_test\n"),
        ("", "build\n"),
    ],
)
def test_developers_tasks_are_called_as_the_operators_are(developed: Path, arguments: str, expected: str) -> None:
    assert said(developed, arguments) == (0, expected, "")


@pytest.mark.parametrize("arguments", ["--help long_test", "long-test --help"])
def test_developers_tasks_have_help(developed: Path, arguments: str) -> None:
    code, printed, _ = said(developed, arguments)
    assert (code, "long-test" in printed, "Run the long tests." in printed) == (0, True, True)


@pytest.mark.parametrize("form", ["flat", "nested"])
def test_the_list_is_the_operators_and_its_last_line_names_developers_tasks(developed: Path, form: str) -> None:
    code, printed, _ = said(developed, f"--list --list-format={form}")
    *listed, last = printed.splitlines()
    assert code == 0
    assert last == "Developers' tasks are test and long-test: see CONTRIBUTING.md"
    assert "Show a log." in printed
    assert not [line for line in listed if "test" in line]


def test_the_list_for_programs_stays_json(developed: Path) -> None:
    _, printed, _ = said(developed, "--list --list-format=json")
    assert [task["name"] for task in json.loads(printed)["tasks"]] == ["access", "base-notebook-image", "build", "logs"]


@pytest.mark.parametrize("left", ["nothing", "the folder", "the package"])
def test_the_operators_tasks_need_no_developers_tools(tasks: Path, left: str) -> None:
    if left != "nothing":
        (tasks / "develop").mkdir()
    if left == "the package":
        (tasks / "develop/__init__.py").write_text("")
    assert said(tasks, "logs") == (0, "logs \n", "")
    assert "Developers" not in said(tasks, "--list")[1]
    assert said(tasks, "test")[0] == 1


def test_a_developers_task_that_lacks_a_module_is_no_missing_task(developed: Path) -> None:
    (developed / "develop/tasks.py").write_text("import develop.nothing_here\n")
    code, _, errors = said(developed, "logs")
    assert code == 1
    assert "No module named 'develop.nothing_here'" in errors


@pytest.mark.parametrize("arguments", ["--list", "logs --user=ada"])
def test_a_closed_pipe_ends_it_silently(tasks: Path, arguments: str) -> None:
    # As `./invoke logs | head` does, once head has its lines.
    reader, writer = os.pipe()
    os.close(reader)
    command = [str(tasks / "invoke"), *arguments.split()]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, "")
