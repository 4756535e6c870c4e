"""One person's browser: cookies, a cache, six connections, and the headers by which hub and proxy know pages from requests of a
script. It takes any certificate, and goes to the engine's host whatever a name resolves to.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

from aiohttp import (
    ClientError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    ClientWebSocketResponse,
    CookieJar,
    TCPConnector,
)
from aiohttp.abc import AbstractResolver, ResolveResult
from contract.rehearsals import Wanted
from yarl import URL

from crowd.pages import Page

# Of HTTP/1.1, as browsers have it for one host.
_CONNECTIONS = 6
_ANSWER_WITHIN = 60.0
_REDIRECTS = 10
_AGENT = "Mozilla/5.0 (X11; Linux x86_64) rehearsal"


class Failed(Exception):
    """What a person met instead of what they wanted, in words."""


class _ToOneAddress(AbstractResolver):
    def __init__(self, address: str) -> None:
        self._address = address

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        version = socket.AF_INET6 if ":" in self._address else socket.AF_INET
        return [ResolveResult(hostname=host, host=self._address, port=port, family=version, proto=0, flags=0)]

    async def close(self) -> None: ...


class Browser:
    """`base` is the address below which the hub and all servers answer. `saw_page` hears how many seconds each page took."""

    def __init__(self, session: ClientSession, wanted: Wanted, saw_page: Callable[[float], None]) -> None:
        self._session, self._saw_page = session, saw_page
        self.base = _address(wanted) / wanted.path.strip("/") if wanted.path.strip("/") else _address(wanted)
        self._origin = {"Origin": wanted.origin}
        self._kept: set[str] = set()

    async def page(self, path: str | URL, form: dict[str, str] | None = None) -> Page:
        """The page that comes in the end, wherever the hub leads; with a form, which is posted. Never one of another site."""
        url, begun = self.base / path if isinstance(path, str) else path, time.monotonic()
        for _ in range(_REDIRECTS):
            method, headers = ("POST", self._origin) if form is not None else ("GET", {})
            headers = headers | {"Accept": "text/html,*/*;q=0.8", "Sec-Fetch-Mode": "navigate"}
            async with self._answer(method, url, headers=headers, data=form) as answer:
                there = answer.headers.get("Location")
                if there is None:
                    _refuse_errors(answer)
                    page = Page(str(answer.url), await answer.text())
                    self._saw_page(time.monotonic() - begun)
                    return page
                url, form = answer.url.join(URL(there, encoded="%" in there)), None
                if url.host != self.base.host:
                    raise Failed(f"the hub leads to another site, {url.host}")
        raise Failed(f"the hub leads from {path} to no page")

    async def files(self, addresses: Iterable[str]) -> None:
        """Fetches what the browser does not keep yet. They come compressed, and stay so."""
        wanted = [one for one in dict.fromkeys(addresses) if one not in self._kept]
        self._kept.update(wanted)
        await asyncio.gather(*(self._file(one) for one in wanted))

    async def _file(self, address: str) -> None:
        headers = {"Accept-Encoding": "gzip", "Sec-Fetch-Mode": "no-cors"}
        async with self._answer("GET", URL(address, encoded=True), headers=headers) as answer:
            # Some files of a page are not there, and no browser minds.
            if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                _refuse_errors(answer)
            async for _ in answer.content.iter_any():
                pass

    async def call(self, method: str, url: URL, body: Any = None, *, may_be_missing: bool = False) -> Any:
        """What a script on a page asks an API for; JSON, None where it is something else, or missing."""
        headers = {"Accept": "application/json", "Sec-Fetch-Mode": "cors"}
        if token := self.xsrf(url):
            headers["X-XSRFToken"] = token
        if method != "GET":
            headers |= self._origin
        async with self._answer(method, url, headers=headers, json=body) as answer:
            if may_be_missing and answer.status < HTTPStatus.INTERNAL_SERVER_ERROR:
                await answer.read()
                return None
            _refuse_errors(answer)
            content = await answer.read()
            is_json = content and "json" in answer.headers.get("Content-Type", "")
            return await answer.json() if is_json else None

    @asynccontextmanager
    async def stream(self, url: URL) -> AsyncIterator[ClientResponse]:
        """An answer that comes line by line, for as long as it takes."""
        headers = {"Accept": "text/event-stream", "Sec-Fetch-Mode": "cors"}
        async with self._answer("GET", url, headers=headers, timeout=ClientTimeout(total=None)) as answer:
            _refuse_errors(answer)
            yield answer

    async def socket(self, url: URL, protocols: tuple[str, ...] = ()) -> ClientWebSocketResponse:
        try:
            return await self._session.ws_connect(url, protocols=protocols, headers=self._origin, max_msg_size=0)
        except (ClientError, TimeoutError, OSError) as error:
            raise Failed(f"no websocket at {_shown(url)}: {error}") from None

    def xsrf(self, url: URL) -> str:
        found = self._session.cookie_jar.filter_cookies(url).get("_xsrf")
        return found.value if found else ""

    @asynccontextmanager
    async def _answer(self, method: str, url: URL, **named: Any) -> AsyncIterator[ClientResponse]:
        try:
            async with self._session.request(method, url, allow_redirects=False, **named) as answer:
                yield answer
        except TimeoutError:
            raise Failed(f"{method} {_shown(url)} got no answer within {_ANSWER_WITHIN:.0f} s") from None
        except (ClientError, OSError) as error:
            raise Failed(f"{method} {_shown(url)}: {error}") from None


@asynccontextmanager
async def opened(wanted: Wanted, saw_page: Callable[[float], None]) -> AsyncIterator[Browser]:
    """A browser that knows nothing yet, and has nothing in its cache."""
    jar = CookieJar(unsafe=True, treat_as_secure_origin=[_address(wanted)])
    connector = TCPConnector(ssl=False, limit_per_host=_CONNECTIONS, resolver=_ToOneAddress(wanted.address))
    async with ClientSession(
        connector=connector,
        cookie_jar=jar,
        timeout=ClientTimeout(total=_ANSWER_WITHIN),
        headers={"User-Agent": _AGENT},
        auto_decompress=True,
    ) as session:
        yield Browser(session, wanted, saw_page)


def _address(wanted: Wanted) -> URL:
    return URL.build(scheme=wanted.scheme, host=wanted.host, port=wanted.port)


def _refuse_errors(answer: ClientResponse) -> None:
    if answer.status >= HTTPStatus.BAD_REQUEST:
        raise Failed(f"{answer.method} {_shown(answer.url)} was answered with {answer.status} {answer.reason}")


def _shown(url: URL) -> str:
    """Without what may be secret in it."""
    return url.path
