"""Free ports of this machine, for what tests let listen, and an address that containers reach."""

from __future__ import annotations

import ipaddress
import secrets
import socket

from docker.models.networks import Network

# Below those that the kernel gives to outgoing connections, so none takes a port between its choice and its use.
_PORTS = range(20_000, 32_768)
_given: set[int] = set()


def free_port() -> int:
    """A port that nothing listens at, and that this process got only once."""
    while True:
        port = secrets.choice(_PORTS)
        if port not in _given and _is_free(port):
            _given.add(port)
            return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("0.0.0.0", port))
        except OSError:
            return False
        return True


def address_in(network: Network) -> str:
    """This machine's address in a network of the engine's. An engine that was just installed does not name it for its own bridge,
    where it is the first one."""
    configuration = network.attrs["IPAM"]["Config"][0]
    return str(configuration.get("Gateway") or next(ipaddress.ip_network(configuration["Subnet"]).hosts()))
