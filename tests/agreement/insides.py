"""The readings of what runs inside: the hub's documents, the proxy's configuration, the certificate, the hub's own
objects, and users' servers.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from hubdeploy.blueprint import documents as written
from hubdeploy.blueprint import renewal, routing
from hubdeploy.contract import labels
from hubdeploy.contract.documents import DEPLOYMENT_HEADER, User
from hubdeploy.settings.declarations import Settings, loopback_address
from hubdeploy.settings.folders import Folder
from hubdeploy.settings.kinds import UNSET, Kind
from tests.agreement.border import BROUGHT_BY, KEYS, bundle
from tests.agreement.files import digest
from tests.agreement.hub import REMOVED, kinds
from tests.agreement.leaves import Leaves
from tests.agreement.parts import notebook, with_image_of
from tests.agreement.reading import ABSENT, Reading, Readings
from tests.agreement.wire import MEMORY

# 64 MiB: half of the engine's memory is rounded to a multiple of it.
_STEP = 64 * 1024**2
ROOT_CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "SETUID", "SETGID", "KILL", "AUDIT_WRITE")


def certificate(s: Settings, leaves: Leaves) -> Readings:
    if s.tls == "outside":
        yield Reading("TLS", "reader.Binds", ())
        for place in ("written.certificate", "written.key", "certificate.names", "certificate.subject"):
            yield Reading("TLS", place, ABSENT)
        return
    brought = s.secrets_volume is not None
    yield Reading("SECRETS_VOLUME", "reader.Binds", (f"{s.secrets_volume}:/volume:ro",) if brought else ())
    yield Reading("DOCKER_MACHINE_NAME", "written.certificate", ABSENT if brought else f"{s.name}.crt")
    yield Reading("DOCKER_MACHINE_NAME", "written.key", ABSENT if brought else f"{s.name}.key")
    names = {s.hub_host} if brought else {s.hub_host, "localhost", "127.0.0.1"}
    # The proxy orders no certificate for a name that this one has.
    names -= {s.hub_host} if s.acme_email else set()
    yield Reading("HUB_HOST ACME_EMAIL", "certificate.names", tuple(sorted(names)))
    subject = (
        f"CN={BROUGHT_BY}"
        if brought
        else "CN=localhost,OU=JupyterHub,O=Cryptic Labs,L=Mountain View,ST=California,C=US"
    )
    yield Reading("SECRETS_VOLUME", "certificate.subject", subject)
    yield Reading("certificate and key", "certificate.has_its_key", True)


def proxy(s: Settings, leaves: Leaves) -> Readings:
    at, folder = "proxy.traefik.toml", routing.DYNAMIC_DIRECTORY
    yield Reading("where the proxy's files lie", f"{at}.providers.file.directory", folder)
    yield Reading("the proxy's port", f"{at}.entryPoints.https.address", f":{routing.HTTPS_PORT}")
    yield Reading("the proxy's API address", f"{at}.entryPoints.auth_api.address", routing.API_ADDRESS)
    behind = s.tls == "outside"
    pair = "proxy.tls.toml.tls.stores.default.defaultCertificate"
    for file, name in (("certFile", "cert"), ("keyFile", "key")):
        where = ABSENT if behind else f"{routing.CERTIFICATES_DIRECTORY}/current/{name}.pem"
        yield Reading("where the certificate lies; TLS", f"{pair}.{file}", where)
    oldest = ABSENT if behind else "VersionTLS12"
    yield Reading("TLS", "proxy.tls.toml.tls.options.default.minVersion", oldest)
    yield from _outside(s, f"{at}.entryPoints.https")
    password = str(leaves.get("secrets.proxy_api_password"))
    hashed = base64.b64encode(hashlib.sha1(password.encode()).digest()).decode()
    trusted = not behind and (s.secrets_volume is not None or s.acme_email is not None)
    alone = s.hub_port == 443 and trusted and loopback_address(s.hub_host) is None
    remembered = "proxy.headers.toml.http.middlewares.safe-answers.headers.stsSeconds"
    yield Reading("HUB_PORT HUB_HOST SECRETS_VOLUME ACME_EMAIL TLS", remembered, 2_592_000 if alone else ABSENT)
    for page in ("hub", "server"):
        yield Reading("HUB_TITLE", f"proxy.{page}.html.hub", s.hub_title)
        yield Reading("HUB_LOGO", f"proxy.{page}.html.logo", _logo(s))
    users = ("".join((routing.API_USER, ":{SHA}", hashed)),)
    yield Reading("the proxy's API password", "proxy.api.toml.http.middlewares.hub-only.basicAuth.users", users)
    yield from _authority(s, at)


def _outside(s: Settings, at: str) -> Readings:
    """Behind another proxy: whom the proxy takes requests from, and what it tells the hub of the browser's request."""
    behind = s.tls == "outside"
    for place, value in (
        (f"{at}.http.tls", ABSENT if behind else ()),
        (
            f"{at}.http.middlewares",
            ("passed-by-the-host@file", "safe-answers@file") if behind else ("safe-answers@file",),
        ),
        (f"{at}.forwardedHeaders.trustedIPs", ("{gateway}",) if behind else ABSENT),
        (f"{at}.forwardedHeaders.notAppendXForwardedFor", True if behind else ABSENT),
    ):
        yield Reading("TLS", place, value)
    middlewares = "proxy.headers.toml.http.middlewares"
    taken = "{{ env `GATEWAY` }}"
    yield Reading("TLS", f"{middlewares}.passed-by-the-host.ipAllowList.sourceRange", (taken,) if behind else ABSENT)
    host = f"[{s.hub_host}]" if ":" in s.hub_host else s.hub_host
    address = host if s.hub_port == 443 else f"{host}:{s.hub_port}"
    said = {"Host": address, "X-Forwarded-Proto": "https", "X-Real-Ip": "", "X-Scheme": "", "Forwarded": ""}
    for name, value in said.items():
        where = f"{middlewares}.safe-answers.headers.customRequestHeaders.{name}"
        yield Reading("TLS HUB_HOST HUB_PORT", where, value if behind else ABSENT)


