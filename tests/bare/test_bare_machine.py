"""The README's two commands on a plain Debian that has Python and nothing else."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator

import docker
import pytest

from tests import nested
from tests.nested import Finished, Machine

pytestmark = pytest.mark.nested

CHECKOUT = "/srv/hub"
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


def containers(machine: Machine) -> dict[str, str]:
    listed = machine.run("docker", "ps", "--all", "--no-trunc", "--format", "{{.Names}} {{.ID}} {{.State}}")
    return dict(line.split(" ", 1) for line in listed.output.splitlines())


def test_the_first_command_ends_with_a_login_page_over_tls(machine: Machine, first_up: Finished) -> None:
    assert first_up.exit_code == 0, first_up.output[-3000:]
    assert "https://localhost" in first_up.output
    certificate = f"{CHECKOUT}/jupyterhub/secrets/crypticlabs-jupyterhub.crt"
    asked = machine.run("python3", "-c", ASK_FOR_THE_LOGIN_PAGE, certificate)
    assert asked.exit_code == 0, asked.output


def test_no_password_is_in_the_output_without_a_terminal(machine: Machine, first_up: Finished) -> None:
    kept = machine.run("cat", f"{CHECKOUT}/.env.local").output.splitlines()
    secrets = [line.partition("=")[2] for line in kept if line.startswith(("USER_PASSWORD=", "ADMIN_PASSWORD="))]
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


def test_the_second_command_is_green(machine: Machine, first_up: Finished) -> None:
    done = invoke(machine, "setup", "test")
    assert done.exit_code == 0, done.output[-5000:]
