"""Secrets move from `.env` to `.env.local`, and nothing else moves or is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from hubdeploy import dotenv, repair
from hubdeploy.errors import InputError


def values(path: Path) -> dict[str, str]:
    entries, problems = dotenv.parse(path.read_text(), source=path.name, environ={})
    assert problems == []
    return {key: entry.value for key, entry in entries.items()}


@pytest.mark.parametrize("secret", ["plain-secret", "'two\nlines of it'", '"escaped\\nlines"', "'with # and $'"])
def test_a_secret_moves_and_its_neighbours_stay(tmp_path: Path, secret: str) -> None:
    text = f"# a form\x0cfeed\nHUB_HOST=localhost\nUSER_PASSWORD={secret}\nHUB_PORT=8443\n"
    (tmp_path / ".env").write_text(text)
    before = values(tmp_path / ".env")
    repair.move_secrets(tmp_path)
    assert values(tmp_path / ".env") == {"HUB_HOST": "localhost", "HUB_PORT": "8443"}
    assert values(tmp_path / ".env.local") == {"USER_PASSWORD": before["USER_PASSWORD"]}
    assert (
        (tmp_path / ".env")
        .read_text()
        .startswith("# a form\x0cfeed\nHUB_HOST=localhost\n#USER_PASSWORD is in .env.local\n")
    )


def test_two_different_values_are_refused_and_both_stay(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("USER_PASSWORD=one-of-them\n")
    (tmp_path / ".env.local").write_text("USER_PASSWORD=the-other\n")
    with pytest.raises(InputError, match="differs from the value"):
        repair.move_secrets(tmp_path)
    assert values(tmp_path / ".env") == {"USER_PASSWORD": "one-of-them"}


def test_no_secret_no_change(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("HUB_PORT=1\n")
    repair.move_secrets(tmp_path)
    assert not (tmp_path / ".env.local").exists()
