"""What `config` prints of kinds of servers."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from hubdeploy.commands import config
from hubdeploy.settings import kinds, loading
from hubdeploy.settings.declarations import declarations

KINDS = """\
environment: {COURSE: physics}
kinds:
  small: {title: Small}
  large:
    title: Large
    users: [ada]
    memory: 1536M
    guarantee: none
    idle_timeout: 2h
    secrets: [API_TOKEN]
"""


def printed(root: Path, capsys: pytest.CaptureFixture[str], servers: str = "") -> dict[str, dict[str, object]]:
    (root / "userlist").write_text("kaben admin\n")
    (root / ".env").write_text("USER_CPU_LIMIT=1.5\n")
    if servers:
        (root / "servers.yml").write_text(servers)
        (root / ".env.local").write_text("API_TOKEN=canary-of-servers\n")
        (root / ".env.local").chmod(0o600)
    config.show(loading.load(root, {}))
    text = capsys.readouterr().out
    assert "canary" not in text
    found: dict[str, dict[str, object]] = yaml.safe_load(text)
    return found


def test_each_value_of_a_kind_says_where_it_comes_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = printed(tmp_path, capsys, KINDS)
    assert found["API_TOKEN"] == {"value": "***", "from": ".env.local"}
    assert found["kinds"]["large"] == {
        "title": {"value": "Large", "from": "servers.yml:5"},
        "users": {"value": ["ada"], "from": "servers.yml:6"},
        "image": {"value": "crypticlabs-jupyterhub/base-notebook:latest", "from": "DOCKER_NOTEBOOK_IMAGE"},
        "command": {"value": "start-singleuser.sh", "from": "DOCKER_SPAWN_CMD"},
        "memory": {"value": "1.5G", "from": "servers.yml:7"},
        "guarantee": {"value": None, "from": "servers.yml:8"},
        "cpus": {"value": 1.5, "from": "USER_CPU_LIMIT"},
        "idle_timeout": {"value": "2h", "from": "servers.yml:9"},
        "max_age": {"value": None, "from": "MAX_AGE"},
        "environment": {"value": {"COURSE": "physics"}, "from": "servers.yml:4"},
        "secrets": {"value": ["API_TOKEN"], "from": "servers.yml:10"},
    }
    small = found["kinds"]["small"]
    assert isinstance(small, dict)
    assert {name: row["from"] for name, row in small.items()} == {
        name: one["instead_of"] or "servers.yml:3"
        for name, one in kinds.declarations().items()
        if one["instead_of"] or name in ("title", "environment")
    }


def test_without_the_file_there_are_settings_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert [*printed(tmp_path, capsys)] == [*declarations()]
