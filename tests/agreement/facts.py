"""Compares every reading of every fact with what the places really hold: the one function that tests ask."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from itertools import chain

from hubdeploy.settings.declarations import Settings, declarations
from tests.agreement import discovery, insides, parts
from tests.agreement.leaves import Leaves
from tests.agreement.places import render
from tests.agreement.reading import ABSENT, Reading

_SECTIONS = (
    parts.images,
    parts.networks_and_volumes,
    parts.containers,
    parts.backup,
    insides.certificate,
    insides.proxy,
    insides.documents,
    insides.objects,
    insides.servers,
)


def readings(settings: Settings, leaves: Leaves) -> Iterator[Reading]:
    """Every reading that the model has for these settings, in the order in which facts flow."""
    return chain.from_iterable(section(settings, leaves) for section in _SECTIONS)


def wrong(settings: Settings, leaves: Leaves) -> Iterator[tuple[Reading, object]]:
    """The readings that differ from their fact, each with the value that its place has."""
    for reading in readings(settings, leaves):
        found = leaves.get(reading.place)
        found = ABSENT if found is None else found
        if found != reading.wanted or type(found) is not type(reading.wanted):
            yield reading, found


def disagreements(settings: Settings) -> list[str]:
    """What disagrees in a deployment of these settings: fact, place, found and wanted, one line each."""
    leaves = render(settings)
    lines = [
        f"{reading.fact}: {reading.place} says {found!r}, wanted {reading.wanted!r}"
        for reading, found in wrong(settings, leaves)
    ]
    tried = [key for key in declarations() if key not in read_keys()]
    return lines + [line for key in tried for line in discovery.shows(settings, key)[1]]


@cache
def read_keys() -> set[str]:
    """The keys that readings know. Where another key shows is found out by trying."""
    return {word for one in readings(discovery.bare(), {}) for word in re.findall("[A-Z_]{3,}", one.fact)}
