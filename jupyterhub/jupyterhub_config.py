"""The hub's configuration. Everything in it comes from two files beside this one, which the deployment puts
in before the hub starts: contract.json (what the deployment is) and secrets.json. It reads no environment.
"""

import json
from pathlib import Path
from typing import Any

import database
from aiohttp import ClientTimeout
from spawner import ServerSpawner

HERE = Path(__file__).parent


def configure_hub(c: Any, contract: dict[str, Any]) -> None:
    hub = contract["hub"]
    c.JupyterHub.hub_bind_url = f"http://0.0.0.0:{hub['port']}"
    # a name whose address never changes: running servers keep the URL, and the address, for life
    c.JupyterHub.hub_connect_url = hub["connect_url"]
    c.JupyterHub.db_url = database.url(Path(hub["data_dir"]) / database.FILE)
    c.JupyterHub.cookie_secret_file = f"{hub['data_dir']}/jupyterhub_cookie_secret"
    # backs up an SQLite database before it changes it
    c.JupyterHub.upgrade_db = True
    # users' servers outlive the hub
    c.JupyterHub.cleanup_servers = False
    # also how soon routes that went missing are put back
    c.JupyterHub.last_activity_interval = 60
    # the page of a starting server shows at once
    c.JupyterHub.tornado_settings = {"slow_spawn_timeout": 0}
    # a server's end by itself is told on the page that offers to start it again, which an admin may be reading
    c.JupyterHub.template_paths = [str(HERE / "templates")]
    c.JupyterHub.template_vars = {"end_of_server": lambda reader: ServerSpawner.end_of_server}
    # a container that drops packets instead of refusing would block a try for 30 s
    c.JupyterHubHTTPClient.session_options = {"timeout": ClientTimeout(total=10, sock_connect=2)}


def configure_proxy(c: Any, contract: dict[str, Any], secrets: dict[str, Any]) -> None:
    proxy = contract["proxy"]
    c.JupyterHub.proxy_class = "traefik_file"
    c.TraefikFileProviderProxy.should_start = False
    # the deployment writes the API's router: were it here too, a changed password would lock the hub out
    c.TraefikFileProviderProxy.enable_setup_dynamic_config = False
    c.TraefikFileProviderProxy.traefik_entrypoint = "https"
    c.TraefikFileProviderProxy.traefik_api_url = proxy["api_url"]
    c.TraefikFileProviderProxy.traefik_api_username = proxy["api_user"]
    c.TraefikFileProviderProxy.traefik_api_password = secrets["proxy_api_password"]
    c.TraefikFileProviderProxy.dynamic_config_file = proxy["rules_file"]


def configure_login(c: Any, contract: dict[str, Any], secrets: dict[str, Any]) -> None:
    users = contract["users"]
    c.Authenticator.admin_users = {user["name"] for user in users if user["admin"]}
    # admins too: the shared-password login asks for both
    c.Authenticator.allowed_users = {user["name"] for user in users}
    # whom an admin adds in the admin page may enter; start.py takes out who left the list
    c.Authenticator.allow_existing_users = True
    if contract["authenticator"] == "github":
        configure_github(c, contract["github"], secrets)
    else:
        c.JupyterHub.authenticator_class = "shared-password"
        c.SharedPasswordAuthenticator.user_password = secrets["user_password"]
        c.SharedPasswordAuthenticator.admin_password = secrets["admin_password"]


def configure_github(c: Any, github: dict[str, Any], secrets: dict[str, Any]) -> None:
    """OAuthenticator derives from github_url: <url>/login/oauth/authorize and <url>/login/oauth/access_token;
    the user at api.github.com/user or, for any other url, as GitHub Enterprise has it, <url>/api/v3/user."""
    c.JupyterHub.authenticator_class = "github"
    c.GitHubOAuthenticator.github_url = github["url"].rstrip("/")
    c.GitHubOAuthenticator.client_id = github["client_id"]
    c.GitHubOAuthenticator.client_secret = secrets["github_client_secret"]
    c.GitHubOAuthenticator.oauth_callback_url = github["callback_url"]


def configure_servers(c: Any, contract: dict[str, Any]) -> None:
    server = contract["server"]
    c.JupyterHub.spawner_class = ServerSpawner
    c.JupyterHub.allow_named_servers = False
    c.ServerSpawner.image = server["image"]
    # building and pulling is the deployment's work; a pull in here would hold up a login for minutes
    c.ServerSpawner.pull_policy = "never"
    c.ServerSpawner.cmd = server["command"]
    c.ServerSpawner.default_url = "/lab"
    c.ServerSpawner.notebook_dir = server["notebook_dir"]
    c.ServerSpawner.name_template = server["name_template"]
    c.ServerSpawner.network_name = server["network"]
    c.ServerSpawner.use_internal_ip = True
    c.ServerSpawner.remove = True
    # for a cold disk and many starts at once
    c.ServerSpawner.start_timeout = 120
    # a hub that starts stops the servers that do not answer it within this time
    c.ServerSpawner.http_timeout = 60
    c.ServerSpawner.mem_limit = server["memory_limit"]
    c.ServerSpawner.cpu_limit = server["cpu_limit"]
    c.ServerSpawner.pids_limit = server["pids_limit"]
    c.ServerSpawner.mounts = [user_volume(contract)]
    c.ServerSpawner.extra_create_kwargs = ServerSpawner.create_options
    c.ServerSpawner.extra_host_config = ServerSpawner.host_options
    c.ServerSpawner.ours = server["ours"]
    c.ServerSpawner.nb_user = server["nb_user"]
    c.ServerSpawner.nb_uid = server["nb_uid"]
    c.ServerSpawner.grant_sudo = server["grant_sudo"]
    c.ServerSpawner.sudo_users = {user["name"] for user in contract["users"] if user["sudo"]}
    c.ServerSpawner.labels = contract["labels"] | {
        "hubdeploy.role": "server",
        "hubdeploy.fingerprint": server["fingerprint"],
    }


def user_volume(contract: dict[str, Any]) -> dict[str, Any]:
    """As a mount, not a bind: only so does the engine label the volume that it makes. One that is there is used as it is."""
    server = contract["server"]
    labels = contract["labels"] | {"hubdeploy.role": "volume", "hubdeploy.uid": str(server["nb_uid"])}
    return {
        "type": "volume",
        "source": server["user_volume"],
        "target": server["notebook_dir"],
        "labels": labels,
    }


def configure(c: Any) -> None:
    contract = json.loads((HERE / "contract.json").read_text())
    secrets = json.loads((HERE / "secrets.json").read_text())
    configure_hub(c, contract)
    configure_proxy(c, contract, secrets)
    configure_login(c, contract, secrets)
    configure_servers(c, contract)


configure(get_config())  # noqa: F821  (JupyterHub's loader provides it)
