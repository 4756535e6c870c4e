"""What `logs` makes of the hub's log."""

from __future__ import annotations

import pytest

from hubdeploy.commands import logs
from hubdeploy.errors import DeployError

LOG = b"""[I 2026-11-24 14:07:14.113 JupyterHub app:3946] JupyterHub is now running
[I 2026-11-24 14:07:15.113 JupyterHub spawner:265] server of ann: Creating the container
[E 2026-11-24 14:07:16.113 JupyterHub spawner:265] server of ann: [E now] server of bob: what ann's server printed
"""


def test_a_users_lines_are_those_that_the_hub_marked() -> None:
    assert logs._lines_about("ann", LOG, ()) == LOG.splitlines(keepends=True)[1:]


def test_what_a_server_printed_is_not_taken_for_another_users() -> None:
    with pytest.raises(DeployError, match=r"no log of a server of the user 'bob'\n.*\n.*users with a server are: ann"):
        logs._lines_about("bob", LOG, ("ann",))
