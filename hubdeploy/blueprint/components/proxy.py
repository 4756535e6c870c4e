"""The proxy: Traefik, the only container with a published port. It serves the certificate, which lies in
a volume of its own, and the routes that the hub writes into the volume which both mount. Behind another proxy it speaks HTTP.
"""

from __future__ import annotations

from hubdeploy.blueprint import pages, routing
from hubdeploy.blueprint.component import Component, Facts, mac_address, own_labels
from hubdeploy.blueprint.components import guard
from hubdeploy.blueprint.documents import proxy_api_password
from hubdeploy.blueprint.specs import (
    Attachment,
    Consequence,
    ContainerSpec,
    Limits,
    LiveFile,
    Mount,
    NetworkSpec,
    PublishedPort,
    Severity,
    VolumeSpec,
)
from hubdeploy.contract import labels
from hubdeploy.contract.documents import Secret
from hubdeploy.settings.declarations import PUBLIC_PORT, Settings, loopback_address

ROLE = "proxy"
DIRECTORY = routing.DIRECTORY
# The authorities that ACME_SERVER's own certificate needs.
ACME_CA_BUNDLE = f"{DIRECTORY}/acme-ca.pem"
# What start-proxy.sh serves.
PAGES_DIRECTORY = f"{DIRECTORY}/pages"
_SUBJECTS = {
    "api.toml": "the password of the proxy's API",
    "headers.toml": "the headers of answers",
    "pages.toml": "the pages of a hub that is away",
}
# A class of a hundred takes 700 MiB of it, most of it garbage: proxy/Dockerfile says when the collector works harder.
LIMITS = Limits(memory=1024**3, reserved=128 * 1024**2, pids=1024)
CONSEQUENCE = Consequence(Severity.CONNECTIONS_BLINK, "the proxy restarts, connections blink")


def container(settings: Settings, facts: Facts) -> ContainerSpec:
    dynamic = routing.dynamic_files(
        proxy_api_password(facts),
        facts.pair,
        tls_alone=_asked_by_tls_alone(settings, facts),
        behind=settings.public_address if settings.behind else None,
    )
    door = guard.door(settings)
    return ContainerSpec(
        name=settings.proxy_name,
        role=ROLE,
        image=COMPONENT.image_reference(settings),
        labels={**own_labels(settings, ROLE), labels.HOST: settings.hub_host, labels.PATH: settings.hub_path},
        consequence=CONSEQUENCE,
        mounts=(
            Mount(settings.proxy_volume, DIRECTORY),
            Mount(settings.routes_volume, routing.DYNAMIC_DIRECTORY),
            *((Mount(settings.guard_volume, guard.MOUNT, read_only=True),) if door else ()),
        ),
        attachments=(
            Attachment(settings.network_name, (settings.proxy_name,), mac=mac_address(settings, ROLE)),
            Attachment(settings.api_network_name, (routing.API_ADDRESS.partition(":")[0],)),
        ),
        published=_published(settings),
        files=_files(settings, facts),
        live_files=_pages(settings.hub_title, facts.logo)
        | {path: _live_file(path, content) for path, content in dynamic.items()}
        | _no_order(settings, facts),
        environment={"TZ": settings.timezone, **({"DOOR": door.note} if door else {})},
        limits=LIMITS,
        read_only=True,
    )


def _published(settings: Settings) -> tuple[PublishedPort, ...]:
    of_its_own = settings.behind or settings.is_set("LISTEN_PORT")
    key = "LISTEN_PORT" if of_its_own else "HUB_PORT"
    browsers = PublishedPort(settings.bind_address, settings.listen_port, routing.HTTPS_PORT, key)
    if settings.http_port is None:
        return (browsers,)
    return (browsers, PublishedPort(settings.bind_address, settings.http_port, routing.HTTP_PORT, "HTTP_PORT"))


def _files(settings: Settings, facts: Facts) -> dict[str, Secret[bytes]]:
    bundle = {ACME_CA_BUNDLE: Secret(facts.acme_authorities)} if facts.acme_authorities else {}
    authority = None
    if settings.acme_email:
        authority = routing.Authority(
            settings.hub_host, settings.acme_server, settings.acme_email, next(iter(bundle), None), settings.acme_days,
            (settings.acme_eab_kid, settings.acme_eab_hmac) if settings.acme_eab_kid and settings.acme_eab_hmac else None,
        )  # fmt: skip
    https_port = settings.hub_port if settings.http_port else None
    static = routing.static_config(https_port, authority, behind=settings.behind)
    return {f"{DIRECTORY}/traefik.toml": Secret(static), **bundle}


def _asked_by_tls_alone(settings: Settings, facts: Facts) -> bool:
    """Only at the port of HTTPS, on no loopback name, and with a certificate that was brought or signed: browsers remember it for
    all ports of the host, where something else may answer without TLS, and then refuse what they do not trust."""
    if facts.pair is None or loopback_address(settings.hub_host) is not None or settings.hub_port != PUBLIC_PORT:
        return False
    return settings.acme_email is not None or facts.pair.made_from is None


def _live_file(path: str, content: Secret[bytes]) -> LiveFile:
    return LiveFile(content, _SUBJECTS.get(path.rpartition("/")[2], "the certificate"))


def _no_order(settings: Settings, facts: Facts) -> dict[str, LiveFile]:
    """An order that is left and is not today's: the proxy would follow it as soon as it starts, before anybody looks whether the
    authority would refuse; where nobody is to sign, it would name an authority that is not known. Today's is the clock's."""
    path = f"{routing.DYNAMIC_DIRECTORY}/{routing.ORDER}"
    held = facts.held.get(ROLE, {}).get(path)
    if held is None:
        return {}
    orders = {b"", routing.order(settings.hub_host, settings.acme_server)} if settings.acme_email else set()
    return {} if held.reveal() in orders else {path: LiveFile(Secret(b""), "no order of a certificate")}


def _pages(title: str, logo: bytes) -> dict[str, LiveFile]:
    return {
        f"{PAGES_DIRECTORY}/{name}": LiveFile(Secret(page), _SUBJECTS["pages.toml"])
        for name, page in pages.pages(title, logo).items()
    }


def networks(settings: Settings) -> tuple[NetworkSpec, ...]:
    """The network that only hub and proxy join."""
    carried = own_labels(settings, "api-network")
    return (NetworkSpec(settings.api_network_name, carried, True, "DOCKER_MACHINE_NAME", internal=True),)


def volumes(settings: Settings) -> tuple[VolumeSpec, ...]:
    """Routes; its configuration, pages, and the certificate in use."""
    return (
        VolumeSpec(settings.routes_volume, own_labels(settings, "routes-volume"), True, "DOCKER_MACHINE_NAME"),
        # Certificates that an authority issued lie in it.
        VolumeSpec(
            settings.proxy_volume, own_labels(settings, "proxy-volume"), True, "DOCKER_MACHINE_NAME", kept="proxy"
        ),
    )


COMPONENT = Component(ROLE, ROLE, container, networks, volumes, DIRECTORY)
