"""TIMEZONE: which names it takes, and the zone of a machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from hubdeploy.settings import timezones
from hubdeploy.settings.readers import Unfit


@pytest.mark.parametrize("name", ["Europe/Berlin", "America/Argentina/Buenos_Aires", "US/Pacific", "UTC", "Etc/GMT+5"])
def test_a_name_of_the_database_is_taken(name: str) -> None:
    assert timezones.name(name) == name


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("europe/berlin", "Europe/Berlin"),
        ("Berlin", "Europe/Berlin"),
        ("America/New York", "America/New_York"),
        ("Europe/Belin", "Europe/Berlin"),
    ],
)
def test_another_text_is_refused_with_the_nearest_name(text: str, meant: str) -> None:
    with pytest.raises(Unfit) as refused:
        timezones.name(text)
    assert refused.value.fix == f"write {meant}, if that is meant"


@pytest.mark.parametrize("text", ["../../etc/passwd", "/usr/share/zoneinfo/UTC", "CET-1CEST", "posixrules"])
def test_what_is_near_no_name_is_refused(text: str) -> None:
    with pytest.raises(Unfit):
        timezones.name(text)


@pytest.mark.parametrize(
    ("link", "text", "zone"),
    [
        ("/usr/share/zoneinfo/Asia/Kolkata", "Europe/Berlin\n", "Asia/Kolkata"),
        ("../usr/share/zoneinfo/Asia/Kolkata", None, "Asia/Kolkata"),
        (None, "Europe/Berlin\n", "Europe/Berlin"),
        ("/usr/share/zoneinfo/localtime", None, "Etc/UTC"),
        (None, "Mars/Base\n", "Etc/UTC"),
        (None, None, "Etc/UTC"),
    ],
)
def test_the_zone_of_a_machine(tmp_path: Path, link: str | None, text: str | None, zone: str) -> None:
    if link:
        (tmp_path / "localtime").symlink_to(link)
    else:
        (tmp_path / "localtime").write_bytes(b"TZif")
    if text:
        (tmp_path / "timezone").write_text(text)
    assert timezones.of_this_machine(tmp_path) == zone
