"""The modules of the hub's image, for tests: found as they are found there, by PYTHONPATH."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "jupyterhub"
# The image gets the library's contract as a package of its own.
_SHARED = (
    "contract",
    "contract.backups",
    "contract.collections",
    "contract.disk",
    "contract.labels",
    "contract.logs",
    "contract.documents",
    "contract.jobs",
    "contract.login_page",
    "contract.names",
    "contract.pictures",
    "contract.rehearsals",
    "contract.seats",
    "contract.servers",
    "contract.states",
    "contract.use",
)


@contextmanager
def importable() -> Iterator[None]:
    """The hub's modules can be imported, with the library's own contract beside them."""
    for name in _SHARED:
        __import__(f"hubdeploy.{name}")
        sys.modules[name] = sys.modules[f"hubdeploy.{name}"]
    sys.path.insert(0, str(FOLDER))
    try:
        yield
    finally:
        sys.path.remove(str(FOLDER))
