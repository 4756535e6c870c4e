"""The hub's configuration. Everything in it comes from two documents beside this one, which the deployment puts in before
the hub starts: the contract (what the deployment is) and the secrets. It reads no environment.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import admission
import assets
import broadcasts
import database
import disk
import groups
import idle
import load
import membership
import notices
import pages
import seats
from aiohttp import ClientTimeout
from contract import servers
from contract.documents import (
    CONTRACT_FILE,
    DEPLOYMENT_HEADER,
    SECRETS_FILE,
    Contract,
    Secrets,
    from_bytes,
)
from routes import Routes
from safe_start import SafeStartHandler
from spawner import ServerSpawner
from traitlets.utils.importstring import import_item

HERE = Path(__file__).parent
# The login whose pages have more to show.
OWN_ACCOUNTS = "accounts"


def configure_hub(c: Any, contract: Contract) -> None:
    hub = contract.hub
    # all cookies have this path: another hub on the host name, at another port, gets none of them
    c.JupyterHub.base_url = hub.base_url
    # a request outside that path, such as for / or a bookmark of an earlier path, is led inside
    c.JupyterHub.hub_routespec = "/"
    # JupyterHub believes what a request says of the browser's address: it listens where the proxy alone can ask
    c.JupyterHub.hub_bind_url = hub.front_url
    c.Hub.port_for_servers = hub.port
    # a name whose address never changes: running servers keep the URL, and the address, for life
    c.JupyterHub.hub_connect_url = hub.connect_url
    c.JupyterHub.db_url = database.url(Path(hub.data_dir) / database.FILE)
    c.JupyterHub.cookie_secret_file = f"{hub.data_dir}/jupyterhub_cookie_secret"
    # backs up an SQLite database before it changes it
    c.JupyterHub.upgrade_db = True
    # users' servers outlive the hub
    c.JupyterHub.cleanup_servers = False
    # also how soon routes that went missing are put back
    c.JupyterHub.last_activity_interval = 60
    # the page of a starting server shows at once
    c.JupyterHub.tornado_settings = {
        "slow_spawn_timeout": 0,
        "headers": {DEPLOYMENT_HEADER: contract.deployment},
        "static_handler_class": assets.FilesHandler,
        # as JupyterHub's other cookies
        "xsrf_cookie_kwargs": {"secure": True},
    }
    # the page that offers to start a server again says how the last one ended; its reader may be an admin
    c.JupyterHub.template_paths = [str(HERE / "templates")]
    c.JupyterHub.template_vars = {
        "end_of_server": lambda reader: ServerSpawner.end_of_server,
        "listed_users": [user.name for user in contract.users],
        "operators": lambda reader: pages.shown(),
        "own_logo": lambda reader: bool(pages.logo()),
        "first_visit": assets.first_visit,
        "ended_membership": lambda reader: membership.ended.get(),
        "own_accounts": contract.login.name == OWN_ACCOUNTS,
    }
    c.JupyterHub.extra_handlers = [("/safe-start", SafeStartHandler)]
    # a container that drops packets instead of refusing them would block an attempt for 30 s
    c.JupyterHubHTTPClient.session_options = {"timeout": ClientTimeout(total=10, sock_connect=2)}


def configure_proxy(c: Any, contract: Contract, secrets: Secrets) -> None:
    proxy = contract.proxy
    c.JupyterHub.proxy_class = Routes
    c.Routes.should_start = False
    # the deployment writes the API's router: with a second one here, a changed password would lock the hub out
    c.Routes.enable_setup_dynamic_config = False
    c.Routes.traefik_entrypoint = "https"
    c.Routes.traefik_api_url = proxy.api_url
    c.Routes.traefik_api_username = proxy.api_user
    c.Routes.traefik_api_password = secrets.proxy_api_password.reveal()
    c.Routes.dynamic_config_file = proxy.rules_file
    c.Routes.front_url = contract.hub.front_url


def configure_login(c: Any, contract: Contract, secrets: Secrets) -> None:
    # the section of all authenticators: it applies to any class that the contract names
    c.JupyterHub.authenticator_class = admission.over(import_item(contract.login.authenticator_class))
    for trait, value in contract.login.traits.items():
        setattr(c.Authenticator, trait, value)
    if choosing := {group for kind in contract.kinds for group in kind.provider_groups}:
        c.Authenticator.choosing_groups = choosing
    for trait, secret in secrets.login.items():
        setattr(c.Authenticator, trait, secret.reveal())
    c.Authenticator.data_dir = contract.hub.data_dir
    c.Authenticator.admin_users = {user.name for user in contract.users if user.admin}
    # admins too: the shared-password login asks for both
    c.Authenticator.allowed_users = {user.name for user in contract.users}
    c.Authenticator.listed_groups = groups.listed(contract.users)
    # whom an admin adds is on record; to be in the database is no reason to be let in
    c.Authenticator.allow_existing_users = False


def configure_servers(c: Any, contract: Contract) -> None:
    kind = contract.kinds[0]
    c.JupyterHub.spawner_class = ServerSpawner
    c.JupyterHub.allow_named_servers = False
    # building and pulling is the deployment's work; a pull in here would hold up a login for minutes
    c.ServerSpawner.pull_policy = "never"
    c.ServerSpawner.default_url = "/lab"
    c.ServerSpawner.notebook_dir = kind.notebook_dir
    c.ServerSpawner.name_template = kind.server_name
    # the filter's names of containers and volumes
    c.ServerSpawner.escape = servers.escaped
    c.ServerSpawner.network_name = kind.network_name
    c.ServerSpawner.use_internal_ip = True
    c.ServerSpawner.remove = True
    # who waits is served in turn (seats.py)
    c.JupyterHub.concurrent_spawn_limit = 0
    # for a cold disk, and for a safe start after an ordinary one
    c.ServerSpawner.start_timeout = 180
    # a starting hub stops the servers that do not answer within this time
    c.ServerSpawner.http_timeout = 60
    c.ServerSpawner.kinds = contract.servers
    c.ServerSpawner.labels = contract.labels


def configure_messages(c: Any, contract: Contract) -> notices.Notices:
    """Servers ask the hub for messages to their users, and the hub's pages show notices of admins."""
    data = Path(contract.hub.data_dir)
    sent = broadcasts.Broadcasts(data / broadcasts.FILE)
    messages = ServerSpawner.notices = notices.Notices(
        data / notices.FILE, lambda: pages.shown().announcement or "", sent
    )
    c.JupyterHub.extra_handlers += [*notices.handlers(messages), *broadcasts.handlers(sent, messages.wake)]
    c.JupyterHub.template_vars["broadcasts"] = lambda reader: sent.to(reader) if reader else []
    return messages


