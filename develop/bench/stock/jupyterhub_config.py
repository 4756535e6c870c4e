"""Stock: the settings without which DockerSpawner does not work in a container, and no other."""

import os

c = get_config()  # type: ignore[name-defined]  # noqa: F821  (JupyterHub's loader provides it)
name = os.environ["STOCK_NAME"]
c.JupyterHub.spawner_class = "dockerspawner.DockerSpawner"
c.JupyterHub.authenticator_class = "shared-password"
c.SharedPasswordAuthenticator.user_password = os.environ["STOCK_USER_PASSWORD"]
c.SharedPasswordAuthenticator.admin_password = os.environ["STOCK_ADMIN_PASSWORD"]
c.Authenticator.admin_users = {"boss"}
c.Authenticator.allowed_users = {"boss", *os.environ["STOCK_USERS"].split()}
c.JupyterHub.port = 8443
c.JupyterHub.ssl_cert = "/data/stock.crt"
c.JupyterHub.ssl_key = "/data/stock.key"
c.JupyterHub.hub_ip = "0.0.0.0"
c.JupyterHub.hub_connect_ip = f"{name}-hub"
c.JupyterHub.db_url = "sqlite:////data/jupyterhub.sqlite"
c.JupyterHub.cookie_secret_file = "/data/jupyterhub_cookie_secret"
c.ConfigurableHTTPProxy.auth_token = os.environ["STOCK_PROXY_TOKEN"]
c.DockerSpawner.image = os.environ["STOCK_IMAGE"]
c.DockerSpawner.network_name = name
c.DockerSpawner.use_internal_ip = True
c.DockerSpawner.remove = True
c.DockerSpawner.prefix = name
c.DockerSpawner.notebook_dir = "/home/jovyan/work"
c.DockerSpawner.volumes = {f"{name}-user-{{username}}": "/home/jovyan/work"}
c.DockerSpawner.extra_create_kwargs = {"labels": {"bench": name}}
