"""Plays an OpenID Connect provider that can be made to lie: it logs everybody in at once, as whom the test says, and signs
what the test says. It checks client, code and PKCE as a real one does. What a real one does, nanoidp shows.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

CLIENT_ID, CLIENT_SECRET = "the-hub", "secret-of-the-hub"
KID = "key-of-the-tests"
Claims = dict[str, Any]


def new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


class StandIn:
    """`issuer` is its URL. `claims` are what a token says beside or instead of the usual; None leaves a claim out. `sign` makes
    the token, `userinfo` are the claims at its address of users; `failing` are paths that answer 400."""

    def __init__(self) -> None:
        self.key = new_key()
        self._codes: dict[str, str] = {}
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self.issuer = f"http://127.0.0.1:{self.server.server_port}"
        self.be_honest()

    def be_honest(self) -> None:
        self.claims: Claims = {}
        self.userinfo: Claims = {}
        self.sign: Callable[[Claims], str] = self.signed
        self.failing: set[str] = set()

    def signed(self, claims: Claims, key: Any = None, kid: str = KID, algorithm: str = "RS256") -> str:
        return jwt.encode(claims, key or self.key, algorithm, headers={"kid": kid})

    def description(self) -> Claims:
        places = {
            "authorization_endpoint": "authorize", "token_endpoint": "token", "userinfo_endpoint": "userinfo",
            "jwks_uri": "keys",
        }  # fmt: skip
        return {"issuer": self.issuer, **{name: f"{self.issuer}/{place}" for name, place in places.items()}}

    def keys(self) -> Claims:
        public = json.loads(RSAAlgorithm.to_jwk(self.key.public_key()))
        return {"keys": [{**public, "kid": KID, "use": "sig"}]}

    def code(self, challenge: str) -> str:
        made = secrets.token_hex(8)
        self._codes[made] = challenge
        return made

    def tokens(self, form: dict[str, str], authorization: str) -> Claims | None:
        """None for a client, a code or a verifier that is not right."""
        basic = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if authorization != f"Basic {basic}" or self._codes.pop(form["code"], None) != challenge:
            return None
        now = int(time.time())
        usual = {"iss": self.issuer, "aud": CLIENT_ID, "sub": "7", "iat": now, "exp": now + 300}
        said = {name: value for name, value in {**usual, **self.claims}.items() if value is not None}
        return {"access_token": "opaque", "token_type": "Bearer", "id_token": self.sign(said)}


@contextmanager
def running() -> Iterator[StandIn]:
    standin = StandIn()
    thread = threading.Thread(target=standin.server.serve_forever, daemon=True)
    thread.start()
    try:
        yield standin
    finally:
        standin.server.shutdown()
        standin.server.server_close()
        thread.join()


def _handler_of(standin: StandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            split = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(split.query).items()}
            documents: dict[str, Callable[[], Claims]] = {
                "/.well-known/openid-configuration": standin.description,
                "/keys": standin.keys,
                "/userinfo": lambda: {"sub": "7", **standin.userinfo},
            }
            if split.path in standin.failing:
                self._answer(400, {"error": "of the tests"})
            elif split.path == "/authorize":
                back = urlencode({"code": standin.code(query["code_challenge"]), "state": query["state"]})
                self._answer(302, {}, Location=f"{query['redirect_uri']}?{back}")
            elif split.path.startswith("/moved/"):
                self._answer(302, {}, Location=split.path.removeprefix("/moved"))
            elif split.path in documents:
                self._answer(200, documents[split.path]())
            else:
                self._answer(404, {})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            tokens = standin.tokens(form, self.headers["Authorization"])
            fails = "/token" in standin.failing or tokens is None
            self._answer(400 if fails else 200, {"error": "invalid_grant"} if fails else tokens)

        def _answer(self, status: int, body: Any, **headers: str) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            for name, value in {
                "Content-Type": "application/json",
                "Content-Length": str(len(content)),
                **headers,
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *arguments: object) -> None:
            """Quiet: the hub's own log tells what happened."""

    return Handler
