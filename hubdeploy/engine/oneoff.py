"""Looks in throw-away containers: at what a command prints in an image, and, never run, at the owners of volumes.

An image is a stranger's: it gets no network, no capability and no volume of ours, and so much memory and time. The
container carries the deployment's label, so that one left by a run that was killed goes at the next look, or by clean.
"""

from __future__ import annotations

import tarfile
import time
from collections.abc import Mapping, Sequence

import docker.errors
from docker.types import LogConfig

from hubdeploy.contract import labels
from hubdeploy.engine.connection import already_gone, translated
from hubdeploy.engine.observe import Observing

# JupyterLab's modules, loaded to print a version, take 110 MB.
_MEMORY = 1024**3
_PIDS = 256
_STEP = 0.1
# Each question costs the engine a mount of all volumes, each container more than that of a few.
_VOLUMES = 20


class Looking(Observing):
    """What the engine does not tell of an image or a volume by itself."""

    def volume_owners(self, volumes: Sequence[str], *, deployment: str) -> dict[str, int]:
        """The user id that owns each volume's root."""
        owners: dict[str, int] = {}
        for first in range(0, len(volumes), _VOLUMES):
            owners |= self._owners(volumes[first : first + _VOLUMES], deployment)
        return owners

    def _owners(self, volumes: Sequence[str], deployment: str) -> dict[str, int]:
        places = {volume: f"/volumes/{number}" for number, volume in enumerate(volumes)}
        carried = {labels.DEPLOYMENT: deployment, labels.ROLE: labels.LOOK}
        with translated("it can be read to whom users' volumes belong"):
            self._remove_left(carried)
            container = self._api.create_container(
                self._any_image(),
                command=["true"],
                name=f"{deployment}-look",
                labels=carried,
                network_disabled=True,
                use_config_proxy=False,
                host_config=self._api.create_host_config(
                    binds={volume: {"bind": place, "mode": "ro"} for volume, place in places.items()}
                ),
            )["Id"]
            try:
                return {volume: self._owner(container, place) for volume, place in places.items()}
            finally:
                self._remove(container)

    def _owner(self, container: str, path: str) -> int:
        stream, _ = self._api.get_archive(container, path, chunk_size=tarfile.BLOCKSIZE)
        return tarfile.TarInfo.frombuf(next(iter(stream))[: tarfile.BLOCKSIZE], "utf-8", "surrogateescape").uid

    def said_in(
        self, image: str, command: Sequence[str], *, deployment: str, within: float, entrypoint: bool = True
    ) -> str:
        """Output of a command in a container of `image`, as the image's user, behind its entrypoint unless that is waved
        off. It is ended after `within` seconds, which the output's last line then says.
        """
        program, *arguments = command
        carried = {labels.DEPLOYMENT: deployment, labels.ROLE: labels.LOOK}
        with translated(f"image {image} can be looked into"):
            self._remove_left(carried)
            container = self._api.create_container(
                image,
                list(command) if entrypoint else arguments,
                entrypoint=None if entrypoint else [program],
                name=f"{deployment}-look",
                labels=carried,
                healthcheck={"test": ["NONE"]},
                # The operator's proxies may bear a password.
                use_config_proxy=False,
                host_config=self._api.create_host_config(
                    network_mode="none",
                    cap_drop=["ALL"],
                    security_opt=["no-new-privileges"],
                    mem_limit=_MEMORY,
                    memswap_limit=_MEMORY,
                    pids_limit=_PIDS,
                    log_config=LogConfig(type="json-file", config={"max-size": "1m", "max-file": "1"}),
                ),
            )["Id"]
            try:
                return self._said(container, within)
            finally:
                self._remove(container)

    def _said(self, container: str, within: float) -> str:
        deadline = time.monotonic() + within
        try:
            self._api.start(container)
        except docker.errors.APIError as error:
            # 400 is the image's fault: it holds no such program, or one that cannot be run.
            if error.status_code != 400:
                raise
            return str(error.explanation)
        while self._api.inspect_container(container)["State"]["Running"]:
            if time.monotonic() > deadline:
                return f"{self._printed(container)}\n(ended after {within:.0f} s)"
            time.sleep(_STEP)
        return self._printed(container)

    def _printed(self, container: str) -> str:
        return self._api.logs(container).decode(errors="replace").strip()

    def _remove_left(self, carried: Mapping[str, str]) -> None:
        wanted = {"label": [f"{label}={value}" for label, value in carried.items()]}
        for one in self._api.containers(all=True, filters=wanted):
            self._remove(one["Id"])

    def _remove(self, container: str) -> None:
        with already_gone():
            self._api.remove_container(container, force=True, v=True)
