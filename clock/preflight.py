"""What goes wrong before an authority signs, looked at before it is asked: the records of the host's name, whether each of them
leads to this proxy, who may sign for the name, and the clock. It asks the DNS, the addresses and the authority's directory, on
the host's network, and changes nothing.
"""

from __future__ import annotations

import ipaddress
import json
import socket
import ssl
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException, HTTPResponse
from secrets import token_hex
from typing import Any

import dns.exception
import dns.name
import dns.nameserver
import dns.resolver
from dns.rdtypes.ANY.CAA import CAA

# Where an authority asks (RFC 8555, 8.3).
PORT = 80
# An authority refuses what is signed at another time, and its own certificate is not valid then.
CLOCK_APART = timedelta(hours=1)
# Seconds for each question; all of them together fit into the job's time.
_WITHIN = 5.0
_HEADER = "Hubdeploy-Preflight"
_KINDS = ("A", "AAAA")
# The flag of a CAA record whose property an authority must know, and properties that say nothing about this order.
_OTHER_PROPERTIES = ("issuewild", "iodef", "issuemail", "issuevmc", "contactemail", "contactphone")
_CRITICAL = 128
_LONGEST_DIRECTORY, _LONGEST_CHALLENGE = 1024**2, 1024
# The folder of the dynamic directory that start-proxy.sh lets the proxy's own pages show.
SHOWN = "rehearsal"


@dataclass(frozen=True)
class Found:
    """What was found, in words: what the authority would refuse, what it may refuse, and what is well."""

    refused: tuple[str, ...] = ()
    doubtful: tuple[str, ...] = ()
    well: tuple[str, ...] = ()

    def __add__(self, other: Found) -> Found:
        return Found(self.refused + other.refused, self.doubtful + other.doubtful, self.well + other.well)


class Route(ABC):
    """A route of this proxy alone, for a few seconds. `route` goes into a file of its own in the dynamic directory. `service`
    answers at `path`, through a middleware of a kind of Traefik's with one setting."""

    def __init__(self, path: str, service: str, kind: str, key: str, value: str) -> None:
        self.name, self.path = f"preflight-{token_hex(8)}", path
        self._service, self._middleware = service, (kind, key, value)

    @property
    def route(self) -> str:
        kind, key, value = self._middleware
        # Before the redirection to https.
        return f"""[http.routers.{self.name}]
rule = "Path(`{self.path}`)"
entryPoints = ["http"]
priority = 1000
middlewares = ["{self.name}"]
service = "{self._service}"
[http.middlewares.{self.name}.{kind}]
{key} = "{value}"
"""

    def answer(self, address: str, host: str, port: int = PORT) -> str:
        """How somebody else answers at the address, in words; empty if this proxy does. Raises OSError if nobody does."""
        connection = HTTPConnection(address, port, timeout=_WITHIN)
        try:
            connection.request("GET", self.path, headers={"Host": host})
            return self._other(connection.getresponse())
        except HTTPException:
            return "which does not speak HTTP"
        finally:
            connection.close()

    @abstractmethod
    def _other(self, reply: HTTPResponse) -> str:
        """How somebody else answers, in words; empty if it is this proxy's answer."""


class Token(Route):
    """What this proxy alone can answer: a random word in a header."""

    def __init__(self) -> None:
        self._proof = token_hex(16)
        path = f"/.well-known/hubdeploy/{token_hex(8)}"
        super().__init__(path, "noop@internal", "headers.customResponseHeaders", _HEADER, self._proof)

    def _other(self, reply: HTTPResponse) -> str:
        if reply.getheader(_HEADER) == self._proof:
            return ""
        server = "".join(one for one in reply.getheader("Server", "") if one.isprintable())[:60]
        return f"which answers {reply.status}{f' as {server}' if server else ''}"


class Shown(Route):
    """A challenge of a rehearsal, which the proxy answers with a file of the folder SHOWN in its dynamic directory."""

    def __init__(self, token: str, content: str) -> None:
        self._content = content
        path = f"/.well-known/acme-challenge/{token}"
        super().__init__(path, "pages@file", "replacePath", "path", f"/{SHOWN}/{token}")

    def _other(self, reply: HTTPResponse) -> str:
        body = reply.read(_LONGEST_CHALLENGE).decode(errors="replace")
        return "" if body == self._content else f"which answers {reply.status}"


