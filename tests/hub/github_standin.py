"""Plays GitHub for a login: asks for the user's name in the browser, then speaks a GitHub Enterprise server's OAuth endpoints.

It knows one application and checks everything: client ID, secret, code and token must be right.
"""

from __future__ import annotations

import html
import json
import secrets
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import parse_qs, urlencode, urlsplit

_FORM = """<!doctype html><title>Stand-in for GitHub</title>
<h1>Sign in to the stand-in for GitHub</h1>
<form action="/session">
<input type="hidden" name="redirect_uri" value="{redirect_uri}"><input type="hidden" name="state" value="{state}">
<label>Username <input name="login" autofocus></label> <button>Authorize</button>
</form>"""


class GitHubStandIn:
    """Serves on `address` and a free port while it is entered; `url` is what GITHUB_URL must be."""

    def __init__(self, address: str, client_id: str, client_secret: str, tls: ssl.SSLContext | None = None) -> None:
        self.client_id, self.client_secret = client_id, client_secret
        # code -> login, and access token -> login
        self.codes: dict[str, str] = {}
        self.tokens: dict[str, str] = {}
        self._server = ThreadingHTTPServer((address, 0), _handler_of(self))
        self.url = f"http://{address}:{self._server.server_port}"
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
            self.url = self.url.replace("http", "https", 1)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> GitHubStandIn:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def authorize(self, login: str) -> str:
        """A code for the user, valid for one exchange."""
        code = secrets.token_hex(10)
        self.codes[code] = login
        return code

    def exchange(self, form: dict[str, str]) -> dict[str, str]:
        """GitHub's answer for a code: a token, or an error with status 200."""
        if (form.get("client_id"), form.get("client_secret")) != (self.client_id, self.client_secret):
            return {"error": "incorrect_client_credentials"}
        login = self.codes.pop(form.get("code", ""), None)
        if login is None:
            return {"error": "bad_verification_code"}
        token = f"gho_{secrets.token_hex(18)}"
        self.tokens[token] = login
        return {"access_token": token, "token_type": "bearer", "scope": ""}


def _handler_of(github: GitHubStandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            split = urlsplit(self.path)
            query = {key: values[0] for key, values in parse_qs(split.query).items()}
            if split.path == "/login/oauth/authorize" and query.get("client_id") == github.client_id:
                fields = {key: html.escape(query[key], quote=True) for key in ("redirect_uri", "state")}
                self._answer(200, "text/html", _FORM.format(**fields))
            elif split.path == "/session":
                back = urlencode({"code": github.authorize(query["login"]), "state": query["state"]})
                self._answer(302, "text/plain", "", Location=f"{query['redirect_uri']}?{back}")
            elif split.path == "/api/v3/user" and (login := self._login_of_token()):
                user = {"login": login, "id": 1 + len(login), "name": login.title(), "email": None}
                self._answer(200, "application/json", json.dumps(user))
            else:
                self._answer(404, "application/json", json.dumps({"message": "Not Found"}))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            if urlsplit(self.path).path != "/login/oauth/access_token":
                self._answer(404, "application/json", json.dumps({"message": "Not Found"}))
                return
            form = {key: values[0] for key, values in parse_qs(body).items()}
            self._answer(200, "application/json", json.dumps(github.exchange(form)))

        def _login_of_token(self) -> str | None:
            kind, _, token = self.headers.get("Authorization", "").partition(" ")
            return github.tokens.get(token) if kind.lower() in ("bearer", "token") else None

        def _answer(self, status: int, kind: str, body: str, **headers: str) -> None:
            self.send_response(status)
            for name, value in {"Content-Type": kind, "Content-Length": str(len(body.encode())), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *arguments: object) -> None:
            """Quiet: the hub's own log tells what happened."""

    return Handler
