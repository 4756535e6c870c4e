"""What a browser with an empty cache loads, from the login page to JupyterLab, and after the image was replaced."""

from __future__ import annotations

import io
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import docker
import pytest
from playwright.sync_api import Page, sync_playwright

from tests.archive import tar
from tests.hub import window
from tests.hub.browser import browser_machine
from tests.hub.clone import Clone

USER = "grace"
ASSETS = "/hub/static/assets/"
# A newer image: one extension has changed, under its old name.
REPLACED = """
ARG PARENT
FROM ${PARENT}
USER root
RUN echo 'window.isReplaced = true' >> /opt/jupyter/share/jupyter/labextensions/head-start/static/remoteEntry.js \\
    && rm -r /opt/jupyter/share/assets \\
    && /opt/jupyter/bin/python /usr/local/lib/notebook/gather_assets.py /opt/jupyter/share/assets \\
        /opt/jupyter/share/jupyter/lab/static /opt/jupyter/share/jupyter/labextensions /opt/conda/share/jupyter/labextensions
USER ${NB_UID}
"""


@dataclass
class Loaded:
    """A script or style: its address, what it was compressed by, and whether a prefetch had brought it before."""

    url: str
    encoding: str
    prefetched: bool
    bytes_on_the_line: float = 0


@pytest.fixture(scope="module")
def page(hub: Clone, client: docker.DockerClient) -> Iterator[Page]:
    """A page of a browser that trusts the hub's certificate: else it would keep nothing."""
    trusted = [hub.settings.certificate_path]
    with browser_machine(client, uuid.uuid4().hex, trusted) as machine, sync_playwright() as playwright:
        machine.reach(hub)
        yield machine.connect(playwright).new_context(viewport={"width": 1280, "height": 800}).new_page()


@pytest.fixture(scope="module")
def loaded(page: Page) -> list[Loaded]:
    """What the page's scripts and styles cost, from now on."""
    session, by_request, found = page.context.new_cdp_session(page), dict[str, Loaded](), list[Loaded]()

    def answered(event: dict[str, Any]) -> None:
        if event["type"] not in ("Script", "Stylesheet"):
            return
        answer = event["response"]
        headers = {name.lower(): value for name, value in answer["headers"].items()}
        one = Loaded(answer["url"], headers.get("content-encoding", ""), answer.get("fromPrefetchCache", False))
        by_request[event["requestId"]] = one
        found.append(one)

    def finished(event: dict[str, Any]) -> None:
        if event["requestId"] in by_request:
            by_request[event["requestId"]].bytes_on_the_line = event["encodedDataLength"]

    session.on("Network.responseReceived", answered)
    session.on("Network.loadingFinished", finished)
    session.send("Network.enable")
    return found


@contextmanager
def replaced(client: docker.DockerClient, clone: Clone) -> Iterator[None]:
    """Inside, the image of users' servers is a newer one under the same name."""
    repository, _, tag = clone.settings.notebook_image.rpartition(":")
    before = client.images.get(clone.settings.notebook_image)
    made, _ = client.images.build(
        fileobj=io.BytesIO(tar({"Dockerfile": REPLACED.encode()})), custom_context=True,
        buildargs={"PARENT": before.id}, tag=clone.settings.notebook_image, rm=True, forcerm=True,
    )  # fmt: skip
    try:
        yield
    finally:
        before.tag(repository, tag)
        client.images.remove(str(made.id), force=True)


def test_a_first_visit_loads_jupyterlab_while_its_server_starts(hub: Clone, page: Page, loaded: list[Loaded]) -> None:
    window.log_in(page, hub.url, USER, hub.user_password)
    page.wait_for_url("**/hub/home")
    window.start_server(page, hub.url)
    window.launcher(page).wait_for(timeout=window.START_WITHIN)
    # The theme's style is the server's own: it writes addresses into it.
    of_the_server = [one for one in loaded if f"/user/{USER}/" in one.url and "/lab/api/themes/" not in one.url]
    assert of_the_server == []
    assert [one for one in loaded if "/hub/" in one.url and not one.encoding and one.bytes_on_the_line > 2000] == []
    assert any("/labextensions/head-start/" in one.url for one in loaded)
    # JupyterLab loads some small parts when it needs them.
    late = [one.url for one in loaded if ASSETS in one.url and not one.prefetched]
    assert len(late) <= 2, late


def test_a_replaced_image_gives_its_new_files_and_servers_of_the_old_one_keep_theirs(
    hub: Clone, page: Page, loaded: list[Loaded], client: docker.DockerClient
) -> None:
    with replaced(client, hub):
        page.reload()
        window.launcher(page).wait_for(timeout=window.START_WITHIN)
        assert page.evaluate("window.isReplaced") is None
        window.stop_server(page, hub.url)
        del loaded[:]
        window.start_server(page, hub.url)
        window.launcher(page).wait_for(timeout=window.START_WITHIN)
        assert page.evaluate("window.isReplaced") is True
        assert any(ASSETS in one.url for one in loaded)
        window.stop_server(page, hub.url)


def test_plotly_is_loaded_when_the_first_figure_shows(hub: Clone, page: Page, loaded: list[Loaded]) -> None:
    del loaded[:]
    window.start_server(page, hub.url)
    window.open_notebook(page)

    def of_plotly() -> list[str]:
        # Beside its stand-in, which is small.
        found = [one.url for one in loaded if "/jupyterlab-plotly/" in one.url]
        return found[1:]

    assert of_plotly() == []
    figure = {"data": [{"y": [1, 3, 2]}], "layout": {"title": {"text": "three points"}}}
    shown = f'display({{"application/vnd.plotly.v1+json": {figure}}}, raw=True)'
    window.run_cell(page, shown).locator(".main-svg").first.wait_for(timeout=window.RUN_WITHIN)
    assert page.locator(".jp-OutputArea-output .main-svg .gtitle").first.text_content() == "three points"
    assert len(of_plotly()) == 2
