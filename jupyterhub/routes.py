"""The hub's routes in the proxy: those of jupyterhub-traefik-proxy, and beside each a second one for browsers' pages.

The second leads to the same server and shows a page of ours where Traefik would write "Bad Gateway". It takes only
requests for HTML outside of APIs, so programs, kernels' sockets and files pass as before. The route for all else is the
package's own.
"""

from typing import Any
from urllib.parse import unquote

from jupyterhub_traefik_proxy import traefik_utils
from jupyterhub_traefik_proxy.fileprovider import TraefikFileProviderProxy
from traitlets import default

# Middlewares in the proxy's own files; hubdeploy/blueprint/routing.py writes them.
HUB_AWAY, SERVER_AWAY = "hub-away@file", "server-away@file"
WANTS_A_PAGE = "HeaderRegexp(`Accept`, `text/html`)"

Keys = list[str]


class Routes(TraefikFileProviderProxy):  # type: ignore[misc]  # the package has no types
    """Traefik's routes in a file, with pages for servers that do not answer."""

    @default("dynamic_config")
    def _load_dynamic_config(self) -> dict[str, Any]:
        """The routes of the file, drawn anew: an earlier version drew them without pages."""
        loaded: dict[str, Any] = super()._load_dynamic_config()
        for route in [*loaded["jupyterhub"]["routes"].values()]:
            drawn, _ = self._dynamic_config_for_route(route["routespec"], route["target"], route["data"])
            for kind, parts in drawn["http"].items():
                loaded["http"].setdefault(kind, {}).update(parts)
        return loaded

    async def _start_external(self) -> None:
        await super()._start_external()
        # Writes what was drawn anew.
        await self._apply_dynamic_config({})

    def _dynamic_config_for_route(
        self, routespec: str, target: str, data: dict[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        traefik, hub = super()._dynamic_config_for_route(routespec, target, data)
        routers = traefik["http"]["routers"]
        (plain,) = routers.values()
        # Traefik's own order is by the length of the rule, with which a page of the hub would win over a user's server.
        plain["priority"] = 2 * len(routespec)
        routers[page_alias(routespec)] = {
            **plain,
            "rule": f"({plain['rule']}) && {WANTS_A_PAGE} && !({api_rule(routespec, data)})",
            "priority": plain["priority"] + 1,
            "middlewares": [HUB_AWAY if "hub" in data else SERVER_AWAY],
        }
        return traefik, hub

    def _keys_for_route(self, routespec: str) -> tuple[tuple[Keys, ...], tuple[Keys, ...]]:
        traefik, hub = super()._keys_for_route(routespec)
        return (*traefik, ["http", "routers", page_alias(routespec)]), hub


def page_alias(routespec: str) -> str:
    """The name of the route for pages."""
    alias: str = traefik_utils.generate_alias(routespec, "page")
    return alias


def api_rule(routespec: str, data: dict[str, Any]) -> str:
    """Traefik's rule for requests to an API below the route, whoever sends them."""
    path = unquote(routespec)
    if "hub" in data:
        return f"PathRegexp(`^{path}(hub|user/[^/]+)/api(/|$)`)"
    return f"PathPrefix(`{path}api/`) || Path(`{path}api`)"
