"""Course material on the real images, from a git server with TLS: what a link does with a click and without one, and that
nothing of a user's is lost.

Most of it asks a server of the image alone, without a hub: its pages are the same there.
"""

from __future__ import annotations

import html
import json
import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlencode

import docker
import docker.errors
import pytest
import requests
from docker.models.containers import Container
from playwright.sync_api import Page, expect

from hubdeploy.settings import loading
from tests.git_server import GitServer, git
from tests.hub import window
from tests.hub.authority import Authority
from tests.hub.browser import BrowserMachine
from tests.hub.clone import CHECKOUT, Clone
from tests.hub.waiting import until
from tests.ports import address_in

pytestmark = pytest.mark.slow

_PASSWORD = "password of these tests"
_ANSWER_WITHIN = 30
_FETCHED_WITHIN = 60
# As nbgitpuller's own link would have it, without the extension in front of it.
_PULL_AT_ONCE = """
import os, sys
from nbgitpuller.pull import GitPuller
address, notebooks, target = sys.argv[1:]
list(GitPuller(address, os.path.join(notebooks, target), branch="main").pull())
"""
_SERVER = (
    "exec /opt/jupyter/bin/python -m jupyter_server --ip=0.0.0.0 --no-browser --IdentityProvider.token=$TOKEN"
    " --ServerApp.root_dir=$NOTEBOOK_DIR"
)
# What another server of the image answers at a path.
_STATUS = (
    "/opt/jupyter/bin/jupyter server --no-browser --port=8999 --IdentityProvider.token=x {options} > /tmp/log 2>&1 & server=$!;"
    " for i in $(seq 300); do curl -s -o /dev/null http://127.0.0.1:8999/api && break; sleep 0.1; done;"
    " curl -s -o /dev/null -w '%{{http_code}}' -H 'Authorization: token x' 'http://127.0.0.1:8999/{path}';"
    " kill $server; wait $server; true"
)


@pytest.fixture(scope="module")
def git_server(client: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitServer]:
    # An address of this machine that containers reach.
    here = address_in(client.networks.get("bridge"))
    tls = Authority().tls(here, tmp_path_factory.mktemp("git-tls"))
    with GitServer(tmp_path_factory.mktemp("git"), here, tls) as started:
        yield started


@pytest.fixture(scope="module")
def lab(
    new_clone: Callable[..., Clone],
    chromium: BrowserMachine,
    git_server: GitServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Clone]:
    bundle = tmp_path_factory.mktemp("authority") / "bundle.pem"
    machines = loading.load(CHECKOUT, os.environ).extra_ca_bundle
    bundle.write_bytes((machines.read_bytes() if machines else b"") + Authority().pem)
    made = new_clone(
        "ada\n",
        USER_PASSWORD=_PASSWORD,
        EXTRA_CA_BUNDLE=str(bundle),
        ALLOWED_NETWORKS=git_server.url.removeprefix("https://"),
        COURSE_REPOSITORIES=f"{git_server.url}/physics/*",
    )
    made.up()
    chromium.reach(made)
    yield made
    made.remove()


