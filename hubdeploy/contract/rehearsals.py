"""What library, hub, filter and the simulated people of a rehearsal share. Pure."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

# Below the hub's own path: where simulated people log in, each with a pass that is good once, and the field of the form.
LOGIN, PASS = "rehearsal", "pass"
MOST_USERS = 200
# Bytes: with less of them left on the host, all simulated people leave at once.
LEAST_MEMORY = 256 * 1024**2
# In the volume of the helper: what the people do, and their passes.
WANTED, PASSES = "wanted.json", "passes.json"
FOLDER = "/rehearsal"
# Lines of JSON that the helper prints begin with one of these keys.
EVENT, HOST = "event", "host"

# What may have happened to a person; those with a length of time say how long it took.
ARRIVED, DONE, FAILED = "arrived", "done", "failed"
PAGE, LOGGED_IN, STARTED, LAB, FIRST, CELL, SAVE = "page", "login", "start", "lab", "first cell", "cell", "save"

# No login and no list has a name that ends with a full stop.
_NAME = re.compile(r"rehearsal[0-9]{3}\.\Z")


def name(number: int) -> str:
    """Of a simulated person, counted from 1."""
    return f"rehearsal{number:03}."


def is_simulated(user: str) -> bool:
    """Whether this is the name of a simulated person; nobody else can have it, and their files go with their server."""
    return _NAME.match(user) is not None


def digest(token: str) -> str:
    """What the hub holds instead of a pass, which is 256 random bits."""
    return hashlib.sha256(token.encode()).hexdigest()


@dataclass(frozen=True)
class Wanted:
    """What the simulated people are to do, and where they find the hub: at `address` and `port` of the engine's host, under the
    name of its `host`; `path` has a slash at both ends, and `origin` is what a browser shows before it. Times are seconds: all
    have arrived after `over`, each works for `work` from the first cell on, and pauses `think` between two cells, on average; the
    whole takes `within` at most."""

    scheme: str
    address: str
    port: int
    host: str
    path: str
    origin: str
    over: int
    work: int
    think: float
    within: int


@dataclass(frozen=True)
class Event:
    """What happened to person `who` at `at` seconds from the begin. `took`: seconds; `why`: why it failed, in words."""

    at: float
    who: int
    what: str
    took: float = 0.0
    why: str = ""


@dataclass(frozen=True)
class Host:
    """The engine's host between this and the last one: `busy` is the part of its processors that worked, `own` the part that the
    simulated people took themselves, `available` the bytes of memory that it could give. The first is from before they came."""

    at: float
    busy: float
    own: float
    available: int
    processors: int
