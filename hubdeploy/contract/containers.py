"""What the library and the late watch of a new hub both ask the engine about a container. `api` is docker's client; its errors
come as they are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any


def recreate(api: Any, name: str, description: str) -> None:
    """A container as it was once: `description` is JSON, the body of the request that makes it, and its place in each network."""
    made = json.loads(description)
    networks, first = made["networks"], made["body"]["HostConfig"]["NetworkMode"]
    if first in networks:
        place = api.create_endpoint_config(**networks[first])
        made["body"]["NetworkingConfig"] = {"EndpointsConfig": {first: place}}
    api.create_container_from_config(made["body"], name)
    for network, place in networks.items():
        if network != first:
            api.connect_container_to_network(name, network, **place)


def run(api: Any, container: str, command: Sequence[str]) -> tuple[int, str]:
    """Exit code and output of a command in a running container."""
    exec_id = api.exec_create(container, list(command))["Id"]
    output = api.exec_start(exec_id).decode(errors="replace")
    return int(api.exec_inspect(exec_id)["ExitCode"]), output


def health_command(inspected: Mapping[str, Any]) -> list[str] | None:
    """The health check of a container, as the engine describes it; None without one."""
    test = (inspected["Config"].get("Healthcheck") or {}).get("Test") or ["NONE"]
    if test[0] == "CMD":
        return list(test[1:])
    return ["/bin/sh", "-c", test[1]] if test[0] == "CMD-SHELL" else None
