"""What lasts of a user's home, what they install, and how they come back when something in the home is broken."""

from __future__ import annotations

import io
import json
import secrets
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest
from playwright.sync_api import Page, expect

from hubdeploy.contract import labels
from tests.hub import window
from tests.hub.clone import Clone
from tests.hub.person import Person
from tests.hub.waiting import until
from tests.hub.wheels import WHEEL_NAME, make_wheel

KEEPER, BREAKER = "keeper", "breaker"
_HOME, _LAYER = "/home/{user}", "$HOME/.local/share/notebook/python3.*"
_SITE = f"{_LAYER}/lib/python3.*/site-packages"


def shell(hub: Clone, user: str, script: str) -> str:
    """What a script prints in the user's container, as the user; raises AssertionError if it failed."""
    home = f"/home/{hub.settings.nb_user}"
    ran = hub.container(hub.server_name(user)).exec_run(
        ["bash", "-ec", script], user=str(hub.settings.nb_uid), environment={"HOME": home}
    )
    assert isinstance(ran.output, bytes)
    assert ran.exit_code == 0, ran.output.decode()
    return ran.output.decode()


# -- what lasts -------------------------------------------------------------------------------------------------------

INSTALL = f"""
import subprocess, sys
{make_wheel("trial_one")}
{make_wheel("trial_two")}
{make_wheel("trial_three")}
get_ipython().run_line_magic("pip", "install --quiet --no-index /tmp/{WHEEL_NAME.format("trial_one")}")
print(subprocess.run(["bash", "-lc", '''
    pip install --quiet --no-index /tmp/{WHEEL_NAME.format("trial_two")}
    pip install --quiet --no-index --user /tmp/{WHEEL_NAME.format("trial_three")}
    python -m venv --without-pip ~/envs/own
    python -m ipykernel install --user --name own >/dev/null
    git config --global user.name Keeper 2>/dev/null || printf "[user]\\n" > ~/.gitconfig
    mkdir -m 700 ~/.ssh && echo key > ~/.ssh/id && echo kept > ~/work/notes.txt
    touch /opt/conda/mine /opt/jupyter/mine 2>&1 | grep --count "Read-only file system"
'''], capture_output=True, text=True).stdout)
"""
LOOK = """
import json, os, subprocess, sys
import trial_one, trial_two, trial_three
home = os.path.expanduser("~")
def out(command):
    return subprocess.run(["bash", "-lc", command], capture_output=True, text=True).stdout.strip()
print(json.dumps({
    "answers": [trial_one.answer, trial_two.answer, trial_three.answer],
    "kept": [os.path.exists(f"{home}/{name}") for name in (".gitconfig", ".ssh/id", "envs/own/bin/python", "work/notes.txt")],
    "ipython": out("ipython -c 'import trial_one; print(trial_one.answer)' 2>/dev/null | tail -1")[:2],
    "python": out("python -c 'import trial_two; print(trial_two.answer)'"),
    "own": out("~/envs/own/bin/python -c 'import trial_one' 2>&1 | tail -1"),
    "jupyter": out("/opt/jupyter/bin/python -c 'import trial_one' 2>&1 | tail -1"),
}))
"""


def test_a_home_and_what_was_installed_in_it_last_over_a_stop_and_a_start(
    hub: Clone, logged_in: Callable[[str], Person]
) -> None:
    keeper = logged_in(KEEPER)
    keeper.start_server()
    kernel = keeper.open_kernel()
    assert kernel.run(INSTALL).split()[-1] == "2"
    kernel.close()
    hub.stop_server(keeper)
    keeper.start_server()
    kernel = keeper.open_kernel()
    nothing = "ModuleNotFoundError: No module named 'trial_one'"
    assert json.loads(kernel.run(LOOK)) == {
        "answers": [42, 42, 42], "kept": [True] * 4, "ipython": "42", "python": "42", "own": nothing, "jupyter": nothing,
    }  # fmt: skip
    assert set(keeper.call("GET", f"/user/{KEEPER}/api/kernelspecs").json()["kernelspecs"]) == {"python3", "own"}
    # What the server writes while it runs is not in the home.
    assert shell(hub, KEEPER, "find ~ -name 'jpserver-*' -o -type s") == ""
    assert kernel.run("!reset-my-packages\n!python -c 'import trial_one' 2>&1 | tail -1").splitlines()[-1] == nothing
    kernel.close()


# -- another image under a home that exists ---------------------------------------------------------------------------


@contextmanager
def volume(client: docker.DockerClient) -> Iterator[str]:
    made = client.volumes.create(f"hubtest-{secrets.token_hex(4)}")
    try:
        yield made.name
    finally:
        made.remove(force=True)