def _authority(s: Settings, at: str) -> Readings:
    plain = f"{at}.entryPoints.http"
    for place, value in (
        ("address", f":{routing.HTTP_PORT}"),
        ("allowACMEByPass", True),
        ("http.aliasHeadersStrategy", "delete"),
        ("http.redirections.entryPoint.to", f":{s.hub_port}"),
        ("http.redirections.entryPoint.scheme", "https"),
        ("http.redirections.entryPoint.permanent", True),
        ("http.redirections.entryPoint.priority", 1),
    ):
        yield Reading("HUB_PORT HTTP_PORT", f"{plain}.{place}", value if s.http_port else ABSENT)
    named = s.acme_ca_bundle if s.acme_email else None
    yield Reading("ACME_CA_BUNDLE", "proxy.acme-ca", digest(bundle(named)) if named else ABSENT)
    kept = hashlib.sha256(f"{s.acme_server}\0{s.hub_host}".encode()).hexdigest()[:12]
    asked: tuple[tuple[str, str, Any], ...] = (
        ("ACME_EMAIL", "email", s.acme_email),
        ("ACME_SERVER", "caServer", s.acme_server),
        ("ACME_CA_BUNDLE", "caCertificates", (f"{routing.DIRECTORY}/acme-ca.pem",) if named else ABSENT),
        ("ACME_SERVER HUB_HOST", "storage", f"{routing.DIRECTORY}/acme-{kept}.json"),
        ("ACME_EAB_KID", "eab.kid", s.acme_eab_kid or ABSENT),
        ("ACME_EAB_HMAC", "eab.hmacEncoded", s.acme_eab_hmac.reveal().rstrip("=") if s.acme_eab_hmac else ABSENT),
        ("ACME_EMAIL", "keyType", "EC256"),
        ("ACME_EMAIL", "httpChallenge.entryPoint", "http"),
        ("ACME_DAYS", "certificatesDuration", renewal.duration(s.acme_days)),
    )
    for key, place, value in asked:
        yield Reading(key, f"{at}.certificatesResolvers.authority.acme.{place}", value if s.acme_email else ABSENT)


# Login -> its class, in the hub's image.
_CLASSES = {
    "accounts": "own_accounts.Accounts",
    "github": "github.GitHub",
    "oidc": "oidc.OIDC",
    "shared-password": "jupyterhub.authenticators.shared.SharedPasswordAuthenticator",
}


