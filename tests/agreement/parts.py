"""The readings of the engine's requests: images, networks, volumes, and the containers of hub and proxy."""

from __future__ import annotations

import hashlib
import ipaddress
import json
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import jupyterhub

from hubdeploy import family
from hubdeploy.blueprint import documents, routing
from hubdeploy.blueprint.component import mac_address
from hubdeploy.blueprint.components import proxy
from hubdeploy.contract import jobs, labels
from hubdeploy.contract.documents import DEPLOYMENT_HEADER
from hubdeploy.settings.declarations import Settings
from hubdeploy.settings.kinds import Kind
from tests.agreement.border import KEYS, bundle
from tests.agreement.files import digest
from tests.agreement.leaves import Leaves
from tests.agreement.reading import ABSENT, Reading, Readings
from tests.agreement.wire import SUBNET


def notebook(s: Settings) -> str | None:
    """Which of our images users' servers run; None for a foreign one."""
    serving = [member.name for member in family.FAMILY.values() if member.serves_users]
    return next((name for name in serving if f"{s.image_namespace}/{name}:{s.image_tag}" == s.notebook_image), None)


def with_image_of(s: Settings, kind: Kind) -> Settings:
    """The settings with the image that the kind of servers names, if it does."""
    named = str(kind.taking("image", s.notebook_image))
    return replace(s, notebook_image=f"{s.image_namespace}/{named}:{s.image_tag}" if named in family.FAMILY else named)


def images(s: Settings, leaves: Leaves) -> Readings:
    serving = [with_image_of(s, kind) for kind in s.kinds] or [s]
    members = [member for own in serving if (member := notebook(own))]
    pulled = dict.fromkeys([s.base_image, *(own.notebook_image for own in serving if notebook(own) is None)])
    yield Reading("BASE_IMAGE", "pull[0]", s.base_image)
    for number, reference in enumerate((*list(pulled)[1:], ABSENT), start=1):
        yield Reading("DOCKER_NOTEBOOK_IMAGE", f"pull[{number}]", reference)
    wanted = family.with_ancestors(("proxy", "hub", *members))
    yield Reading("DOCKER_NOTEBOOK_IMAGE IMAGE_NAMESPACE IMAGE_TAG", "built", wanted)
    yield Reading("BUILDER", "builder", s.builder or "classic")
    for name in wanted:
        yield from _image(s, leaves, name)


def _image(s: Settings, leaves: Leaves, name: str) -> Readings:
    at, carried = f"build[{name}]", f"build[{name}].labels"
    parent = family.FAMILY[name].parent
    content = str(leaves.get(f"{carried}.{labels.CONTENT}"))
    yield Reading("IMAGE_NAMESPACE IMAGE_TAG", f"{at}.reference", f"{s.image_namespace}/{name}:{s.image_tag}")
    yield Reading("IMAGE_NAMESPACE", f"{at}.content_reference", f"{s.image_namespace}/{name}:{content[:12]}")
    yield Reading("an image's content", f"{at}.tagged", leaves.get(f"{at}.content_reference"))
    yield Reading("DOCKER_MACHINE_NAME", f"{carried}.{labels.DEPLOYMENT}", s.name)
    yield Reading("an image's role", f"{carried}.{labels.ROLE}", f"image:{name}")
    yield Reading("IMAGE_NAMESPACE", f"{carried}.{labels.REPOSITORY}", f"{s.image_namespace}/{name}")
    if parent is None:
        yield Reading("BASE_IMAGE", f"{at}.arguments.PARENT", s.base_image)
        authorities = digest(bundle(s.extra_ca_bundle)) if s.extra_ca_bundle else ABSENT
        yield Reading("EXTRA_CA_BUNDLE", f"{at}.context.authorities", authorities)
    else:
        content_reference = leaves.get(f"build[{parent}].content_reference")
        yield Reading("an image's parent", f"{at}.arguments.PARENT", content_reference)
        yield Reading("EXTRA_CA_BUNDLE", f"{at}.context.authorities", ABSENT)
    for key, argument, value in _arguments(s, name):
        yield Reading(key, f"{at}.arguments.{argument}", value)
        yield Reading(key, f"{carried}.{labels.INPUTS}.{argument}", value)
    version = (jupyterhub.__version__,) if name in ("hub", "base-notebook") else ()
    yield Reading("JupyterHub's version", f"{at}.context.jupyterhub", version)


