"""The rules between settings, written a second time: which keys are involved, and when they agree. The product's refusals
are compared with these.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from hubdeploy.settings.declarations import Settings
from tests.agreement import insides

# Where AUTHENTICATOR may derive from.
_LOGINS = "GITHUB_CLIENT_ID GITHUB_CLIENT_SECRET OIDC_ISSUER OIDC_CLIENT_ID OIDC_CLIENT_SECRET"
# Users by name, with their flags and groups.
Users = Mapping[str, frozenset[str]]
Agrees = Callable[[Settings, Users], bool]


@dataclass(frozen=True)
class Relation:
    """`keys` are involved, with all from which they may derive; a message names the keys of `named` that a person set."""

    keys: frozenset[str]
    named: frozenset[str]
    agrees: Agrees


def _relation(named: str, derived_from: str = "") -> Callable[[Agrees], Relation]:
    keys = frozenset(named.split())
    return lambda agrees: Relation(keys | frozenset(derived_from.split()), keys, agrees)


@_relation("NB_USER DOCKER_NOTEBOOK_DIR")
def notebooks_in_the_home(s: Settings, users: Users) -> bool:
    return f"{s.notebook_dir}/".startswith(f"/home/{s.nb_user}/")


@_relation("HOME_VOLUME DOCKER_NOTEBOOK_DIR", "NB_USER")
def homes_around_the_notebooks(s: Settings, users: Users) -> bool:
    home, _, folder = s.notebook_dir.removeprefix("/home/").partition("/")
    return s.home_volume == "none" or (bool(folder) and "/" not in folder) or home != s.nb_user


@_relation("HUB_HOST HUB_PORT HUB_PATH OAUTH_CALLBACK_URL")
def one_address(s: Settings, users: Users) -> bool:
    url = urlsplit(s.callback_url)
    port = url.port or {"https": 443}.get(url.scheme)
    whole = (url.scheme, url.hostname, port, url.path, url.query)
    return whole == ("https", s.hub_host, s.hub_port, f"{s.hub_path}hub/oauth_callback", "")


@_relation("GITHUB_CLIENT_ID GITHUB_CLIENT_SECRET")
def both_keys_or_none(s: Settings, users: Users) -> bool:
    return bool(s.github_client_id) == bool(s.github_client_secret)


@_relation("AUTHENTICATOR GITHUB_CLIENT_ID GITHUB_CLIENT_SECRET")
def keys_for_github(s: Settings, users: Users) -> bool:
    return s.authenticator != "github" or bool(s.github_client_id or s.github_client_secret)


@_relation("OIDC_ISSUER OIDC_CLIENT_ID OIDC_CLIENT_SECRET")
def all_of_the_provider_or_none(s: Settings, users: Users) -> bool:
    return bool(s.oidc_issuer) == bool(s.oidc_client_id) == bool(s.oidc_client_secret)


@_relation("AUTHENTICATOR OIDC_ISSUER OIDC_CLIENT_ID OIDC_CLIENT_SECRET")
def keys_for_the_provider(s: Settings, users: Users) -> bool:
    return s.authenticator != "oidc" or bool(s.oidc_issuer or s.oidc_client_id or s.oidc_client_secret)


def _has_no_group_of(users: Users, named: Collection[str] | None) -> bool:
    listed = {word[1:].partition(":")[0] for words in users.values() for word in words if word.startswith("@")}
    return not listed.intersection(named or ())


@_relation("ALLOWED_GROUPS")
def allowed_groups_that_the_list_has_not(s: Settings, users: Users) -> bool:
    return _has_no_group_of(users, s.allowed_groups)


@_relation("ADMIN_GROUPS")
def admin_groups_that_the_list_has_not(s: Settings, users: Users) -> bool:
    return _has_no_group_of(users, s.admin_groups)


@_relation("ALLOWED_ORGANIZATIONS")
def allowed_organizations_that_the_list_has_not(s: Settings, users: Users) -> bool:
    return _has_no_group_of(users, s.allowed_organizations)


@_relation("ADMIN_ORGANIZATIONS")
def admin_organizations_that_the_list_has_not(s: Settings, users: Users) -> bool:
    return _has_no_group_of(users, s.admin_organizations)


@_relation("ALLOWED_GROUPS AUTHENTICATOR", _LOGINS)
def groups_of_a_provider(s: Settings, users: Users) -> bool:
    return not s.allowed_groups or s.authenticator == "oidc"


@_relation("ADMIN_GROUPS AUTHENTICATOR", _LOGINS)
def admins_of_a_provider(s: Settings, users: Users) -> bool:
    return not s.admin_groups or s.authenticator == "oidc"


@_relation("ALLOWED_ORGANIZATIONS AUTHENTICATOR", _LOGINS)
def organizations_at_github(s: Settings, users: Users) -> bool:
    return not s.allowed_organizations or s.authenticator == "github"


@_relation("ADMIN_ORGANIZATIONS AUTHENTICATOR", _LOGINS)
def admins_at_github(s: Settings, users: Users) -> bool:
    return not s.admin_organizations or s.authenticator == "github"


@_relation("BIND_ADDRESS AUTHENTICATOR", f"TLS {_LOGINS}")
def passwords_at_home(s: Settings, users: Users) -> bool:
    return s.tls == "outside" or not s.is_set("BIND_ADDRESS") or _is_at_home(s)


@_relation("HUB_HOST AUTHENTICATOR", f"BIND_ADDRESS TLS {_LOGINS}")
def passwords_for_this_machine(s: Settings, users: Users) -> bool:
    return s.tls == "outside" or s.is_set("BIND_ADDRESS") or _is_at_home(s)


@_relation("TLS AUTHENTICATOR", _LOGINS)
def passwords_behind_no_other_proxy(s: Settings, users: Users) -> bool:
    return s.tls != "outside" or s.authenticator != "shared-password"


def _is_at_home(s: Settings) -> bool:
    return s.authenticator != "shared-password" or ipaddress.ip_address(s.bind_address).is_loopback


def _asks_who_passes(s: Settings) -> bool:
    return s.tls == "outside" and not ipaddress.ip_address(s.bind_address).is_loopback


@_relation("BIND_ADDRESS TLS TRUSTED_PROXIES")
def proxies_where_others_ask(s: Settings, users: Users) -> bool:
    return not _asks_who_passes(s) or bool(s.trusted_proxies)


@_relation("TRUSTED_PROXIES TLS")
def proxies_in_front(s: Settings, users: Users) -> bool:
    return not s.trusted_proxies or s.tls == "outside"


@_relation("TRUSTED_PROXIES BIND_ADDRESS", "TLS")
def proxies_elsewhere(s: Settings, users: Users) -> bool:
    return not s.trusted_proxies or s.tls != "outside" or _asks_who_passes(s)


@_relation("ACME_EMAIL TLS")
def an_authority_for_our_own_tls(s: Settings, users: Users) -> bool:
    return s.tls != "outside" or s.acme_email is None


@_relation("SECRETS_VOLUME TLS")
def a_certificate_for_our_own_tls(s: Settings, users: Users) -> bool:
    return s.tls != "outside" or s.secrets_volume is None


@_relation("HTTP_PORT TLS", "ACME_EMAIL")
def a_plain_port_of_our_own(s: Settings, users: Users) -> bool:
    return s.tls != "outside" or s.http_port is None


@_relation("USER_PASSWORD ADMIN_PASSWORD", f"AUTHENTICATOR {_LOGINS}")
def two_passwords(s: Settings, users: Users) -> bool:
    return s.authenticator != "shared-password" or s.user_password is None or s.user_password != s.admin_password


@_relation("HTTP_PORT HUB_PORT", "LISTEN_PORT TLS ACME_EMAIL")
def two_ports(s: Settings, users: Users) -> bool:
    return s.is_set("LISTEN_PORT") or s.http_port is None or s.http_port != s.listen_port


@_relation("HTTP_PORT LISTEN_PORT", "TLS ACME_EMAIL")
def two_ports_of_this_machine(s: Settings, users: Users) -> bool:
    return not s.is_set("LISTEN_PORT") or s.http_port is None or s.http_port != s.listen_port


@_relation("ACME_EMAIL HTTP_PORT", "TLS")
def a_port_to_ask_at(s: Settings, users: Users) -> bool:
    return s.acme_email is None or s.http_port is not None or s.tls == "outside"


@_relation("ACME_EAB_KID ACME_EAB_HMAC")
def both_of_a_binding_or_none(s: Settings, users: Users) -> bool:
    return (s.acme_eab_kid is None) == (s.acme_eab_hmac is None)


@_relation("ACME_EMAIL HUB_HOST")
def a_name_that_can_be_signed(s: Settings, users: Users) -> bool:
    return s.acme_email is None or re.search(r"\.[a-z0-9_-]*[a-z_-][a-z0-9_-]*\Z", s.hub_host) is not None


@_relation("ACME_EMAIL SECRETS_VOLUME")
def one_certificate(s: Settings, users: Users) -> bool:
    return s.acme_email is None or s.secrets_volume is None


@_relation("DATA_VOLUME_HOST DOCKER_MACHINE_NAME")
def data_apart_from_the_proxys(s: Settings, users: Users) -> bool:
    return s.data_volume != f"{s.name}-proxy"


@_relation("SECRETS_VOLUME DATA_VOLUME_HOST", "DOCKER_MACHINE_NAME")
def certificates_apart_from_data(s: Settings, users: Users) -> bool:
    return s.secrets_volume != s.data_volume


@_relation("SECRETS_VOLUME DOCKER_MACHINE_NAME")
def certificates_apart_from_the_proxys(s: Settings, users: Users) -> bool:
    return s.secrets_volume != f"{s.name}-proxy"


@_relation("USER_VOLUME DATA_VOLUME_HOST", "DOCKER_MACHINE_NAME")
def data_apart_from_users(s: Settings, users: Users) -> bool:
    return not _is_a_users(s, s.data_volume)


@_relation("USER_VOLUME SECRETS_VOLUME", "DOCKER_MACHINE_NAME")
def certificates_apart_from_users(s: Settings, users: Users) -> bool:
    return not _is_a_users(s, s.secrets_volume or "")


@_relation("USER_VOLUME", "DOCKER_MACHINE_NAME")
def users_apart_from_the_proxys(s: Settings, users: Users) -> bool:
    return not _is_a_users(s, f"{s.name}-proxy")


@_relation("HOME_VOLUME DATA_VOLUME_HOST", "DOCKER_MACHINE_NAME DOCKER_NOTEBOOK_DIR NB_USER")
def data_apart_from_homes(s: Settings, users: Users) -> bool:
    return not _is_of(s.home_volume, s.data_volume)


@_relation("HOME_VOLUME SECRETS_VOLUME", "DOCKER_MACHINE_NAME DOCKER_NOTEBOOK_DIR NB_USER")
def certificates_apart_from_homes(s: Settings, users: Users) -> bool:
    return not _is_of(s.home_volume, s.secrets_volume or "")


@_relation("HOME_VOLUME", "DOCKER_MACHINE_NAME DOCKER_NOTEBOOK_DIR NB_USER")
def homes_apart_from_the_proxys(s: Settings, users: Users) -> bool:
    return not _is_of(s.home_volume, f"{s.name}-proxy")


def _is_a_users(s: Settings, volume: str) -> bool:
    return _is_of(s.user_volume, volume)


def _is_of(template: str, volume: str) -> bool:
    if template == "none":
        return False
    start, end = template.split("{")[0], template.split("}")[1]
    return volume.startswith(start) and volume.endswith(end) and len(volume) > len(start + end)


@_relation("HOME_VOLUME USER_VOLUME", "DOCKER_MACHINE_NAME DOCKER_NOTEBOOK_DIR NB_USER")
def homes_apart_from_notebooks(s: Settings, users: Users) -> bool:
    """No user's home is a volume of notebooks: the longer of the two beginnings differs from the other's, or the ends do."""
    if s.home_volume == "none":
        return True
    (start, end), (other_start, other_end) = (
        (t.split("{")[0], t.split("}")[1]) for t in (s.home_volume, s.user_volume)
    )
    one, two = sorted((start, other_start), key=len), sorted((end, other_end), key=len)
    return not (one[1].startswith(one[0]) and two[1].endswith(two[0]))


@_relation("USER_VOLUME")
def volumes_for_every_name(s: Settings, users: Users) -> bool:
    return _names_every_one(s.user_volume, users)


@_relation("HOME_VOLUME", "DOCKER_NOTEBOOK_DIR NB_USER")
def homes_for_every_name(s: Settings, users: Users) -> bool:
    return s.home_volume == "none" or _names_every_one(s.home_volume, users)


def _names_every_one(template: str, users: Users) -> bool:
    around = re.sub(r"\{.*\}", "", template)
    if "{raw_username}" in template:
        return all(re.fullmatch(r"[a-z0-9_.-]+", name) and len(around + name) < 256 for name in users)
    return all(len(around + insides.escaped(name)) < 256 for name in users)


@_relation("DOCKER_NETWORK_NAME", "DOCKER_MACHINE_NAME")
def networks_of_their_own(s: Settings, users: Users) -> bool:
    return s.network_name != f"{s.name}-proxy-api"


@_relation("DOCKER_NOTEBOOK_IMAGE IMAGE_NAMESPACE", "DOCKER_MACHINE_NAME")
def images_that_serve_users(s: Settings, users: Users) -> bool:
    return not s.notebook_image.startswith(f"{s.image_namespace}/") or _of_ours(s)


@_relation("DOCKER_NOTEBOOK_IMAGE IMAGE_TAG", "IMAGE_NAMESPACE DOCKER_MACHINE_NAME")
def images_of_one_tag(s: Settings, users: Users) -> bool:
    return s.notebook_image.endswith(f":{s.image_tag}") or not _of_ours(s)


@_relation("DOCKER_NOTEBOOK_IMAGE", "IMAGE_NAMESPACE DOCKER_MACHINE_NAME IMAGE_TAG")
def images_that_can_be_pulled(s: Settings, users: Users) -> bool:
    older = re.search(r"(\A|/)(base|minimal)-notebook:0\.0\.0\Z", s.notebook_image)
    return older is None or s.notebook_image.startswith(f"{s.image_namespace}/")


def _of_ours(s: Settings) -> bool:
    names = ("base-notebook", "minimal-notebook")
    return s.notebook_image.startswith(tuple(f"{s.image_namespace}/{name}{end}" for name in names for end in ":@"))


@_relation("BASE_IMAGE IMAGE_NAMESPACE", "DOCKER_MACHINE_NAME")
def a_base_of_others(s: Settings, users: Users) -> bool:
    names = ("anaconda3", "base-notebook", "minimal-notebook", "hub", "proxy")
    return not any(s.base_image.startswith(f"{s.image_namespace}/{name}{end}") for name in names for end in ":@")


# What the rules about memory are about, whether a setting says it or a kind of servers.
MEMORY = frozenset(("USER_MEMORY_GUARANTEE", "USER_MEMORY_LIMIT", "HOST_MEMORY"))
_GUARANTEE, _LIMIT = ("USER_MEMORY_GUARANTEE", "guarantee"), ("USER_MEMORY_LIMIT", "memory")


def of_servers(kinds: Mapping[str, Mapping[str, Any]]) -> Iterator[Relation]:
    """The rules about what kinds of servers say. Those about memory are of the settings alone where there are no kinds."""
    for name, own in kinds.items() or {"": {}}.items():
        if "image" in own:

            def is_an_image(s: Settings, users: Users, image: str = own["image"]) -> bool:
                ours = image in ("anaconda3", "base-notebook", "minimal-notebook", "hub", "proxy")
                one = replace(s, notebook_image=f"{s.image_namespace}/{image}:{s.image_tag}" if ours else image)
                rules = (images_that_serve_users, images_of_one_tag, images_that_can_be_pulled)
                return all(rule.agrees(one, users) for rule in rules)

            keys = frozenset(["IMAGE_NAMESPACE", "DOCKER_MACHINE_NAME", "IMAGE_TAG"])
            yield Relation(keys, frozenset([f"kinds.{name}.image"]), is_an_image)
        if "provider_groups" in own:
            path = frozenset([f"kinds.{name}.provider_groups"])
            keys = frozenset(["AUTHENTICATOR", *_LOGINS.split()])
            yield Relation(keys, path, lambda s, users: s.authenticator in ("github", "oidc"))
        if "gpus" in own:

            def are_there(s: Settings, users: Users, gpus: int = own["gpus"]) -> bool:
                return gpus <= len(s.cards or ())

            yield Relation(frozenset(["GPUS"]), frozenset([f"kinds.{name}"]), are_there)
        said = {key: field in own for key, field in (_GUARANTEE, _LIMIT)}
        taken = [key for key, is_own in said.items() if not is_own]

        def sure(s: Settings, own: Mapping[str, Any] = own) -> int:
            return int(own.get("guarantee", s.memory_guarantee) or 0)

        def most(s: Settings, own: Mapping[str, Any] = own) -> int:
            return int(own.get("memory", s.memory_limit) or 0)

        def fits_the_limit(s: Settings, users: Users, sure: Any = sure, most: Any = most) -> bool:
            return not most(s) or sure(s) <= most(s)

        def fits_the_host(s: Settings, users: Users, sure: Any = sure) -> bool:
            return not sure(s) or not s.host_memory or s.host_memory - sure(s) >= 2**29

        at = frozenset([f"kinds.{name}"])
        yield Relation(frozenset(taken), at if any(said.values()) else frozenset(taken), fits_the_limit)
        of_host = frozenset(["HOST_MEMORY", *({_GUARANTEE[0]} & {*taken})])
        yield Relation(of_host, at if said[_GUARANTEE[0]] else of_host, fits_the_host)


# What the components of a deployment keep, behind its name.
_KEPT = (
    "proxy", "guard", "filter", "server-secrets", "clock", "backup", "backup-documents", "hub", "states", "reserve", "routes",
)  # fmt: skip


def of_folders(
    folders: Mapping[str, Mapping[str, Any]], kinds: Collection[str], *, strangers: bool
) -> Iterator[Relation]:
    """The rules about what users share; with `strangers` also those about names of groups and kinds."""
    for name, own in folders.items():
        at = frozenset([f"shared.{name}"])

        def is_nobody_elses(s: Settings, users: Users, name: str = name, own: Mapping[str, Any] = own) -> bool:
            volume = own.get("volume") or ("" if "path" in own else f"{s.name}-shared-{name}")
            taken = {s.data_volume, s.secrets_volume, *(f"{s.name}-{end}" for end in _KEPT)}
            is_a_users = _is_a_users(s, volume) or _is_of(s.home_volume, volume)
            return not is_a_users and not ("volume" in own and volume in taken)

        keys = "DOCKER_MACHINE_NAME USER_VOLUME HOME_VOLUME DATA_VOLUME_HOST SECRETS_VOLUME DOCKER_NOTEBOOK_DIR NB_USER"
        yield Relation(frozenset(keys.split()), at, is_nobody_elses)
        is_data = own.keys() & {"volume", "path", "nfs", "cifs"}
        groups = own.get("groups", () if is_data or "users" in own else (name,))

        def are_groups(s: Settings, users: Users, groups: Collection[str] = groups) -> bool:
            return all(not _has_no_group_of(users, [one]) for one in groups)

        if strangers:
            yield Relation(frozenset(), at, are_groups)
            unknown = {*own.get("kinds", ())} - {*kinds}
            yield Relation(frozenset(), at, lambda s, users, unknown=unknown: not unknown)  # type: ignore[misc]


RELATIONS = tuple(one for one in globals().values() if isinstance(one, Relation))
