"""The modules of the notebook image that need no Jupyter Server, for tests: found as they are found there, by the path of
the start program."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

FOLDER = Path(__file__).resolve().parents[3] / "base-notebook"


def load(name: str) -> ModuleType:
    """A module of the image, imported by its name there."""
    sys.path.insert(0, str(FOLDER))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(FOLDER))