def _arguments(s: Settings, name: str) -> list[tuple[str, str, str]]:
    """Key, build argument, value."""
    if name == "anaconda3":
        return [("PYTHON_DISTRIBUTION", "PYTHON_DISTRIBUTION", s.python_distribution)]
    if name == "base-notebook":
        directory = ("DOCKER_NOTEBOOK_DIR", "NOTEBOOK_DIR", s.notebook_dir)
        return [("NB_USER", "NB_USER", s.nb_user), ("NB_UID", "NB_UID", str(s.nb_uid)), directory]
    return []


def networks_and_volumes(s: Settings, leaves: Leaves) -> Readings:
    for place, key, name, role in (
        ("network[users]", "DOCKER_NETWORK_NAME", s.network_name, "network"),
        ("network[api]", "the proxy's network", s.api_network_name, "api-network"),
        ("volume[data]", "DATA_VOLUME_HOST", s.data_volume, "data-volume"),
        ("volume[proxy]", "the proxy's volume", s.proxy_volume, "proxy-volume"),
        ("volume[hub]", "the hub's volume", s.hub_volume, "hub-volume"),
        ("volume[states]", "the volume of states", s.states_volume, "states-volume"),
        ("volume[reserve]", "the hub's reserve", s.reserve_volume, "reserve-volume"),
        ("volume[routes]", "the volume of routes", s.routes_volume, "routes-volume"),
        ("volume[guard]", "the guard's volume", s.guard_volume, "guard-volume"),
        ("volume[filter]", "the filter's volume", s.filter_volume, "filter-volume"),
        ("volume[server-secrets]", "the filter's own volume", f"{s.name}-server-secrets", "server-secrets-volume"),
        ("volume[clock]", "the clock's volume", s.clock_volume, "clock-volume"),
        ("volume[backup]", "the volume of backups", s.backup_volume, "backup-volume"),
        ("volume[backup-documents]", "the backups' documents", s.backup_documents_volume, "backup-documents-volume"),
    ):
        yield Reading(key, f"{place}.Name", name)
        yield Reading("DOCKER_MACHINE_NAME", f"{place}.Labels.{labels.DEPLOYMENT}", s.name)
        yield Reading(f"role of {place}", f"{place}.Labels.{labels.ROLE}", role)
    yield Reading("users' servers may reach others", "network[users].Internal", ABSENT)
    yield Reading("the bridge of the network", "network[users].Options.com.docker.network.bridge.name", s.bridge_name)
    yield Reading("users' servers never reach the proxy's API", "network[api].Internal", True)


def containers(s: Settings, leaves: Leaves) -> Readings:
    for role, name in (("hub", s.hub_name), ("proxy", s.proxy_name)):
        at = f"container[{role}]"
        yield Reading(f"the {role}'s name", f"{at}.Name", name)
        yield Reading(f"the {role}'s name", f"{at}.filled.Name", name)
        yield Reading(f"the {role}'s name", f"{at}.started.Name", name)
        yield Reading(f"the {role}'s name", f"{at}.Networks[1].Container", name)
        yield Reading("IMAGE_NAMESPACE IMAGE_TAG", f"{at}.Image", f"{s.image_namespace}/{role}:{s.image_tag}")
        yield Reading("DOCKER_MACHINE_NAME", f"{at}.Labels.{labels.DEPLOYMENT}", s.name)
        yield Reading(f"the {role}'s role", f"{at}.Labels.{labels.ROLE}", role)
        door = (f"DOOR={s.bind_address} {s.listen_port}",) if role == "proxy" and _has_door(s) else ()
        yield Reading("TIMEZONE TLS BIND_ADDRESS LISTEN_PORT", f"{at}.Env", (f"TZ={s.timezone}", *door))
        yield Reading("DOCKER_NETWORK_NAME", f"{at}.Networks[0].Name", s.network_name)
        yield Reading("the proxy's network", f"{at}.Networks[1].Name", s.api_network_name)
        yield Reading("DOCKER_NETWORK_NAME", f"{at}.HostConfig.NetworkMode", s.network_name)
        yield Reading(f"the {role}'s MAC address", f"{at}.MacAddress", mac_address(s, role))
        yield Reading(f"the {role}'s MAC address", f"{at}.Networks[0].MacAddress", mac_address(s, role))
    yield from _guard(s)
    yield from _filter(s, leaves)
    yield from _clock(s, leaves)
    yield from _proxy(s)
    yield from _hub(s)
    for role in ("guard", "filter", "clock", "hub", "proxy"):
        for part, text in _shape(leaves, f"container[{role}]").items():
            yield Reading("what makes a container anew", f"container[{role}].Labels.{labels.SHAPE}.{part}", text)


