"""The MAC addresses of users' servers, by which the guard knows which networks a server's kind has. Pure.

A server of a kind with networks has NETWORKS_MAC, then 16 bits that follow from these networks alone, then 16 bits of its own.
So no change of kinds opens to a running server what its kind did not have when it started: when the networks of its kind change,
no list has its bits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection

# How the MAC address of such a server begins. It differs from SERVER_MAC in the last bit, so one mask knows both.
NETWORKS_MAC = "06:69"
# The bits that servers with the same networks share.
MASK = "ff:ff:ff:ff:00:00"


def of_networks(networks: Collection[str]) -> str:
    """The first of the addresses that servers with these networks have; empty without any."""
    if not networks:
        return ""
    digest = hashlib.sha256("\n".join(sorted(networks)).encode()).digest()
    begin = int.from_bytes(bytes.fromhex(NETWORKS_MAC.replace(":", "")) + digest[:4])
    return _written(begin & _number(MASK))


def of_server(number: int, networks: Collection[str]) -> str:
    """The address of one server with these networks, of a number of its own."""
    return _written(_number(of_networks(networks)) | (number & ~_number(MASK) & 0xFFFFFFFFFFFF))


def _number(address: str) -> int:
    return int(address.replace(":", ""), 16)


def _written(number: int) -> str:
    return number.to_bytes(6).hex(":")
