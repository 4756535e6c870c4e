"""A user without a browser: logs in with a password, starts a server, speaks to its kernels. TLS is always verified,
against the deployment's own certificate.
"""

from __future__ import annotations

import json
import ssl
import time
import uuid
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urljoin, urlsplit

import requests
import websocket

from tests.hub.waiting import until

_ANSWER_WITHIN = 30
_START_WITHIN = 120
_RUN_WITHIN = 60


class Person:
    """One user: `log_in` keeps cookies as a browser would; `call` speaks with a token alone, as a program would."""

    def __init__(self, url: str, name: str, certificate: Path) -> None:
        """`url` is the deployment's, `certificate` what the user's browser trusts."""
        self.name = name
        self.url = url
        self.certificate = str(certificate)
        self._window = self._new_session()
        self._program = self._new_session()

    @property
    def base_url(self) -> str:
        """The path below which the deployment answers, with a slash at both ends."""
        return f"{urlsplit(self.url).path}/"

    def _new_session(self) -> requests.Session:
        session = requests.Session()
        session.verify = self.certificate
        # A bundle or a proxy from the environment would override these arguments.
        session.trust_env = False
        return session

    def log_in(self, password: str) -> requests.Response:
        """The hub's answer to the login form: 200 at the page after it, or 403."""
        self._window.get(f"{self.url}/hub/login", timeout=_ANSWER_WITHIN)
        form = {"username": self.name, "password": password, "_xsrf": self._window.cookies["_xsrf"]}
        there = {"next": f"{self.base_url}hub/home"}
        return self._window.post(f"{self.url}/hub/login", params=there, data=form, timeout=_ANSWER_WITHIN)

    def log_in_with_github(self) -> requests.Response:
        """The hub's answer to a login through the stand-in for GitHub."""
        question = self._window.get(f"{self.url}/hub/oauth_login", timeout=_ANSWER_WITHIN)
        asked = parse_qs(urlsplit(question.url).query)
        form = {"login": self.name, "redirect_uri": asked["redirect_uri"], "state": asked["state"]}
        return self._window.get(urljoin(question.url, "/session"), params=form, timeout=_ANSWER_WITHIN)

    def take_token(self) -> None:
        """An API token of their own, which speaks for them from now on."""
        headers = {
            "X-XSRFToken": self._window.cookies.get("_xsrf", path=f"{self.base_url}hub/"),
            "Referer": f"{self.url}/hub/token",
        }
        url = f"{self.url}/hub/api/users/{self.name}/tokens"
        answer = self._window.post(url, json={}, headers=headers, timeout=_ANSWER_WITHIN)
        answer.raise_for_status()
        self.token = answer.json()["token"]
        self._program.headers["Authorization"] = f"token {self.token}"

    def enter(self, password: str) -> Self:
        """Logs in, and takes a token."""
        assert self.log_in(password).ok
        self.take_token()
        return self

    def page(self, path: str) -> str:
        """A page of the hub as their browser gets it."""
        return self._window.get(f"{self.url}{path}", timeout=_ANSWER_WITHIN).text

    def post_as_another_site(self, path: str) -> requests.Response:
        """What a form of another site would send: the browser's cookies, and no token of the hub's page."""
        return self._window.post(f"{self.url}{path}", data={}, timeout=_ANSWER_WITHIN)

    def call(self, method: str, path: str, **arguments: Any) -> requests.Response:
        """A request with the token, and without cookies."""
        return self._program.request(method, f"{self.url}{path}", timeout=_ANSWER_WITHIN, **arguments)

    def start_server(self, kind: str = "") -> None:
        """Returns when the server, of this kind if it is named, is ready; a running server is ready."""
        asked = {"kind": kind} if kind else None
        answer = self.call("POST", f"/hub/api/users/{self.name}/server", json=asked)
        assert answer.status_code in (201, 202, 400), answer.text
        until(self._is_ready, _START_WITHIN, f"the server of {self.name} is ready")

    def start_safely(self) -> None:
        """As start_server, by the option that leaves settings and packages aside; the server must not run."""
        asked = {"user_options": {"safe_start": True}}
        self.call("POST", f"/hub/api/users/{self.name}/server", json=asked).raise_for_status()
        self.start_server()

    def at_work(self, password: str) -> Kernel:
        """Logs in, and has a server with a kernel that answers."""
        self.enter(password)
        self.start_server()
        kernel = self.open_kernel()
        assert kernel.run("print(6 * 7)") == "42\n"
        return kernel

    def servers(self) -> dict[str, Any]:
        """The servers that the hub knows of; the only one's name is empty."""
        return dict(self.call("GET", f"/hub/api/users/{self.name}").json()["servers"])

    def _is_ready(self) -> bool:
        return bool(self.servers().get("", {}).get("ready"))

    def open_kernel(self) -> Kernel:
        answer = self.call("POST", f"/user/{self.name}/api/kernels", json={"name": "python3"})
        answer.raise_for_status()
        return Kernel(self, answer.json()["id"])


class Kernel:
    """A running kernel, over one websocket that stays open until `close`."""

    def __init__(self, person: Person, kernel: str) -> None:
        self.path = f"/user/{person.name}/api/kernels/{kernel}"
        self._id = uuid.uuid4().hex
        self.socket = websocket.create_connection(
            f"{person.url.replace('https', 'wss', 1)}{self.path}/channels?session_id={self._id}",
            header=[f"Authorization: token {person.token}"],
            sslopt={"ca_certs": person.certificate, "cert_reqs": ssl.CERT_REQUIRED},
            timeout=_RUN_WITHIN,
        )

    def run(self, code: str) -> str:
        """What the code printed; raises AssertionError if it raised an exception."""
        request = self.send(code)
        printed: list[str] = []
        deadline = time.monotonic() + _RUN_WITHIN
        while time.monotonic() < deadline:
            message = self.receive()
            if message["parent_header"].get("msg_id") != request:
                continue
            content = message["content"]
            assert message["msg_type"] != "error", "\n".join(content["traceback"])
            if message["msg_type"] == "stream" and content["name"] == "stdout":
                printed.append(content["text"])
            if message["msg_type"] == "status" and content["execution_state"] == "idle":
                return "".join(printed)
        raise AssertionError(f"the kernel was still busy after {_RUN_WITHIN} s with:\n{code}")

    def receive(self) -> dict[str, Any]:
        """The next message of any channel."""
        return dict(json.loads(self.socket.recv()))

    def close(self) -> None:
        self.socket.close()

    def send(self, code: str) -> str:
        """Has the code run and does not wait for it; the id of the request."""
        header = {"msg_id": uuid.uuid4().hex, "msg_type": "execute_request", "username": "", "session": self._id}
        content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False}
        header |= {"version": "5.3", "date": ""}
        message = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
        self.socket.send(json.dumps(message))
        return header["msg_id"]
