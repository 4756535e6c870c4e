"""Whether a deployment on this machine serves its users now, asked as they ask: of the hub, through the proxy."""

from __future__ import annotations

import ssl
from http.client import HTTPException, HTTPSConnection

from hubdeploy.settings import Settings

_ANSWER_WITHIN = 5
_EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def answers(settings: Settings) -> bool:
    """True if the hub says through the proxy that it is well. Whose certificate it is does not count: that is checked where
    it is made or brought."""
    address = _EVERY_ADDRESS.get(settings.bind_address, settings.bind_address)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = HTTPSConnection(address, settings.hub_port, timeout=_ANSWER_WITHIN, context=context)
    try:
        connection.request("GET", "/hub/health")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
