"""A real git server for tests: `git http-backend` behind a small web server, with TLS or without."""

from __future__ import annotations

import os
import ssl
import subprocess
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import urlsplit

from tests.web_server import WebServer

_ANSWER_WITHIN = 60
_AUTHOR = ("-c", "user.name=Teacher", "-c", "user.email=teacher@example.org", "-c", "commit.gpgSign=false")


def git(*words: str, cwd: Path) -> str:
    """What git prints; raises if it fails. Nobody's own configuration takes part."""
    environ = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"}
    found = subprocess.run(
        ["git", *_AUTHOR, *words],
        cwd=cwd,
        env=environ,
        capture_output=True,
        text=True,
        timeout=_ANSWER_WITHIN,
        check=False,
    )
    assert found.returncode == 0, f"git {' '.join(words)}: {found.stderr}"
    return found.stdout


class GitServer(WebServer):
    """Serves the repositories below `root` on `address` and a free port while it is entered; `url` is where they are.

    `moved` leads a path to another address, as a host does whose repository has moved. `asked` are all paths that were asked for,
    and `logins` what came with them to prove who asks."""

    def __init__(self, root: Path, address: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> None:
        self.root = root
        self.moved: dict[str, str] = {}
        self.asked: list[str] = []
        self.logins: list[str] = []
        super().__init__(address, _handler_of(self), tls)

    def push(self, name: str, files: dict[str, str | None], links: dict[str, str] | None = None) -> str:
        """One more commit on the branch main of a repository, which is made if need be: path -> text, or None to remove it;
        `links` are symbolic links, path -> target. The address of the repository."""
        bare, work = self.root / f"{name}.git", self.root / f"{name}.work"
        if not bare.exists():
            bare.parent.mkdir(parents=True, exist_ok=True)
            git("init", "--quiet", "--bare", "--initial-branch=main", str(bare), cwd=self.root)
            git("init", "--quiet", "--initial-branch=main", str(work), cwd=self.root)
            git("remote", "add", "origin", str(bare), cwd=work)
        for path, text in files.items():
            if text is None:
                (work / path).unlink()
                continue
            (work / path).parent.mkdir(parents=True, exist_ok=True)
            (work / path).write_text(text)
        for path, target in (links or {}).items():
            (work / path).parent.mkdir(parents=True, exist_ok=True)
            (work / path).symlink_to(target)
        git("add", "--all", ".", cwd=work)
        git("commit", "--quiet", "--allow-empty", "--message", "Material", cwd=work)
        git("push", "--quiet", "origin", "HEAD:main", cwd=work)
        return f"{self.url}/{name}"

    def work(self, name: str) -> Path:
        """The teacher's own folder of a repository."""
        return self.root / f"{name}.work"


def _handler_of(server: GitServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            split = urlsplit(self.path)
            server.asked.append(split.path)
            server.logins += [value for name, value in self.headers.items() if name.lower() == "authorization"]
            for path, target in server.moved.items():
                if split.path.startswith(path):
                    self.send_response(301)
                    self.send_header("Location", f"{target}{self.path.removeprefix(path)}")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
            self._answer(split.path, split.query, self.rfile.read(int(self.headers.get("Content-Length") or 0)))

        do_POST = do_GET

        def _answer(self, path: str, query: str, body: bytes) -> None:
            if not (server.root / path.lstrip("/")).parts or not _is_there(server.root, path):
                self.send_error(404)
                return
            environ = {
                "PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": str(server.root), "GIT_HTTP_EXPORT_ALL": "1",
                "PATH_INFO": path, "QUERY_STRING": query, "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""), "CONTENT_LENGTH": str(len(body)),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""), "GIT_CONFIG_NOSYSTEM": "1", "HOME": "/nonexistent",
                "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*",
            }  # fmt: skip
            done = subprocess.run(
                ["git", "http-backend"],
                env=environ,
                input=body,
                capture_output=True,
                timeout=_ANSWER_WITHIN,
                check=False,
            )
            head, _, content = done.stdout.partition(b"\r\n\r\n")
            headers = [line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line]
            status = next((int(value.split()[0]) for name, value in headers if name == "Status"), 200)
            self.send_response(status)
            for name, value in headers:
                if name != "Status":
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *arguments: object) -> None:
            """Quiet."""

    return Handler


def _is_there(root: Path, path: str) -> bool:
    """Only an address with `.git` is one here, as at GitLab."""
    return any((root / above.lstrip("/")).suffix == ".git" for above in _beginnings(path))


def _beginnings(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
