"""Asks for a hub's login page as a browser does, by address and name, and prints what came as JSON.

Standard library only: where the engine is remote, a container on its network runs this file's text.
"""

import hashlib
import json
import socket
import ssl
import sys
from http.client import HTTPException, HTTPSConnection

_WITHIN = 5


def ask(address: str, port: int, host: str, path: str, header: str) -> dict[str, str]:
    """`status` of GET /hub/login below `path`, `location` if it leads elsewhere, `deployment` as the hub names it in `header`,
    `certificate`: SHA-256 of the one that is served; or `error` in the system's words. `host` goes into TLS and the Host
    header. Who signed is not asked."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    # Without a context of ours it would read every authority of this machine.
    connection = HTTPSConnection(host, port, timeout=_WITHIN, context=context)
    try:
        # To this address, whatever the name resolves to here.
        plain = socket.create_connection((address, port), timeout=_WITHIN)
        connection.sock = tls = context.wrap_socket(plain, server_hostname=host)
        connection.request("GET", f"{path}hub/login")
        served = tls.getpeercert(binary_form=True) or b""
        response = connection.getresponse()
    except (OSError, HTTPException) as error:
        return {"error": _words(error)}
    finally:
        connection.close()
    return {
        "status": str(response.status),
        "location": response.getheader("Location", ""),
        "deployment": response.getheader(header, ""),
        "certificate": hashlib.sha256(served).hexdigest(),
    }


def _words(error: Exception) -> str:
    return str(getattr(error, "reason", None) or getattr(error, "strerror", None) or error or type(error).__name__)


if __name__ == "__main__":
    print(json.dumps(ask(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])))
