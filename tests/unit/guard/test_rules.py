"""The guard's rules as text, and what it reads for them. What they do to packets is tried in tests/hub/test_walls.py."""

from __future__ import annotations

import importlib

import pytest

from hubdeploy.contract.documents import Door, Walls
from hubdeploy.contract.mac_addresses import of_networks
from tests import hub_modules

with hub_modules.importable():
    rules = importlib.import_module("guard.rules")

WALLS = Walls("hub-0123456789", True, "hubdeploy_lab", ("02:00:00:00:00:01",))


def lines(walls: Walls, **known: object) -> list[str]:
    asked = {"free": ["172.20.0.2"], "resolvers": ["192.0.2.53"], "names": {}} | known
    return [line.strip() for line in rules.table(walls, **asked).splitlines()]


def test_metadata_is_closed_before_anything_is_opened() -> None:
    walls = Walls("b", True, "t", (), allowed=("0.0.0.0/0",), allowed_to_free=("10.0.0.1:443",))
    found = lines(walls)
    closed = found.index("ip daddr @metadata counter drop")
    assert closed < found.index("ip daddr 0.0.0.0/0 accept")
    assert closed < found.index("ip saddr @free ip daddr 10.0.0.1 meta l4proto { tcp, udp } th dport 443 accept")


def test_a_name_is_opened_at_each_of_its_addresses_and_not_before_it_has_one() -> None:
    walls = Walls("b", True, "t", (), allowed=("db.example.org:5432",))
    assert rules.host_names(walls) == {"db.example.org"}
    assert not [line for line in lines(walls) if "5432" in line]
    opened = [line for line in lines(walls, names={"db.example.org": {"10.0.0.7", "10.0.0.6"}}) if "5432" in line]
    assert [line.split()[2] for line in opened] == ["10.0.0.6", "10.0.0.7"]


def test_what_a_kind_may_reach_is_open_to_the_addresses_of_its_servers_alone() -> None:
    databases, labs = ("10.1.2.0/24", "db.example.org:5432"), ("10.1.3.7",)
    walls = Walls("b", True, "t", (), of_kinds={"again": databases, "large": databases, "lab": labs})
    assert rules.host_names(walls) == {"db.example.org"}
    found = lines(walls, names={"db.example.org": {"10.0.0.7"}})
    of_databases, of_labs = (f"ether saddr & ff:ff:ff:ff:00:00 == {of_networks(one)}" for one in (databases, labs))
    at = found.index("ip daddr @metadata counter drop")
    assert found[at + 1 : at + 5] == [
        f"{of_databases} ip daddr 10.1.2.0/24 accept",
        f"{of_databases} ip daddr 10.0.0.7 meta l4proto {{ tcp, udp }} th dport 5432 accept",
        f"{of_labs} ip daddr 10.1.3.7 accept",
        "}",
    ]
    assert not [line for line in lines(WALLS) if "ether" in line]


def test_without_a_hub_and_a_name_server_the_table_is_whole() -> None:
    found = lines(WALLS, free=[], resolvers=[])
    assert "set free { type ipv4_addr; }" in found
    assert "set resolvers { type ipv4_addr; }" in found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("nameserver 192.0.2.1\nnameserver 127.0.0.53\n", {"192.0.2.1", "127.0.0.53"}),
        ("search example.org\nnameserver fe80::1%eth0\nnameserver\n#nameserver 192.0.2.9\n", set()),
    ],
)
def test_the_hosts_name_servers_are_read(text: str, found: set[str]) -> None:
    assert rules.resolvers(text) == found


def test_in_a_network_of_others_only_marked_servers_meet_the_rules() -> None:
    passes = "ether saddr & ff:fe:00:00:00:00 != 06:68:00:00:00:00 ether saddr != { 02:00:00:00:00:01 } accept"
    assert passes in lines(Walls("b", False, "t", ("02:00:00:00:00:01",)))
    assert passes not in lines(WALLS)


def test_in_a_network_of_others_neighbours_are_reached_and_the_gateway_leads_to_none_of_them() -> None:
    found = lines(Walls("b", False, "t", ("02:00:00:00:00:01",)), gateway="02:42:00:00:00:01")
    at = found.index('oifname "b" ether daddr != 02:42:00:00:00:01 accept')
    assert found[at + 1] == 'oifname "b" counter drop'
    assert not [line for line in lines(WALLS, gateway="02:42:00:00:00:01") if "ether daddr" in line]


def test_the_door_is_for_proxies_in_front_on_all_addresses_or_on_one() -> None:
    door = Door("0.0.0.0", 8000, ("192.0.2.10", "2001:db8::/64"))
    found = lines(Walls("b", True, "t", (), door=door))
    assert "fib daddr type local tcp dport 8000 jump passing" in found
    assert "set proxies { type ipv4_addr; flags interval; auto-merge; elements = { 192.0.2.10/32 }; }" in found
    assert "set proxies6 { type ipv6_addr; flags interval; auto-merge; elements = { 2001:db8::/64 }; }" in found
    # A user's server is in the network of none of them, whatever the operator trusts.
    passing = found.index("chain passing {")
    assert found[passing + 2 : passing + 4] == ['iifname "b" counter drop', "ip saddr @proxies accept"]
    one = lines(Walls("b", True, "t", (), door=Door("192.0.2.7", 8000, ("192.0.2.10",))))
    assert "ip daddr 192.0.2.7 fib daddr type local tcp dport 8000 jump passing" in one
    assert not [line for line in lines(WALLS) if "passing" in line]
