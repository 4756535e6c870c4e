"""Values are printed as a person would write them, and read back as what they are."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hubdeploy.contract.documents import Secret
from hubdeploy.settings import dotenv, readers
from hubdeploy.settings.declarations import declarations, defaults, masked
from hubdeploy.settings.spelling import spelt, takes_none


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("USER_MEMORY_LIMIT", 12616466432, "11.75G"),
        ("USER_MEMORY_LIMIT", 2**30, "1G"),
        ("USER_MEMORY_GUARANTEE", 1536 * 1024**2, "1.5G"),
        ("USER_MEMORY_LIMIT", 1500 * 1024**2, "1500M"),
        ("USER_MEMORY_LIMIT", 189 * 64 * 1024**2, "12096M"),
        ("USER_MEMORY_LIMIT", 2**30 + 1, "1073741825"),
        ("USER_CPU_LIMIT", 1.5, "1.5"),
        ("USER_CPU_LIMIT", 2.0, "2"),
        ("GRANT_SUDO", True, "yes"),
        ("DOCKER_SPAWN_CMD", ("start.sh", "--x=a b"), "start.sh '--x=a b'"),
        ("HUB_PATH", "/physics/", "/physics/"),
    ],
)
def test_a_value_is_spelt_as_it_can_be_written(key: str, value: object, text: str) -> None:
    assert spelt(key, value) == text
    assert declarations()[key][1].read(text) == value


def examples() -> list[tuple[str, Any]]:
    """Key -> what its example says, and the word none wherever that is a value; secrets apart."""
    found = []
    for key, (_, declaration) in declarations().items():
        texts = [dotenv.parse(f"{key}={declaration.example}", source="example", environ={})[0][key].value, readers.NONE]
        values = [declaration.read(text) for text in texts[: 1 + takes_none(declaration.read)]]
        found += [(key, value) for value in values if not declaration.secret]
    return found


@pytest.mark.parametrize(("key", "value"), examples())
def test_what_a_container_has_of_a_setting_is_spelt_as_the_setting_itself(key: str, value: Any) -> None:
    held = json.loads(json.dumps(value, default=str))
    text = spelt(key, held)
    assert text == spelt(key, value)
    assert declarations()[key][1].read(text) == value


def test_config_shows_amounts_times_and_lists_as_plans_do() -> None:
    asked = [one for one in examples() if isinstance(one[1], tuple | readers.Bytes | readers.Seconds)]
    for key, value in [*asked, ("DOCKER_SPAWN_CMD", ("start.sh", "--x=a b"))]:
        field = declarations()[key][0]
        assert masked(defaults(**{field: value}))[key] == spelt(key, value)


def test_an_absent_value_is_its_default_in_words() -> None:
    assert spelt("USER_CPU_LIMIT", None) == "no limit"


def test_a_secret_is_never_spelt() -> None:
    assert spelt("USER_PASSWORD", Secret("canary")) == "***"