def _kept(s: Settings) -> dict[str, str | None]:
    shared = [one.name for one in s.folders if not (one.volume or one.path or one.nfs or one.cifs)]
    ours = {f"shared {name}": f"{s.name}-shared-{name}" for name in shared}
    return {"proxy": f"{s.name}-proxy", "data": s.data_volume, **ours, "brought": s.secrets_volume}


def _users(s: Settings) -> tuple[str, ...]:
    return (*(() if s.home_volume == "none" else (s.home_volume,)), s.user_volume)


def backup(s: Settings, leaves: Leaves) -> Readings:
    """What a backup's helper gets."""
    taken = list(filter(None, _kept(s).values()))
    mounts = [*(f"{one} at /volumes/{one}" for one in taken), f"{s.name}-backup-documents at /documents"]
    mounts += [] if s.backup_repository else [f"{s.name}-backup at /repository"]
    yield Reading("DOCKER_MACHINE_NAME", "backup.deployment", s.name)
    yield Reading("DATA_VOLUME_HOST SECRETS_VOLUME BACKUP_REPOSITORY", "backup.mounts", tuple(sorted(mounts)))
    for part, name in _kept(s).items():
        yield Reading("DATA_VOLUME_HOST SECRETS_VOLUME", f"backup.parts.{part}", name or ABSENT)
    yield Reading("HOME_VOLUME USER_VOLUME", "backup.user_volumes", _users(s))
    yield Reading("BACKUP_REPOSITORY", "backup.repository", s.backup_repository or "")
    yield Reading("BACKUP_REPOSITORY", "backup.network", "bridge" if s.backup_repository else "none")
    yield Reading("BACKUP_KEEP", "backup.keep", s.backup_keep)
    made = "made-by-the-first-backup"
    yield Reading("BACKUP_PASSWORD", "backup.password", s.backup_password.reveal() if s.backup_password else made)


def _guard(s: Settings) -> Readings:
    at = "container[guard]"
    yield Reading("the guard's name", f"{at}.Name", f"{s.name}-guard")
    yield Reading("the guard's name", f"{at}.started.Name", f"{s.name}-guard")
    yield Reading("the guard sees the host's network", f"{at}.HostConfig.NetworkMode", "host")
    yield Reading("IMAGE_NAMESPACE IMAGE_TAG", f"{at}.Image", f"{s.image_namespace}/hub:{s.image_tag}")
    yield Reading("DOCKER_MACHINE_NAME", f"{at}.Labels.{labels.DEPLOYMENT}", s.name)
    yield Reading("the guard's volume", f"{at}.HostConfig.Mounts[0].Source", s.guard_volume)
    yield Reading("the guard may change the host's network and no more", f"{at}.HostConfig.CapAdd", ("NET_ADMIN",))
    urls = {"github": [s.github_url], "oidc": [f"{s.oidc_issuer}/token", KEYS]}.get(s.authenticator, [])
    urls += [s.acme_server] if s.acme_email else []
    asked = tuple(dict.fromkeys(map(_host_and_port, urls)))
    walls = {
        "the bridge of the network": ("bridge", s.bridge_name),
        "DOCKER_NETWORK_NAME": ("ours", not s.is_set("DOCKER_NETWORK_NAME")),
        "the guard's table": ("table", f"hubdeploy_{hashlib.sha256(s.name.encode()).hexdigest()[:12]}"),
        "the MAC addresses of hub and proxy": ("free", tuple(mac_address(s, role) for role in ("hub", "proxy"))),
        "ALLOWED_NETWORKS": ("allowed", s.allowed_networks or ()),
        "GITHUB_URL OIDC_ISSUER AUTHENTICATOR ACME_SERVER": ("allowed_to_free", asked),
    }
    for fact, (field, wanted) in walls.items():
        yield Reading(fact, f"{at}.walls.{field}", wanted)
    door = {"address": s.bind_address, "port": s.listen_port, "sources": s.trusted_proxies} if _has_door(s) else None
    for field in ("address", "port", "sources"):
        wanted = door[field] if door else ABSENT
        yield Reading("TLS BIND_ADDRESS LISTEN_PORT TRUSTED_PROXIES", f"{at}.walls.door.{field}", wanted)
    of_kinds = {one.name: one.networks for one in sorted(s.kinds, key=lambda one: one.name) if one.networks}
    yield Reading("servers.yml: networks", f"{at}.walls.of_kinds", ABSENT if of_kinds else ())
    for kind, networks in of_kinds.items():
        yield Reading("servers.yml: networks", f"{at}.walls.of_kinds.{kind}", networks)
    text = json.dumps({**dict(walls.values()), "door": door, "of_kinds": of_kinds}, separators=(",", ":"))
    yield Reading("TIMEZONE ALLOWED_NETWORKS servers.yml: networks", f"{at}.Env", (f"WALLS={text}", f"TZ={s.timezone}"))


