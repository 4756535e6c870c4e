"""The hub container's command: brings the database in line with the userlist, then becomes the hub.

One process for both, so that JupyterHub's packages are imported once. Never starts a hub that cannot reach
the engine: it would take every running server for dead.
"""

import logging
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import quick

with quick.imports():
    import accounts
    import assets
    import database
    import engine
    import passes
    import passwords
    from contract import labels
    from contract.documents import CONTRACT_FILE, Contract, from_bytes
    from docker import APIClient
    from docker.errors import DockerException, NotFound
    from hub import Hub

HERE = Path(__file__).parent


class ServerRemover:
    """Removes a user's containers, found by the deployment's labels."""

    def __init__(self, engine: APIClient, carried: Mapping[str, str]) -> None:
        self.engine = engine
        self.carried = [f"{key}={value}" for key, value in carried.items()]

    def __call__(self, user: str) -> None:
        self._remove(self._servers(f"{labels.USER}={user}"))

    def outside(self, base_url: str) -> None:
        """Removes the servers that answer below another path: no request reaches them any more."""
        self._remove(one for one in self._servers() if one["Labels"].get(labels.PATH, "/") != base_url)

    def _servers(self, *more: str) -> list[dict[str, Any]]:
        wanted = [*self.carried, f"{labels.ROLE}={labels.SERVER}", *more]
        found: list[dict[str, Any]] = self.engine.containers(all=True, filters={"label": wanted})
        return found

    def _remove(self, servers: Iterable[dict[str, Any]]) -> None:
        for container in servers:
            try:
                # by force: the hub waits for this, and a user who lost access needs no time to save
                self.engine.remove_container(container["Id"], v=True, force=True)
            except NotFound:
                continue


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="[%(levelname).1s %(asctime)s %(name)s] %(message)s")
    # only the hub may read the database, its backups and the record
    os.umask(0o077)
    contract = from_bytes(Contract, (HERE / CONTRACT_FILE).read_bytes())
    try:
        client = engine.client()
        client.ping()
    except (DockerException, OSError) as error:
        sys.exit(f"the hub cannot reach the container engine, as the filter does not answer: {error}")
    remove = ServerRemover(client, contract.labels)
    remove.outside(contract.hub.base_url)
    data = Path(contract.hub.data_dir)
    # Who was here for a rehearsal is removed with all whom nobody names.
    passes.end(data, "hub")
    accounts.apply(contract.users, data, remove, contract.login)
    passwords.forget_strangers(data, data / database.FILE)
    assets.SERVED.take_all(client, [one.image for one in contract.kinds], contract.labels)
    Hub.launch_instance([f"--config={HERE / 'jupyterhub_config.py'}"])
    # Nothing is left to clean up, and Python's own exit takes a fifth of a restart.
    logging.shutdown()
    os._exit(0)


if __name__ == "__main__":
    main()
