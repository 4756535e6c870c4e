"""`check-files --fix`: what is fixed stands beside `.env`, secrets are in `.env.local`, and nothing is lost on the way."""

from __future__ import annotations

import contextlib
from pathlib import Path
from types import ModuleType

import pytest

from hubdeploy import files
from hubdeploy.commands import check_files
from hubdeploy.contract.documents import Secret
from hubdeploy.errors import DeployError, InputError
from hubdeploy.settings import dotenv, env_local, loading

CANARY = "canary-3f9"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "userlist").write_text("kaben admin\n")
    return tmp_path


def values(path: Path) -> dict[str, str]:
    entries, problems = dotenv.parse(path.read_text(), source=path.name, environ={})
    assert problems == []
    return {key: entry.value for key, entry in entries.items()}


def fix(root: Path, text: str) -> str:
    """The fixed text, also if problems are left to a person; `.env` itself is unchanged."""
    (root / ".env").write_bytes(text.encode())
    with contextlib.suppress(InputError):
        assert check_files.fix_env(root, {})
    assert (root / ".env").read_bytes() == text.encode()
    return (root / ".env.fixed").read_bytes().decode()


def reason(key: str) -> str:
    return f"# {key}: is not a setting: delete the line; ./invoke config lists every setting"


@pytest.mark.parametrize("secret", ["plain-secret", "'two\nlines of it'", '"escaped\\nlines"', "'with # and $'"])
def test_a_secret_moves_and_its_neighbours_stay(root: Path, secret: str) -> None:
    text = f"# a form\x0cfeed\nHUB_HOST=localhost\nUSER_PASSWORD={secret}\nHUB_PORT=8443\n"
    fixed = fix(root, text)
    assert fixed == "# a form\x0cfeed\nHUB_HOST=localhost\n#USER_PASSWORD is in .env.local\nHUB_PORT=8443\n"
    assert values(root / ".env.local") == {"USER_PASSWORD": values(root / ".env")["USER_PASSWORD"]}
    assert (root / ".env.local").stat().st_mode & 0o777 == 0o600


def test_a_secret_of_servers_moves_as_the_settings_do(root: Path) -> None:
    (root / "servers.yml").write_text("secrets: [API_TOKEN]\nkinds: {a: {title: A}}\n")
    assert fix(root, f"API_TOKEN={CANARY}\nHF_TOKEN={CANARY}\n") == (
        "#API_TOKEN is in .env.local\n# HF_TOKEN: is not a setting, but a secret of another service: delete the line; "
        "keep the secret elsewhere if you still need it\n#HF_TOKEN=***\n"
    )
    assert values(root / ".env.local") == {"API_TOKEN": CANARY}
    (root / ".env.fixed").replace(root / ".env")
    assert loading.load(root, {}).server_secrets == {"API_TOKEN": Secret(CANARY)}


@pytest.mark.parametrize("statement", ["plain # of autumn", "'a # b' # of autumn", '"two\n# lines"   # of autumn'])
def test_a_comment_behind_a_secret_stays(root: Path, statement: str) -> None:
    assert fix(root, f"USER_PASSWORD={statement}\nHUB_PORT=8443\n") == (
        "#USER_PASSWORD is in .env.local  # of autumn\nHUB_PORT=8443\n"
    )


