"""What a row of the matrix needs around its deployment: the operator's own network and certificates, a stand-in for
GitHub, a web site of the company. All of it is removed again, the deployment first.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import docker

from hubdeploy.settings import loading
from tests.hub import volumes
from tests.hub.authority import Authority, site
from tests.hub.clone import CHECKOUT, Clone
from tests.hub.github_standin import GitHubStandIn
from tests.hub.matrix import Row
from tests.hub.person import Person
from tests.ports import address_in

USER, OTHER_USER = "ada", "grace"


@dataclass(frozen=True)
class Stage:
    """`clone` has its settings and is not up yet. `company_site` is a URL whose certificate `authority` signed."""

    row: Row
    clone: Clone
    authority: Authority
    company_site: str

    @property
    def ours(self) -> bool:
        return self.row.values["image"] == "ours"

    @property
    def trusts_company(self) -> bool:
        return self.row.values["authorities"] == "one more"

    def may_sudo(self) -> dict[str, bool]:
        """Users to try -> whether each may use sudo: one with the flag and one without."""
        sudo = self.row.values["sudo"]
        return {USER: sudo != "none"} | ({OTHER_USER: False} if sudo == "listed" else {})

    def log_in(self, user: str) -> Person:
        """A user with a token, whose browser trusts the company, and a certificate that `up` made."""
        trusted = self.clone.root / "browser.pem"
        made = self.clone.settings.certificate_path
        trusted.write_bytes(self.authority.pem + (made.read_bytes() if made.exists() else b""))
        person = Person(self.clone.url, user, trusted)
        by_github = self.row.values["login"] == "github"
        answer = person.log_in_with_github() if by_github else person.log_in(self.clone.user_password)
        assert answer.status_code == 200, answer.text
        person.take_token()
        return person


@contextmanager
def staged(
    row: Row, client: docker.DockerClient, new_clone: Callable[..., Clone], docker_stacks: str, folder: Path
) -> Iterator[Stage]:
    """The row's stage. `docker_stacks` is the stand-in's reference, for a row that runs it."""
    machine, authority = loading.load(CHECKOUT, os.environ), Authority()
    token = secrets.token_hex(4)
    filled_in = {
        "token": token,
        # One of this machine's many loopback addresses, on which probably no other program listens.
        "loopback": ".".join(["127", *(str(1 + secrets.randbelow(254)) for _ in range(3))]),
        "user": row.setting("NB_USER") or machine.nb_user,
        "docker_stacks": docker_stacks,
        "bundle": str(folder / "bundle.pem"),
        "github": "",
    }
    with ExitStack() as stack:
        # A bridge's own address is one of the engine's host: containers of every network reach it, and so does this process.
        company = client.networks.create(f"hubtest-{token}-company", driver="bridge")
        stack.callback(company.remove)
        company.reload()
        here = address_in(company)
        tls = authority.tls(here, folder)
        if row.values["login"] == "github":
            encrypted = tls if row.values["authorities"] == "one more" else None
            github = GitHubStandIn(
                here, row.setting("GITHUB_CLIENT_ID"), row.setting("GITHUB_CLIENT_SECRET"), encrypted
            )
            filled_in["github"] = stack.enter_context(github).url
        settings = row.settings(**filled_in)
        bundle = machine.extra_ca_bundle.read_bytes() if machine.extra_ca_bundle else b""
        (folder / "bundle.pem").write_bytes(bundle + authority.pem)
        if "DOCKER_NETWORK_NAME" in settings:
            stack.callback(client.networks.create(settings["DOCKER_NETWORK_NAME"], driver="bridge").remove)
        name = settings.pop("DOCKER_MACHINE_NAME")
        if "SECRETS_VOLUME" in settings:
            certificate, key = authority.pair(settings.get("HUB_HOST", machine.hub_host))
            stack.callback(client.volumes.create(settings["SECRETS_VOLUME"]).remove)
            files = {f"{name}.crt": certificate, f"{name}.key": key}
            volumes.fill(client, settings["SECRETS_VOLUME"], machine.base_image, files)
        url = stack.enter_context(site(here, tls))
        settings["ALLOWED_NETWORKS"] = urlsplit(url).netloc
        flag = " sudo" if row.values["sudo"] == "listed" else ""
        clone = new_clone(f"boss admin\n{USER}{flag}\n{OTHER_USER}\n", name=name, **settings)
        stack.callback(clone.remove)
        yield Stage(row, clone, authority, url)
