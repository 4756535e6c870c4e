"""Keys that are no settings: what the well-known ones of other deployments became here, and what a misspelt one was meant
to be. Data and pure functions; it never sees a value.

The names are those of jupyterhub-deploy-docker, its copies, and the example files of JupyterHub's authenticators.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from difflib import SequenceMatcher
from fnmatch import fnmatchcase

from hubdeploy.errors import Problem
from hubdeploy.settings.declarations import declarations
from hubdeploy.settings.logins import LOGINS

# How alike two keys are without their underscores, and two words of theirs, if one is a slip of the other.
_SAME_KEY, _SAME_WORD = 0.88, 0.7
_LIKE_A_KEY = 0.6
_SECRET = re.compile(
    r"PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN|CREDENTIAL|(?:^|_)(?:PASS|PW|PAT)(?:_|$)"
    r"|(?:API|ACCESS|CRYPT|ENCRYPTION|PRIVATE)_?KEY|(?:DB|DATABASE|POSTGRES|MYSQL)_UR[IL]|DSN"
)
_PLACE_OF_A_SECRET = re.compile(
    r"(?:PASSWORD|SECRET|TOKEN|KEY|CREDENTIALS?)_(?:FILE|PATH|DIR|UR[IL]|ENDPOINT|NAME|ID)\Z"
)


@dataclass(frozen=True)
class Known:
    """Keys of other deployments (`*` at the end: all that begin so), whose they were, and what takes their place here."""

    keys: tuple[str, ...]
    whose: str
    here: str


_LOGIN = f"users log in by {' or '.join(LOGINS)}, see AUTHENTICATOR"
_DATABASE = "the hub keeps its database in DATA_VOLUME_HOST; docs/migrating.md says what becomes of another"
KNOWN = (
    Known(("JUPYTERHUB_VERSION",), "the hub's version", "the hub's image is built here, with its own version"),
    Known(
        ("LOCAL_NOTEBOOK_IMAGE", "DOCKER_JUPYTER_IMAGE", "DOCKER_JUPYTER_CONTAINER", "SINGLEUSER_IMAGE"),
        "the image of users' servers",
        "DOCKER_NOTEBOOK_IMAGE alone names it",
    ),
    Known(
        ("SSL_*", "TLS_*", "JUPYTERHUB_SSL_*", "JUPYTERHUB_TLS_*"),
        "a certificate and its key",
        "their files are jupyterhub/secrets/NAME.crt and NAME.key, or lie in SECRETS_VOLUME",
    ),
    Known(("LETSENCRYPT_*", "CERTBOT_*"), "an ACME client", "ACME_EMAIL gets a certificate: docs/going-public.md"),
    Known(
        ("POSTGRES_*", "PGDATA", "PGPASSWORD", "DB_*", "DATABASE_*", "MYSQL_*", "MARIADB_*", "JUPYTERHUB_DB_*"),
        "a database",
        _DATABASE,
    ),
    Known(
        ("HUB_DATA_VOL", "JUPYTERHUB_DATA_VOLUME", "DATA_VOLUME"), "the hub's data volume", "DATA_VOLUME_HOST names it"
    ),
    Known(
        ("OAUTH_CLIENT_ID",),
        "some login service",
        f"if it is a GitHub application's, GITHUB_CLIENT_ID takes it; else {_LOGIN}",
    ),
    Known(
        ("OAUTH_CLIENT_SECRET",),
        "some login service",
        f"if it is a GitHub application's, GITHUB_CLIENT_SECRET in .env.local takes it; else {_LOGIN}",
    ),
    Known(
        ("GITHUB_CALLBACK_URL", "GITHUB_OAUTH_CALLBACK_URL"),
        "the GitHub application",
        "OAUTH_CALLBACK_URL derives from HUB_HOST and HUB_PORT",
    ),
    Known(
        ("GITHUB_ORGANIZATION*", "GITHUB_ALLOWED_*"),
        "GitHub's organizations",
        "ALLOWED_ORGANIZATIONS names organizations and teams, userlist says who else may log in",
    ),
    Known(("GOOGLE_*",), "the login by Google", _LOGIN),
    Known(("GITLAB_*",), "the login by GitLab", _LOGIN),
    Known(("GITEA_*", "BITBUCKET_*"), "the login by another code host", _LOGIN),
    Known(("AUTH0_*",), "the login by Auth0", _LOGIN),
    Known(("AZURE_*", "AAD_*", "AZUREAD_*"), "the login by Azure", _LOGIN),
    Known(("OKTA_*",), "the login by Okta", _LOGIN),
    Known(("KEYCLOAK_*", "OAUTH2_*", "GENERIC_OAUTH_*"), "the login by OpenID Connect", _LOGIN),
    Known(("CILOGON_*", "GLOBUS_*"), "the login by CILogon or Globus", _LOGIN),
    Known(("COGNITO_*",), "the login by Cognito", _LOGIN),
    Known(("LDAP_*",), "the login by LDAP", _LOGIN),
    Known(("LTI_*", "SAML_*"), "the login by LTI or SAML", _LOGIN),
    Known(
        ("CONFIGPROXY_AUTH_TOKEN", "PROXY_AUTH_TOKEN"), "configurable-http-proxy", "up makes the proxy's password itself"
    ),
    Known(("JUPYTERHUB_BASE_URL", "BASE_URL"), "the path of the hub", "HUB_PATH is that path"),
    Known(("TZ",), "the time zone of containers", "TIMEZONE sets it for servers and logs"),
    Known(("JUPYTERHUB_CRYPT_KEY",), "the hub's encryption of logins", "no login keeps anything that it would encrypt"),
    Known(
        ("JPY_COOKIE_SECRET", "JUPYTERHUB_COOKIE_SECRET"), "the hub's cookies", "the hub makes one in DATA_VOLUME_HOST"
    ),
    Known(
        ("JPY_API_TOKEN", "JUPYTERHUB_API_TOKEN"), "the hub's API", "a user asks for a token on the hub's page Token"
    ),
    Known(
        ("JUPYTERHUB_ADMIN", "JUPYTERHUB_ADMINS", "JUPYTERHUB_ADMIN_USER", "JUPYTERHUB_ADMIN_USERS", "ADMIN_USERS",
         "ADMIN_USER", "ALLOWED_USERS", "JUPYTERHUB_ALLOWED_USERS"),
        "the hub's users",
        "userlist names users, and who is an admin",
    ),
    Known(("JUPYTERHUB_ADMIN_PASSWORD",), "the first admin", "ADMIN_PASSWORD in .env.local takes its place"),
    Known(
        ("JUPYTERHUB_PORT", "JUPYTERHUB_HOST_PORT", "JUPYTER_PORT", "HOST_PORT", "HTTPS_PORT", "PORT"),
        "the port of the hub",
        "HUB_PORT is the port that browsers use",
    ),
    Known(
        ("JUPYTERHUB_HOST", "JUPYTERHUB_DOMAIN", "DOMAIN", "DOMAIN_NAME", "VIRTUAL_HOST", "SERVER_NAME"),
        "the name of the hub",
        "HUB_HOST is the name that browsers use",
    ),
    Known(
        ("HUB_IP", "HUB_CONNECT_IP", "JUPYTERHUB_IP"), "the hub's address for servers", "servers find the hub by its name"
    ),
    Known(("NB_GID", "NB_GROUP"), "the group of users' files", "NB_UID alone is a setting; the group is the image's"),
    Known(
        ("MEM_LIMIT", "MEMORY_LIMIT", "DOCKER_MEM_LIMIT", "USER_MEM_LIMIT"), "a server's memory", "USER_MEMORY_LIMIT sets it"
    ),
    Known(("CPU_LIMIT", "DOCKER_CPU_LIMIT"), "a server's processors", "USER_CPU_LIMIT sets it"),
    Known(
        ("CULL_*", "CONTAINER_IDLE_TIMEOUT"), "the end of idle servers", "IDLE_TIMEOUT says when idle servers are stopped"
    ),
    Known(
        ("COMPOSE_*",), "Docker Compose", "there is no compose file; names derive from DOCKER_MACHINE_NAME"
    ),
    Known(
        ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"),
        "the Docker client",
        "set it in the shell that runs ./invoke",
    ),
    Known(("JUPYTER_ENABLE_LAB",), "docker-stacks", "servers show JupyterLab"),
)  # fmt: skip


def known(key: str) -> Known | None:
    """The row of a well-known key of other deployments."""
    return next((row for row in KNOWN if any(fnmatchcase(key.upper(), pattern) for pattern in row.keys)), None)


def meant(key: str, free: Collection[str]) -> str | None:
    """The setting of `free` that `key` is a slip of; None for another deployment's key, however much it is like one."""
    if known(key):
        return None
    likeness = {one: _likeness(key.upper(), one) for one in free}
    slips = [one for one in free if likeness[one] >= _SAME_KEY or _same_words(key.upper(), one)]
    return max(slips, key=likeness.__getitem__, default=None)