def resolver(servers: str) -> dns.resolver.Resolver:
    """What asks the DNS: these servers, as `192.0.2.53,[2001:db8::53]:5353`, or those of the machine. Raises DNSException."""
    found = dns.resolver.Resolver(configure=not servers)
    if servers:
        found.nameservers = [_server(one) for one in servers.split(",")]
    found.lifetime = _WITHIN
    return found


def _server(text: str) -> dns.nameserver.Do53Nameserver:
    if text.startswith("["):
        address, _, port = text[1:].partition("]:")
    else:
        address, _, port = text.partition(":")
    return dns.nameserver.Do53Nameserver(address, int(port))


def look(
    host: str, server: str, token: Token, asked: dns.resolver.Resolver, now: datetime, published: int, port: int = PORT
) -> Found:
    """Everything but the proxy itself. `server` is the URL of the authority's directory. The proxy listens at the port
    `published`; if that is not `port`, something in front leads there."""
    with ThreadPoolExecutor() as pool:
        directory = pool.submit(_directory, server)
        signers = pool.submit(_signers, asked, host)
        found, addresses = _addresses(asked, host)
        leads = pool.map(lambda one: _leads_here(one[0], one[1], host, token, published, port), addresses)
        unasked, identities, date = directory.result()
        found = sum(leads, found) + _may_sign(signers.result(), identities) + unasked
    return found + _clock(date, now) if date else found


def _addresses(asked: dns.resolver.Resolver, host: str) -> tuple[Found, list[tuple[str, str]]]:
    """(kind, address) of each record."""
    found, addresses = Found(), []
    for kind in _KINDS:
        try:
            addresses += [(kind, str(one)) for one in asked.resolve(f"{host}.", kind)]
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            continue
        except dns.exception.DNSException as error:
            found += Found(doubtful=(f"the DNS did not say whether {host} has an {kind} record: {_told(error)}",))
    if not addresses and not found.doubtful:
        found += Found(refused=(f"{host} has no A and no AAAA record in the DNS: make one that leads to this machine",))
    return found, addresses


def _leads_here(kind: str, address: str, host: str, token: Token, published: int, port: int) -> Found:
    record = f"the {kind} record {address} of {host}"
    old = ", as an old one does" if kind == "AAAA" else ""
    try:
        other = token.answer(address, host, port)
    except OSError as error:
        silent = f"nothing answers at port {port} of {address}, the {kind} record of {host} ({error})"
        # What leads another port there may do so for other machines alone.
        if is_own(address) and published == port:
            fix = "let the proxy listen there by HTTP_PORT and BIND_ADDRESS, or correct the record"
            return Found(refused=(f"{silent}, an address of this machine: {fix}",))
        return Found(
            doubtful=(f"{silent}: well only if a router or a rule of this host keeps it from itself{_or_old(kind)}",)
        )
    if other:
        fix = "delete it, or let it lead to this machine" if kind == "AAAA" else "let it lead to this machine"
        return Found(refused=(f"{record} leads to another machine{old}, {other}: {fix}",))
    if not ipaddress.ip_address(address).is_global:
        return Found(doubtful=(f"{record} leads here, and an authority on the Internet cannot reach such an address",))
    return Found(well=(f"{record} leads here",))


def _or_old(kind: str) -> str:
    return "; delete an old AAAA record, which is asked first" if kind == "AAAA" else ""


