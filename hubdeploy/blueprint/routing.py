"""Traefik's configuration: the file it starts with, the files of its dynamic directory that are ours, and the certificate.

Pure and deterministic: equal input gives equal bytes. Never touches a file or the engine, and never writes
rules.toml: that one is the hub's, which keeps a route for each running server in it.
"""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import tomli_w

from hubdeploy.blueprint import renewal
from hubdeploy.contract.documents import Secret
from hubdeploy.tls.certificates import Pair

# The hub writes its routes beside our files there. The certificate lies where the hub cannot read it.
DIRECTORY = "/etc/traefik"
DYNAMIC_DIRECTORY, CERTIFICATES_DIRECTORY = f"{DIRECTORY}/dynamic", f"{DIRECTORY}/certificates"
# The authority's name in Traefik's configuration and log.
RESOLVER = "authority"
ORDER = "acme.toml"
HTTPS_PORT, HTTP_PORT = 8443, 8080
API_ADDRESS = "proxy-admin:8099"
API_USER = "hub"
# Where the proxy's container serves its pages to Traefik alone; start-proxy.sh listens there.
PAGES_ADDRESS = "127.0.0.1:8083"
# Middlewares that put a page instead of Traefik's own words; jupyterhub/routes.py names them in the hub's routes.
HUB_AWAY, SERVER_AWAY = "hub-away", "server-away"

# The middleware of every answer to a browser; behind another proxy also the one that takes requests from the engine's host alone.
_SAFE, _PASSED = "safe-answers", "passed-by-the-host"
# The address of the engine's host in the users' network: start-proxy.sh finds it out and puts it in this place, and into the
# environment for the files of the dynamic directory.
_GATEWAY, _GATEWAY_VARIABLE = "{gateway}", "GATEWAY"
# Seconds for which browsers ask this host by TLS alone.
_HSTS = 30 * 24 * 3600

# An upload or a long poll may take this long; Traefik's own limit of 60 s breaks off slow uploads.
_PATIENCE = "10m"
# X_Forwarded_Host and the like are dropped: a server that reads them as X-Forwarded-Host would be deceived.
_NO_LOOKALIKES = {"aliasHeadersStrategy": "delete"}


@dataclass(frozen=True)
class Authority:
    """Who signs the certificate for `host`: the URL of its directory, whom it writes to, the file of authorities that its own
    certificate needs (None: those of the image), how long its certificates are valid, and the identifier and key by which it
    knows its customers."""

    host: str
    server: str
    email: str
    ca_bundle: str | None
    days: float
    binding: tuple[str, Secret[str]] | None = None


def static_config(https_port: int | None = None, authority: Authority | None = None, *, behind: bool = False) -> bytes:
    """traefik.toml. `https_port`: what requests without TLS are led to, where the proxy takes any. That is the only port of the
    browsers' in it: Traefik knows its ports inside the container only. `behind`: another proxy takes browsers' TLS."""
    return _toml(
        {
            **({"certificatesResolvers": {RESOLVER: {"acme": _acme(authority)}}} if authority else {}),
            "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
            "log": {"level": "WARN", "noColor": True},
            "api": {"dashboard": False},
            "ping": {"entryPoint": "ping"},
            "entryPoints": {**_entry_points(behind), **(_without_tls(https_port) if https_port else {})},
            # 0 s: with the default of 2 s every start of a server takes two seconds longer
            "providers": {
                "providersThrottleDuration": "0s",
                "file": {"directory": DYNAMIC_DIRECTORY, "watch": True},
            },
            # A removed container does not refuse connections: 504 after this time instead of 502 after up to 14 s. The
            # kernel sends a first packet that was lost again after 1 s.
            "serversTransport": {"forwardingTimeouts": {"dialTimeout": "1200ms"}},
        }
    )


def _entry_points(behind: bool) -> dict[str, Any]:
    taken: dict[str, Any] = {"http": {"tls": {}, "middlewares": [f"{_SAFE}@file"], **_NO_LOOKALIKES}}
    if behind:
        # The proxy in front has written down the browser's address; another entry would be our own host's.
        taken = {
            "http": {"middlewares": [f"{_PASSED}@file", f"{_SAFE}@file"], **_NO_LOOKALIKES},
            "forwardedHeaders": {"trustedIPs": [_GATEWAY], "notAppendXForwardedFor": True},
        }
    return {
        # the name that jupyterhub-traefik-proxy writes into its routes, which carry no `tls` of their own
        "https": {
            "address": f":{HTTPS_PORT}",
            **taken,
            "transport": {"respondingTimeouts": {"readTimeout": _PATIENCE, "idleTimeout": _PATIENCE}},
        },
        # bound to the address on the network that only hub and proxy share: users' containers cannot reach it
        "auth_api": {"address": API_ADDRESS, "http": _NO_LOOKALIKES},
        "ping": {"address": "127.0.0.1:8082", "http": _NO_LOOKALIKES},
    }


def _without_tls(https_port: int) -> dict[str, Any]:
    """What leads to https, and answers the authority. A route of the clock's preflight comes before."""
    led = {"entryPoint": {"to": f":{https_port}", "scheme": "https", "permanent": True, "priority": 1}}
    return {
        # A challenge of a rehearsal is answered by a route of the clock's, and every other one by Traefik itself.
        "http": {
            "address": f":{HTTP_PORT}",
            "allowACMEByPass": True,
            "http": {"redirections": led, **_NO_LOOKALIKES},
        },
    }


