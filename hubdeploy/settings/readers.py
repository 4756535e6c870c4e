"""Turns a setting's text into its value, or raises Unfit with what was found, what is wanted, and the fix.

Rules that are not ours are Docker's (names, references), Debian's (user names, ids) or the URL standard's. The module is
long because it is a list: a short function for each kind of value.
"""

from __future__ import annotations

import ipaddress
import re
import shlex
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from hubdeploy import family

_DEPLOYMENT = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?\Z")
_RESOURCE = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{1,127}\Z")
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*"
_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
# Without a dot or a port the first part of a name is not a registry, and must be lower case.
_REGISTRY = rf"(?:(?:localhost|{_LABEL}(?:\.{_LABEL})+)(?::[0-9]+)?|{_LABEL}:[0-9]+)"
_REPOSITORY = rf"(?:{_REGISTRY}/)?{_COMPONENT}(?:/{_COMPONENT})*"
# docker-py cannot build an image whose registry has a capital letter. A foreign image is only pulled and may have one.
_NAMESPACE = re.compile(rf"(?!.*[A-Z]){_REPOSITORY}\Z")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}\Z")
_REFERENCE = re.compile(rf"({_REPOSITORY})(?::[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?(?:@sha256:[0-9a-f]{{64}})?\Z")
# A shorter secret may also be an ordinary word, and could not be kept out of messages.
SHORTEST_SECRET = 8
# The engine takes 255 characters, which include our image's name and the default registry.
_LONGEST_REPOSITORY = 200
# How the engine writes the id of an image.
_ID = re.compile(r"[0-9a-f]{64}\Z")
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,30}\Z")
_HOST = re.compile(
    r"(?=.{1,253}\Z)[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*\Z"
)
# Without @ ? #, which separate a login, a query and a fragment.
_IN_A_URL = re.compile(r"[a-zA-Z0-9._~:/\[\]!$&'()*+,;=%-]+\Z")
# No escaped character: the hub, the proxy and browsers would have to agree on what it stands for.
_LONGEST_URL_PATH = 100
_SEGMENT = r"[a-zA-Z0-9](?:[a-zA-Z0-9._-]*[a-zA-Z0-9])?"
_URL_PATH = re.compile(rf"(?=.{{1,{_LONGEST_URL_PATH}}}\Z)/?(?:{_SEGMENT}(?:/{_SEGMENT})*/?)?\Z")
# With ? and #: a link may lead to a part of a page.
_PAGE = re.compile(r"[a-zA-Z0-9._~:/\[\]!$&'()*+,;=%?#-]+\Z")
_MAC_KEY = re.compile(r"[A-Za-z0-9_-]{16,512}=*\Z")
_EMAIL = re.compile(r"[A-Za-z0-9._+-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+\Z")
_CLAIM = re.compile(r"[a-zA-Z0-9_.:/-]{1,200}\Z")
_ORGANIZATION = re.compile(r"[a-z0-9][a-z0-9-]{0,38}(?::[a-z0-9_][a-z0-9_-]{0,99})?")
_NUMBER = re.compile(r"[0-9]{1,5}(?:\.[0-9]+)?\Z")
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([kmgt]?)i?b?\Z", re.IGNORECASE)
# JupyterHub replaces %U by the user's name; in the URL of the hub's database a ? ends the path.
_UNSAFE_IN_PATH = re.compile(r"[\s:,{}\"'\\$`%?]")
# An address of a repository; at its end `*` for any one name. Servers read it by base-notebook/course_material/links.py.
_NAME_IN_PATH = r"[A-Za-z0-9_~][A-Za-z0-9._~-]*"
_COURSE_REPOSITORY = re.compile(
    rf"(https?)://([^/:@]+)(?::([0-9]{{1,5}}))?((?:/{_NAME_IN_PATH})*(?:/{_NAME_IN_PATH}/?|/\*))", re.ASCII
)
# How a card (GPU) may be named. A path's last part is a device, not a folder of them, which the engine cannot tell apart.
_DEVICE = r"/dev/[A-Za-z0-9._-]+(/[A-Za-z0-9._:-]+)*"
_CARDS = {
    "numbers": r"0|[1-9][0-9]?",
    "UUIDs": r"(GPU|MIG)-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "names of CDI": r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?/[A-Za-z][A-Za-z0-9_-]*=(?!all\Z)[A-Za-z0-9][A-Za-z0-9_.:-]*",
    "paths": rf"{_DEVICE}(\+{_DEVICE})*",
}
# Disks, memory, and what every container has of its own there.
_NO_CARD = (
    r"/dev/((mem|kmem|port|kmsg|shm|pts|mqueue|fd|disk|block|mapper|fuse|net)(/.*)?"
    r"|(sd|hd|vd|xvd|nvme|dm-|md|loop|sr|zd|mmcblk).*)\Z"
)
_MOST_CARDS = 64
# Accounts that Debian and Ubuntu bases bring along; a server's user must not be one of them.
_SYSTEM_USERS = frozenset(
    (
        "root", "daemon", "bin", "sys", "sync", "games", "man", "lp", "mail", "news", "uucp", "proxy", "www-data",
        "backup", "list", "irc", "gnats", "nobody", "_apt", "messagebus", "sudo", "users",
    )
)  # fmt: skip
_BACKUP_REPOSITORY = re.compile(r"(?:sftp|rest|s3|b2|azure|gs|swift):[!-~]{1,500}")
_AGES = ("last", "hourly", "daily", "weekly", "monthly", "yearly")
_TIME_OF_DAY = re.compile(r"([0-9]{1,2}):([0-9]{2})")
_KEPT = re.compile(rf"([0-9]{{1,4}}) +({'|'.join(_AGES)})")
_OWN_PATHS = (
    "/srv/jupyterhub",
    "/srv/proxy",
    "/opt",
    "/etc",
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib64",
    "/dev",
    "/proc",
    "/sys",
    "/run",
    "/var/run",
)
_LAST_PORT = 65535
_DNS_PORT = 53
NONE = "none"
# Seconds of each unit of a length of time, the longest first.
_UNITS = {"d": 86_400, "h": 3600, "m": 60}
# Bytes of each unit of an amount, the largest first.
_SIZES = {"T": 1024**4, "G": 1024**3, "M": 1024**2, "K": 1024}
_LENGTH, _LONGEST = re.compile(r"([0-9]{1,9})\s*([dhm])", re.IGNORECASE), 3650 * _UNITS["d"]
_LINK_LOCAL = ipaddress.IPv4Network("169.254.0.0/16")
# The engine refuses limits under 6 MiB. A server with less than this dies while it starts.
_LEAST_MEMORY, _LEAST_GUARANTEE, _LEAST_DISK = 256 * 1024**2, 64 * 1024**2, 64 * 1024**2


