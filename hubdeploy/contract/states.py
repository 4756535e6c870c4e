"""What the library shares with the hub's programs that keep states. A state is what a new hub can go back to. Pure."""

from __future__ import annotations

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
# In a state's folder, beside the database and the hub's documents.
STATE = "state.json"
# How the tag of a state's image begins; the state's id follows.
TAG = "state-"
# How many states, and how many of JupyterHub's own copies of the database, are kept.
MOST = 5


@dataclass(frozen=True)
class State:
    """`at`: when the hub stopped, or when it was noted, in seconds since 1970. `image`: the id of the hub's image.
    `containers`: name of each container that ran it -> how the engine describes it, as JSON."""

    at: float
    image: str
    containers: Mapping[str, str]

    @property
    def id(self) -> str:
        return time.strftime("%Y%m%d-%H%M%S", time.gmtime(self.at))


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