def _acme(authority: Authority) -> dict[str, Any]:
    """Account and certificates lie where the proxy alone reads them, apart for each authority and name: one that is asked for no
    more is neither served nor renewed."""
    storage = hashlib.sha256(f"{authority.server}\0{authority.host}".encode()).hexdigest()[:12]
    binding = {}
    if authority.binding:
        identifier, key = authority.binding
        # Traefik takes it without padding.
        binding = {"eab": {"kid": identifier, "hmacEncoded": key.reveal().rstrip("=")}}
    return {
        **binding,
        "email": authority.email,
        "caServer": authority.server,
        **({"caCertificates": [authority.ca_bundle]} if authority.ca_bundle else {}),
        "storage": f"{DIRECTORY}/acme-{storage}.json",
        "keyType": "EC256",
        "certificatesDuration": renewal.duration(authority.days),
        "httpChallenge": {"entryPoint": "http"},
    }


def order(host: str, server: str) -> bytes:
    """The file ORDER of the dynamic directory, which makes Traefik order: a router of nobody's that needs the certificate. The
    clock's job puts it there and takes it out."""
    router = {
        "rule": f"Host(`{host}`) && Path(`/.well-known/hubdeploy-certificate`)",
        "entryPoints": ["https"],
        "service": "noop@internal",
        "tls": {"certResolver": RESOLVER, "domains": [{"main": host}]},
    }
    # Another server is another order.
    return f"# {server}\n".encode() + _toml({"http": {"routers": {"certificate": router}}})


def dynamic_files(
    api_password: Secret[str], served: Pair | None, *, tls_alone: bool = False, behind: str | None = None
) -> dict[str, Secret[bytes]]:
    """Path in the proxy's container -> content, the certificate's files first and tls.toml last.

    Certificate and key (PEM) lie in a folder named after their content, so a running proxy never reads half a
    pair: the new folder is written whole, then tls.toml becomes current by a rename. `tls_alone`: browsers may remember that
    this host is never asked without TLS. `behind`: host and port that browsers send, where another proxy takes their TLS.
    """
    middlewares = {_SAFE: _headers(tls_alone, behind), **({_PASSED: _passed()} if behind else {})}
    files = {
        "api.toml": {"http": _api_router(api_password.reveal())},
        "headers.toml": {"http": {"middlewares": middlewares}},
        "pages.toml": {"http": _page_service()},
    }
    drawn = {f"{DYNAMIC_DIRECTORY}/{name}": Secret(_toml(content)) for name, content in files.items()}
    if served is None:
        return drawn
    folder = f"{CERTIFICATES_DIRECTORY}/{_version(served.certificate, served.key.reveal())}"
    pair = {"certFile": f"{folder}/cert.pem", "keyFile": f"{folder}/key.pem"}
    # as the default certificate: clients that come by address send no name to choose one by
    stores = {"default": {"defaultCertificate": pair}}
    tls = {"tls": {"stores": stores, "options": {"default": {"minVersion": "VersionTLS12"}}}}
    return {
        pair["certFile"]: Secret(served.certificate),
        pair["keyFile"]: served.key,
        **drawn,
        f"{DYNAMIC_DIRECTORY}/tls.toml": Secret(_toml(tls)),
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


def _passed() -> dict[str, Any]:
    """Refuses who is in the users' network: the proxy in front is not. Traefik fills in the address when it reads the file."""
    return {"ipAllowList": {"sourceRange": [f"{{{{ env `{_GATEWAY_VARIABLE}` }}}}"]}}


def _headers(tls_alone: bool, behind: str | None) -> dict[str, Any]:
    """Nothing is taken for what it is not, no other site puts a page into a frame or learns an address, and no answer says
    which versions run. Behind another proxy, what the settings say of the outside is what the hub and servers read, whatever
    that proxy sends; the browser's address stands last in X-Forwarded-For, and nowhere else."""
    outside = {"Host": behind, "X-Forwarded-Proto": "https", "X-Real-Ip": "", "X-Scheme": "", "Forwarded": ""}
    return {
        "headers": {
            **({"customRequestHeaders": outside} if behind else {}),
            "contentTypeNosniff": True,
            "customFrameOptionsValue": "SAMEORIGIN",
            "referrerPolicy": "same-origin",
            "customResponseHeaders": {"Server": "", "X-JupyterHub-Version": ""},
            **({"stsSeconds": _HSTS} if tls_alone else {}),
        }
    }


def _page_service() -> dict[str, Any]:
    """Pages instead of 502 and 504, which keep their status; and one where no route leads, as the hub writes none
    before its first start. Programs, which ask for no HTML, get Traefik's own words."""
    away = {
        name: {"errors": {"status": ["502", "504"], "service": "pages", "query": page}}
        for name, page in ((HUB_AWAY, "/hub.html"), (SERVER_AWAY, "/server.html"))
    }
    # Traefik's own service for nothing answers with 418.
    no_route = {"status": ["418"], "statusRewrites": {"418": 503}, "service": "pages", "query": "/hub.html"}
    router = {
        "rule": "PathPrefix(`/`) && HeaderRegexp(`Accept`, `text/html`)",
        "priority": 1,
        "entryPoints": ["https"],
        "service": "noop@internal",
        "middlewares": ["no-route"],
    }
    return {
        "routers": {"no-route": router},
        "middlewares": {**away, "no-route": {"errors": no_route}},
        "services": {"pages": {"loadBalancer": {"servers": [{"url": f"http://{PAGES_ADDRESS}"}]}}},
    }


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
