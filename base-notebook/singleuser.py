"""Starts JupyterHub's single-user server in half the time: `python singleuser.py ARGUMENTS`.

`jupyterhub.singleuser` imports, for names that no server with Jupyter Server 2 uses, the hub's handlers and with them
its database. Here stand-ins bear those names, and import the modules when they are asked for anything else, which they
are not. requests, with which JupyterLab could read lists of extensions, is treated alike. quick.py does the rest.
"""

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType

import quick


class DatabaseError(Exception):
    """Raised by nobody here."""


class HealthCheckHandler:
    """The hub's, whose requests are not logged."""


class OfOlderServers:
    """Of servers before Jupyter Server 2."""


# Module -> what others import from it without using it.
IN_NAME_ONLY: dict[str, dict[str, type]] = {
    "jupyterhub.handlers.pages": {"HealthCheckHandler": HealthCheckHandler},
    "jupyterhub.orm": {},
    "jupyterhub.roles": {},
    "jupyterhub.singleuser.mixins": {"HubAuthenticatedHandler": OfOlderServers, "make_singleuser_app": OfOlderServers},
    "requests": {},
    "sqlalchemy": {},
    "sqlalchemy.exc": {"SQLAlchemyError": DatabaseError},
}


@contextmanager
def in_name_only() -> Iterator[None]:
    """While it lasts, whoever imports one of those modules gets a stand-in."""
    stand_ins = {name: stand_in(name, names) for name, names in IN_NAME_ONLY.items()}
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for name in stand_ins:
            del sys.modules[name]


def stand_in(name: str, names: dict[str, type]) -> ModuleType:
    def imported(attribute: str) -> object:
        # `from NAME import …` asks this to see whether NAME is a package.
        if attribute == "__path__":
            raise AttributeError(attribute)
        return getattr(importlib.import_module(name), attribute)

    module = ModuleType(name)
    vars(module).update(names, __getattr__=imported)
    return module


def single_user_server() -> Callable[[], None]:
    """JupyterHub's own entry point, imported."""
    with quick.imports(), in_name_only():
        importlib.import_module("jupyterlab.labapp")
        main: Callable[[], None] = importlib.import_module("jupyterhub.singleuser").main
    return main


if __name__ == "__main__":
    single_user_server()()
