"""A deployment on an engine that shares no address with this machine: whoever logs in there is a container of that engine."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.hub.clone import Clone
from tests.nested import Machine

Chapter = Callable[..., dict[str, Any]]
_HUB_FOLDER = Path(__file__).parent
_STORY = "/tmp/story"


@dataclass(frozen=True)
class RemoteClone(Clone):
    """A clone whose commands work on the engine that `docker_host` names; `client` is connected to that one."""

    docker_host: str = ""

    @property
    def environ(self) -> dict[str, str]:
        return {**super().environ, "DOCKER_HOST": self.docker_host}

    def reader(self, folder: Path) -> Chapter:
        """Runs a chapter of the story as a user of that host; gives what they saw. `folder` is empty, and written to."""
        (folder / "password").write_text(self.user_password)
        files = {name: _HUB_FOLDER / name for name in ("person.py", "waiting.py", "remote_story.py")}
        files |= {"password": folder / "password", "certificate.pem": self.settings.certificate_path}

        def chapter(name: str, *words: str) -> dict[str, Any]:
            command = ["/opt/jupyter/bin/python", "-m", "tests.hub.remote_story", self.url, name, *words]
            container = self.client.containers.create(
                self.settings.notebook_image,
                command,
                user="root",
                network_mode="host",
                userns_mode="host",
                working_dir=_STORY,
            )
            try:
                Machine(container).put(files, f"{_STORY}/tests/hub")
                container.start()
                failed = container.wait()["StatusCode"] != 0
                assert not failed, f"{container.logs().decode()}\n{self.condition()}"
                return dict(json.loads(container.logs(stderr=False).splitlines()[-1]))
            finally:
                container.remove(force=True)

        return chapter

    def identities(self) -> dict[str | None, tuple[str | None, str]]:
        """Container -> its id and when it was started."""
        return {one.name: (one.id, one.attrs["State"]["StartedAt"]) for one in self.containers()}
