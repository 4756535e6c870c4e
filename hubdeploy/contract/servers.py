"""What a user's server is to the engine, from its kind and its user. Pure.

The filter makes servers from this alone. The hub chooses whose server it is and the values of a few names of the
environment; it names containers and volumes by the same code.
"""

from __future__ import annotations

import hashlib
import re
import string
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import PurePosixPath
from typing import Any

from . import cards, labels, logs, mac_addresses, rehearsals
from .documents import NO_SECRETS, SERVER_MAC, Folder, ServerKind, Servers, ServerSecrets, Volume

# What a start script needs to rename the user and drop to it, and what `sudo apt-get install` needs then. KILL: init and
# sudo stay root and must pass the stop signal on; without it the server and its kernels are killed, not stopped.
ROOT_CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "SETUID", "SETGID", "KILL", "AUDIT_WRITE")
# What a server that starts as root has as its user. Nothing else of it is root's.
ROOT = "0"
# A tmpfs in each server: sockets and the like, which must not fill a home, nor be missing in a full one.
RUNTIME_DIRECTORY = "/run/notebook"
# The one folder outside of the home that a server without root can write to. /var/tmp leads there.
SCRATCH = "/tmp"
# The engine's own driver of volumes.
DRIVER = "local"
# Where a server has what its user shares with others. It is no part of a home, so nothing is left there of a folder that is gone.
SHARED = "/srv/shared"
# The number of the group `users`, in every Debian and Ubuntu, and in docker-stacks.
USERS = 100
# Where the home's volume lies in a safe start that cannot use it as the home.
ASIDE = "my-home"
PORT = 8888
# Microseconds; CPU limits are shares of it.
CPU_PERIOD = 100_000
# The kernel ends a user's server, and not hub or proxy, where the whole machine runs out of memory.
OOM_SCORE = 500
# The version of the engine's API from which on an endpoint has its MAC address.
MAC_IN_ENDPOINT = (1, 44)
# The engine makes a container and a folder for each name.
LONGEST_NAME = 255
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+\Z")
_UNESCAPED = frozenset(string.ascii_lowercase + string.digits)
# The names of the environment whose values are the hub's: those that JupyterHub gives a server, and our own.
_HUBS_NAMES = frozenset(
    (
        "MEM_LIMIT",
        "MEM_GUARANTEE",
        "CPU_LIMIT",
        "CPU_GUARANTEE",
        "JUPYTER_IMAGE_SPEC",
        "HUB_ASSETS",
        "NOTEBOOK_SAFE_START",
    )
)
_HUBS_NAME = re.compile(r"(JUPYTERHUB|JPY)_[A-Z0-9_]+\Z")


@dataclass(frozen=True)
class Wish:
    """What the hub says of a new server: its user, the environment that is the hub's, whether the home's volume is to lie beside
    the home, the name of its kind, empty for the user's first one, and the cards that it is to have. `home_is_new`: the engine
    makes the home's volume with the container."""

    user: str
    environment: Mapping[str, str]
    aside: bool = False
    home_is_new: bool = False
    kind: str = ""
    cards: tuple[str, ...] = ()


def escaped(user: str) -> str:
    """A user's name as it stands in names of the engine: all but a-z and digits as - and two digits for each byte, which is
    DockerSpawner's way. No two names give the same."""
    return "".join(one if one in _UNESCAPED else "".join(f"-{byte:02x}" for byte in one.encode()) for one in user)


def unescaped(name: str) -> str:
    """The user's name of which `escaped` gives this. Raises ValueError where it can give no such name."""
    found = re.sub(rb"-([0-9a-f]{2})", lambda match: bytes.fromhex(match[1].decode()), name.encode()).decode()
    if escaped(found) != name:
        raise ValueError(f"{name} is no escaped name")
    return found


def around_user(template: str) -> tuple[str, str]:
    """What a template of names has before and after the user's name."""
    before, _, rest = template.partition("{")
    return before, rest.partition("}")[2]


def may_name(template: str, volume: str) -> bool:
    """True if the template gives some user this volume."""
    before, after = around_user(template)
    return volume.startswith(before) and volume.endswith(after) and len(volume) > len(before + after)


def filled(template: str, user: str) -> str:
    """A template of names, filled for a user."""
    return template.format(username=escaped(user), raw_username=user)


def is_name(name: str) -> bool:
    """True if the engine takes it as a name of a container or a volume."""
    return len(name) <= LONGEST_NAME and _NAME.match(name) is not None


def volumes(kind: ServerKind, user: str) -> tuple[Volume, ...]:
    """The user's volumes, by their names on the engine."""
    return tuple(Volume(filled(one.name, user), one.target) for one in kind.volumes)


def is_hubs(name: str) -> bool:
    """True for a name of the environment whose value the hub gives."""
    return name in _HUBS_NAMES or _HUBS_NAME.match(name) is not None


def home(kind: ServerKind) -> str:
    return f"/home/{kind.nb_user}"