def is_own(address: str) -> bool:
    """Whether it is an address of this machine."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True


@dataclass(frozen=True)
class Signers:
    """The CAA records that hold for a name (RFC 8659, 3): those of the nearest domain that has any. `why`: they are not known."""

    domain: str = ""
    records: tuple[CAA, ...] = ()
    why: str = ""


def _signers(asked: dns.resolver.Resolver, host: str) -> Signers:
    name = dns.name.from_text(host)
    while name != dns.name.root:
        try:
            return Signers(name.to_text(omit_final_dot=True), tuple(asked.resolve(name, "CAA")))
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            name = name.parent()
        except dns.exception.DNSException as error:
            return Signers(name.to_text(omit_final_dot=True), why=_told(error))
    return Signers()


def _may_sign(signers: Signers, identities: Collection[str]) -> Found:
    """Whether they allow an authority that answers to these names."""
    record = f"the CAA record of {signers.domain}"
    if signers.why:
        return Found(doubtful=(f"the DNS did not show {record}: {signers.why}",))
    unknown = [
        one for one in signers.records if one.flags & 128 and _property(one) not in ("issue", *_OTHER_PROPERTIES)
    ]
    if unknown:
        return Found(
            refused=(
                f"{record} has the critical property {_property(unknown[0])}, which no authority knows: delete it",
            )
        )
    issue = [_allowed(one.value.decode(errors="replace")) for one in signers.records if _property(one) == "issue"]
    if not issue:
        return Found(well=("no CAA record keeps the authority from signing",))
    names = ", ".join(sorted({name or "nobody" for name, _ in issue}))
    if not identities:
        return Found(doubtful=(f"{record} lets {names} sign, and the authority does not say by which name it goes",))
    mine = [methods for name, methods in issue if name in identities]
    if not mine:
        fix = f'add 0 issue "{sorted(identities)[0]}", or delete the record'
        return Found(refused=(f"{record} lets {names} sign, and not this authority: {fix}",))
    if not any(methods is None or "http-01" in methods for methods in mine):
        return Found(refused=(f"{record} lets the authority sign, but not after http-01: add it to validationmethods",))
    return Found(well=(f"{record} lets {names} sign",))


def _property(record: CAA) -> str:
    return record.tag.decode(errors="replace").lower()


def _allowed(value: str) -> tuple[str, list[str] | None]:
    """Who may sign by this value, and after which challenges (None: any), as in `ca.example; validationmethods=http-01`."""
    name, *parameters = (one.strip() for one in value.split(";"))
    given = dict(one.lower().partition("=")[::2] for one in parameters)
    methods = given.get("validationmethods")
    return name.lower(), None if methods is None else methods.split(",")


def _directory(server: str) -> tuple[Found, frozenset[str], datetime | None]:
    """What keeps the directory from being read, the names by which the authority goes in CAA records, and its time."""
    # The proxy checks whom it talks to, and knows ACME_CA_BUNDLE. What is read here can only keep from ordering.
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with urllib.request.urlopen(server, timeout=_WITHIN, context=context) as answer:
            date, content = answer.headers.get("Date"), answer.read(_LONGEST_DIRECTORY)
            meta: Any = json.loads(content)["meta"]
            return Found(), frozenset(map(str.lower, meta.get("caaIdentities", ()))), _moment(date)
    except urllib.error.HTTPError as error:
        return Found(doubtful=(f"{server} answers {error.code}",)), frozenset(), _moment(error.headers.get("Date"))
    except (OSError, HTTPException) as error:
        why = f"{server} does not answer this machine: {getattr(error, 'reason', error)}"
        return Found(doubtful=(why,)), frozenset(), None
    except (ValueError, KeyError, TypeError, AttributeError):
        return Found(doubtful=(f"{server} is no directory of an authority",)), frozenset(), None


def _moment(date: str | None) -> datetime | None:
    try:
        return parsedate_to_datetime(date) if date else None
    except ValueError:
        return None


def _clock(date: datetime, now: datetime) -> Found:
    apart = now - date
    if abs(apart) <= CLOCK_APART:
        return Found(well=("the clock is right",))
    way = "ahead of" if apart > timedelta(0) else "behind"
    return Found(
        refused=(f"the clock of this machine is {_span(abs(apart))} {way} the authority's: set it, or let NTP do so",)
    )


def _span(span: timedelta) -> str:
    return (
        f"{span // timedelta(days=1)} days" if span >= timedelta(days=2) else f"{span // timedelta(minutes=1)} minutes"
    )


def _told(error: dns.exception.DNSException) -> str:
    return " ".join(str(error).split())
