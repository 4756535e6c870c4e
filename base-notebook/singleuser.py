"""Starts JupyterHub's single-user server in half the time: `python singleuser.py ARGUMENTS`.

`jupyterhub.singleuser` imports the hub's handlers, and with them its database, for names that a server with Jupyter
Server 2 never uses. Here stand-ins have these names. Asked for any other name, a stand-in imports the real module.
requests, which JupyterLab imports for lists of extensions, gets a stand-in too. quick.py does the rest. Before all that,
home.py makes the user's home ready.
"""

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType

import home
import quick


class DatabaseError(Exception):
    """Never raised here."""


class HealthCheckHandler:
    """Stands for the hub's handler, whose requests are not logged."""


class OfOlderServers:
    """Stands for what only servers before Jupyter Server 2 use."""


# Module -> names that others import from it and never use.
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
    """Inside, an import of one of these modules gives a stand-in."""
    stand_ins = {name: stand_in(name, names) for name, names in IN_NAME_ONLY.items()}
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for name in stand_ins:
            del sys.modules[name]


def stand_in(name: str, names: dict[str, type]) -> ModuleType:
    def imported(attribute: str) -> object:
        # `from NAME import …` asks for this to see whether NAME is a package.
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
    home.prepare(os.environ)
    single_user_server()()