def documents(s: Settings, leaves: Leaves) -> Readings:
    connect = f"http://{s.hub_name}:{written.HUB_PORT}"
    yield Reading("DOCKER_MACHINE_NAME", "contract.deployment", s.name)
    yield Reading("DOCKER_MACHINE_NAME", f"contract.labels.{labels.DEPLOYMENT}", s.name)
    yield Reading("the hub's name", "contract.hub.connect_url", connect)
    yield Reading("the hub's port", "contract.hub.port", written.HUB_PORT)
    front = f"http://{written.HUB_FRONT}:{written.HUB_FRONT_PORT}"
    yield Reading("the hub's port for the proxy", "contract.hub.front_url", front)
    yield Reading("where the hub keeps room", "contract.hub.reserve", "/srv/reserve")
    yield Reading("HOST_MEMORY", "contract.hub.memory", _number(s.host_memory))
    yield Reading("DATA_VOLUME_CONTAINER", "contract.hub.data_dir", s.data_mount)
    yield Reading("HUB_PATH", "contract.hub.base_url", s.hub_path)
    yield Reading("the proxy's API address", "contract.proxy.api_url", f"http://{routing.API_ADDRESS}")
    yield Reading("the proxy's API user", "contract.proxy.api_user", routing.API_USER)
    yield Reading(
        "where the hub writes routes", "contract.proxy.rules_file", f"{written.ROUTES_MOUNT_IN_HUB}/rules.toml"
    )
    yield Reading("AUTHENTICATOR", "contract.login.name", s.authenticator)
    yield Reading("AUTHENTICATOR", "contract.login.authenticator_class", _CLASSES[s.authenticator])
    yield Reading("HUB_TITLE", "pages.title", s.hub_title)
    yield Reading("HUB_ANNOUNCEMENT", "pages.announcement", s.hub_announcement or ABSENT)
    yield Reading("HUB_HELP_URL", "pages.help_url", s.hub_help_url or ABSENT)
    yield Reading("HUB_LOGO", "logo", _logo(s))
    traits = _traits(s, s.authenticator)
    yield Reading("AUTHENTICATOR", "contract.login.traits", ABSENT if traits else ())
    for login in ("github", "oidc"):
        for trait, (key, _) in _traits(s, login).items():
            yield Reading(key, f"contract.login.traits.{trait}", traits[trait][1] if trait in traits else ABSENT)
    for user in s.users:
        yield Reading("userlist: admin", f"contract.users[{user.name}].admin", user.admin)
        yield Reading("userlist: sudo", f"contract.users[{user.name}].sudo", user.sudo)
        yield Reading("userlist: keep", f"contract.users[{user.name}].keep", user.keep)
        yield Reading("userlist: groups", f"contract.users[{user.name}].groups", user.groups)
        yield Reading("userlist: groups", f"contract.users[{user.name}].reads", user.reads)
    # The hub's document, and the filter's, which the hub cannot write.
    for document in ("contract", "container[filter].servers"):
        for number, (own, kind) in enumerate(_kinds(s)):
            at = f"{document}.kinds[{number}]"
            yield from _server_kind(own, at)
            yield Reading("servers.yml: name", f"{at}.name", kind.name if kind else "default")
            yield Reading("servers.yml: title", f"{at}.title", kind.title if kind else "")
            yield Reading("servers.yml: description", f"{at}.description", kind.description if kind else "")
            yield Reading("servers.yml: users, groups", f"{at}.users", _absent_or(_takers(s, kind)))
            named = tuple((kind.provider_groups if kind else None) or ())
            yield Reading("servers.yml: provider_groups", f"{at}.provider_groups", named)
            for name, value in kind.environment if kind else ():
                yield Reading("servers.yml: environment", f"{at}.environment.{name}", value)
            yield Reading("servers.yml: secrets", f"{at}.secrets", kind.secrets if kind else ())
            yield Reading("servers.yml: gpus", f"{at}.gpus", kind.gpus if kind else 0)
            for name in kind.secrets if kind else ():
                yield Reading("servers.yml: secrets", f"{at}.environment.{name}", ABSENT)
            yield Reading("servers.yml: networks", f"{at}.networks", kind.networks if kind else ())
        for number, folder in enumerate(s.folders):
            yield from _folder(s, folder, f"{document}.folders[{number}]")
        yield Reading("GPUS", f"{document}.cards", s.cards or ())
    yield Reading("servers.yml: secrets", "server-secrets.kinds", ABSENT if any(one.secrets for one in s.kinds) else ())
    for one in s.kinds:
        for name in one.secrets:
            yield Reading(
                "servers.yml: secrets", f"server-secrets.kinds.{one.name}.{name}", s.server_secrets[name].reveal()
            )
    shared = s.authenticator == "shared-password"
    for key, name in (("USER_PASSWORD", "user_password"), ("ADMIN_PASSWORD", "admin_password")):
        yield Reading(key, f"secrets.login.{name}", _absent_or(_password(s, leaves, key) if shared else None))
    yield Reading("GITHUB_CLIENT_SECRET OIDC_CLIENT_SECRET", "secrets.login.client_secret", _client_secret(s))


def _folder(s: Settings, folder: Folder, at: str) -> Readings:
    key = "servers.yml: shared"
    yield Reading(key, f"{at}.name", folder.name)
    yield Reading(key, f"{at}.path", folder.path or "")
    yield Reading(key, f"{at}.kinds", _absent_or(folder.kinds))
    yield Reading(key, f"{at}.limit", _number(folder.limit))
    yield Reading(key, f"{at}.ours", not (folder.volume or folder.path or folder.nfs or folder.cifs))
    own = f"{s.name}-shared-{folder.name}"
    if not (folder.nfs or folder.cifs):
        yield Reading(
            "servers.yml: shared DOCKER_MACHINE_NAME", f"{at}.volume", folder.volume or ("" if folder.path else own)
        )
    rights = {user.name: _right(folder, user.name, user) for user in s.users}
    rights |= {name: _right(folder, name, None) for name in folder.users or () if name not in rights}
    yield Reading(key, f"{at}.writers", tuple(sorted(name for name, right in rights.items() if right == "writes")))
    everybody = _right(folder, "", None) == "reads"
    readers = tuple(sorted(name for name, right in rights.items() if right == "reads"))
    yield Reading(key, f"{at}.readers", ABSENT if everybody else readers)


