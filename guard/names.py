"""The addresses of host names, asked again and again by a thread of its own: nothing waits for a name server."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Collection

# Seconds between two looks at all names; an address that moves is followed within this time.
LOOK_EACH = 60.0

log = logging.getLogger("guard")


class Names:
    """Name -> IPv4 addresses. What was found stands until something else is found. `wake` is written to at each change."""

    def __init__(self, names: Collection[str], wake: int) -> None:
        self.found: dict[str, frozenset[str]] = {}
        self._names, self._wake = sorted(names), wake

    def follow(self) -> None:
        """Begins; without a name there is nothing to do."""
        if self._names:
            threading.Thread(target=self._ask, daemon=True).start()

    def _ask(self) -> None:
        while True:
            found = dict(self.found)
            for name in self._names:
                try:
                    asked = socket.getaddrinfo(name, None, socket.AF_INET, socket.SOCK_STREAM)
                except OSError as error:
                    log.warning("%s has no address: %s", name, error)
                    continue
                found[name] = frozenset(str(place[0]) for *_, place in asked)
            if found != self.found:
                self.found = found
                os.write(self._wake, b"!")
            time.sleep(LOOK_EACH)