def starts_as_root(kind: ServerKind, *, sudo: bool) -> bool:
    """Only a server that may use sudo does, and one of a foreign image, whose start script drops to the user."""
    return sudo or not kind.ours


def creation(
    servers: Servers,
    wish: Wish,
    *,
    mac_in_endpoint: bool,
    quota: bool = False,
    secrets: ServerSecrets = NO_SECRETS,
    address: str = "",
) -> dict[str, Any]:
    """The body of the engine's request that makes the server, of a kind that the user may have. `mac_in_endpoint`: as the API
    has it from MAC_IN_ENDPOINT on. `quota`: the engine bounds a volume that it makes. `address` is the server's MAC address,
    empty for the usual one."""
    kind = servers.kind_for(wish.user, wish.kind, None)
    assert kind is not None, "asked for by whoever may not have it"
    sudo = servers.may_sudo(wish.user)
    root = starts_as_root(kind, sudo=sudo)
    environment = {**kind.environment, **secrets.of(kind), "TZ": kind.timezone, **wish.environment}
    environment |= _start_environment(kind, sudo=sudo, home_is_new=wish.home_is_new)
    address = address or mac_address(filled(kind.server_name, wish.user), kind.networks)
    marked = {"MacAddress": address} if kind.marks_servers or kind.networks else {}
    environment |= cards.environment(servers.cards, wish.cards)
    return {
        "Image": kind.image,
        "User": ROOT if root else str(kind.nb_uid),
        "Env": [f"{name}={value}" for name, value in environment.items()],
        "Cmd": list(kind.spawn_command),
        # a foreign image has its own, and a kernel without a path would start there
        "WorkingDir": kind.notebook_dir,
        # the hub asks servers itself; docker-stacks' own check costs a core for nine idle servers
        "Healthcheck": {"Test": ["NONE"]},
        "ExposedPorts": {f"{PORT}/tcp": {}},
        "Labels": {
            **servers.labels,
            labels.ROLE: labels.SERVER,
            labels.FINGERPRINT: servers.fingerprint(wish.user, kind),
            labels.PATH: servers.base_url,
            labels.USER: wish.user,
            labels.SUDO: "yes" if sudo else "no",
            labels.KIND: kind.name,
            **({labels.NETWORKS: mac_addresses.of_networks(kind.networks)} if kind.networks else {}),
            **({labels.CARDS: cards.label(wish.cards)} if wish.cards else {}),
        },
        "HostConfig": {
            "NetworkMode": kind.network_name,
            "CapDrop": ["ALL"],
            "CapAdd": list(ROOT_CAPABILITIES) if root else [],
            # sudo is a set-uid program: this very option would stop it
            "SecurityOpt": [] if sudo else ["no-new-privileges"],
            "PidsLimit": kind.pids_limit,
            # An image of others has a start script that writes where it likes, and sudo installs programs.
            "ReadonlyRootfs": not root,
            "Tmpfs": {RUNTIME_DIRECTORY: f"uid={kind.nb_uid},gid={USERS},mode=0700,size=64m"},
            "LogConfig": {"Type": logs.DRIVER, "Config": dict(logs.OPTIONS)},
            # with it the engine would also remove the log that says why a server ended
            "AutoRemove": False,
            "RestartPolicy": {"Name": "no"},
            "OomScoreAdj": OOM_SCORE,
            "Mounts": [
                *(_mount(servers, kind, one, wish, quota=quota) for one in volumes(kind, wish.user)),
                *([] if root else [_scratch(servers, target) for target in _scratched(kind)]),
                *(_shared(servers, *one) for one in servers.folders_of(wish.user, kind.name)),
            ],
            "Memory": kind.memory_limit,
            "MemorySwap": kind.memory_limit,
            # /dev/shm, 64 MB by the engine's default; what lies in it counts as the server's memory
            "ShmSize": kind.memory_limit,
            **({"CpuPeriod": CPU_PERIOD, "CpuQuota": int(kind.cpu_limit * CPU_PERIOD)} if kind.cpu_limit else {}),
            **cards.request(wish.cards),
        },
        **({"NetworkingConfig": {"EndpointsConfig": {kind.network_name: marked}}} if mac_in_endpoint else marked),
    }


def bounds(kind: ServerKind) -> dict[str, str]:
    """The options of a volume that the engine bounds, where it can."""
    return {"size": str(kind.disk_limit)} if kind.disk_limit else {}


