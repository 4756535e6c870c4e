"""Plays GitHub for a login: asks for the user's name in the browser, then speaks a GitHub Enterprise server's OAuth endpoints.

It knows one application and checks everything: client ID, secret, code and token must be right, and whoever asks for a
membership that is not public must be a member, with the scope read:org.
"""

from __future__ import annotations

import html
import json
import secrets
import ssl
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.web_server import WebServer

_FORM = """<!doctype html><title>Stand-in for GitHub</title>
<h1>Sign in to the stand-in for GitHub</h1>
<form action="/session">
<input type="hidden" name="redirect_uri" value="{redirect_uri}"><input type="hidden" name="state" value="{state}">
<input type="hidden" name="scope" value="{scope}">
<label>Username <input name="login" autofocus></label> <button>Authorize</button>
</form>"""


class GitHubStandIn(WebServer):
    """Serves on `address` and a free port while it is entered; `url` is what GITHUB_URL must be. A test may change its public
    attributes as it runs."""

    def __init__(self, address: str, client_id: str, client_secret: str, tls: ssl.SSLContext | None = None) -> None:
        self.client_id, self.client_secret = client_id, client_secret
        # code -> login and scope; access token -> the same; refresh token -> the same
        self.codes: dict[str, tuple[str, str]] = {}
        self.tokens: dict[str, tuple[str, str]] = {}
        self.refresh_tokens: dict[str, tuple[str, str]] = {}
        # `organization` or `organization:team` -> login in small letters -> "active" or "pending"
        self.members: dict[str, dict[str, str]] = {}
        # Whether a token comes with one to renew it by; the status and text with which paths that hold a word are answered,
        # where status 0 is no answer.
        self.gives_refresh_tokens = False
        self.failing: dict[str, tuple[int, str]] = {}
        # Every path of the API that was asked for.
        self.asked: list[str] = []
        super().__init__(address, _handler_of(self), tls)

    def authorize(self, login: str, scope: str) -> str:
        """A code for the user, valid for one exchange."""
        code = secrets.token_hex(10)
        self.codes[code] = (login, scope)
        return code

    def revoke(self, login: str) -> None:
        """No access token of the user is valid any more."""
        self.tokens = {token: owner for token, owner in self.tokens.items() if owner[0] != login}

    def exchange(self, form: dict[str, str]) -> dict[str, str]:
        """GitHub's answer for a code: a token, or an error with status 200."""
        if (form.get("client_id"), form.get("client_secret")) != (self.client_id, self.client_secret):
            return {"error": "incorrect_client_credentials"}
        if form.get("grant_type") == "refresh_token":
            owner = self.refresh_tokens.pop(form.get("refresh_token", ""), None)
        else:
            owner = self.codes.pop(form.get("code", ""), None)
        if owner is None:
            return {"error": "bad_verification_code", "error_description": "The code passed is incorrect or expired."}
        token = f"gho_{secrets.token_hex(18)}"
        self.tokens[token] = owner
        answer = {"access_token": token, "token_type": "bearer", "scope": owner[1]}
        if self.gives_refresh_tokens:
            answer["refresh_token"] = f"ghr_{secrets.token_hex(18)}"
            self.refresh_tokens[answer["refresh_token"]] = owner
        return answer

    def membership(self, asking: tuple[str, str], place: str) -> tuple[int, dict[str, str]]:
        """Status and answer for ORG/members/LOGIN, ORG/public_members/LOGIN and ORG/teams/TEAM/memberships/LOGIN."""
        organization, kind, *rest = place.lower().split("/")
        is_inside = self.members.get(organization, {}).get(asking[0].lower()) == "active" and "read:org" in asking[1]
        not_found = 404, {"message": "Not Found"}
        if kind == "members":
            state = self.members.get(organization, {}).get(rest[0])
            if not is_inside:
                return 302, {}
            return (204, {}) if state == "active" else not_found
        if kind == "teams" and rest[1] == "memberships":
            state = self.members.get(f"{organization}:{rest[0]}", {}).get(rest[2])
            return (200, {"state": state, "role": "member"}) if state and "read:org" in asking[1] else not_found
        return not_found


def _handler_of(github: GitHubStandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            split = urlsplit(self.path)
            query = {key: values[0] for key, values in parse_qs(split.query).items()}
            if self._fails(split.path):
                return
            if split.path == "/login/oauth/authorize" and query.get("client_id") == github.client_id:
                fields = {key: html.escape(query[key], quote=True) for key in ("redirect_uri", "state")}
                fields["scope"] = html.escape(query.get("scope", ""), quote=True)
                self._answer(200, "text/html", _FORM.format(**fields))
            elif split.path == "/session":
                back = urlencode(
                    {"code": github.authorize(query["login"], query.get("scope", "")), "state": query["state"]}
                )
                self._answer(302, "text/plain", "", Location=f"{query['redirect_uri']}?{back}")
            elif not split.path.startswith("/api/v3/"):
                self._answer(404, "application/json", json.dumps({"message": "Not Found"}))
            elif (owner := self._owner_of_token()) is None:
                self._answer(401, "application/json", json.dumps({"message": "Bad credentials"}))
            elif split.path == "/api/v3/user":
                login = owner[0]
                user = {"login": login, "id": 1 + len(login), "name": login.title(), "email": None}
                self._answer(200, "application/json", json.dumps(user))
            elif split.path.startswith("/api/v3/orgs/"):
                status, answer = github.membership(owner, split.path.removeprefix("/api/v3/orgs/"))
                public = split.path.replace("/members/", "/public_members/")
                headers = {"Location": f"{github.url}{public}"} if status == 302 else {}
                self._answer(status, "application/json", "" if status == 204 else json.dumps(answer), **headers)
            else:
                self._answer(404, "application/json", json.dumps({"message": "Not Found"}))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            if self._fails(self.path):
                return
            if urlsplit(self.path).path != "/login/oauth/access_token":
                self._answer(404, "application/json", json.dumps({"message": "Not Found"}))
                return
            form = {key: values[0] for key, values in parse_qs(body).items()}
            self._answer(200, "application/json", json.dumps(github.exchange(form)))

        def _fails(self, path: str) -> bool:
            """Answers as the test wants it."""
            if path.startswith("/api/"):
                github.asked.append(path)
            found = next((answer for word, answer in github.failing.items() if word in path), None)
            if found and not found[0]:
                self.close_connection = True
            elif found:
                self._answer(found[0], "application/json", found[1])
            return found is not None

        def _owner_of_token(self) -> tuple[str, str] | None:
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
