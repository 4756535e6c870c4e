"""Documents that an earlier version put into the hub are read as this version's."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from hubdeploy.blueprint import held_documents
from hubdeploy.blueprint.documents import CONTRACT_PATH
from hubdeploy.contract.documents import Contract, Login, Secret, Secrets, Trait, User, from_bytes, to_bytes
from tests.unit.hub import hub_image

# As version 0 wrote them.
CONTRACT_0: dict[str, Any] = {
    "deployment": "lab",
    "labels": {"hubdeploy.deployment": "lab"},
    "hub": {"connect_url": "http://lab-hub:8081", "port": 8081, "data_dir": "/data"},
    "proxy": {"api_url": "http://proxy-admin:8099", "api_user": "hub", "rules_file": "/srv/routes/rules.toml"},
    "authenticator": "shared-password",
    "github": None,
    "users": [
        {"name": "ann", "admin": False, "sudo": False},
        {"name": "bob", "admin": False, "sudo": True},
        {"name": "kaben", "admin": True, "sudo": False},
    ],
    "server": {
        "image": "lab/base-notebook:latest",
        "ours": True,
        "command": ["start-singleuser.sh"],
        "nb_user": "cryptic",
        "nb_uid": 1000,
        "notebook_dir": "/home/cryptic/work",
        "network": "lab-network",
        "name_template": "lab-user-{username}",
        "user_volume": "lab-user-{username}",
        "memory_limit": 2**30,
        "cpu_limit": 1.5,
        "pids_limit": 4096,
        "grant_sudo": False,
        "fingerprint": "0123abcd",
    },
}
SECRETS_0 = {
    "proxy_api_password": "proxy-secret",
    "user_password": "user-password",
    "admin_password": "admin-password-admin-password-0123",
    "github_client_secret": None,
}


def written(document: object) -> Secret[bytes]:
    return Secret(json.dumps(document).encode())


def test_documents_of_earlier_versions_are_found_where_they_lay() -> None:
    old, new = Secret(b"old"), Secret(b"new")
    earlier = {"/srv/jupyterhub/contract.json": old}
    assert held_documents.file(earlier, CONTRACT_PATH) == old
    assert held_documents.file({**earlier, CONTRACT_PATH: new}, CONTRACT_PATH) == new
    assert held_documents.file({}, CONTRACT_PATH) is None


def test_a_document_reads_back_as_it_was() -> None:
    contract, secrets = hub_image.contract(hub_image.GITHUB), hub_image.secrets("github")
    assert from_bytes(Contract, to_bytes(contract)) == contract
    assert from_bytes(Secrets, to_bytes(secrets)) == secrets


def test_a_trait_may_be_a_text_a_truth_or_several_texts() -> None:
    traits: dict[str, Trait] = {"a": "yes", "b": True, "c": ("x", "y"), "d": ()}
    contract = hub_image.contract(Login("a", "a.A", traits))
    assert from_bytes(Contract, to_bytes(contract)) == contract
    with pytest.raises(ValueError, match=r"Contract\.login\.traits\.c\[1\]: str wanted"):
        from_bytes(Contract, to_bytes(contract).replace(b'"y"', b"7"))


def test_the_contract_of_version_0_says_the_same() -> None:
    # Homes were not kept then, a login's class had a short name, and the hub one port.
    kind, login = hub_image.contract().kinds[0], Login("shared-password", "shared-password", {})
    wanted = hub_image.contract(login, volumes=kind.volumes[-1:])
    held = held_documents.contract(written(CONTRACT_0))
    assert held == dataclasses.replace(wanted, hub=dataclasses.replace(wanted.hub, front_url=""))


def test_the_github_login_of_version_0_says_the_same() -> None:
    github = {
        "url": "https://github.com",
        "client_id": "client",
        "callback_url": "https://localhost/hub/oauth_callback",
    }
    held = held_documents.contract(written(CONTRACT_0 | {"authenticator": "github", "github": github}))
    traits = {"github_url": github["url"], "client_id": "client", "oauth_callback_url": github["callback_url"]}
    assert held is not None
    assert held.login == Login("github", "github", traits)


def test_the_secrets_of_version_0_say_the_same() -> None:
    assert held_documents.secrets(written(SECRETS_0)) == hub_image.secrets("shared-password")


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b"{}", b'{"users": 3}', b"\xff"])
def test_what_cannot_be_read_is_none(content: bytes) -> None:
    assert held_documents.contract(Secret(content)) is None
    assert held_documents.secrets(Secret(content)) is None
    assert held_documents.contract(None) is None


def test_a_document_with_another_field_or_type_names_the_place() -> None:
    document = json.loads(to_bytes(hub_image.contract()))
    with pytest.raises(ValueError, match=r"Contract\.kinds\[0\]\.nb_uid: int wanted, str found"):
        from_bytes(Contract, json.dumps({**document, "kinds": [document["kinds"][0] | {"nb_uid": "1"}]}).encode())
    with pytest.raises(ValueError, match="Contract: motto does not fit"):
        from_bytes(Contract, json.dumps({**document, "motto": ""}).encode())


def test_a_secret_prints_as_stars_wherever_it_is() -> None:
    secrets = Secrets(Secret("canary"), {"user_password": Secret("canary")})
    assert "canary" not in f"{secrets} {secrets!r} {[Secret(b'canary')]}"
    assert Secret("a") == Secret("a") != Secret("b")
    assert User("ann") == User("ann", admin=False)