def _right(folder: Folder, name: str, user: User | None) -> str:
    """What somebody may do with a folder: writes, reads, or nothing."""
    is_data = folder.volume or folder.path or folder.nfs or folder.cifs
    named = name in (folder.users or ())
    groups = {*(folder.groups or ())}
    if folder.groups is None and folder.users is None:
        if is_data:
            return "reads"
        groups = {folder.name}
    mine = groups & {*(user.groups if user else ())}
    if not is_data and (named or mine - {*(user.reads if user else ())}):
        return "writes"
    return "reads" if named or mine else ""


def _logo(s: Settings) -> str:
    return digest([s.hub_logo.read_bytes() if s.hub_logo else b""])


def _traits(s: Settings, login: str) -> dict[str, tuple[str, Any]]:
    """Trait -> its key and its value, of a login; none for passwords."""
    if login == "github":
        return {
            "github_url": ("GITHUB_URL", s.github_url),
            "client_id": ("GITHUB_CLIENT_ID", s.github_client_id),
            "oauth_callback_url": ("OAUTH_CALLBACK_URL", s.callback_url),
            "allowed_groups": ("ALLOWED_ORGANIZATIONS", _absent_or(s.allowed_organizations)),
            "admin_groups": ("ADMIN_ORGANIZATIONS", _absent_or(s.admin_organizations)),
        }
    if login in ("shared-password", "accounts"):
        return {}
    asked_for = ("groups",) if s.oidc_groups_claim == "groups" else ()
    return {
        "client_id": ("OIDC_CLIENT_ID", s.oidc_client_id),
        "oauth_callback_url": ("OAUTH_CALLBACK_URL", s.callback_url),
        "username_claim": ("OIDC_USERNAME_CLAIM", s.oidc_username_claim),
        "groups_claim": ("OIDC_GROUPS_CLAIM", s.oidc_groups_claim),
        "allowed_groups": ("ALLOWED_GROUPS", _absent_or(s.allowed_groups)),
        "admin_groups": ("ADMIN_GROUPS", _absent_or(s.admin_groups)),
        "issuer": ("OIDC_ISSUER", s.oidc_issuer),
        "authorize_url": ("OIDC_ISSUER", f"{s.oidc_issuer}/authorize"),
        "token_url": ("OIDC_ISSUER", f"{s.oidc_issuer}/token"),
        "userdata_url": ("OIDC_ISSUER", f"{s.oidc_issuer}/userinfo"),
        "jwks_url": ("what the provider says", KEYS),
        "algorithms": ("what the provider says", ("RS256",)),
        "basic_auth": ("what the provider says", True),
        "scope": ("OIDC_GROUPS_CLAIM", ("openid", "profile", "email", *asked_for)),
    }


def _client_secret(s: Settings) -> Any:
    found = {"github": s.github_client_secret, "oidc": s.oidc_client_secret}.get(s.authenticator)
    return found.reveal() if found else ABSENT


def _kinds(s: Settings) -> list[tuple[Settings, Kind | None]]:
    """For each kind of servers the settings as it has them."""

    def own(kind: Kind) -> Settings:
        said = {
            "memory_limit": kind.memory, "memory_guarantee": kind.guarantee, "cpu_limit": kind.cpus,
            "idle_timeout": kind.idle_timeout, "max_age": kind.max_age, "spawn_command": kind.command,
        }  # fmt: skip
        return replace(with_image_of(s, kind), **{field: value for field, value in said.items() if value is not UNSET})  # type: ignore[arg-type]

    return [(own(kind), kind) for kind in s.kinds] or [(s, None)]


def _takers(s: Settings, kind: Kind | None) -> tuple[str, ...] | None:
    """Who may have a kind: whom it names, then members of its groups; None for everybody."""
    if kind is None or (kind.users is None and kind.groups is None and kind.provider_groups is None):
        return None
    members = {user.name for user in s.users for group in user.groups if group in (kind.groups or ())}
    return (*(kind.users or ()), *sorted(members - {*(kind.users or ())}))


def _first_kind(s: Settings, user: str) -> tuple[Settings, Kind | None]:
    return next((own, kind) for own, kind in _kinds(s) if (takers := _takers(s, kind)) is None or user in takers)


def _first_networks(s: Settings, user: str) -> tuple[str, ...]:
    kind = _first_kind(s, user)[1]
    return kind.networks if kind else ()