@contextmanager
def derived(client: docker.DockerClient, image: str, script: str) -> Iterator[str]:
    """An image built on `image` by a script that root runs."""
    name = f"hubtest-{secrets.token_hex(4)}"
    dockerfile = f"FROM {image}\nUSER root\nRUN {script}\nUSER 1000\n"
    client.images.build(fileobj=io.BytesIO(dockerfile.encode()), tag=name, rm=True)
    try:
        yield name
    finally:
        client.images.remove(name, force=True)


def as_server(client: docker.DockerClient, image: str, home: str, code: str) -> str:
    """What the code prints where a server would run, on this home."""
    program = (
        "import os, sys; sys.path.insert(0, '/usr/local/lib/notebook'); import home; home.prepare(os.environ);"
        " python = os.environ.get('NOTEBOOK_PYTHON', '/opt/conda/bin/python'); os.execv(python, [python, '-c', sys.argv[1]])"
    )
    return client.containers.run(
        image, ["-c", program, code], entrypoint="/opt/jupyter/bin/python", remove=True,
        environment={"HOME": "/home/cryptic"}, volumes={home: {"bind": "/home/cryptic"}},
    ).decode()  # fmt: skip


LOOK_AT_IMAGE = """
import os, subprocess, sys
print(sys.prefix, os.environ.get("NOTEBOOK_START_NOTICE"))
print(subprocess.run(["bash", "-lc", "echo $LAB; ls ~"], capture_output=True, text=True).stdout)
"""


def test_a_new_image_reaches_a_home_that_exists(client: docker.DockerClient, notebook_image: str) -> None:
    new = "echo 'export LAB=physics' > /etc/profile.d/lab.sh && touch /home/cryptic/of-the-image"
    with volume(client) as home, derived(client, notebook_image, new) as image:
        before = as_server(client, notebook_image, home, f"{LOOK_AT_IMAGE}open('/home/cryptic/own', 'w')")
        after = as_server(client, image, home, LOOK_AT_IMAGE).split()
    assert "physics" not in before
    assert "physics" in after
    assert "own" in after
    assert "of-the-image" not in after, "the engine fills a volume once: defaults belong outside the home"


def test_another_python_begins_anew_and_says_so(client: docker.DockerClient, notebook_image: str) -> None:
    new = "cd /usr/local/lib/notebook/layer/lib && mv python3.* python3.99"
    with volume(client) as home, derived(client, notebook_image, new) as image:
        prefix, notice = as_server(client, notebook_image, home, LOOK_AT_IMAGE).splitlines()[0].split(" ", 1)
        other, said = as_server(client, image, home, LOOK_AT_IMAGE).splitlines()[0].split(" ", 1)
        _, said_again = as_server(client, image, home, LOOK_AT_IMAGE).splitlines()[0].split(" ", 1)
    assert (notice, said_again) == ("None", "None")
    assert other != prefix
    assert other.endswith("/python3.99")
    assert f"for {prefix.rpartition('/')[2]} and are left aside" in said


def test_another_distribution_with_the_same_python_is_found(client: docker.DockerClient, notebook_image: str) -> None:
    new = "echo 'note = another' >> /usr/local/lib/notebook/layer/pyvenv.cfg"
    look = "import sys; print(open(sys.prefix + '/pyvenv.cfg').read())"
    with volume(client) as home, derived(client, notebook_image, new) as image:
        assert "another" not in as_server(client, notebook_image, home, look)
        assert "another" in as_server(client, image, home, look)


# -- a home that is broken --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Way:
    """A way to break a home. `script` does it in the running server, `as_root` after it, from outside. `safe`: what the next
    start says of itself, empty for an ordinary start. `kernel`: whether a kernel runs then. `full`: the home is a tmpfs, full
    from the first start or later."""

    script: str = "true"
    safe: str = ""
    kernel: bool = True
    full: str = ""
    as_root: str = ""


_EXITS = "import os; os._exit(3)"
WAYS = {
    "a full home on first use": Way(safe="Your home is full", full="first"),
    "a home that was used and is full": Way(
        "head -c 100M /dev/zero > ~/filler || true", safe="Your home is full", full="later"
    ),
    ".local of root": Way(safe="~/.local cannot be written to by UID", as_root="chown -R 0 /home/cryptic/.local"),
    "a server configuration that exits": Way(
        f"mkdir -p ~/.jupyter && echo '{_EXITS}' > ~/.jupyter/jupyter_server_config.py",
        safe="The ordinary start failed. The server ended with exit code 3",
    ),
    "a server configuration with a syntax error": Way(
        "mkdir -p ~/.jupyter && echo 'c.X = (' > ~/.jupyter/jupyter_server_config.py"
    ),
    "an IPython start-up file that exits": Way(
        f"mkdir -p ~/.ipython/profile_default/startup && echo '{_EXITS}' > ~/.ipython/profile_default/startup/00.py",
        kernel=False,
    ),
    ".bashrc that exits": Way("echo exit >> ~/.bashrc && echo exit > ~/.bash_profile"),
    "a package that shadows one of the kernel's": Way(
        f"mkdir $(echo {_SITE})/tornado && echo 'raise SystemExit(1)' > $(echo {_SITE})/tornado/__init__.py",
        kernel=False,
    ),
    "a .pth file that exits": Way(f"echo '{_EXITS}' > $(echo {_SITE})/own.pth", kernel=False),
}
_BUTTON = "Stop my server and start it safely"
# Seconds: the server starts a kernel six times, and looks each 3 s whether it has ended.
_SAID_WITHIN = 60
ASK = "import os; print(6 * 7, os.environ.get('NOTEBOOK_SAFE_START', 'ordinary'), os.path.expanduser('~'))"


