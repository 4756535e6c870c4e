"""Where the hub finds the filter, and the question whether it is well. The engine asks that, and `status`."""

from __future__ import annotations

import http.client
import json
import socket
import sys

# In the volume that filter and hub mount.
SOCKET = "/run/filter/engine.sock"
# The one version of the engine's API that the filter speaks with the hub.
VERSION = "1.41"
# What is asked about the filter itself.
HEALTH = "/health"
WITHIN = 4.0


class _Connection(http.client.HTTPConnection):
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(WITHIN)
        self.sock.connect(SOCKET)


def health() -> str:
    """What an operator should know of the filter, a line or none. Raises OSError if it or the engine does not answer."""
    connection = _Connection("filter", timeout=WITHIN)
    connection.request("GET", f"/v{VERSION}{HEALTH}")
    answer = connection.getresponse()
    said = json.loads(answer.read())
    if answer.status != http.HTTPStatus.OK:
        raise OSError(said["message"])
    refused: int = said["refused"]
    what = f"{refused} requests of the hub" if refused > 1 else "a request of the hub"
    return f"refused {what}; see `./invoke logs --of filter`" if refused else ""


if __name__ == "__main__":
    try:
        print(health(), end="")
    except OSError as error:
        sys.exit(f"the filter does not answer: {error}")
