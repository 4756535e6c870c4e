"""The matrix of real deployments, as data: which settings a row has, and what every pair of them is tried in.

The first value of each dimension is the default. `{…}` is filled in when the row is deployed: a value of this run, such as
a free address, cannot be written down.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

# Dimension -> value -> the settings that make it.
DIMENSIONS: dict[str, dict[str, dict[str, str]]] = {
    "user": {"derived": {}, "other": {"NB_USER": "ada_l-2", "NB_UID": "1815"}},
    "folder": {
        "derived": {},
        "nested": {"DOCKER_NOTEBOOK_DIR": "/home/{user}/lab.2026/@notebooks"},
        "home": {"DOCKER_NOTEBOOK_DIR": "/home/{user}"},
    },
    "name": {
        "short": {"DOCKER_MACHINE_NAME": "hubtest-{token}"},
        "longest": {"DOCKER_MACHINE_NAME": "0-hubtest-{token}--forty-letters-in-all"},
    },
    "network": {"derived": {}, "given": {"DOCKER_NETWORK_NAME": "hubtest_{token}.Given"}},
    "data": {"derived": {}, "other": {"DATA_VOLUME_CONTAINER": "/srv/hub/data"}},
    # The default port needs an address on which no other program listens. The other port is a free one.
    "port": {"443": {"HUB_PORT": "443", "HUB_HOST": "{loopback}"}, "other": {}},
    "path": {"derived": {}, "other": {"HUB_PATH": "/physics/lab-2/"}},
    "sudo": {"none": {}, "listed": {}, "all": {"GRANT_SUDO": "yes"}},
    "tag": {"derived": {}, "other": {"IMAGE_TAG": "2026-11_Matrix.1"}},
    "image": {"ours": {}, "docker-stacks": {"DOCKER_NOTEBOOK_IMAGE": "{docker_stacks}"}},
    "login": {
        "password": {},
        "github": {
            "GITHUB_URL": "{github}",
            "GITHUB_CLIENT_ID": "client-of-the-matrix",
            "GITHUB_CLIENT_SECRET": "a-secret-of-the-matrix-alone",
        },
    },
    "certificate": {"self-made": {}, "volume": {"SECRETS_VOLUME": "hubtest-{token}.certificates"}},
    # Not 'none' against 'one': where the network intercepts TLS, nothing builds without its authorities.
    "authorities": {"machine's": {}, "one more": {"EXTRA_CA_BUNDLE": "{bundle}"}},
}


@dataclass(frozen=True)
class Row:
    """One deployment: its value in each dimension. `quick`: it runs with every `./invoke test`."""

    name: str
    values: Mapping[str, str]
    quick: bool

    def settings(self, **filled_in: str) -> dict[str, str]:
        """Key -> value of all that is set; `filled_in` are the words for `{…}`."""
        return {key: text.format(**filled_in) for key, text in self._written().items()}

    def setting(self, key: str) -> str:
        """The text of one setting; empty if it is not set."""
        return self._written().get(key, "")

    def _written(self) -> dict[str, str]:
        chosen = [DIMENSIONS[dimension][value] for dimension, value in self.values.items()]
        return {key: text for settings in chosen for key, text in settings.items()}

    def __str__(self) -> str:
        """The values that are not the default."""
        others = [f"{name}={value}" for name, value in self.values.items() if value != next(iter(DIMENSIONS[name]))]
        return ", ".join(others) or "defaults"


def _row(number: int, quick: bool = False, **others: str) -> Row:
    values = {dimension: next(iter(values)) for dimension, values in DIMENSIONS.items()}
    unknown = others.keys() - values.keys()
    assert not unknown, f"no such dimension: {unknown}"
    return Row(f"{number:02}", values | others, quick)


ROWS = (
    _row(1),
    _row(2, quick=True, folder="nested", name="longest", network="given", tag="other", image="docker-stacks",
         certificate="volume", path="other"),
    _row(3, quick=True, user="other", name="longest", network="given", port="other", login="github", sudo="all"),
    _row(4, quick=True, user="other", folder="home", port="other", image="docker-stacks", login="github",
         authorities="one more", sudo="listed", path="other"),
    _row(5, quick=True, folder="home", name="longest", network="given", data="other", certificate="volume"),
    _row(6, folder="nested", name="longest", network="given", data="other", image="docker-stacks", sudo="all"),
    _row(7, user="other", folder="nested", network="given", certificate="volume", sudo="listed"),
    _row(8, user="other", data="other", tag="other", authorities="one more", sudo="all", path="other"),
    _row(9, name="longest", port="other", tag="other", certificate="volume", sudo="listed"),
    _row(10, user="other", folder="nested", name="longest", port="other", image="docker-stacks", login="github",
         certificate="volume", authorities="one more"),
    _row(11, network="given", data="other", port="other", tag="other", image="docker-stacks", login="github",
         authorities="one more", sudo="listed"),
    _row(12, folder="home", tag="other", login="github", certificate="volume", sudo="all"),
)  # fmt: skip
