"""What the preflight finds, asking a real DNS server, real addresses of this machine and a real directory with TLS. Through the
proxy: tests/hub/test_authority.py."""

from __future__ import annotations

import importlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingUDPServer
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest

from tests import hub_modules
from tests.hub.authority import Authority
from tests.ports import free_port

with hub_modules.importable():
    preflight = importlib.import_module("clock.preflight")

HOST = "hub.lab.test"
HERE, OTHER, CLOSED = "127.0.0.1", "127.0.0.9", "127.0.0.10"
# OTHER, as an address of IPv6: machines without IPv6 have it too.
STALE = "::ffff:127.0.0.9"
NOW = datetime(2027, 2, 1, 12, 0, 0, tzinfo=UTC)


@dataclass
class World:
    """The DNS's zone, as (name, kind) -> values, and what the authority says of itself."""

    zone: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    rcode: dns.rcode.Rcode = dns.rcode.NXDOMAIN
    meta: Mapping[str, Any] = field(default_factory=lambda: {"caaIdentities": ["CA.test"]})
    date: datetime = NOW
    status: int = 200
    ports: dict[str, int] = field(default_factory=dict)
    directory: str = ""
    token: Any = field(default_factory=preflight.Token)

    def look(self, published: int | None = None, **servers: str) -> Any:
        asked = preflight.resolver(servers.get("dns", f"127.0.0.1:{self.ports['dns']}"))
        directory = servers.get("directory", self.directory)
        port = self.ports["http"]
        return preflight.look(HOST, directory, self.token, asked, NOW, published or port, port)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World({(HOST, "A"): [HERE]})
    with ExitStack() as stack:
        port = stack.enter_context(_serving(ThreadingHTTPServer((HERE, 0), _proxy(world, ours=True))))
        world.ports["http"] = port
        stack.enter_context(_serving(ThreadingHTTPServer((OTHER, port), _proxy(world, ours=False))))
        world.ports["dns"] = stack.enter_context(_serving(ThreadingUDPServer((HERE, 0), _dns(world))))
        directory = ThreadingHTTPServer((HERE, 0), _directory(world))
        directory.socket = Authority().tls(HERE, tmp_path).wrap_socket(directory.socket, server_side=True)
        world.directory = f"https://{HERE}:{stack.enter_context(_serving(directory))}/dir"
        yield world


@contextmanager
def _serving(server: Any) -> Iterator[int]:
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


