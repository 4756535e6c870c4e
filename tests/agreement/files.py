"""The files that a deployment puts somewhere, as leaves: the hub's documents, Traefik's configuration, the certificate,
and what matters of a build's context.
"""

from __future__ import annotations

import base64
import html
import json
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from hubdeploy.blueprint import documents as hub_contract
from hubdeploy.contract.documents import Contract, from_bytes
from tests.agreement.leaves import Leaves, flat
from tests.agreement.wire import untar

CONTRACT = hub_contract.CONTRACT_PATH.lstrip("/")
SECRETS = hub_contract.SECRETS_PATH.lstrip("/")
LOGO = hub_contract.LOGO_PATH.lstrip("/")
_PINNED = re.compile(rb"^jupyterhub==([0-9.]+)", re.MULTILINE)


def settled(paths: Iterable[str]) -> list[str]:
    """A path in the container, in which the certificate's folder is called `current`: its real name depends on a random
    number."""
    return [re.sub(r"certificates/[0-9a-f]{16}/", "certificates/current/", f"/{path}") for path in paths]


def render(put: Mapping[str, bytes]) -> Leaves:
    """`put`: path without a leading slash -> content, of both containers."""
    leaves: Leaves = {}
    for path, content in put.items():
        name = path.rpartition("/")[2]
        if name.endswith(".json"):
            document, at = json.loads(content), name.removesuffix(".json")
            for user in document.pop("users", ()):
                leaves |= flat(user, f"{at}.users[{user['name']}]")
            if path == CONTRACT:
                leaves["contract.fingerprint"] = from_bytes(Contract, content).kinds[0].fingerprint
            leaves |= flat(document, at)
        elif name.endswith(".toml"):
            leaves |= flat(tomllib.loads(_settled_text(content.decode(), put)), f"proxy.{name}")
        elif name.endswith(".html"):
            # "What is wrong - the hub's title"
            (title,) = re.findall("<title>(.*)</title>", content.decode())
            leaves[f"proxy.{name}.hub"] = html.unescape(title.partition(" - ")[2])
            pictures = re.findall('<img src="data:[^,]*,([^"]*)"', content.decode())
            leaves[f"proxy.{name}.logo"] = digest([base64.b64decode(picture) for picture in pictures])
        elif name == "acme-ca.pem":
            leaves["proxy.acme-ca"] = digest([content])
        elif path == LOGO:
            leaves["logo"] = digest([content])
        elif name == "cert.pem":
            leaves |= _certificate(content, put[f"{path.rpartition('/')[0]}/key.pem"])
    return leaves


def _settled_text(text: str, put: Mapping[str, bytes]) -> str:
    """Calls the certificate's real folder `current`; any other keeps its name."""
    for folder in (path.split("/")[-2] for path in put if path.endswith("/cert.pem")):
        text = text.replace(f"certificates/{folder}/", "certificates/current/")
    return text


def _certificate(pem: bytes, key: bytes) -> Leaves:
    read = x509.load_pem_x509_certificate(pem)
    names = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {
        "certificate.subject": read.subject.rfc4514_string(),
        "certificate.names": tuple(
            sorted([*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))])
        ),
        "certificate.has_its_key": read.public_key() == _public_key(key),
    }


def digest(authorities: Sequence[bytes]) -> str:
    return sha256(b"".join(authorities)).hexdigest()[:16]


@lru_cache(maxsize=8)
def _public_key(pem: bytes) -> Any:
    return serialization.load_pem_private_key(pem, password=None).public_key()


@lru_cache(maxsize=256)
def _context(archive: bytes) -> dict[str, Any]:
    files = untar(archive)
    authorities = [content for name, content in files.items() if name.startswith("ca/") and name.endswith(".crt")]
    pins = {found[1].decode() for found in map(_PINNED.search, files.values()) if found}
    return {
        "authorities": digest(authorities) if authorities else None,
        "jupyterhub": tuple(sorted(pins)),
    }


def context(archive: bytes, path: str) -> Leaves:
    """The authorities in a build's context, as one digest, and the version of JupyterHub that it pins."""
    return flat(_context(archive), path)
