"""A server extension: JupyterLab's page takes its files from the hub, where they lie for all servers of this image.

The hub says in HUB_ASSETS which files it has. If they are not this image's, or somebody changed JupyterLab since, the page
takes all from its own server, as it does for extensions that a user installed.
"""

import os
import posixpath
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# Where gather_assets.py put them; the label of the image says so to the hub.
ASSETS = Path("/opt/jupyter/share/assets")
STATIC = Path(sys.prefix, "share", "jupyter", "lab", "static")


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "shared_assets"}]


def _load_jupyter_server_extension(server: Any) -> None:
    digest = os.environ.get("HUB_ASSETS", "")
    # JupyterHub's own; extensions are loaded in the order of their names, and so before this one.
    hook = server.web_app.settings.get("page_config_hook")
    if hook is None or not digest or not are_of(STATIC, ASSETS / digest):
        return
    prefix = f"{server.identity_provider.hub_auth.hub_prefix}static/assets/{digest}"

    def from_the_hub(handler: Any, page_config: dict[str, Any]) -> dict[str, Any]:
        return shared(hook(handler, page_config), prefix, ASSETS / digest)

    server.web_app.settings["page_config_hook"] = from_the_hub


def are_of(static: Path, assets: Path) -> bool:
    """Whether the assets were gathered from this JupyterLab: its page names its main script by content."""
    page = assets / "static" / "index.html"
    return page.is_file() and page.read_bytes() == (static / "index.html").read_bytes()


def shared(page_config: Mapping[str, Any], prefix: str, assets: Path) -> dict[str, Any]:
    """The page's configuration with JupyterLab's files, and each extension that is among the assets, below `prefix`."""
    own = page_config["fullLabextensionsUrl"]
    extensions = []
    for extension in page_config["federated_extensions"]:
        name, load = extension["name"], extension["load"]
        if (assets / "labextensions" / name / f"{load}.gz").is_file():
            # JupyterLab joins the address of its extensions, the name and this; there is one address for all extensions.
            load = posixpath.relpath(f"{prefix}/labextensions/{name}/{load}", f"{own}/{name}")
        extensions.append({**extension, "load": load})
    return {**page_config, "fullStaticUrl": f"{prefix}/static", "federated_extensions": extensions}
