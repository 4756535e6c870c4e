"""Answers whether a container is isolated. It asks the kernel anew each time, and reads one short line of each asker."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress

from contract.documents import Walls

from guard.kernel import Kernel
from guard.question import FALLEN, ISOLATED, LONGEST, NOT_ISOLATED, RULES, SOCKET, STAND, WITHIN


class Answers:
    """Serves the socket. `stand` tells whether the rules are in place."""

    def __init__(self, walls: Walls, stand: Callable[[], bool]) -> None:
        self._walls, self._stand = walls, stand
        self._kernel = Kernel()
        SOCKET.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(str(SOCKET))
        # Only the hub mounts the folder; its root may be another one than this.
        SOCKET.chmod(0o666)
        self._socket.listen(64)

    def serve(self) -> None:
        """One question a connection, as long as the guard runs."""
        while True:
            connection, _ = self._socket.accept()
            with connection, suppress(OSError):
                connection.settimeout(WITHIN)
                question = connection.recv(LONGEST).decode(errors="replace").strip()
                connection.sendall(f"{self.answer(question)}\n".encode())

    def answer(self, question: str) -> str:
        """On a MAC address whether its port is isolated now and the rules stand; on RULES whether they stand."""
        if not self._stand():
            return FALLEN
        if question == RULES:
            return STAND
        ports = [port for port in self._kernel.ports(self._walls.bridge) if port.mac == question]
        return ISOLATED if ports and all(port.isolated for port in ports) else NOT_ISOLATED
