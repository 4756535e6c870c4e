"""Free ports of this machine, for what tests let listen, and an address that containers reach."""

from __future__ import annotations

import ipaddress
import socket

from docker.models.networks import Network


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def address_in(network: Network) -> str:
    """This machine's address in a network of the engine's. An engine that was just installed does not name it for its own bridge,
    where it is the first one."""
    configuration = network.attrs["IPAM"]["Config"][0]
    return str(configuration.get("Gateway") or next(ipaddress.ip_network(configuration["Subnet"]).hosts()))
