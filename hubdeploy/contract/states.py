"""What the library shares with the hub's programs that keep states. A state is what a new hub can go back to. Pure."""

from __future__ import annotations

import calendar
import time
from collections.abc import Mapping
from dataclasses import dataclass

# The hub's database, in the data volume and in each state.
DATABASE = "jupyterhub.sqlite"
# Where the volumes lie for these programs: the hub's data, its documents, and the states, each in a folder named by its id; the
# data of a canary's hub.
DATA, DOCUMENTS, STATES, LENT = "/data", "/documents", "/states", "/lent"
# In the volume of states: what runs now, as the library has put it there; the same on record until the hub stops; the copy of
# the database that a new image is tried on, until the next program for states runs.
RUNNING, NOTED, TRIAL = "running.json", "noted.json", "trial"
# In the volume of states: when and why the hub went back, until the next state is kept.
WENT_BACK = "went-back.json"
# Where the engine's socket lies for the late watch. /var/run is a link to /run, see blueprint/components/filter.py.
SOCKET = "/run/docker.sock"
# In a state's folder, beside the database and the hub's documents.
STATE = "state.json"
# How the tag of a state's image begins; the state's id follows.
TAG = "state-"
# How many states, and how many of JupyterHub's own copies of the database, are kept.
MOST = 5
_ID = "%Y%m%d-%H%M%S"


def helper_name(deployment: str) -> str:
    """The container that works on states, of which there is one at a time."""
    return f"{deployment}-job-states"


def watch_name(deployment: str) -> str:
    """The container of the late watch."""
    return f"{deployment}-job-watch"


@dataclass(frozen=True)
class State:
    """`at`: when the hub stopped, or when it was noted, in seconds since 1970. `image`: the id of the hub's image.
    `containers`: name of each container that ran it -> how the engine describes it, as JSON."""

    at: float
    image: str
    containers: Mapping[str, str]

    @property
    def id(self) -> str:
        return time.strftime(_ID, time.gmtime(self.at))


def at_of(state: str) -> float:
    """When the state with this id was kept, to the second."""
    return calendar.timegm(time.strptime(state, _ID))


@dataclass(frozen=True)
class WentBack:
    """`at`: when, in seconds since 1970. `failed`: what kept it from going back; empty where it did."""

    at: float
    why: str
    failed: str = ""


@dataclass(frozen=True)
class Watched:
    """What the late watch looks at: `hub` and `proxy` are names of containers, `image` is the id of the hub's image and
    `reference` the image's name. `proxy_id`: with another proxy the `question` (the arguments of contract/login_page.py) may be
    wrong. It looks for so many `seconds`.

    What it goes back to: the id of the `state`; `order` are the containers to make again, as they start,
    `newcomers` those that the state has not.
    """

    deployment: str
    hub: str
    proxy: str
    proxy_id: str
    image: str
    reference: str
    question: tuple[str, ...]
    state: str
    order: tuple[str, ...]
    newcomers: tuple[str, ...]
    seconds: float


@dataclass(frozen=True)
class Listed:
    """A state with its size in bytes. `is_noted`: it has no database yet, as its hub has not stopped."""

    state: State
    size: int
    is_noted: bool = False


@dataclass(frozen=True)
class Listing:
    """All states: the one that is noted first, then the newest."""

    states: tuple[Listed, ...]
