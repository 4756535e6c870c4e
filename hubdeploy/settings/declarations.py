"""The deployment's settings: each declared once, with its key, how it is read, and what it derives from.

Everything else (messages, `config`, docs/settings.md, the comments of `.env`) comes from the declarations. Nothing
here reads a file or talks to an engine. Secret values are of the type Secret. The module is long because it is a table:
each setting is one declaration, and its words have no other home.
"""

from __future__ import annotations

import hashlib
import ipaddress
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field as DataclassField
from dataclasses import dataclass, field, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

from hubdeploy import family
from hubdeploy.contract.documents import Secret, User
from hubdeploy.settings import logins, readers, timezones, volume_names
from hubdeploy.settings.folders import Folder
from hubdeploy.settings.kinds import ONLY, Kind
from hubdeploy.settings.logins import LOGINS, LoginRow

# Where a value comes from: the shell, a file, or nobody set it.
SHELL, LOCAL, SHARED, DERIVED = "shell", ".env.local", ".env", "derived"
# Where a browser asks for https:// without a port.
PUBLIC_PORT = 443
# Who takes browsers' TLS: the proxy, or another one in front of it.
HERE, OUTSIDE = "here", "outside"
# Where the proxy listens behind another one.
PORT_BEHIND = 8000
LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"
LETS_ENCRYPT_STAGING = "https://acme-staging-v02.api.letsencrypt.org/directory"
# The key that everything else hangs on.
NAME = "DOCKER_MACHINE_NAME"


@dataclass(frozen=True)
class Declaration:
    """One setting: its key, how text becomes a value, what that value is beside the settings above, and what it is when
    nobody sets it."""

    key: str
    read: Callable[[str], Any]
    complete: Callable[[Settings, Any], Any]
    derive: Callable[[Settings], Any]
    derivation: str
    meaning: str
    example: str
    since: str
    secret: bool
    optional: bool  # may be None; empty then means not set
    more: str
    group: str
    written: bool


def setting(
    key: str,
    meaning: str,
    read: Callable[[str], Any],
    *,
    example: str,
    since: str = "1.0",
    default: Any = None,
    derive: Callable[[Settings], Any] | None = None,
    derivation: str | None = None,
    complete: Callable[[Settings, Any], Any] | None = None,
    secret: bool = False,
    more: str = "",
    group: str = "",
    written: bool = False,
) -> Any:
    """A field of Settings that is set by `key`.

    `meaning` is what the value is, in a few words; `more` are whole sentences that docs/settings.md adds. `derivation`
    says in words what `default` or `derive` gives, `complete` what a value that was read is beside the settings above,
    `example` is a value that somebody could write, `since` the version
    that brought the setting. `group` begins a group in the documents; without it the setting joins the group of the
    setting above. `written`: the committed .env sets it; every other setting is a comment there.
    """
    default_text = derivation if derivation is not None else ("not set" if default is None else str(default))
    optional = derive is None and default is None
    typed = (lambda text: Secret(read(text))) if secret else read
    declared = Declaration(
        key,
        typed,
        complete or (lambda _, value: value),
        derive or (lambda _: default),
        default_text,
        meaning,
        example,
        since,
        secret,
        optional,
        more,
        group,
        written,
    )
    # None only while the settings are resolved, in the order of declaration.
    return field(default=None, metadata={"declaration": declared})