@pytest.fixture
def breaker(hub: Clone, logged_in: Callable[[str], Person]) -> Iterator[Person]:
    """A user whose home and server do not exist yet."""
    person = logged_in(BREAKER)
    _forget(hub, person)
    yield person
    _forget(hub, person)


def _forget(hub: Clone, person: Person) -> None:
    if person.servers():
        hub.stop_server(person)
    for template in hub.settings.volume_templates:
        name = template.format(username=person.name)
        if hub.has_volume(name):
            hub.client.volumes.get(name).remove()


def make_home(hub: Clone, user: str, **options: Any) -> str:
    """The name of a new volume for the user's home, with the labels that the hub gives it: it goes with the deployment."""
    own = {labels.DEPLOYMENT: hub.name, labels.ROLE: "volume", labels.UID: str(hub.settings.nb_uid)}
    made = hub.client.volumes.create(hub.settings.home_volume.format(username=user), labels=own, **options)
    return str(made.name)


@contextmanager
def small_home(hub: Clone, user: str, *, filled: bool) -> Iterator[None]:
    """The user's home on a tmpfs of 20 MB, kept by a container that mounts it."""
    options = {"type": "tmpfs", "device": "tmpfs", "o": f"size=20m,uid={hub.settings.nb_uid},gid=100,mode=755"}
    name = make_home(hub, user, driver="local", driver_opts=options)
    fill = "head -c 100M /dev/zero > /home/filler; " if filled else ""
    holder = hub.client.containers.run(
        hub.settings.notebook_image, ["sh", "-c", f"{fill}sleep 600"], user=str(hub.settings.nb_uid), detach=True,
        volumes={name: {"bind": "/home"}}, labels={labels.DEPLOYMENT: hub.name, labels.ROLE: labels.ONE_OFF},
    )  # fmt: skip
    try:
        yield
    finally:
        holder.remove(force=True)


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_nothing_in_a_home_keeps_its_user_out(hub: Clone, breaker: Person, way: str) -> None:
    how = WAYS[way]
    if how.full:
        with small_home(hub, BREAKER, filled=how.full == "first"):
            _assert_is_let_in(hub, breaker, how)
            hub.stop_server(breaker)
    else:
        _assert_is_let_in(hub, breaker, how)


def _assert_is_let_in(hub: Clone, breaker: Person, how: Way) -> None:
    if how.full != "first":
        breaker.start_server()
        breaker.open_kernel().close()
        shell(hub, BREAKER, how.script)
        hub.stop_server(breaker)
        if how.as_root:
            home = hub.settings.home_volume.format(username=BREAKER)
            hub.client.containers.run(
                hub.settings.notebook_image, ["-c", how.as_root], entrypoint="/bin/sh", user="0", remove=True,
                volumes={home: {"bind": "/home/cryptic"}},
            )  # fmt: skip
    breaker.start_server()
    server = f"/user/{BREAKER}/api"
    assert breaker.call("GET", f"{server}/contents/").status_code == 200
    if how.kernel:
        kernel = breaker.open_kernel()
        answer = kernel.run(ASK)
        assert answer.startswith("42 ")
        assert how.safe in answer if how.safe else " ordinary " in answer
        kernel.close()
    else:
        breaker.call("POST", f"{server}/kernels", json={"name": "python3"}).raise_for_status()
        until(
            lambda: _BUTTON in breaker.call("GET", f"{server}/hub-notices").text,
            _SAID_WITHIN,
            "the user knows what helps",
        )
    if how.safe:
        return
    # What an ordinary start cannot see, a user leaves aside by the button.
    hub.stop_server(breaker)
    breaker.start_safely()
    kernel = breaker.open_kernel()
    assert kernel.run(ASK) == (
        "42 This is a safe start. You asked for it. Your files are all here, in /home/cryptic. Your settings and the packages"
        " that you installed are left aside until the next ordinary start. /run/notebook/home\n"
    )
    kernel.close()


# -- in the browser ---------------------------------------------------------------------------------------------------