def is_like_one(key: str) -> bool:
    """Whether a word may be a key at all, and not half of a secret that was broken into two lines."""
    return any(SequenceMatcher(None, key.upper(), one).ratio() >= _LIKE_A_KEY for one in declarations())


def is_secret_of_others(key: str) -> bool:
    """Whether a key that is no setting, and no slip of one, names a secret."""
    name = key.upper()
    named = _SECRET.search(name) is not None and _PLACE_OF_A_SECRET.search(name) is None
    return named and meant(key, declarations()) is None


def problem(where: str, key: str, free: Collection[str]) -> Problem:
    """What is wrong with a key that is no setting; `free` are the settings that the file does not set already."""
    row, slip = known(key), meant(key, free)
    found, fix = "is not a setting", "delete the line; ./invoke config lists every setting"
    if is_secret_of_others(key):
        found = f"is not a setting, but a secret of {row.whose if row else 'another service'}"
        fix = f"delete the line{f': {row.here}' if row else ''}; keep the secret elsewhere if you still need it"
    elif row:
        found = f"is not a setting, but a key of other deployments, for {row.whose}"
        fix = f"delete the line: {row.here}"
    elif slip:
        fix = f"did you mean {slip}?"
    return Problem(where, key, found, "a setting of docs/settings.md", fix, instead=())


def _likeness(key: str, other: str) -> float:
    return SequenceMatcher(None, key.replace("_", ""), other.replace("_", "")).ratio()


def _same_words(key: str, other: str) -> bool:
    pairs = list(zip(key.split("_"), other.split("_"), strict=False))
    same_count = key.count("_") == other.count("_")
    return same_count and all(SequenceMatcher(None, *pair).ratio() >= _SAME_WORD for pair in pairs)