def _mount(servers: Servers, kind: ServerKind, volume: Volume, wish: Wish, *, quota: bool) -> dict[str, Any]:
    """A mount, not a bind: with mounts the engine labels the volumes that it makes. An existing one is used as it is. Files of a
    simulated person lie in volumes without a name, which go with the server."""
    target = f"{volume.target}/{ASIDE}" if wish.aside and volume.target == home(kind) else volume.target
    if rehearsals.is_simulated(wish.user):
        made = _scratch(servers, target)
    else:
        carried = {**servers.labels, labels.ROLE: labels.VOLUME, labels.UID: str(kind.nb_uid)}
        made = {"Type": "volume", "Source": volume.name, "Target": target, "ReadOnly": False}
        made["VolumeOptions"] = {"Labels": carried}
    if quota and kind.disk_limit:
        made["VolumeOptions"]["DriverConfig"] = {"Name": DRIVER, "Options": bounds(kind)}
    return made


def _shared(servers: Servers, folder: Folder, reads: bool) -> dict[str, Any]:
    """The mount of a folder that users share. It stays as it is: the engine puts nothing into it from the image."""
    mount = {"Target": f"{SHARED}/{folder.name}", "ReadOnly": reads}
    if folder.path:
        return {"Type": "bind", "Source": folder.path, **mount}
    options: dict[str, Any] = {"NoCopy": True}
    if folder.options:
        options["DriverConfig"] = {"Name": DRIVER, "Options": dict(folder.options)}
    if folder.ours or folder.options:
        options["Labels"] = shared_labels(servers.labels)
    return {"Type": "volume", "Source": folder.volume, **mount, "VolumeOptions": options}


def shared_labels(deployment: Mapping[str, str]) -> dict[str, str]:
    """The labels of a volume that users share; `deployment` are the deployment's."""
    return {**deployment, labels.ROLE: labels.SHARED}


def _scratched(kind: ServerKind) -> list[str]:
    """Where a server without root writes what goes with it: temporary files, and a home that does not last."""
    lasts = home(kind) in {volume.target for volume in kind.volumes}
    return [SCRATCH] if lasts else [SCRATCH, home(kind)]


def _scratch(servers: Servers, target: str) -> dict[str, Any]:
    """A volume without a name, which the engine fills from the image, and which goes with the container."""
    carried = {**servers.labels, labels.ROLE: labels.SCRATCH}
    return {"Type": "volume", "Target": target, "ReadOnly": False, "VolumeOptions": {"Labels": carried}}


def _start_environment(kind: ServerKind, *, sudo: bool, home_is_new: bool) -> dict[str, str]:
    """The start script's environment: sudo or not, after how many seconds our images shut idle kernels down, and where
    they fetch course material from; for a foreign image also the new name of its user. In a new home lies
    what the image has there, with the numbers of the image's user."""
    environment = {"JUPYTER_RUNTIME_DIR": f"{RUNTIME_DIRECTORY}/runtime"} | ({"GRANT_SUDO": "yes"} if sudo else {})
    if kind.kernel_idle_timeout:
        environment["NOTEBOOK_KERNEL_IDLE_TIMEOUT"] = f"{kind.kernel_idle_timeout:d}"
    if kind.course_repositories:
        environment["NOTEBOOK_COURSE_REPOSITORIES"] = " ".join(kind.course_repositories)
    if not kind.ours:
        environment |= {
            "NB_USER": kind.nb_user,
            "NB_UID": str(kind.nb_uid),
            "CHOWN_HOME": "yes",
            # the engine makes the mount point and the folders above it as root, and CHOWN_HOME is not recursive
            "CHOWN_EXTRA": ",".join(_folders_below_home(kind)),
            # root hands over what has the name, never what a link in the home leads to
            "CHOWN_HOME_OPTS": f"{'--recursive ' if home_is_new else ''}--no-dereference",
            "CHOWN_EXTRA_OPTS": "--no-dereference",
        }
    return environment


def _folders_below_home(kind: ServerKind) -> list[str]:
    """The notebook directory and every folder between it and the user's home, outermost first."""
    path = PurePosixPath(kind.notebook_dir)
    return [str(folder) for folder in reversed([path, *path.parents]) if PurePosixPath(home(kind)) in folder.parents]


def is_a_link(path: str, target: str = "") -> str:
    """Why no server that starts as root starts; without a target, how that sentence begins."""
    return f"{path} is a link to {target}."[: None if target else -1]


def is_taken(card: str) -> str:
    """Why a server with this card does not start."""
    return f"The card {card} is another server's."


def api_version(text: str) -> tuple[int, ...]:
    """A version of the engine's API, such as 1.44, for comparison."""
    return tuple(int(part) for part in text.split("."))


def mac_address(container: str, networks: Collection[str] = (), taken: Collection[str] = ()) -> str:
    """The same for all servers of a user, so that a switch learns it once; another one with other networks of their kind, and
    where somebody else has it: with networks it is short."""
    if not networks:
        own = hashlib.sha256(container.encode()).digest()[:4]
        return (bytes.fromhex(SERVER_MAC.replace(":", "")) + own).hex(":")
    numbers = (int.from_bytes(hashlib.sha256(f"{container} {again}".encode()).digest()[:4]) for again in count())
    addresses = (mac_addresses.of_server(number, networks) for number in numbers)
    return next(one for one in addresses if one not in taken)
