"""jupyterhub_config.py, loaded by JupyterHub's own loader and compared with the classes that it configures."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jupyterhub.app import JupyterHub
from jupyterhub.authenticators.shared import SharedPasswordAuthenticator
from jupyterhub.httpclient import JupyterHubHTTPClient
from traitlets.config import Config

from hubdeploy.contract.documents import Login
from tests.unit.hub import hub_image
from tests.unit.hub.hub_image import API_PASSWORD, GITHUB, SECRETS, SHARED, contract

Load = Callable[..., Config]
GitHub: Any = hub_image.load("github").GitHub
Hub: Any = hub_image.load("hub").Hub


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """load(login) -> the configuration of a hub with this login"""
    # a value there would be a second source of settings
    monkeypatch.setenv("GITHUB_URL", "https://elsewhere.example")
    return lambda login=SHARED: hub_image.load_config(contract(login), tmp_path)


def github(load: Load, **traits: str) -> Any:
    login = dataclasses.replace(GITHUB, traits={**GITHUB.traits, **traits})
    return GitHub(config=load(login))


@pytest.mark.parametrize("login", [SHARED, GITHUB, hub_image.ACCOUNTS])
def test_every_setting_is_one_that_its_class_knows(load: Load, login: Login) -> None:
    config = load(login)
    ours = (config.JupyterHub.proxy_class, config.JupyterHub.spawner_class)
    classes = {one.__name__: one for one in (JupyterHub, Hub, JupyterHubHTTPClient, *ours)}
    # The class in use must know all traits in the section of all authenticators.
    classes["Authenticator"] = config.JupyterHub.authenticator_class
    unknown = [
        f"{section}.{name}"
        for section, settings in config.items()
        for name in settings
        if name not in classes[section].class_traits(config=True)
    ]
    assert unknown == []


def test_users_servers_outlive_the_hub(load: Load) -> None:
    assert JupyterHub(config=load()).cleanup_servers is False


def test_the_database_and_the_cookie_secret_are_on_the_data_volume(load: Load) -> None:
    hub = JupyterHub(config=load())
    assert hub.db_url == "sqlite:////data/jupyterhub.sqlite"
    assert hub.cookie_secret_file == "/data/jupyterhub_cookie_secret"


def test_every_page_names_the_deployment(load: Load) -> None:
    assert JupyterHub(config=load()).tornado_settings["headers"] == {"X-JupyterHub-Deployment": "lab"}


def test_servers_are_answered_by_the_messages_that_the_watches_send(load: Load) -> None:
    hub = JupyterHub(config=load(SHARED))
    given = [one[2] for one in hub.extra_handlers if len(one) == 3]
    (answering,) = {id(one["notices"]) for one in given if "notices" in one}
    (woken,) = {id(one["wake"].__self__) for one in given if "wake" in one}
    spawner = hub.spawner_class
    watches = {id(watch._notices) for watch in (spawner.disk_watch, spawner.idle_watch)}
    assert watches == {answering} == {woken}


def test_the_hub_neither_starts_nor_sets_up_the_proxy(load: Load) -> None:
    settings = load().Routes
    assert (settings.should_start, settings.enable_setup_dynamic_config) == (False, False)
    assert settings.traefik_api_password == API_PASSWORD


@pytest.mark.parametrize("login", [SHARED, GITHUB])
def test_listed_users_are_allowed_admins_among_them(load: Load, login: Login) -> None:
    settings = load(login).Authenticator
    assert settings.allowed_users == {"kaben", "ann", "bob"}
    assert settings.admin_users == {"kaben"}
    assert settings.allow_existing_users is False


def test_the_shared_password_login_takes_the_passwords(load: Load) -> None:
    config = load()
    assert issubclass(config.JupyterHub.authenticator_class, SharedPasswordAuthenticator)
    login = SharedPasswordAuthenticator(config=config)
    assert {trait: getattr(login, trait) for trait in SECRETS["shared-password"]} == SECRETS["shared-password"]


def test_github_gets_no_password_and_its_secret(load: Load) -> None:
    config = load(GITHUB)
    assert "user_password" not in config.Authenticator
    assert GitHub(config=config).client_secret == SECRETS["github"]["client_secret"]


def test_github_com_is_asked_at_its_own_addresses(load: Load) -> None:
    login = github(load)
    assert login.authorize_url == "https://github.com/login/oauth/authorize"
    assert login.token_url == "https://github.com/login/oauth/access_token"
    assert login.userdata_url == "https://api.github.com/user"


def test_a_github_enterprise_is_asked_for_users_below_its_own_address(load: Load) -> None:
    login = github(load, github_url="http://stand-in:8000")
    assert login.authorize_url == "http://stand-in:8000/login/oauth/authorize"
    assert login.userdata_url == "http://stand-in:8000/api/v3/user"
