"""A `.env` of the older layout (Makefile and docker-compose): what its owner reads, and where following it leads."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import pytest

from hubdeploy.commands import check_files
from hubdeploy.contract.documents import Secret
from hubdeploy.errors import InputError
from hubdeploy.settings import loading
from hubdeploy.settings.declarations import Settings
from tests.unit.test_docs import texts_of_the_code

SECRET = "0123456789abcdef0123456789abcdef01234567"
# Every variable of that layout, from its README, with values that people set.
OLDER = f"""\
# Name of Docker machine
DOCKER_MACHINE_NAME=crypticlabs-jupyterhub

# Name of Docker network
DOCKER_NETWORK_NAME=crypticlabs-jupyterhub-network
DOCKER_NOTEBOOK_IMAGE=jupyter/scipy-notebook:18e5563b7486

# (must agree with NB_USER in the Dockerfile)
DOCKER_NOTEBOOK_DIR=/home/jovyan/work
NB_USER=cryptic
DOCKER_SPAWN_CMD=start-singleuser.sh
DATA_VOLUME_HOST=crypticlabs-jupyterhub-data
DATA_VOLUME_CONTAINER=/data
DB_VOLUME_HOST=crypticlabs-jupyterhub-db
POSTGRES_PASSWORD={SECRET[::-1]}
GITHUB_CLIENT_ID=Iv1.0123456789abcdef
GITHUB_CLIENT_SECRET={SECRET}  # of the lab's application
OAUTH_CALLBACK_URL=https://localhost:443/hub/oauth_callback
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "userlist").write_text("kaben admin\ncarriere4 admin\n")
    return tmp_path


def problems(root: Path, text: str) -> dict[str, str]:
    """Place and key -> fix, for all problems that `up`, `plan` and `check-files` report at once."""
    (root / ".env").write_text(text)
    with pytest.raises(InputError) as refused:
        loading.load(root, {})
    assert SECRET not in refused.value.message
    return {f"{one.where} {one.key}": one.fix for one in refused.value.problems}


def fixed(root: Path, text: str, *, left: bool = False) -> Settings:
    """The settings of the file after its owner has followed `--fix`."""
    (root / ".env").write_text(text)
    with pytest.raises(InputError) if left else contextlib.nullcontext():
        check_files.fix_env(root, {})
    (root / ".env.fixed").rename(root / ".env")
    return loading.load(root, {})


def lines(root: Path) -> list[str]:
    return (root / ".env").read_text().splitlines()


def test_every_problem_is_reported_at_once_with_its_line_and_fix(root: Path) -> None:
    found = problems(root, OLDER)
    assert found.keys() == {
        ".env:9 DOCKER_NOTEBOOK_DIR",
        ".env:14 DB_VOLUME_HOST",
        ".env:15 POSTGRES_PASSWORD",
        ".env:17 GITHUB_CLIENT_SECRET",
    }
    assert "check-files --fix" in found[".env:17 GITHUB_CLIENT_SECRET"]
    assert "delete the line" in found[".env:9 DOCKER_NOTEBOOK_DIR"]


def test_a_key_that_is_set_already_is_not_suggested_for_another(root: Path) -> None:
    assert "did you mean" not in problems(root, OLDER)[".env:14 DB_VOLUME_HOST"]


def test_following_the_fix_once_leads_to_settings_that_load(root: Path) -> None:
    found = fixed(root, OLDER)
    assert (found.nb_user, found.notebook_dir) == ("cryptic", "/home/cryptic/work")
    assert (found.authenticator, found.github_client_secret) == ("github", Secret(SECRET))
    assert found.notebook_image == "jupyter/scipy-notebook:18e5563b7486"


def test_network_and_data_volume_stay_set_as_they_are_what_is_taken_over(root: Path) -> None:
    found = fixed(root, OLDER)
    assert found.is_set("DOCKER_NETWORK_NAME")
    assert found.is_set("DATA_VOLUME_HOST")


def test_every_line_is_still_there_in_its_order(root: Path) -> None:
    fixed(root, OLDER)
    kept = [line.removeprefix("#") for line in lines(root)]
    secret = "GITHUB_CLIENT_SECRET is in .env.local  # of the lab's application"
    older = OLDER.replace(SECRET[::-1], "***")
    wanted = [secret if SECRET in line else line.removeprefix("#") for line in older.splitlines()]
    assert [line for line in kept if line in wanted] == wanted


def test_each_line_out_of_force_stands_under_its_reason(root: Path) -> None:
    fixed(root, OLDER)
    found = lines(root)
    at = found.index("#DOCKER_NOTEBOOK_DIR=/home/jovyan/work")
    assert found[at - 1].startswith("# DOCKER_NOTEBOOK_DIR: /home/jovyan/work lies outside the home of NB_USER=cryptic")
    assert found[found.index("#DB_VOLUME_HOST=crypticlabs-jupyterhub-db") - 1].startswith("# DB_VOLUME_HOST: is not a")


