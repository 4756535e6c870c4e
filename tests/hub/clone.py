"""A copy of the checkout, deployed for real under a name and a port of its own, operated through its command line.

Of the checkout's own settings it keeps those that images need to build on this machine. `remove` removes all that has its
label or its name, and nothing else.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import docker
import docker.errors
from docker.models.containers import Container

from hubdeploy import family
from hubdeploy.contract import labels
from hubdeploy.contract.documents import Secret
from hubdeploy.settings import declarations, env_local, loading
from hubdeploy.settings.declarations import Settings
from tests.hub.person import Person
from tests.hub.waiting import until
from tests.ports import free_port

CHECKOUT = Path(__file__).resolve().parents[2]
# Settings that images need to build here; `setup` may have written them.
_CARRIED_OVER = ("BASE_IMAGE", "PYTHON_DISTRIBUTION", "EXTRA_CA_BUNDLE")
# For a checkout that is no git repository: the folders that .gitignore names.
_NOT_COPIED = shutil.ignore_patterns(
    ".git", ".venv", ".env.local", "secrets", "artifacts", "__pycache__", ".*_cache", ".hypothesis"
)
# Seconds: all images, built from no cache over a slow line.
_COMMAND_WITHIN = 1800
_LOG_TAIL = 25
_GONE_WITHIN = 60


@dataclass(frozen=True)
class Clone:
    """`root` is the copy; `printed` gathers all that its commands ever printed, none of them on a terminal."""

    root: Path
    name: str
    port: int
    client: docker.DockerClient
    printed: list[str] = field(default_factory=list, repr=False)

    @classmethod
    def make(cls, root: Path, client: docker.DockerClient, userlist: str, name: str = "", **local: str) -> Self:
        """The copy with its settings written; `local` are further keys of .env.local. Nothing is deployed yet."""
        copy_checkout(root)
        clone = cls(root, name or f"hubtest-{secrets.token_hex(4)}", free_port(), client)
        (root / ".env").write_text(f"DOCKER_MACHINE_NAME={clone.name}\nHUB_PORT={clone.port}\n")
        clone.set_local(**of_this_machine() | local)
        clone.write_userlist(userlist)
        return clone

    def set_local(self, **values: str | None) -> None:
        """Sets keys of .env.local, whatever they were; None takes one away."""
        file = self.root / ".env.local"
        if file.exists():
            lines = file.read_text().splitlines(keepends=True)
            file.write_text("".join(line for line in lines if line.partition("=")[0] not in values))
        given = {key: value for key, value in values.items() if value is not None}
        env_local.remember(file, given, "for these tests")

    def write_userlist(self, text: str) -> None:
        (self.root / "userlist").write_text(text)

    @property
    def environ(self) -> dict[str, str]:
        """This process's environment without any setting in it, so that the clone's files alone decide."""
        return {key: value for key, value in os.environ.items() if key not in declarations.declarations()}

    @property
    def user_password(self) -> str:
        return _revealed(self.settings.user_password)

    @property
    def admin_password(self) -> str:
        return _revealed(self.settings.admin_password)

    @property
    def settings(self) -> Settings:
        return loading.load(self.root, self.environ)

    @property
    def url(self) -> str:
        return self.settings.public_url

    def invoke(self, *words: str) -> str:
        """What a command of the clone printed; raises AssertionError if it failed."""
        finished = subprocess.run(
            [sys.executable, "-m", "hubdeploy.commands.commandline", *words],
            cwd=self.root, env=self.environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=_COMMAND_WITHIN, check=False,
        )  # fmt: skip
        self.printed.append(finished.stdout)
        assert finished.returncode == 0, f"./invoke {' '.join(words)} failed:\n{finished.stdout}"
        return finished.stdout

    def up(self) -> str:
        return self.invoke("up", "--yes", "--watch", "0")

    def share_images_of(self, other: Clone) -> None:
        """Tags the other clone's images for this one: equal content is not built again."""
        for tag in other.image_tags():
            repository, _, version = tag.removeprefix(f"{other.name}/").rpartition(":")
            if version != other.settings.image_tag:
                self.client.images.get(tag).tag(f"{self.name}/{repository}", version)

    # -- what the engine holds ----------------------------------------------------------------------------------------

    def containers(self) -> list[Container]:
        """Proxy, hub and users' servers, in whatever state."""
        # The hub may remove one meanwhile.
        return self.client.containers.list(all=True, filters=self._own, ignore_removed=True)

    def container(self, name: str) -> Container:
        return self.client.containers.get(name)

    def has_container(self, name: str) -> bool:
        return name in {container.name for container in self.containers()}

    def has_volume(self, name: str) -> bool:
        return name in {volume.name for volume in self.client.volumes.list(filters=self._own)}

    def thrown_away(self) -> list[str]:
        """The names of all that this deployment's drills and canaries have left: containers, volumes, networks."""
        api = self.client.api
        names = [one["Names"][0].removeprefix("/") for one in api.containers(all=True)]
        names += [one["Name"] for one in (*(api.volumes()["Volumes"] or ()), *api.networks())]
        return [name for name in names if name.startswith(f"{self.name}_")]

    def image_tags(self) -> list[str]:
        # One answer: the client's own list asks for each image once more, and another test may have removed it meanwhile.
        tags = [tag for image in self.client.api.images() for tag in image["RepoTags"] or ()]
        return [tag for tag in tags if tag.startswith(f"{self.name}/")]

    def server_name(self, user: str) -> str:
        """Name of a user's container and volume; for names that need no escaping."""
        return self.settings.server_name_template.format(username=user)

    def stop_server(self, person: Person) -> None:
        """Returns when the container is gone and the hub knows it."""
        answer = person.call("DELETE", f"/hub/api/users/{person.name}/server")
        assert answer.status_code in (202, 204), answer.text
        name = self.server_name(person.name)
        until(lambda: not self.has_container(name), _GONE_WITHIN, f"{name} is gone")
        until(lambda: not person.servers(), _GONE_WITHIN, "the hub knows that it stopped")

    def person(self, name: str) -> Person:
        """A user whose browser trusts the deployment's own self-made certificate."""
        return Person(self.url, name, self.settings.certificate_path)

    def secrets_of_hub(self) -> dict[str, Any]:
        """The document of secrets, as it lies in the hub's container."""
        _, output = self.container(self.settings.hub_name).exec_run(["cat", "/srv/jupyterhub/documents/secrets.json"])
        assert isinstance(output, bytes)
        return dict(json.loads(output))

    def condition(self) -> str:
        """States and last log lines of all containers, for a test that fails."""
        parts = []
        for container in self.containers():
            try:
                log = container.logs(tail=_LOG_TAIL).decode(errors="replace")
            except docker.errors.APIError as error:
                # One that never started has none that can be read.
                log = f"its log cannot be read: {error}"
            code = container.attrs["State"]["ExitCode"]
            parts.append(f"{container.name}: {container.status}, exit code {code}\n{log}")
        return "\n".join(parts) or f"{self.name} has no container"

    # -- the end ------------------------------------------------------------------------------------------------------

    def remove(self) -> None:
        """Removes containers, networks, volumes and images' names; layers that the next clone can use stay."""
        # The guard last and in peace: it takes its rules with it once no server is left.
        for container in sorted(self.containers(), key=lambda one: one.labels.get(labels.ROLE) == "guard"):
            # The hub, which goes on until its turn comes, may have removed a server meanwhile.
            with suppress(docker.errors.NotFound):
                if container.labels.get(labels.ROLE) == "guard":
                    container.stop(timeout=10)
                container.remove(force=True, v=True)
        for network in self.client.networks.list(filters=self._own):
            network.reload()
            # The tests' browser, which outlives the clone.
            for guest in network.attrs["Containers"]:
                network.disconnect(guest, force=True)
            network.remove()
        for volume in self.client.volumes.list(filters=self._own):
            volume.remove(force=True)
        # Children first. Only this deployment has layers on its own images in the cache.
        for member in sorted(
            family.FAMILY.values(), key=lambda one: len(family.with_ancestors([one.name])), reverse=True
        ):
            for tag in self.image_tags():
                if tag.startswith(f"{self.name}/{member.name}:"):
                    self.client.images.remove(tag, force=True, noprune=member.parent is None)

    @property
    def _own(self) -> dict[str, str | list[str] | bool]:
        return {"label": f"{labels.DEPLOYMENT}={self.name}"}


def of_this_machine() -> dict[str, str]:
    """The settings of the checkout that images need to build here."""
    known = declarations.masked(loading.load(CHECKOUT, os.environ))
    return {key: known[key] for key in _CARRIED_OVER if known[key] is not None}


def copy_checkout(target: Path) -> None:
    """What git tracks or would track, links as links."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=CHECKOUT, capture_output=True, text=True, check=False,
    ) if shutil.which("git") else None  # fmt: skip
    if listed is None or listed.returncode != 0:
        shutil.copytree(CHECKOUT, target, symlinks=True, ignore=_NOT_COPIED, dirs_exist_ok=True)
        return
    for name in filter(None, listed.stdout.split("\0")):
        source = CHECKOUT / name
        if source.is_symlink() or source.exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / name, follow_symlinks=False)


def _revealed(secret: Secret[str] | None) -> str:
    return secret.reveal() if secret else ""
