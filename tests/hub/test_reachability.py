"""`up` and `status` believe what a browser would see, and say what is wrong where."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest

from hubdeploy.commands import reachability
from hubdeploy.engine import Engine
from hubdeploy.errors import NotReady
from hubdeploy.tls import selection
from tests.hub.clone import Clone


def trouble(clone: Clone, port: int, *, with_certificate: bool = True) -> str:
    """What a browser meets that looks for the clone at a port of this machine."""
    settings = dataclasses.replace(clone.settings, listen_port=port)
    pair = selection.from_files(clone.settings) if with_certificate else None
    return reachability.trouble(Engine(clone.environ), settings, pair)


def test_a_deployment_that_is_up_is_reached_with_its_own_certificate_and_name(hub: Clone) -> None:
    assert trouble(hub, hub.port) == ""


def test_a_port_where_nobody_answers_is_named(hub: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    assert trouble(hub, 9) == "nobody answers with TLS at 127.0.0.1 port 9: Connection refused"
    monkeypatch.setattr(reachability, "_WITHIN", 0.2)
    settings, pair = dataclasses.replace(hub.settings, listen_port=9), selection.from_files(hub.settings)
    assert pair is not None
    with pytest.raises(NotReady, match="nobody answers with TLS"):
        reachability.confirm(Engine(hub.environ), settings, pair)


def test_another_deployment_on_the_port_is_known_by_its_certificate_and_by_its_hub(
    hub: Clone, github_hub: Clone
) -> None:
    assert trouble(hub, github_hub.port).startswith("another certificate than this deployment's")
    assert trouble(hub, github_hub.port, with_certificate=False).endswith(f"another one: {github_hub.name}")


def test_a_hub_that_is_gone_is_seen_by_status_and_brought_back_by_up(hub: Clone) -> None:
    hub.container(hub.settings.hub_name).stop()
    command = [sys.executable, "-m", "hubdeploy.commands.commandline", "status"]
    result = subprocess.run(command, cwd=hub.root, env=hub.environ, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert f"the proxy at 127.0.0.1 port {hub.port} answers 50" in result.stderr
    hub.up()
    assert f"login page: comes at {hub.url}" in hub.invoke("status")
