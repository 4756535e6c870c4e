"""Rules between settings: each value is fine alone, together they contradict. Pure: Settings in, problems out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from hubdeploy import family
from hubdeploy.contract import seats
from hubdeploy.contract.servers import may_name
from hubdeploy.errors import Problem
from hubdeploy.settings import kinds, readers, volume_names
from hubdeploy.settings.declarations import Settings, is_public_name, keys_of_fields
from hubdeploy.settings.kinds import UNSET
from hubdeploy.settings.logins import LOGINS

Where = Callable[[str], str]
_OTHER_NAME = ("a name of its own", "choose another name")


@dataclass(frozen=True)
class _Contradiction:
    """Settings that contradict. `keys` are all involved; the problem names the first that a person set, or the kind of servers
    that contradicts them."""

    keys: str
    found: str
    wanted: str
    fix: str
    instead: tuple[str, ...] | None = None
    kind: kinds.Kind | None = None

    def problem(self, s: Settings, where: Where) -> Problem:
        if self.kind:
            return Problem(self.kind.where(), f"kinds.{self.kind.name}", self.found, self.wanted, self.fix)
        keys = self.keys.split()
        key = next((key for key in keys if s.is_set(key)), keys[0])
        return Problem(where(key), key, self.found, self.wanted, self.fix, self.instead)


_Contradictions = Iterator[_Contradiction]


def contradictions(s: Settings, where: Where, doubtful: Collection[str] = ()) -> list[Problem]:
    """Every contradiction. `where` gives the place of a key's value, such as `.env:12`. Rules that involve one of the
    `doubtful` keys, whose value could not be read, are skipped."""
    found = [one for rule in _RULES for one in rule(s)]
    return [one.problem(s, where) for one in found if not set(one.keys.split()) & set(doubtful)]


def contradictions_of_kinds(s: Settings, doubtful: Collection[str] = ()) -> list[Problem]:
    """The same of the images that kinds of servers name."""
    keys = "IMAGE_NAMESPACE DOCKER_MACHINE_NAME"
    named = [
        (one, found)
        for one in s.kinds
        if one.image is not UNSET
        for found in _image_of_servers(s, s.image_of(one), keys)
    ]
    return [
        Problem(kind.where("image"), f"kinds.{kind.name}.image", one.found, one.wanted, one.fix)
        for kind, one in named
        if not set(one.keys.split()) & set(doubtful)
    ]


def _directory(s: Settings) -> _Contradictions:
    if s.notebook_dir != s.home and not s.notebook_dir.startswith(s.home + "/"):
        found = f"{s.notebook_dir} lies outside the home of NB_USER={s.nb_user}"
        fix = f"delete the line (it derives: {s.home}/work), or set NB_USER to the owner of that home"
        wanted = f"{s.home}, or a path under it"
        yield _Contradiction("DOCKER_NOTEBOOK_DIR NB_USER", found, wanted, fix, _instead_of_directory(s))
    elif s.home_volume != volume_names.NONE and not s.may_keep_home:
        keys, wanted = "HOME_VOLUME DOCKER_NOTEBOOK_DIR NB_USER", f"a notebook directory such as {s.home}/work"
        if s.notebook_dir == s.home:
            found = f"{s.home_volume} would be the home, and DOCKER_NOTEBOOK_DIR={s.notebook_dir} is the home already"
            fix = "delete the line: USER_VOLUME keeps the whole home"
        else:
            found = f"a volume cannot be the home while DOCKER_NOTEBOOK_DIR={s.notebook_dir} lies deeper than one folder in it"
            fix = "set DOCKER_NOTEBOOK_DIR to a folder of the home itself, or delete the line"
        yield _Contradiction(keys, found, wanted, fix)


def _instead_of_directory(s: Settings) -> tuple[str, ...] | None:
    """NB_USER as the directory's path names it; no line if NB_USER is set; None if the path names no user."""
    if s.is_set("NB_USER"):
        return ()
    home, _, user = s.notebook_dir.removesuffix("/work").rpartition("/")
    try:
        readers.user_name(user)
    except readers.Unfit:
        return None
    if home != "/home":
        return None
    # Where the directory is the home itself, the line stays.
    return (
        f"NB_USER={user}",
        *(() if s.notebook_dir.endswith("/work") else (f"DOCKER_NOTEBOOK_DIR={s.notebook_dir}",)),
    )