_LONGEST_TITLE, _LONGEST_ANNOUNCEMENT = 60, 1000
_LONGEST_VARIABLE, _LONGEST_ADDRESS = 32_000, 300
_PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg")


class Unfit(ValueError):
    """The text cannot be the setting's value; the parts become a Problem."""

    def __init__(self, found: str, wanted: str, fix: str) -> None:
        super().__init__(found)
        self.found, self.wanted, self.fix = found, wanted, fix


def _matching(pattern: re.Pattern[str], found: str, wanted: str, fix: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if pattern.match(text) is None:
            raise Unfit(found, wanted, fix)
        return text

    return read


deployment_name = _matching(
    _DEPLOYMENT, "cannot name a deployment", "lower-case letters, digits and - inside, at most 40 characters",
    "choose such a name, for example crypticlabs-jupyterhub",
)  # fmt: skip
image_tag = _matching(
    _TAG, "is not an image tag", "letters, digits and _ . - , at most 128", "choose such a tag, for example latest"
)


def image_namespace(text: str) -> str:
    """The first part of our images' names, as the engine lists it."""
    name = _without_default_registry(text)
    unfit = name in ("library", "docker.io", "index.docker.io") or len(name) > _LONGEST_REPOSITORY
    if _NAMESPACE.match(name) is None or unfit:
        wanted = f"lower-case words joined by . _ - and /, at most {_LONGEST_REPOSITORY} characters"
        raise Unfit("cannot be the first part of an image's name", wanted, "choose such a name")
    return name


def image_reference(text: str) -> str:
    """An image's name as the engine lists it: with a tag or a digest (not both), without the default registry's name."""
    match = _REFERENCE.match(text)
    if match is None or len(match[1]) > _LONGEST_REPOSITORY or _ID.match(match[1]):
        wanted = "a reference such as ubuntu:24.04"
        raise Unfit("is not an image reference", wanted, "correct it; repositories are lower case")
    name = _without_default_registry(text)
    if name.count("/") == 1:
        name = name.removeprefix("library/")
    repository, at, digest = name.partition("@")
    last = repository.rpartition("/")[2]
    if at:
        return f"{repository.removesuffix(last)}{last.partition(':')[0]}@{digest}"
    return repository if ":" in last else f"{repository}:latest"


def notebook_image(text: str) -> str:
    """An image's name, as image_reference gives it; the bare name of one of our family stays as it is."""
    return text if text in family.FAMILY else image_reference(text)


def _without_default_registry(text: str) -> str:
    return (
        text.removeprefix("index.").removeprefix("docker.io/")
        if text.startswith(("docker.io/", "index.docker.io/"))
        else text
    )


def network_name(text: str) -> str:
    if text in ("bridge", "host", "none", "default"):
        raise Unfit("is a network of the engine itself", "a network of users' own", "choose another name")
    return resource_name(text)


def resource_name(text: str) -> str:
    """A network's or volume's name."""
    if "/" in text or text.startswith((".", "~")):
        raise Unfit(
            "is a path", "the name of a Docker volume or network", "give a name; the engine keeps the data itself"
        )
    if _RESOURCE.match(text) is None:
        raise Unfit(
            "is a name that Docker refuses",
            "two or more letters, digits and _ . - , a letter or digit first",
            "choose such a name",
        )
    return text


def user_name(text: str) -> str:
    if text in _SYSTEM_USERS:
        raise Unfit("is an account of the system", "a user of its own", "choose another name, for example cryptic")
    if _USER.match(text) is None:
        raise Unfit("is not a user name", "a lower-case letter, then at most 30 of a-z 0-9 _ -", "choose such a name")
    return text


def user_id(text: str) -> int:
    number = _integer(text, "a user's number", 500, 2_000_000_000)
    if number == 65534:
        raise Unfit("is the number of `nobody`", "a user's number", "choose another, for example 1000")
    return number


def container_path(text: str) -> str:
    if not text.startswith("/") or _UNSAFE_IN_PATH.search(text) or not text.isprintable():
        raise Unfit(
            "is not a path in a container",
            "an absolute path without spaces, quotes, : , { } $ % ?",
            "write such a path",
        )
    plain = PurePosixPath(text)
    if ".." in plain.parts or str(plain) != text or text.startswith("//"):
        raise Unfit("is not a plain path", "no `..`, `//`, `/.` or / at the end", "write the path out")
    if len(text.encode()) > 4095 or any(len(part.encode()) > 255 for part in plain.parts):
        raise Unfit("is too long for a path", "names of at most 255 bytes, 4095 in all", "choose a shorter one")
    return text


def data_mount(text: str) -> str:
    path = container_path(text)
    taken = [
        own for own in _OWN_PATHS if path == own or path.startswith(own + "/") or own.startswith(path.rstrip("/") + "/")
    ]
    if taken or path in ("/", "/tmp", "/root", "/home"):
        raise Unfit("hides files that the hub needs", "a directory of its own, such as /data", "choose another path")
    return path


def command(text: str) -> tuple[str, ...]:
    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        raise Unfit("has an open quote", "a command", "close the quote") from error
    if not words:
        raise Unfit("is empty", "a command", "give a command, for example start-singleuser.sh")
    if not all(word.isprintable() for word in words):
        raise Unfit("holds characters that cannot be seen", "a command in letters, digits and signs", "type it anew")
    return words


def one_of(*choices: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in choices:
            raise Unfit("is not one of the choices", " or ".join(choices), "write one of these, in lower case")
        return text

    return read


def host(text: str) -> str:
    address = _address(text)
    if address is None and (_HOST.match(text) is None or re.fullmatch(r"[0-9.]+", text)):
        wanted = "a name or address without https:// and port"
        raise Unfit("is not a host name", wanted, "write it like jupyter.example.org")
    if address is not None and ipaddress.ip_address(address).is_unspecified:
        wanted = "the name or address that browsers go to"
        raise Unfit("stands for every address of a host", wanted, "write one, like 192.0.2.7; BIND_ADDRESS may be this")
    return address or text.lower()


def ip_address(text: str) -> str:
    address = _address(text)
    if address is None:
        raise Unfit("is not an address", "an IP address of this host, such as 127.0.0.1", "write an address")
    return address


def _address(text: str) -> str | None:
    """An IP address in its usual spelling; else None. The engine refuses an address with a zone (`fe80::1%eth0`)."""
    try:
        return None if "%" in text else str(ipaddress.ip_address(text))
    except ValueError:
        return None


def networks(text: str) -> tuple[str, ...]:
    """Networks, addresses and host names, each with a port or without, in one spelling."""
    places = [one for one in re.split(r"[,\s]+", text) if one]
    return tuple(dict.fromkeys(network_or_name(one, number) for number, one in enumerate(places, start=1)))


def network_or_name(text: str, number: int) -> str:
    """One of `networks`. `number` names it in what is wrong: the text itself is shown by whoever knows whether it may be."""
    wanted = (
        "networks, addresses (IPv4) or host names, with a port or without, such as 10.1.2.0/24, db.example.org:5432"
    )
    place, colon, its_port = text.partition(":")
    if colon and not (re.fullmatch(r"[0-9]{1,5}", its_port) and 1 <= int(its_port) <= _LAST_PORT):
        fix = "write a number from 1 to 65535; IPv6 is closed to servers"
        raise Unfit(f"has no port after the colon of entry {number}", wanted, fix)
    try:
        network = ipaddress.IPv4Network(place, strict=False)
    except ValueError:
        if re.fullmatch(r"[0-9./]*", place) or not _HOST.match(place):
            raise Unfit(f"has no network and no name as entry {number}", wanted, "correct it") from None
        place = place.lower()
    else:
        if network.subnet_of(_LINK_LOCAL):
            fix = "leave it out: the metadata of a cloud, with its keys, is there"
            raise Unfit(f"has a link-local network as entry {number}", wanted, fix)
        place = str(network.network_address if network.prefixlen == network.max_prefixlen else network)
    return f"{place}:{int(its_port)}" if colon else place


def course_repositories(text: str) -> tuple[str, ...]:
    """Addresses of repositories in one spelling, each of one repository or, with `*` as its last name, of all beside it."""
    places = [one for one in re.split(r"[,\s]+", text) if one] or [""]
    return tuple(dict.fromkeys(_course_repository(one, number) for number, one in enumerate(places, start=1)))


def _course_repository(text: str, number: int) -> str:
    wanted = "addresses such as https://github.com/physics/mechanics, or https://github.com/physics/* for all beside it"
    found = _COURSE_REPOSITORY.fullmatch(text)
    if found is None or len(text) > _LONGEST_ADDRESS:
        fix = "write the whole address without a login; * stands for the whole last name alone"
        raise Unfit(f"has no address of repositories as entry {number}", wanted, fix)
    scheme, host, its_port, path = found.groups()
    if _HOST.match(host) is None or (its_port and not 1 <= int(its_port) <= _LAST_PORT):
        raise Unfit(f"has no host, or no port, that there can be as entry {number}", wanted, "correct it")
    usual = its_port is None or int(its_port) == {"https": 443, "http": 80}[scheme]
    plain = path.rstrip("/").removesuffix(".git")
    if plain.endswith("/"):
        raise Unfit(f"has no name of a repository at the end of entry {number}", wanted, "write it out")
    return f"{scheme}://{host.lower()}{'' if usual else f':{int(its_port)}'}{plain}"


def cards(text: str) -> tuple[str, ...]:
    """Cards (GPUs), each once, and all of one form: the same card could stand there twice otherwise."""
    found = [_card(one, number) for number, one in enumerate(re.split(r"\s*,\s*", text.strip()), start=1)]
    wanted, forms = "cards of one form", sorted({form for form, _ in found})
    if len(forms) > 1:
        fix = "write all of them in one of these forms"
        raise Unfit(f"names cards by {' and '.join(forms)}, so that one could stand there twice", wanted, fix)
    known = [card.partition("+")[0] for _, card in found]
    twice = [number for number, card in enumerate(known, start=1) if card in known[: number - 1]]
    if twice or len(known) > _MOST_CARDS:
        message = f"has a card for the second time as entry {twice[0]}" if twice else f"names {len(known)} cards"
        fix = "write each card once, its own device first" if twice else "take some out"
        raise Unfit(message, f"each card once, at most {_MOST_CARDS}", fix)
    return tuple(card for _, card in found)


def _card(text: str, number: int) -> tuple[str, str]:
    """What form a card is written in, and the card in one spelling."""
    for form, pattern in _CARDS.items():
        if re.fullmatch(pattern, text, re.ASCII):
            paths = [one for one in text.split("+") if one.startswith("/")]
            if len(set(paths)) < len(paths) or any({".", ".."} & {*one.split("/")} for one in paths):
                wanted = "paths of devices, each once and without . and .."
                raise Unfit(
                    f"has paths that do not lead straight to devices as entry {number}", wanted, "write them out"
                )
            if any(re.match(_NO_CARD, one) for one in paths):
                wanted = "devices of cards: whoever has one of these has the host"
                raise Unfit(f"has a disk, or memory of the host, as entry {number}", wanted, "ls /dev/dri shows cards")
            return form, text
    wanted = "NVIDIA's numbers or UUIDs (0, GPU-…), names of CDI (nvidia.com/gpu=0), or devices (/dev/dri/renderD128+/dev/kfd)"
    raise Unfit(f"has no card as entry {number}", wanted, "nvidia-smi -L shows NVIDIA's, ls /dev/dri others")


def number_of_cards(text: str) -> int:
    return _integer(text, "a number of cards", 1, _MOST_CARDS)


def addresses(text: str) -> tuple[str, ...]:
    """Addresses and networks of both IP versions, in one spelling. None of them is everybody's."""
    places = [one for one in re.split(r"[,\s]+", text) if one]
    return tuple(dict.fromkeys(_addresses(one, number) for number, one in enumerate(places, start=1)))


def _addresses(text: str, number: int) -> str:
    wanted = "addresses and networks, such as 192.0.2.10, 10.1.2.0/24, 2001:db8::/64"
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        network = None
    # What stands behind % names a card of one machine.
    if network is None or "%" in text:
        raise Unfit(f"has no address and no network as entry {number}", wanted, "write its address")
    if network.prefixlen == 0:
        raise Unfit(f"has everybody's addresses as entry {number}", wanted, "name the proxies alone")
    return str(network.network_address if network.prefixlen == network.max_prefixlen else network)


def name_servers(text: str) -> tuple[str, ...]:
    """Addresses with their port, as `192.0.2.53:53` and `[2001:db8::53]:53`; the word none alone stands for itself."""
    if text == NONE:
        return (NONE,)
    places = [one for one in re.split(r"[,\s]+", text) if one]
    return tuple(dict.fromkeys(_name_server(one, number) for number, one in enumerate(places, start=1)))


def _name_server(text: str, number: int) -> str:
    place, its_port = text, str(_DNS_PORT)
    if with_port := re.fullmatch(r"(\[.*\]|[^:]*):([0-9]{1,5})", text):
        place, its_port = with_port.groups()
    bare = re.sub(r"^\[(.*:.*)\]$", r"\1", place)
    address = _address(bare)
    if address is None or not 1 <= int(its_port) <= _LAST_PORT:
        wanted = "IP addresses, with a port or without, such as 192.0.2.53, [2001:db8::53]:5353"
        raise Unfit(f"has no address of a name server as entry {number}", wanted, "correct it")
    return f"{f'[{address}]' if ':' in address else address}:{int(its_port)}"


def port(text: str) -> int:
    return _integer(text, "a port", 1, 65535)


def port_or_none(text: str) -> int | None:
    """A port; None for the word none."""
    return None if text == NONE else port(text)


def url_path(text: str) -> str:
    """A path of a URL, with a slash at both ends; those may be left out."""
    if _URL_PATH.match(text) is None:
        wanted = (
            f"/ or a path such as /physics/ of letters, digits and - _ . inside, at most {_LONGEST_URL_PATH} characters"
        )
        raise Unfit("is not the path of a URL", wanted, "write it without host name, port and spaces")
    return f"/{text.strip('/')}/" if text != "/" else text


def url(text: str) -> str:
    if not _is_web_url(text, _IN_A_URL):
        wanted = "a URL such as https://github.com, without @ ? # and in ASCII"
        raise Unfit("is not a URL", wanted, "write it with https:// in front")
    return text.rstrip("/")


def acme_server(text: str) -> str:
    """The URL of an authority's directory. Nothing that asks for a certificate may be changed on the way."""
    if not text.startswith("https://"):
        raise Unfit(
            "is not a URL with https://", "the URL of a directory", "write the URL that the authority's documents name"
        )
    return url(text)


def acme_server_or_none(text: str) -> str | None:
    """As acme_server; None for the word none."""
    return None if text == NONE else acme_server(text)


def mac_key(text: str) -> str:
    """A key for external account binding, as authorities show it: base64 for URLs (RFC 8555, 7.3.4)."""
    if _MAC_KEY.match(text) is None:
        wanted = "the key as the authority shows it: letters, digits, - and _"
        raise Unfit("is not a key of an authority", wanted, "copy it once more")
    return text


def email(text: str) -> str:
    if _EMAIL.match(text) is None:
        raise Unfit("is not an e-mail address", "an address such as admin@example.org", "correct the address")
    return text


def repository(text: str) -> str:
    """The address of a restic repository on another machine. A path would be one in a container, so it means nothing."""
    wanted = "sftp:user@host:/path, rest:https://host/, s3:https://host/bucket, or b2:, azure:, gs:, swift:"
    if _BACKUP_REPOSITORY.fullmatch(text) is None:
        raise Unfit("is not the address of a repository", wanted, "write such an address, or delete the line")
    if re.match(r"(rest|s3):[^/]*//[^/]*:[^/]*@", text):
        raise Unfit("holds a password", wanted, "docs/operating.md says where the keys of a repository go")
    return text


def kept(text: str) -> tuple[str, ...]:
    """How many backups stay, by age, such as `7 daily`; each word once."""
    parts = [_KEPT.fullmatch(one.strip()) for one in text.split(",")]
    found = [f"{int(part[1])} {part[2]}" for part in parts if part]
    words = [one.partition(" ")[2] for one in found]
    if len(found) != len(parts) or len(set(words)) != len(words) or any(one.startswith("0 ") for one in found):
        wanted = f"numbers and words with commas between, such as 7 daily, 4 weekly; the words are {', '.join(_AGES)}"
        raise Unfit("does not say which backups stay", wanted, "correct it")
    return tuple(found)


def time_of_day_or_none(text: str) -> str | None:
    """A time such as 03:00; None for the word none."""
    if text == NONE:
        return None
    found = _TIME_OF_DAY.fullmatch(text)
    if found is None or int(found[1]) > 23 or int(found[2]) > 59:
        raise Unfit("is not a time of day", "a time from 00:00 to 23:59, or none", "write such as 03:00")
    return f"{int(found[1]):02}:{found[2]}"


class Seconds(int):
    """A length of time, which reads as it is written, such as 12h."""

    def __str__(self) -> str:
        unit = next(unit for unit, seconds in _UNITS.items() if self % seconds == 0)
        return f"{self // _UNITS[unit]}{unit}"


def length_or_none(text: str) -> Seconds | None:
    """A length of time; None for the word none."""
    if text == NONE:
        return None
    found = _LENGTH.fullmatch(text)
    seconds = int(found[1]) * _UNITS[found[2].lower()] if found else 0
    if not 0 < seconds <= _LONGEST:
        wanted = "minutes, hours or days, such as 90m, 12h or 7d, at most 3650d; or none"
        raise Unfit("is not a length of time", wanted, "write a whole number and m, h or d, or none")
    return Seconds(seconds)


def days(text: str) -> float:
    if _NUMBER.match(text) is None or not 0.01 <= float(text) <= 3650:
        raise Unfit("is not a number of days", "a number such as 90 or 6.5", "write such a number")
    return float(text)


DISCOVERY = "/.well-known/openid-configuration"


def issuer(text: str) -> str:
    """What a provider calls itself. Many consoles show the URL of its description instead, which begins with that."""
    if text.rstrip("/").endswith(DISCOVERY):
        raise Unfit(
            "is where the provider describes itself", "the provider's own name for itself", f"leave out {DISCOVERY}"
        )
    return protected_url(text)


def protected_url(text: str) -> str:
    """A URL as it is written: with TLS, or without it on this machine alone."""
    if not _is_web_url(text, _IN_A_URL):
        raise Unfit("is not a URL", "a URL such as https://id.example.org, without @ ? # and in ASCII", "correct it")
    split = urlsplit(text)
    if split.scheme == "http" and not _is_loopback(split.hostname or ""):
        raise Unfit("has no TLS", "a URL with https://; with http:// only on a loopback address", "write https://")
    return text


def _is_loopback(name: str) -> bool:
    address = _address(name)
    return name == "localhost" or (address is not None and ipaddress.ip_address(address).is_loopback)


def github_url(text: str) -> str:
    """A server's URL in its usual spelling. GitHub itself has only one: OAuthenticator takes any other for an Enterprise
    server, which has its API elsewhere."""
    split = urlsplit(url(text))
    name = host(split.hostname or "")
    default = split.port in (None, {"https": 443, "http": 80}[split.scheme])
    server = (f"[{name}]" if ":" in name else name) + ("" if default else f":{split.port}")
    found = f"{split.scheme}://{server}{split.path}"
    if found != "https://github.com" and name in ("github.com", "www.github.com", "api.github.com"):
        wanted = "https://github.com, or the URL of a GitHub Enterprise server"
        raise Unfit("is not how GitHub's own login is reached", wanted, "delete the line: it derives")
    return found


def token(text: str) -> str:
    if any(c.isspace() or not c.isprintable() for c in text):
        raise Unfit("holds white space", "the value as the login service shows it", "copy it once more")
    return text


def client_secret(text: str) -> str:
    if len(token(text)) < SHORTEST_SECRET:
        raise Unfit("is too short for a client secret", "the value as the login service shows it", "copy it once more")
    return text


def claim(text: str) -> str:
    """The name of a claim; some are URLs."""
    if _CLAIM.match(text) is None:
        raise Unfit("is not the name of a claim", "letters, digits and _ . : / -", "write it as the provider calls it")
    return text


def groups(text: str) -> tuple[str, ...]:
    """Names of groups, which may have blanks inside, each once."""
    names = [one.strip() for one in text.split(",")]
    if not all(names) or not text.isprintable():
        wanted = "names of groups with commas between, such as teachers, lab 3"
        raise Unfit("has a group without a name", wanted, "write them as the provider's tokens do")
    return tuple(dict.fromkeys(names))


def organizations(text: str) -> tuple[str, ...]:
    """Names of organizations, and of teams as `organization:team`, each once; in small letters, as GitHub ignores case."""
    names = [one.strip().lower() for one in text.split(",")]
    for number, name in enumerate(names, 1):
        if _ORGANIZATION.fullmatch(name) is None:
            wanted = "names as in GitHub's addresses, such as cryptic-labs, other:data-team"
            fix = "write the organization, or organization:team, as github.com/orgs/ORGANIZATION/teams/TEAM shows them"
            raise Unfit(f"has no organization and no team as entry {number}", wanted, fix)
    return tuple(dict.fromkeys(names))


def at_least(length: int) -> Callable[[str], str]:
    def read(text: str) -> str:
        if not text.isprintable():
            raise Unfit("holds characters that cannot be typed", "letters, digits, signs and spaces", "choose another")
        if len(text) < length:
            raise Unfit(
                "is too short", f"{length} characters or more", "make it longer, or delete the line: it is generated"
            )
        return text

    return read


def variable(text: str) -> str:
    """The value of a secret in the environment of users' servers."""
    wanted = f"{SHORTEST_SECRET} to {_LONGEST_VARIABLE} characters that can be printed"
    if not SHORTEST_SECRET <= len(text) <= _LONGEST_VARIABLE or not text.isprintable():
        raise Unfit("cannot be a secret of servers", wanted, "write the whole value, without line breaks")
    return text


class Bytes(int):
    """An amount of memory or disk, shown in the largest unit of which two decimals say it exactly: 12616466432 is 11.75G."""

    def __str__(self) -> str:
        for unit, size in _SIZES.items():
            text = f"{self / size:.2f}".rstrip("0").rstrip(".")
            if self >= size and float(text) * size == self:
                return f"{text}{unit}"
        return str(int(self))


def size(text: str) -> Bytes:
    return _bytes(text, _LEAST_MEMORY, "is not an amount of memory", "256M or more, such as 2G or 1500M")


def guarantee_or_none(text: str) -> Bytes | None:
    if text == NONE:
        return None
    return _bytes(text, _LEAST_GUARANTEE, "is not an amount of memory", "64M or more, such as 512M; or none")


def disk_size(text: str) -> Bytes:
    return _bytes(text, _LEAST_DISK, "is not an amount of disk space", "64M or more, such as 20G or 500M")


def _bytes(text: str, least: int, fault: str, wanted: str) -> Bytes:
    match = _SIZE.match(text)
    number = float(match[1]) * 1024.0 ** " kmgt".index(match[2].lower() or " ") if match else 0.0
    if match is None or not least <= number < 2**62:
        raise Unfit(fault, wanted, "write a number and K, M, G or T")
    return Bytes(number)


def cpus(text: str) -> float:
    if _NUMBER.match(text) is None or not 0.01 <= float(text) <= 4096:
        raise Unfit("is not a number of CPUs", "a number such as 1.5, at least 0.01", "write such a number")
    return float(text)


def pids(text: str) -> int:
    return _integer(text, "a number of processes", 64, 4_194_304)


def yes_or_no(text: str) -> bool:
    answers = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
    if text.lower() not in answers:
        raise Unfit("is neither yes nor no", "yes or no", "write yes or no")
    return answers[text.lower()]


def existing_file(text: str) -> Path:
    if not text.isprintable():
        raise Unfit("is not a path that can be shown", "a file", "correct the path, or give the file another name")
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise Unfit("names a home that does not exist", "a file", "write the path out") from error


def title(text: str) -> str:
    """A line that is read in a browser's tab."""
    if not text.isprintable() or not text.strip() or len(text) > _LONGEST_TITLE:
        wanted = f"a line of at most {_LONGEST_TITLE} characters"
        raise Unfit("is not a title", wanted, "write a short name without line breaks")
    return text.strip()


def announcement(text: str) -> str:
    """Plain text, of several lines if need be."""
    lines = text.strip().splitlines()
    if not lines or not all(line.isprintable() for line in lines) or len(text) > _LONGEST_ANNOUNCEMENT:
        wanted = f"text of at most {_LONGEST_ANNOUNCEMENT} characters"
        raise Unfit("is not an announcement", wanted, "write a short text; HUB_HELP_URL may lead to a longer one")
    return "\n".join(lines)


def web_page(text: str) -> str:
    """The URL of a page, with its query and fragment."""
    if not _is_web_url(text, _PAGE):
        wanted = "the URL of a page, with http:// or https://, in ASCII and without a login"
        raise Unfit("is not a page's URL", wanted, "copy it from the browser's address line")
    return text


def _is_web_url(text: str, characters: re.Pattern[str]) -> bool:
    """Whether it is http or https, with a host and no impossible port, and of these characters alone."""
    try:
        split = urlsplit(text)
        host(split.hostname or "")
        return split.scheme in ("http", "https") and split.port != 0 and characters.match(text) is not None
    except ValueError:
        return False


def picture_file(text: str) -> Path:
    path = existing_file(text)
    if path.suffix.lower() not in _PICTURES:
        raise Unfit("is not named as a picture", f"a file that ends with {' '.join(_PICTURES)}", "name such a file")
    return path


def _integer(text: str, what: str, least: int, most: int) -> int:
    if not re.fullmatch(r"[0-9]{1,12}", text) or not least <= int(text) <= most:
        raise Unfit(f"is not {what}", f"a whole number from {least} to {most}", "write such a number")
    return int(text)
