"""The mutations that the model must notice: for each kind of place one that breaks it first of all places, by file.

A table, and so as long as the model has places.
"""

# fmt: off
from __future__ import annotations

from tests.agreement.mutation import Mutation

_BLUEPRINT = {
    "pull[0]": ("return (settings.base_image, *notebook)", 'return (settings.image_reference("base"), *notebook)'),
    "pull[1]": ("else (settings.notebook_image,)", "else (settings.image_namespace,)"),
    "build[*].content_reference": ("""return f"{self.reference.rpartition(':')[0]}:""", 'return f"{self.name}:'),
    "build[*].labels.hubdeploy.deployment": (
        '**_labels(settings, f"image:{name}"),', '**_labels(settings, f"image:{name}"), labels.DEPLOYMENT: name,'
    ),
    "build[*].labels.hubdeploy.role": ('f"image:{name}"', 'f"image:{member.folder}"'),
    "build[*].labels.hubdeploy.repository": (
        'settings.image_reference(name).rpartition(":")[0]', 'f"{settings.name}/{name}"'
    ),
    "build[*].arguments.PARENT": ('"PARENT": parent,', '"PARENT": settings.base_image,'),
    "network[users].Name": (
        'NetworkSpec(settings.network_name, _labels', 'NetworkSpec(f"{settings.name}-network", _labels'
    ),
    "network[users].Labels.hubdeploy.role": ('_labels(settings, "network")', '_labels(settings, "api-network")'),
    "network[api].Name": ('settings.api_network_name, _labels', 'f"{settings.network_name}-api", _labels'),
    "network[api].Labels.hubdeploy.role": ('_labels(settings, "api-network")', '_labels(settings, "network")'),
    "volume[data].Name": ("VolumeSpec(settings.data_volume,", 'VolumeSpec(f"{settings.name}-data",'),
    "volume[data].Labels.hubdeploy.deployment": (
        '_labels(settings, "data-volume")', '{labels.ROLE: "data-volume"}'
    ),
    "volume[data].Labels.hubdeploy.role": ('_labels(settings, "data-volume")', '_labels(settings, "volume")'),
    "volume[proxy].Name": ("VolumeSpec(settings.proxy_volume,", 'VolumeSpec(f"{settings.name}-routes",'),
    "volume[proxy].Labels.hubdeploy.deployment": (
        '_labels(settings, "proxy-volume")', '{labels.ROLE: "proxy-volume"}'
    ),
    "volume[proxy].Labels.hubdeploy.role": ('_labels(settings, "proxy-volume")', '_labels(settings, "volume")'),
    "container[hub].Name": ("name=settings.hub_name,", 'name=f"{settings.name}-jupyterhub",'),
    "container[hub].Image": ('image=settings.image_reference("hub")', 'image=f"{settings.name}/hub:latest"'),
    "container[hub].Labels.hubdeploy.deployment": (
        'labels=_labels(settings, "hub"),', 'labels={**_labels(settings, "hub"), labels.DEPLOYMENT: "hub"},'
    ),
    "container[hub].Labels.hubdeploy.role": ('labels=_labels(settings, "hub")', 'labels=_labels(settings, "server")'),
    "container[hub].Networks[0].Name": (
        "Attachment(settings.network_name, (settings.hub_name,)",
        'Attachment(f"{settings.name}-net", (settings.hub_name,)',
    ),
    "container[hub].Networks[0].Aliases": (
        "Attachment(settings.network_name, (settings.hub_name,)", 'Attachment(settings.network_name, ("hub",)'
    ),
    "container[hub].Networks[1].Name": (
        "Attachment(settings.api_network_name, (settings.hub_name,)",
        'Attachment(f"{settings.network_name}-api", (settings.hub_name,)',
    ),
    "container[hub].Networks[1].Aliases": (
        "Attachment(settings.api_network_name, (settings.hub_name,)", 'Attachment(settings.api_network_name, ("hub",)'
    ),
    "container[hub].HostConfig.Mounts[0].Source": (
        "Mount(settings.data_volume, settings.data_mount)", 'Mount(f"{settings.name}-hub-data", settings.data_mount)'
    ),
    "container[hub].HostConfig.Mounts[0].Target": (
        "Mount(settings.data_volume, settings.data_mount)", 'Mount(settings.data_volume, "/data")'
    ),
    "container[hub].HostConfig.Mounts[1].Source": (
        "Mount(settings.proxy_volume, contract.", "Mount(settings.proxy_name[:-1], contract."
    ),
    "container[hub].HostConfig.Mounts[1].Target": (
        "Mount(settings.proxy_volume, contract.PROXY_MOUNT_IN_HUB)", 'Mount(settings.proxy_volume, "/srv/traefik")'
    ),
    "container[hub].HostConfig.Mounts[2].Source": ("Mount(ENGINE_SOCKET, ", "Mount(ENGINE_SOCKET_IN_HUB, "),
    "container[hub].HostConfig.Mounts[2].Target": (
        "Mount(ENGINE_SOCKET, ENGINE_SOCKET_IN_HUB", "Mount(ENGINE_SOCKET, ENGINE_SOCKET"
    ),
    "container[hub].Labels.hubdeploy.shape.mounts": (
        '"mounts": ", ".join(mounts)', '"mounts": ", ".join(mounts[self.role == "hub" :])'
    ),
    "container[hub].Labels.hubdeploy.shape.networks": (
        '"networks": ", ".join(networks)', '"networks": ", ".join(networks[self.role == "hub" :])'
    ),
    "container[hub].Labels.hubdeploy.shape.ports": (
        '"ports": ", ".join(ports)', '"ports": ", ".join(ports) or "8081"'
    ),
    "container[hub].filled.paths": (
        "contract.SECRETS_PATH: contract", 'f"{contract.SECRETS_PATH}.old": b"", contract.SECRETS_PATH: contract'
    ),
    "container[proxy].Name": ("name=settings.proxy_name,", 'name=f"{settings.name}-traefik",'),
    "container[proxy].Image": ('image=settings.image_reference("proxy")', 'image=f"{settings.name}/proxy:latest"'),
    "container[proxy].Labels.hubdeploy.deployment": (
        'labels=_labels(settings, "proxy"),', 'labels={**_labels(settings, "proxy"), labels.DEPLOYMENT: "proxy"},'
    ),
    "container[proxy].Labels.hubdeploy.role": ('labels=_labels(settings, "proxy")', 'labels=_labels(settings, "")'),
    "container[proxy].Networks[0].Name": (
        "Attachment(settings.network_name, (settings.proxy_name,))",
        'Attachment(f"{settings.name}-net", (settings.proxy_name,))',
    ),
    "container[proxy].Networks[0].Aliases": (
        "Attachment(settings.network_name, (settings.proxy_name,))", 'Attachment(settings.network_name, ("proxy",))'
    ),
    "container[proxy].Networks[1].Name": (
        "Attachment(settings.api_network_name, (routing.", 'Attachment(f"{settings.network_name}-api", (routing.'
    ),
    "container[proxy].Networks[1].Aliases": ('routing.API_ADDRESS.partition(":")[0]', "settings.proxy_name"),
    "container[proxy].HostConfig.Mounts[0].Source": (
        "Mount(settings.proxy_volume, routing.", "Mount(settings.data_volume, routing."
    ),
    "container[proxy].HostConfig.Mounts[0].Target": (
        "Mount(settings.proxy_volume, routing.DYNAMIC_DIRECTORY)", "Mount(settings.proxy_volume, PROXY_DIRECTORY)"
    ),
    "container[proxy].Labels.hubdeploy.shape.mounts": (
        '"mounts": ", ".join(mounts)', '"mounts": ", ".join(mounts[self.role == "proxy" :])'
    ),
    "container[proxy].Labels.hubdeploy.shape.networks": (
        '"networks": ", ".join(networks)', '"networks": ", ".join(networks[self.role == "proxy" :])'
    ),
    "container[proxy].Labels.hubdeploy.shape.ports": ('"ports": ", ".join(ports)', '"ports": ""'),
    "container[proxy].filled.paths": ('{PROXY_DIRECTORY}/traefik.toml"', '{PROXY_DIRECTORY}/static/traefik.toml"'),
} | {
    f"build[*].labels.hubdeploy.inputs.{argument}": (
        '"its parent": parent_content[:16], **arguments}',
        f'"its parent": parent_content[:16], **arguments, **dict.fromkeys({{"{argument}"}} & {{*arguments}}, "")}}',
    )
    for argument in ("PYTHON_DISTRIBUTION", "NB_USER", "NB_UID", "NOTEBOOK_DIR")
}
_FAMILY = {
    "built": ("*((notebook,) if notebook else ())", '"minimal-notebook"'),
    "build[*].arguments.PYTHON_DISTRIBUTION": ("settings.python_distribution", '"anaconda"'),
    "build[*].arguments.NB_USER": ("settings.nb_user", '"cryptic"'),
    "build[*].arguments.NB_UID": ("str(settings.nb_uid)", "str(settings.nb_uid + 1)"),
    "build[*].arguments.NOTEBOOK_DIR": ("settings.notebook_dir", 'f"/home/{settings.nb_user}"'),
}
_ACTING = {
    "build[*].reference": ("repository, tag, force=True", 'repository, "latest", force=True'),
    "build[*].tagged": ("self._tag(spec.content_reference, ", "self._tag(spec.reference, "),
    "network[users].Labels.hubdeploy.deployment": (
        "ipam=ipam, labels=dict(spec.labels)", "ipam=ipam, labels={labels.ROLE: spec.labels[labels.ROLE]}"
    ),
    "network[users].Internal": ("ipam=ipam, labels", "ipam=ipam, internal=True, labels"),
    "network[api].Labels.hubdeploy.deployment": (
        "internal=True, labels=dict(spec.labels)", "internal=True, labels={labels.ROLE: spec.labels[labels.ROLE]}"
    ),
    "network[api].Internal": ("internal=True, labels", "internal=False, labels"),
    "container[hub].filled.Name": (
        "self._api.put_archive(container,", 'self._api.put_archive(container[:-1] if container[-1] == "b" else container,'
    ),
    "container[hub].started.Name": (
        "self._api.start(operation.name)",
        'self._api.start(operation.name[:-1] if operation.name[-1] == "b" else operation.name)',
    ),
    "container[hub].Networks[1].Container": (
        "spec.name, attachment.network,", '"hub" if spec.role == "hub" else spec.name, attachment.network,'
    ),
    "container[hub].Networks[0].IPAMConfig.IPv4Address": ("ip_network(subnet)[2]", "ip_network(subnet)[3]"),
    "container[proxy].filled.Name": (
        "self._api.put_archive(container,", 'self._api.put_archive(container[:-1] if container[-1] == "y" else container,'
    ),
    "container[proxy].started.Name": (
        "self._api.start(operation.name)",
        'self._api.start(operation.name[:-1] if operation.name[-1] == "y" else operation.name)',
    ),
    "container[proxy].Networks[1].Container": (
        "spec.name, attachment.network,", '"proxy" if spec.role == "proxy" else spec.name, attachment.network,'
    ),
    "container[proxy].HostConfig.PortBindings.8443/tcp[0].HostIp": (
        "(published.address, published.port)", '("0.0.0.0", published.port)'
    ),
    "container[proxy].HostConfig.PortBindings.8443/tcp[0].HostPort": (
        "(published.address, published.port)", "(published.address, 443)"
    ),
}
_SETTINGS = {
    "written.certificate": ('"secrets" / f"{self.name}.crt"', '"secrets" / f"{self.hub_host}.crt"'),
    "written.key": ('"secrets" / f"{self.name}.key"', '"secrets" / f"{self.hub_host}.key"'),
}
_CERTIFICATES = {
    "certificate.names": ('"127.0.0.1", host,', '"127.0.0.1",'),
    "certificate.subject": (".subject_name(name)", ".subject_name(x509.Name([]))"),
    "certificate.has_its_key": ("private = key.private_bytes(", "private = new_key(1024).private_bytes("),
}
_ROUTING = {
    "proxy.traefik.toml.providers.file.directory": (
        '{"directory": DYNAMIC_DIRECTORY, "watch"', '{"directory": "/etc/traefik", "watch"'
    ),
    "proxy.traefik.toml.entryPoints.https.address": ('f":{HTTPS_PORT}"', '":443"'),
    "proxy.traefik.toml.entryPoints.auth_api.address": ('"address": API_ADDRESS', '"address": ":8099"'),
    "proxy.tls.toml.tls.stores.default.defaultCertificate.certFile": (
        'f"{DYNAMIC_DIRECTORY}/{folder}/cert.pem"', 'f"{DYNAMIC_DIRECTORY}/certs/cert.pem"'
    ),
    "proxy.tls.toml.tls.stores.default.defaultCertificate.keyFile": (
        'f"{DYNAMIC_DIRECTORY}/{folder}/key.pem"', 'f"{DYNAMIC_DIRECTORY}/certs/key.pem"'
    ),
    "proxy.api.toml.http.middlewares.hub-only.basicAuth.users": ("{_password_hash(password)}", "{_password_hash(API_USER)}"),
}
_CONTRACT = {
    "contract.deployment": ('"deployment": settings.name', '"deployment": settings.hub_name'),
    "contract.labels.hubdeploy.deployment": (
        "{labels.DEPLOYMENT: settings.name}", "{labels.DEPLOYMENT: settings.hub_name}"
    ),
    "contract.hub.connect_url": ("http://{settings.hub_name}:", "http://{settings.name}:"),
    "contract.hub.port": ('"port": HUB_PORT', '"port": 8000'),
    "contract.hub.data_dir": ("settings.data_mount", '"/srv"'),
    "contract.proxy.api_url": ("http://{routing.API_ADDRESS}", "http://{settings.proxy_name}:8099"),
    "contract.proxy.api_user": ("routing.API_USER", '"admin"'),
    "contract.proxy.rules_file": ("{PROXY_MOUNT_IN_HUB}/rules.toml", "/srv/jupyterhub/rules.toml"),
    "contract.authenticator": ("settings.authenticator", '"shared-password"'),
    "contract.github.url": ("settings.github_url", '"https://github.com"'),
    "contract.github.client_id": ("settings.github_client_id", "settings.name"),
    "contract.github.callback_url": ("settings.callback_url", '"https://localhost/hub/oauth_callback"'),
    "contract.users[*].admin": ("user.admin", "user.sudo"),
    "contract.users[*].sudo": ("user.sudo", "user.admin"),
    "contract.server.image": ('"image": settings.notebook_image', '"image": settings.image_reference("minimal-notebook")'),
    "contract.server.ours": ("family.notebook_member(settings) is not None", "True"),
    "contract.server.command": ("list(settings.spawn_command)", '["start-singleuser.sh"]'),
    "contract.server.nb_user": ("settings.nb_user", '"cryptic"'),
    "contract.server.nb_uid": ("settings.nb_uid", "1000"),
    "contract.server.notebook_dir": ("settings.notebook_dir", 'f"/home/{settings.nb_user}"'),
    "contract.server.network": ("settings.network_name", 'f"{settings.name}-network"'),
    "contract.server.name_template": ("settings.server_name_template", '"jupyter-{username}"'),
    "contract.server.user_volume": ("settings.user_volume", "settings.server_name_template"),
    "contract.server.memory_limit": ("settings.memory_limit or engine", "settings.memory_limit or 2 * engine"),
    "contract.server.cpu_limit": ("settings.cpu_limit", "None"),
    "contract.server.pids_limit": ("settings.pids_limit", "4096"),
    "contract.server.grant_sudo": ("settings.grant_sudo", "not settings.grant_sudo"),
    "secrets.user_password": ("settings.user_password if passwords", '"another password" if passwords'),
    "secrets.admin_password": ("settings.admin_password if passwords", '"another password" * 2 if passwords'),
    "secrets.github_client_secret": ("else settings.github_client_secret", "else settings.github_client_id"),
}
_CONFIG = {
    "hub.hub_bind_url": ("http://0.0.0.0:{hub['port']}", "http://0.0.0.0:8000"),
    "hub.hub_connect_url": ('= hub["connect_url"]', '= "http://hub:8081"'),
    "hub.database": ('Path(hub["data_dir"]) / database', 'Path("/srv") / database'),
    "hub.cookie_secret_file": ("{hub['data_dir']}/jupyterhub_cookie_secret", "/srv/jupyterhub_cookie_secret"),
    "routes.traefik_api_url": ('= proxy["api_url"]', '= "http://proxy:8099"'),
    "routes.traefik_api_username": ('= proxy["api_user"]', '= "admin"'),
    "routes.traefik_api_password": ('= secrets["proxy_api_password"]', '= proxy["api_user"]'),
    "routes.dynamic_config_file": ('= proxy["rules_file"]', '= "/srv/rules.toml"'),
    "routes.traefik_entrypoint": ('= "https"', '= "http"'),
    "login.allowed_users": (
        'allowed_users = {user["name"] for user in users}',
        'allowed_users = {user["name"] for user in users if not user["admin"]}',
    ),
    "login.admin_users": ('for user in users if user["admin"]}', 'for user in users if user["sudo"]}'),
    "login.class": ('== "github"', '== "oauth"'),
    "login.user_password": ('= secrets["user_password"]', '= "another password"'),
    "login.admin_password": ('= secrets["admin_password"]', '= "another password" * 2'),
    "login.client_id": ('= github["client_id"]', '= "client"'),
    "login.client_secret": ('= secrets["github_client_secret"]', '= github["client_id"]'),
    "login.oauth_callback_url": ('= github["callback_url"]', '= github["url"]'),
    "login.github_url": ('= github["url"].rstrip("/")', '= "https://github.com"'),
    "login.authorize_url": (
        "    c.GitHubOAuthenticator.client_id",
        '    c.GitHubOAuthenticator.authorize_url = "https://github.com/login"\n    c.GitHubOAuthenticator.client_id',
    ),
    "login.token_url": (
        "    c.GitHubOAuthenticator.client_id",
        '    c.GitHubOAuthenticator.token_url = "https://github.com/token"\n    c.GitHubOAuthenticator.client_id',
    ),
    "login.userdata_url": (
        "    c.GitHubOAuthenticator.client_id",
        '    c.GitHubOAuthenticator.github_api = github["url"]\n    c.GitHubOAuthenticator.client_id',
    ),
    "spawner[*].Name": ('= server["name_template"]', '= "jupyter-{username}"'),
    "spawner[*].HostConfig.Mounts[0].Source": ('"source": server["user_volume"]', '"source": "{username}"'),
    "spawner[*].HostConfig.Mounts[0].Target": ('"target": server["notebook_dir"]', '"target": "/home/cryptic/work"'),
    "spawner[*].HostConfig.Mounts[0].VolumeOptions.Labels.hubdeploy.deployment": (
        'contract["labels"] | {"hubdeploy.role": "volume"', '{"hubdeploy.role": "volume"'
    ),
    "spawner[*].HostConfig.Mounts[0].VolumeOptions.Labels.hubdeploy.role": ('"hubdeploy.role": "volume"', '"hubdeploy.role": ""'),
    "spawner[*].HostConfig.Mounts[0].VolumeOptions.Labels.hubdeploy.uid": ('str(server["nb_uid"])', 'str(server["nb_uid"] + 1)'),
    "spawner[*].Labels.hubdeploy.deployment": ('labels = contract["labels"] | {\n', "labels = {\n"),
    "spawner[*].Labels.hubdeploy.role": ('"hubdeploy.role": "server"', '"hubdeploy.role": "user"'),
    "spawner[*].Labels.hubdeploy.fingerprint": ('server["fingerprint"]', 'server["image"]'),
    "spawner[*].Cmd": ('= server["command"]', '= ["start-singleuser.sh"]'),
    "spawner[*].Image": ('= server["image"]', '= "base-notebook"'),
    "spawner[*].HostConfig.NetworkMode": ('= server["network"]', """= f"{contract['deployment']}-net\""""),
}
_START = {"removed.labels": ('"hubdeploy.role=server"', '"hubdeploy.role=hub"')}
_ENVIRONMENT = "return super().get_env() | start_environment("
_SPAWNER = {
    "spawner[*].Labels.hubdeploy.user": ('"hubdeploy.user": self.user.name', '"hubdeploy.user": self.container_name'),
    "spawner[*].Labels.hubdeploy.sudo": ('"yes" if self.may_sudo', '"yes" if self.grant_sudo'),
    "spawner[*].User": ('"0" if starts_as_root else str(nb_uid)', '"0" if starts_as_root else nb_uid + 1'),
    "spawner[*].HostConfig.CapAdd": ("if starts_as_root else []", "if not starts_as_root else []"),
    "spawner[*].HostConfig.CapDrop": ('"cap_drop": ["ALL"]', '"cap_drop": []'),
    "spawner[*].HostConfig.SecurityOpt": ("[] if sudo else", "[] if not sudo else"),
    "spawner[*].WorkingDir": ('"working_dir": self.notebook_dir', '"working_dir": f"/home/{self.nb_user}"'),
    "spawner[*].Env.GRANT_SUDO": ('{"GRANT_SUDO": "yes"} if sudo else {}', "{}"),
    "spawner[*].Env.NB_USER": ('"NB_USER": nb_user', '"NB_USER": "jovyan"'),
    "spawner[*].Env.NB_UID": ('"NB_UID": str(nb_uid)', '"NB_UID": nb_user'),
    "spawner[*].Env.CHOWN_HOME": ('"CHOWN_HOME": "yes"', '"CHOWN_HOME": "no"'),
    "spawner[*].Env.CHOWN_EXTRA": ('",".join(folders_below_home(nb_user, notebook_dir))', '"/home/jovyan"'),
    "spawner[*].HostConfig.Memory": ("= self.pids_limit\n", '= self.pids_limit; options["mem_limit"] = 2**30\n'),
    "spawner[*].HostConfig.MemorySwap": ('["memswap_limit"] = self.mem_limit', '["memswap_limit"] = -1'),
    "spawner[*].HostConfig.CpuQuota": ("= self.pids_limit\n", '= self.pids_limit; options["cpu_quota"] = 999\n'),
    "spawner[*].HostConfig.CpuPeriod": ("= self.pids_limit\n", '= self.pids_limit; options["cpu_period"] = 50_000\n'),
    "spawner[*].HostConfig.PidsLimit": ("= self.pids_limit\n", "= -1\n"),
} | {
    f"spawner[*].Env.{name}": (_ENVIRONMENT, f'return super().get_env() | {{"{name}": "x"}} | start_environment(')
    for name in ("JUPYTERHUB_API_URL", "JUPYTERHUB_ACTIVITY_URL", "JUPYTERHUB_ROOT_DIR", "JUPYTER_IMAGE_SPEC",
                 "MEM_LIMIT", "CPU_LIMIT")
}
# Not a place of its own, but the mistakes that a person would make on the way to one, or to several.
ON_THE_WAY = (
    Mutation("jupyterhub/jupyterhub_config.py", "spawner[*].Labels.hubdeploy.sudo",
             '{user["name"] for user in contract["users"] if user["sudo"]}', "set()"),
    Mutation("jupyterhub/jupyterhub_config.py", "spawner[*].Env.NB_USER", '= server["ours"]', "= True"),
    Mutation("jupyterhub/jupyterhub_config.py", "spawner[*].WorkingDir",
             '.notebook_dir = server["notebook_dir"]', '.notebook_dir = "/home/cryptic/work"'),
    Mutation("jupyterhub/jupyterhub_config.py", "spawner[*].HostConfig.PidsLimit", '= server["pids_limit"]', "= 4096"),
    Mutation("jupyterhub/jupyterhub_config.py", "spawner[*].Env.CPU_LIMIT", '= server["cpu_limit"]', "= 0.5"),
    Mutation("jupyterhub/jupyterhub_config.py", "spawner[*].Env.MEM_LIMIT", '= server["memory_limit"]', "= 2**30"),
)
_FILES = {
    "hubdeploy/blueprint.py": _BLUEPRINT,
    "hubdeploy/family.py": _FAMILY,
    "hubdeploy/engine/acting.py": _ACTING,
    "hubdeploy/engine/observing.py": {"reader.Binds": ('"bind": "/volume", "mode": "ro"', '"bind": "/volume", "mode": "rw"')},
    "hubdeploy/deployment.py": {
        "build[*].context.authorities": ("self._certificates if member.parent is None else ()", "()")
    },
    "hubdeploy/settings.py": _SETTINGS,
    "hubdeploy/certificates.py": _CERTIFICATES,
    "hubdeploy/routing.py": _ROUTING,
    "hubdeploy/contract.py": _CONTRACT,
    "jupyterhub/jupyterhub_config.py": _CONFIG,
    "jupyterhub/start.py": _START,
    "jupyterhub/spawner.py": _SPAWNER,
    "base-notebook/requirements.lock": {"build[*].context.jupyterhub": ("\njupyterhub==", "\njupyterhub==1.")},
}
MUTATIONS = (
    *(Mutation(file, place, *texts) for file, rows in _FILES.items() for place, texts in rows.items()),
    *ON_THE_WAY,
)