def _has_door(s: Settings) -> bool:
    return s.tls == "outside" and not ipaddress.ip_address(s.bind_address).is_loopback


def _host_and_port(text: str) -> str:
    url = urlsplit(text)
    return f"{url.hostname}:{url.port or (80 if url.scheme == 'http' else 443)}"


def _filter(s: Settings, leaves: Leaves) -> Readings:
    at = "container[filter]"
    yield Reading("the filter's name", f"{at}.Name", f"{s.name}-filter")
    yield Reading("the filter's name", f"{at}.started.Name", f"{s.name}-filter")
    yield Reading("the filter has no network", f"{at}.HostConfig.NetworkMode", "none")
    yield Reading("IMAGE_NAMESPACE IMAGE_TAG", f"{at}.Image", f"{s.image_namespace}/hub:{s.image_tag}")
    yield Reading("DOCKER_MACHINE_NAME", f"{at}.Labels.{labels.DEPLOYMENT}", s.name)
    yield Reading("the engine's socket", f"{at}.HostConfig.Mounts[0].Source", "/var/run/docker.sock")
    yield Reading("the engine's socket", f"{at}.HostConfig.Mounts[0].Target", "/run/docker.sock")
    yield Reading("the filter's volume", f"{at}.HostConfig.Mounts[1].Source", s.filter_volume)
    yield Reading("the clock's volume", f"{at}.HostConfig.Mounts[2].Source", s.clock_volume)
    yield Reading("the filter's own volume", f"{at}.HostConfig.Mounts[3].Source", f"{s.name}-server-secrets")
    yield Reading("the filter's own volume", f"{at}.HostConfig.Mounts[3].Target", "/srv/filter")
    yield Reading("the filter's name", f"{at}.filled.Name", f"{s.name}-filter")
    yield Reading("the filter's own volume", f"{at}.filled.paths", ("/srv/filter/server-secrets.json",))
    yield from _jobs(s, f"{at}.jobs")
    sudo = tuple(sorted(user.name for user in s.users if user.sudo))
    yield Reading("userlist: sudo", f"{at}.servers.sudo_users", sudo)
    yield Reading("DOCKER_MACHINE_NAME", f"{at}.servers.labels.{labels.DEPLOYMENT}", s.name)
    yield Reading("HUB_PATH", f"{at}.servers.base_url", s.hub_path)
    # What stands in it is read above and in insides.py.
    yield Reading("what servers are made from", f"{at}.Env", leaves.get(f"{at}.Env"))


def _clock(s: Settings, leaves: Leaves) -> Readings:
    at = "container[clock]"
    yield Reading("the clock's name", f"{at}.Name", f"{s.name}-clock")
    yield Reading("the clock's name", f"{at}.started.Name", f"{s.name}-clock")
    yield Reading("the clock has no network", f"{at}.HostConfig.NetworkMode", "none")
    yield Reading("IMAGE_NAMESPACE IMAGE_TAG", f"{at}.Image", f"{s.image_namespace}/hub:{s.image_tag}")
    yield Reading("DOCKER_MACHINE_NAME", f"{at}.Labels.{labels.DEPLOYMENT}", s.name)
    yield Reading("the clock's volume", f"{at}.HostConfig.Mounts[0].Source", s.clock_volume)
    yield from _jobs(s, f"{at}.jobs")
    # What stands in it is read above.
    yield Reading("what the clock asks for", f"{at}.Env", leaves.get(f"{at}.Env"))


