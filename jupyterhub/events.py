"""What the engine recorded about one server around its end. It reads, and never changes anything."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

import ends
from docker import APIClient

# Seconds before the end that are asked for, and seconds after it in which a late event may still come.
BEFORE, AFTER = 90.0, 1.0


def around_end(client: APIClient, container: str, state: Mapping[str, Any]) -> ends.Events:
    """The events of the container with this id, whose `state` the engine gave. Blocks for AFTER seconds at most, and only
    where the events decide what is said and have not come yet. Raises DockerException."""
    ended = ends.seconds(state["FinishedAt"])
    # The engine's clock is this one: the hub runs on the engine's host.
    until = max(time.time(), ended + AFTER) if ends.is_doubtful(state) else time.time()
    asked = {"container": container, "type": "container", "event": ["kill", "oom", "die"]}
    recorded: list[Mapping[str, Any]] = []
    # As text: docker-py cuts a datetime to whole seconds, which would lose the last events.
    for event in _stream(client, since=f"{ended - BEFORE:.6f}", until=f"{until:.6f}", filters=asked):
        recorded.append(event)
        known = ends.events_of(recorded)
        if known.complete and (ends.is_stopped(state, known) or ends.is_out_of_memory(state, known)):
            break
    return ends.events_of(recorded)


def _stream(client: APIClient, **arguments: Any) -> Iterator[Mapping[str, Any]]:
    """The engine's events, one by one; the connection is given up with the loop over them."""
    stream = client.events(decode=True, **arguments)
    try:
        yield from stream
    finally:
        stream.close()
