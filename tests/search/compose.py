"""Docker Compose's own reading of `.env` files, in a container: many files with one command."""

from __future__ import annotations

import io
import json
import re
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import docker
from docker.models.containers import Container

from tests import nested
from tests.archive import tar

_FOLDER = "/texts"
_PLUGIN = "/usr/libexec/docker/cli-plugins/docker-compose"
# `$1...` are KEY=value of the shell; each folder's answer goes into it, as JSON or not at all.
_READ_ALL = f"""
for folder in {_FOLDER}/*/; do
    cd "$folder"
    env -i "$@" {_PLUGIN} --project-name p config --format json >answer 2>error || rm answer
done
"""
# A name that Compose can interpolate, no longer than a key of YAML may be; what it does not find keeps this value.
_NAME = re.compile(r"\b[A-Za-z_][A-Za-z0-9_]{0,999}\b")
_ABSENT = "(absent)"


@dataclass(frozen=True)
class Compose:
    """Docker Compose in a running container."""

    container: Container

    def read(self, texts: Sequence[str], shell: Mapping[str, str]) -> list[dict[str, str] | None]:
        """The values of each text: key -> value, without the shell's; None if Compose refuses the text."""
        names = [sorted(set(_NAME.findall(text)) - shell.keys()) for text in texts]
        files = {}
        for number, (text, wanted) in enumerate(zip(texts, names, strict=True)):
            service = {"image": "x", "environment": {name: f"${{{name}-{_ABSENT}}}" for name in wanted}}
            files[f"{number}/compose.yaml"] = json.dumps({"services": {"s": service}}).encode()
            files[f"{number}/.env"] = text.encode()
        assert self.container.exec_run(["sh", "-c", f"rm -rf {_FOLDER}; mkdir {_FOLDER}"]).exit_code == 0
        self.container.put_archive(_FOLDER, tar(files))
        variables = [f"{key}={value}" for key, value in shell.items()]
        ended = self.container.exec_run(["sh", "-c", _READ_ALL, "sh", *variables])
        assert ended.exit_code == 0, ended.output
        answers = self._answers()
        return [_values(answers.get(number)) for number in range(len(texts))]

    def _answers(self) -> dict[int, bytes]:
        stream, _ = self.container.get_archive(_FOLDER)
        with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as given:
            found = {member.name: given.extractfile(member) for member in given if member.name.endswith("/answer")}
            return {int(name.split("/")[1]): file.read() for name, file in found.items() if file}


@contextmanager
def compose(client: docker.DockerClient, run: str) -> Iterator[Compose]:
    """Compose in a container of the newer engine's image; that engine does not run."""
    image = nested.engine_image(client)
    container = client.containers.run(image, ["sleep", "infinity"], detach=True, init=True, labels={nested.LABEL: run})
    try:
        yield Compose(container)
    finally:
        nested.clear(client, run)


def _values(answer: bytes | None) -> dict[str, str] | None:
    """Compose prints each `$` twice."""
    if answer is None:
        return None
    environment = json.loads(answer)["services"]["s"].get("environment") or {}
    return {key: value.replace("$$", "$") for key, value in environment.items() if value != _ABSENT}
