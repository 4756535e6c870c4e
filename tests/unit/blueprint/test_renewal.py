"""When the proxy renews a certificate, for what authorities issue now and soon."""

from __future__ import annotations

import pytest

from hubdeploy.blueprint import renewal


@pytest.mark.parametrize(
    ("days", "before"), [(90, 30), (64, 30), (45, 10), (6, 1), (1, 0.25), (0.0146, 20 / 1440), (365, 120), (3650, 120)]
)
def test_a_certificate_is_renewed_well_before_its_end_and_not_before_its_middle(days: float, before: float) -> None:
    found = renewal.days_before_end(renewal.duration(days))
    assert found == before
    assert found <= days / 2 or days < 0.1
    assert found >= days / 7 or days > 365
