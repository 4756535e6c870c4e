"""The two deployments that are measured side by side, each made as its users make it, and what both have in common.

All that a rig makes has the label `bench` or its deployment's, and `remove` removes it. The module is a little long: ours
and stock stand together, so that a reader can compare them.
"""

from __future__ import annotations

import contextlib
import io
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Protocol, TypeVar

import docker
import requests

from hubdeploy import family
from hubdeploy.blueprint.routing import HTTPS_PORT
from hubdeploy.tls import certificates
from tests.archive import tar
from tests.hub.clone import Clone
from tests.hub.person import Person
from tests.hub.waiting import until
from tests.ports import free_port

STOCK = Path(__file__).parent / "stock"
LABEL = "bench"
ADMIN = "boss"
USERS = tuple(f"user{number:02}" for number in range(40))
# Seconds: all images, built from no cache over a slow line; a hub that starts from a cold disk.
_BUILD_WITHIN, _UP_WITHIN = 1800, 120
_STOCK_PORT = 8443

Result = TypeVar("Result")


class Rig(Protocol):
    """One deployment that is up. `hub` and `proxy` are container names; one container may be both."""

    label: str
    name: str
    url: str
    port: int
    certificate: Path
    network: str
    hub: str
    proxy: str
    proxy_port: int
    user_password: str
    admin_password: str

    @property
    def science_images(self) -> Mapping[str, str]: ...
    def server_name(self, user: str) -> str: ...
    def build(self, base: str) -> float: ...
    def serving_science(self) -> AbstractContextManager[None]: ...
    def remove(self) -> None: ...


def log_in(rig: Rig, user: str) -> Person:
    """A user with a token."""
    person = Person(rig.url, user, rig.certificate)
    answer = person.log_in(rig.admin_password if user == ADMIN else rig.user_password)
    answer.raise_for_status()
    person.take_token()
    return person


class Ours:
    """A clone of this checkout, operated through its own `./invoke`."""

    label = "ours"

    def __init__(self, client: docker.DockerClient, folder: Path) -> None:
        userlist = "\n".join([f"{ADMIN} admin", *USERS]) + "\n"
        self.user_password, self.admin_password = secrets.token_hex(8), secrets.token_hex(20)
        passwords = {"USER_PASSWORD": self.user_password, "ADMIN_PASSWORD": self.admin_password}
        self.clone = Clone.make(folder, client, userlist, name=f"bench-{secrets.token_hex(3)}", **passwords)
        found = self.clone.settings
        self.name, self.url, self.port = self.clone.name, self.clone.url, self.clone.port
        self.certificate, self.network = found.certificate_path, found.network_name
        self.hub, self.proxy, self.proxy_port = found.hub_name, found.proxy_name, HTTPS_PORT
        self.base = found.base_image

    def invoke(self, *words: str, **shell: str) -> float:
        """Seconds that a command took, from its first process to its last; `shell` are settings of the shell."""
        return timed([str(self.clone.root / "invoke"), *words], self.clone.root, {**self.clone.environ, **shell})

    def server_name(self, user: str) -> str:
        return self.clone.server_name(user)

    @property
    def science_images(self) -> Mapping[str, str]:
        return {name: self.clone.settings.image_reference(name) for name in ("base-notebook", "hub", "proxy")}

    def build(self, base: str) -> float:
        """Seconds to build all images on `base`, for which no layer is cached."""
        return self.invoke("build", BASE_IMAGE=base, IMAGE_TAG="bench")

    def serving_science(self) -> AbstractContextManager[None]:
        """Servers have the scientific packages, as always."""
        return nullcontext()

    @contextmanager
    def removing_images(self) -> Iterator[None]:
        """Removes the images that are built inside, with all their layers: nothing else is built on their base."""
        before = set(self.clone.image_tags())
        try:
            yield
        finally:
            made = sorted(set(self.clone.image_tags()) - before, key=_depth, reverse=True)
            for tag in made:
                remove_image(self.clone.client, tag)

    def remove(self) -> None:
        self.clone.remove()


def _depth(tag: str) -> int:
    """How many images of ours are below the image with this name."""
    return len(family.with_ancestors([tag.rpartition("/")[2].partition(":")[0]]))


