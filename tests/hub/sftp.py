"""A real OpenSSH server in a container of the tests: another machine, for backups."""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import docker
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests import nested

_START = (
    "useradd --create-home backup-of-tests && install -d -m 755 /run/sshd && "
    "chown -R backup-of-tests: /home/backup-of-tests && exec /usr/sbin/sshd -D -e -o PasswordAuthentication=no"
)
_HOME = "home/backup-of-tests"
_WITHIN = 30


@dataclass(frozen=True)
class SftpServer:
    """`repository` is restic's address of a folder there. `files` are what the operator puts into jupyterhub/secrets/backup."""

    repository: str
    files: dict[str, bytes]


@contextmanager
def serving(client: docker.DockerClient, run: str) -> Iterator[SftpServer]:
    """A server on the engine's default network. It goes with the test run's label."""
    host, user = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    image = nested.image(client, "sshd", "bookworm", ["openssh-server"])
    container = client.containers.create(image, ["/bin/sh", "-c", _START], labels={nested.LABEL: run}, init=True)
    try:
        files = {"etc/ssh/ssh_host_ed25519_key": _private(host), f"{_HOME}/.ssh/authorized_keys": _public(user)}
        container.put_archive("/", _archive(files))
        container.start()
        container.reload()
        address = container.attrs["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
        deadline = time.monotonic() + _WITHIN
        while b"Server listening" not in container.logs():
            assert time.monotonic() < deadline, container.logs().decode()
            time.sleep(0.1)
        known = f"{address} ".encode() + _public(host) + b"\n"
        yield SftpServer(
            f"sftp:backup-of-tests@{address}:/{_HOME}/lab", {"ssh_key": _private(user), "known_hosts": known}
        )
    finally:
        nested.clear(client, run)


def _private(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )


def _public(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)


def _archive(files: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o600
            tar.addfile(info, io.BytesIO(data))
    return content.getvalue()