class _Quiet(BaseHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        """Quiet."""


def _proxy(world: World, *, ours: bool) -> type[_Quiet]:
    class Proxy(_Quiet):
        def do_GET(self) -> None:
            assert self.headers["Host"] == HOST
            self.send_response(418 if ours else 404)
            # As the proxy's middleware says.
            if ours and self.path == world.token.path:
                name, _, value = world.token.route.splitlines()[-1].partition(" = ")
                self.send_header(name, value.strip('"'))
            self.end_headers()

    return Proxy


def _directory(world: World) -> type[_Quiet]:
    class Directory(_Quiet):
        def do_GET(self) -> None:
            self.send_response_only(world.status)
            self.send_header("Date", format_datetime(world.date, usegmt=True))
            self.end_headers()
            self.wfile.write(json.dumps({"meta": world.meta}).encode())

    return Directory


def _dns(world: World) -> type[BaseRequestHandler]:
    class Dns(BaseRequestHandler):
        def handle(self) -> None:
            data, socket = self.request
            query = dns.message.from_wire(data)
            answer = dns.message.make_response(query)
            answer.flags |= dns.flags.RA
            question = query.question[0]
            name, kind = question.name.to_text(omit_final_dot=True), dns.rdatatype.to_text(question.rdtype)
            if values := world.zone.get((name, kind)):
                answer.answer.append(dns.rrset.from_text(question.name, 60, "IN", kind, *values))
            elif name not in {one for one, _ in world.zone}:
                answer.set_rcode(world.rcode)
            socket.sendto(answer.to_wire(), self.client_address)

    return Dns


def test_a_name_that_leads_here_is_well(world: World) -> None:
    found = world.look()
    assert found.refused == ()
    assert found.well == ("no CAA record keeps the authority from signing", "the clock is right")
    # Of this machine alone; an address of the Internet is not to be had here.
    assert found.doubtful == (
        f"the A record {HERE} of {HOST} leads here, and an authority on the Internet cannot reach such an address",
    )


_WRONG: dict[str, tuple[dict[tuple[str, str], list[str]], str]] = {
    "no record": ({(HOST, "A"): []}, f"{HOST} has no A and no AAAA record in the DNS: make one that leads to this machine"),
    "another machine": (
        {(HOST, "A"): [OTHER]}, f"the A record {OTHER} of {HOST} leads to another machine, which answers 404 as BaseHTTP",
    ),
    "stale AAAA": (
        {(HOST, "AAAA"): [STALE]},
        f"the AAAA record {STALE} of {HOST} leads to another machine, as an old one does, which answers 404 as BaseHTTP",
    ),
    "port closed": ({(HOST, "A"): [HERE, CLOSED]}, f"of {CLOSED}, the A record of {HOST} ("),
    "CAA": ({("lab.test", "CAA"): ['0 issue "other.test"']}, "the CAA record of lab.test lets other.test sign, and not this"),
    "CAA of nobody": ({(HOST, "CAA"): ['0 issue ";"']}, f"the CAA record of {HOST} lets nobody sign, and not this authority"),
    "CAA of a method": (
        {("test", "CAA"): ['0 issue "ca.test; validationmethods=dns-01"']},
        "the CAA record of test lets the authority sign, but not after http-01",
    ),
    "critical CAA": ({(HOST, "CAA"): ['128 tbs "x"']}, "has the critical property tbs"),
}  # fmt: skip


@pytest.mark.parametrize(("zone", "why"), _WRONG.values(), ids=_WRONG)
def test_what_an_authority_would_refuse_is_refused(
    world: World, zone: Mapping[tuple[str, str], list[str]], why: str
) -> None:
    world.zone |= zone
    (refused,) = world.look().refused
    assert why in refused


@pytest.mark.parametrize(
    ("apart", "why"),
    [(timedelta(hours=3), "180 minutes behind"), (timedelta(days=-3), "3 days ahead of")],
)
def test_a_clock_that_is_wrong_is_refused(world: World, apart: timedelta, why: str) -> None:
    world.date = NOW + apart
    assert world.look().refused == (f"the clock of this machine is {why} the authority's: set it, or let NTP do so",)


@pytest.mark.parametrize(
    "records",
    [
        ['0 issue "other.test"', '0 issue "ca.test"'],
        ['0 issue "ca.test; accounturi=https://ca.test/acct/1; validationmethods=dns-01,http-01"'],
        ['0 iodef "mailto:admin@lab.test"', '0 issuewild ";"'],
        ['128 issue "CA.TEST"'],
    ],
    ids=["one of two", "with parameters", "other properties", "critical"],
)
def test_a_caa_record_that_allows_the_authority_is_well(world: World, records: list[str]) -> None:
    # The nearest domain's records hold alone.
    world.zone |= {("lab.test", "CAA"): records, ("test", "CAA"): ['0 issue ";"']}
    assert world.look().refused == ()


def test_an_authority_that_does_not_answer_is_doubtful_and_a_busy_one_still_shows_the_time(world: World) -> None:
    found = world.look(directory=f"https://{HERE}:{free_port()}/dir")
    assert found.refused == ()
    assert any("does not answer this machine: [Errno 111]" in one for one in found.doubtful)
    world.status, world.date = 503, NOW + timedelta(hours=2)
    found = world.look()
    assert f"{world.directory} answers 503" in found.doubtful
    assert "the clock of this machine is 120 minutes behind the authority's" in found.refused[0]


def test_a_caa_record_is_doubtful_where_the_authority_does_not_say_its_name(world: World) -> None:
    world.meta = {}
    world.zone[HOST, "CAA"] = ['0 issue "ca.test"']
    found = world.look()
    assert found.refused == ()
    assert (
        f"the CAA record of {HOST} lets ca.test sign, and the authority does not say by which name it goes"
        in found.doubtful
    )


def test_a_dns_that_fails_is_no_missing_record(world: World) -> None:
    world.zone.clear()
    world.rcode = dns.rcode.SERVFAIL
    found = world.look()
    assert found.refused == ()
    assert [one.partition(":")[0] for one in found.doubtful] == [
        f"the DNS did not say whether {HOST} has an A record",
        f"the DNS did not say whether {HOST} has an AAAA record",
        f"the DNS did not show the CAA record of {HOST}",
    ]


def test_a_closed_port_of_this_machine_is_doubtful_where_something_in_front_leads_it_on(world: World) -> None:
    world.zone[HOST, "A"] = [CLOSED]
    found = world.look(published=8080)
    assert found.refused == ()
    assert any(f"of {CLOSED}, the A record of {HOST} (" in one for one in found.doubtful)


def test_an_address_that_no_machine_has_is_not_this_ones() -> None:
    """It may be a router's, which does not lead its own hosts back."""
    assert preflight.is_own(HERE)
    # Documentation's (RFC 5737).
    assert not preflight.is_own("192.0.2.1")