class Stock:
    """What the usual recipe gives."""

    label = "stock"

    def __init__(self, client: docker.DockerClient, folder: Path, base: str) -> None:
        self.client, self.folder, self.base = client, folder, base
        self.name, self.port = f"bench-stock-{secrets.token_hex(3)}", free_port()
        self.url = f"https://localhost:{self.port}"
        self.network, self.hub, self.proxy = self.name, f"{self.name}-hub", f"{self.name}-hub"
        self.proxy_port = _STOCK_PORT
        self.user_password, self.admin_password = secrets.token_hex(8), secrets.token_hex(20)
        self.token = secrets.token_hex(32)
        self.certificate, self.key = folder / "stock.crt", folder / "stock.key"
        self.images = {name: f"{self.name}/{name}:latest" for name in ("notebook", "hub", "science")}

    @property
    def science_images(self) -> Mapping[str, str]:
        return {"base-notebook": self.images["science"], "hub": self.images["hub"]}

    def build(self, base: str) -> float:
        """Seconds to build the images, one after the other, on `base`, for which no layer is cached."""
        started = time.monotonic()
        for name, parent in (("hub", base), ("notebook", base), ("science", self.images["notebook"])):
            build(self.client, STOCK / f"{name}.Dockerfile", self.images[name], parent, self.name)
        return time.monotonic() - started

    def up(self, request: certificates.Request) -> None:
        """Starts the hub's container and waits until it answers; the certificate is made from `request`."""
        pair = certificates.make(request)
        self.certificate.write_bytes(pair.certificate)
        self.key.write_bytes(pair.key.reveal())
        own = {LABEL: self.name}
        self.client.networks.create(self.network, driver="bridge", labels=own)
        self.client.volumes.create(f"{self.name}-data", labels=own)
        self._start_hub("notebook")

    @contextmanager
    def serving_science(self) -> Iterator[None]:
        """Servers that start inside have the scientific packages; none may run before or after."""
        self._restart_hub("science")
        try:
            yield
        finally:
            self._restart_hub("notebook")

    def _restart_hub(self, image: str) -> None:
        self.client.containers.get(self.hub).remove(force=True)
        self._start_hub(image)

    def _start_hub(self, image: str) -> None:
        container = self.client.containers.create(
            self.images["hub"], name=self.hub, network=self.network, labels={LABEL: self.name},
            environment=self._environment(image), ports={f"{_STOCK_PORT}/tcp": ("127.0.0.1", self.port)},
            volumes={f"{self.name}-data": {"bind": "/data"}, "/var/run/docker.sock": {"bind": "/var/run/docker.sock"}},
        )  # fmt: skip
        container.put_archive("/", tar({"data/stock.crt": self.certificate.read_bytes()}))
        container.put_archive("/", tar({"data/stock.key": self.key.read_bytes()}, mode=0o600))
        container.start()
        until(lambda: answers(self), _UP_WITHIN, "the stock hub answers")

    def _environment(self, image: str) -> dict[str, str]:
        return {
            "STOCK_NAME": self.name,
            "STOCK_IMAGE": self.images[image],
            "STOCK_USERS": " ".join(USERS),
            "STOCK_USER_PASSWORD": self.user_password,
            "STOCK_ADMIN_PASSWORD": self.admin_password,
            "STOCK_PROXY_TOKEN": self.token,
        }

    def server_name(self, user: str) -> str:
        return f"{self.name}-{user}"

    def remove(self) -> None:
        own = f"{LABEL}={self.name}"
        for container in self.client.containers.list(all=True, filters={"label": own}, ignore_removed=True):
            container.remove(force=True, v=True)
        for network in self.client.networks.list(filters={"label": own}):
            network.reload()
            for guest in network.attrs["Containers"]:
                network.disconnect(guest, force=True)
            network.remove()
        # DockerSpawner labels no volume that it makes.
        for volume in self.client.volumes.list(filters={"name": self.name}):
            volume.remove(force=True)
        for image in ("science", "notebook", "hub"):
            remove_image(self.client, self.images[image])
        # Images whose name a later build took.
        for left in self.client.images.list(filters={"label": own}):
            remove_image(self.client, str(left.id))


def answers(rig: Rig) -> bool:
    """Whether the hub's API answers behind the proxy."""
    try:
        return requests.get(f"{rig.url}/hub/api/", verify=str(rig.certificate), timeout=5).status_code == 200
    except requests.RequestException:
        return False


# -- what both use ------------------------------------------------------------------------------------------------------


