"""What should exist for a set of settings: images, networks, volumes, containers and their files. Pure: it asks nobody,
so the same inputs always give the same blueprint.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from hubdeploy import family
from hubdeploy.blueprint import documents, routing
from hubdeploy.blueprint.contexts import Context
from hubdeploy.contract import labels
from hubdeploy.settings.declarations import Settings
from hubdeploy.tls.certificates import Pair

# What is read back from the two containers, to compare their files.
HUB_DIRECTORY = "/srv/jupyterhub"
PROXY_DIRECTORY = "/etc/traefik"
ENGINE_SOCKET = "/var/run/docker.sock"
# /var/run is a link to /run in every base. An engine with the fix of GHSA-vp62-88p7-qqf5 and without moby's #52655 (29.5.1,
# Debian's 28.5.2) copies no file into or out of a container that has a mount below a link.
ENGINE_SOCKET_IN_HUB = "/run/docker.sock"


@dataclass(frozen=True)
class ImageSpec:
    """One of our images. `content` is a digest of all that decides what is in it."""

    name: str
    reference: str
    folder: str
    parent: str
    content: str
    arguments: Mapping[str, str]
    labels: Mapping[str, str]
    disk: int
    context: Context = field(repr=False)

    @property
    def content_reference(self) -> str:
        """The tag that keeps naming this very content, such as NAME/hub:1f2e3d4c5b6a."""
        return f"{self.reference.rpartition(':')[0]}:{self.content[:12]}"


@dataclass(frozen=True)
class NetworkSpec:
    """`owned` is false if the operator set the name: then it is used as it is found. `internal`: no way out.
    `key` is the setting that names it."""

    name: str
    labels: Mapping[str, str]
    owned: bool
    key: str
    internal: bool = False


@dataclass(frozen=True)
class VolumeSpec:
    name: str
    labels: Mapping[str, str]
    owned: bool
    key: str


@dataclass(frozen=True)
class Mount:
    """A volume, or a path of the engine's host, at `target` in a container."""

    source: str
    target: str
    kind: Literal["volume", "bind"] = "volume"
    read_only: bool = False


@dataclass(frozen=True)
class Attachment:
    """A container's place in a network. `fixed`: at the address kept for it, where the network is ours."""

    network: str
    aliases: tuple[str, ...]
    fixed: bool = False


@dataclass(frozen=True)
class PublishedPort:
    address: str
    port: int
    target: int


@dataclass(frozen=True)
class ContainerSpec:
    """The hub or the proxy. `files` are in place before it starts; a change of `live_files` does not restart it.

    File contents may be secret: they show in no repr and no fingerprint, what is there is compared instead.
    """

    name: str
    role: str
    image: str
    labels: Mapping[str, str]
    mounts: tuple[Mount, ...]
    attachments: tuple[Attachment, ...]
    published: tuple[PublishedPort, ...]
    files: Mapping[str, bytes] = field(repr=False)
    live_files: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    @property
    def shape(self) -> dict[str, str]:
        """What a change of makes the container anew (image and files apart), part by part, as text."""
        ports = [f"{one.address}:{one.port} to {one.target}" for one in self.published]
        mounts = [f"{one.source} at {one.target}{' read-only' if one.read_only else ''}" for one in self.mounts]
        networks = [
            f"{one.network} as {'/'.join(one.aliases)}{' fixed' if one.fixed else ''}" for one in self.attachments
        ]
        return {
            "ports": ", ".join(ports),
            "mounts": ", ".join(mounts),
            "networks": ", ".join(networks),
            "hardening": "1",
        }

    @property
    def all_labels(self) -> dict[str, str]:
        return {**self.labels, labels.SHAPE: json.dumps(self.shape, sort_keys=True)}


@dataclass(frozen=True)
class ServerSpec:
    """What the plan must know of users' servers; the hub makes them."""

    image: str
    fingerprint: str
    network: str
    uid: int
    may_sudo: frozenset[str] | None  # None: everybody


@dataclass(frozen=True)
class Blueprint:
    deployment: str
    data_volume: str
    foreign_images: tuple[str, ...]
    images: tuple[ImageSpec, ...]
    networks: tuple[NetworkSpec, ...]
    volumes: tuple[VolumeSpec, ...]
    containers: tuple[ContainerSpec, ...]
    server: ServerSpec


