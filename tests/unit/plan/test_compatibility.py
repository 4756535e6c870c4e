"""What the answer of a foreign image means, and what is refused with which words."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from hubdeploy.errors import InputError, Problem
from hubdeploy.plan import compatibility
from hubdeploy.plan.compatibility import Found, Wanted

CHECKOUT = Path(__file__).resolve().parents[3]
WANTED = Wanted("quay.io/lab/notebook:1", ("start-singleuser.sh", "--debug"), "6.1.1", "lab/base-notebook:latest")


def asked(folder: Path, command: str, **programs: str) -> str:
    """Output of the question in a real shell, with only these programs on the PATH."""
    for name, script in programs.items():
        program = folder / name.replace("_", "-")
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    result = subprocess.run(
        compatibility.question(command), env={"PATH": str(folder)}, capture_output=True, text=True, check=False
    )
    return result.stderr + result.stdout


def refusal(found: Found, wanted: Wanted = WANTED) -> Problem:
    (problem,) = compatibility.problems(found, wanted)
    return problem


@pytest.mark.parametrize("version", ["6.1.1", "6.0.0", "6.99.0", "6.0.0rc1", "6.2.0.dev"])
def test_the_same_major_version_fits_whatever_follows(version: str) -> None:
    assert list(compatibility.problems(Found(True, version), WANTED)) == []


@pytest.mark.parametrize("version", ["0.7.2", "5.99.9", "7.0.0", "7.0.0b1", "60.1.1", "16.1.1"])
def test_another_major_version_is_refused_with_both_named(version: str) -> None:
    error = refusal(Found(True, version))
    assert error.found == f"image quay.io/lab/notebook:1 has JupyterHub {version}"
    assert "JupyterHub 6 in DOCKER_NOTEBOOK_IMAGE, as the hub has 6.1.1" in error.wanted


def test_none_is_refused_with_three_ways_to_one() -> None:
    error = refusal(Found(True, None))
    assert error.found == "image quay.io/lab/notebook:1 has no jupyterhub-singleuser on its PATH"
    assert "the hub has 6.1.1" in error.wanted
    for way in ("another tag", "pip install jupyterhub==6.1.1", "FROM lab/base-notebook:latest"):
        assert way in error.fix


def test_a_missing_start_command_is_refused_by_its_name_and_setting() -> None:
    error = refusal(Found(False, "6.1.1"))
    assert error.found == "image quay.io/lab/notebook:1 has no command start-singleuser.sh"
    assert "start-singleuser.sh --debug" in error.wanted
    assert "DOCKER_SPAWN_CMD" in error.fix


def test_a_missing_jupyterhub_is_reported_before_a_missing_start_command() -> None:
    assert "no jupyterhub-singleuser" in refusal(Found(False, None)).found


def test_an_image_that_says_nothing_of_use_is_refused_with_its_last_lines() -> None:
    error = compatibility.unanswered("early\n" + "late\n\n" * 10, WANTED)
    assert error.found == "jupyterhub-singleuser does not start in image quay.io/lab/notebook:1"
    assert "the hub has 6.1.1" in error.wanted
    assert error.fix.endswith("    late")
    assert "early" not in error.fix
    assert "it printed nothing" in compatibility.unanswered("\n", WANTED).fix


def test_the_question_finds_the_command_and_the_version(tmp_path: Path) -> None:
    output = asked(tmp_path, "start.sh", start_sh="exit", jupyterhub_singleuser="echo 5.3.0")
    assert compatibility.answer(output) == Found(False, "5.3.0")
    (tmp_path / "start-sh").rename(tmp_path / "start.sh")
    assert compatibility.answer(asked(tmp_path, "start.sh")) == Found(True, "5.3.0")


def test_the_question_finds_that_there_is_none(tmp_path: Path) -> None:
    assert compatibility.answer(asked(tmp_path, "start", start="exit")) == Found(True, None)
    assert compatibility.answer(asked(tmp_path, "other")) == Found(False, None)


@pytest.mark.parametrize(
    "prints",
    [
        "echo 5.3.0",
        "echo a warning; echo 5.3.0",
        "echo 'a warning with * and %s' >&2; echo 5.3.0",
        "echo JupyterHub 5.3.0; exit 1",
        "printf 5.3.0",
    ],
)
def test_a_version_is_found_among_chatter(tmp_path: Path, prints: str) -> None:
    assert compatibility.answer(asked(tmp_path, "start", start="exit", jupyterhub_singleuser=prints)) == Found(
        True, "5.3.0"
    )


@pytest.mark.parametrize(
    "prints", ["exit 1", "echo ImportError: no module; exit 1", "echo five", "echo 5", "echo absent."]
)
def test_a_server_that_names_no_version_gives_no_answer(tmp_path: Path, prints: str) -> None:
    assert compatibility.answer(asked(tmp_path, "start", start="exit", jupyterhub_singleuser=prints)) is None


@pytest.mark.parametrize(
    "output", ["", "\n", "exec format error", "5.3.0", "hubdeploy-probe", "hubdeploy-probe command"]
)
def test_garbage_is_no_answer(output: str) -> None:
    assert compatibility.answer(output) is None


def test_what_an_entrypoint_prints_around_the_answer_is_left_aside(tmp_path: Path) -> None:
    output = asked(tmp_path, "start", start="exit", jupyterhub_singleuser="echo 5.3.0")
    assert compatibility.answer(f"Entered start.sh 9.9.9\n{output}\nbye 8.8.8") == Found(True, "5.3.0")


def test_the_hubs_version_is_the_one_its_image_is_installed_with() -> None:
    pinned = compatibility.hub_version((CHECKOUT / "jupyterhub" / "requirements.lock").read_text(), "requirements.lock")
    assert f"\njupyterhub=={pinned}\n" in (CHECKOUT / "jupyterhub" / "requirements.in").read_text()
    assert f"jupyterhub=={pinned} " in (CHECKOUT / "base-notebook" / "requirements.lock").read_text()


@pytest.mark.parametrize("lock", ["", "jupyterhub-traefik-proxy==2.1.0\n", "jupyterhub\n", "jupyterhub==\n"])
def test_a_lock_without_the_hub_is_named(lock: str) -> None:
    with pytest.raises(InputError, match=r"jupyterhub/requirements.lock: pins no jupyterhub"):
        compatibility.hub_version(lock, "jupyterhub/requirements.lock")


@pytest.mark.parametrize("stream", ["1", "2"])
def test_what_a_server_said_instead_of_a_version_is_shown_without_our_own_words(tmp_path: Path, stream: str) -> None:
    output = asked(tmp_path, "start", jupyterhub_singleuser=f"echo ImportError: no lab >&{stream}; exit 1")
    tail = compatibility.unanswered(output, WANTED).fix
    assert tail.endswith("its last lines:\n    ImportError: no lab")
