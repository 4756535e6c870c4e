"""Asks the kernel about the ports of a bridge, and sets whether a port is isolated: rtnetlink, by the standard library.

Messages and attributes are those of linux/rtnetlink.h, linux/if_link.h, linux/if_addr.h and linux/netfilter/nfnetlink.h.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_ERROR, _DONE = 2, 3
_NEW_LINK, _DEL_LINK, _GET_LINK, _SET_LINK, _GET_ADDRESS, _DEL_NEIGHBOUR = 16, 17, 18, 19, 22, 29
_REQUEST, _ACK, _DUMP = 0x1, 0x4, 0x300
_NESTED, _TYPE = 0x8000, 0x3FFF
# Attributes of a link.
_MAC, _NAME, _LINK, _MASTER, _PROTINFO, _LINK_NETNSID, _TARGET_NETNSID = 1, 3, 5, 10, 12, 37, 46
# One of a bridge's port; and those of an address.
_ISOLATED = 33
_LOCAL, _ADDRESS_NETNSID = 2, 10
# One of a neighbour.
_DESTINATION = 1
_GROUP_LINK, _GROUP_RULES = 1 << 0, 1 << 6
_NETFILTER = 12
_STRICT = 12
_SOL_NETLINK = 270
_RECEIVE = 1 << 18
# Bytes of events that may wait. What does not fit is lost, and the kernel says so.
_WAITING = 1 << 22


@dataclass(frozen=True)
class Port:
    """A port of the bridge: the host's end of a container's link. `mac` and `addresses` (IPv4) are the container's end,
    asked of the kernel, not of the container; empty while it is not there."""

    index: int
    name: str
    isolated: bool
    mac: str
    addresses: tuple[str, ...]


class Kernel:
    """A conversation with the kernel. Each thread needs its own."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._socket.bind((0, 0))
        # Without it a dump ignores the namespace that is asked for.
        self._socket.setsockopt(_SOL_NETLINK, _STRICT, 1)
        self._number = 0

    def ports(self, bridge: str) -> list[Port]:
        """The ports of a bridge; none where there is no such bridge. Raises OSError if the kernel refuses."""
        try:
            master = socket.if_nametoindex(bridge)
        except OSError:
            return []
        found = []
        for body in self._ask(_GET_LINK, _DUMP, _link(socket.AF_BRIDGE, 0)):
            index, carried = _link_of(body)
            if carried.get(_MASTER) == struct.pack("I", master):
                flags = _attributes(carried.get(_PROTINFO, b""))
                name = carried[_NAME].rstrip(b"\0").decode()
                mac, addresses = self._other_end(index)
                found.append(Port(index, name, flags.get(_ISOLATED) == b"\1", mac, addresses))
        return found

    def isolate(self, port: Port, on: bool) -> None:
        """Sets the flag of one port. Raises OSError if the kernel refuses."""
        flag = _attribute(_ISOLATED, bytes([on]))
        self._ask(_SET_LINK, _ACK, _link(socket.AF_BRIDGE, port.index) + _attribute(_PROTINFO | _NESTED, flag))

    def forget(self, bridge: str, address: str) -> None:
        """Drops what the host remembers of a neighbour: an address that went to another container is asked for anew."""
        try:
            index = socket.if_nametoindex(bridge)
            body = struct.pack("BBHiHBB", socket.AF_INET, 0, 0, index, 0, 0, 0)
            self._ask(_DEL_NEIGHBOUR, _ACK, body + _attribute(_DESTINATION, socket.inet_aton(address)))
        except OSError:
            # Nothing was remembered.
            return

    def _other_end(self, index: int) -> tuple[str, tuple[str, ...]]:
        """MAC and IPv4 addresses of the link's other end, in the container's namespace."""
        try:
            (body,) = self._ask(_GET_LINK, _ACK, _link(0, index))
            _, carried = _link_of(body)
            if _LINK not in carried or _LINK_NETNSID not in carried:
                return "", ()
            peer, namespace = struct.unpack("I", carried[_LINK])[0], carried[_LINK_NETNSID]
            (body,) = self._ask(_GET_LINK, _ACK, _link(0, peer) + _attribute(_TARGET_NETNSID, namespace))
            _, carried = _link_of(body)
            wanted = struct.pack("BBBBI", socket.AF_INET, 0, 0, 0, peer) + _attribute(_ADDRESS_NETNSID, namespace)
            given = [_attributes(one[8:]).get(_LOCAL, b"") for one in self._ask(_GET_ADDRESS, _DUMP, wanted)]
            addresses = tuple(str(ipaddress.ip_address(one)) for one in given if one)
        except (OSError, ValueError):
            # It went away, or is on its way into the container: it stays a stranger.
            return "", ()
        return carried.get(_MAC, b"").hex(":"), addresses

    def _ask(self, kind: int, flags: int, body: bytes) -> list[bytes]:
        self._number += 1
        self._socket.send(struct.pack("IHHII", 16 + len(body), kind, _REQUEST | flags, self._number, 0) + body)
        answers: list[bytes] = []
        while True:
            for number, answered, content in _messages(self._socket.recv(_RECEIVE)):
                if number != self._number:
                    continue
                if answered == _DONE:
                    return answers
                if answered == _ERROR:
                    (code,) = struct.unpack_from("i", content)
                    if code:
                        raise OSError(-code, os.strerror(-code))
                    return answers
                answers.append(content)


class Events:
    """Hears of changes. What was lost does not matter: after any event everything is looked at."""

    def __init__(self, protocol: int, groups: int) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _WAITING)
        self._socket.bind((0, groups))
        self._socket.setblocking(False)

    def fileno(self) -> int:
        return self._socket.fileno()

    def take(self) -> None:
        """Takes all that waits."""
        while True:
            try:
                self._socket.recv(_RECEIVE)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise


def mac_address(link: str) -> str:
    """The MAC address of a link of the host; empty where there is none."""
    try:
        return Path("/sys/class/net", link, "address").read_text().strip()
    except OSError:
        return ""


def link_events() -> Events:
    """Of links that come, change and go."""
    return Events(socket.NETLINK_ROUTE, _GROUP_LINK)


def rule_events() -> Events:
    """Of changes of the packet filter's rules, by whomever."""
    return Events(_NETFILTER, _GROUP_RULES)


def _link(family: int, index: int) -> bytes:
    return struct.pack("BBHiII", family, 0, 0, index, 0, 0)


def _link_of(body: bytes) -> tuple[int, dict[int, bytes]]:
    return struct.unpack_from("i", body, 4)[0], _attributes(body[16:])


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def _attributes(data: bytes) -> dict[int, bytes]:
    found, at = {}, 0
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("HH", data, at)
        if length < 4:
            break
        found[kind & _TYPE] = data[at + 4 : at + length]
        at += (length + 3) & ~3
    return found


def _messages(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Number, kind and content of each message in one datagram."""
    at = 0
    while at + 16 <= len(data):
        length, kind, _, number, _ = struct.unpack_from("IHHII", data, at)
        if length < 16:
            break
        yield number, kind, data[at + 16 : at + length]
        at += (length + 3) & ~3
