"""Asking an OpenID Connect provider what it is, and what becomes of a plan where it does not answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from unittest import mock

import pytest

from hubdeploy.blueprint import documents
from hubdeploy.commands import discovery
from hubdeploy.commands.deployment import Deployment, Drawn
from hubdeploy.contract.documents import Secret
from hubdeploy.errors import Caution, Problem, Refused
from hubdeploy.plan import checks
from hubdeploy.plan.checks import Case, Evidence
from hubdeploy.settings.declarations import Settings, defaults
from tests.agreement import border
from tests.ports import free_port
from tests.search.held import Held
from tests.unit.hub import oidc_standin
from tests.unit.hub.oidc_standin import StandIn


@pytest.fixture(scope="module")
def standin() -> Iterator[StandIn]:
    with oidc_standin.running() as started:
        yield started


def settings_of(issuer: str) -> Settings:
    return defaults(
        oidc_issuer=issuer,
        oidc_client_id="the-hub",
        oidc_client_secret=Secret("secret-of-the-hub"),
        root=border.checkout(),
    )


def test_the_keys_choose_the_login() -> None:
    assert settings_of("https://id.example.org").authenticator == "oidc"


def test_a_provider_that_answers_is_described(standin: StandIn) -> None:
    found, about = discovery.find(settings_of(standin.issuer), None)
    assert found
    assert (found.token_url, about) == (f"{standin.issuer}/token", ())


def test_a_provider_under_another_name_is_refused(standin: StandIn) -> None:
    found, (about,) = discovery.find(settings_of(standin.issuer.replace("127.0.0.1", "localhost")), None)
    assert found is None
    assert isinstance(about, Problem)
    assert standin.issuer in about.found


def test_a_login_without_a_provider_asks_nobody() -> None:
    with mock.patch.object(discovery, "fetch", side_effect=AssertionError):
        assert discovery.find(defaults(), None) == (None, ())


def test_a_hub_keeps_what_it_holds_of_a_provider_that_is_away(standin: StandIn) -> None:
    settings = settings_of(standin.issuer)
    before, _ = discovery.find(settings, None)
    with mock.patch.object(discovery, "fetch", side_effect=OSError("no route to host")):
        found, (about,) = discovery.find(settings, documents.contract(settings, 2**33, before))
    assert found == before
    assert isinstance(about, Caution)
    assert "no route to host" in about.found


@pytest.mark.parametrize("place", ["nowhere", "elsewhere", "moved"])
def test_a_plan_without_a_provider_is_refused_in_one_message(standin: StandIn, place: str) -> None:
    issuer = f"http://127.0.0.1:{free_port()}" if place == "nowhere" else f"{standin.issuer}/{place}"
    settings, fetch = settings_of(issuer), discovery.fetch
    with border.crossed(settings), mock.patch.object(discovery, "fetch", fetch):
        deployment = Deployment(settings.root, border.ENVIRON)
        with pytest.raises(Refused) as refused:
            deployment.check(deployment.draw())
    assert refused.value.code == 1
    assert len(refused.value.problems) == 1
    assert f"{issuer}/.well-known/openid-configuration does not answer" in str(refused.value)


def test_a_deployment_that_is_up_stays_as_it_is_while_its_provider_is_away() -> None:
    settings, held = replace(settings_of("https://id.example.org"), secrets_volume="lab-secrets"), Held()

    def drawn() -> Drawn:
        with mock.patch.object(Deployment, "observe", return_value=held.seen_by(settings)):
            return Deployment(settings.root, border.ENVIRON).draw()

    with border.crossed(settings):
        # Images are pulled by a plan of their own.
        for plan in (drawn().plan.pulls, None):
            for step in (plan or drawn().plan).steps:
                held.apply(step.operation)
        with mock.patch.object(discovery, "fetch", side_effect=OSError("no route to host")):
            after = drawn()
    assert after.plan.steps == ()
    case = Case(after.plan, after.blueprint, after.snapshot, Evidence(provider=after.about_provider))
    assert [one for one in checks.findings(case) if "no route to host" in one.found and isinstance(one, Caution)]