def test_a_secret_in_its_own_comment_is_neither_kept_nor_shown(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fixed = fix(root, f"USER_PASSWORD='{CANARY} x'  # was '{CANARY} x' before\n")
    assert fixed == "#USER_PASSWORD is in .env.local  # was '***' before\n"
    assert CANARY not in capsys.readouterr().out


def test_what_another_line_refers_to_is_left_to_a_person(root: Path) -> None:
    text = "PROJECT=lab\nALSO=${PROJECT}\nZEBRA=1\nDATA_VOLUME_HOST=${ALSO}-data\nHUB_PORT=8443\n"
    (root / ".env").write_text(text)
    with pytest.raises(InputError) as refused:
        check_files.fix_env(root, {})
    assert [problem.key for problem in refused.value.problems] == ["PROJECT", "ALSO"]
    assert {problem.fix for problem in refused.value.problems} == {
        "other lines refer to it: change them first, then run ./invoke check-files --fix again"
    }
    fixed = (root / ".env.fixed").read_text()
    assert fixed == text.replace("ZEBRA", f"{reason('ZEBRA')}\n#ZEBRA")
    assert values(root / ".env.fixed")["DATA_VOLUME_HOST"] == "lab-data"


def test_a_secret_that_another_line_refers_to_is_left_to_a_person(root: Path) -> None:
    text = "USER_PASSWORD=eight-letters\nOTHER=${USER_PASSWORD:-none}\nHUB_HOST=${USER_PASSWORD:+localhost}\n"
    (root / ".env").write_text(text)
    with pytest.raises(InputError, match="other lines refer to it") as refused:
        check_files.fix_env(root, {})
    assert [problem.key for problem in refused.value.problems] == ["USER_PASSWORD"]
    assert values(root / ".env.fixed") == {"USER_PASSWORD": "eight-letters", "HUB_HOST": "localhost"}
    assert not (root / ".env.local").exists()


def test_a_mode_that_moving_a_secret_fixed_is_not_left_to_a_person(root: Path) -> None:
    (root / ".env.local").write_text("HUB_PORT=8443\n")
    (root / ".env.local").chmod(0o644)
    (root / ".env").write_text("USER_PASSWORD=eight-letters\n")
    assert check_files.fix_env(root, {})
    assert (root / ".env.local").stat().st_mode & 0o777 == 0o600


def test_a_folder_in_the_fixed_files_place_is_reported(root: Path) -> None:
    (root / ".env.fixed").mkdir()
    (root / ".env").write_text("USER_PASSWORD=eight-letters\n")
    with pytest.raises(DeployError, match=r"\.env\.fixed: cannot be read"):
        check_files.fix_env(root, {})
    assert not (root / ".env.local").exists()


def test_line_ends_and_byte_order_mark_stay(root: Path) -> None:
    text = "\ufeffUSER_PASSWORD=eight-letters\r\n# ours\r\nHUB_PORT=8443"
    assert fix(root, text) == "\ufeff#USER_PASSWORD is in .env.local\r\n# ours\r\nHUB_PORT=8443"


def test_moved_into_place_the_fixed_file_has_nothing_to_fix(root: Path) -> None:
    fix(root, "GITHUB_CLIENT_ID=abc\nGITHUB_CLIENT_SECRET=s3cret-of-github\n")
    (root / ".env.fixed").rename(root / ".env")
    local = (root / ".env.local").read_bytes()
    assert not check_files.fix_env(root, {})
    assert not (root / ".env.fixed").exists()
    assert (root / ".env.local").read_bytes() == local


def test_run_twice_it_writes_the_same(root: Path) -> None:
    text = "USER_PASSWORD=eight-letters\n"
    first = fix(root, text)
    local = (root / ".env.local").read_bytes()
    assert fix(root, text) == first
    assert (root / ".env.local").read_bytes() == local


def test_a_fixed_file_that_somebody_edited_is_not_overwritten(root: Path) -> None:
    fix(root, "USER_PASSWORD=eight-letters\n")
    (root / ".env.fixed").write_text("HUB_PORT=8443\n")
    with pytest.raises(DeployError, match="is another one"):
        check_files.fix_env(root, {})
    assert (root / ".env.fixed").read_text() == "HUB_PORT=8443\n"


@pytest.mark.parametrize(("module", "when"), [(env_local, "remember"), (files, "replace")], ids=["remember", "replace"])
def test_killed_anywhere_no_secret_is_lost_and_the_next_run_ends_the_same(
    root: Path, module: ModuleType, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "USER_PASSWORD=eight-letters\nHUB_PORT=8443\n"
    (root / ".env").write_text(text)

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, when, killed)
        with pytest.raises(KeyboardInterrupt):
            check_files.fix_env(root, {})
    assert values(root / ".env")["USER_PASSWORD"] == "eight-letters"
    assert fix(root, text) == "#USER_PASSWORD is in .env.local\nHUB_PORT=8443\n"
    assert values(root / ".env.local") == {"USER_PASSWORD": "eight-letters"}


def test_two_different_values_are_refused_and_both_stay(root: Path) -> None:
    (root / ".env").write_text("USER_PASSWORD=one-of-them\n")
    (root / ".env.local").write_text("USER_PASSWORD=the-other\n")
    with pytest.raises(InputError, match="differs from the value"):
        check_files.fix_env(root, {})
    assert values(root / ".env") == {"USER_PASSWORD": "one-of-them"}
    assert values(root / ".env.local") == {"USER_PASSWORD": "the-other"}
    assert not (root / ".env.fixed").exists()


def test_nothing_to_fix_changes_nothing_and_is_reported(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / ".env").write_text("HUB_PORT=1\n")
    assert not check_files.fix_env(root, {})
    assert {path.name for path in root.iterdir()} == {".env", "userlist"}
    assert "nothing in .env that a program can fix" in capsys.readouterr().out


def test_what_is_left_to_a_person_is_named_and_the_rest_is_fixed(root: Path) -> None:
    (root / ".env").write_text("USER_PASSWORD=eight-letters\nHUB_PORT=99999\n")
    with pytest.raises(InputError, match="1 problem, left to you") as refused:
        check_files.fix_env(root, {})
    assert [problem.key for problem in refused.value.problems] == ["HUB_PORT"]
    assert (root / ".env.fixed").read_text() == "#USER_PASSWORD is in .env.local\nHUB_PORT=99999\n"


@pytest.mark.parametrize(
    "text",
    [
        f"USER_PASSWORD={CANARY}\n",
        f"# old: {CANARY}\nUSER_PASSWORD='first\n{CANARY}'\nADMIN_PASSWORD={CANARY}-{CANARY}-{CANARY}-admin\n",
        f'USER_PASSWORD={CANARY}\nADMIN_PASSWORD="open {CANARY}\n',
        f"USER_PASSWORD={CANARY}\nUSER_PASSWORD={CANARY}-again\n",
    ],
)
def test_the_difference_shows_no_secret(root: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    (root / ".env").write_text(text)
    message = ""
    try:
        check_files.fix_env(root, {})
    except InputError as refused:
        message = refused.message
    out = capsys.readouterr().out
    assert "-USER_PASSWORD=***" in out
    assert "+#USER_PASSWORD is in .env.local" in out
    assert CANARY not in out + message


@pytest.mark.parametrize(("name", "mode"), [(".env.fixed", 0o644), (".env.local", 0o600)])
def test_the_files_have_the_modes_of_their_kind(root: Path, name: str, mode: int) -> None:
    (root / ".env").touch(0o644)
    fix(root, "USER_PASSWORD=eight-letters\n")
    assert (root / name).stat().st_mode & 0o777 == mode
