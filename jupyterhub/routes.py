"""The hub's routes in the proxy: those of jupyterhub-traefik-proxy, and beside each a second one for browsers' pages.

The second leads to the same server and shows a page of ours where Traefik would write "Bad Gateway". It takes only
requests for HTML outside of APIs, so programs, kernels' sockets and files pass as before. The route for all else is the
package's own. Only where a user's name has several spellings in an address, both take each of them.
"""

import json
from functools import partial
from typing import Any
from urllib.parse import unquote

import paths
import toml  # type: ignore[import-untyped]  # the proxy client brings it, without types
from jupyterhub_traefik_proxy import traefik_utils
from jupyterhub_traefik_proxy.fileprovider import TraefikFileProviderProxy
from traitlets import Unicode, default

# Middlewares in the proxy's own files; hubdeploy/blueprint/routing.py writes them.
HUB_AWAY, SERVER_AWAY = "hub-away@file", "server-away@file"
WANTS_A_PAGE = "HeaderRegexp(`Accept`, `text/html`)"

Keys = list[str]


class Encoder(toml.TomlEncoder):  # type: ignore[misc]  # the package has no types
    """Writes text as JSON does, which TOML reads: the package's own way breaks the file where a name holds `\\x`. No two braces
    meet: Traefik would run what stands between them, as it takes the file for a template."""

    def __init__(self) -> None:
        super().__init__()
        self.dump_funcs[str] = lambda text: json.dumps(text, ensure_ascii=False).replace("{", "\\u007b")


class Routes(TraefikFileProviderProxy):  # type: ignore[misc]  # the package has no types
    """Traefik's routes in a file, with pages for servers that do not answer. Those to the hub lead to `front_url`."""

    front_url = Unicode(config=True, help="Where the proxy alone reaches the hub.")

    @default("dynamic_config")
    def _load_dynamic_config(self) -> dict[str, Any]:
        """The routes of the file, drawn anew: an earlier version drew them without pages. A file that cannot be read must
        not keep the hub from starting: the hub adds the routes of all running servers then."""
        loaded: dict[str, Any] = {"http": {"routers": {}, "services": {}}, "jupyterhub": {"routes": {}}}
        try:
            loaded = super()._load_dynamic_config()
        except ValueError as error:
            self.log.error("%s cannot be read and is written anew: %s", self.dynamic_config_file, error)
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
        _, hub = super()._dynamic_config_for_route(routespec, target, data)
        # JupyterHub compares the target that it gave, and finds it in `hub`.
        led = self.front_url if "hub" in data else target
        traefik, _ = super()._dynamic_config_for_route(routespec, led, data)
        routers = traefik["http"]["routers"]
        (plain,) = routers.values()
        # Traefik's own order is by the length of the rule, with which a page of the hub would win over a user's server.
        plain["priority"] = 2 * len(routespec)
        if not paths.is_plain(routespec):
            plain["rule"] = f"PathRegexp(`^{paths.spellings_for_a_rule(routespec[:-1])}(/|$)`)"
            plain["middlewares"] = [one_spelling(routespec)]
            traefik["http"]["middlewares"] = {one_spelling(routespec): rewriting(routespec)}
        routers[page_alias(routespec)] = {
            **plain,
            "rule": f"({plain['rule']}) && {WANTS_A_PAGE} && !({api_rule(routespec, data)})",
            "priority": plain["priority"] + 1,
            "middlewares": [HUB_AWAY if "hub" in data else SERVER_AWAY, *plain.get("middlewares", ())],
        }
        return traefik, hub

    def _keys_for_route(self, routespec: str) -> tuple[tuple[Keys, ...], tuple[Keys, ...]]:
        traefik, hub = super()._keys_for_route(routespec)
        more = [["http", "routers", page_alias(routespec)]]
        if not paths.is_plain(routespec):
            more.append(["http", "middlewares", one_spelling(routespec)])
        return (*traefik, *more), hub

    def _persist_dynamic_config(self) -> None:
        # Traefik refuses a file with an empty table.
        if not self.dynamic_config["http"].get("middlewares", True):
            del self.dynamic_config["http"]["middlewares"]
        self.dynamic_config_handler._dump = partial(toml.dump, encoder=Encoder())
        super()._persist_dynamic_config()


def page_alias(routespec: str) -> str:
    """The name of the route for pages."""
    alias: str = traefik_utils.generate_alias(routespec, "page")
    return alias


def one_spelling(routespec: str) -> str:
    """The name of the middleware that rewrites a path."""
    alias: str = traefik_utils.generate_alias(routespec, "spelling")
    return alias


def rewriting(routespec: str) -> dict[str, Any]:
    """The middleware that gives each spelling of the route to the server as the one that the server knows."""
    sent = f"^{paths.spellings_as_sent(routespec[:-1])}(/.*)?$"
    # `$` begins a group's name there; JupyterHub's spelling holds none.
    return {"replacePathRegex": {"regex": sent, "replacement": f"{routespec[:-1]}$1"}}


def api_rule(routespec: str, data: dict[str, Any]) -> str:
    """Traefik's rule for requests to an API below the route, whoever sends them."""
    path = unquote(routespec)
    if "hub" in data:
        return f"PathRegexp(`^{path}(hub|user/[^/]+)/api(/|$)`)"
    if not paths.is_plain(routespec):
        return f"PathRegexp(`^{paths.spellings_for_a_rule(routespec)}api(/|$)`)"
    return f"PathPrefix(`{path}api/`) || Path(`{path}api`)"