@dataclass(frozen=True)
class Settings:
    """Every setting, read and checked. Sizes are bytes, CPUs a number, absent is None."""

    # A declaration's derivation may use the fields above it only.
    name: str = setting(
        "DOCKER_MACHINE_NAME", "name of the deployment", readers.deployment_name,
        default="crypticlabs-jupyterhub", example="lab", group="Name, network and volumes", written=True,
        more="Containers, networks, volumes and images derive their names from it. Another name is another deployment."
    )  # fmt: skip
    network_name: str = setting(
        "DOCKER_NETWORK_NAME", "network of the hub and the users' servers", readers.network_name,
        derive=lambda s: f"{s.name}-network", derivation="NAME-network", example="lab-shared",
        more="A network that you name is used as it is; docs/operating.md says how to make one."
    )  # fmt: skip
    data_volume: str = setting(
        "DATA_VOLUME_HOST", "volume of the hub's database and cookie secret", readers.resource_name,
        derive=lambda s: f"{s.name}-data", derivation="NAME-data", example="old-hub-data",
        more="It is a Docker volume, not a folder. A volume that you name is used as it is."
    )  # fmt: skip
    data_mount: str = setting(
        "DATA_VOLUME_CONTAINER",
        "where the hub mounts its volume",
        readers.data_mount,
        default="/data",
        example="/srv/hub-data",
    )
    user_volume: str = setting(
        "USER_VOLUME", "volume of each user; {username} stands for the user's name",
        volume_names.template, derive=lambda s: f"{s.name}-user-{volume_names.ESCAPED}",
        derivation="NAME-user-{username}", example="jupyterhub-user-{raw_username}",
        more="In {username} every character but letters and digits is replaced by - and its code. {raw_username} is the name"
        " as it is, which older deployments used: see docs/migrating.md."
    )  # fmt: skip
    image_namespace: str = setting(
        "IMAGE_NAMESPACE", "first part of the names of our images", readers.image_namespace,
        derive=lambda s: s.name, derivation="NAME", example="registry.example.org/lab", group="Images",
        more="With the default they are NAME/hub, NAME/base-notebook and so on; docs/images.md lists them."
    )  # fmt: skip
    image_tag: str = setting(
        "IMAGE_TAG", "tag of our images", readers.image_tag, default="latest", example="2026-11",
        more="Each image also keeps a tag that names its content."
    )  # fmt: skip
    base_image: str = setting(
        "BASE_IMAGE", "what every image is built on: Debian or Ubuntu with Python 3.11 or newer",
        readers.image_reference, default="ubuntu:24.04", example="debian:trixie-slim"
    )  # fmt: skip
    nb_user: str = setting(
        "NB_USER", "the user inside a server", readers.user_name, default="cryptic", example="ada",
        group="Users' servers", written=True,
        more="The home in the image, the mount point of the user's volume and the start of a server follow it."
    )  # fmt: skip
    nb_uid: int = setting(
        "NB_UID", "user number of NB_USER, from 500 up", readers.user_id, default=1000, example="1500",
        more="The files in users' volumes belong to it."
    )  # fmt: skip
    notebook_dir: str = setting(
        "DOCKER_NOTEBOOK_DIR", "where a user's volume is mounted: /home/NB_USER, or a folder in it",
        readers.container_path,
        derive=lambda s: f"{s.home}/work", derivation="/home/NB_USER/work", example="/home/cryptic/notebooks"
    )  # fmt: skip
    home_volume: str = setting(
        "HOME_VOLUME", "volume of each user's home; none: what lies outside DOCKER_NOTEBOOK_DIR goes at each stop",
        volume_names.template_or_none,
        derive=lambda s: f"{s.name}-home-{volume_names.ESCAPED}" if s.may_keep_home else volume_names.NONE,
        derivation="NAME-home-{username}; none unless DOCKER_NOTEBOOK_DIR is a folder of the home itself",
        example="none", since="1.1",
        more="The user's settings, keys, history and own packages are kept in it. {username} is as in USER_VOLUME."
        " docs/homes.md says what lies where, and what a user can do if something in the home is broken."
    )  # fmt: skip
    notebook_image: str = setting(
        "DOCKER_NOTEBOOK_IMAGE", "image of users' servers; ours is built, any other is pulled", readers.notebook_image,
        derive=lambda s: s.image_reference("base-notebook"),
        complete=lambda s, name: s.image_named(name),
        derivation="IMAGE_NAMESPACE/base-notebook:IMAGE_TAG", example="quay.io/jupyter/scipy-notebook:2026-11-01",
        more="Ours are base-notebook and minimal-notebook: the name alone is enough. docs/images.md says what an image of others"
        " must have."
    )  # fmt: skip
    spawn_command: tuple[str, ...] = setting(
        "DOCKER_SPAWN_CMD", "command that starts a server", readers.command,
        default=("start-singleuser.sh",), derivation="start-singleuser.sh", example="start-singleuser.sh --debug"
    )  # fmt: skip
    timezone: str = setting(
        "TIMEZONE", "time zone of servers, and of the logs of hub and proxy", timezones.name,
        derive=lambda _: timezones.of_this_machine(), derivation="the time zone of the machine that runs ./invoke",
        example="Europe/Berlin", since="1.1", more="Set it where more than one machine operates the deployment."
    )  # fmt: skip
    python_distribution: str = setting(
        "PYTHON_DISTRIBUTION", "what fills /opt/conda: anaconda, miniforge or wheels",
        readers.one_of("anaconda", "miniforge", "wheels"), default="anaconda", example="miniforge",
        more="docs/images.md says what each holds."
    )  # fmt: skip
    builder: str | None = setting(
        "BUILDER", "what builds our images: classic or buildx", readers.one_of("classic", "buildx"),
        derivation="classic, or buildx where the engine refuses the classic builder", example="buildx"
    )  # fmt: skip
    hub_host: str = setting(
        "HUB_HOST", "name or address that browsers use, without https:// and port", readers.host,
        default="localhost", example="jupyter.example.org", group="Address", written=True
    )  # fmt: skip
    hub_port: int = setting(
        "HUB_PORT", "port that browsers use", readers.port, default=443, example="8443", written=True
    )  # fmt: skip
    hub_path: str = setting(
        "HUB_PATH", "path below which the hub and the users' servers answer", readers.url_path,
        default="/", example="/physics/", since="1.1",
        more="Deployments on one host name need a path each, as browsers keep logins by host name and path, not by port:"
        " see docs/operating.md. A change stops running servers; `plan` names them and `up` asks first."
    )  # fmt: skip
    tls: str = setting(
        "TLS", "who takes browsers' TLS: here, or outside, where another proxy is in front", readers.one_of(HERE, OUTSIDE),
        default=HERE, example="outside", since="1.2",
        more="With outside the deployment speaks HTTP to that proxy alone, and HUB_HOST, HUB_PORT and HUB_PATH are what browsers"
        " use there. docs/going-public.md has its configuration for nginx and Caddy."
    )  # fmt: skip
    bind_address: str = setting(
        "BIND_ADDRESS", "address of the engine's host that the proxy listens on", readers.ip_address,
        derive=lambda s: "127.0.0.1" if s.behind else loopback_address(s.hub_host) or "0.0.0.0",
        derivation="127.0.0.1 if HUB_HOST is this machine itself or TLS is outside, else 0.0.0.0", example="192.0.2.7"
    )  # fmt: skip
    listen_port: int = setting(
        "LISTEN_PORT", "port that the proxy listens on", readers.port,
        derive=lambda s: PORT_BEHIND if s.behind else s.hub_port,
        derivation=f"HUB_PORT; {PORT_BEHIND} if TLS is outside", example="8443", since="1.2",
        more="Set it where a router or another proxy leads HUB_PORT to another port of the engine's host."
    )  # fmt: skip
    trusted_proxies: tuple[str, ...] | None = setting(
        "TRUSTED_PROXIES", "addresses and networks of the proxies in front, where they are other machines", readers.addresses,
        derivation="none: this machine alone", example="192.0.2.10, 2001:db8::/64", since="1.2",
        more="It goes together with TLS=outside and a BIND_ADDRESS that other machines reach. The guard closes LISTEN_PORT to"
        " everybody else; the engine's host itself is always let in."
    )  # fmt: skip
    allowed_networks: tuple[str, ...] | None = setting(
        "ALLOWED_NETWORKS", "private networks, addresses and names that users' servers may reach", readers.networks,
        derivation="none: the Internet and the hub alone", since="1.2",
        example="10.1.2.0/24, db.example.org:5432",
        more="A port behind a colon opens that port alone. What is on the engine's host counts as private too. Other users'"
        " servers, and the addresses at which clouds offer their metadata, stay closed. docs/security.md says who reaches what."
    )  # fmt: skip
    callback_url: str = setting(
        "OAUTH_CALLBACK_URL", "authorization callback URL of the application at GitHub or another provider", readers.url,
        derive=lambda s: f"{s.public_url}/hub/oauth_callback", derivation="https://HUB_HOST:HUB_PORT/HUB_PATH/hub/oauth_callback",
        example="https://jupyter.example.org/hub/oauth_callback", group="Login",
        more="Port 443 is left out. A URL that disagrees with HUB_HOST, HUB_PORT and HUB_PATH is refused."
    )  # fmt: skip
    github_client_id: str | None = setting(
        "GITHUB_CLIENT_ID", "client ID for your GitHub OAuth application", readers.token,
        example="Iv1.0123456789abcdef", written=True, more="README.md says how to get one."
    )  # fmt: skip
    github_client_secret: Secret[str] | None = setting(
        "GITHUB_CLIENT_SECRET",
        "client secret of the GitHub application",
        readers.client_secret,
        secret=True,
        example="0123456789abcdef0123456789abcdef01234567",
    )
    github_url: str = setting(
        "GITHUB_URL",
        "GitHub, or a GitHub Enterprise server",
        readers.github_url,
        default="https://github.com",
        example="https://github.example.org",
    )
    allowed_organizations: tuple[str, ...] | None = setting(
        "ALLOWED_ORGANIZATIONS", "organizations and teams at GitHub whose members may log in, with commas between",
        readers.organizations, derivation="users of userlist alone", example="cryptic-labs, other:data-team", since="1.2",
        more="A team is `organization:team`. Users of userlist may log in as well. Whoever has left both is refused at the next"
        " login, and within an hour their session ends and their server stops."
    )  # fmt: skip
    admin_organizations: tuple[str, ...] | None = setting(
        "ADMIN_ORGANIZATIONS", "organizations and teams at GitHub whose members log in as admins, with commas between",
        readers.organizations, derivation="admins of userlist alone", example="cryptic-labs:operators", since="1.2",
        more="The flag admin in userlist counts as well. Whoever has left both is no admin at the next login, and within an hour."
    )  # fmt: skip
    oidc_issuer: str | None = setting(
        "OIDC_ISSUER", "OpenID Connect provider by which users log in, as it calls itself", readers.issuer,
        example="https://id.example.org/realms/lab", since="1.2",
        more="`up` asks it for its addresses. docs/logins.md has the issuers of Google, GitLab, Microsoft and Keycloak."
    )  # fmt: skip
    oidc_client_id: str | None = setting(
        "OIDC_CLIENT_ID", "client ID that the OpenID Connect provider gave this hub", readers.token,
        example="jupyterhub-of-lab-3", since="1.2"
    )  # fmt: skip
    oidc_client_secret: Secret[str] | None = setting(
        "OIDC_CLIENT_SECRET", "client secret that the OpenID Connect provider gave this hub", readers.client_secret,
        secret=True, example="fedcba98-7654-3210-fedc-ba9876543210", since="1.2"
    )  # fmt: skip
    oidc_username_claim: str = setting(
        "OIDC_USERNAME_CLAIM", "claim of the provider's token that names the user", readers.claim,
        default="preferred_username", example="email", since="1.2",
        more="Take one that users cannot change themselves, and that no two users share. With email the provider must have"
        " verified the address."
    )  # fmt: skip
    oidc_groups_claim: str = setting(
        "OIDC_GROUPS_CLAIM", "claim of the provider's token that lists a user's groups", readers.claim,
        default="groups", example="roles", since="1.2"
    )  # fmt: skip
    allowed_groups: tuple[str, ...] | None = setting(
        "ALLOWED_GROUPS", "groups of the provider whose members may log in, with commas between", readers.groups,
        derivation="users of userlist alone", example="students, lab 3", since="1.2",
        more="Users of userlist may log in as well. Who has left both is refused at the next login."
    )  # fmt: skip
    admin_groups: tuple[str, ...] | None = setting(
        "ADMIN_GROUPS", "groups of the provider whose members log in as admins, with commas between", readers.groups,
        derivation="admins of userlist alone", example="teachers", since="1.2",
        more="The flag admin in userlist counts as well. Who has left both is no admin at the next login."
    )  # fmt: skip
    authenticator: str = setting(
        "AUTHENTICATOR", f"how users log in: {' or '.join(LOGINS)}", readers.one_of(*LOGINS), derive=logins.derived,
        derivation="github if both GITHUB_ keys are set, oidc if OIDC_ISSUER, OIDC_CLIENT_ID and OIDC_CLIENT_SECRET are,"
        " else shared-password", example="shared-password",
        more="shared-password is refused where other machines can reach the hub. With accounts each user chooses a password at"
        " a link: docs/logins.md."
    )  # fmt: skip
    user_password: Secret[str] | None = setting(
        "USER_PASSWORD", "the users' password for shared-password, 8 characters or more",
        readers.at_least(readers.SHORTEST_SECRET), derivation="generated once into .env.local", secret=True,
        example="'a phrase to read out'"
    )  # fmt: skip
    admin_password: Secret[str] | None = setting(
        "ADMIN_PASSWORD", "the admins' password for shared-password, 32 characters or more", readers.at_least(32),
        derivation="generated once into .env.local", secret=True, example="'thirty-two characters or more, kept'"
    )  # fmt: skip
    memory_limit: int | None = setting(
        "USER_MEMORY_LIMIT", "memory of one server, such as 2G", readers.size,
        derivation="half of the engine's memory", example="4G", group="Limits and rights of a server",
        more="A server gets no swap beyond it. /dev/shm has the same size, and what lies there counts as the server's memory."
    )  # fmt: skip
    memory_guarantee: int | None = setting(
        "USER_MEMORY_GUARANTEE", "memory that each server is sure to get, such as 512M; or none", readers.guarantee_or_none,
        default=readers.Bytes(256 * 1024**2), derivation="256M", example="512M", since="1.2",
        more="A server starts when the host has so much for it, beside what the others are sure to get or take. Otherwise its"
        " user waits on a page that says so, and the server starts by itself when there is room. With none no server waits for"
        " memory."
    )  # fmt: skip
    host_memory: int | None = setting(
        "HOST_MEMORY", "memory that users' servers and this deployment may take together, such as 12G", readers.size,
        derivation="the engine's memory", example="24G", since="1.2",
        more="Less than the engine has, where it runs other things as well. 512M of it are for the deployment and the engine."
    )  # fmt: skip
    cpu_limit: float | None = setting(
        "USER_CPU_LIMIT", "CPUs of one server, such as 1.5", readers.cpus, derivation="no limit", example="1.5"
    )
    disk_limit: int | None = setting(
        "USER_DISK_LIMIT", "what all files of one user may take of the engine's disk, such as 10G", readers.disk_size,
        derivation="no limit", example="20G", since="1.2",
        more="JupyterLab tells its user from 80 % on. Beyond the limit a server starts without its user's settings and packages,"
        " until files are deleted. An engine that can (XFS with project quotas) also refuses what is beyond the limit, in"
        " volumes that it makes from now on."
    )  # fmt: skip
    pids_limit: int = setting(
        "USER_PIDS_LIMIT", "processes and threads of one server", readers.pids, default=4096, example="1024"
    )
    idle_timeout: int | None = setting(
        "IDLE_TIMEOUT", "a server in which nothing ran for so long is stopped, such as 12h or 90m; or none",
        readers.length_or_none, default=readers.Seconds(12 * 3600), derivation="12h", example="none", since="1.2",
        more="A cell or a program that runs counts, also without output and without a browser, and so does a page of JupyterLab"
        " that is in sight. JupyterLab says so ten minutes before and offers to keep the server. Files stay; variables are lost."
    )  # fmt: skip
    max_age: int | None = setting(
        "MAX_AGE", "a server that has run for so long is stopped, whatever runs in it, such as 7d; or none",
        readers.length_or_none, derive=lambda _: None, derivation="none", example="7d", since="1.2",
        more="JupyterLab says so ten minutes before. Its user may start another at once."
    )  # fmt: skip
    kernel_idle_timeout: int | None = setting(
        "KERNEL_IDLE_TIMEOUT", "a kernel in which nothing ran for so long is shut down, such as 1h; or none",
        readers.length_or_none, derive=lambda _: None, derivation="none", example="24h", since="1.2",
        more="Also one whose notebook is open in a page, which gives its memory back. A kernel that computes stays. It acts in"
        " this project's own images, from a server's next start."
    )  # fmt: skip
    course_repositories: tuple[str, ...] | None = setting(
        "COURSE_REPOSITORIES", "repositories from which links of nbgitpuller may fetch course material, with commas between",
        readers.course_repositories, derivation="none: there are no such links", since="1.2",
        example="https://github.com/physics/*, https://git.example.org/maths/algebra",
        more="* at the end stands for any one name. Users read on a page what a link would fetch, and it goes below the folder"
        " courses alone. It acts in this project's own images, from a server's next start. docs/courses.md is for teachers."
    )  # fmt: skip
    cards: tuple[str, ...] | None = setting(
        "GPUS", "cards (GPUs) of the engine's host that servers of some kinds get one by one, with commas between",
        readers.cards, derivation="none", since="1.2", example="0, 1",
        more="NVIDIA's numbers or UUIDs, names of the Container Device Interface, or paths of devices with + between, the card's"
        " own first. A kind of servers has cards by `gpus` in servers.yml; docs/servers.md says what was tried."
    )  # fmt: skip
    grant_sudo: bool = setting(
        "GRANT_SUDO", "yes: every server may use sudo; no: users with the flag sudo may", readers.yes_or_no,
        default=False, derivation="no", example="yes"
    )  # fmt: skip
    hub_title: str = setting(
        "HUB_TITLE", "name of the hub on its pages and in the browser's tab", readers.title, default="JupyterHub",
        example="'Lab 3 notebooks'", since="1.1", group="The hub's pages"
    )  # fmt: skip
    hub_logo: Path | None = setting(
        "HUB_LOGO", "picture on the hub's pages, a file on this machine", readers.picture_file, example="logo.svg",
        since="1.1", more="PNG, JPEG, GIF, WebP or SVG, at most 256 KiB; the pages show it 28 pixels high."
    )  # fmt: skip
    hub_announcement: str | None = setting(
        "HUB_ANNOUNCEMENT", "text on top of each page of the hub", readers.announcement,
        example="'The hub is down on Friday from 6 to 8 pm.'", since="1.1",
        more="Plain text, at most 1000 characters. This setting and the others of this group change without a restart of"
        " the hub."
    )  # fmt: skip
    hub_help_url: str | None = setting(
        "HUB_HELP_URL", "page that the link Help of the hub's pages leads to", readers.web_page,
        example="https://wiki.example.org/jupyter?for=students#start", since="1.1"
    )  # fmt: skip
    secrets_volume: str | None = setting(
        "SECRETS_VOLUME", "volume that holds NAME.crt and NAME.key, instead of jupyterhub/secrets",
        readers.resource_name, example="lab-secrets", group="Certificates",
        more="docs/operating.md says how to fill it."
    )  # fmt: skip
    extra_ca_bundle: Path | None = setting(
        "EXTRA_CA_BUNDLE", "PEM file of certificate authorities to trust as well", readers.existing_file,
        example="/etc/ssl/certs/ca-certificates.crt",
        more="For networks that intercept TLS. Builds, the hub and the notebooks of our images trust them. The task setup"
        " sets it where it is needed."
    )  # fmt: skip
    acme_email: str | None = setting(
        "ACME_EMAIL", "e-mail address that the authority writes to when something is wrong with the certificate",
        readers.email, example="admin@example.org", since="1.2",
        more="With it the proxy gets a certificate for HUB_HOST from ACME_SERVER and renews it. docs/going-public.md says what"
        " this needs. For other names, and until the certificate is there, a self-made one serves."
    )  # fmt: skip
    acme_server: str = setting(
        "ACME_SERVER", "directory of the authority that signs the certificate (RFC 8555)", readers.acme_server,
        default=LETS_ENCRYPT, derivation="Let's Encrypt's", since="1.2",
        example="https://ca.example.org/acme/directory"
    )  # fmt: skip
    acme_staging: str | None = setting(
        "ACME_STAGING", "directory of the authority's server for rehearsals; or none", readers.acme_server_or_none,
        derive=lambda s: LETS_ENCRYPT_STAGING if s.acme_server == LETS_ENCRYPT else None, since="1.2",
        derivation="Let's Encrypt's, if ACME_SERVER is Let's Encrypt's", example="https://staging.example.org/acme/directory",
        more="Before a certificate is ordered this server asks what ACME_SERVER will ask. Its failures count nowhere."
    )  # fmt: skip
    acme_ca_bundle: Path | None = setting(
        "ACME_CA_BUNDLE", "PEM file of the authorities to trust when the proxy asks ACME_SERVER", readers.existing_file,
        example="/etc/ssl/certs/campus-ca.pem", since="1.2", derivation="those that the image of the proxy trusts"
    )  # fmt: skip
    acme_eab_kid: str | None = setting(
        "ACME_EAB_KID", "key identifier for external account binding, which some authorities give to their customers",
        readers.token, example="kid-1", since="1.2", more="It goes together with ACME_EAB_HMAC."
    )  # fmt: skip
    acme_eab_hmac: Secret[str] | None = setting(
        "ACME_EAB_HMAC", "key for external account binding", readers.mac_key, secret=True, since="1.2",
        example="zWNDZM6eQGHWpSRTPal5eIUYFTu7EajV"
    )  # fmt: skip
    acme_days: float = setting(
        "ACME_DAYS", "how many days a certificate of ACME_SERVER is valid", readers.days, default=90.0, derivation="90",
        example="45", since="1.2", more="It decides how long before its end a certificate is renewed: about a third of this."
    )  # fmt: skip
    acme_dns: tuple[str, ...] | None = setting(
        "ACME_DNS", "name servers that know HUB_HOST as ACME_SERVER does; or none", readers.name_servers, since="1.2",
        derivation="those of the engine's host", example="192.0.2.53, [2001:db8::53]:5353",
        more="Before a certificate is ordered they are asked whether the name leads here. Set it where your own network gives the"
        " name another address than the Internet does. none: nothing is looked at, and the authority finds out."
    )  # fmt: skip
    http_port: int | None = setting(
        "HTTP_PORT", "port for requests without TLS: they lead to https, and ACME_SERVER asks there; or none",
        readers.port_or_none, derive=lambda s: 80 if s.takes_plain_requests else None,
        derivation="80 if ACME_EMAIL is set, or if other machines reach the proxy at port 443, else none", example="8080",
        since="1.2", more="Authorities ask at port 80. Another port needs something in front that leads port 80 to it. Without"
        " ACME_EMAIL, a port 80 that somebody else has is left to them, with a warning."
    )  # fmt: skip

    backup_repository: str | None = setting(
        "BACKUP_REPOSITORY", "restic's repository for backups, as restic writes its address", readers.repository,
        derivation="the volume NAME-backup on the same engine", example="sftp:backup@nas.example.org:/lab", since="1.2",
        group="Backup",
        more="The volume helps against slips alone, not against the loss of the disk. docs/operating.md says what else is needed"
        " for sftp and for object stores."
    )  # fmt: skip
    backup_password: Secret[str] | None = setting(
        "BACKUP_PASSWORD", "password of BACKUP_REPOSITORY, 16 characters or more", readers.at_least(16),
        derivation="generated once into .env.local", secret=True, example="'sixteen characters, kept elsewhere too'",
        since="1.2", more="Keep it elsewhere too: without it nobody can read a backup."
    )  # fmt: skip
    backup_keep: tuple[str, ...] = setting(
        "BACKUP_KEEP", "which backups stay, by age", readers.kept, derive=lambda _: ("7 daily", "4 weekly", "12 monthly"),
        derivation="7 daily, 4 weekly, 12 monthly", example="14 daily, 6 monthly, 3 yearly", since="1.2",
        more="The words are last, hourly, daily, weekly, monthly and yearly. Older ones are removed after each backup."
    )  # fmt: skip

    backup_at: str | None = setting(
        "BACKUP_AT", "time of day at which a backup is taken by itself, in TIMEZONE; or none", readers.time_of_day_or_none,
        derive=lambda _: None, derivation="none", example="03:00", since="1.2",
        more="A backup that fails is tried again each hour. status says how the last one went, and ends with 1 where it failed"
        " or is too old."
    )  # fmt: skip

    users: tuple[User, ...] = ()
    kinds: tuple[Kind, ...] = ()
    folders: tuple[Folder, ...] = ()
    # Variable of users' servers -> its value.
    server_secrets: Mapping[str, Secret[str]] = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict)
    root: Path = Path()

    @property
    def public_url(self) -> str:
        """The URL that a user types, without a slash at the end; the default port is left out."""
        return f"https://{self.public_address}{self.hub_path.rstrip('/')}"

    @property
    def public_address(self) -> str:
        """Host and port as browsers send them; the default port is left out."""
        host = f"[{self.hub_host}]" if ":" in self.hub_host else self.hub_host
        return host if self.hub_port == PUBLIC_PORT else f"{host}:{self.hub_port}"

    @property
    def behind(self) -> bool:
        """Whether another proxy takes browsers' TLS and passes their requests on."""
        return self.tls == OUTSIDE

    @property
    def for_this_machine_alone(self) -> bool:
        """Whether no other machine reaches the hub. What another proxy lets in cannot be checked."""
        return not self.behind and loopback_address(self.bind_address) is not None

    @property
    def asks_who_passes(self) -> bool:
        """Whether other machines reach the port that only proxies in front may use."""
        return self.behind and loopback_address(self.bind_address) is None

    @property
    def home(self) -> str:
        """The home of NB_USER in a server."""
        return f"/home/{self.nb_user}"

    @property
    def may_keep_home(self) -> bool:
        """Whether a volume can be the home, around the notebook directory's: in a lasting home a user could move a folder
        on the way to a deeper one, and put a link there that leads the engine elsewhere."""
        return self.notebook_dir.rpartition("/")[0] == self.home

    @property
    def volume_templates(self) -> tuple[str, ...]:
        """The templates of each user's volumes."""
        homes = () if self.home_volume == volume_names.NONE else (self.home_volume,)
        return (*homes, self.user_volume)

    @property
    def hub_name(self) -> str:
        """The hub's container, and its alias on the users' network."""
        return f"{self.name}-hub"

    @property
    def takes_plain_requests(self) -> bool:
        """Whether somebody has a reason to ask without TLS: an authority, or people of other machines who type http:// and mean
        this hub."""
        typed = self.hub_port == self.listen_port == PUBLIC_PORT and loopback_address(self.bind_address) is None
        return not self.behind and (self.acme_email is not None or typed)

    @property
    def proxy_name(self) -> str:
        return f"{self.name}-proxy"

    @property
    def api_network_name(self) -> str:
        """The network that only hub and proxy join."""
        return f"{self.name}-proxy-api"

    @property
    def bridge_name(self) -> str:
        """The bridge of the users' network on the engine's host, where the network is made by us: 15 letters at most."""
        return f"hub-{hashlib.sha256(self.network_name.encode()).hexdigest()[:10]}"

    @property
    def marks_servers(self) -> bool:
        """Whether other people's containers may be in the users' network: then servers are marked."""
        return self.is_set("DOCKER_NETWORK_NAME")

    @property
    def guard_volume(self) -> str:
        """The guard's socket."""
        return f"{self.name}-guard"

    @property
    def filter_volume(self) -> str:
        """The filter's socket."""
        return f"{self.name}-filter"

    @property
    def server_secrets_volume(self) -> str:
        """Secrets in the environment of users' servers, of the filter alone."""
        return f"{self.name}-server-secrets"

    @property
    def clock_volume(self) -> str:
        """The filter's socket for the clock."""
        return f"{self.name}-clock"

    @property
    def backup_volume(self) -> str:
        """The repository of backups, where BACKUP_REPOSITORY names no other."""
        return f"{self.name}-backup"

    @property
    def backup_documents_volume(self) -> str:
        """What a backup's helper needs: password, the operator's files, copies of databases."""
        return f"{self.name}-backup-documents"

    @property
    def routes_volume(self) -> str:
        """Routes, which the hub writes and the proxy reads."""
        return f"{self.name}-routes"

    @property
    def proxy_volume(self) -> str:
        """Configuration and certificates, of the proxy alone."""
        return f"{self.name}-proxy"

    @property
    def hub_volume(self) -> str:
        """The hub's documents."""
        return f"{self.name}-hub"

    @property
    def states_volume(self) -> str:
        """What a new hub can go back to: the database, the hub's documents, and the image that they belong to."""
        return f"{self.name}-states"

    @property
    def reserve_volume(self) -> str:
        """Room on the engine's disk that the hub keeps."""
        return f"{self.name}-reserve"

    @property
    def component_volumes(self) -> dict[str, str]:
        """Volume -> whose it is, of those that no setting names."""
        return {
            self.proxy_volume: "proxy",
            self.guard_volume: "guard",
            self.filter_volume: "filter",
            self.server_secrets_volume: "filter",
            self.clock_volume: "clock",
            self.backup_volume: "backup",
            self.backup_documents_volume: "backup",
            self.hub_volume: "hub",
            self.states_volume: "hub",
            self.reserve_volume: "hub",
            self.routes_volume: "hub",
        }

    @property
    def server_name_template(self) -> str:
        """Name of a user's container, as DockerSpawner's template."""
        return f"{self.name}-user-{{username}}"

    @property
    def own_address(self) -> str:
        """The address at which the engine's host itself reaches the proxy: what stands for all addresses leads there too."""
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.bind_address, self.bind_address)

    @property
    def certificate_path(self) -> Path:
        return self.root / "jupyterhub" / "secrets" / f"{self.name}.crt"

    @property
    def key_path(self) -> Path:
        return self.root / "jupyterhub" / "secrets" / f"{self.name}.key"

    @property
    def local_path(self) -> Path:
        return self.root / LOCAL

    @property
    def login(self) -> LoginRow:
        return LOGINS[self.authenticator]

    def is_set(self, key: str) -> bool:
        """True if a person set the key; False if its value derives."""
        return self.origins.get(key, DERIVED) != DERIVED

    @property
    def server_kinds(self) -> tuple[Kind, ...]:
        """The kinds of servers; where nobody wrote kinds, the only one."""
        return self.kinds or (ONLY,)

    def image_of(self, kind: Kind) -> str:
        """The reference of the image that servers of the kind have."""
        return self.image_named(kind.taking("image", self.notebook_image))

    @property
    def server_images(self) -> tuple[str, ...]:
        """The references of the images that users' servers have, each once, in the order of the kinds."""
        return tuple(dict.fromkeys(self.image_of(one) for one in self.server_kinds))

    @property
    def notebook_members(self) -> tuple[str, ...]:
        """The images of our family among them."""
        return tuple(filter(None, map(self.member_of, self.server_images)))

    def member_of(self, reference: str) -> str | None:
        """Which of our images for users' servers it names; None if it is a foreign one."""
        serving = (member.name for member in family.FAMILY.values() if member.serves_users)
        return next((name for name in serving if self.image_reference(name) == reference), None)

    def image_named(self, name: str) -> str:
        """The reference of the image of our family with this name; any other name is a reference already."""
        return self.image_reference(name) if name in family.FAMILY else name

    def image_reference(self, image: str) -> str:
        """The reference of one of our images, such as NAME/hub:latest for `hub`."""
        return f"{self.image_namespace}/{image}:{self.image_tag}"


