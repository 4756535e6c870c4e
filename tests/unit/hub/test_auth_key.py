"""The key that encrypts what the hub keeps of logins."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tests.unit.hub import hub_image

auth_key = hub_image.load("auth_key")


def test_a_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / auth_key.FILE
    key = auth_key.kept(path)
    assert len(bytes.fromhex(key)) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert auth_key.kept(path) == key
    assert [one.name for one in tmp_path.iterdir()] == [auth_key.FILE]


def test_two_hubs_have_two_keys(tmp_path: Path) -> None:
    assert auth_key.kept(tmp_path / "one") != auth_key.kept(tmp_path / "other")


@pytest.mark.parametrize("content", ["", "abc", "nonsense", "00" * 31], ids=repr)
def test_a_file_without_a_key_gets_one(tmp_path: Path, content: str) -> None:
    path = tmp_path / auth_key.FILE
    path.write_text(content)
    # left by a hub that was killed
    path.with_name(f"{auth_key.FILE}.new").write_text("half")
    assert len(bytes.fromhex(auth_key.kept(path))) == 32
    assert path.read_text().strip() == auth_key.kept(path)


def test_a_key_that_others_could_read_is_closed(tmp_path: Path) -> None:
    path = tmp_path / auth_key.FILE
    key = auth_key.kept(path)
    path.chmod(0o644)
    assert auth_key.kept(path) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
