"""The connection to the engine: opened at first use, one for each thread. Only here do its errors become ours."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.client import HTTPException

import docker
import docker.errors
import docker.utils
import requests
from urllib3.exceptions import HTTPError

from hubdeploy.errors import EngineError, EngineUnavailable

# Seconds without a byte in one request; a build streams its progress.
_REQUEST_TIMEOUT = 600


class Connection:
    """The engine that DOCKER_HOST names, or the local one."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = dict(environ)
        self._threads = threading.local()
        # The first connection asks for the API's version; the connections of other threads wait for it and take the same.
        self._version = "auto"
        self._connecting = threading.Lock()

    @property
    def host(self) -> str:
        """The engine's address, as DOCKER_HOST writes it."""
        return self._environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"

    @property
    def local(self) -> bool:
        """True if the engine runs on this machine: it is reached by a unix socket."""
        return self.host.startswith("unix://")

    @property
    def api(self) -> docker.APIClient:
        """This thread's client of the engine; raises EngineUnavailable if none answers."""
        client = getattr(self._threads, "client", None)
        if client is None:
            with self._connecting:
                client = self._threads.client = self._connect()
        return client

    def _connect(self) -> docker.APIClient:
        where = self.host
        try:
            arguments = docker.utils.kwargs_from_env(environment=self._environ)
            client = docker.APIClient(version=self._version, timeout=_REQUEST_TIMEOUT, **arguments)
            self._version = client.api_version
            return client
        except _failures(where) as error:
            denied = "Permission denied" in str(error) or isinstance(error, PermissionError)
            raise EngineUnavailable(
                wanted="a Docker engine that answers",
                found=f"the engine at {where} refuses permission"
                if denied
                else f"no engine answers at {where} ({reason(error)})",
                fix="run this as root, or as a member of the group docker: usermod -aG docker YOU, then log in again"
                if denied
                else "run ./invoke setup, or start Docker, or correct DOCKER_HOST",
            ) from None

    def ping(self) -> None:
        """Raises EngineUnavailable unless the engine answers."""
        with translated("the engine answers"):
            self.api.ping()


def _failures(where: str) -> tuple[type[Exception], ...]:
    """What connecting may raise. The library for ssh takes long to import, so it is imported for ssh:// only."""
    usual = (docker.errors.DockerException, requests.RequestException, OSError, ValueError)
    if not where.startswith("ssh://"):
        return usual
    from paramiko import SSHException

    return (*usual, SSHException)


def reason(error: BaseException) -> str:
    """The operating system's words in an error, such as `No such file or directory`; else the error's own."""
    for inner in (error, *_within(error)):
        if isinstance(inner, OSError) and inner.strerror:
            return inner.strerror
    return str(error)[:160] or type(error).__name__


def _within(error: BaseException) -> Iterator[BaseException]:
    for inner in (*error.args, getattr(error, "reason", None), error.__cause__, error.__context__):
        if isinstance(inner, BaseException):
            yield inner
            yield from _within(inner)


@contextmanager
def already_gone() -> Iterator[None]:
    """Stopping or removing what is gone is no error: an earlier run that was killed may have done it."""
    with suppress(docker.errors.NotFound):
        yield


@contextmanager
def translated(wanted: str) -> Iterator[None]:
    """Turns errors of docker-py and of the connection into EngineError and EngineUnavailable."""
    try:
        yield
    except docker.errors.APIError as error:
        raise EngineError(
            wanted=wanted, found=f"the engine says: {error.explanation}", fix="see the engine's words"
        ) from error
    except (docker.errors.DockerException, HTTPError, HTTPException, OSError) as error:
        raise EngineUnavailable(
            wanted=wanted,
            found=f"the engine does not answer any more ({reason(error)})",
            fix="start Docker, then run this again",
        ) from error