def _server_kind(s: Settings, at: str) -> Readings:
    for key, name, value in (
        ("DOCKER_NOTEBOOK_IMAGE", "image", s.notebook_image),
        ("DOCKER_NOTEBOOK_IMAGE IMAGE_NAMESPACE IMAGE_TAG", "ours", notebook(s) is not None),
        ("DOCKER_SPAWN_CMD", "spawn_command", tuple(s.spawn_command)),
        ("NB_USER", "nb_user", s.nb_user),
        ("NB_UID", "nb_uid", s.nb_uid),
        ("DOCKER_NOTEBOOK_DIR", "notebook_dir", s.notebook_dir),
        ("DOCKER_NETWORK_NAME", "network_name", s.network_name),
        ("names of servers", "server_name", s.server_name_template),
        ("USER_MEMORY_LIMIT", "memory_limit", memory(s)),
        ("USER_MEMORY_GUARANTEE", "memory_guarantee", _number(s.memory_guarantee)),
        ("USER_CPU_LIMIT", "cpu_limit", _absent_or(s.cpu_limit)),
        ("USER_PIDS_LIMIT", "pids_limit", s.pids_limit),
        ("USER_DISK_LIMIT", "disk_limit", _number(s.disk_limit)),
        ("IDLE_TIMEOUT", "idle_timeout", _number(s.idle_timeout)),
        ("MAX_AGE", "max_age", _number(s.max_age)),
        ("KERNEL_IDLE_TIMEOUT", "kernel_idle_timeout", _number(s.kernel_idle_timeout)),
        ("COURSE_REPOSITORIES", "course_repositories", _absent_or(s.course_repositories)),
        ("GRANT_SUDO", "grant_sudo", s.grant_sudo),
        ("TIMEZONE", "timezone", s.timezone),
        ("DOCKER_NETWORK_NAME", "marks_servers", s.is_set("DOCKER_NETWORK_NAME")),
    ):
        yield Reading(key, f"{at}.{name}", value)
    for number, (key, volume, target) in enumerate(_volumes(s)):
        yield Reading(key, f"{at}.volumes[{number}].name", volume)
        yield Reading("NB_USER DOCKER_NOTEBOOK_DIR", f"{at}.volumes[{number}].target", target)


def _volumes(s: Settings) -> list[tuple[str, str, str]]:
    """Key, name's template and mount point of each of a user's volumes."""
    kept = [("HOME_VOLUME", s.home_volume, f"/home/{s.nb_user}")] if s.home_volume != "none" else []
    return [*kept, ("USER_VOLUME HOME_VOLUME", s.user_volume, s.notebook_dir)]


def objects(s: Settings, leaves: Leaves) -> Readings:
    hub = f"http://{s.hub_name}:{written.HUB_PORT}{s.hub_path}hub/"
    yield Reading("HUB_PATH", "hub.base_url", s.hub_path)
    yield Reading("all requests reach the hub", "hub.hub_routespec", "/")
    front = f"http://{written.HUB_FRONT}:{written.HUB_FRONT_PORT}"
    yield Reading("the hub's port for the proxy", "hub.hub_bind_url", f"{front}{s.hub_path}hub/")
    yield Reading("the hub's port for the proxy", "routes.front_url", front)
    yield Reading("the hub's port", "hub.port_for_servers", written.HUB_PORT)
    yield Reading("the hub's name", "hub.hub_connect_url", hub)
    yield Reading("AUTHENTICATOR", "hub.template_vars.own_accounts", s.authenticator == "accounts")
    yield Reading("DOCKER_MACHINE_NAME", f"hub.tornado_settings.headers.{DEPLOYMENT_HEADER}", s.name)
    yield Reading("DATA_VOLUME_CONTAINER", "hub.database", f"{s.data_mount}/jupyterhub.sqlite")
    yield Reading("DATA_VOLUME_CONTAINER", "hub.cookie_secret_file", f"{s.data_mount}/jupyterhub_cookie_secret")
    yield Reading("the proxy's API address", "routes.traefik_api_url", f"http://{routing.API_ADDRESS}")
    yield Reading("the proxy's API user", "routes.traefik_api_username", routing.API_USER)
    password = leaves.get("secrets.proxy_api_password")
    yield Reading("the proxy's API password", "routes.traefik_api_password", password)
    rules = f"{written.ROUTES_MOUNT_IN_HUB}/rules.toml"
    yield Reading("where the hub writes routes", "routes.dynamic_config_file", rules)
    yield Reading("the proxy's entry point", "routes.traefik_entrypoint", "https")
    of_user = (f"{labels.DEPLOYMENT}={s.name}", f"{labels.ROLE}={labels.SERVER}", f"{labels.USER}={REMOVED}")
    yield Reading("how a user's servers are found", "removed.labels", of_user)
    yield from _login(s, leaves)