@dataclass(frozen=True)
class Server:
    """A server of the image alone, and its user's browser."""

    container: Container
    url: str
    notebooks: str
    session: requests.Session

    def run(self, command: str, user: str = "") -> str:
        """What a command of its user prints."""
        done = self.container.exec_run(["bash", "-c", command], user=user, workdir=self.notebooks)
        assert isinstance(done.output, bytes)
        assert done.exit_code == 0, done.output.decode()
        return done.output.decode()

    def write(self, path: str, text: str) -> None:
        self.run(f"mkdir -p $(dirname '{path}') && printf %s '{text}' > '{path}'")

    def files(self) -> list[str]:
        """Everything in the home and in /tmp but what Jupyter itself writes there."""
        return self.run(
            "find /home /tmp -not -path '*/.local/*' -not -path '*/.cache/*' -not -path '*/.git/*' 2> /dev/null | sort"
        ).splitlines()

    def pull_at_once(self, address: str, target: str) -> None:
        words = [f"{address}.git", self.notebooks, target]
        done = self.container.exec_run(["/opt/jupyter/bin/python", "-c", _PULL_AT_ONCE, *words], workdir=self.notebooks)
        assert done.exit_code == 0, done.output

    def look(self, **link: str) -> requests.Response:
        return self.session.get(f"{self.url}/git-pull?{urlencode(link)}", timeout=_ANSWER_WITHIN)

    def press(self, **link: str) -> requests.Response:
        """What comes where a page's form says this."""
        form = {"_xsrf": self.session.cookies["_xsrf"], **link}
        return self.session.post(f"{self.url}/git-pull", data=form, timeout=_ANSWER_WITHIN, allow_redirects=False)

    def fetch(self, **link: str) -> str:
        """Presses the button and waits for the end: the address in JupyterLab, or the text of the page that says why not."""
        pressed = self.press(**link)
        if pressed.status_code != 303:
            return text_of(pressed)
        found: list[str] = []

        def is_over() -> bool:
            at = f"{self.url}{pressed.headers['Location']}"
            answer = self.session.get(at, timeout=_ANSWER_WITHIN, allow_redirects=False)
            found.append(unquote(answer.headers["Location"]) if answer.status_code == 302 else text_of(answer))
            return "Fetching course material" not in found[-1]

        until(is_over, _FETCHED_WITHIN, "the fetch is over")
        return found[-1]


def text_of(answer: requests.Response) -> str:
    body = re.sub(r"(?s)<style>.*?</style>", "", answer.text)
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", body)))


@pytest.fixture(scope="module")
def alone(lab: Clone, client: docker.DockerClient, git_server: GitServer) -> Iterator[Server]:
    token, notebooks = secrets.token_hex(16), lab.settings.notebook_dir
    container = client.containers.run(
        lab.settings.notebook_image,
        ["bash", "-c", _SERVER],
        name=f"{lab.name}-alone",
        environment={
            "TOKEN": token,
            "PYTHONPATH": "/usr/local/lib/notebook",
            "NOTEBOOK_COURSE_REPOSITORIES": f"{git_server.url}/physics/*",
        },
        ports={"8888/tcp": ("127.0.0.1", 0)},
        detach=True,
    )
    try:
        container.reload()
        url = f"http://127.0.0.1:{container.attrs['NetworkSettings']['Ports']['8888/tcp'][0]['HostPort']}"
        session = requests.Session()
        session.trust_env = False

        def answers() -> bool:
            with suppress(requests.ConnectionError):
                return session.get(f"{url}/git-pull?token={token}", timeout=_ANSWER_WITHIN).status_code == 403
            return False

        until(answers, _FETCHED_WITHIN, "the server answers")
        # A page with a token, as a user has who may press the button.
        session.get(f"{url}/lab", timeout=_ANSWER_WITHIN)
        yield Server(container, url, notebooks, session)
    finally:
        container.remove(force=True, v=True)


def notebook(*cells: str) -> str:
    """A notebook with a cell of each text."""
    made: dict[str, Any] = {"metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    made["cells"] = [
        {
            "cell_type": "code",
            "execution_count": None,
            "id": f"cell{number}",
            "metadata": {},
            "outputs": [],
            "source": [cell],
        }
        for number, cell in enumerate(cells)
    ]
    return json.dumps(made, indent=1, sort_keys=True) + "\n"


