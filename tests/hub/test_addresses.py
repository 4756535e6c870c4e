"""Names in addresses, through the real proxy: users whose names have several spellings there, and files of any name."""

from __future__ import annotations

import copy
import http.client
import json
import ssl
import uuid
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from tests.hub import window
from tests.hub.clone import Clone
from tests.hub.person import Person

# A blank, an accent, and reserved characters that JupyterHub writes as they are (@), or encoded.
ODD = "zoë o'neil+{{b@example.org"
FILES = [
    "a b.txt", "per%cent.txt", "a%2Fb.txt", "a%20b.txt", "ünï-日本.txt", "a+b=c&d.txt", "a#b?c.txt", "a;b,c.txt",
    "q\"uo'te.txt", "[a]{b}.txt", "back\\slash.txt", "two..dots.txt",
]  # fmt: skip


@pytest.fixture(scope="module")
def odd(hub: Clone) -> Person:
    """The user with this name, whose server runs; an admin has added them."""
    boss = hub.person("boss")
    boss.log_in(hub.admin_password).raise_for_status()
    boss.take_token()
    assert boss.call("POST", f"/hub/api/users/{quote(ODD, safe='')}").status_code in (201, 409)
    person = hub.person(ODD)
    person.log_in(hub.user_password).raise_for_status()
    person.take_token()
    person.start_server()
    return person


@pytest.mark.parametrize(
    "spelling",
    [
        quote(ODD, safe="@"),
        quote(ODD, safe=""),
        quote(ODD, safe="").lower(),
        quote(ODD, safe="@+'"),
        quote(ODD, safe="").replace("z", "%7A").replace("%2B", "+"),
    ],
)
def test_each_spelling_of_a_name_reaches_the_server(odd: Person, spelling: str) -> None:
    started = [
        json.loads(_ask(odd, f"/user/{name}/api/status")[1])["started"] for name in (spelling, quote(ODD, safe="@"))
    ]
    assert started[0] == started[1]
    assert _ask(odd, f"/user/{spelling}/lab")[0] == 200
    assert _ask(odd, f"/user/{spelling}")[0] == 302


def test_a_kernel_runs_under_another_spelling(odd: Person) -> None:
    other = copy.copy(odd)
    other.name = quote(ODD, safe="")
    kernel = other.open_kernel()
    assert kernel.run("print(6 * 7)") == "42\n"
    kernel.close()


def test_a_browser_gets_to_jupyterlab_from_another_spelling(hub: Clone, odd: Person, page: Page) -> None:
    window.log_in(page, hub.url, ODD, hub.user_password)
    expect(page.get_by_role("button", name="Stop My Server", exact=True)).to_be_visible()
    page.goto(f"{hub.url}/user/{quote(ODD, safe='')}/lab")
    expect(page.locator("#jp-main-dock-panel")).to_be_visible(timeout=window.START_WITHIN)


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_any_name_is_written_read_and_downloaded(odd: Person, name: str) -> None:
    sent, content = quote(name, safe=""), uuid.uuid4().hex
    document = {"type": "file", "format": "text", "content": content}
    written = odd.call("PUT", f"/user/{quote(ODD, safe='@')}/api/contents/{sent}", json=document)
    assert (written.status_code, written.json()["path"]) == (201, name)
    for path in (f"files/{sent}", f"api/contents/{sent}"):
        status, body = _ask(odd, f"/user/{quote(ODD, safe='')}/{path}")
        assert status == 200
        assert content.encode() in body


def _ask(person: Person, path: str) -> tuple[int, bytes]:
    """Status and body of a GET whose path is sent as it stands; other clients spell it their own way."""
    host, port = person.url.removeprefix("https://").split(":")
    context = ssl.create_default_context(cafile=person.certificate)
    connection = http.client.HTTPSConnection(host, int(port), context=context, timeout=30)
    connection.request("GET", path, headers={"Authorization": f"token {person.token}"})
    answer = connection.getresponse()
    return answer.status, answer.read()
