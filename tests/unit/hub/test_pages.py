"""The hub's pages as an operator dresses them, and its errors in words: asked of a real JupyterHub."""

from __future__ import annotations

import html
from collections.abc import Iterator

import pytest
import requests

from hubdeploy.contract.documents import LOGO_FILE, PAGES_FILE, Pages, to_bytes
from tests.unit.hub import live_hub
from tests.unit.hub.live_hub import LiveHub

SVG = b'<?xml version="1.0"?>\n<!-- ours -->\n<svg xmlns="http://www.w3.org/2000/svg"/>'
BOLD = "<b>Friday</b> & later\nfrom 6 to 8"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveHub]:
    with live_hub.running(tmp_path_factory.mktemp("hub")) as started:
        yield started


def page(hub: LiveHub, path: str) -> str:
    return requests.get(f"{hub.url}/hub{path}", timeout=30).text


def test_what_the_operator_publishes_is_on_the_pages_without_a_restart_and_as_text(hub: LiveHub) -> None:
    (hub.folder / PAGES_FILE).unlink(missing_ok=True)
    assert "<title>JupyterHub</title>" in page(hub, "/login")

    shown = Pages("Lab <3>", BOLD, "https://wiki.example.org/?a=1&b=2#c")
    (hub.folder / PAGES_FILE).write_bytes(to_bytes(shown))
    for path in ("/login", "/nothing"):
        found = page(hub, path)
        assert "<title>Lab &lt;3&gt;</title>" in found
        assert html.escape(BOLD) in found
        assert BOLD not in found
        assert 'href="https://wiki.example.org/?a=1&amp;b=2#c"' in found

    (hub.folder / PAGES_FILE).write_bytes(to_bytes(Pages()))
    assert "Friday" not in page(hub, "/login")


def test_the_logo_is_the_operators_and_cannot_run_scripts(hub: LiveHub) -> None:
    (hub.folder / LOGO_FILE).write_bytes(SVG)
    answer = requests.get(f"{hub.url}/hub/logo", timeout=30)
    assert (answer.content, answer.headers["Content-Type"]) == (SVG, "image/svg+xml")
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    # JupyterHub's own gets other colours in the dark.
    assert 'class="jpy-logo"' in page(hub, "/login")
    (hub.folder / LOGO_FILE).write_bytes(b"")
    answer = requests.get(f"{hub.url}/hub/logo", timeout=30)
    assert answer.content.startswith(b"\x89PNG")
    assert answer.headers["Content-Type"] == "image/png"
    assert 'class="jpy-logo of-jupyterhub"' in page(hub, "/login")


@pytest.mark.parametrize(
    ("path", "heading"), [("/nothing", "There is no such page"), ("/error/503", "The server does not run")]
)
def test_an_error_is_in_words_and_has_a_way_home(hub: LiveHub, path: str, heading: str) -> None:
    found = page(hub, path)
    assert f"<h1>{heading}</h1>" in found
    assert 'href="/hub/home"' in found
    assert "None" not in found


def test_a_failed_login_is_an_alert(hub: LiveHub) -> None:
    answer = hub.log_in("ann", "wrong")
    assert answer.status_code == 403
    assert '<p class="login_error" role="alert">' in answer.text
