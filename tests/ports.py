"""Free ports of this machine, for what tests let listen, and an address that containers reach."""

from __future__ import annotations

import ipaddress
import socket

import docker


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def bridge_address(client: docker.DockerClient) -> str:
    """This machine's address in the engine's own network. An engine that was never restarted does not name it."""
    configuration = client.networks.get("bridge").attrs["IPAM"]["Config"][0]
    return str(configuration.get("Gateway") or next(ipaddress.ip_network(configuration["Subnet"]).hosts()))
