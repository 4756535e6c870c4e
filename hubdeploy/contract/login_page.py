"""Asks for a hub's login page as a browser does, by address and name, and says what a browser would meet instead.

Standard library only, and nothing of ours: where the engine is remote, a container on its network runs this file's text. The
clock has it run every few minutes.
"""

import hashlib
import socket
import ssl
from http.client import HTTPConnection, HTTPException

_WITHIN = 5
# A login page, or the way to another one.
_GOOD = (200, 302)


def trouble(
    scheme: str, address: str, port: str, host: str, path: str, header: str, deployment: str, certificate: str = ""
) -> str:
    """What a browser would meet instead of GET /hub/login below `path`; empty if that comes. `scheme` is https or http; `host`
    goes into TLS and the Host header. The hub names its `deployment` in `header`. `certificate` is the SHA-256 of the one that
    must be served; without it any will do. Who signed is not asked."""
    where, served = f"{address} port {port}", b""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = HTTPConnection(host, int(port), timeout=_WITHIN)
    try:
        # To this address, whatever the name resolves to here.
        connection.sock = socket.create_connection((address, int(port)), timeout=_WITHIN)
        if scheme == "https":
            # Without a context of ours it would read every authority of this machine.
            connection.sock = tls = context.wrap_socket(connection.sock, server_hostname=host)
            served = tls.getpeercert(binary_form=True) or b""
        connection.request("GET", f"{path}hub/login")
        response = connection.getresponse()
    except (OSError, HTTPException) as error:
        return f"nobody answers {'with TLS ' if scheme == 'https' else ''}at {where}: {_words(error)}"
    finally:
        connection.close()
    if certificate and certificate != hashlib.sha256(served).hexdigest():
        return f"another certificate than this deployment's is served at {where}"
    if response.status not in _GOOD:
        return f"the proxy at {where} answers {response.status}: it does not reach the hub"
    named, location = response.getheader(header, ""), response.getheader("Location", "")
    if named != deployment:
        return f"the hub that answers at {where} is another one: {named or 'without a name'}"
    # A hub leads every request to its own path. The page of another login, such as GitHub's, has a whole URL.
    if location.startswith("/") and not location.startswith(f"{path}hub/"):
        return f"the hub at {where} does not answer below HUB_PATH={path}: it leads to {location}"
    return ""


def _words(error: Exception) -> str:
    return str(getattr(error, "reason", None) or getattr(error, "strerror", None) or error or type(error).__name__)
