"""Leads the addresses of the classic notebook to JupyterLab: links and bookmarks have them. A path is handed on as it came,
and never leads to another server. jupyter_server_config.py names this module.
"""

from typing import Any

from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.utils import url_escape, url_path_join
from tornado import web


class ToLab(JupyterHandler):  # type: ignore[misc]  # its package is in the image only
    """`/tree`, `/tree/FOLDER`, `/notebooks/FILE` and `/edit/FILE`, each below the server's own path."""

    @web.authenticated
    def get(self, path: str | None) -> None:
        path = (path or "").strip("/")
        target: str = url_path_join(self.base_url, "lab", *(["tree", url_escape(path)] if path else []))
        query = self.request.query
        self.redirect(f"{target}?{query}" if query else target)


default_handlers: list[tuple[str, Any]] = [(r"/(?:tree|notebooks|edit)(/.*)?", ToLab)]
