"""The question to the guard, and its answers. The hub asks about each new server; the engine asks about the guard's health."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

# In the volume that guard and hub mount.
SOCKET = Path("/run/guard/guard.sock")
# The question about the rules; any other question is a container's MAC address.
RULES = "rules"
ISOLATED, NOT_ISOLATED, STAND, FALLEN = "isolated", "not isolated", "stand", "fallen"
# Bytes of a question or an answer, and seconds for each.
LONGEST, WITHIN = 64, 2.0


def ask(question: str) -> str:
    """The guard's answer. Raises OSError if it does not answer."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(WITHIN)
        connection.connect(str(SOCKET))
        connection.sendall(f"{question}\n".encode())
        return connection.recv(LONGEST).decode(errors="replace").strip()


if __name__ == "__main__":
    sys.exit(ask(RULES) != STAND)
