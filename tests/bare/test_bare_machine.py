"""The README's two commands on a plain Debian that has Python and nothing else.

The first brings a hub up that a person lives a whole story in. The second gets what tests need; of the tests it runs the
unit suite and one story, as the others prove nothing about the machine that these do not.
"""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from tests import nested
from tests.nested import Finished, Machine

pytestmark = pytest.mark.nested

CHECKOUT = "/srv/hub"
CERTIFICATE = f"{CHECKOUT}/jupyterhub/secrets/crypticlabs-jupyterhub.crt"
# What `setup` and `test` have to install.
PROGRAMS = ("dockerd", "mmdebstrap", "/bin/busybox", "ps", "shellcheck", "git")
_STORY = "/srv/story"
_HUBS_TESTS = Path(__file__).parents[1] / "hub"
# The longest silence of a command: one step of an image's build that prints nothing.
SILENCE = 1800

# Run by the bare machine's own Python, which has no library that knows of us.
ASK_FOR_THE_LOGIN_PAGE = """
import ssl, sys, urllib.request
trusted = ssl.create_default_context(cafile=sys.argv[1])
with urllib.request.urlopen("https://localhost/hub/login", context=trusted, timeout=20) as answer:
    page = answer.read().decode()
sys.exit(0 if answer.status == 200 and 'name="password"' in page else page)
"""


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    client = docker.from_env(timeout=SILENCE)
    with nested.bare_machine(client, uuid.uuid4().hex) as made:
        made.put_checkout(CHECKOUT)
        yield made


@pytest.fixture(scope="module")
def first_up(machine: Machine) -> Finished:
    """The first command that the README tells a new operator."""
    return invoke(machine, "setup", "up")


def invoke(machine: Machine, *arguments: str) -> Finished:
    begun = time.monotonic()
    done = machine.run("./invoke", *arguments, folder=CHECKOUT, shown=True)
    print(f"\nbare machine: ./invoke {' '.join(arguments)} took {time.monotonic() - begun:.0f} s")
    if done.exit_code != 0:
        machine.run("docker", "ps", "--all", shown=True)
    return done


def local(machine: Machine) -> dict[str, str]:
    """What the machine's .env.local says."""
    lines = machine.run("cat", f"{CHECKOUT}/.env.local").output.splitlines()
    return {key: value.strip("'") for key, equals, value in (line.partition("=") for line in lines) if equals}


def containers(machine: Machine) -> dict[str, str]:
    listed = machine.run("docker", "ps", "--all", "--no-trunc", "--format", "{{.Names}} {{.ID}} {{.State}}")
    return dict(line.split(" ", 1) for line in listed.output.splitlines())


def test_the_first_command_ends_with_a_login_page_over_tls(machine: Machine, first_up: Finished) -> None:
    assert first_up.exit_code == 0, first_up.output[-3000:]
    assert "https://localhost" in first_up.output
    asked = machine.run("python3", "-c", ASK_FOR_THE_LOGIN_PAGE, CERTIFICATE)
    assert asked.exit_code == 0, asked.output


def test_no_password_is_in_the_output_without_a_terminal(machine: Machine, first_up: Finished) -> None:
    secrets = [value for key, value in local(machine).items() if key in ("USER_PASSWORD", "ADMIN_PASSWORD")]
    assert len(secrets) == 2
    assert not [secret for secret in secrets if secret in first_up.output]


def test_the_same_command_again_changes_nothing(machine: Machine, first_up: Finished) -> None:
    before = containers(machine)
    files = "find . -name .venv -prune -o -type f -not -name '*.pyc' -exec md5sum {} +"
    digests = machine.run("sh", "-c", files, folder=CHECKOUT).output
    again = invoke(machine, "setup", "up")
    assert again.exit_code == 0
    assert "setup: this machine has all that is needed, nothing was changed" in again.output
    assert containers(machine) == before
    assert machine.run("sh", "-c", files, folder=CHECKOUT).output == digests


def test_a_listed_admin_lives_through_the_whole_story(machine: Machine, first_up: Finished, tmp_path: Path) -> None:
    password = local(machine)["ADMIN_PASSWORD"]
    (tmp_path / "password").write_text(password)
    # Only named there, in annotations; the real one needs the docker library.
    (tmp_path / "clone.py").write_text("Clone = object\n")
    files = {name: _HUBS_TESTS / name for name in ("person.py", "waiting.py", "remote_story.py")}
    machine.put(files | {name: tmp_path / name for name in ("password", "clone.py")}, f"{_STORY}/tests/hub")
    machine.run("cp", CERTIFICATE, f"{_STORY}/tests/hub/certificate.pem")
    done = machine.run(
        "docker", "run", "--rm", "--network=host", "--user=root", f"--volume={_STORY}:{_STORY}", f"--workdir={_STORY}",
        "crypticlabs-jupyterhub/base-notebook:latest",
        "/opt/jupyter/bin/python", "-m", "tests.hub.remote_story", "https://localhost", "kaben", "tell",
    )  # fmt: skip
    assert done.exit_code == 0, done.output[-3000:]
    seen = json.loads(done.output.splitlines()[-1])
    assert (seen["login"], seen["cell"], seen["found"]) == (200, "six times seven is 42\n", "still here\n")


def test_the_second_command_installs_what_is_missing_and_runs_the_unit_suite_and_a_story(machine: Machine) -> None:
    done = invoke(machine, "setup", "test", "--only", "unit,story")
    assert done.exit_code == 0, done.output[-5000:]
    came_to = [line for line in done.output.splitlines() if re.match(r"(unit|story) +\d+ s  ", line)]
    assert [re.search(r"\d+ passed", line) is not None for line in came_to] == [True, True]
    missing = machine.run("sh", "-c", 'for one; do command -v "$one" >/dev/null || echo "$one"; done', "sh", *PROGRAMS)
    assert missing.output == ""
