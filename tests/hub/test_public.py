"""From nothing to a hub that is open to the Internet: a certificate of a real authority, login by a real OpenID Connect
provider, and a browser that trusts the root of that authority alone.
"""

from __future__ import annotations

import os
import secrets
import socket
import ssl
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest
from playwright.sync_api import Browser, Page, WebSocket, expect, sync_playwright

from hubdeploy.blueprint.routing import HTTP_PORT, HTTPS_PORT
from hubdeploy.settings import loading
from tests import nanoidp
from tests.hub import window
from tests.hub.authority import Authority
from tests.hub.browser import browser_machine
from tests.hub.clone import CHECKOUT, Clone
from tests.hub.pebble import BINDING, Pebble, pebble
from tests.hub.provider import behind_tls
from tests.hub.waiting import until
from tests.ports import address_in

pytestmark = pytest.mark.slow

HOST = "hub.trial.test"
# Port 80 is one of a loopback address that nobody else has.
ADDRESS = f"127.{secrets.randbelow(250) + 1}.{secrets.randbelow(250)}.5"
# The proxy renews with 20 minutes left and looks once a minute: it finds each certificate due.
_SECONDS = 1210
_SECRET = "secret-of-the-hub-at-the-provider"


@dataclass(frozen=True)
class Public:
    """A deployment, its authority, and a browser elsewhere."""

    clone: Clone
    authority: Pebble
    browser: Browser

    def served(self) -> str:
        """The certificate that browsers get."""
        context = ssl.create_default_context(cafile=str(self.authority.root))
        with (
            socket.create_connection((ADDRESS, self.clone.port), 5) as plain,
            context.wrap_socket(plain, server_hostname=HOST) as tls,
        ):
            return ssl.DER_cert_to_PEM_cert(tls.getpeercert(binary_form=True) or b"")

    def page(self) -> Page:
        """A window of its own, in which a certificate that is not trusted is a dead end."""
        context = self.browser.new_context(viewport={"width": 1280, "height": 800})
        context.set_default_timeout(30_000)
        return context.new_page()

    def log_in(self, page: Page, name: str) -> int:
        """From http without a path through the provider; the status with which the hub answers the return from there."""
        page.goto(f"http://{HOST}/")
        page.get_by_role("button", name="Sign in with").click()
        page.locator('input[name="username"]').fill(name)
        page.locator('input[name="password"]').fill(nanoidp.PASSWORD)
        with page.expect_response(lambda response: "/hub/oauth_callback" in response.url) as answer:
            page.locator('[type="submit"]').first.click()
        return answer.value.status


@pytest.fixture(scope="module")
def public(
    hub: Clone, new_clone: Callable[..., Clone], client: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Public]:
    folder, ours = tmp_path_factory.mktemp("provider"), Authority()
    here = address_in(client.networks.get("bridge"))
    ((identifier, key),) = BINDING.items()
    bundle = loading.load(CHECKOUT, os.environ).extra_ca_bundle
    (folder / "bundle.pem").write_bytes((bundle.read_bytes() if bundle else b"") + ours.pem)
    clone = new_clone("boss admin\nann\n", EXTRA_CA_BUNDLE=str(folder / "bundle.pem"))
    with (
        pebble(here, tmp_path_factory.mktemp("pebble"), seconds=_SECONDS) as authority,
        behind_tls(here, ours, folder, _SECRET) as idp,
    ):
        authority.resolve(HOST, ADDRESS)
        with (clone.root / ".env").open("a") as env:
            env.write(
                f"HUB_HOST={HOST}\nACME_EMAIL=admin@trial.test\nOIDC_ISSUER={idp.issuer}\nOIDC_CLIENT_ID={nanoidp.CLIENT}\n"
                "ALLOWED_GROUPS=pupils\n"
                # What a machine on the Internet does not need.
                f"BIND_ADDRESS={ADDRESS}\nACME_DNS={authority.seen_here.place}\nACME_SERVER={authority.directory}\n"
                f"ACME_CA_BUNDLE={authority.ca_bundle}\nACME_DAYS=0.0146\n"
            )
        clone.set_local(ACME_EAB_KID=identifier, ACME_EAB_HMAC=key, OIDC_CLIENT_SECRET=_SECRET)
        clone.up()
        # Chromium knows no Ed25519, with which the tests' own authority signs: the provider's certificate it takes as it is.
        provider = [folder / "site.crt"]
        with (
            browser_machine(client, uuid.uuid4().hex, provider, authorities=[authority.root], here=HOST) as machine,
            sync_playwright() as playwright,
        ):
            network = client.networks.get(clone.settings.network_name)
            for outer, inner in ((clone.port, HTTPS_PORT), (80, HTTP_PORT)):
                machine.forward(outer, network, f"{clone.settings.proxy_name}:{inner}")
            yield Public(clone, authority, machine.connect(playwright))


def test_a_user_works_while_the_certificate_is_renewed_twice(public: Public, artifacts: Path) -> None:
    page = public.page()
    kernels: list[WebSocket] = []
    page.on("websocket", lambda socket: kernels.append(socket) if "/channels" in socket.url else None)
    assert public.log_in(page, "bob") == 302
    # Their server starts by itself.
    page.wait_for_url(f"{public.clone.url}/user/bob/lab**", timeout=window.START_WITHIN)
    window.open_notebook(page)
    expect(window.run_cell(page, "kept = 6 * 7")).to_have_count(0)
    seen: set[str] = set()

    def renewed_twice() -> bool:
        seen.add(public.served())
        return len(seen) == 3

    until(renewed_twice, 240, "the certificate is renewed twice")
    expect(window.run_cell(page, "print(kept)")).to_have_text("42\n")
    assert [socket.is_closed() for socket in kernels] == [False]
    page.screenshot(path=artifacts / "public.png")


def test_an_unlisted_user_is_refused_in_words(public: Public, artifacts: Path) -> None:
    page = public.page()
    assert public.log_in(page, "eve") == 403
    expect(page.get_by_text("neither on this hub's list of users nor in a group")).to_be_visible()
    page.screenshot(path=artifacts / "public-refused.png")


def test_the_hub_says_why_each_of_them_may_enter_or_not(public: Public) -> None:
    assert "bob may log in: group pupils (ALLOWED_GROUPS)" in public.clone.invoke("access", "bob")
    told = public.clone.invoke("access", "eve")
    assert "eve may not log in, unless as a member of pupils (ALLOWED_GROUPS), as which they have not logged in" in told
    told = public.clone.invoke("audit")
    assert ["login" in line for line in told.splitlines() if "bob" in line] == [True]
    assert "login failed" in told
    assert "eve" not in told
