"""Login by a real OpenID Connect provider, nanoidp, on the real images: the hub reaches it through its walls, by a certificate of
an authority that EXTRA_CA_BUNDLE names.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest
import requests

from hubdeploy.settings import loading
from tests import nanoidp
from tests.hub.authority import Authority
from tests.hub.clone import CHECKOUT, Clone
from tests.hub.provider import behind_tls
from tests.hub.waiting import until
from tests.nanoidp import GROUPS, NanoIDP
from tests.ports import address_in

pytestmark = pytest.mark.slow

_SECRET = "secret-of-the-hub-at-the-provider"


@dataclass(frozen=True)
class Known:
    """A deployment whose users the provider knows, and what their browsers trust."""

    clone: Clone
    idp: NanoIDP
    trusted: Path

    def browser(self) -> requests.Session:
        made = requests.Session()
        made.verify, made.trust_env = str(self.trusted), False
        return made

    def log_in(self, name: str) -> requests.Response:
        return nanoidp.log_in(self.clone.url, name, browser=self.browser())

    def start_server(self, browser: requests.Session, name: str) -> None:
        """Of a user who is logged in; returns when its container is there."""
        xsrf = browser.cookies.get("_xsrf", path="/hub/")
        headers = {"X-XSRFToken": xsrf or "", "Referer": f"{self.clone.url}/hub/home"}
        answer = browser.post(f"{self.clone.url}/hub/api/users/{name}/server", headers=headers, timeout=60)
        # It may run since an earlier test.
        assert answer.status_code in (201, 202, 400), answer.text
        until(lambda: self.clone.has_container(self.clone.server_name(name)), 60, "the server is there")


@pytest.fixture(scope="module")
def known(
    new_clone: Callable[..., Clone], client: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Known]:
    folder, authority = tmp_path_factory.mktemp("provider"), Authority()
    machine = loading.load(CHECKOUT, os.environ).extra_ca_bundle
    bundle = folder / "bundle.pem"
    bundle.write_bytes((machine.read_bytes() if machine else b"") + authority.pem)
    here = address_in(client.networks.get("bridge"))
    with behind_tls(here, authority, folder, _SECRET) as idp:
        clone = new_clone(
            "boss admin\nann\n", AUTHENTICATOR="oidc", OIDC_ISSUER=idp.issuer, OIDC_CLIENT_ID=nanoidp.CLIENT,
            OIDC_CLIENT_SECRET=_SECRET, ALLOWED_GROUPS="pupils", ADMIN_GROUPS="teachers", EXTRA_CA_BUNDLE=str(bundle),
        )  # fmt: skip
        clone.up()
        trusted = folder / "browser.pem"
        trusted.write_bytes(authority.pem + clone.settings.certificate_path.read_bytes())
        yield Known(clone, idp, trusted)


def test_who_is_listed_or_in_a_group_enters_and_nobody_else(known: Known) -> None:
    home = f"{known.clone.url}/hub/token"
    assert {name: known.log_in(name).url == home for name in GROUPS} == {
        "ada": True, "bob": True, "ann": True, "eve": False, "mallory": False,
    }  # fmt: skip
    refused = known.log_in("eve")
    assert refused.status_code == 403
    assert "neither on this hub&#39;s list of users nor in a group that may use it" in refused.text


def test_a_member_of_the_group_has_a_server_that_an_up_leaves_alone(known: Known) -> None:
    """They are on no list, and `up` stops the servers of those who left it."""
    browser = known.browser()
    nanoidp.log_in(known.clone.url, "bob", browser=browser)
    known.start_server(browser, "bob")
    name = known.clone.server_name("bob")
    before = known.clone.container(name).id
    known.clone.write_userlist("boss admin\nann\ncarl\n")
    known.clone.up()
    found = known.clone.container(name)
    assert (found.id, found.status) == (before, "running")


def test_who_left_the_group_is_out_and_the_secret_shows_nowhere(known: Known) -> None:
    known.idp.set_groups({**GROUPS, "bob": ["others"]})
    known.idp.reload()
    assert known.log_in("bob").status_code == 403
    assert "nothing to do" in known.clone.invoke("plan")
    assert _SECRET not in "".join(known.clone.printed)
    assert [one.name for one in known.clone.containers() if _SECRET in json.dumps(one.attrs)] == []


def test_another_login_ends_sessions_and_the_servers_of_whoever_came_by_a_group(known: Known) -> None:
    clone, browsers = known.clone, {}
    known.idp.set_groups(GROUPS)
    known.idp.reload()
    for name in ("ann", "bob"):
        browsers[name] = known.browser()
        nanoidp.log_in(clone.url, name, browser=browsers[name])
        known.start_server(browsers[name], name)
    clone.set_local(AUTHENTICATOR="accounts", ALLOWED_GROUPS=None, ADMIN_GROUPS=None)
    assert "running servers stop: bob" in clone.invoke("plan")
    before = clone.container(clone.server_name("ann")).id
    clone.up()
    assert not clone.has_container(clone.server_name("bob"))
    assert clone.has_volume(clone.server_name("bob"))
    assert clone.container(clone.server_name("ann")).id == before
    for browser in browsers.values():
        assert browser.get(f"{clone.url}/hub/home", allow_redirects=False, timeout=30).status_code == 302
    assert "bob may not log in" in clone.invoke("access", "bob")