def _jobs(s: Settings, at: str) -> Readings:
    yield Reading("DOCKER_MACHINE_NAME", f"{at}.labels.{labels.DEPLOYMENT}", s.name)
    address = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(s.bind_address, s.bind_address)
    python = ("/usr/bin/python3", "-m")
    scheme = "http" if s.tls == "outside" else "https"
    asked = (scheme, address, str(s.listen_port), s.hub_host, s.hub_path, DEPLOYMENT_HEADER, s.name)
    order = routing.order(s.hub_host, s.acme_server).decode()
    ordered = (
        address, str(s.listen_port), s.hub_host, str(s.acme_days), "/routes/acme.toml", order, s.acme_server, str(s.http_port),
        ",".join(s.acme_dns or ()), s.acme_staging or "",
    )  # fmt: skip
    keys = "TLS BIND_ADDRESS LISTEN_PORT HUB_HOST HUB_PATH DOCKER_MACHINE_NAME"
    yield from _job(s, f"{at}.jobs.login-page", keys, (*python, "clock.login_page", *asked), network="host")
    yield from _job(s, f"{at}.jobs.free-disk", "the disk", (*python, "clock.free_disk", "/disk"), reads="/disk")
    yield Reading("TIMEZONE", f"{at}.timezone", s.timezone)
    yield Reading("HOME_VOLUME USER_VOLUME", f"{at}.user_volumes", _users(s))
    yield from _growth_job(s, f"{at}.jobs.growth")
    yield from _backup_job(s, f"{at}.jobs.backup")
    for name, more in {"certificate": (), "certificate-now": ("now",)}.items():
        job = f"{at}.jobs.{name}"
        if s.acme_email is None:
            yield Reading("ACME_EMAIL ACME_DNS ACME_STAGING", f"{job}.command", ABSENT)
            continue
        command = ("/opt/hub/bin/python", "-m", "clock.certificate", *ordered, *more)
        keys = "BIND_ADDRESS LISTEN_PORT HUB_HOST ACME_SERVER ACME_DAYS HTTP_PORT ACME_DNS ACME_STAGING"
        yield from _job(
            s,
            job,
            keys,
            command,
            network="host",
            writes="/routes",
            log=s.proxy_name,
            every=None if more else 300,
            within=120,
        )


def _growth_job(s: Settings, at: str) -> Readings:
    command = ("/bin/sh", "-c", jobs.MEASURE, "growth", "/volumes")
    yield from _any_job(s, at, "what takes the disk", command, network="none", every=None, within=30)
    yield Reading("where a measure finds users' volumes", f"{at}.users_at", "/volumes")
    yield Reading("what reading all files takes", f"{at}.capabilities", ("DAC_READ_SEARCH",))
    yield Reading("the memory of a job", f"{at}.memory", 256 * 1024**2)
    for field in ("volumes", "writes"):
        yield Reading("the volume of routes", f"{at}.{field}", ())


def _backup_job(s: Settings, at: str) -> Readings:
    if s.backup_at is None:
        yield Reading("BACKUP_AT", f"{at}.command", ABSENT)
        return
    command = ("/usr/bin/python3", "-m", "backup", "daily", s.backup_at)
    network = "bridge" if s.backup_repository else "none"
    yield from _any_job(s, at, "BACKUP_AT", command, network=network, every=None, within=12 * 3600, at_time=s.backup_at)
    yield Reading("where a backup finds users' volumes", f"{at}.users_at", "/volumes")
    yield Reading("what reading all files takes", f"{at}.capabilities", ("DAC_READ_SEARCH",))
    yield Reading("the memory of a job", f"{at}.memory", 1024**3)
    for number, name in enumerate(filter(None, _kept(s).values())):
        yield Reading("DATA_VOLUME_HOST SECRETS_VOLUME", f"{at}.volumes[{number}].name", name)
        yield Reading("DATA_VOLUME_HOST SECRETS_VOLUME", f"{at}.volumes[{number}].target", f"/volumes/{name}")
    written = {s.backup_documents_volume: "/documents"} | (
        {} if s.backup_repository else {s.backup_volume: "/repository"}
    )
    for number, (name, target) in enumerate(written.items()):
        yield Reading("BACKUP_REPOSITORY", f"{at}.writes[{number}].name", name)
        yield Reading("where a backup finds its own", f"{at}.writes[{number}].target", target)


