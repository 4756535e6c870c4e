"""What a component is: a container beside users' servers, with the networks and volumes that it brings. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from hubdeploy import family
from hubdeploy.blueprint.contexts import Context
from hubdeploy.blueprint.provider import Provider
from hubdeploy.blueprint.specs import ContainerSpec, NetworkSpec, VolumeSpec
from hubdeploy.contract import labels
from hubdeploy.contract.documents import Secret
from hubdeploy.settings.declarations import Settings
from hubdeploy.tls.certificates import Pair


@dataclass(frozen=True)
class Facts:
    """What a blueprint is drawn from beside the settings.

    `engine_memory` is bytes; `base_id` the id of BASE_IMAGE, None while it is not on the engine; `contexts` the build
    contexts by image; `pair` the certificate to serve, None behind another proxy; `held` the files that each component's
    container has now (role -> path -> bytes); `new_password` what stands in where no earlier password is held; `logo` the
    picture of HUB_LOGO, empty without one; `bridges` the names of the bridges of the networks that are there already;
    `socket_group` the group that may use the engine's socket, None where it is not known, or is root's; `acme_authorities`
    the certificates of ACME_CA_BUNDLE; `provider` what the login's provider says of itself, None without one;
    `kept` the volumes that a backup takes beside users', which `draw` finds out.
    """

    engine_memory: int
    base_id: str | None
    contexts: Mapping[str, Context]
    pair: Pair | None
    new_password: Secret[str]
    held: Mapping[str, Mapping[str, Secret[bytes]]] = field(default_factory=dict)
    logo: bytes = field(default=b"", repr=False)
    bridges: Mapping[str, str] = field(default_factory=dict)
    socket_group: int | None = None
    acme_authorities: bytes = field(default=b"", repr=False)
    provider: Provider | None = None
    kept: Mapping[str, str] = field(default_factory=dict)


def _none(settings: Settings) -> tuple[()]:
    return ()


@dataclass(frozen=True)
class Component:
    """One row of COMPONENTS.

    `role` is its label, the end of its container's name, and what `logs --of` takes. `image` is a row of the family or a
    reference. `directory` is the one whose files are read back, to compare them; None reads nothing. `after_servers`: it is
    stopped after users' servers, not before. `tidies`: where it stops in peace, it removes what it made. `tells`: what its
    health check prints is for operators; `status` shows it.
    """

    role: str
    image: str
    container: Callable[[Settings, Facts], ContainerSpec]
    networks: Callable[[Settings], tuple[NetworkSpec, ...]] = _none
    volumes: Callable[[Settings], tuple[VolumeSpec, ...]] = _none
    directory: str | None = None
    after_servers: bool = False
    tidies: bool = False
    tells: bool = False

    def image_reference(self, settings: Settings) -> str:
        return settings.image_reference(self.image) if self.image in family.FAMILY else self.image


def own_labels(settings: Settings, role: str) -> dict[str, str]:
    """The labels of what this deployment makes."""
    return {labels.DEPLOYMENT: settings.name, labels.ROLE: role}


def mac_address(settings: Settings, role: str) -> str:
    """The MAC address of a component on the users' network, by which the guard knows it: a local one, of no vendor."""
    digest = hashlib.sha256(f"{settings.name}\0{role}".encode()).digest()
    return (b"\x02" + digest[:5]).hex(":")