def _callback(s: Settings) -> _Contradictions:
    expected = f"{s.public_url}/hub/oauth_callback"
    if not _same_url(s.callback_url, expected):
        wanted = f"{expected}, as HUB_HOST={s.hub_host}, HUB_PORT={s.hub_port} and HUB_PATH={s.hub_path} say"
        fix = "set HUB_HOST, HUB_PORT and HUB_PATH, delete this line"
        keys, found = "OAUTH_CALLBACK_URL HUB_HOST HUB_PORT HUB_PATH", f"{s.callback_url} is not this hub's"
        yield _Contradiction(keys, found, wanted, fix, _instead_of_callback(s))


def _instead_of_callback(s: Settings) -> tuple[str, ...] | None:
    """Host, port and path as the URL has them, where they differ; None if a person set them, or the URL is no callback
    URL."""
    url = urlsplit(s.callback_url)
    try:
        path = readers.url_path(url.path.removesuffix("hub/oauth_callback"))
    except readers.Unfit:
        return None
    both = {
        "HUB_HOST": (url.hostname, s.hub_host),
        "HUB_PORT": (url.port or 443, s.hub_port),
        "HUB_PATH": (path, s.hub_path),
    }
    differs = {key: in_url for key, (in_url, in_setting) in both.items() if in_url != in_setting}
    is_callback = url.scheme == "https" and url.path.endswith("/hub/oauth_callback")
    if not is_callback or any(s.is_set(key) for key in differs):
        return None
    return tuple(f"{key}={value}" for key, value in differs.items())


def _same_url(one: str, other: str) -> bool:
    def parts(url: str) -> tuple[Any, ...]:
        split = urlsplit(url)
        return split.scheme, split.hostname, split.port or {"https": 443, "http": 80}.get(split.scheme), split.path

    return parts(one) == parts(other)


def _login(s: Settings) -> _Contradictions:
    key_of = keys_of_fields()
    for name, row in LOGINS.items():
        keys = [key_of[field] for field in row.needs]
        missing = [key_of[field] for field in row.needs if not getattr(s, field)]
        if missing and (len(missing) < len(keys) or s.authenticator == name):
            other = "AUTHENTICATOR" if len(missing) == len(keys) else next(key for key in keys if key not in missing)
            found = f"is set but {' and '.join(missing)} is not"
            fix = f"set {' and '.join(missing)} in .env.local, or take {other} away"
            yield _Contradiction(" ".join([other, *missing]), found, f"all of {', '.join(keys)}, or none", fix)
    # AUTHENTICATOR derives from these keys unless a person set it.
    needs = [key_of[field] for row in LOGINS.values() for field in row.needs]
    login = ["AUTHENTICATOR"] if s.is_set("AUTHENTICATOR") else ["AUTHENTICATOR", *needs]
    if not s.login.personal and not s.for_this_machine_alone:
        personal = " or ".join(name for name, row in LOGINS.items() if row.personal)
        if s.behind:
            listens, where, instead = ["TLS"], "to whom another proxy lets in", "delete TLS"
        else:
            listens = ["BIND_ADDRESS"] if s.is_set("BIND_ADDRESS") else ["HUB_HOST", "BIND_ADDRESS"]
            where, instead = f"on {s.bind_address}", "set BIND_ADDRESS=127.0.0.1"
        found = f"opens the hub {where} while AUTHENTICATOR is {s.authenticator}"
        fix = f"set up the login {personal}, or {instead}"
        keys = [*listens, *login]
        yield _Contradiction(" ".join(keys), found, "a login of each user's own on a public address", fix)
    for field in dict.fromkeys(field for row in LOGINS.values() for field in row.groups):
        if getattr(s, field) and field not in s.login.groups:
            having = " or ".join(name for name, row in LOGINS.items() if field in row.groups)
            found = f"names who may log in by {having}, and AUTHENTICATOR is {s.authenticator}"
            fix = f"set up the login {having}, or delete the line"
            yield _Contradiction(" ".join([key_of[field], *login]), found, f"the login {having}", fix)
    listed = {group for user in s.users for group in user.groups}
    for field in dict.fromkeys(field for row in LOGINS.values() for field in row.groups):
        if same_name := sorted(listed & set(getattr(s, field) or ())):
            found = (
                f"names {same_name[0]}, and userlist has a group @{same_name[0]}: nobody could tell who is in by which"
            )
            wanted, fix = "another name for the group of userlist", f"rename @{same_name[0]} in userlist"
            yield _Contradiction(key_of[field], found, wanted, fix)
    values = {key_of[field]: getattr(s, field) for field in s.login.generated if getattr(s, field)}
    same = [key for key, value in values.items() if list(values.values()).count(value) > 1]
    if same:
        keys, fix = [*reversed(same), *login], "delete one: it is generated"
        yield _Contradiction(" ".join(keys), f"is the same as {same[0]}", "two different passwords", fix)


