"""Reads pages of the hub and of JupyterLab as a browser does: the files that they name, and JupyterLab's configuration. Pure.

Nothing of it is a list of ours, so it follows the version of both.
"""

from __future__ import annotations

import json
import posixpath
import re
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin

# Files that JupyterLab's page loads before it shows anything: the hub's pages name them, to be fetched beforehand.
_PREFETCHED = re.compile(r"for \(const address of (\[.*?\])\)", re.DOTALL)
_BELOW = re.compile(r'const href = ("[^"]*") \+ address')
_RELATIONS = frozenset(("stylesheet", "icon", "preload"))


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.files: list[str] = []
        self.fields: dict[str, str] = {}
        self.config: dict[str, Any] = {}
        self._in_config = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        of = {name: value or "" for name, value in attrs}
        self._in_config = tag == "script" and of.get("id") == "jupyter-config-data"
        if tag in ("script", "img") and of.get("src"):
            self.files.append(of["src"])
        elif tag == "link" and of.get("href") and _RELATIONS & set(of.get("rel", "").split()):
            self.files.append(of["href"])
        elif tag == "input" and of.get("name") and (of.get("type") != "radio" or "checked" in of):
            self.fields[of["name"]] = of.get("value", "")

    def handle_data(self, data: str) -> None:
        if self._in_config:
            self.config = json.loads(data)


class Page:
    """A page of HTML that came from `url`."""

    def __init__(self, url: str, html: str) -> None:
        reader = _Reader()
        reader.feed(html)
        self.url, self.html = url, html
        # The values of a form on it, as a browser would send them unchanged.
        self.fields = reader.fields
        # JupyterLab's configuration; empty for any other page.
        self.config = reader.config
        self._files = [one for one in reader.files if not one.startswith("data:")]

    @property
    def files(self) -> list[str]:
        """Addresses of what it shows or runs, and of JupyterLab's extensions."""
        return list(dict.fromkeys(urljoin(self.url, one) for one in (*self._files, *self._extensions())))

    def _extensions(self) -> list[str]:
        if not self.config:
            return []
        below = self.config["fullLabextensionsUrl"]
        named = self.config.get("federated_extensions", ())
        return [posixpath.normpath(posixpath.join(below, one["name"], one["load"])) for one in named]

    @property
    def prefetched(self) -> list[str]:
        """Addresses of what a browser fetches when it has nothing else to do."""
        found, below = _PREFETCHED.search(self.html), _BELOW.search(self.html)
        if not found or not below:
            return []
        return [urljoin(self.url, json.loads(below[1]) + one) for one in json.loads(found[1])]