def _job(
    s: Settings, at: str, keys: str, command: tuple[str, ...], *, network: str = "none", reads: str = "",
    writes: str = "", log: str | None = None, every: int | None = 300, within: int = 30,
) -> Readings:  # fmt: skip
    yield from _any_job(s, at, keys, command, network=network, every=every, within=within, log=log)
    yield Reading("where a backup finds users' volumes", f"{at}.users_at", "")
    yield Reading("what reading all files takes", f"{at}.capabilities", ())
    yield Reading("the memory of a job", f"{at}.memory", 256 * 1024**2)
    for field, target in (("volumes", reads), ("writes", writes)):
        if not target:
            yield Reading("the volume of routes", f"{at}.{field}", ())
            continue
        yield Reading("the volume of routes", f"{at}.{field}[0].name", s.routes_volume)
        yield Reading("where a job finds routes", f"{at}.{field}[0].target", target)


def _any_job(
    s: Settings, at: str, keys: str, command: tuple[str, ...], *, network: str, every: int | None, within: int,
    log: str | None = None, at_time: str = "",
) -> Readings:  # fmt: skip
    yield Reading(keys, f"{at}.command", command)
    yield Reading("BACKUP_AT", f"{at}.at", at_time)
    yield Reading("IMAGE_NAMESPACE IMAGE_TAG", f"{at}.image", f"{s.image_namespace}/hub:{s.image_tag}")
    yield Reading("jobs by name", f"{at}.name", at.rpartition(".")[2])
    yield Reading("the network of a job", f"{at}.network", network)
    yield Reading("how often a job runs", f"{at}.every", ABSENT if every is None else every)
    yield Reading("how long a job may take", f"{at}.within", within)
    yield Reading("the proxy's name", f"{at}.reads_log", ABSENT if log is None else log)


def _proxy(s: Settings) -> Readings:
    at = "container[proxy]"
    port = f"{at}.HostConfig.PortBindings.{routing.HTTPS_PORT}/tcp[0]"
    yield Reading("BIND_ADDRESS", f"{port}.HostIp", s.bind_address)
    yield Reading("HUB_PORT LISTEN_PORT TLS", f"{port}.HostPort", str(s.listen_port))
    plain = f"{at}.HostConfig.PortBindings.{routing.HTTP_PORT}/tcp[0]"
    yield Reading("BIND_ADDRESS HTTP_PORT", f"{plain}.HostIp", s.bind_address if s.http_port else ABSENT)
    yield Reading("HTTP_PORT", f"{plain}.HostPort", str(s.http_port) if s.http_port else ABSENT)
    yield Reading("HTTP_PORT", f"{at}.ExposedPorts.{routing.HTTP_PORT}/tcp", () if s.http_port else ABSENT)
    yield Reading("HUB_HOST", f"{at}.Labels.{labels.HOST}", s.hub_host)
    yield Reading("HUB_PATH", f"{at}.Labels.{labels.PATH}", s.hub_path)
    yield Reading("the proxy's volume", f"{at}.HostConfig.Mounts[0].Source", s.proxy_volume)
    yield Reading("where the proxy's files lie", f"{at}.HostConfig.Mounts[0].Target", proxy.DIRECTORY)
    yield Reading("the volume of routes", f"{at}.HostConfig.Mounts[1].Source", s.routes_volume)
    yield Reading("where the hub's routes lie", f"{at}.HostConfig.Mounts[1].Target", routing.DYNAMIC_DIRECTORY)
    yield Reading("the proxy's name", f"{at}.Networks[0].Aliases", (s.proxy_name,))
    yield Reading("the proxy's API address", f"{at}.Networks[1].Aliases", (routing.API_ADDRESS.partition(":")[0],))
    folder = routing.DYNAMIC_DIRECTORY
    behind = s.tls == "outside"
    pair = [f"{routing.CERTIFICATES_DIRECTORY}/current/{name}.pem" for name in ("cert", "key") if not behind]
    shown = (f"{proxy.PAGES_DIRECTORY}/hub.html", f"{proxy.PAGES_DIRECTORY}/server.html")
    dynamic = [f"{folder}/{name}.toml" for name in ("api", "headers", "pages", *(() if behind else ("tls",)))]
    door = f"{at}.HostConfig.Mounts[2].Source"
    yield Reading("TLS BIND_ADDRESS", door, s.guard_volume if _has_door(s) else ABSENT)
    authorities = (proxy.ACME_CA_BUNDLE,) if s.acme_email and s.acme_ca_bundle else ()
    paths = (f"{proxy.DIRECTORY}/traefik.toml", *authorities, *shown, *pair, *dynamic)
    yield Reading("where the proxy's files lie; TLS", f"{at}.filled.paths", paths)


