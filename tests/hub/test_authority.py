"""A certificate from a real authority: issued, renewed, refused, repaired, kept, switched off, and what the preflight finds.
The authority is pebble; it and the names that it asks for are on this machine alone. Port 80 is one of a loopback address that
nobody else has.
"""

from __future__ import annotations

import json
import re
import secrets
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import docker
import pytest
import requests
from cryptography import x509

from tests.hub.clone import Clone
from tests.hub.pebble import BINDING, CAA_NAME, Pebble, pebble
from tests.hub.person import Person
from tests.hub.waiting import until
from tests.ports import address_in, free_port

pytestmark = pytest.mark.slow

HOST, WRONG, DOMAIN = "hub.trial.test", "wrong.trial.test", ".trial.test"
REHEARSED, AGAIN = "rehearsed.trial.test", "again.trial.test"
# Of the deployment, of another machine's web server, and of nobody.
ADDRESS, OTHER, CLOSED = (f"127.{secrets.randbelow(250) + 1}.{secrets.randbelow(250)}.{last}" for last in (2, 3, 4))
# The proxy renews with 20 minutes left and looks once a minute: it finds each certificate due.
_SECONDS = 1210


@dataclass(frozen=True)
class Signed:
    """A deployment and its authority."""

    clone: Clone
    authority: Pebble

    def serial(self, host: str = HOST) -> int | None:
        """The serial number of what somebody gets who trusts the authority's root alone; None if they would be warned."""
        context = ssl.create_default_context(cafile=str(self.authority.root))
        try:
            with (
                socket.create_connection((ADDRESS, self.clone.port), 5) as plain,
                context.wrap_socket(plain, server_hostname=host) as tls,
            ):
                return x509.load_der_x509_certificate(tls.getpeercert(binary_form=True) or b"").serial_number
        except ssl.SSLCertVerificationError:
            return None

    def person(self, name: str) -> Person:
        person = Person(self.clone.url, name, self.authority.root)
        assert person.log_in(self.clone.user_password).status_code == 200
        person.take_token()
        return person

    def fails(self) -> str:
        """What an `up` prints that fails."""
        with pytest.raises(AssertionError) as failed:
            self.clone.up()
        return str(failed.value)

    def change_routes(self) -> None:
        """A new route, which the proxy has taken up afterwards."""
        route = '[http.routers.new]\nrule = "Path(`/new`)"\nservice = "noop@internal"\nentryPoints = ["https"]\n'
        new, there = "/srv/routes/.new", "/srv/routes/new.toml"
        code = f"import os; open({new!r}, 'w').write({route!r}); os.replace({new!r}, {there!r})"
        words = ["/usr/bin/python3", "-c", code]
        assert self.clone.container(self.clone.settings.hub_name).exec_run(words).exit_code == 0
        url = f"https://localhost:{self.clone.port}/new"
        trusted = str(self.clone.settings.certificate_path)
        until(lambda: requests.get(url, verify=trusted, timeout=5).status_code == 418, 10, "the proxy takes the route")

    def accounts(self) -> set[str]:
        """The proxy's accounts with authorities: one for each name and authority that it ever ordered for."""
        code = "for one in /etc/traefik/acme-*.json; do cat $one; echo; done"
        found: Any = self.clone.container(self.clone.settings.proxy_name).exec_run(["sh", "-c", code])
        kept = json.JSONDecoder()
        text, uris = found.output.decode().lstrip(), set()
        while text:
            document, end = kept.raw_decode(text)
            account = document["authority"]["Account"]
            uris |= {account["Registration"]["uri"]} if account else set()
            text = text[end:].lstrip()
        assert uris
        return uris

    def routes(self) -> set[str]:
        """The files of the clock's job among the routes."""
        found: Any = self.clone.container(self.clone.settings.hub_name).exec_run(["ls", "/srv/routes"])
        return {one for one in found.output.decode().split() if one.startswith(("acme", "preflight"))}

    @property
    def ordered(self) -> bool:
        """Whether the proxy has the order."""
        found = self.clone.container(self.clone.settings.hub_name).exec_run(["cat", "/srv/routes/acme.toml"])
        return bool(found.exit_code == 0 and found.output)


