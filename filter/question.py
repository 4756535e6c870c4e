"""Where hub and clock find the filter, how the clock asks it, and the question whether it is well. The engine asks that, and
`status`."""

from __future__ import annotations

import http.client
import json
import socket
import sys
from typing import Any

# In the volume that filter and hub mount.
SOCKET = "/run/filter/engine.sock"
# In the volume that filter and clock mount.
JOBS_SOCKET = "/run/clock/jobs.sock"
# The one version of the engine's API that the filter speaks with the hub.
VERSION = "1.41"
# What is asked about the filter itself.
HEALTH = "/health"
WITHIN = 4.0


class _Connection(http.client.HTTPConnection):
    """`host` is the path of a socket."""

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.host)


def ask(where: str, method: str, path: str, within: float) -> Any:
    """The filter's answer at a socket. Raises OSError if it does not answer, or not well, within so many seconds."""
    connection = _Connection(where, timeout=within)
    try:
        connection.request(method, f"/v{VERSION}{path}", headers={"Host": "filter"})
        answer = connection.getresponse()
        content = json.loads(answer.read())
    except (http.client.HTTPException, ValueError) as error:
        raise OSError(f"no whole answer: {error}") from error
    finally:
        connection.close()
    if answer.status != http.HTTPStatus.OK:
        raise OSError(content["message"])
    return content


def health() -> str:
    """What an operator should know of the filter, a line or none. Raises OSError if it or the engine does not answer."""
    refused: int = ask(SOCKET, "GET", HEALTH, WITHIN)["refused"]
    what = f"{refused} requests of the hub" if refused > 1 else "a request of the hub"
    return f"refused {what}; see `./invoke logs --of filter`" if refused else ""


if __name__ == "__main__":
    try:
        print(health(), end="")
    except OSError as error:
        sys.exit(f"the filter does not answer: {error}")
