"""What the operator has put on the hub's pages: title, announcement, link to help, logo.

`up` replaces the two files while the hub runs, so each look reads them anew. Nothing here is needed for the hub to work:
without the files the pages are JupyterHub's own.
"""

from __future__ import annotations

from pathlib import Path

from contract import pictures
from contract.documents import LOGO_FILE, PAGES_FILE, Pages, from_bytes
from tornado.web import RequestHandler

FOLDER = Path(__file__).parent


def shown() -> Pages:
    """What the pages show now. Where JupyterLab or a program needs the announcement: `shown().announcement`."""
    content = _content(PAGES_FILE)
    return from_bytes(Pages, content) if content else Pages()


def logo() -> bytes:
    """The operator's picture; empty without one."""
    return _content(LOGO_FILE)


def _content(name: str) -> bytes:
    try:
        return (FOLDER / name).read_bytes()
    except FileNotFoundError:
        return b""


class LogoHandler(RequestHandler):
    """The operator's picture, or JupyterHub's."""

    def initialize(self, default: str) -> None:
        self.default = Path(default)

    def get(self) -> None:
        content = logo() or self.default.read_bytes()
        self.set_header("Content-Type", pictures.kind(content) or "application/octet-stream")
        # An SVG that is opened by itself could run scripts as a page of the hub.
        self.set_header("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; sandbox")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.write(content)

    head = get
