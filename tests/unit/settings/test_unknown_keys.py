"""Keys of other deployments' `.env` files: each is named as what it is, no suggestion misleads, and no secret is carried on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hubdeploy.commands import check_files
from hubdeploy.errors import DeployError, InputError
from hubdeploy.settings import loading, reference, unknown_keys
from hubdeploy.settings.declarations import declarations

CHECKOUT = Path(__file__).resolve().parents[3]
# Real files with other names and secrets: a deployment with a database of its own, and one with Google's login.
WITH_A_DATABASE = """\
JUPYTERHUB_VERSION=1.3.0
DOCKER_MACHINE_NAME=jupyterhub
DOCKER_NETWORK_NAME=jupyterhub-network
DOCKER_NOTEBOOK_IMAGE=jupyter/datascience-notebook
LOCAL_NOTEBOOK_IMAGE=jupyterhub-user
DATA_VOLUME_HOST=jupyterhub-data
DB_VOLUME_HOST=jupyterhub-db-data
DB_VOLUME_CONTAINER=/var/lib/postgresql/data
POSTGRES_DB=jupyterhub
"""
WITH_GOOGLE = """\
OAUTH_CLIENT_ID=000000000000-notarealclientid.apps.googleusercontent.com
OAUTH_CLIENT_SECRET=notReal-J-0000000000000_E
GOOGLE_CLIENT_SECRET=notReal-J-0000000000000_E
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "userlist").write_text("kaben admin\n")
    return tmp_path


def problems(root: Path, text: str) -> dict[str, str]:
    """Key -> message."""
    (root / ".env").write_text(text)
    with pytest.raises(InputError) as refused:
        loading.load(root, {})
    return {one.key: str(one) for one in refused.value.problems}


def test_each_key_of_another_deployment_has_what_it_became(root: Path) -> None:
    found = problems(root, WITH_A_DATABASE)
    assert found.keys() == {
        "JUPYTERHUB_VERSION", "LOCAL_NOTEBOOK_IMAGE", "DB_VOLUME_HOST", "DB_VOLUME_CONTAINER", "POSTGRES_DB",
    }  # fmt: skip
    assert "DOCKER_NOTEBOOK_IMAGE alone names it" in found["LOCAL_NOTEBOOK_IMAGE"]
    assert "DATA_VOLUME_HOST" in found["POSTGRES_DB"]
    assert not any("did you mean" in one for one in found.values())


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("SSL_CERT", "jupyterhub/secrets/NAME.crt"),
        ("SSL_KEY", "jupyterhub/secrets/NAME.crt"),
        ("NB_GID", "NB_UID alone"),
        ("JUPYTERHUB_PORT", "HUB_PORT"),
        ("JUPYTERHUB_ADMIN", "userlist"),
        ("OAUTH_CLIENT_ID", "if it is a GitHub application's, GITHUB_CLIENT_ID takes it"),
        ("GOOGLE_CLIENT_ID", "users log in by github or oidc or accounts or shared-password"),
        ("GITLAB_CLIENT_ID", "users log in by github or oidc or accounts or shared-password"),
        ("DOCKER_MEM_LIMIT", "USER_MEMORY_LIMIT"),
        ("DOCKER_TLS_VERIFY", "in the shell"),
    ],
)
def test_a_well_known_key_leads_to_its_place_here(root: Path, key: str, words: str) -> None:
    message = problems(root, f"{key}=x\n")[key]
    assert words in message
    assert "did you mean" not in message


@pytest.mark.parametrize(
    ("key", "whose"),
    [
        ("GOOGLE_CLIENT_SECRET", "the login by Google"),
        ("GITLAB_CLIENT_SECRET", "the login by GitLab"),
        ("GITEA_CLIENT_SECRET", "the login by another code host"),
        ("AUTH0_CLIENT_SECRET", "the login by Auth0"),
        ("AZURE_CLIENT_SECRET", "the login by Azure"),
        ("LDAP_BIND_PASSWORD", "the login by LDAP"),
        ("OAUTH_CLIENT_SECRET", "some login service"),
        ("POSTGRES_PASSWORD", "a database"),
        ("DATABASE_URL", "a database"),
        ("CONFIGPROXY_AUTH_TOKEN", "configurable-http-proxy"),
        ("JUPYTERHUB_CRYPT_KEY", "the hub's encryption of logins"),
        ("SLACK_TOKEN", "another service"),
        ("FORGEJO_CLIENT_SECRET", "another service"),
    ],
)
def test_a_secret_of_another_service_is_named_as_such_and_never_suggested_as_ours(
    root: Path, key: str, whose: str, capsys: pytest.CaptureFixture[str]
) -> None:
    message = problems(root, f"{key}=s3cret-of-theirs\n")[key]
    assert f"is not a setting, but a secret of {whose}" in message
    assert "did you mean" not in message
    assert check_files.fix_env(root, {})
    fixed = (root / ".env.fixed").read_text()
    assert fixed.splitlines()[1:] == [f"#{key}=***"]
    printed = capsys.readouterr().out
    assert f"left out, as nothing here reads them: {key}." in printed
    assert "s3cret" not in message + fixed + printed
    assert not (root / ".env.local").exists()


def test_the_fixed_file_of_another_login_loads_and_holds_no_secret(root: Path) -> None:
    problems(root, WITH_GOOGLE)
    assert check_files.fix_env(root, {})
    (root / ".env.fixed").rename(root / ".env")
    assert "notReal" not in (root / ".env").read_text()
    assert loading.load(root, {}).authenticator == "shared-password"


def test_a_secret_over_several_lines_is_left_out_whole(root: Path) -> None:
    problems(root, "SSO_PRIVATE_KEY='first\nsecond'\nHUB_PORT=8443\n")
    assert check_files.fix_env(root, {})
    assert (root / ".env.fixed").read_text().splitlines()[1:] == ["#SSO_PRIVATE_KEY=***", "HUB_PORT=8443"]


@pytest.mark.parametrize("key", ["OAUTH2_TOKEN_URL", "POSTGRES_PASSWORD_FILE", "SSL_KEY"])
def test_the_place_of_a_secret_is_no_secret(key: str) -> None:
    assert not unknown_keys.is_secret_of_others(key)


@pytest.mark.parametrize("key", declarations())
def test_a_slip_of_a_key_leads_to_the_setting_and_keeps_its_value(root: Path, key: str) -> None:
    for slip in {key + "S", key[:-1], key.replace("_", ""), key.lower(), key[0] + key[2:]} - declarations().keys():
        assert unknown_keys.meant(slip, declarations()) == key
        assert not unknown_keys.is_secret_of_others(slip)


def test_no_setting_is_listed_as_another_deployments() -> None:
    assert [key for key in declarations() if unknown_keys.known(key)] == []


def test_an_explanation_misleads_nobody_either() -> None:
    with pytest.raises(DeployError, match="a secret of the login by Google"):
        reference.explanation("GOOGLE_CLIENT_SECRET")


def test_the_guide_has_a_row_for_each_kind_of_key() -> None:
    guide = (CHECKOUT / "docs" / "migrating.md").read_text().partition("## Keys of other deployments")[2]
    rows = re.findall(r"^\| (`.*) \| (.*) \|$", guide, re.MULTILINE)
    assert rows == [(", ".join(f"`{key}`" for key in row.keys), row.here) for row in unknown_keys.KNOWN]
