"""Draws deployments that a person may want, as texts of settings. Values that belong together are drawn together, so that
most are accepted, or are made to contradict one another.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from hypothesis import strategies as st

from hubdeploy.settings.declarations import Settings, declarations
from tests.search.texts import CANARY, means_nothing, read, texts

Texts = dict[str, str]
_Strategy = st.SearchStrategy[str]
_FOLDERS = ("work", "a/b", "notebooks", "x" * 200, "ü", "日本", "w=x", "-x", ".hidden", "a/b/c/d/e")
_LOOPBACK = ("127.0.0.1", "::1", "127.255.0.1")
_AT_HOME = ("localhost", "127.0.0.1", "::1", "LOCALHOST", "127.0.0.2")
_WITH_A_DOMAIN = ("hub.example.org", "HUB.Example.ORG", "a.test", "xn--bcher-kva.example")
# Names of ours that mean ours without a namespace; the first two serve users.
_BARE = ("base-notebook", "minimal-notebook", "anaconda3", "hub", "proxy")
# Login -> the keys that it needs.
_LOGINS: dict[str, set[str]] = {
    "github": {"GITHUB_CLIENT_ID", "GITHUB_CLIENT_SECRET"},
    "oidc": {"OIDC_ISSUER", "OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET"},
    "accounts": set(),
    "shared-password": set(),
}
_BINDING = {"ACME_EAB_KID", "ACME_EAB_HMAC"}
# Login -> the keys that make sense with it alone.
_GROUPS = {
    "github": {"ALLOWED_ORGANIZATIONS", "ADMIN_ORGANIZATIONS"},
    "oidc": {"ALLOWED_GROUPS", "ADMIN_GROUPS"},
    "shared-password": set[str](),
}


def _home(s: Settings) -> _Strategy:
    return st.sampled_from([f"/home/{s.nb_user}", *(f"/home/{s.nb_user}/{folder}" for folder in _FOLDERS)])


def _home_volume(s: Settings) -> _Strategy:
    in_the_home = s.notebook_dir.removeprefix(f"/home/{s.nb_user}/")
    kept = "/" not in in_the_home
    return st.sampled_from(["none", *(["homes.{username}", f"{s.name}-home-{{raw_username}}"] if kept else [])])


def _callback(s: Settings) -> _Strategy:
    host = f"[{s.hub_host}]" if ":" in s.hub_host else s.hub_host
    ends = (f"{s.hub_path}hub/oauth_callback", f"{s.hub_path}hub/oauth_callback/")
    starts = [f"https://{host}:{s.hub_port}", f"HTTPS://{host.upper()}:{s.hub_port}"]
    starts += [f"https://{host}"] if s.hub_port == 443 else []
    return st.sampled_from([start + end for start in starts for end in ends])


def _notebook_image(s: Settings) -> _Strategy:
    tags = [f":{s.image_tag}", *([""] if s.image_tag == "latest" else [])]
    ours = [f"{s.image_namespace}/{name}{tag}" for name in ("base-notebook", "minimal-notebook") for tag in tags]
    return st.one_of(st.sampled_from([*ours, *_BARE[:2]]), texts("DOCKER_NOTEBOOK_IMAGE", legal=True))


def _network(s: Settings) -> _Strategy:
    return st.one_of(
        texts("DOCKER_NETWORK_NAME", legal=True), st.sampled_from([f"{s.name}-network", f"{s.name}-other"])
    )


def _http_port(s: Settings) -> _Strategy:
    off = [] if s.acme_email else [st.just("none")]
    given = texts("HTTP_PORT", legal=True).filter(lambda text: text != "none" and int(text) != s.listen_port)
    return st.one_of(given, *off)


def _guarantee(s: Settings) -> _Strategy:
    given = texts("USER_MEMORY_GUARANTEE", legal=True)
    most = s.memory_limit or read("USER_MEMORY_LIMIT", "1T")
    return given.filter(lambda text: (read("USER_MEMORY_GUARANTEE", text) or 0) <= most)


def _host_memory(s: Settings) -> _Strategy:
    least = 2**29 + (s.memory_guarantee or 0)
    return texts("HOST_MEMORY", legal=True).filter(lambda text: read("HOST_MEMORY", text) >= least)


# Texts that fit the values drawn before; any other setting gets any text that its reader accepts.
_FITTING: dict[str, Callable[[Settings], _Strategy]] = {
    "DOCKER_NETWORK_NAME": _network,
    "DOCKER_NOTEBOOK_DIR": _home,
    "HOME_VOLUME": _home_volume,
    "DOCKER_NOTEBOOK_IMAGE": _notebook_image,
    "OAUTH_CALLBACK_URL": _callback,
    "HTTP_PORT": _http_port,
    "USER_MEMORY_GUARANTEE": _guarantee,
    "HOST_MEMORY": _host_memory,
}


def settings_of(found: Texts) -> Settings:
    """The settings of texts that are each legal; a text that means nothing leaves its setting derived."""
    s = nothing()
    for key in declarations():
        s = with_text(s, key, found.get(key))
    return s


def nothing() -> Settings:
    """Settings without a value: each derives from the settings above it, so they are filled in from the top."""
    return Settings()


def with_text(s: Settings, key: str, text: str | None) -> Settings:
    attribute, declaration = declarations()[key]
    value = read(key, text) if text and not means_nothing(text) else declaration.derive(s)
    if key == "DOCKER_NOTEBOOK_IMAGE" and value in _BARE:
        value = f"{s.image_namespace}/{value}:{s.image_tag}"
    return dataclasses.replace(s, **{attribute: value})


@st.composite
def deployments(draw: st.DrawFn) -> Texts:
    """Key -> text of the settings that are set."""
    declared = declarations()
    # A third of all settings, so that each pair occurs in a few dozen inputs.
    chosen = {key for key in declared if draw(st.integers(0, 2)) == 2}
    login = draw(st.sampled_from(list(_LOGINS)))
    chosen = chosen.difference(*_LOGINS.values()) | _LOGINS[login]
    chosen = chosen.difference(*(keys for of, keys in _GROUPS.items() if of != login))
    chosen = chosen | _BINDING if "ACME_EAB_KID" in chosen else chosen - _BINDING
    signed = "ACME_EMAIL" in chosen
    chosen = (chosen | {"HUB_HOST", "BIND_ADDRESS"}) - {"SECRETS_VOLUME"} if signed else chosen
    outside = "TLS" in chosen and not signed and login != "shared-password"
    chosen = chosen - {"SECRETS_VOLUME", "HTTP_PORT"} if outside else chosen
    found: Texts = {}
    s = nothing()
    for key in declared:
        if key == "TRUSTED_PROXIES":
            chosen = chosen | {key} if s.asks_who_passes else chosen - {key}
        if key in chosen:
            found[key] = draw(_fitting(key, s, login, signed, outside))
        s = with_text(s, key, found.get(key))
    return found


def _fitting(key: str, s: Settings, login: str, signed: bool, outside: bool) -> _Strategy:
    if key == "AUTHENTICATOR":
        return st.just(login)
    if key == "TLS":
        return st.just("outside" if outside else "here")
    if key == "TRUSTED_PROXIES":
        # An entry at least: separators alone name nobody.
        return texts(key, legal=True).filter(lambda text: bool(read(key, text)))
    if key == "HUB_HOST" and signed:
        return st.sampled_from(_WITH_A_DOMAIN)
    if key == "HUB_HOST" and login == "shared-password":
        return st.sampled_from(_AT_HOME)
    if key == "BIND_ADDRESS" and login == "shared-password":
        return st.sampled_from(_LOOPBACK)
    return _FITTING[key](s) if key in _FITTING else texts(key, legal=True)


@st.composite
def contradictions(draw: st.DrawFn, found: Texts) -> Texts:
    """Texts that contradict the drawn ones; each is legal by itself."""
    s = settings_of(found)
    return draw(
        st.sampled_from(
            [
                {"NB_USER": "eve", "DOCKER_NOTEBOOK_DIR": "/home/cryptic/work"},
                {"DOCKER_NOTEBOOK_DIR": "/home/cryptically/work", "NB_USER": "cryptic"},
                {"DOCKER_NOTEBOOK_DIR": f"/home/{s.nb_user}", "HOME_VOLUME": "home-{username}"},
                {"DOCKER_NOTEBOOK_DIR": f"/home/{s.nb_user}/a/b", "HOME_VOLUME": "home-{username}"},
                {"HOME_VOLUME": "a-home-{username}", "USER_VOLUME": "a-{raw_username}"},
                {"HOME_VOLUME": "a-home-{raw_username}", "DATA_VOLUME_HOST": "a-home-b"},
                {"OAUTH_CALLBACK_URL": "https://localhost:8443/hub/oauth_callback", "HUB_PORT": "443"},
                {"OAUTH_CALLBACK_URL": f"{s.public_url}/hub/oauth_callback?next=1"},
                {"OAUTH_CALLBACK_URL": f"{s.public_url}/oauth_callback"},
                {"OAUTH_CALLBACK_URL": "https://localhost/physics/hub/oauth_callback", "HUB_PATH": "/chemistry"},
                {"OAUTH_CALLBACK_URL": "https://hub.example.org/hub/oauth_callback", "HUB_HOST": "localhost"},
                {"GITHUB_CLIENT_ID": "client", "GITHUB_CLIENT_SECRET": ""},
                {"GITHUB_CLIENT_SECRET": f"{CANARY}-secret", "GITHUB_CLIENT_ID": ""},
                {"AUTHENTICATOR": "github", "GITHUB_CLIENT_ID": "", "GITHUB_CLIENT_SECRET": ""},
                {"OIDC_ISSUER": "https://id.example", "OIDC_CLIENT_ID": "", "OIDC_CLIENT_SECRET": ""},
                {"OIDC_CLIENT_ID": "client", "OIDC_CLIENT_SECRET": f"{CANARY}-secret", "OIDC_ISSUER": ""},
                {"AUTHENTICATOR": "oidc", "OIDC_ISSUER": "", "OIDC_CLIENT_ID": "", "OIDC_CLIENT_SECRET": ""},
                {"AUTHENTICATOR": "shared-password", "ALLOWED_GROUPS": "students"},
                {"AUTHENTICATOR": "shared-password", "ADMIN_GROUPS": "teachers, lab 3"},
                {"AUTHENTICATOR": "shared-password", "ALLOWED_ORGANIZATIONS": "cryptic-labs"},
                {"AUTHENTICATOR": "shared-password", "ADMIN_ORGANIZATIONS": "Cryptic-Labs:operators, other"},
                {"AUTHENTICATOR": "accounts", "ALLOWED_GROUPS": "students"},
                {"AUTHENTICATOR": "shared-password", "HUB_HOST": "hub.example.org", "BIND_ADDRESS": "0.0.0.0"},
                {"AUTHENTICATOR": "shared-password", "BIND_ADDRESS": "192.0.2.7"},
                {"AUTHENTICATOR": "shared-password", **dict.fromkeys(("USER_PASSWORD", "ADMIN_PASSWORD"), CANARY * 8)},
                {"HTTP_PORT": "8443", "HUB_PORT": "8443"},
                {"HTTP_PORT": "8443", "LISTEN_PORT": "8443"},
                {"AUTHENTICATOR": "shared-password", "TLS": "outside"},
                {"TLS": "outside", "ACME_EMAIL": "admin@example.org", "HUB_HOST": "hub.example.org"},
                {"TLS": "outside", "SECRETS_VOLUME": f"{s.name}-certificates"},
                {"TLS": "outside", "HTTP_PORT": "8081"},
                {"TLS": "outside", "BIND_ADDRESS": "192.0.2.7", "TRUSTED_PROXIES": ""},
                {"TLS": "outside", "BIND_ADDRESS": "127.0.0.1", "TRUSTED_PROXIES": "192.0.2.10"},
                {"TLS": "here", "TRUSTED_PROXIES": "192.0.2.0/24"},
                {"ACME_EMAIL": "admin@example.org", "HUB_HOST": "hub.example.org", "HTTP_PORT": "none"},
                {"USER_MEMORY_GUARANTEE": "513M", "USER_MEMORY_LIMIT": "512M"},
                {"HOST_MEMORY": "767M", "USER_MEMORY_GUARANTEE": "256M"},
                {"ACME_EAB_KID": "kid-1", "ACME_EAB_HMAC": ""},
                {"ACME_EAB_KID": "", "ACME_EAB_HMAC": CANARY * 8},
                {"ACME_EMAIL": "admin@example.org", "HUB_HOST": "192.0.2.7"},
                {"ACME_EMAIL": "admin@example.org", "HUB_HOST": "localhost"},
                {"ACME_EMAIL": "admin@example.org", "SECRETS_VOLUME": f"{s.name}-certificates"},
                {"DATA_VOLUME_HOST": f"{s.name}-proxy"},
                {"DATA_VOLUME_HOST": f"{s.name}-user-kaben", "USER_VOLUME": f"{s.name}-user-{{username}}"},
                {"SECRETS_VOLUME": f"{s.name}-data", "DATA_VOLUME_HOST": f"{s.name}-data"},
                {"SECRETS_VOLUME": f"{s.name}-proxy"},
                {"SECRETS_VOLUME": "hub-user-x", "USER_VOLUME": "hub-user-{raw_username}"},
                {"USER_VOLUME": f"{s.name}-{{username}}"},
                {"DOCKER_NETWORK_NAME": f"{s.name}-proxy-api"},
                {"DOCKER_NOTEBOOK_IMAGE": f"{s.image_namespace}/hub:{s.image_tag}"},
                {"DOCKER_NOTEBOOK_IMAGE": f"{s.image_namespace}/base-notebook:0.0.0"},
                {"DOCKER_NOTEBOOK_IMAGE": "proxy"},
                {"BASE_IMAGE": f"{s.image_namespace}/base-notebook:{s.image_tag}"},
            ]
        )
    )