def _authority(s: Settings) -> _Contradictions:
    if s.http_port is not None and s.http_port == s.listen_port:
        key = "LISTEN_PORT" if s.is_set("LISTEN_PORT") else "HUB_PORT"
        fix = "set HTTP_PORT to another port, or delete the line"
        yield _Contradiction(f"HTTP_PORT {key}", f"{s.http_port} is {key} as well", "two different ports", fix)
    binding = {"ACME_EAB_KID": s.acme_eab_kid, "ACME_EAB_HMAC": s.acme_eab_hmac}
    missing = [key for key, value in binding.items() if not value]
    if len(missing) == 1:
        (given,) = binding.keys() - missing
        fix = f"set {missing[0]} in .env.local, or take {given} away"
        yield _Contradiction(f"{given} {missing[0]}", f"is set but {missing[0]} is not", "both, or none", fix)
    if s.acme_email is None:
        return
    if not is_public_name(s.hub_host):
        found = f"asks an authority for a certificate, and HUB_HOST={s.hub_host} is no name that it could sign"
        fix = "set HUB_HOST to the host's name in the DNS, or delete the line"
        yield _Contradiction("ACME_EMAIL HUB_HOST", found, "a host name with a domain, such as hub.example.org", fix)
    if s.http_port is None and not s.behind:
        found, fix = (
            "asks an authority for a certificate, and HTTP_PORT=none leaves it no port to ask at",
            "delete HTTP_PORT",
        )
        yield _Contradiction("ACME_EMAIL HTTP_PORT", found, "port 80, or what leads to HTTP_PORT", fix)
    if s.secrets_volume is not None:
        found = f"asks an authority for a certificate, and the volume {s.secrets_volume} holds one that was brought"
        yield _Contradiction(
            "ACME_EMAIL SECRETS_VOLUME", found, "one of the two", "delete ACME_EMAIL or SECRETS_VOLUME"
        )


def _behind(s: Settings) -> _Contradictions:
    if s.behind:
        for key, value in (
            ("ACME_EMAIL", s.acme_email),
            ("SECRETS_VOLUME", s.secrets_volume),
            ("HTTP_PORT", s.http_port),
        ):
            if value is not None:
                found = "is set, and TLS=outside leaves certificates and port 80 to the proxy in front"
                yield _Contradiction(f"{key} TLS", found, "one of the two", f"delete {key} or TLS")
    if s.asks_who_passes and not s.trusted_proxies:
        found = f"{s.bind_address} would let any machine pass for the proxy in front, as TLS is outside"
        fix = "set TRUSTED_PROXIES, or delete the line: BIND_ADDRESS is 127.0.0.1 then"
        yield _Contradiction("BIND_ADDRESS TLS TRUSTED_PROXIES", found, "the addresses of the proxies in front", fix)
    if s.trusted_proxies and not s.asks_who_passes:
        if s.behind:
            keys, found = (
                "TRUSTED_PROXIES BIND_ADDRESS",
                f"names machines that do not reach BIND_ADDRESS={s.bind_address}",
            )
            fix = "set BIND_ADDRESS to the address of this machine that they ask, or delete the line"
        else:
            keys, found = "TRUSTED_PROXIES TLS", "names proxies in front, and TLS is here: there are none"
            fix = "set TLS=outside, or delete the line"
        yield _Contradiction(keys, found, "proxies in front on other machines, or none", fix)