def _login(s: Settings, leaves: Leaves) -> Readings:
    yield Reading("userlist", "login.allowed_users", tuple(sorted(user.name for user in s.users)))
    yield Reading("userlist: admin", "login.admin_users", tuple(sorted(user.name for user in s.users if user.admin)))
    choosing = sorted({group for kind in s.kinds for group in kind.provider_groups or ()})
    yield Reading("servers.yml: provider_groups", "login.choosing_groups", tuple(choosing) or ABSENT)
    for user in s.users:
        yield Reading("userlist: groups", f"login.listed_groups.{user.name}", user.groups)
    yield Reading("AUTHENTICATOR", "login.class", _CLASSES[s.authenticator].rpartition(".")[2])
    yield Reading("DATA_VOLUME_CONTAINER", "login.data_dir", s.data_mount)
    yield Reading("nobody enters for having entered before", "login.allow_existing_users", False)
    if s.authenticator == "shared-password":
        yield Reading("USER_PASSWORD", "login.user_password", _password(s, leaves, "USER_PASSWORD"))
        yield Reading("ADMIN_PASSWORD", "login.admin_password", _password(s, leaves, "ADMIN_PASSWORD"))
        return
    if s.authenticator == "accounts":
        yield Reading("AUTHENTICATOR", "login.class", "Accounts")
        yield Reading("DATA_VOLUME_CONTAINER", "login.data_dir", s.data_mount)
        return
    yield Reading("GITHUB_CLIENT_SECRET OIDC_CLIENT_SECRET", "login.client_secret", _client_secret(s))
    for trait, (key, value) in _traits(s, s.authenticator).items():
        # The groups are sets in the hub.
        yield Reading(
            key, f"login.{trait}", tuple(sorted(value)) if isinstance(value, tuple) and "groups" in trait else value
        )
    if s.authenticator == "oidc":
        return
    public = urlsplit(s.github_url).hostname == "github.com"
    api = "https://api.github.com" if public else f"{s.github_url}/api/v3"
    groups = bool(s.allowed_organizations or s.admin_organizations or any(one.provider_groups for one in s.kinds))
    keys = "ALLOWED_ORGANIZATIONS ADMIN_ORGANIZATIONS servers.yml"
    yield Reading(keys, "login.scope", ("read:org",) if groups else ())
    yield Reading(keys, "login.enable_auth_state", groups)
    yield Reading("GITHUB_URL", "login.authorize_url", f"{s.github_url}/login/oauth/authorize")
    yield Reading("GITHUB_URL", "login.token_url", f"{s.github_url}/login/oauth/access_token")
    yield Reading("GITHUB_URL", "login.userdata_url", f"{api}/user")


def servers(s: Settings, leaves: Leaves) -> Readings:
    listed_sudo = {user.name for user in s.users if user.sudo}
    for kind, name in kinds(s).items():
        at, sudo = f"spawner[{kind}]", s.grant_sudo or name in listed_sudo
        own, chosen = _first_kind(s, name)
        yield from _identity(own, leaves, at, name, sudo)
        yield from _process(own, at, name, sudo)
        yield from _environment(own, at, name, sudo)
        yield from _resources(own, at)
        yield Reading("servers.yml: name", f"{at}.Labels.{labels.KIND}", chosen.name if chosen else "default")
        for variable, value in chosen.environment if chosen else ():
            yield Reading("servers.yml: environment", f"{at}.Env.{variable}", value)
        for variable, secret in s.server_secrets.items():
            own_one = chosen is not None and variable in chosen.secrets
            public = dict(chosen.environment).get(variable, ABSENT) if chosen else ABSENT
            yield Reading("servers.yml: secrets", f"{at}.Env.{variable}", secret.reveal() if own_one else public)


def _seen(s: Settings, name: str) -> Iterator[tuple[Folder, str]]:
    """What the first kind of a user's servers shows of what users share, by name."""
    user = next((one for one in s.users if one.name == name), None)
    kind = _first_kind(s, name)[1]
    for folder in sorted(s.folders, key=lambda one: one.name):
        right = _right(folder, name, user)
        if right and (folder.kinds is None or (kind and kind.name in folder.kinds)):
            yield folder, right


