"""What the simulated people find in pages, and how they speak with kernels."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from hubdeploy.contract import names, rehearsals
from hubdeploy.contract.rehearsals import Wanted
from tests.unit.hub import hub_image

browser, kernel, cells = (hub_image.load(f"crowd.{name}") for name in ("browser", "kernel", "cells"))
Failed, Page = browser.Failed, hub_image.load("crowd.pages").Page

_HUBS_PAGE = """
<link rel="stylesheet" href="/hub/static/css/style.min.css?v=1"> <link rel="icon" href="/hub/static/favicon.ico">
<script src="/hub/static/js/darkmode.js?v=2"></script> <img src='/hub/logo'> <img src="data:image/png;base64,AA">
<form><input type="hidden" name="_xsrf" value="the token"/><input name="username"/></form>
<script>
  addEventListener("load", () => {
    for (const address of ["assets/0123/static/main.js?v=3", "assets/0123/labextensions/a/x.js"]) {
      const href = "/hub/static/" + address;
    }
  });
</script>
"""
_LAB = {
    "fullLabextensionsUrl": "/user/ada/lab/extensions",
    "federated_extensions": [
        {"name": "@org/own", "load": "static/remoteEntry.1.js"},
        {
            "name": "shared",
            "load": "../../../../../hub/static/assets/0123/labextensions/shared/static/remoteEntry.2.js",
        },
    ],
}
_KINDS_PAGE = """
<form><input type="hidden" name="_xsrf" value="t"><input type="radio" name="kind" value="small" checked>
<input type="radio" name="kind" value="large"></form>
"""


def test_a_page_names_its_files_and_what_is_fetched_beforehand() -> None:
    page = Page("https://hub.example/hub/login?next=%2F", _HUBS_PAGE)
    below = "https://hub.example/hub"
    assert page.files == [
        f"{below}/static/css/style.min.css?v=1",
        f"{below}/static/favicon.ico",
        f"{below}/static/js/darkmode.js?v=2",
        f"{below}/logo",
    ]
    assert page.prefetched == [
        f"{below}/static/assets/0123/static/main.js?v=3",
        f"{below}/static/assets/0123/labextensions/a/x.js",
    ]
    assert page.fields == {"_xsrf": "the token", "username": ""}
    assert page.config == {}


def test_jupyterlabs_page_names_its_extensions_wherever_they_lie() -> None:
    script = f'<script id="jupyter-config-data" type="application/json">{json.dumps(_LAB)}</script>'
    page = Page("https://hub.example/user/ada/lab", f'{script}<script src="/hub/static/main.js"></script>')
    assert page.config == _LAB
    assert page.files == [
        "https://hub.example/hub/static/main.js",
        "https://hub.example/user/ada/lab/extensions/@org/own/static/remoteEntry.1.js",
        "https://hub.example/hub/static/assets/0123/labextensions/shared/static/remoteEntry.2.js",
    ]


def test_a_choice_among_kinds_is_sent_as_it_stands() -> None:
    assert Page("https://hub.example/hub/spawn", _KINDS_PAGE).fields == {"_xsrf": "t", "kind": "small"}


def test_a_message_of_a_kernel_is_the_same_after_it_was_packed() -> None:
    content = {"execution_state": "idle", "text": "é"}
    parts: tuple[dict[str, str], ...] = ({"msg_id": "1", "msg_type": "status"}, {"msg_id": "0"}, {}, content)
    found = kernel.unpacked(kernel.packed("iopub", *parts))
    assert found == dict(
        zip(("channel", "header", "parent_header", "metadata", "content"), ("iopub", *parts), strict=True)
    )


def test_cells_run_as_they_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    known: dict[str, object] = {"display": lambda shown: None}
    for code in (cells.FIRST, *cells.CELLS):
        exec(compile(code, "cell", "exec"), known)


def wanted(port: int, host: str = "hub.example") -> Wanted:
    return Wanted("http", "127.0.0.1", port, host, "/", f"http://{host}", over=0, work=1, think=0.1, within=60)


def test_a_browser_keeps_cookies_and_files_follows_redirects_and_goes_to_no_other_site() -> None:
    asked = list[str]()

    async def page(request: web.Request) -> web.Response:
        asked.append(f"{request.method} {request.path} {request.headers['Host'].partition(':')[0]}")
        if request.path == "/":
            raise web.HTTPFound("/hub/login?next=%2Fhub%2F")
        if request.path == "/away":
            raise web.HTTPFound("https://elsewhere.example/")
        if request.path == "/broken":
            raise web.HTTPBadGateway
        answer = web.Response(text=f"<p>{request.cookies.get('_xsrf', '')}</p>", content_type="text/html")
        answer.set_cookie("_xsrf", "token", secure=True)
        return answer

    async def story() -> None:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", page)
        pages = list[float]()
        async with TestServer(application) as server, browser.opened(wanted(server.port or 0), pages.append) as own:
            first = await own.page(own.base)
            assert first.url.partition("?")[0].endswith("/hub/login")
            assert "<p></p>" in first.html
            # Behind another proxy the hub's cookies are for TLS, and the helper speaks without it.
            assert "<p>token</p>" in (await own.page("hub/home")).html
            assert own.xsrf(own.base / "hub") == "token"
            await own.files([str(own.base / "a.js")] * 2)
            await own.files([str(own.base / "a.js")])
            assert asked.count("GET /a.js hub.example") == 1
            with pytest.raises(Failed, match=r"another site, elsewhere\.example"):
                await own.page("away")
            with pytest.raises(Failed, match="GET /broken was answered with 502"):
                await own.page("broken")
            assert len(pages) == 2

    asyncio.run(story())
    assert asked[:2] == ["GET / hub.example", "GET /hub/login hub.example"]


def test_a_hub_that_nobody_answers_for_is_a_failure_in_words() -> None:
    async def story() -> None:
        async with browser.opened(wanted(1), lambda took: None) as own:
            begun = time.monotonic()
            with pytest.raises(Failed, match="GET /hub/login: "):
                await own.page("hub/login")
            assert time.monotonic() - begun < 30

    asyncio.run(story())


def test_names_of_simulated_people_are_nobody_elses() -> None:
    every = [rehearsals.name(number) for number in (1, 40, rehearsals.MOST_USERS)]
    assert all(map(rehearsals.is_simulated, every))
    assert not any(map(names.is_spelled, every))
    assert not any(
        map(rehearsals.is_simulated, ("rehearsal001", "rehearsal01.", "xrehearsal001.", "rehearsal001.\n", "ada"))
    )
