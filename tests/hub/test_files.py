"""Files in JupyterLab: hidden ones, addresses of the classic notebook, and the formats that a notebook is exported to."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.hub import window
from tests.hub.clone import Clone
from tests.hub.person import Person
from tests.hub.test_images import NOTEBOOK

USER = "linus"


@pytest.fixture
def user(hub: Clone, logged_in: Callable[[str], Person]) -> Person:
    person = logged_in(USER)
    person.start_server()
    return person


def save(person: Person, path: str, content: object) -> int:
    """The status of saving a file: a notebook, or text."""
    kind = {"type": "file", "format": "text"} if isinstance(content, str) else {"type": "notebook", "format": "json"}
    return person.call("PUT", f"/user/{USER}/api/contents/{path}", json={**kind, "content": content}).status_code


def test_hidden_files_are_saved_and_read(user: Person) -> None:
    assert save(user, ".gitignore", "*.pyc\n") in (200, 201)
    assert user.call("GET", f"/user/{USER}/api/contents/.gitignore").json()["content"] == "*.pyc\n"
    assert user.call("GET", f"/user/{USER}/files/.gitignore").text == "*.pyc\n"


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("tree", "lab"),
        ("tree/", "lab"),
        ("tree/a%20folder/b%3F.txt", "lab/tree/a%20folder/b%3F.txt"),
        ("notebooks/%E4%B8%AD.ipynb?reset", "lab/tree/%E4%B8%AD.ipynb?reset"),
        ("edit/notes.md", "lab/tree/notes.md"),
        ("tree//example.org", "lab/tree/example.org"),
    ],
)
def test_classic_addresses_lead_to_lab(user: Person, link: str, target: str) -> None:
    answer = user.call("GET", f"/user/{USER}/{link}", allow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (302, f"/user/{USER}/{target}")


def test_every_format_that_is_offered_can_be_exported(user: Person) -> None:
    save(user, "exported.ipynb", NOTEBOOK)
    offered = set(user.call("GET", f"/user/{USER}/api/nbconvert").json())
    assert {"html", "markdown", "script", "slides"} <= offered
    # JupyterLab's menu leaves these out.
    for form in offered - {"custom", "notebook", "python"}:
        answer = user.call("GET", f"/user/{USER}/nbconvert/{form}/exported.ipynb", params={"download": "true"})
        assert answer.status_code == 200, form


def test_hidden_files_show_and_a_classic_address_opens_its_notebook(hub: Clone, user: Person, page: Page) -> None:
    save(user, ".hidden.txt", "seen")
    save(user, "shown.txt", "seen")
    save(user, "opened.ipynb", NOTEBOOK)
    window.log_in(page, hub.url, USER, hub.user_password)
    page.wait_for_url("**/hub/home")
    page.goto(f"{hub.url}/user/{USER}/notebooks/opened.ipynb?reset")
    page.locator(".jp-Notebook .jp-CodeCell").first.wait_for(timeout=window.START_WITHIN)
    expect(window.file_in_browser(page, "shown.txt")).to_be_visible()
    hidden = window.file_in_browser(page, ".hidden.txt")
    expect(hidden).to_have_count(0)
    page.get_by_role("menuitem", name="View", exact=True).click()
    page.get_by_role("menuitem", name="Show Hidden Files").click()
    expect(hidden).to_be_visible()
    # The menu of formats has what works and nothing else.
    page.get_by_role("menuitem", name="File", exact=True).click()
    page.locator(".lm-Menu-item", has_text="Save and Export Notebook As").hover()
    formats = page.locator("#jp-mainmenu-file-notebookexport .lm-Menu-itemLabel")
    expect(formats.first).to_be_visible()
    assert sorted(text for text in formats.all_text_contents() if text) == [
        "Executable Script", "HTML", "Markdown", "Reveal.js Slides",
    ]  # fmt: skip