def _memory(s: Settings) -> _Contradictions:
    yield from dict.fromkeys(one for kind in s.kinds or (kinds.ONLY,) for one in _memory_of(s, kind))


def _memory_of(s: Settings, kind: kinds.Kind) -> _Contradictions:
    """Of a kind's own amounts, and of the settings' where it has none."""
    sure, limit = kind.taking("guarantee", s.memory_guarantee), kind.taking("memory", s.memory_limit)
    of_settings = {"guarantee": "USER_MEMORY_GUARANTEE", "memory": "USER_MEMORY_LIMIT"}
    taken = {own: key for own, key in of_settings.items() if getattr(kind, own) is kinds.UNSET}
    sure_key, limit_key = (taken.get(own, own) for own in of_settings)
    if sure and limit and sure > limit:
        wanted, fix = "no more than the limit", "set less, or a higher limit"
        if len(taken) == len(of_settings):
            yield _Contradiction(" ".join(taken.values()), f"is {sure}, and {limit_key} is {limit}", wanted, fix)
        else:
            found = f"{sure_key} is {sure}, and {limit_key} is {limit}"
            yield _Contradiction(" ".join(taken.values()), found, wanted, fix, kind=kind)
    if sure and s.host_memory and s.host_memory < seats.least_cap(sure):
        ours, least = readers.Bytes(seats.COMPONENTS), readers.Bytes(seats.least_cap(sure))
        found = f"is {s.host_memory}, of which {ours} are for the deployment, and {sure_key} is {sure}"
        wanted = f"memory for one server, {least} or more"
        if "guarantee" in taken:
            yield _Contradiction(f"HOST_MEMORY {sure_key}", found, wanted, "set more, or delete the line")
        else:
            yield _Contradiction(
                "HOST_MEMORY", f"HOST_MEMORY {found}", wanted, "set a smaller guarantee, or more HOST_MEMORY", kind=kind
            )


def _cards(s: Settings) -> _Contradictions:
    there = len(s.cards or ())
    for kind in s.kinds:
        if kind.gpus > there:
            found = f"gpus is {kind.gpus}, and GPUS names {there or 'none'}: no server of this kind could start"
            fix = "name more cards in GPUS, in .env, or set less"
            yield _Contradiction("GPUS", found, "no more cards than GPUS names", fix, kind=kind)


def _names(s: Settings) -> _Contradictions:
    name = f"DOCKER_MACHINE_NAME={s.name}"
    if s.network_name == s.api_network_name:
        found = f"{s.network_name} is the proxy's own network, as {name} says"
        yield _Contradiction("DOCKER_NETWORK_NAME DOCKER_MACHINE_NAME", found, *_OTHER_NAME)
    for key, volume in (("DATA_VOLUME_HOST", s.data_volume), ("SECRETS_VOLUME", s.secrets_volume)):
        if volume in s.component_volumes:
            found = f"{volume} is the {s.component_volumes[volume]}'s own volume, as {name} says"
            yield _Contradiction(f"{key} DOCKER_MACHINE_NAME", found, *_OTHER_NAME)
    if s.secrets_volume == s.data_volume:
        found = f"{s.secrets_volume} is the data volume, DATA_VOLUME_HOST"
        yield _Contradiction("SECRETS_VOLUME DATA_VOLUME_HOST DOCKER_MACHINE_NAME", found, *_OTHER_NAME)
    # Users' names are free, so no other volume may have a name that the template can give.
    others = [("DATA_VOLUME_HOST", s.data_volume), ("SECRETS_VOLUME", s.secrets_volume)]
    others += [("", volume) for volume in s.component_volumes]
    users = tuple(user.name for user in s.users)
    for own, template in (("USER_VOLUME", s.user_volume), ("HOME_VOLUME", s.home_volume)):
        if template == volume_names.NONE:
            continue
        for key, volume in others:
            if volume and may_name(template, volume):
                found = f"{volume} is the name of a user's volume ({own}={template})"
                yield _Contradiction(f"{key} {own} DOCKER_MACHINE_NAME", found, *_OTHER_NAME)
        unfit = volume_names.unfit_users(template, users)
        if unfit:
            found = f"{template} is no name that Docker takes for {', '.join(unfit)}"
            shorter = (
                "a shorter text around it" if volume_names.ESCAPED in template else f"{volume_names.ESCAPED} instead"
            )
            fix = f"write {shorter}, or take these users off the list"
            yield _Contradiction(own, found, "letters, digits and _ . - in a volume's name, at most 255", fix)
    if s.home_volume != volume_names.NONE and volume_names.may_meet(s.home_volume, s.user_volume):
        found = f"{s.home_volume} and USER_VOLUME={s.user_volume} may name one volume for two users"
        fix = f"set HOME_VOLUME to a template that begins otherwise, such as home-of-{s.name}-{volume_names.ESCAPED}"
        yield _Contradiction("HOME_VOLUME USER_VOLUME DOCKER_MACHINE_NAME", found, "templates that never meet", fix)


