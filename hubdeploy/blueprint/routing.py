"""Traefik's configuration: the file it starts with, and the files of its dynamic directory that are ours.

Pure and deterministic: equal input gives equal bytes. Never touches a file or the engine, and never writes
rules.toml: that one is the hub's, which keeps a route for each running server in it.
"""

import base64
import hashlib
from collections.abc import Mapping
from typing import Any

import tomli_w

from hubdeploy.contract.documents import Secret
from hubdeploy.tls.certificates import Pair

DYNAMIC_DIRECTORY = "/etc/traefik/dynamic"
HTTPS_PORT = 8443
API_ADDRESS = "proxy-admin:8099"
API_USER = "hub"

# An upload or a long poll may take this long; Traefik's own limit of 60 s breaks off slow uploads.
_PATIENCE = "10m"
# X_Forwarded_Host and the like are dropped: a server that reads them as X-Forwarded-Host would be deceived.
_NO_LOOKALIKES = {"aliasHeadersStrategy": "delete"}


def static_config() -> bytes:
    """traefik.toml. The port a browser sees is not in it: Traefik knows its port inside the container only."""
    return _toml(
        {
            "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
            "log": {"level": "WARN", "noColor": True},
            "api": {"dashboard": False},
            "ping": {"entryPoint": "ping"},
            "entryPoints": _entry_points(),
            # 0 s: with the default of 2 s every start of a server takes two seconds longer
            "providers": {
                "providersThrottleDuration": "0s",
                "file": {"directory": DYNAMIC_DIRECTORY, "watch": True},
            },
            # a removed container does not refuse connections: 504 after 2 s instead of 502 after up to 14 s
            "serversTransport": {"forwardingTimeouts": {"dialTimeout": "2s"}},
        }
    )


def _entry_points() -> dict[str, Any]:
    return {
        # the name that jupyterhub-traefik-proxy writes into its routes, which carry no `tls` of their own
        "https": {
            "address": f":{HTTPS_PORT}",
            "http": {"tls": {}, **_NO_LOOKALIKES},
            "transport": {"respondingTimeouts": {"readTimeout": _PATIENCE, "idleTimeout": _PATIENCE}},
        },
        # bound to the address on the network that only hub and proxy share: users' containers cannot reach it
        "auth_api": {"address": API_ADDRESS, "http": _NO_LOOKALIKES},
        "ping": {"address": "127.0.0.1:8082", "http": _NO_LOOKALIKES},
    }


def dynamic_files(api_password: Secret[str], served: Pair) -> dict[str, Secret[bytes]]:
    """Path in the dynamic directory -> content, the certificate's files first and tls.toml last.

    Certificate and key (PEM) lie in a folder named after their content, so a running proxy never reads half a
    pair: the new folder is written whole, then tls.toml becomes current by a rename.
    """
    folder = f"certs/{_version(served.certificate, served.key.reveal())}"
    pair = {
        "certFile": f"{DYNAMIC_DIRECTORY}/{folder}/cert.pem",
        "keyFile": f"{DYNAMIC_DIRECTORY}/{folder}/key.pem",
    }
    # as the default certificate: clients that come by address send no name to choose one by
    tls = {"tls": {"stores": {"default": {"defaultCertificate": pair}}}}
    return {
        f"{folder}/cert.pem": Secret(served.certificate),
        f"{folder}/key.pem": served.key,
        "api.toml": Secret(_toml({"http": _api_router(api_password.reveal())})),
        "tls.toml": Secret(_toml(tls)),
    }


def _api_router(password: str) -> dict[str, Any]:
    router = {
        "rule": "PathPrefix(`/api`)",
        "entryPoints": ["auth_api"],
        "service": "api@internal",
        "middlewares": ["hub-only"],
    }
    login = {"basicAuth": {"users": [f"{API_USER}:{_password_hash(password)}"]}}
    return {"routers": {"proxy-api": router}, "middlewares": {"hub-only": login}}


def _password_hash(password: str) -> str:
    """htpasswd's {SHA}: deterministic, and checked at each request. The password is random and long, so a
    slow hash would guard nothing, and cost 0.3 s for every route."""
    digest = hashlib.sha1(password.encode(), usedforsecurity=False).digest()
    return "{SHA}" + base64.b64encode(digest).decode("ascii")


def _version(certificate: bytes, key: bytes) -> str:
    lengths_apart = len(certificate).to_bytes(8, "big")
    return hashlib.sha256(lengths_apart + certificate + key).hexdigest()[:16]


def _toml(document: Mapping[str, Any]) -> bytes:
    return tomli_w.dumps(document).encode()
