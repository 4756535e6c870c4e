"""A certificate from a real authority: issued, renewed, refused, repaired, kept, switched off. The authority is pebble; it and
the names that it asks for are on this machine alone.
"""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import docker
import pytest
import requests
from cryptography import x509

from tests.hub.clone import Clone
from tests.hub.pebble import BINDING, Pebble, pebble
from tests.hub.person import Person
from tests.hub.waiting import until
from tests.ports import free_port

pytestmark = pytest.mark.slow

HOST, WRONG, DOMAIN = "hub.trial.test", "wrong.trial.test", ".trial.test"
# The proxy renews with 20 minutes left and looks once a minute: it finds each certificate due.
_SECONDS = 1210


@dataclass(frozen=True)
class Signed:
    """A deployment, its authority, and the port for requests without TLS."""

    clone: Clone
    authority: Pebble
    http_port: int

    def serial(self, host: str = HOST) -> int | None:
        """The serial number of what somebody gets who trusts the authority's root alone; None if they would be warned."""
        context = ssl.create_default_context(cafile=str(self.authority.root))
        try:
            with (
                socket.create_connection(("127.0.0.1", self.clone.port), 5) as plain,
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

    def change(self, **values: str | None) -> None:
        """Sets keys; None takes one away."""
        local = self.clone.root / ".env.local"
        kept = [line for line in local.read_text().splitlines() if line.partition("=")[0] not in values]
        local.write_text("\n".join([*kept, *(f"{key}={value}" for key, value in values.items() if value), ""]))

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
        url = f"https://127.0.0.1:{self.clone.port}/new"
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

    @property
    def ordered(self) -> bool:
        """Whether the proxy has the order."""
        found = self.clone.container(self.clone.settings.hub_name).exec_run(["cat", "/srv/routes/acme.toml"])
        return bool(found.exit_code == 0 and found.output)


@pytest.fixture(scope="module", autouse=True)
def _names() -> Iterator[None]:
    """The authority's names lead to this machine for the tests too."""
    real = socket.getaddrinfo

    def found(host: Any, *rest: Any, **more: Any) -> Any:
        return real("127.0.0.1" if str(host).endswith(DOMAIN) else host, *rest, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", found)
        yield


@pytest.fixture(scope="module")
def signed(
    hub: Clone, new_clone: Callable[..., Clone], client: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Signed]:
    port = free_port()
    gateway = client.networks.get("bridge").attrs["IPAM"]["Config"][0]["Gateway"]
    ((identifier, key),) = BINDING.items()
    with pebble(gateway, port, tmp_path_factory.mktemp("pebble"), seconds=_SECONDS) as authority:
        clone = new_clone(
            "boss admin\nada\n", HUB_HOST=HOST, BIND_ADDRESS="127.0.0.1", HTTP_PORT=str(port),
            ACME_EMAIL="admin@trial.test", ACME_SERVER=authority.directory, ACME_CA_BUNDLE=str(authority.ca_bundle),
            ACME_DAYS="0.0146", ACME_EAB_KID=identifier, ACME_EAB_HMAC=key,
        )  # fmt: skip
        clone.share_images_of(hub)
        clone.up()
        yield Signed(clone, authority, port)


def test_a_browser_logs_in_that_trusts_the_authority_alone_and_http_leads_there(signed: Signed) -> None:
    signed.person("ada")
    led = requests.get(f"http://{HOST}:{signed.http_port}/hub/login?a=b", allow_redirects=False, timeout=5)
    assert (led.status_code, led.headers["Location"]) == (301, f"https://{HOST}:{signed.clone.port}/hub/login?a=b")
    assert signed.serial("localhost") is None
    until(lambda: "clock: certificate: signed by CN=Pebble" in signed.clone.invoke("status"), 60, "status tells")
    assert "nothing to do" in signed.clone.invoke("plan")


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


def test_an_order_that_fails_is_told_taken_out_and_made_again_after_the_repair(signed: Signed) -> None:
    before = signed.serial()
    signed.authority.resolve(WRONG, "127.0.0.9")
    signed.change(HUB_HOST=WRONG)
    told = signed.fails()
    assert "dial tcp 127.0.0.9" in told, told
    assert "the hub is up with a self-made certificate" in told
    assert signed.serial(WRONG) is None
    assert not signed.ordered
    # As every start of a server does. The proxy would order again, were the order in its place.
    orders = signed.authority.orders
    signed.change_routes()
    assert signed.authority.orders == orders
    signed.authority.resolve(WRONG, "127.0.0.1")
    signed.clone.up()
    assert signed.serial(WRONG) not in (None, before)
    # The first one was kept, and is served again without an order.
    orders = signed.authority.orders
    signed.change(HUB_HOST=HOST)
    signed.clone.up()
    assert signed.serial() is not None


def test_an_authority_that_is_away_is_told(signed: Signed) -> None:
    signed.change(ACME_SERVER=f"https://127.0.0.1:{free_port()}/dir")
    assert "connect: connection refused" in signed.fails()
    signed.change(ACME_SERVER=signed.authority.directory)
    signed.clone.up()
    assert signed.serial() is not None


def test_it_survives_clean_and_is_gone_when_nobody_wants_it(signed: Signed) -> None:
    before = signed.accounts()
    signed.clone.invoke("clean", "--yes")
    signed.clone.up()
    assert signed.serial() is not None
    assert signed.accounts() == before
    signed.change(ACME_EMAIL=None, HTTP_PORT=None)
    signed.clone.up()
    assert signed.serial() is None
    assert not signed.ordered
    with pytest.raises(requests.ConnectionError):
        requests.get(f"http://{HOST}:{signed.http_port}/", timeout=5)
    assert "certificate: self-made" in signed.clone.invoke("status")
