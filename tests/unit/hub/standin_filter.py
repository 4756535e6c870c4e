"""Stands for the filter where a hub runs without an engine: it answers at a socket, and counts."""

from __future__ import annotations

import json
import socketserver
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from filter.question import VERSION

# Gives the answer to a path, as JSON's own types; None where the engine is away.
Answer = Callable[[str], Any]


@dataclass
class StandIn:
    """`asked`: how often each path was asked for."""

    socket: Path
    asked: Counter[str] = field(default_factory=Counter)


@contextmanager
def running(socket: Path, answer: Answer) -> Iterator[StandIn]:
    standin = StandIn(socket)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path.removeprefix(f"/v{VERSION}").partition("?")[0]
            standin.asked[path] += 1
            found = answer(path)
            content = json.dumps({"message": "the engine is away"} if found is None else found).encode()
            self.send_response(502 if found is None else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
        daemon_threads, request_queue_size = True, 128

    with Server(str(socket), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield standin
        finally:
            server.shutdown()
            thread.join()
