"""Runs a command once in a throw-away container of an image, and gives back what it printed.

The image is a stranger's: it gets no network, no capability and no volume of ours, and so much memory and time. The
container carries the deployment's label, so that one left by a run that was killed goes at the next look, or by clean.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import docker.errors
from docker.types import LogConfig

from hubdeploy import labels
from hubdeploy.engine.connection import Connection, already_gone, translated

# JupyterLab's modules, loaded to print a version, take 110 MB.
_MEMORY = 1024**3
_PIDS = 256
_STEP = 0.1


class Looking(Connection):
    """What can be learnt of an image only by running it."""

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