@pytest.fixture(scope="module", autouse=True)
def _names() -> Iterator[None]:
    """The authority's names lead to the deployment for the tests too, and so does the name in a self-made certificate."""
    real = socket.getaddrinfo

    def found(host: Any, *rest: Any, **more: Any) -> Any:
        return real(ADDRESS if str(host).endswith((DOMAIN, "localhost")) else host, *rest, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", found)
        yield


@pytest.fixture(scope="module")
def signed(
    hub: Clone, new_clone: Callable[..., Clone], client: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Signed]:
    gateway = address_in(client.networks.get("bridge"))
    ((identifier, key),) = BINDING.items()
    with pebble(gateway, tmp_path_factory.mktemp("pebble"), seconds=_SECONDS) as authority:
        authority.resolve(HOST, ADDRESS)
        clone = new_clone(
            "boss admin\nada\n", HUB_HOST=HOST, BIND_ADDRESS=ADDRESS, ACME_DNS=authority.seen_here.place,
            ACME_EMAIL="admin@trial.test", ACME_SERVER=authority.directory, ACME_CA_BUNDLE=str(authority.ca_bundle),
            ACME_DAYS="0.0146", ACME_EAB_KID=identifier, ACME_EAB_HMAC=key,
        )  # fmt: skip
        clone.share_images_of(hub)
        assert f"certificate for {HOST}: none yet; up orders it" in clone.invoke("plan")
        clone.up()
        yield Signed(clone, authority)


def test_a_browser_logs_in_that_trusts_the_authority_alone_and_http_leads_there(signed: Signed) -> None:
    signed.person("ada")
    assert f"the A record {ADDRESS} of {HOST} leads here" in "".join(signed.clone.printed)
    led = requests.get(f"http://{HOST}/hub/login?a=b", allow_redirects=False, timeout=5)
    assert (led.status_code, led.headers["Location"]) == (301, f"https://{HOST}:{signed.clone.port}/hub/login?a=b")
    assert signed.serial("localhost") is None
    told = f"certificate for {HOST}: signed by CN=Pebble"
    until(lambda: told in signed.clone.invoke("status"), 60, "status tells")
    assert told in signed.clone.invoke("check-files")
    planned = signed.clone.invoke("plan")
    assert "nothing to do" in planned
    assert re.search(rf"^{told} .* for {HOST}, \d+ minutes left \(", planned, re.MULTILINE), planned


def test_nobody_but_the_proxy_can_read_the_account_and_the_key(signed: Signed) -> None:
    name = signed.clone.settings.proxy_name
    kept = signed.clone.container(name).exec_run(["sh", "-c", "stat -c %a /etc/traefik/acme-*.json"]).output
    assert kept == b"600\n"
    volume = signed.clone.settings.proxy_volume
    mounting = {
        one.name for one in signed.clone.containers()
        if volume in {mount.get("Name") for mount in one.attrs["Mounts"]}
    }  # fmt: skip
    assert mounting == {name}
    printed = "".join(signed.clone.printed) + json.dumps([one.attrs for one in signed.clone.containers()])
    assert next(iter(BINDING.values())) not in printed


@contextmanager
def another_machine(address: str = OTHER) -> Iterator[None]:
    """A web server at port 80."""
    server = ThreadingHTTPServer((address, 80), BaseHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


def test_what_the_authority_would_refuse_is_told_before_it_is_asked(signed: Signed) -> None:
    authority = signed.authority
    signed.clone.set_local(HUB_HOST=WRONG)
    told = [signed.fails()]
    assert not signed.ordered
    # The proxy of before may have renewed once more.
    orders = authority.orders
    with another_machine():
        authority.resolve(WRONG, OTHER)
        told.append(signed.fails())
    for addresses in ([ADDRESS, "::1"], [CLOSED]):
        authority.resolve(WRONG, *addresses)
        told.append(signed.fails())
    authority.resolve(WRONG, ADDRESS, caa="another.test")
    told.append(signed.fails())
    authority.resolve(WRONG, ADDRESS, caa=CAA_NAME)
    authority.front.apart = timedelta(hours=2, seconds=30)
    told.append(signed.fails())
    authority.front.apart = timedelta(0)
    for wrong, found in zip(
        (
            f"{WRONG} has no A and no AAAA record in the DNS",
            f"the A record {OTHER} of {WRONG} leads to another machine",
            f"nothing answers at port 80 of ::1, the AAAA record of {WRONG}",
            f"nothing answers at port 80 of {CLOSED}, the A record of {WRONG}",
            f"the CAA record of {WRONG} lets another.test sign, and not this authority",
            "the clock of this machine is 120 minutes behind the authority's",
        ),
        told,
        strict=True,
    ):
        assert f"no certificate: nothing was ordered: {wrong}" in found
        assert "the hub is up with a self-made certificate" in found
    assert authority.orders == orders
    assert not signed.ordered
    assert signed.routes() == {"acme.json", "acme.lock"}
    told_by_plan = f"certificate for {WRONG}: FAILED since "
    until(lambda: told_by_plan in signed.clone.invoke("plan"), 60, "plan tells the failure and the next order")
    assert "the next order is at" in signed.clone.printed[-1]
    # It reads no file before that is whole.
    log = signed.clone.container(signed.clone.settings.proxy_name).logs().decode()
    assert "/dynamic/." not in log, log


def test_an_order_that_fails_is_told_taken_out_and_made_again_after_the_repair(signed: Signed) -> None:
    before = signed.serial()
    # What the DNS shows the authority alone, and a limit, cannot be seen beforehand.
    signed.authority.dns.resolve(WRONG, CLOSED)
    told = signed.fails()
    assert f"dial tcp {CLOSED}" in told, told
    assert "the hub is up with a self-made certificate" in told
    assert signed.serial(WRONG) is None
    assert not signed.ordered
    # As every start of a server does. The proxy would order again, were the order in its place.
    orders = signed.authority.orders
    signed.change_routes()
    assert signed.authority.orders == orders
    signed.authority.resolve(WRONG, ADDRESS)
    signed.authority.front.limited = True
    told = signed.fails()
    assert "urn:ietf:params:acme:error:rateLimited :: too many certificates already issued" in told, told
    assert not signed.ordered
    signed.authority.front.limited = False
    signed.clone.up()
    assert signed.serial(WRONG) not in (None, before)
    # The first one was kept, and is served again without an order.
    orders = signed.authority.orders
    signed.clone.set_local(HUB_HOST=HOST)
    signed.clone.up()
    assert signed.serial() is not None


def test_a_rehearsal_finds_what_only_the_authority_sees_before_it_is_asked(signed: Signed) -> None:
    authority = signed.authority
    signed.clone.set_local(HUB_HOST=REHEARSED, ACME_STAGING=authority.staging)
    authority.resolve(REHEARSED, ADDRESS)
    authority.dns.resolve(REHEARSED, CLOSED)
    orders = authority.orders
    told = signed.fails()
    assert f"nothing was ordered: a rehearsal with {authority.staging} failed, so the order would: " in told, told
    assert CLOSED in told
    assert authority.orders == orders
    authority.resolve(REHEARSED, ADDRESS)
    assert f"a rehearsal with {authority.staging} succeeded" in signed.clone.up()
    assert signed.serial(REHEARSED) is not None
    assert signed.routes() == {"acme.json", "acme.lock", "acme.toml"}
    # A staging server that is away keeps nobody from ordering.
    signed.clone.set_local(HUB_HOST=AGAIN, ACME_STAGING=f"https://127.0.0.1:{free_port()}/dir")
    authority.resolve(AGAIN, ADDRESS)
    assert "no rehearsal: https://127.0.0.1:" in signed.clone.up()
    assert signed.serial(AGAIN) is not None
    signed.clone.set_local(HUB_HOST=HOST, ACME_STAGING=None)
    signed.clone.up()


def test_an_authority_that_is_away_is_told(signed: Signed) -> None:
    signed.clone.set_local(ACME_SERVER=f"https://127.0.0.1:{free_port()}/dir")
    assert "connect: connection refused" in signed.fails()
    signed.clone.set_local(ACME_SERVER=signed.authority.directory)
    signed.clone.up()
    assert signed.serial() is not None


def test_it_survives_clean_and_is_gone_when_nobody_wants_it(signed: Signed) -> None:
    before = signed.accounts()
    signed.clone.invoke("clean", "--yes")
    signed.clone.up()
    assert signed.serial() is not None
    assert signed.accounts() == before
    signed.clone.set_local(ACME_EMAIL=None)
    signed.clone.up()
    assert signed.serial() is None
    assert not signed.ordered
    with pytest.raises(requests.ConnectionError):
        requests.get(f"http://{HOST}/", timeout=5)
    assert "certificate: self-made" in signed.clone.invoke("status")


def test_a_port_80_of_somebody_else_is_left_to_them_unless_it_was_asked_for(
    new_clone: Callable[..., Clone], client: docker.DockerClient
) -> None:
    gateway = address_in(client.networks.get("bridge"))
    login = {"GITHUB_CLIENT_ID": "Iv1.0123456789abcdef", "GITHUB_CLIENT_SECRET": "0123456789abcdef" * 2}
    clone = new_clone("boss admin\n", HUB_HOST=HOST, HUB_PORT="443", BIND_ADDRESS=gateway, **login)
    left = f", so http://{HOST} does not lead to https"
    with another_machine(gateway):
        printed = clone.invoke("plan")
        assert re.search(rf"^warning: port 80 is taken by \S+ \(pid \d+\){left}$", printed, re.MULTILINE), printed
        clone.set_local(HTTP_PORT="80")
        with pytest.raises(
            AssertionError, match=rf"port 80 is taken by .*\n  wanted: port 80 on {gateway} for the proxy"
        ):
            clone.invoke("plan")
    assert left not in clone.invoke("plan")
