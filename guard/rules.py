"""The packet filter's table for what bridge isolation leaves open, as text for nft. Pure.

Isolated ports keep servers from one another on the bridge itself. The table closes what is routed: the way back through the
gateway, the engine's host, private and link-local networks, IPv6.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable, Iterator, Mapping

from contract import mac_addresses
from contract.documents import SERVER_MAC, Door, Walls

# What nobody has on the Internet: private, shared, link-local, loopback, test, multicast and reserved addresses.
PRIVATE = (
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
    "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/3",
)  # fmt: skip
# Where clouds offer a machine its metadata, and with it its keys. No setting opens these.
METADATA = ("100.100.100.200/32", "169.254.0.0/16")
# Before Docker's own rules: those that filter come at 0, those that lead a port to a container at -100, and those that give
# packets another sender at 100.
_PRIORITY, _BEFORE_PUBLISHED, _BEFORE_SENDERS = -10, -150, 90


def table(
    walls: Walls,
    *,
    free: Collection[str],
    resolvers: Collection[str],
    names: Mapping[str, Collection[str]],
    gateway: str = "",
) -> str:
    """The whole table. It takes the place of the one that is there in one step.

    `free` are the IPv4 addresses of hub and proxy in the network; `resolvers` the name servers of the engine's host, as
    Docker's resolver asks them from within each container; `names` the addresses of the host names in the walls. `gateway` is the
    bridge's own MAC address: in a network of others, what is not sent to it is a neighbour's, and passes.
    """
    name, bridge = walls.table, walls.bridge
    neighbours = "" if walls.ours or not gateway else f'    oifname "{bridge}" ether daddr != {gateway} accept\n'
    return f"""\
table inet {name}
delete table inet {name}
table inet {name} {{
{_set("free", free)}
{_set("resolvers", resolvers)}
{_set("metadata", METADATA, "flags interval; ")}
{_set("private", PRIVATE, "flags interval; ")}
  chain leaving {{
    ct state established,related accept
    ip daddr @resolvers meta l4proto {{ tcp, udp }} th dport 53 accept
    ip daddr @metadata counter drop
{_accepts(walls.allowed, names)}\
{_accepts(walls.allowed_to_free, names, "ip saddr @free ")}\
{_of_kinds(walls, names)}\
  }}
  chain others {{
{"" if walls.ours else _others(walls)}\
  }}
  chain forward {{
    type filter hook forward priority {_PRIORITY}; policy accept;
    iifname != "{bridge}" accept
    jump others
    oifname "{bridge}" ip saddr @free accept
    oifname "{bridge}" ip daddr @free accept
{neighbours}\
    oifname "{bridge}" counter drop
    jump leaving
    ip daddr @private counter drop
    meta nfproto ipv6 counter drop
  }}
  chain input {{
    type filter hook input priority {_PRIORITY}; policy accept;
    iifname != "{bridge}" accept
    jump others
    jump leaving
    counter drop
  }}
{_door(walls.door, bridge) if walls.door else ""}\
}}
"""


def _door(door: Door, bridge: str) -> str:
    """Closes the port to all but proxies in front and the host itself, also where the engine's own program takes connections
    and passes them on. Who passes comes to the proxy from the bridge's gateway, and nobody else does."""
    at = "" if ipaddress.ip_address(door.address).is_unspecified else f"{_destination(door.address)} "
    sources = [ipaddress.ip_network(one) for one in door.sources]
    of_4, of_6 = ([str(one) for one in sources if one.version == version] for version in (4, 6))
    led = f"ct original {_destination(door.address)} " if at else ""
    return f"""\
{_set("proxies", of_4, "flags interval; auto-merge; ")}
{_set("proxies6", of_6, "flags interval; auto-merge; ", "ipv6_addr")}
  chain door {{
    type filter hook prerouting priority {_BEFORE_PUBLISHED}; policy accept;
    {at}fib daddr type local tcp dport {door.port} jump passing
  }}
  chain passing {{
    iifname "lo" accept
    iifname "{bridge}" counter drop
    ip saddr @proxies accept
    ip6 saddr @proxies6 accept
    counter drop
  }}
  chain senders {{
    type nat hook postrouting priority {_BEFORE_SENDERS}; policy accept;
    oifname "{bridge}" ct status dnat {led}meta l4proto tcp ct original proto-dst {door.port} masquerade
  }}
"""


def _destination(address: str) -> str:
    return f"{'ip6' if ':' in address else 'ip'} daddr {address}"


def _of_kinds(walls: Walls, names: Mapping[str, Collection[str]]) -> str:
    """Lets servers of kinds with networks reach these. Kinds with the same networks have the same addresses."""
    lists = dict.fromkeys(walls.of_kinds.values())
    return "".join(
        _accepts(places, names, f"ether saddr & {mac_addresses.MASK} == {mac_addresses.of_networks(places)} ")
        for places in lists
    )


def _others(walls: Walls) -> str:
    """Lets containers of others pass, in a network of theirs."""
    own = f"{SERVER_MAC}:00:00:00:00"
    return f"    ether saddr & ff:fe:00:00:00:00 != {own} ether saddr != {{ {', '.join(walls.free)} }} accept\n"


def resolvers(resolv_conf: str) -> frozenset[str]:
    """The IPv4 name servers that the text of a resolv.conf names."""
    lines = (line.split() for line in resolv_conf.splitlines())
    named = (words[1] for words in lines if words[:1] == ["nameserver"] and len(words) > 1)
    return frozenset(one for one in named if _is_network(one))


def host_names(walls: Walls) -> frozenset[str]:
    """The host names among what the walls let through."""
    of_kinds = (one for places in walls.of_kinds.values() for one in places)
    places = (one.partition(":")[0] for one in (*walls.allowed, *walls.allowed_to_free, *of_kinds))
    return frozenset(place for place in places if not _is_network(place))


def _is_network(text: str) -> bool:
    try:
        ipaddress.IPv4Network(text)
    except ValueError:
        return False
    return True


def _accepts(places: Iterable[str], names: Mapping[str, Collection[str]], who: str = "") -> str:
    return "".join(f"    {who}{match} accept\n" for one in places for match in _matches(one, names))


def _matches(one: str, names: Mapping[str, Collection[str]]) -> Iterator[str]:
    place, _, port = one.partition(":")
    for address in [place] if _is_network(place) else sorted(names.get(place, ())):
        yield f"ip daddr {address}{f' meta l4proto {{ tcp, udp }} th dport {port}' if port else ''}"


def _set(name: str, elements: Iterable[str], flags: str = "", kind: str = "ipv4_addr") -> str:
    listed = ", ".join(sorted(elements))
    return f"  set {name} {{ type {kind}; {flags}{f'elements = {{ {listed} }}; ' if listed else ''}}}"