def _identity(s: Settings, leaves: Leaves, at: str, name: str, sudo: bool) -> Readings:
    names = {"username": escaped(name), "raw_username": name}
    yield Reading("names of servers", f"{at}.Name", s.server_name_template.format(**names))
    for number, (key, template, target) in enumerate(_volumes(s)):
        volume = f"{at}.HostConfig.Mounts[{number}]"
        carried = f"{volume}.VolumeOptions.Labels"
        yield Reading(key, f"{volume}.Source", template.format(**names))
        yield Reading("NB_USER DOCKER_NOTEBOOK_DIR", f"{volume}.Target", target)
        yield Reading("no path of the host", f"{volume}.Type", "volume")
        yield Reading("users write to their volumes", f"{volume}.ReadOnly", False)
        yield Reading("DOCKER_MACHINE_NAME", f"{carried}.{labels.DEPLOYMENT}", s.name)
        yield Reading("a volume's role", f"{carried}.{labels.ROLE}", "volume")
        yield Reading("NB_UID", f"{carried}.{labels.UID}", str(s.nb_uid))
    root = sudo or notebook(s) is None
    passing = ["/tmp", *([home] if (home := f"/home/{s.nb_user}") not in {one[2] for one in _volumes(s)} else [])]
    shared = list(_seen(s, name))
    for number, target in enumerate(passing, start=len(_volumes(s)) + (len(shared) if root else 0)):
        scratch = f"{at}.HostConfig.Mounts[{number}]"
        for place, value in (
            ("Target", target), ("Type", "volume"), ("ReadOnly", False),
            (f"VolumeOptions.Labels.{labels.ROLE}", "scratch"), (f"VolumeOptions.Labels.{labels.DEPLOYMENT}", s.name),
        ):  # fmt: skip
            yield Reading("what goes with a server", f"{scratch}.{place}", ABSENT if root else value)
    for number, (folder, right) in enumerate(shared, start=len(_volumes(s)) + (0 if root else len(passing))):
        mount = f"{at}.HostConfig.Mounts[{number}]"
        key = "servers.yml: shared"
        yield Reading(key, f"{mount}.Target", f"/srv/shared/{folder.name}")
        yield Reading(key, f"{mount}.ReadOnly", right != "writes")
        yield Reading(key, f"{mount}.Type", "bind" if folder.path else "volume")
        if not (folder.nfs or folder.cifs):
            yield Reading(key, f"{mount}.Source", folder.path or folder.volume or f"{s.name}-shared-{folder.name}")
    yield Reading("DOCKER_MACHINE_NAME", f"{at}.Labels.{labels.DEPLOYMENT}", s.name)
    yield Reading("a server's role", f"{at}.Labels.{labels.ROLE}", labels.SERVER)
    yield Reading("HUB_PATH", f"{at}.Labels.{labels.PATH}", s.hub_path)
    yield Reading("a server's user", f"{at}.Labels.{labels.USER}", name)
    yield Reading("userlist: sudo; GRANT_SUDO", f"{at}.Labels.{labels.SUDO}", "yes" if sudo else "no")
    first = _first_kind(s, name)[1] in (None, *s.kinds[:1])
    is_kinds = first and not shared and not s.cards
    fingerprint = leaves.get("contract.fingerprint" if is_kinds else f"{at}.Labels.{labels.FINGERPRINT}")
    yield Reading("what a server is made from", f"{at}.Labels.{labels.FINGERPRINT}", fingerprint)


def _process(s: Settings, at: str, name: str, sudo: bool) -> Readings:
    root = sudo or notebook(s) is None
    yield Reading("NB_UID userlist: sudo; GRANT_SUDO", f"{at}.User", "0" if root else str(s.nb_uid))
    capabilities = ROOT_CAPABILITIES if root else ()
    yield Reading("userlist: sudo; GRANT_SUDO", f"{at}.HostConfig.CapAdd", capabilities)
    yield Reading("no capability by default", f"{at}.HostConfig.CapDrop", ("ALL",))
    options = () if sudo else ("no-new-privileges",)
    yield Reading("userlist: sudo; GRANT_SUDO", f"{at}.HostConfig.SecurityOpt", options)
    yield Reading("userlist: sudo; GRANT_SUDO", f"{at}.HostConfig.ReadonlyRootfs", not root)
    yield Reading("DOCKER_SPAWN_CMD", f"{at}.Cmd", tuple(s.spawn_command))
    yield Reading("DOCKER_NOTEBOOK_IMAGE", f"{at}.Image", s.notebook_image)
    yield Reading("DOCKER_NETWORK_NAME", f"{at}.HostConfig.NetworkMode", s.network_name)
    yield Reading("DOCKER_NOTEBOOK_DIR", f"{at}.WorkingDir", s.notebook_dir)
    container, networks = s.server_name_template.format(username=escaped(name)), _first_networks(s, name)
    marked = (bytes.fromhex("0668") + hashlib.sha256(container.encode()).digest()[:4]).hex(":")
    address = marked if s.is_set("DOCKER_NETWORK_NAME") else ABSENT
    if networks:
        # Four digits of the networks, four of the server.
        shared, own = ("\n".join(networks), f"{container} 0")
        digits = [hashlib.sha256(text.encode()).hexdigest()[:8] for text in (shared, own)]
        address = bytes.fromhex(f"0669{digits[0][:4]}{digits[1][4:]}").hex(":")
    yield Reading("DOCKER_NETWORK_NAME servers.yml: networks", f"{at}.MacAddress", address)
    first = f"{address[:11]}:00:00" if networks else ABSENT
    yield Reading("servers.yml: networks", f"{at}.Labels.{labels.NETWORKS}", first)


