"""What two settings that are fine by themselves say against each other. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from hubdeploy import family
from hubdeploy.errors import Problem
from hubdeploy.settings import Settings, loopback_address

Where = Callable[[str], str]


def contradictions(s: Settings, where: Where) -> list[Problem]:
    """Every disagreement; `where` tells where a key's value stands, such as `.env:12`."""
    problems: list[Problem] = []

    def problem(key: str, found: str, wanted: str, mend: str) -> None:
        problems.append(Problem(where(key), key, found, wanted, mend))

    home = f"/home/{s.nb_user}"
    if not s.notebook_dir.startswith(home + "/"):
        mend = f"delete the line (it derives: {home}/work), or set NB_USER to the owner of that home"
        problem(
            "DOCKER_NOTEBOOK_DIR",
            f"{s.notebook_dir} lies outside the home of NB_USER={s.nb_user}",
            f"a path under {home}",
            mend,
        )
    if not _same_callback(s.callback_url, f"{s.public_url}/hub/oauth_callback"):
        wanted = f"{s.public_url}/hub/oauth_callback, as HUB_HOST={s.hub_host} and HUB_PORT={s.hub_port} say"
        problem(
            "OAUTH_CALLBACK_URL",
            f"{s.callback_url} is not this hub's",
            wanted,
            "set HUB_HOST and HUB_PORT, delete this line",
        )
    keys = {"GITHUB_CLIENT_ID": s.github_client_id, "GITHUB_CLIENT_SECRET": s.github_client_secret}
    missing = [key for key, value in keys.items() if not value]
    if len(missing) == 1 or (missing and s.authenticator == "github"):
        other = "AUTHENTICATOR" if len(missing) == 2 else next(key for key in keys if key not in missing)
        mend = f"set {' and '.join(missing)} in .env.local, or take {other} away"
        problem(other, f"is set but {' and '.join(missing)} is not", "both GITHUB_ keys or none", mend)
    if s.uses_passwords and loopback_address(s.bind_address) is None:
        key = "BIND_ADDRESS" if s.is_set("BIND_ADDRESS") else "HUB_HOST"
        mend = "set GITHUB_CLIENT_ID and GITHUB_CLIENT_SECRET, or BIND_ADDRESS=127.0.0.1"
        found = f"opens the hub on {s.bind_address} while AUTHENTICATOR is shared-password"
        problem(key, found, "a login of each user's own on a public address", mend)
    if s.uses_passwords and s.user_password and s.user_password == s.admin_password:
        problem(
            "ADMIN_PASSWORD", "is the same as USER_PASSWORD", "two different passwords", "delete one: it is generated"
        )
    reserved = {s.proxy_volume: "the proxy's volume", s.data_volume: "the data volume"}
    if s.data_volume == s.proxy_volume:
        problem(
            "DATA_VOLUME_HOST", f"{s.data_volume} is the proxy's volume", "a name of its own", "choose another name"
        )
    if s.secrets_volume in reserved:
        found = f"{s.secrets_volume} is {reserved[s.secrets_volume]}"
        problem("SECRETS_VOLUME", found, "a volume of its own", "choose another name")
    of_users = s.server_name_template.partition("{")[0]
    for key, volume in (("DATA_VOLUME_HOST", s.data_volume), ("SECRETS_VOLUME", s.secrets_volume)):
        if volume and volume.startswith(of_users):
            problem(key, f"{volume} is the name of a user's volume", "a name of its own", "choose another name")
    if s.network_name == s.api_network_name:
        problem(
            "DOCKER_NETWORK_NAME",
            f"{s.network_name} is the proxy's own network",
            "a name of its own",
            "choose another name",
        )
    problems += _own_image_problems(s, where)
    return problems


def _own_image_problems(s: Settings, where: Where) -> list[Problem]:
    repository, _, tag = (
        s.notebook_image.rpartition(":")
        if ":" in s.notebook_image.rsplit("/", 1)[-1]
        else (s.notebook_image, "", "latest")
    )
    prefix = s.image_namespace + "/"
    key = "DOCKER_NOTEBOOK_IMAGE"
    if not repository.startswith(prefix):
        return []
    image = repository.removeprefix(prefix)
    serving = [member.name for member in family.FAMILY.values() if member.serves_users]
    if image not in serving:
        wanted = f"{' or '.join(prefix + name for name in serving)}, or an image of others"
        return [
            Problem(where(key), key, f"{s.notebook_image} is not a notebook image of ours", wanted, "name one of these")
        ]
    if tag != s.image_tag:
        wanted = f"{repository}:{s.image_tag}"
        return [
            Problem(
                where(key),
                key,
                f"has the tag {tag} but IMAGE_TAG is {s.image_tag}",
                wanted,
                "leave the tag to IMAGE_TAG",
            )
        ]
    return []


def _same_callback(one: str, other: str) -> bool:
    def parts(url: str) -> tuple[Any, ...]:
        split = urlsplit(url)
        return split.scheme, split.hostname, split.port or {"https": 443, "http": 80}.get(split.scheme), split.path

    return parts(one) == parts(other)