def configure_watches(c: Any, contract: Contract, messages: notices.Notices) -> None:
    """What looks after servers, and the admin page that shows what they know."""
    reserve, levels = disk.Reserve(Path(contract.hub.reserve)), Path(contract.hub.data_dir) / disk.LEVELS
    keeps = [user.name for user in contract.users if user.keep]
    of_disk = ServerSpawner.disk_watch = disk.DiskWatch(contract.kinds[0], messages, reserve, levels, contract.folders)
    of_idle = ServerSpawner.idle_watch = idle.IdleWatch(contract.kinds, messages, keeps)
    of_seats = ServerSpawner.seats = seats.Seats(contract.hub.memory, cards=contract.cards, is_ending=of_idle.is_ending)
    overview = load.Overview(contract.kinds, of_disk, of_idle, of_seats)
    c.JupyterHub.extra_handlers += [(r"/api/load", load.LoadHandler, {"overview": overview})]


def configure(c: Any) -> None:
    contract = from_bytes(Contract, (HERE / CONTRACT_FILE).read_bytes())
    secrets = from_bytes(Secrets, (HERE / SECRETS_FILE).read_bytes())
    configure_hub(c, contract)
    configure_proxy(c, contract, secrets)
    configure_login(c, contract, secrets)
    configure_servers(c, contract)
    configure_watches(c, contract, configure_messages(c, contract))


configure(get_config())  # type: ignore[name-defined]  # noqa: F821  (JupyterHub's loader provides it)
