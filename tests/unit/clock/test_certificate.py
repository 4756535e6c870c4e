"""The steps of a certificate's order. With a real authority: tests/hub/test_authority.py."""

from __future__ import annotations

import importlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hubdeploy.contract.documents import UNDER_WAY
from tests import hub_modules

with hub_modules.importable():
    certificate = importlib.import_module("clock.certificate")
State, Served, step, Found = certificate.State, certificate.Served, certificate.step, certificate.Found

NOW = datetime(2027, 2, 1, 12, 0, 0, tzinfo=UTC)
BEGAN = NOW.timestamp()
# As Traefik 3.7 logs it.
LOG = (
    '2027-02-01T12:00:03Z WRN something else error="other" providerName=file\n'
    '2027-02-01T12:00:04Z ERR Unable to obtain ACME certificate for domains error="unable to generate: '
    'acme: error: 403 :: urn:ietf:params:acme:error:caa :: CAA record\\nforbids it" domains=["a.test"] '
    "providerName=authority.acme\n"
)
WHY = "unable to generate: acme: error: 403 :: urn:ietf:params:acme:error:caa :: CAA record forbids it"


def served(lasts: timedelta, left: timedelta) -> object:
    return Served("CN=R11", NOW + left - lasts, NOW + left, ("hub.lab.test",))


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def test_the_first_step_orders_and_the_next_ones_wait() -> None:
    first = step(None, False, State(), "", NOW, 90)
    assert (first.order, first.code, first.state.began) == (True, UNDER_WAY, BEGAN)
    second = step(None, True, first.state, "", after(119), 90)
    assert (second.order, second.code, second.state) == (None, UNDER_WAY, first.state)


@pytest.mark.parametrize(
    ("log", "seconds", "why"),
    [(LOG, 5, WHY), ("", 121, "the authority gave none within 120 s")],
    ids=["the authority refuses", "nobody answers"],
)
def test_an_order_that_failed_is_taken_out_at_once(log: str, seconds: float, why: str) -> None:
    failed = step(None, True, State(BEGAN), log, after(seconds), 90)
    assert (failed.order, failed.code, failed.state.why, failed.state.failures) == (False, 1, why, 1)
    assert failed.words.startswith(f"no certificate: {why} (the next order is at 2027-02-01 ")


def test_an_error_of_an_earlier_order_is_not_this_ones() -> None:
    assert step(None, True, State(BEGAN + 60), LOG, after(61), 90).code == UNDER_WAY


def test_it_is_ordered_again_after_pauses_that_grow() -> None:
    state, pauses = State(BEGAN, 1, "no"), []
    for _ in range(7):
        now = datetime.fromtimestamp(state.next_try, UTC)
        assert step(None, False, state, "", now - timedelta(seconds=1), 90).order is False
        again = step(None, False, state, "", now, 90)
        assert (again.order, again.code) == (True, UNDER_WAY)
        pauses.append((state.next_try - state.began) / 3600)
        state = step(None, True, again.state, "", now + timedelta(seconds=121), 90).state
    assert pauses == [0.25, 1, 4, 12, 24, 24, 24]


def test_somebody_who_waits_orders_at_once() -> None:
    assert step(None, False, State(BEGAN, 3, "no"), "", after(1), 90, at_once=True).order is True
    # One that is under way is theirs too.
    assert step(None, True, State(BEGAN, 3), "", after(1), 90, at_once=True).order is None


def test_what_the_authority_would_refuse_is_not_ordered_and_looked_at_again_soon() -> None:
    # After a failure at the authority, which is to be left alone for hours.
    before = step(None, False, State(BEGAN - 90_000, 3, "no"), "", NOW, 90)
    refused = certificate.looked(before, Found(("no record", "no clock"), ("a doubt",)))
    assert (refused.order, refused.code, refused.state.failures) == (False, 1, 3)
    assert refused.words.startswith(
        "no certificate: nothing was ordered: no record; no clock; doubtful before: a doubt (the next order is at 2027-02-01 "
    )
    assert step(None, False, refused.state, "", after(899), 90).order is False
    again = step(None, False, refused.state, "", after(900), 90)
    assert (again.order, again.state.asked) == (True, True)


def test_what_was_doubtful_is_told_with_the_authoritys_reason() -> None:
    ordered = certificate.looked(step(None, False, State(), "", NOW, 90), Found((), ("a doubt",), ("a good",)))
    assert (ordered.order, ordered.words) == (True, "a doubt; a good; an order is under way")
    assert step(None, True, ordered.state, "", after(5), 90).words == "a doubt; an order is under way"
    failed = step(None, True, ordered.state, LOG, after(5), 90)
    assert failed.words.startswith(f"no certificate: {WHY}; doubtful before: a doubt (the next order is at ")


@pytest.mark.parametrize(
    ("left", "words"),
    [
        (timedelta(days=64), "64 days left"), (timedelta(days=10), "10 days left"),
    ],
)  # fmt: skip
def test_a_signed_certificate_is_well(left: timedelta, words: str) -> None:
    found = step(served(timedelta(days=90), left), True, State(BEGAN, 2, "no"), LOG, NOW, 90)
    assert (found.order, found.code, found.state) == (None, 0, State())
    assert found.words == f"signed by CN=R11 for hub.lab.test, {words}"


@pytest.mark.parametrize(
    ("left", "words"),
    [(timedelta(days=8), "8 days left"), (timedelta(hours=30), "30 hours left"), (timedelta(minutes=9), "9 minutes left"),
     (timedelta(seconds=-1), "expired")],
)  # fmt: skip
def test_one_that_was_not_renewed_is_told_with_the_authoritys_reason(left: timedelta, words: str) -> None:
    found = step(served(timedelta(days=90), left), True, State(), LOG, NOW, 90)
    assert (found.code, found.words) == (1, f"signed by CN=R11 for hub.lab.test, {words}: it was not renewed: {WHY}")


def test_an_authority_with_shorter_certificates_is_told() -> None:
    found = step(served(timedelta(days=6), timedelta(days=5)), True, State(), "", NOW, 90)
    assert (found.code, found.words.partition("; ")[2]) == (
        1, "it is valid for 6 days in all, and ACME_DAYS=90: set ACME_DAYS=6",
    )  # fmt: skip
    assert step(served(timedelta(days=64), timedelta(days=60)), True, State(), "", NOW, 90).code == 0


def test_nothing_is_looked_at_where_nobody_is_to_be_asked(tmp_path: Path) -> None:
    proxy = certificate.Proxy(tmp_path, "127.0.0.1", 1, "hub.lab.test")
    assert certificate._preflight(proxy, "https://127.0.0.1:1/", "none") == Found()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"began": 1, "order": "another"}', '{"more": 1}'])
def test_a_state_of_another_order_or_of_nobodys_is_none(tmp_path: Path, text: str) -> None:
    """The hub can write there too."""
    (tmp_path / "acme.json").write_text(text)
    assert certificate._remembered(tmp_path / "acme.json", "ours") == State(order="ours")