def _images(s: Settings) -> _Contradictions:
    keys = "IMAGE_NAMESPACE DOCKER_MACHINE_NAME"
    _, image, _ = _split(s, s.base_image)
    if image in family.FAMILY:
        found = f"{s.base_image} is built here, on BASE_IMAGE (IMAGE_NAMESPACE={s.image_namespace})"
        yield _Contradiction(f"BASE_IMAGE {keys}", found, "an image of others", "name one such as ubuntu:24.04")
    yield from _image_of_servers(s, s.notebook_image, f"DOCKER_NOTEBOOK_IMAGE {keys}")


def _image_of_servers(s: Settings, reference: str, keys: str) -> _Contradictions:
    """An image that the names of ours contradict."""
    repository, image, tag = _split(s, reference)
    serving = [member.name for member in family.FAMILY.values() if member.serves_users]
    last = repository.rpartition("/")[2]
    if not image and tag == "0.0.0" and last in serving:
        # The older layout's Makefile built these with the tag 0.0.0; no registry has them.
        found = f"{reference} is an image that the older layout built, and that cannot be pulled"
        wanted = f"{s.image_reference(last)}, which is built here"
        fix = f"write {s.image_reference(last)}, or delete the line"
        yield _Contradiction(f"{keys} IMAGE_TAG", found, wanted, fix, _naming(s, last))
    elif image and image not in serving:
        found = f"{reference} is not a notebook image of ours (IMAGE_NAMESPACE={s.image_namespace})"
        yield _Contradiction(keys, found, f"{' or '.join(serving)}, or an image of others", "name one of these")
    elif image and tag != s.image_tag:
        found = f"has the tag {tag} but IMAGE_TAG is {s.image_tag}"
        fix = f"write the tag {s.image_tag}, or set IMAGE_TAG={tag}"
        yield _Contradiction(f"{keys} IMAGE_TAG", found, f"{repository}:{s.image_tag}", fix, _naming(s, image))


def _split(s: Settings, reference: str) -> tuple[str, str, str]:
    """Repository, the part of it behind IMAGE_NAMESPACE (empty for a foreign image), and tag."""
    last = reference.rpartition("/")[2]
    tag = last.partition(":")[2]
    repository = reference.removesuffix(f":{tag}")
    prefix = s.image_namespace + "/"
    return repository, repository.removeprefix(prefix) if repository.startswith(prefix) else "", tag


def _naming(s: Settings, image: str) -> tuple[str, ...]:
    """The line that sets this image of ours; no line for base-notebook, which is the default."""
    return () if image == "base-notebook" else (f"DOCKER_NOTEBOOK_IMAGE={s.image_reference(image)}",)


_RULES = (_directory, _callback, _login, _authority, _behind, _memory, _cards, _names, _images)