@contextmanager
def trusting_base(client: docker.DockerClient, base: str, authorities: Path | None, run: str) -> Iterator[str]:
    """The base image with these authorities in it: stock has no setting for a network that intercepts TLS."""
    reference = f"bench-{run}/base:latest"
    files = {"authorities.pem": authorities.read_bytes() if authorities else b""}
    text = (
        "ARG PARENT\nFROM ${PARENT}\nRUN apt-get update && apt-get install -y --no-install-recommends ca-certificates\n"
        "COPY authorities.pem /tmp/\nRUN cat /tmp/authorities.pem >> /etc/ssl/certs/ca-certificates.crt\n"
        + "".join(
            f"ENV {name}=/etc/ssl/certs/ca-certificates.crt\n"
            for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT", "NODE_EXTRA_CA_CERTS")
        )
    )
    built(client, {"Dockerfile": text.encode(), **files}, reference, base, run)
    try:
        yield reference
    finally:
        remove_image(client, reference)


@contextmanager
def fresh_base(client: docker.DockerClient, base: str, run: str) -> Iterator[str]:
    """The same base with a new id, so no layer is cached for it."""
    token = secrets.token_hex(4)
    reference = f"bench-{run}/fresh:{token}"
    text = f"ARG PARENT\nFROM ${{PARENT}}\nLABEL fresh={token}\n"
    built(client, {"Dockerfile": text.encode()}, reference, base, run)
    try:
        yield reference
    finally:
        remove_image(client, reference)


def build(client: docker.DockerClient, dockerfile: Path, reference: str, parent: str, run: str) -> None:
    """Builds an image of stock by the classic builder, as ours are."""
    files = {
        "Dockerfile": dockerfile.read_bytes(),
        "jupyterhub_config.py": (STOCK / "jupyterhub_config.py").read_bytes(),
    }
    science = STOCK.parents[2] / "anaconda3" / "requirements.in"
    # Without the kernel's own list, which the notebook image brings.
    packages = [line for line in science.read_text().splitlines() if not line.startswith(("-r", "#"))]
    built(client, files | {"requirements.in": "\n".join(packages).encode()}, reference, parent, run)


def built(client: docker.DockerClient, files: Mapping[str, bytes], reference: str, parent: str, run: str) -> None:
    context = io.BytesIO(tar(files))
    client.images.build(
        fileobj=context, custom_context=True, tag=reference, buildargs={"PARENT": parent}, rm=True, forcerm=True,
        labels={LABEL: run}, timeout=_BUILD_WITHIN,
    )  # fmt: skip


def remove_image(client: docker.DockerClient, reference: str) -> None:
    with contextlib.suppress(docker.errors.ImageNotFound):
        client.images.remove(reference, force=True)


def timed(command: Sequence[str], folder: Path, environ: Mapping[str, str]) -> float:
    """Wall-clock seconds of a command; raises RuntimeError with the end of its output if it fails."""
    started = time.monotonic()
    ended = subprocess.run(
        command, cwd=folder, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, timeout=_BUILD_WITHIN, check=False,
    )  # fmt: skip
    seconds = time.monotonic() - started
    if ended.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed:\n{ended.stdout[-3000:]}")
    return seconds


def forget(client: docker.DockerClient, rig: Rig, user: str) -> None:
    """Removes the volumes of a user whose server is stopped: the next visit is the first one."""
    for volume in client.volumes.list(filters={"name": rig.name}):
        if volume.name.endswith(f"-{user}"):
            volume.remove()


def by_part(rigs: Sequence[Rig], found: Mapping[str, Sequence[tuple[float, ...]]]) -> list[list[Sequence[float]]]:
    """Splits rounds that gave several figures each: for each figure a list of the rigs' samples, in the order of `rigs`. A
    rig whose rounds all failed has no sample."""
    parts = max(len(one) for rounds in found.values() for one in rounds)
    return [[[one[part] for one in found[rig.label]] for rig in rigs] for part in range(parts)]


def taking_turns(rigs: Sequence[Rig], rounds: int, work: Callable[[Rig], Result | None]) -> dict[str, list[Result]]:
    """The results of the work for each rig: ours is first in one round and last in the next. None is a failed round and is
    left out."""
    found: dict[str, list[Result]] = {rig.label: [] for rig in rigs}
    for number in range(rounds):
        for rig in rigs if number % 2 == 0 else rigs[::-1]:
            one = work(rig)
            if one is not None:
                found[rig.label].append(one)
    return found
