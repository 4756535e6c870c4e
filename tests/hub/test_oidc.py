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

    def log_in(self, name: str) -> requests.Response:
        browser = requests.Session()
        browser.verify, browser.trust_env = str(self.trusted), False
        return nanoidp.log_in(self.clone.url, name, browser=browser)


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
    browser = requests.Session()
    browser.verify, browser.trust_env = str(known.trusted), False
    nanoidp.log_in(known.clone.url, "bob", browser=browser)
    xsrf = browser.cookies.get("_xsrf", path="/hub/")
    headers = {"X-XSRFToken": xsrf or "", "Referer": f"{known.clone.url}/hub/home"}
    answer = browser.post(f"{known.clone.url}/hub/api/users/bob/server", headers=headers, timeout=60)
    assert answer.status_code in (201, 202), answer.text
    name = known.clone.server_name("bob")
    until(lambda: known.clone.has_container(name), 60, "the server is there")
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