def test_a_link_alone_changes_nothing(alone: Server, git_server: GitServer) -> None:
    address = git_server.push("physics/quiet", {"a.txt": "1"})
    before, asked = alone.files(), len(git_server.asked)
    page = alone.look(repo=address, branch="main", urlpath="lab/tree/quiet/a.txt")
    assert page.status_code == 200
    for words in (address, "main", "courses/quiet", "Fetch it"):
        assert words in text_of(page)
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    # A form of another site has the cookies, and no token; one without a cookie is nobody's.
    link = {"repo": address, "targetpath": "quiet"}
    assert alone.session.post(f"{alone.url}/git-pull", data=link, timeout=_ANSWER_WITHIN).status_code == 403
    wrong = {**link, "_xsrf": "2|00000000|00000000000000000000000000000000|0"}
    assert alone.session.post(f"{alone.url}/git-pull", data=wrong, timeout=_ANSWER_WITHIN).status_code == 403
    assert requests.post(f"{alone.url}/git-pull", data=link, timeout=_ANSWER_WITHIN).status_code == 403
    # nbgitpuller's own addresses fetch what they are asked for.
    for path in ("git-pull/api", "git-sync", "interact"):
        there = f"{alone.url}/{path}?{urlencode({'repo': address, 'targetpath': '../.ssh/quiet'})}"
        assert alone.session.get(there, timeout=_ANSWER_WITHIN).status_code == 404
    assert alone.files() == before
    assert git_server.asked[asked:] == []


def test_without_the_setting_there_is_no_such_page(alone: Server) -> None:
    asked = _STATUS.format(options="", path="git-pull?repo=x")
    assert alone.run(f"unset NOTEBOOK_COURSE_REPOSITORIES; {asked}") == "404"


def test_nbgitpullers_own_pages_come_back_by_no_configuration(alone: Server) -> None:
    status = _STATUS.format(options="--ServerApp.jpserver_extensions nbgitpuller=True", path="git-pull/api?repo=x")
    assert alone.run(status) == "404"
    assert "No module named 'nbgitpuller.handlers'" in alone.run("cat /tmp/log")


@pytest.mark.parametrize("target", ["../.ssh/evil", "/tmp/evil"])
def test_a_target_elsewhere_is_refused_where_nbgitpuller_would_go_there(
    alone: Server, git_server: GitServer, target: str
) -> None:
    address = git_server.push("physics/walk", {"a.txt": "evil"})
    before = alone.files()
    for link in ({"targetpath": target}, {"targetPath": target}):
        assert "cannot be followed" in text_of(alone.look(repo=address, **link))
        assert "cannot be followed" in alone.fetch(repo=address, **link)
    assert alone.files() == before
    # Without the wall it is there.
    alone.pull_at_once(address, target)
    there = os.path.normpath(os.path.join(alone.notebooks, target))
    assert f"{there}/a.txt" in alone.files()
    alone.run(f"rm -rf '{there}'")


def test_a_link_in_the_home_leads_nowhere(alone: Server, git_server: GitServer) -> None:
    address = git_server.push("physics/led", {"a.txt": "evil"})
    alone.run("mkdir -p courses /tmp/outside && ln -sfn /tmp/outside courses/led && ln -sfn /tmp/outside courses/group")
    try:
        for link in ({}, {"targetpath": "group/led"}):
            assert "is a link" in alone.fetch(repo=address, **link)
        assert alone.run("ls -A /tmp/outside") == ""
        alone.pull_at_once(address, "courses/group/led")
        assert alone.run("cat /tmp/outside/led/a.txt") == "evil"
    finally:
        alone.run("rm -rf courses/led courses/group /tmp/outside")


def test_repositories_that_fit_no_entry_are_never_asked(alone: Server, git_server: GitServer) -> None:
    evil = git_server.push("evil/mechanics", {"a.txt": "evil"})
    before, asked = alone.files(), len(git_server.asked)
    for address in (
        evil,
        f"{git_server.url}/physics/../evil/mechanics",
        f"file:///{git_server.root}",
        "ext::touch /tmp/x",
    ):
        assert alone.look(repo=address).status_code == 403
        assert "cannot be followed" in alone.fetch(repo=address)
    for branch in ("--upload-pack=touch /tmp/x", "-u", "../x"):
        assert "cannot be followed" in alone.fetch(repo=f"{git_server.url}/physics/quiet", branch=branch)
    assert alone.files() == before
    assert git_server.asked[asked:] == []


