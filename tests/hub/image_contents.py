"""What an image holds, so that two builds of it can be compared: every file of its root file system, and its configuration.
Times are left out, and so are the files that a build writes anew each time, with the reason beside each.
"""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
import tempfile
from typing import Any

import docker

# Path -> why its content differs from one build to the next, by the same builder too.
WRITTEN_ANEW = {
    r"var/log/(apt/(history|term)|dpkg|alternatives)\.log": "each line has its time",
    r"var/cache/ldconfig/aux-cache": "it holds times and inode numbers of the libraries",
    r"root/\.cache/uv/interpreter-v\d+/.*\.msgpack": "it holds the time of the interpreter's file",
    r"var/lib/texmf/.*": "formats that TeX compiles, with the date inside, and their logs",
    r"var/cache/fontconfig/.*": "indices that hold the time of the folders",
}
_ANEW = re.compile("|".join(f"(?:{pattern})" for pattern in WRITTEN_ANEW))
# A folder that ipykernel's installation leaves behind, under a name drawn by lot.
_DRAWN_BY_LOT = re.compile(r"tmp/tmp\w{8}_kernels")
# A module's source time stands in its compiled form, from the eighth byte on; the code behind it is compared.
_COMPILED_HEADER = 16
# What the engine lays into every container, whatever the image holds there.
_OF_THE_CONTAINER = re.compile(r"\.dockerenv|(dev|proc|sys)(/.*)?|etc/(hosts|hostname|resolv\.conf|mtab)")
# What the engine gives a container whose image says nothing else, so that saying it changes nothing.
_DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

Entry = tuple[Any, ...]


def files(client: docker.DockerClient, image: str) -> dict[str, Entry]:
    """Path -> kind, mode, owner, group, size, and digest or target; for what is written anew without size and digest."""
    container = client.containers.create(image, ["true"], entrypoint="")
    try:
        with tempfile.TemporaryFile() as archive:
            for piece in container.export():
                archive.write(piece)  # type: ignore[arg-type]  # docker-py gives bytes
            archive.seek(0)
            with tarfile.open(fileobj=archive) as tar:
                return {
                    _DRAWN_BY_LOT.sub("tmp/tmp*_kernels", member.name): _entry(tar, member)
                    for member in tar
                    if not _OF_THE_CONTAINER.fullmatch(member.name)
                }
    finally:
        container.remove(force=True)


def _entry(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Entry:
    about = (member.type, oct(member.mode), member.uid, member.gid)
    if not member.isreg():
        return (*about, member.linkname)
    if _ANEW.fullmatch(member.name):
        return about
    content = (tar.extractfile(member) or io.BytesIO()).read()
    if member.name.endswith(".pyc"):
        content = content[_COMPILED_HEADER:]
    return (*about, member.size, hashlib.sha256(content).hexdigest())


def config(client: docker.DockerClient, image: str) -> dict[str, Any]:
    """What a container gets from the image: its environment, programs, user, labels, folder, ports, volumes, health check."""
    found = client.images.get(image).attrs["Config"]
    kept = ("Entrypoint", "Cmd", "User", "Labels", "Healthcheck", "ExposedPorts", "Volumes", "Shell", "StopSignal")
    environment = [line for line in found["Env"] or () if line != _DEFAULT_PATH]
    return {
        **{name: found.get(name) or None for name in kept},
        "Env": environment,
        "WorkingDir": found.get("WorkingDir") or "/",
    }


def differences(one: dict[str, Any], other: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """What is not the same in both, or only in one."""
    return {
        name: (one.get(name), other.get(name))
        for name in sorted(one.keys() | other.keys())
        if one.get(name) != other.get(name)
    }