def _hub(s: Settings) -> Readings:
    at = "container[hub]"
    yield Reading("DATA_VOLUME_HOST", f"{at}.HostConfig.Mounts[0].Source", s.data_volume)
    yield Reading("DATA_VOLUME_CONTAINER", f"{at}.HostConfig.Mounts[0].Target", s.data_mount)
    yield Reading("the hub's volume", f"{at}.HostConfig.Mounts[1].Source", s.hub_volume)
    yield Reading("where the hub's documents lie", f"{at}.HostConfig.Mounts[1].Target", documents.DOCUMENTS_MOUNT)
    yield Reading("the volume of routes", f"{at}.HostConfig.Mounts[2].Source", s.routes_volume)
    yield Reading("the hub's reserve", f"{at}.HostConfig.Mounts[3].Source", s.reserve_volume)
    yield Reading("where the hub keeps room", f"{at}.HostConfig.Mounts[3].Target", "/srv/reserve")
    yield Reading("where the hub writes routes", f"{at}.HostConfig.Mounts[2].Target", documents.ROUTES_MOUNT_IN_HUB)
    yield Reading("the filter's volume", f"{at}.HostConfig.Mounts[4].Source", s.filter_volume)
    yield Reading("the hub's name", f"{at}.Networks[0].Aliases", (s.hub_name,))
    yield Reading("the hub's port for the proxy", f"{at}.Networks[1].Aliases", (documents.HUB_FRONT,))
    yield Reading("the guard's volume", f"{at}.HostConfig.Mounts[5].Source", s.guard_volume)
    kept = str(ipaddress.ip_network(SUBNET)[2])
    yield Reading("the hub's address", f"{at}.Networks[0].IPAMConfig.IPv4Address", kept)
    yield Reading(
        "where the hub's documents lie",
        f"{at}.filled.paths",
        (documents.CONTRACT_PATH, documents.SECRETS_PATH, documents.PAGES_PATH, documents.LOGO_PATH),
    )


def _shape(leaves: Leaves, at: str) -> dict[str, str]:
    """The text of the label that a later `up` compares: the request's ports, mounts and networks."""

    def of(path: str) -> Any:
        return leaves.get(f"{at}.{path}")

    indices = [index for index in range(6) if of(f"HostConfig.Mounts[{index}].Source")]
    mounts = [
        f"{of(f'HostConfig.Mounts[{n}].Source')} at {of(f'HostConfig.Mounts[{n}].Target')}"
        f"{' read-only' if of(f'HostConfig.Mounts[{n}].ReadOnly') else ''}"
        for n in indices
    ]
    networks = [
        f"{of(f'Networks[{n}].Name')} as {'/'.join(of(f'Networks[{n}].Aliases') or ())}"
        for n in (0, 1)
        if of(f"Networks[{n}].Name")
    ]
    if of("Networks[0].IPAMConfig.IPv4Address"):
        networks[0] += " fixed"
    bound = {inside: f"HostConfig.PortBindings.{inside}/tcp[0]" for inside in (routing.HTTPS_PORT, routing.HTTP_PORT)}
    ports = [
        f"{of(f'{at}.HostIp')}:{of(f'{at}.HostPort')} to {inside}" for inside, at in bound.items() if of(f"{at}.HostIp")
    ]
    variables = ", ".join(sorted(of("Env") or ()))
    mac = {"MAC address": of("MacAddress")} if of("MacAddress") else {}
    return {
        **mac,
        "environment": variables,
        "mounts": ", ".join(mounts),
        "networks": ", ".join(networks),
        "ports": ", ".join(ports),
    }