def images(
    settings: Settings, names: tuple[str, ...], contexts: Mapping[str, Context], base_id: str | None
) -> tuple[ImageSpec, ...]:
    """The named images, which come with their ancestors, parents first. `base_id` is None while BASE_IMAGE is not there."""
    specs: dict[str, ImageSpec] = {}
    for name in names:
        member = family.FAMILY[name]
        parent = settings.base_image if member.parent is None else specs[member.parent].content_reference
        parent_content = (
            (base_id or "absent").removeprefix("sha256:") if member.parent is None else specs[member.parent].content
        )
        arguments = {name: str(getattr(settings, field)) for name, field in member.arguments.items()}
        inputs = {f"{member.folder}/": contexts[name].digest()[:16], "its parent": parent_content[:16], **arguments}
        decides = json.dumps(inputs, sort_keys=True)
        content = hashlib.sha256(decides.encode()).hexdigest()
        specs[name] = ImageSpec(
            name=name,
            reference=settings.image_reference(name),
            folder=member.folder,
            parent=parent,
            content=content,
            arguments={"PARENT": parent, **arguments},
            labels={
                **_labels(settings, f"image:{name}"),
                labels.REPOSITORY: settings.image_reference(name).rpartition(":")[0],
                labels.CONTENT: content,
                labels.INPUTS: decides,
            },
            disk=member.disk,
            context=contexts[name],
        )
    return tuple(specs.values())


def foreign_images(settings: Settings) -> tuple[str, ...]:
    """The images that are not built here: BASE_IMAGE, and DOCKER_NOTEBOOK_IMAGE unless it is ours."""
    notebook = () if settings.notebook_member else (settings.notebook_image,)
    return (settings.base_image, *notebook)


def networks(settings: Settings) -> tuple[NetworkSpec, ...]:
    owned = not settings.is_set("DOCKER_NETWORK_NAME")
    return (
        NetworkSpec(settings.network_name, _labels(settings, "network"), owned, "DOCKER_NETWORK_NAME"),
        NetworkSpec(
            settings.api_network_name, _labels(settings, "api-network"), True, "DOCKER_MACHINE_NAME", internal=True
        ),
    )


def volumes(settings: Settings) -> tuple[VolumeSpec, ...]:
    data_owned = not settings.is_set("DATA_VOLUME_HOST")
    return (
        VolumeSpec(settings.data_volume, _labels(settings, "data-volume"), data_owned, "DATA_VOLUME_HOST"),
        VolumeSpec(settings.proxy_volume, _labels(settings, "proxy-volume"), True, "DOCKER_MACHINE_NAME"),
    )


def containers(settings: Settings, *, engine_memory: int, api_password: str, pair: Pair) -> tuple[ContainerSpec, ...]:
    """Proxy and hub, in the order in which they start: without the proxy's name the hub exits."""
    return (_proxy(settings, api_password, pair), _hub(settings, engine_memory, api_password))


def server(settings: Settings, engine_memory: int) -> ServerSpec:
    fingerprint = documents.server_contract(settings, engine_memory)["fingerprint"]
    may_sudo = None if settings.grant_sudo else frozenset(user.name for user in settings.users if user.sudo)
    return ServerSpec(settings.notebook_image, fingerprint, settings.network_name, settings.nb_uid, may_sudo)


def _proxy(settings: Settings, api_password: str, pair: Pair) -> ContainerSpec:
    dynamic = routing.dynamic_files(api_password, pair.certificate, pair.key)
    return ContainerSpec(
        name=settings.proxy_name,
        role="proxy",
        image=settings.image_reference("proxy"),
        labels=_labels(settings, "proxy"),
        mounts=(Mount(settings.proxy_volume, routing.DYNAMIC_DIRECTORY),),
        attachments=(
            Attachment(settings.network_name, (settings.proxy_name,)),
            Attachment(settings.api_network_name, (routing.API_ADDRESS.partition(":")[0],)),
        ),
        published=(PublishedPort(settings.bind_address, settings.hub_port, routing.HTTPS_PORT),),
        files={f"{PROXY_DIRECTORY}/traefik.toml": routing.static_config()},
        live_files={f"{routing.DYNAMIC_DIRECTORY}/{name}": content for name, content in dynamic.items()},
    )


def _hub(settings: Settings, engine_memory: int, api_password: str) -> ContainerSpec:
    return ContainerSpec(
        name=settings.hub_name,
        role="hub",
        image=settings.image_reference("hub"),
        labels=_labels(settings, "hub"),
        mounts=(
            Mount(settings.data_volume, settings.data_mount),
            Mount(settings.proxy_volume, documents.PROXY_MOUNT_IN_HUB),
            Mount(ENGINE_SOCKET, ENGINE_SOCKET_IN_HUB, kind="bind"),
        ),
        attachments=(
            Attachment(settings.network_name, (settings.hub_name,), fixed=True),
            Attachment(settings.api_network_name, (settings.hub_name,)),
        ),
        published=(),
        files={
            documents.CONTRACT_PATH: documents.to_bytes(documents.hub_contract(settings, engine_memory)),
            documents.SECRETS_PATH: documents.to_bytes(documents.hub_secrets(settings, api_password)),
        },
    )


def _labels(settings: Settings, role: str) -> dict[str, str]:
    return {labels.DEPLOYMENT: settings.name, labels.ROLE: role}