def _environment(s: Settings, at: str, name: str, sudo: bool) -> Readings:
    foreign = notebook(s) is None
    api = f"http://{s.hub_name}:{written.HUB_PORT}{s.hub_path}hub/api"
    yield Reading("HUB_PATH", f"{at}.Env.JUPYTERHUB_BASE_URL", s.hub_path)
    yield Reading("the hub's name", f"{at}.Env.JUPYTERHUB_API_URL", api)
    yield Reading("the hub's name", f"{at}.Env.JUPYTERHUB_ACTIVITY_URL", f"{api}/users/{name}/activity")
    yield Reading("DOCKER_NOTEBOOK_DIR", f"{at}.Env.JUPYTERHUB_ROOT_DIR", s.notebook_dir)
    yield Reading("DOCKER_NOTEBOOK_IMAGE", f"{at}.Env.JUPYTER_IMAGE_SPEC", s.notebook_image)
    yield Reading("userlist: sudo; GRANT_SUDO", f"{at}.Env.GRANT_SUDO", "yes" if sudo else ABSENT)
    yield Reading("NB_USER", f"{at}.Env.NB_USER", s.nb_user if foreign else ABSENT)
    yield Reading("NB_UID", f"{at}.Env.NB_UID", str(s.nb_uid) if foreign else ABSENT)
    yield Reading("a volume's owner", f"{at}.Env.CHOWN_HOME", "yes" if foreign else ABSENT)
    below = PurePosixPath(s.notebook_dir)
    folders = ",".join(str(one) for one in reversed([below, *below.parents]) if len(one.parts) > 3)
    yield Reading("DOCKER_NOTEBOOK_DIR", f"{at}.Env.CHOWN_EXTRA", (folders or "") if foreign else ABSENT)
    for name in ("CHOWN_HOME_OPTS", "CHOWN_EXTRA_OPTS"):
        yield Reading("root follows no link", f"{at}.Env.{name}", "--no-dereference" if foreign else ABSENT)
    yield Reading("the runtime directory", f"{at}.Env.JUPYTER_RUNTIME_DIR", "/run/notebook/runtime")
    kernels = str(int(s.kernel_idle_timeout)) if s.kernel_idle_timeout else ABSENT
    yield Reading("KERNEL_IDLE_TIMEOUT", f"{at}.Env.NOTEBOOK_KERNEL_IDLE_TIMEOUT", kernels)
    courses = " ".join(s.course_repositories) if s.course_repositories else ABSENT
    yield Reading("COURSE_REPOSITORIES", f"{at}.Env.NOTEBOOK_COURSE_REPOSITORIES", courses)
    # NVIDIA's runtime gives a container all cards where its image asks for them.
    yield Reading("GPUS", f"{at}.Env.NVIDIA_VISIBLE_DEVICES", "void" if s.cards else ABSENT)
    # Three reports in the time of a warning, which is ten minutes or half of the limit.
    reports = str(int(min(600, s.idle_timeout / 2) / 3)) if s.idle_timeout else ABSENT
    yield Reading("IDLE_TIMEOUT", f"{at}.Env.JUPYTERHUB_ACTIVITY_INTERVAL", reports)
    yield Reading("USER_MEMORY_LIMIT", f"{at}.Env.MEM_LIMIT", str(memory(s)))
    yield Reading("TIMEZONE", f"{at}.Env.TZ", s.timezone)
    yield Reading("USER_CPU_LIMIT", f"{at}.Env.CPU_LIMIT", str(s.cpu_limit) if s.cpu_limit else ABSENT)


def _resources(s: Settings, at: str) -> Readings:
    host = f"{at}.HostConfig"
    yield Reading("USER_MEMORY_LIMIT", f"{host}.Memory", memory(s))
    yield Reading("USER_MEMORY_LIMIT", f"{host}.MemorySwap", memory(s))
    yield Reading("USER_MEMORY_LIMIT", f"{host}.ShmSize", memory(s))
    # The quota is in microseconds of each period, a tenth of a second.
    yield Reading("USER_CPU_LIMIT", f"{host}.CpuPeriod", 100_000 if s.cpu_limit else ABSENT)
    yield Reading("USER_CPU_LIMIT", f"{host}.CpuQuota", int(s.cpu_limit * 100_000) if s.cpu_limit else ABSENT)
    yield Reading("USER_PIDS_LIMIT", f"{host}.PidsLimit", s.pids_limit)
    owner = f"uid={s.nb_uid},gid=100,mode=0700,size=64m"
    yield Reading("NB_UID", f"{host}.Tmpfs./run/notebook", owner)


def escaped(name: str) -> str:
    """A user's name as DockerSpawner escapes all but small letters and digits."""
    plain = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789")
    return "".join(chr(byte) if byte in plain else f"-{byte:02x}" for byte in name.encode())


def memory(s: Settings) -> int:
    return int(s.memory_limit or MEMORY // 2 // _STEP * _STEP)


def _password(s: Settings, leaves: Leaves, key: str) -> Any:
    """The password that is set, else the generated one in .env.local."""
    given = s.user_password if key == "USER_PASSWORD" else s.admin_password
    return given.reveal() if given else leaves.get(f"remembered.{key}")


def _number(given: int | None) -> Any:
    """A length of time or an amount, as the documents have it."""
    return _absent_or(None if given is None else int(given))


def _absent_or(value: Any) -> Any:
    return ABSENT if value is None else value