def test_a_repository_that_leads_elsewhere_is_not_followed(alone: Server, git_server: GitServer) -> None:
    evil = git_server.push("evil/moved", {"a.txt": "evil"})
    git_server.moved["/physics/moved"] = evil
    asked = len(git_server.asked)
    before = alone.files()
    answer = alone.fetch(repo=f"{git_server.url}/physics/moved")
    assert "The repository could not be read." in answer
    assert "returned error: 301" in answer
    assert {one.split("/")[1] for one in git_server.asked[asked:]} == {"physics"}
    assert [one for one in alone.files() if one not in before] in ([], [f"{alone.notebooks}/courses"])


def test_submodules_are_not_fetched(alone: Server, git_server: GitServer) -> None:
    evil = git_server.push("evil/part", {"a.txt": "evil"})
    modules = f'[submodule "part"]\n\tpath = part\n\turl = {evil}.git\n'
    address = git_server.push("physics/whole", {"a.txt": "1", ".gitmodules": modules})
    asked = len(git_server.asked)
    assert alone.fetch(repo=address) == "/lab/tree/courses/whole"
    assert not [one for one in git_server.asked[asked:] if "evil" in one]


def test_what_a_user_changed_stays_and_what_is_new_comes(alone: Server, git_server: GitServer) -> None:
    cells = ["first = 1", "# between", "# between too", "last = 1"]
    files: dict[str, str | None] = {
        "a.ipynb": notebook(*cells), "both.txt": "one\ntwo\nthree\n", "gone.txt": "theirs", "deleted.txt": "theirs",
        "staged.txt": "theirs", ".gitignore": "*.out\n", "swapped": "theirs", "folder/x.txt": "theirs",
    }  # fmt: skip
    address = git_server.push("physics/kept", files)
    link = {"repo": address, "branch": "main", "urlpath": "lab/tree/kept/a.ipynb"}
    assert alone.fetch(**link) == "/lab/tree/courses/kept/a.ipynb"
    cells[0] = "first = 2  # mine"
    alone.write("courses/kept/a.ipynb", notebook(*cells))
    alone.write("courses/kept/both.txt", "one\nmine\nthree\n")
    alone.write("courses/kept/gone.txt", "mine: gone")
    alone.write("courses/kept/new.txt", "mine: new")
    alone.write("courses/kept/result.out", "mine: ignored")
    alone.write("courses/kept/own.txt", "mine: own")
    alone.write("courses/kept/staged.txt", "mine: staged")
    alone.run("cd courses/kept && rm deleted.txt swapped && git add staged.txt && rm -r folder")
    alone.write("courses/kept/swapped/mine.txt", "mine: swapped")
    alone.write("courses/kept/folder", "mine: folder")
    cells[0], cells[3] = "first = 1", "last = 3  # theirs"
    git_server.push(
        "physics/kept",
        {
            "a.ipynb": notebook(*cells), "both.txt": "one\ntheirs\nthree\nfour\n", "gone.txt": None, "new.txt": "theirs: new",
            "result.out": "theirs: not ignored", "swapped": "theirs 2", "folder/y.txt": "theirs: y",
        },
    )  # fmt: skip
    git_server.push("physics/kept", {"second.txt": "theirs: second"})
    assert alone.fetch(**link) == "/lab/tree/courses/kept/a.ipynb"
    joined = alone.run("cat courses/kept/a.ipynb")
    assert "first = 2  # mine" in joined
    assert "last = 3  # theirs" in joined
    assert alone.run("head -3 courses/kept/both.txt") == "one\nmine\nthree\n"
    everything = alone.run("cd courses/kept && find . -type f -not -path './.git/*' -exec cat {} +")
    for mine in ("gone", "new", "ignored", "own", "staged", "swapped", "folder"):
        assert f"mine: {mine}" in everything
    for theirs in ("new", "y", "second"):
        assert f"theirs: {theirs}" in everything
    # A file that was deleted comes back, as nbgitpuller promises.
    assert alone.run("cat courses/kept/deleted.txt") == "theirs"