def test_the_difference_masks_the_secret_and_what_may_be_one(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fixed(root, OLDER)
    printed = capsys.readouterr().out
    assert "-GITHUB_CLIENT_SECRET=***" in printed
    assert "-POSTGRES_PASSWORD=***" in printed
    assert "-DOCKER_NOTEBOOK_DIR=/home/jovyan/work" in printed
    assert SECRET not in printed
    assert SECRET[::-1] not in printed + (root / ".env").read_text()


def test_a_directory_of_another_user_sets_nb_user_if_it_is_not_set(root: Path) -> None:
    found = fixed(root, "DOCKER_NOTEBOOK_DIR=/home/jovyan/work\n")
    assert (found.nb_user, found.notebook_dir) == ("jovyan", "/home/jovyan/work")


@pytest.mark.parametrize(
    ("callback", "host", "port", "path"),
    [
        ("https://hub.example.org/hub/oauth_callback", "hub.example.org", 443, "/"),
        ("https://hub.example.org:443/hub/oauth_callback", "hub.example.org", 443, "/"),
        ("https://localhost:8443/hub/oauth_callback", "localhost", 8443, "/"),
        ("https://localhost/physics/hub/oauth_callback", "localhost", 443, "/physics/"),
    ],
)
def test_the_callback_url_sets_host_port_and_path_if_they_are_not_set(
    root: Path, callback: str, host: str, port: int, path: str
) -> None:
    keys = f"GITHUB_CLIENT_ID=abc\nGITHUB_CLIENT_SECRET={SECRET}\n"
    found = fixed(root, f"{keys}OAUTH_CALLBACK_URL={callback}\n")
    assert (found.hub_host, found.hub_port, found.hub_path) == (host, port, path)


def test_a_callback_url_against_a_host_that_is_set_is_left_to_a_person(root: Path) -> None:
    text = "HUB_HOST=127.0.0.1\nOAUTH_CALLBACK_URL=https://hub.example.org/hub/oauth_callback\n"
    (root / ".env").write_text(text)
    assert not check_files.fix_env(root, {})


@pytest.mark.parametrize("image", ["base-notebook", "minimal-notebook"])
@pytest.mark.parametrize("namespace", ["crypticlabs", "crypticlabs-jupyterhub"])
def test_the_tag_of_the_older_layout_gives_way_to_image_tag(root: Path, namespace: str, image: str) -> None:
    found = fixed(root, f"IMAGE_TAG=autumn\nDOCKER_NOTEBOOK_IMAGE={namespace}/{image}:0.0.0\n")
    assert found.notebook_image == f"crypticlabs-jupyterhub/{image}:autumn"


@pytest.mark.parametrize(("namespace", "wanted"), [("else", "lab/minimal-notebook:latest"), ("lab", "the tag latest")])
def test_the_reason_above_an_image_out_of_force_says_what_was_wanted(root: Path, namespace: str, wanted: str) -> None:
    fixed(root, f"DOCKER_MACHINE_NAME=lab\nDOCKER_NOTEBOOK_IMAGE={namespace}/minimal-notebook:0.0.0\n")
    assert f": write {wanted}, or" in lines(root)[1]


def test_a_foreign_image_of_that_tag_is_left_alone(root: Path) -> None:
    (root / ".env").write_text("DOCKER_NOTEBOOK_IMAGE=example/notebook:0.0.0\n")
    assert loading.load(root, {}).notebook_image == "example/notebook:0.0.0"


def test_a_value_that_cannot_be_read_is_left_while_the_rest_is_fixed(root: Path) -> None:
    text = f"GITHUB_CLIENT_ID=abc\nGITHUB_CLIENT_SECRET={SECRET}\nHUB_PORT=99999\n"
    assert problems(root, text).keys() == {".env:2 GITHUB_CLIENT_SECRET", ".env:3 HUB_PORT"}
    with pytest.raises(InputError, match="99999"):
        fixed(root, text, left=True)


def test_rules_that_involve_an_unreadable_value_are_skipped(root: Path) -> None:
    text = "NB_USER=ada lovelace\nDOCKER_NOTEBOOK_DIR=/home/ada/work\n"
    assert problems(root, text).keys() == {".env:1 NB_USER"}


@pytest.mark.parametrize("name", ["DATA_VOLUME_HOST=team-{}", "SECRETS_VOLUME=team-{}"])
def test_no_user_name_gives_a_user_another_volume(root: Path, name: str) -> None:
    assert problems(root, "USER_VOLUME=team-{username}\n" + name.format("data") + "\n").keys() == {
        f".env:2 {name.partition('=')[0]}"
    }
    assert problems(root, "USER_VOLUME=crypticlabs-jupyterhub-{raw_username}\nDATA_VOLUME_HOST=own\n").keys() == {
        ".env:1 USER_VOLUME"
    }


def test_a_user_name_that_docker_refuses_in_a_volume_is_refused_at_once(root: Path) -> None:
    (root / "userlist").write_text("ada@example.org\n")
    found = problems(root, "USER_VOLUME=jupyterhub-user-{raw_username}\n")
    assert "{username}" in found[".env:1 USER_VOLUME"]
    (root / ".env").write_text("USER_VOLUME=jupyterhub-user-{username}\n")
    assert loading.load(root, {}).user_volume == "jupyterhub-user-{username}"


def test_each_message_of_the_guide_is_in_the_code() -> None:
    guide = (Path(__file__).resolve().parents[3] / "docs" / "migrating.md").read_text()
    messages = re.findall(r"^\| `([^`]+)` \|", guide.partition("## What messages mean")[2], re.MULTILINE)
    assert len(messages) > 8
    texts = texts_of_the_code()
    assert [message for message in messages for part in message.split("…") if part.strip() not in texts] == []