def loopback_address(host: str) -> str | None:
    """The IP address of `host` if it is this machine itself (localhost or a loopback address); else None."""
    if host == "localhost":
        return "127.0.0.1"
    try:
        return host if ipaddress.ip_address(host).is_loopback else None
    except ValueError:
        return None


def is_public_name(host: str) -> bool:
    """True for a name with a domain: an authority signs no address, and no name of one word."""
    return "." in host and ":" not in host and not host.rpartition(".")[2].isdecimal()


def declarations() -> Mapping[str, tuple[str, Declaration]]:
    """Key -> (field of Settings, declaration), in the order of declaration."""
    return _declarations(Settings)


@cache
def _declarations(settings: type[Settings]) -> Mapping[str, tuple[str, Declaration]]:
    declared: list[DataclassField[Any]] = [one for one in fields(settings) if "declaration" in one.metadata]
    return {one.metadata["declaration"].key: (one.name, one.metadata["declaration"]) for one in declared}


def keys_of_fields() -> dict[str, str]:
    """Field of Settings -> key."""
    return {field: key for key, (field, _) in declarations().items()}


def defaults(**given: Any) -> Settings:
    """Settings in which `given` (field -> value) is set and all others derive; no users."""
    found = Settings(**given)
    for attribute, declaration in declarations().values():
        if attribute not in given:
            found = replace(found, **{attribute: declaration.derive(found)})
    return found


def joined(declaration: Declaration, values: Sequence[str]) -> str:
    """A list as it stands in .env: a command as a shell reads it, all others with commas between."""
    return shlex.join(values) if declaration.read is readers.command else ", ".join(values)


def masked(settings: Settings) -> dict[str, Any]:
    """Key -> value as `config` may print it: secrets as ***, paths, commands, amounts and lengths of time as text."""
    shown: dict[str, Any] = {}
    for key, (attribute, declaration) in declarations().items():
        value = getattr(settings, attribute)
        if isinstance(value, Secret | Path | readers.Seconds | readers.Bytes):
            value = str(value)
        elif isinstance(value, tuple):
            value = joined(declaration, value)
        shown[key] = value
    return shown