@pytest.mark.parametrize("by_the_page", [True, False], ids=["by the page", "by nbgitpuller alone"])
def test_what_stands_in_the_place_of_the_repositorys_files_is_kept_by_the_page_alone(
    alone: Server, git_server: GitServer, by_the_page: bool
) -> None:
    name = f"swapped-{by_the_page}"
    address = git_server.push(f"physics/{name}", {"a.txt": "1", "folder/x.txt": "theirs"}, {"keys": "/tmp/keys"})
    at = f"courses/{name}"

    def pull() -> None:
        if by_the_page:
            assert alone.fetch(repo=address) == f"/lab/tree/{at}"
        else:
            alone.pull_at_once(address, at)

    pull()
    alone.run(f"rm -r {at}/folder; mkdir -p /tmp/keys")
    alone.write(f"{at}/folder", "mine: folder")
    alone.write("/tmp/keys/id_rsa", "key")
    git_server.work(f"physics/{name}").joinpath("keys").unlink()
    git_server.push(f"physics/{name}", {"keys/id_rsa": "theirs", "folder/y.txt": "theirs"})
    pull()
    kept = "mine: folder" in alone.run(f"find {at} -type f -not -path '*/.git/*' -exec cat {{}} +")
    assert (kept, alone.run("ls /tmp/keys") == "id_rsa\n") == (by_the_page, by_the_page)
    alone.run("rm -r /tmp/keys")


def test_what_cannot_be_joined_leaves_all_as_it_was(alone: Server, git_server: GitServer) -> None:
    address = git_server.push("physics/rewritten", {"a.txt": "1"})
    assert alone.fetch(repo=address) == "/lab/tree/courses/rewritten"
    alone.write("courses/rewritten/a.txt", "mine")
    work = git_server.work("physics/rewritten")
    git("checkout", "--quiet", "--orphan", "other", cwd=work)
    (work / "a.txt").write_text("rewritten")
    git("commit", "--quiet", "--all", "--message", "Rewritten", cwd=work)
    git("push", "--quiet", "--force", "origin", "HEAD:main", cwd=work)
    answer = alone.fetch(repo=address)
    assert "What is new could not be joined with your changes. Your files are as they were." in answer
    assert "unrelated histories" in answer
    assert alone.run("cat courses/rewritten/a.txt") == "mine"
    # As the page says.
    alone.run("mv courses/rewritten courses/rewritten-mine")
    assert alone.fetch(repo=address) == "/lab/tree/courses/rewritten"
    assert alone.run("cat courses/rewritten/a.txt courses/rewritten-mine/a.txt") == "rewrittenmine"


def test_a_clone_that_was_cut_off_is_made_anew(alone: Server, git_server: GitServer) -> None:
    address = git_server.push("physics/cut", {"a.txt": "1"})
    alone.write("courses/.nbgitpuller-in-the-making-x/cut/a.txt", "half")
    alone.run("mkdir -p courses/cut")
    assert alone.fetch(repo=address, urlpath="lab/tree/cut/missing.ipynb") == "/lab/tree/courses/cut"
    assert not [one for one in alone.files() if "in-the-making" in one]


def test_a_branch_that_is_not_there_and_a_tag(alone: Server, git_server: GitServer) -> None:
    address = git_server.push("physics/tagged", {"a.txt": "1"})
    git("tag", "v1", cwd=git_server.work("physics/tagged"))
    git("push", "--quiet", "origin", "v1", cwd=git_server.work("physics/tagged"))
    assert "The repository has no such branch." in alone.fetch(repo=address, branch="v2")
    for _ in range(2):
        assert alone.fetch(repo=address, branch="v1") == "/lab/tree/courses/tagged"
    assert "holds another branch than main" in alone.fetch(repo=address, branch="main")


def the_link(lab: Clone, address: str, file: str) -> str:
    """As nbgitpuller's link generator writes it."""
    name = address.rpartition("/")[2]
    query = urlencode({"repo": address, "urlpath": f"lab/tree/{name}/{file}", "branch": "main"})
    return f"{lab.url}/hub/user-redirect/git-pull?{query}"


