"""The documents that a hub was given, read as this version's, also those that version 0 wrote. Pure: it reads no file."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from hubdeploy.contract.documents import (
    DOCUMENTS,
    NO_SECRETS,
    Contract,
    Hub,
    Login,
    Proxy,
    Secret,
    Secrets,
    ServerKind,
    ServerSecrets,
    User,
    Volume,
    from_bytes,
)


def file(files: Mapping[str, Secret[bytes]], path: str) -> Secret[bytes] | None:
    """A file of a container, or None. Until 1.1 the hub's documents lay beside its modules."""
    return files.get(path, files.get(path.replace(f"/{DOCUMENTS}/", "/")))


def contract(content: Secret[bytes] | None) -> Contract | None:
    """The contract in a file's content; None where there is none, or it cannot be read."""
    return _read(Contract, content, _contract_of_version_0)


def secrets(content: Secret[bytes] | None) -> Secrets | None:
    """The secrets in a file's content; None where there are none, or they cannot be read."""
    return _read(Secrets, content, _secrets_of_version_0)


def server_secrets(content: Secret[bytes] | None) -> ServerSecrets | None:
    """What the filter has for users' servers; None where there is nothing, or it cannot be read."""
    return _read(ServerSecrets, content, lambda _: NO_SECRETS)


_Document = TypeVar("_Document")


def _read(
    kind: type[_Document], content: Secret[bytes] | None, of_version_0: Callable[[Mapping[str, Any]], _Document]
) -> _Document | None:
    if content is None:
        return None
    try:
        return from_bytes(kind, content.reveal())
    except ValueError:
        pass
    try:
        return of_version_0(json.loads(content.reveal()))
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _contract_of_version_0(document: Mapping[str, Any]) -> Contract:
    server, github = document["server"], document["github"] or {}
    traits = {"github_url": "url", "client_id": "client_id", "oauth_callback_url": "callback_url"}
    return Contract(
        deployment=document["deployment"],
        labels=document["labels"],
        hub=Hub(**document["hub"]),
        proxy=Proxy(**document["proxy"]),
        login=Login(
            name=document["authenticator"],
            authenticator_class=document["authenticator"],
            traits={trait: github[name] for trait, name in traits.items() if github},
        ),
        users=tuple(User(**user) for user in document["users"]),
        kinds=(
            ServerKind(
                name="default",
                image=server["image"],
                ours=server["ours"],
                network_name=server["network"],
                server_name=server["name_template"],
                spawn_command=tuple(server["command"]),
                nb_user=server["nb_user"],
                nb_uid=server["nb_uid"],
                notebook_dir=server["notebook_dir"],
                volumes=(Volume(server["user_volume"], server["notebook_dir"]),),
                memory_limit=server["memory_limit"],
                cpu_limit=server["cpu_limit"],
                pids_limit=server["pids_limit"],
                grant_sudo=server["grant_sudo"],
            ),
        ),
    )


def _secrets_of_version_0(document: Mapping[str, Any]) -> Secrets:
    traits = {
        "user_password": "user_password",
        "admin_password": "admin_password",
        "client_secret": "github_client_secret",
    }
    given = {trait: Secret(document[name]) for trait, name in traits.items() if document[name] is not None}
    return Secrets(Secret(document["proxy_api_password"]), given)
