"""The port for requests without TLS, where nobody asked for it: whoever else has it keeps it, and we publish none. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from hubdeploy.errors import Caution
from hubdeploy.plan import checks
from hubdeploy.plan.snapshot import Snapshot
from hubdeploy.settings.declarations import Settings


def where_free(
    settings: Settings, snapshot: Snapshot, listener: Callable[[str, int], str | None]
) -> tuple[Settings, tuple[Caution, ...]]:
    """The settings without the port, and why, where somebody else has it. An authority needs it, and who set it wants it: then
    it stays, and a taken one is refused as any other. `listener` says which program listens at an address and port, as
    `nginx (pid 7)`; it is asked where no container does."""
    port, address = settings.http_port, settings.bind_address
    if port is None or settings.acme_email or settings.is_set("HTTP_PORT"):
        return settings, ()
    container = checks.holding_container(snapshot, settings.proxy_name, address, port)
    if container is None and checks.holders(snapshot, address, port):
        return settings, ()
    holder = container[0] if container else listener(address, port)
    if holder is None:
        return settings, ()
    found = f"port {port} is taken by {holder}, so http://{settings.hub_host} does not lead to https"
    return replace(settings, http_port=None), (Caution(found, f"free port {port}, or set HTTP_PORT=none"),)
