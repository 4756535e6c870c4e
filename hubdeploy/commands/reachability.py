"""Whether a deployment on this machine serves its users now, asked as they ask: of the hub, through the proxy."""

from __future__ import annotations

import ssl
from http.client import HTTPException, HTTPSConnection

from hubdeploy.settings.declarations import Settings

_ANSWER_WITHIN = 5


def answers(settings: Settings) -> bool:
    """True if the hub says through the proxy that it is well. An address that stands for every one leads to this machine
    as well. Whose certificate it is does not count: that is checked where it is made or brought."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = HTTPSConnection(settings.bind_address, settings.hub_port, timeout=_ANSWER_WITHIN, context=context)
    try:
        connection.request("GET", "/hub/health")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
