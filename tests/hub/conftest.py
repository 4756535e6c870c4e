"""The deployments and the browser of the stories. They are made once and shared, so each test uses users of its own and
leaves nothing that could disturb another.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable, Generator, Iterator
from functools import partial
from pathlib import Path

import docker
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests import reports
from tests.hub.browser import BrowserMachine, browser_machine
from tests.hub.clone import CHECKOUT, Clone
from tests.hub.github_standin import GitHubStandIn
from tests.hub.person import Person
from tests.ports import address_in

ARTIFACTS = CHECKOUT / "tests" / "artifacts"
USERLIST = "boss admin\nada\ngrace\nlinus\nsam sudo\nleaver\nguest\nkeeper\nbreaker\n"
GITHUB_USERLIST = "octoadmin admin\noctocat\nmonalisa\nhubot\n"
_LIVING = pytest.StashKey[list[Clone]]()


def canary(secret: str) -> str:
    """A marked value, which is recognised wherever it turns up."""
    return f"canary-{secret}-{secrets.token_hex(20)}"


@pytest.fixture(scope="session")
def client() -> Iterator[docker.DockerClient]:
    connected = docker.from_env(timeout=120)
    yield connected
    connected.close()


@pytest.fixture(scope="session")
def new_clone(
    client: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Iterator[Callable[..., Clone]]:
    """Makes clones; removes all that they left, whatever happened."""
    living = pytestconfig.stash.setdefault(_LIVING, [])

    def make(userlist: str, **local: str) -> Clone:
        living.append(Clone.make(tmp_path_factory.mktemp("clone"), client, userlist, **local))
        return living[-1]

    yield make
    while living:
        living.pop().remove()


@pytest.fixture(scope="session")
def clone(new_clone: Callable[..., Clone]) -> Clone:
    """The first clone: shared-password login. Not deployed by this fixture; `hub` does."""
    passwords = {"USER_PASSWORD": canary("user"), "ADMIN_PASSWORD": canary("admin")}
    return new_clone(USERLIST, TIMEZONE="Asia/Kolkata", **passwords)


@pytest.fixture(scope="session")
def hub(clone: Clone) -> Clone:
    """The first clone, brought up by its own command line."""
    clone.up()
    return clone


@pytest.fixture(scope="session")
def notebook_image(clone: Clone) -> str:
    """Reference of the image of users' servers, really built."""
    clone.invoke("notebook-image")
    return clone.settings.notebook_image


@pytest.fixture(scope="session")
def minimal_notebook_image(clone: Clone) -> str:
    """Reference of the image with TeX and the other tools, really built."""
    clone.invoke("minimal-notebook-image")
    return clone.settings.image_reference("minimal-notebook")


@pytest.fixture(scope="session")
def github(client: docker.DockerClient) -> Iterator[GitHubStandIn]:
    """What plays GitHub for the second deployment."""
    # An address of this machine. The browser reaches it from a network of its own; the hub because GITHUB_URL names it.
    gateway = address_in(client.networks.get("bridge"))
    with GitHubStandIn(gateway, "client-of-the-tests", canary("github")) as started:
        yield started


@pytest.fixture(scope="session")
def github_hub(hub: Clone, new_clone: Callable[..., Clone], github: GitHubStandIn) -> Clone:
    """A second deployment beside the first, whose users log in with GitHub."""
    second = new_clone(GITHUB_USERLIST)
    second.share_images_of(hub)
    # A path of its own, so that nobody's login here ends a login at the first.
    second.set_local(HUB_PATH="/octo/lab-2/")
    keys = {"GITHUB_CLIENT_ID": github.client_id, "GITHUB_CLIENT_SECRET": github.client_secret}
    second.set_local(GITHUB_URL=github.url, **keys)
    second.up()
    return second


@pytest.fixture
def logged_in(hub: Clone) -> Callable[[str], Person]:
    """A user of the first deployment who has logged in and has a token."""

    def log_in(name: str) -> Person:
        person = hub.person(name)
        answer = person.log_in(hub.user_password)
        assert answer.status_code == 200
        person.take_token()
        return person

    return log_in


@pytest.fixture(scope="session")
def chromium(client: docker.DockerClient) -> Iterator[BrowserMachine]:
    with browser_machine(client, uuid.uuid4().hex) as machine:
        yield machine


@pytest.fixture(scope="session")
def new_lab(hub: Clone, new_clone: Callable[..., Clone], chromium: BrowserMachine) -> Callable[..., Clone]:
    """Makes clones that are up, on the images of the first one and in the browser's reach."""

    def make(userlist: str, servers: str = "", **local: str) -> Clone:
        """`servers`: the text of servers.yml, if there is to be one."""
        made = new_clone(userlist, **local)
        if servers:
            (made.root / "servers.yml").write_text(servers)
        made.share_images_of(hub)
        made.up()
        chromium.reach(made)
        return made

    return make


# Not for the session: while it is open no other test of this process could run an event loop.
@pytest.fixture(scope="module")
def browser(chromium: BrowserMachine) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        yield chromium.connect(playwright)


@pytest.fixture
def new_page(browser: Browser, chromium: BrowserMachine, pytestconfig: pytest.Config) -> Iterator[Callable[[], Page]]:
    """Opens windows with separate logins. (Person verifies the certificate; a browser would trust it only after a change
    of the machine.)"""
    for clone in pytestconfig.stash.get(_LIVING, []):
        chromium.reach(clone)
    contexts = []

    def open_page() -> Page:
        contexts.append(browser.new_context(ignore_https_errors=True, viewport={"width": 1280, "height": 800}))
        contexts[-1].set_default_timeout(30_000)
        return contexts[-1].new_page()

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture
def page(new_page: Callable[[], Page]) -> Page:
    return new_page()


@pytest.fixture(scope="session")
def artifacts() -> Path:
    """Where screenshots go, for people to look at."""
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    return ARTIFACTS


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and report.when in ("setup", "call"):
        for clone in item.config.stash.get(_LIVING, []):
            reports.add_section(report, f"containers of {clone.name}", clone.condition)
        page = getattr(item, "funcargs", {}).get("page")
        if page is not None and report.when == "call":
            reports.add_section(report, "screenshot", partial(_screenshot, page, item.name))
    return report


def _screenshot(page: Page, name: str) -> str:
    path = ARTIFACTS / f"failed-{name}.png"
    page.screenshot(path=path)
    return str(path)
