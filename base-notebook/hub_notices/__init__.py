"""Jupyter Server's extension for what JupyterLab tells its user: messages of the hub, and memory.

It promises that a page gets each message within seconds and that a message stays until its user has read it. It counts a
busy kernel as activity, and never a page that asks for messages. It never stops a server that cannot reach the hub, and
imports its parts only in a server.
"""

from typing import Any


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "hub_notices"}]


def _load_jupyter_server_extension(serverapp: Any) -> None:
    from hub_notices import server

    server.load(serverapp)


async def _start_jupyter_server_extension(serverapp: Any) -> None:
    from hub_notices import server

    server.start(serverapp)