def shot(page: Page, artifacts: Path, name: str) -> None:
    """A picture of a page on a desk and on a phone."""
    page.screenshot(path=artifacts / f"courses-{name}.png")
    page.set_viewport_size({"width": 390, "height": 844})
    page.screenshot(path=artifacts / f"courses-{name}-phone.png")
    page.set_viewport_size({"width": 1280, "height": 800})


def test_a_class_gets_its_material_and_what_is_new_by_one_link(
    lab: Clone, git_server: GitServer, page: Page, artifacts: Path
) -> None:
    cells = ["first = 1", "# between", "# between too", "last = 1"]
    address = git_server.push("physics/mechanics", {"week1/intro.ipynb": notebook(*cells)})
    link, ends_at = the_link(lab, address, "week1/intro.ipynb"), "**/lab/tree/courses/mechanics/week1/intro.ipynb**"

    def in_the_server(command: str) -> str:
        done = lab.container(lab.server_name("ada")).exec_run(
            ["bash", "-c", f"cd {lab.settings.notebook_dir}; {command}"]
        )
        assert isinstance(done.output, bytes)
        return done.output.decode()

    # From a chat: login, the server's start, the question.
    page.goto(link)
    page.get_by_label("Username:").fill("ada")
    page.locator("#password_input").fill(_PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    asks = page.get_by_role("heading", name="Course material")
    asks.wait_for(timeout=window.START_WITHIN)
    for words in (address, "main", "courses/mechanics"):
        expect(page.get_by_text(words, exact=True)).to_be_visible()
    shot(page, artifacts, "ask")
    page.emulate_media(color_scheme="dark")
    page.screenshot(path=artifacts / "courses-ask-dark.png")
    page.emulate_media(color_scheme="light")
    assert in_the_server("ls") == ""
    page.get_by_role("button", name="Fetch it").click()
    page.wait_for_url(ends_at, timeout=window.START_WITHIN)
    first = page.locator(".jp-Notebook .jp-CodeCell").first.locator(".cm-content")
    expect(first).to_have_text("first = 1", timeout=window.START_WITHIN)
    first.click()
    page.keyboard.press("End")
    page.keyboard.insert_text("  # mine")
    page.keyboard.press("Control+s")
    file = "courses/mechanics/week1/intro.ipynb"
    until(lambda: "# mine" in in_the_server(f"cat {file}"), _FETCHED_WITHIN, "the notebook is saved")

    # The teacher goes on, and everybody follows the same link.
    cells[3] = "last = 2  # theirs"
    git_server.push("physics/mechanics", {"week1/intro.ipynb": notebook(*cells), "week2/next.ipynb": notebook("2")})
    page.goto(link)
    expect(page.get_by_text("your own changes in it are kept")).to_be_visible()
    shot(page, artifacts, "again")
    page.get_by_role("button", name="Bring it up to date").click()
    page.wait_for_url(ends_at, timeout=window.START_WITHIN)
    joined = in_the_server(f"cat {file}")
    assert "# mine" in joined
    assert "# theirs" in joined
    assert "next.ipynb" in in_the_server("ls courses/mechanics/week2")

    # What goes wrong says so.
    git_server.push("chemistry/acids", {"a.ipynb": notebook("1")})
    page.goto(the_link(lab, f"{git_server.url}/chemistry/acids", "a.ipynb"))
    expect(page.get_by_text("is none of the repositories that this hub fetches course material from")).to_be_visible()
    shot(page, artifacts, "refused")
    page.goto(the_link(lab, f"{git_server.url}/physics/none", "a.ipynb"))
    page.get_by_role("button", name="Fetch it").click()
    expect(page.get_by_text("The repository could not be read.")).to_be_visible(timeout=window.RUN_WITHIN)
    shot(page, artifacts, "failed")
    assert in_the_server("ls -A courses").split() == ["mechanics"]
    # A form of another site has the cookies, and no token.
    answer = page.request.post(f"{lab.url}/user/ada/git-pull", form={"repo": address, "targetpath": "other"})
    assert answer.status == 403
