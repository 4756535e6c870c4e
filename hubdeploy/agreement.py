"""What two settings that are fine by themselves say against each other. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from hubdeploy import family, readers, uservolumes
from hubdeploy.errors import Problem
from hubdeploy.settings import Settings, loopback_address

Where = Callable[[str], str]


def contradictions(s: Settings, where: Where) -> list[Problem]:
    """Every disagreement; `where` tells where a key's value stands, such as `.env:12`."""
    problems: list[Problem] = []

    def problem(key: str, found: str, wanted: str, mend: str, instead: tuple[str, ...] | None = None) -> None:
        problems.append(Problem(where(key), key, found, wanted, mend, instead))

    home = f"/home/{s.nb_user}"
    if not s.notebook_dir.startswith(home + "/"):
        mend = f"delete the line (it derives: {home}/work), or set NB_USER to the owner of that home"
        problem(
            "DOCKER_NOTEBOOK_DIR",
            f"{s.notebook_dir} lies outside the home of NB_USER={s.nb_user}",
            f"a path under {home}",
            mend,
            _said_by_directory(s),
        )
    if not _same_callback(s.callback_url, f"{s.public_url}/hub/oauth_callback"):
        wanted = f"{s.public_url}/hub/oauth_callback, as HUB_HOST={s.hub_host} and HUB_PORT={s.hub_port} say"
        problem(
            "OAUTH_CALLBACK_URL",
            f"{s.callback_url} is not this hub's",
            wanted,
            "set HUB_HOST and HUB_PORT, delete this line",
            _said_by_callback(s),
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
    # Users' names are free, so no other volume may bear a name that the template can give.
    others = {"DATA_VOLUME_HOST": s.data_volume, "SECRETS_VOLUME": s.secrets_volume, "USER_VOLUME": s.proxy_volume}
    for key, volume in others.items():
        if volume and uservolumes.may_name(s.user_volume, volume):
            found = f"{volume} is the name of a user's volume ({s.user_volume})"
            problem(key, found, "a name of its own", "choose another name")
    unfit = uservolumes.unfit_users(s.user_volume, tuple(user.name for user in s.users))
    if unfit:
        found = f"{s.user_volume} is no name that Docker takes for {', '.join(unfit)}"
        mend = f"write {uservolumes.ESCAPED} instead, or take these users off the list"
        problem("USER_VOLUME", found, "letters, digits and _ . - in a volume's name", mend)
    if s.network_name == s.api_network_name:
        problem(
            "DOCKER_NETWORK_NAME",
            f"{s.network_name} is the proxy's own network",
            "a name of its own",
            "choose another name",
        )
    problems += _own_image_problems(s, where)
    return problems


def _said_by_directory(s: Settings) -> tuple[str, ...] | None:
    """Whose home it is, where nobody said who the user is; else it derives."""
    if s.is_set("NB_USER"):
        return ()
    home, _, user = s.notebook_dir.removesuffix("/work").rpartition("/")
    try:
        readers.user_name(user)
    except readers.Unfit:
        return None
    return (f"NB_USER={user}",) if home == "/home" and s.notebook_dir.endswith("/work") else None


def _said_by_callback(s: Settings) -> tuple[str, ...] | None:
    """Host and port, where nobody said another."""
    url = urlsplit(s.callback_url)
    said = {"HUB_HOST": (url.hostname, s.hub_host), "HUB_PORT": (url.port or 443, s.hub_port)}
    differs = {key: there for key, (there, here) in said.items() if there != here}
    if url.scheme != "https" or url.path != "/hub/oauth_callback" or any(s.is_set(key) for key in differs):
        return None
    return tuple(f"{key}={value}" for key, value in differs.items())


def _own_image_problems(s: Settings, where: Where) -> list[Problem]:
    repository, _, tag = (
        s.notebook_image.rpartition(":")
        if ":" in s.notebook_image.rsplit("/", 1)[-1]
        else (s.notebook_image, "", "latest")
    )
    prefix = s.image_namespace + "/"
    key = "DOCKER_NOTEBOOK_IMAGE"
    serving = [member.name for member in family.FAMILY.values() if member.serves_users]
    if not repository.startswith(prefix):
        image = repository.rpartition("/")[2]
        return [_of_the_older_layout(s, where(key), image)] if tag == "0.0.0" and image in serving else []
    image = repository.removeprefix(prefix)
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
                "write that tag, or set IMAGE_TAG",
                _naming(s, image),
            )
        ]
    return []


def _of_the_older_layout(s: Settings, where: str, image: str) -> Problem:
    """Its Makefile built these under a name of its own, and tagged all of them so; nobody offers them."""
    found = f"{s.notebook_image} is an image that the older layout built, and that cannot be pulled"
    wanted = f"{s.image_reference(image)}, which is built here"
    mend = "write that, or delete the line: base-notebook is built then"
    return Problem(where, "DOCKER_NOTEBOOK_IMAGE", found, wanted, mend, _naming(s, image))


def _naming(s: Settings, image: str) -> tuple[str, ...]:
    """What names this image of ours; nothing for the one that derives."""
    return () if image == "base-notebook" else (f"DOCKER_NOTEBOOK_IMAGE={s.image_reference(image)}",)


def _same_callback(one: str, other: str) -> bool:
    def parts(url: str) -> tuple[Any, ...]:
        split = urlsplit(url)
        return split.scheme, split.hostname, split.port or {"https": 443, "http": 80}.get(split.scheme), split.path

    return parts(one) == parts(other)
