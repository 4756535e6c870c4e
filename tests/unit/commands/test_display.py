"""What is printed where: passwords on a real terminal only."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[3]
GREET = """
from hubdeploy.commands import display
from hubdeploy.settings import loading
from hubdeploy.settings import declarations
from hubdeploy.contract.documents import Secret, User
given = {"hub_host": "localhost", "hub_port": 443, "hub_path": "/", "authenticator": "shared-password",
    "user_password": Secret("pw a:x:b"), "admin_password": Secret("boss")}
found = declarations.Settings(**{**dict.fromkeys(loading._FIELDS), **given}, users=(User("kaben", True),))
display.Display().greeting(found)
"""


@pytest.mark.parametrize("variable", ["FORCE_COLOR", "TTY_COMPATIBLE", "NONE"])
def test_no_environment_makes_a_kept_log_a_terminal(variable: str) -> None:
    result = subprocess.run(
        [sys.executable, "-c", GREET],
        cwd=CHECKOUT,
        env={**os.environ, variable: "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "kaben" in result.stdout
    assert "a:x:b" not in result.stdout
    assert ".env.local" in result.stdout


def test_the_greeting_says_how_users_of_accounts_come_to_a_password() -> None:
    accounts = GREET.replace('"shared-password"', '"accounts"')
    done = subprocess.run([sys.executable, "-c", accounts], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert "./invoke invite --all FILE" in done.stdout


def test_a_terminal_shows_the_passwords_letter_by_letter() -> None:
    main, terminal = pty.openpty()
    subprocess.run([sys.executable, "-c", GREET], cwd=CHECKOUT, stdout=terminal, check=True)
    os.close(terminal)
    shown = os.read(main, 10_000).decode()
    os.close(main)
    assert "pw a:x:b" in shown
    assert "boss" in shown