EXTENSION = """
mkdir -p ~/.local/share/jupyter/labextensions/mine/static
cd ~/.local/share/jupyter/labextensions/mine
echo '{"name": "mine", "version": "1.0.0", "jupyterlab":' > package.json
echo '{"_build": {"load": "static/remoteEntry.js", "extension": "./extension"}}}' >> package.json
cat > static/remoteEntry.js <<'END'
const plugin = { id: 'mine:plugin', autoStart: true, activate: () => { BODY } };
var _JUPYTERLAB; (_JUPYTERLAB = _JUPYTERLAB || {}).mine = {
  init: () => {}, get: async () => () => ({ __esModule: true, default: plugin }) };
END
"""
FRONT_END = {
    "never resolves": "return new Promise(() => {});",
    "loops": "for (;;) {}",
    "wipes the page": "setInterval(() => { document.body.innerHTML = ''; }, 50);",
}


@pytest.mark.slow
@pytest.mark.parametrize("extension", [name for name in FRONT_END if name != "wipes the page"])
def test_an_extension_of_the_users_own_does_not_keep_them_out(
    hub: Clone, breaker: Person, new_page: Callable[[], Page], extension: str
) -> None:
    _assert_button_helps(hub, breaker, new_page, FRONT_END[extension])


def test_the_button_of_the_home_page_starts_safely_and_the_page_says_why(
    hub: Clone, breaker: Person, new_page: Callable[[], Page], artifacts: Path
) -> None:
    page = _assert_button_helps(hub, breaker, new_page, FRONT_END["wipes the page"])
    page.screenshot(path=artifacts / "safe-start.png")


def _assert_button_helps(hub: Clone, breaker: Person, new_page: Callable[[], Page], body: str) -> Page:
    breaker.start_server()
    shell(hub, BREAKER, EXTENSION.replace("BODY", body))
    broken = new_page()
    window.log_in(broken, hub.url, BREAKER, hub.user_password)
    broken.wait_for_url("**/hub/home")
    # A page that loops never answers.
    broken.goto(f"{hub.url}/user/{BREAKER}/lab?reset", wait_until="commit")
    with pytest.raises(Exception, match="Timeout"):
        window.launcher(broken).wait_for(timeout=6000)
    page = new_page()
    window.log_in(page, hub.url, BREAKER, hub.user_password)
    page.wait_for_url("**/hub/home")
    page.get_by_role("button", name=_BUTTON).click()
    window.launcher(page).wait_for(timeout=window.START_WITHIN)
    expect(page.get_by_text("This is a safe start. You asked for it.")).to_be_visible()
    return page


def test_a_safe_start_needs_the_pages_own_token(hub: Clone, breaker: Person) -> None:
    assert breaker.post_as_another_site("/hub/safe-start").status_code == 403
    assert not breaker.servers()


# -- root follows no link ---------------------------------------------------------------------------------------------


def test_a_server_with_sudo_does_not_hand_over_what_a_link_leads_to(
    hub: Clone, logged_in: Callable[[str], Person]
) -> None:
    sam = logged_in("sam")
    name = make_home(hub, "sam")
    # As a user could leave it, before the operator made `work` the notebook directory.
    hub.client.containers.run(
        hub.settings.notebook_image, ["-c", "rmdir ~/work && ln -s /etc ~/work"], entrypoint="/bin/bash", remove=True,
        volumes={name: {"bind": "/home/cryptic"}}, environment={"HOME": "/home/cryptic"},
    )  # fmt: skip
    sam.start_server()
    kernel = sam.open_kernel()
    assert "work is a link to /etc" in kernel.run(ASK)
    assert kernel.run("import os; print(os.stat('/etc').st_uid, os.path.exists('/etc/passwd'))") == "0 True\n"
    assert {"my-home", "work"} <= set(kernel.run("import os; print(*os.listdir('/home/cryptic'))").split())
    kernel.close()
    hub.stop_server(sam)
    hub.client.volumes.get(name).remove()


def test_root_hands_over_no_folder_of_the_system(client: docker.DockerClient, notebook_image: str) -> None:
    look = "rmdir ~/work; ln -s /etc ~/work; exec /usr/local/bin/start-singleuser.sh --version >/dev/null"
    container = client.containers.run(
        notebook_image, ["-c", f"HOME=/home/cryptic; {look}"], entrypoint="/bin/bash", user="0", detach=True,
        cap_drop=["ALL"], cap_add=["CHOWN", "DAC_OVERRIDE", "FOWNER", "SETUID", "SETGID"],
    )  # fmt: skip
    try:
        container.wait(timeout=60)
        stream, _ = container.get_archive("/etc")
        assert _owner(b"".join(stream)) == 0
    finally:
        container.remove(force=True)


def _owner(tar: bytes) -> int:
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        return archive.getmembers()[0].uid
