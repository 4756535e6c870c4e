"""jupyterhub_config.py, loaded by JupyterHub's own loader and held against the classes that it configures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jupyterhub.app import JupyterHub
from jupyterhub.auth import Authenticator
from jupyterhub.authenticators.shared import SharedPasswordAuthenticator
from jupyterhub.httpclient import JupyterHubHTTPClient
from jupyterhub_traefik_proxy.fileprovider import TraefikFileProviderProxy
from oauthenticator.github import GitHubOAuthenticator
from traitlets.config import Config

from tests.unit.hub import hub_image
from tests.unit.hub.hub_image import SECRETS, contract

GITHUB = {
    "url": "https://github.com/",
    "client_id": "the-client",
    "callback_url": "https://localhost/hub/oauth_callback",
}


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    # a value there would be a second source of settings
    monkeypatch.setenv("GITHUB_URL", "https://elsewhere.example")
    return lambda **changes: hub_image.load_config(contract(**changes), tmp_path, monkeypatch)


def github(load: Any, **changes: str) -> GitHubOAuthenticator:
    return GitHubOAuthenticator(config=load(authenticator="github", github=GITHUB | changes))


@pytest.mark.parametrize("login", [{}, {"authenticator": "github", "github": GITHUB}])
def test_every_setting_is_one_that_its_class_knows(load: Any, login: dict[str, Any]) -> None:
    config = load(**login)
    classes = {
        cls.__name__: cls
        for cls in (
            JupyterHub,
            Authenticator,
            SharedPasswordAuthenticator,
            GitHubOAuthenticator,
            JupyterHubHTTPClient,
            TraefikFileProviderProxy,
            config.JupyterHub.spawner_class,
        )
    }
    unknown = [
        f"{section}.{name}"
        for section, settings in config.items()
        for name in settings
        if name not in classes[section].class_traits(config=True)
    ]
    assert unknown == []


def test_users_servers_outlive_the_hub(load: Any) -> None:
    assert JupyterHub(config=load()).cleanup_servers is False


def test_the_database_and_the_cookie_secret_are_on_the_data_volume(load: Any) -> None:
    hub = JupyterHub(config=load())
    assert hub.db_url == "sqlite:////data/jupyterhub.sqlite"
    assert hub.cookie_secret_file == "/data/jupyterhub_cookie_secret"


def test_the_proxy_is_somebody_elses_to_start_and_to_set_up(load: Any) -> None:
    settings = load().TraefikFileProviderProxy
    assert (settings.should_start, settings.enable_setup_dynamic_config) == (False, False)
    assert settings.traefik_api_password == SECRETS["proxy_api_password"]


@pytest.mark.parametrize("login", [{}, {"authenticator": "github", "github": GITHUB}])
def test_listed_users_are_allowed_admins_among_them(load: Any, login: dict[str, Any]) -> None:
    settings = load(**login).Authenticator
    assert settings.allowed_users == {"kaben", "ann", "bob"}
    assert settings.admin_users == {"kaben"}
    assert settings.allow_existing_users is True


def test_the_shared_password_login_takes_the_passwords(load: Any) -> None:
    config = load()
    assert config.JupyterHub.authenticator_class == "shared-password"
    login = SharedPasswordAuthenticator(config=config)
    assert (login.user_password, login.admin_password) == (SECRETS["user_password"], SECRETS["admin_password"])


def test_github_gets_no_password_and_its_secret(load: Any) -> None:
    config: Config = load(authenticator="github", github=GITHUB)
    assert "SharedPasswordAuthenticator" not in config
    assert config.GitHubOAuthenticator.client_secret == SECRETS["github_client_secret"]


def test_github_com_is_asked_at_its_own_addresses(load: Any) -> None:
    login = github(load)
    assert login.authorize_url == "https://github.com/login/oauth/authorize"
    assert login.token_url == "https://github.com/login/oauth/access_token"
    assert login.userdata_url == "https://api.github.com/user"


def test_a_github_enterprise_is_asked_for_users_below_its_own_address(load: Any) -> None:
    login = github(load, url="http://stand-in:8000")
    assert login.authorize_url == "http://stand-in:8000/login/oauth/authorize"
    assert login.userdata_url == "http://stand-in:8000/api/v3/user"
