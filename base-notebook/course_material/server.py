"""The pages of course material: what a link names, the question, progress, and what went wrong.

To look at a page changes nothing. Only the button's form, which carries Jupyter Server's token against requests of other
sites, begins to fetch; all that it says is checked anew. One thing is fetched at a time.
"""

import asyncio
import os
import secrets
import signal
import sys
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2
from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.utils import url_escape, url_path_join
from tornado import web

from course_material import fetching, links, places
from course_material.links import COURSES, Link, Refused

REPOSITORIES = "NOTEBOOK_COURSE_REPOSITORIES"
_FOLDER = Path(__file__).parent
# Seconds.
_FETCHED_WITHIN = 1200.0
_LOG_LINES, _LONGEST_LINE, _REMEMBERED = 200, 1000, 20
_WHOM = "whoever gave you the link, or whoever runs this hub"
_ASK = f"Ask {_WHOM}."
_FAILURES = {
    fetching.NO_BRANCH: ("The repository has no such branch.", _ASK),
    fetching.UNREACHABLE: (
        "The repository could not be read.",
        "Try again in a while. It may be away, out of this hub's reach, or not for everybody to read."
        f" If it stays so, ask {_WHOM}.",
    ),
    fetching.CONFLICT: (
        "What is new could not be joined with your changes.",
        "Your files are as they were. Rename the folder in JupyterLab and open the link again: the material comes as new, and"
        " you can copy from your folder what you need.",
    ),
    fetching.BUSY: ("Another program works on this folder with git.", "Wait until it has ended, then try again."),
}
_OTHER_FAILURE = ("The material could not be fetched.", f"Your files are all there. {_ASK}")
_TOO_LONG = ("It took too long.", f"Try again in a while. {_ASK}")
# No script, no frame around it, nothing from elsewhere; the button's form stays here.
_POLICY = (
    "default-src 'none'; style-src 'self' 'unsafe-inline'; img-src 'self'; form-action 'self'; frame-ancestors 'none';"
    " base-uri 'none'"
)


@dataclass
class Fetch:
    """One that was begun; `failure` and `advice` are empty while it runs, and where all went well."""

    link: Link
    id: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    log: deque[str] = field(default_factory=lambda: deque(maxlen=_LOG_LINES))
    is_over: bool = False
    failure: str = ""
    advice: str = ""


class Material:
    """The course material of one server: `notebooks` is the notebook directory, `root` what the server's addresses begin at."""

    def __init__(self, notebooks: Path, root: Path, allowed: str) -> None:
        self.notebooks, self.root = notebooks, root
        self._allowed = links.entries(allowed)
        self._fetches: dict[str, Fetch] = {}
        self._task: asyncio.Task[None] | None = None

    def link(self, said: dict[str, str]) -> Link:
        """Raises Refused."""
        repository = links.fitting(said["repo"], self._allowed)
        folder = links.folder(said["targetpath"], repository)
        file = links.file_in(said["urlpath"], said["subpath"], folder, repository)
        return Link(repository, links.branch(said["branch"]), folder, file)

    def place(self, link: Link) -> places.Place:
        """Raises Refused."""
        return places.place(self.notebooks, link)

    def begin(self, link: Link) -> Fetch | None:
        """Begins to fetch; the fetch that runs already if it is of this link, and None if it is another's. Raises Refused."""
        running = self.running()
        if running:
            return running if running.link == link else None
        place = self.place(link)
        fetch = Fetch(link)
        self._fetches[fetch.id] = fetch
        while len(self._fetches) > _REMEMBERED:
            del self._fetches[next(iter(self._fetches))]
        job = fetching.Job(link.repository.url, link.branch, str(place.path), place.is_new)
        self._task = asyncio.ensure_future(_run(fetch, job))
        return fetch

    def running(self) -> Fetch | None:
        return next((one for one in self._fetches.values() if not one.is_over), None)

    def fetch(self, id: str) -> Fetch | None:
        return self._fetches.get(id)

    def page_of(self, link: Link) -> str:
        """The address of JupyterLab, below the server's own, with the link's file; where there is no such file, its folder."""
        folder = self.notebooks.joinpath(COURSES, *link.folder)
        file = folder.joinpath(*link.file)
        is_inside = file.exists() and file.resolve().is_relative_to(folder.resolve())
        path = (file if is_inside else folder).relative_to(self.root).as_posix()
        address: str = url_path_join("lab/tree", url_escape(path))
        return address


async def _run(fetch: Fetch, job: fetching.Job) -> None:
    """Does the job to its end, and says in `fetch` how it went."""
    try:
        code = await asyncio.wait_for(_follow(fetch, job), _FETCHED_WITHIN)
        if code:
            fetch.failure, fetch.advice = _FAILURES.get(code, _OTHER_FAILURE)
    except TimeoutError:
        fetch.failure, fetch.advice = _TOO_LONG
    except OSError as error:
        fetch.failure, fetch.advice = _OTHER_FAILURE
        fetch.log.append(str(error))
    finally:
        fetch.is_over = True


