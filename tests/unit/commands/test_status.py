"""What `status` says of a certificate and of a component's health."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.text import Text

from hubdeploy.commands import status
from hubdeploy.settings import loading
from hubdeploy.settings.declarations import Settings
from hubdeploy.tls import certificates
from hubdeploy.tls.certificates import Pair


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "userlist").write_text("kaben\n")
    (tmp_path / "jupyterhub").mkdir()
    (tmp_path / "jupyterhub" / "cert.conf").write_text(
        "[ req ]\nprompt = no\ndistinguished_name = dn\n[ dn ]\nCN = a\n"
    )
    return loading.load(tmp_path, {})


def pair(settings: Settings, days: int, monkeypatch: pytest.MonkeyPatch, *, brought: bool = True) -> Pair:
    """A pair that is valid for so many whole days yet."""
    monkeypatch.setattr(certificates, "VALID_DAYS", days + 1)
    if brought:
        monkeypatch.setattr(certificates, "_MADE_BY", "brought by ")
    made = certificates.make(certificates.read_request(settings.root / "jupyterhub" / "cert.conf", "localhost"))
    monkeypatch.undo()
    return made


@pytest.mark.parametrize(("days", "warns"), [(31, False), (30, True), (0, True)])
def test_a_brought_certificate_warns_from_thirty_days_on(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, days: int, warns: bool
) -> None:
    printed = status._certificate(settings, pair(settings, days, monkeypatch))
    assert ("warning: bring the certificate's successor" in printed) == warns
    assert "certificate: brought, expire" in printed


def test_a_self_made_certificate_needs_no_warning_as_up_renews_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    printed = status._certificate(settings, pair(settings, 5, monkeypatch, brought=False))
    assert printed.startswith("certificate: self-made, expires ")
    assert "warning" not in printed


@pytest.mark.parametrize(("health", "colour"), [("healthy", "green"), ("unhealthy", "bold red"), ("", "")])
def test_health_has_its_colour(health: str, colour: str) -> None:
    assert status._coloured(health) == Text(health, style=colour)