async def _follow(fetch: Fetch, job: fetching.Job) -> int:
    """The exit code of the job's process, which is gone in any case."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(_FOLDER / "fetching.py"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=fetching.environment(os.environ, fetch.link.repository.scheme),
        cwd="/",
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    log = fetch.log
    try:
        process.stdin.write(job.to_json())
        process.stdin.close()
        while piece := await process.stdout.read(_LONGEST_LINE):
            lines = ((log.pop() if log else "") + piece.decode(errors="replace")).splitlines(keepends=True)
            log.extend(line[:_LONGEST_LINE] for line in lines)
        return await process.wait()
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


class _Page(JupyterHandler):  # type: ignore[misc]  # its package is in the image only
    auth_resource = "course-material"

    def initialize(self, material: Material, templates: jinja2.Environment) -> None:
        self.material, self.templates = material, templates

    @property
    def content_security_policy(self) -> str:
        return _POLICY

    def check_user(self) -> None:
        """Others, admins for example, may look at this server; what comes into the home its own user decides."""
        if self.current_user.username != os.environ.get("JUPYTERHUB_USER", self.current_user.username):
            raise web.HTTPError(403, "only the server's own user can do that")

    def said(self) -> dict[str, str]:
        """What link or form says, by nbgitpuller's names; it knows some in two spellings."""
        spellings = {
            "repo": ("repo",),
            "branch": ("branch",),
            "targetpath": ("targetpath", "targetPath"),
            "urlpath": ("urlpath", "urlPath"),
            "subpath": ("subpath", "subPath"),
        }
        given = {name: [self.get_argument(one, "") for one in ones] for name, ones in spellings.items()}
        return {name: next(filter(None, values), "") for name, values in given.items()}

    def show(self, state: str, status: int = 200, **values: Any) -> None:
        self.set_status(status)
        self.set_header("Cache-Control", "no-store")
        hub = os.environ.get("JUPYTERHUB_BASE_URL", "/") + "hub/"
        lab = url_path_join(self.base_url, "lab")
        page = self.templates.get_template("page.html")
        self.finish(page.render(state=state, hub=hub, lab=lab, courses=COURSES, ask=_ASK, **values))

    def refuse(self, refused: Refused, status: int = 403) -> None:
        self.show("refused", status, reason=str(refused))


class LinkPage(_Page):
    """`git-pull`, where nbgitpuller's links lead: asks, and begins to fetch."""

    @web.authenticated
    @authorized  # type: ignore[untyped-decorator]
    async def get(self) -> None:
        self.check_user()
        said = self.said()
        try:
            link = self.material.link(said)
            place = self.material.place(link)
        except Refused as refused:
            self.refuse(refused)
            return
        token = self.xsrf_token.decode()
        self.show("ask", link=link, is_new=place.is_new, said=said, xsrf=token)

    @web.authenticated
    @authorized  # type: ignore[untyped-decorator]
    async def post(self) -> None:
        self.check_user()
        try:
            fetch = self.material.begin(self.material.link(self.said()))
        except Refused as refused:
            self.refuse(refused)
            return
        if fetch is None:
            self.refuse(
                Refused("Other material is being fetched. Wait until that is over, then go back and try again."), 409
            )
            return
        self.redirect(url_path_join(self.base_url, "git-pull", fetch.id), status=303)


class ProgressPage(_Page):
    """`git-pull/ID`: how it goes; leads to JupyterLab in the end."""

    @web.authenticated
    @authorized  # type: ignore[untyped-decorator]
    async def get(self, id: str) -> None:
        self.check_user()
        fetch = self.material.fetch(id)
        if fetch is None:
            self.refuse(Refused("This page is of a server that has ended. Open the link again."), 404)
        elif not fetch.is_over:
            self.show("running", link=fetch.link, log=list(fetch.log)[-8:])
        elif fetch.failure:
            self.show("failed", link=fetch.link, fetch=fetch, log=list(fetch.log))
        else:
            self.redirect(url_path_join(self.base_url, self.material.page_of(fetch.link)))


def load(serverapp: Any) -> None:
    templates = jinja2.Environment(loader=jinja2.FileSystemLoader(_FOLDER), autoescape=True)
    notebooks = Path(os.environ.get("NOTEBOOK_DIR", serverapp.root_dir))
    material = Material(notebooks, Path(serverapp.root_dir), os.environ[REPOSITORIES])
    base = url_path_join(serverapp.base_url, "git-pull")
    shared = {"material": material, "templates": templates}
    serverapp.web_app.add_handlers(
        ".*$", [(base, LinkPage, shared), (f"{base}/([A-Za-z0-9_-]+)", ProgressPage, shared)]
    )
