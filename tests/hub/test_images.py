"""What the notebook images promise to a user and to the hub, tried in containers of the real image.

Each container starts, does one thing, and is removed with its volume, whatever happens.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.models.containers import Container

from tests.archive import tar
from tests.hub.clone import Clone

ROOT = Path(__file__).parents[2]
SECONDS_FOR_ONE_COMMAND = 120
# As the hub starts them (design 6 and 9).
PLAIN: dict[str, Any] = {"cap_drop": ["ALL"], "security_opt": ["no-new-privileges"]}
ROOT_START: dict[str, Any] = {
    "user": "0",
    "cap_drop": ["ALL"],
    "cap_add": ["CHOWN", "DAC_OVERRIDE", "FOWNER", "SETUID", "SETGID", "AUDIT_WRITE"],
}


# The modules of an environment without byte code of this source: each start would compile them again.
STALE = """
import importlib.util, pathlib, struct, sys
stale = 0
for source in pathlib.Path(sys.argv[1], 'lib').rglob('site-packages/**/*.py'):
    cached = pathlib.Path(importlib.util.cache_from_source(str(source)))
    if not cached.exists():
        try:
            compile(source.read_bytes(), str(source), 'exec')
        except (SyntaxError, ValueError):
            continue
        stale += 1
        print(source)
        continue
    head = cached.read_bytes()[:16]
    flags, modified, size = struct.unpack('<4xIII', head)
    found = source.stat()
    fits = flags & 1 or (modified, size) == (int(found.st_mtime) & 0xFFFFFFFF, found.st_size & 0xFFFFFFFF)
    stale += not (fits and head[:4] == importlib.util.MAGIC_NUMBER)
print(stale, 'stale')
"""


@contextmanager
def created(client: docker.DockerClient, image: str, files: dict[str, bytes], **options: Any) -> Iterator[Container]:
    container = client.containers.create(image, **options)
    try:
        if files:
            # All executable.
            container.put_archive("/", tar(files, mode=0o755))
        yield container
    finally:
        container.remove(force=True, v=True)


def run(
    client: docker.DockerClient,
    image: str,
    command: list[str],
    files: dict[str, bytes] | None = None,
    *,
    stderr: bool = True,
    **options: Any,
) -> tuple[int, str]:
    """Exit code and output of a command, in a container that is removed afterwards. `stderr=False` leaves out the log of a
    command that succeeded: the engine may put it behind later output."""
    with created(client, image, files or {}, command=command, **options) as container:
        container.start()
        status = container.wait(timeout=SECONDS_FOR_ONE_COMMAND)["StatusCode"]
        return status, container.logs(stderr=stderr or status != 0).decode()


def output(client: docker.DockerClient, image: str, command: list[str], **options: Any) -> str:
    """Output of a command; raises AssertionError if it failed."""
    status, text = run(client, image, command, stderr=False, **options)
    assert status == 0, text
    return text.strip()


def image_environment(client: docker.DockerClient, image: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in client.images.get(image).attrs["Config"]["Env"])


def started(*command: str) -> dict[str, Any]:
    """The start script with a stand-in for the server, which runs `command` as the server would run."""
    stand_in = b"import home, os, sys; home.prepare(os.environ); os.execvp(sys.argv[1], sys.argv[1:])"
    return {"files": {"usr/local/lib/notebook/singleuser.py": stand_in}, "command": ["start-singleuser.sh", *command]}


def test_the_start_script_runs_no_program_of_its_own(client: docker.DockerClient, notebook_image: str) -> None:
    # A shell that becomes the script that becomes the server: the server's first child is the next process of all.
    how = started("/bin/sh", "-c", "/bin/sh -c 'echo $$'; true")
    command = ["/bin/bash", "-c", 'echo $$; exec "$@"', "bash", *how["command"]]
    own, child = output(client, notebook_image, command, files=how["files"], **PLAIN).split()
    assert int(child) == int(own) + 1


@pytest.mark.parametrize("environment", ["/opt/jupyter", "/opt/hub"])
def test_no_parser_is_there_that_delays_each_start(
    client: docker.DockerClient, hub: Clone, notebook_image: str, environment: str
) -> None:
    image = notebook_image if environment == "/opt/jupyter" else hub.settings.image_reference("hub")
    code = "import importlib.util as u; print([one for one in ('rfc3987_syntax', 'lark') if u.find_spec(one)])"
    assert output(client, image, ["-c", code], entrypoint=f"{environment}/bin/python") == "[]"


@pytest.mark.parametrize("environment", ["/opt/jupyter", "/opt/hub"])
def test_no_module_is_compiled_at_start(
    client: docker.DockerClient, hub: Clone, notebook_image: str, environment: str
) -> None:
    image = notebook_image if environment == "/opt/jupyter" else hub.settings.image_reference("hub")
    assert output(client, image, ["-c", STALE, environment], entrypoint=f"{environment}/bin/python") == "0 stale"


IMPORTED = (
    "import sys; sys.path.insert(0, '/usr/local/lib/notebook'); import singleuser; singleuser.single_user_server()"
)


def with_server_imported(client: docker.DockerClient, image: str, code: str) -> str:
    """What the code prints in a process that has imported all that a server does at its start."""
    return output(client, image, ["-c", f"{IMPORTED}\n{code}"], entrypoint="/opt/jupyter/bin/python", **PLAIN)


def test_a_server_imports_no_more_than_it_needs(client: docker.DockerClient, notebook_image: str) -> None:
    # 903 in November 2026. Many more make every start slower: find out what imports them.
    assert int(with_server_imported(client, notebook_image, "print(len(sys.modules))")) < 1000


def test_a_server_imports_nothing_of_the_hubs(client: docker.DockerClient, notebook_image: str) -> None:
    code = "print([one for one in sys.modules if one.startswith(('alembic', 'sqlalchemy', 'jupyterhub.handlers'))])"
    assert with_server_imported(client, notebook_image, code) == "[]"


def test_what_a_server_imports_in_name_only_is_there_when_asked_for(
    client: docker.DockerClient, notebook_image: str
) -> None:
    code = """
import jupyterhub.metrics, jupyterlab_server.listings_handler
from sqlalchemy.exc import NoResultFound
print(jupyterhub.metrics.orm.User.__tablename__, jupyterlab_server.listings_handler.requests.get.__name__)
print(sys.modules["jupyterhub.orm"].User is jupyterhub.metrics.orm.User, NoResultFound.__mro__[2].__module__)
"""
    assert with_server_imported(client, notebook_image, code).split() == ["users", "get", "True", "sqlalchemy.exc"]


# Runs as root: makes an authority that the image trusts, and a site of it, and asks that site by aiohttp's own trust.
ASK_A_SITE = """
import asyncio, subprocess
def openssl(*words):
    return subprocess.run(["openssl", *words], check=True, capture_output=True)
here, there = "/tmp/ca.crt", "/usr/local/share/ca-certificates/tests.crt"
names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", *names, "-keyout", "/tmp/ca.key", "-out", here)
site = subprocess.Popen(["openssl", "s_server", "-accept", "8443", "-www", "-key", "/tmp/ca.key", "-cert", here])
import aiohttp
async def ask():
    async with aiohttp.ClientSession() as session:
        for _ in range(100):
            try:
                async with session.get("https://localhost:8443/") as answer:
                    return answer.status
            except aiohttp.ClientConnectorCertificateError:
                return "not trusted"
            except aiohttp.ClientConnectorError:
                await asyncio.sleep(0.1)
print(asyncio.run(ask()))
subprocess.run(["cp", here, there], check=True)
subprocess.run(["update-ca-certificates"], check=True, capture_output=True)
print(asyncio.run(ask()))
site.kill()
"""


@pytest.mark.parametrize(
    ("environment", "imported"),
    [("/opt/jupyter", IMPORTED), ("/opt/hub", "import quick\nwith quick.imports():\n    import aiohttp")],
)
def test_aiohttp_trusts_the_authorities_of_the_image(
    client: docker.DockerClient, hub: Clone, notebook_image: str, environment: str, imported: str
) -> None:
    image = notebook_image if environment == "/opt/jupyter" else hub.settings.image_reference("hub")
    code = f"{imported}\n{ASK_A_SITE}"
    lines = output(client, image, ["-c", code], entrypoint=f"{environment}/bin/python", user="0").splitlines()
    assert [line for line in lines if line in ("not trusted", "200")] == ["not trusted", "200"]


def test_image_runs_as_the_user_in_the_notebook_folder(client: docker.DockerClient, notebook_image: str) -> None:
    environment = image_environment(client, notebook_image)
    config = client.images.get(notebook_image).attrs["Config"]
    assert config["User"] == environment["NB_UID"]
    assert config["WorkingDir"] == environment["NOTEBOOK_DIR"]
    assert config["Entrypoint"] == ["/usr/bin/dumb-init", "--"]
    assert config["Cmd"] == ["start-singleuser.sh"]


def test_image_has_no_health_check(client: docker.DockerClient, notebook_image: str) -> None:
    assert not client.images.get(notebook_image).attrs["Config"].get("Healthcheck")


def test_user_is_nb_user_in_the_group_users(client: docker.DockerClient, notebook_image: str) -> None:
    environment = image_environment(client, notebook_image)
    text = output(client, notebook_image, ["sh", "-c", "id -un; id -u; id -Gn; echo $HOME"], **PLAIN)
    assert text.split() == [environment["NB_USER"], environment["NB_UID"], "users", f"/home/{environment['NB_USER']}"]


def test_new_volume_belongs_to_the_user(client: docker.DockerClient, notebook_image: str) -> None:
    folder = image_environment(client, notebook_image)["NOTEBOOK_DIR"]
    text = output(
        client, notebook_image, ["sh", "-c", "touch file && stat -c '%U %G' . file"], volumes=[folder], **PLAIN
    )
    user = image_environment(client, notebook_image)["NB_USER"]
    assert text.splitlines() == [f"{user} users"] * 2


def test_volume_of_root_becomes_the_users_when_started_as_root(
    client: docker.DockerClient, notebook_image: str
) -> None:
    folder = image_environment(client, notebook_image)["NOTEBOOK_DIR"]
    mount = docker.types.Mount(folder, None, type="tmpfs", tmpfs_mode=0o755)
    how = started("touch", f"{folder}/file")
    assert run(client, notebook_image, **how, mounts=[mount], **PLAIN)[0] != 0
    assert run(client, notebook_image, **how, mounts=[mount], **ROOT_START) == (0, "")


def test_one_kernel_is_offered_and_it_is_condas(client: docker.DockerClient, notebook_image: str) -> None:
    command = ["/opt/jupyter/bin/jupyter-kernelspec", "list", "--json"]
    specs = json.loads(output(client, notebook_image, command, **PLAIN))["kernelspecs"]
    assert list(specs) == ["python3"]
    assert specs["python3"]["spec"]["argv"][0] == "/usr/local/lib/notebook/kernel-python"


def test_a_kernel_that_begins_to_listen_is_noticed_at_once(client: docker.DockerClient, notebook_image: str) -> None:
    # If it is noticed later, the server misses the kernel's first message and asks again after half a second.
    program = """
import zmq
from jupyterlab.labapp import LabApp
server = LabApp.initialize_server(argv=[])
print(server.kernel_manager.context.getsockopt(zmq.RECONNECT_IVL))
"""
    text = output(client, notebook_image, ["/opt/jupyter/bin/python", "-c", program], **PLAIN)
    assert int(text.splitlines()[-1]) <= 10  # milliseconds


def test_notebook_runs_on_conda(client: docker.DockerClient, notebook_image: str) -> None:
    program = """
from jupyter_client.manager import run_kernel
with run_kernel(kernel_name="python3") as kernel:
    kernel.execute_interactive("import sys, shutil, ipywidgets; print(sys.executable, shutil.which('pip'))", timeout=60)
"""
    text = output(client, notebook_image, ["/opt/jupyter/bin/python", "-c", program], **PLAIN)
    assert text.splitlines()[-1].split() == ["/opt/conda/bin/python", "/opt/conda/bin/pip"]


def test_terminal_has_the_notebooks_path(client: docker.DockerClient, notebook_image: str) -> None:
    text = output(
        client, notebook_image, ["bash", "-lc", "command -v python pip jupyter-lab; echo $PATH; echo $SHELL"], **PLAIN
    )
    path = image_environment(client, notebook_image)["PATH"]
    assert text.split() == [
        "/opt/conda/bin/python",
        "/opt/conda/bin/pip",
        "/opt/jupyter/bin/jupyter-lab",
        f"/usr/local/lib/notebook/bin:{path}",
        "/bin/bash",
    ]


@pytest.mark.parametrize("environment", ["/opt/conda", "/opt/jupyter"])
def test_installed_packages_fit_together(client: docker.DockerClient, notebook_image: str, environment: str) -> None:
    command = ["/opt/conda/bin/python", "-m", "pip", "--python", f"{environment}/bin/python", "check"]
    assert output(client, notebook_image, command, **PLAIN) == "No broken requirements found."


@pytest.mark.parametrize("environment", ["/opt/conda", "/opt/jupyter"])
def test_user_can_change_nothing_of_the_image(
    client: docker.DockerClient, notebook_image: str, environment: str
) -> None:
    writable = f"find {environment} ! -type l -writable -print -quit"
    assert output(client, notebook_image, ["bash", "-c", writable], **PLAIN) == ""


def test_lab_asks_nobody_outside(client: docker.DockerClient, notebook_image: str) -> None:
    shown = output(client, notebook_image, ["/opt/jupyter/bin/jupyter-lab", "--show-config-json"], **PLAIN)
    lab = json.loads(shown)["LabApp"]
    assert lab["news_url"] is None
    assert lab["check_for_updates_class"].endswith("NeverCheckForUpdate")
    assert lab["extension_manager"] == "readonly"


def test_image_has_no_sudoers_rule_but_roots(client: docker.DockerClient, notebook_image: str) -> None:
    command = ["sh", "-c", "cat /etc/sudoers /etc/sudoers.d/* | grep -v -e '^#' -e '^@' -e '^Defaults' -e '^$'"]
    text = output(client, notebook_image, command, user="0")
    assert [line.split()[0] for line in text.splitlines()] == ["root"]


@pytest.mark.parametrize("options", [PLAIN, {}], ids=["as the hub starts it", "with the engine's defaults"])
def test_server_without_sudo_cannot_sudo(
    client: docker.DockerClient, notebook_image: str, options: dict[str, Any]
) -> None:
    status, text = run(client, notebook_image, **started("sudo", "-n", "id", "-u"), **options)
    assert status != 0
    assert "0" not in text.splitlines()


def test_root_start_without_the_grant_cannot_sudo(client: docker.DockerClient, notebook_image: str) -> None:
    assert run(client, notebook_image, **started("sudo", "-n", "id", "-u"), **ROOT_START)[0] != 0


def test_server_with_sudo_can_sudo_with_the_distributions_python(
    client: docker.DockerClient, notebook_image: str
) -> None:
    how = started("sudo", "-n", "sh", "-c", "id -u; command -v python")
    text = output(client, notebook_image, **how, environment={"GRANT_SUDO": "yes"}, **ROOT_START)
    assert text.split() == ["0", "/opt/conda/bin/python"]


@pytest.mark.parametrize("grant", ["yes", "no"])
def test_root_start_drops_to_the_user_for_good(client: docker.DockerClient, notebook_image: str, grant: str) -> None:
    environment = image_environment(client, notebook_image)
    look = "id -un; id -Gn; echo $HOME $USER $LOGNAME $SHELL ${PATH##*notebook/bin:};"
    look += " grep -E '^(Cap(Inh|Prm|Eff)|NoNewPrivs)' /proc/self/status"
    text = output(
        client, notebook_image, **started("bash", "-c", look), environment={"GRANT_SUDO": grant}, **ROOT_START
    )
    user = environment["NB_USER"]
    none = "0" * 16
    assert text.split() == [
        *(user, "users", f"/home/{user}", user, user, "/bin/bash", environment["PATH"]),
        *("CapInh:", none, "CapPrm:", none, "CapEff:", none, "NoNewPrivs:", "0" if grant == "yes" else "1"),
    ]  # fmt: skip


# Markdown goes through another program for some formats.
NOTEBOOK = {
    "cells": [
        {"cell_type": "markdown", "id": "m", "metadata": {}, "source": "# Title\n\n$x^2$\n\n|a|b|\n|-|-|\n|1|2|\n"},
        {
            "cell_type": "code",
            "id": "a",
            "metadata": {},
            "source": "print(6 * 7)",
            "outputs": [],
            "execution_count": None,
        },
    ],
    "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    "nbformat": 4,
    "nbformat_minor": 5,
}


@pytest.mark.slow
def test_notebook_becomes_a_pdf(client: docker.DockerClient, minimal_notebook_image: str) -> None:
    text = base64.b64encode(json.dumps(NOTEBOOK).encode()).decode()
    others = "for form in asciidoc latex rst; do jupyter nbconvert --log-level ERROR --to $form a.ipynb; done"
    steps = (
        f"echo {text} | base64 -d > a.ipynb && jupyter nbconvert --to pdf --execute a.ipynb; {others}; head -c 5 a.pdf"
    )
    assert output(client, minimal_notebook_image, ["bash", "-elc", steps], **PLAIN).endswith("%PDF-")
    assert {"asciidoc", "latex", "pdf", "rst"} <= exports(client, minimal_notebook_image)


def exports(client: docker.DockerClient, image: str) -> set[str]:
    """The formats that a server of the image offers."""
    code = """
from jupyterlab.labapp import LabApp
LabApp.initialize_server(argv=[])
from nbconvert.exporters.base import get_export_names
print(*get_export_names())
"""
    # As in the server, whose own modules come first.
    path = {"PYTHONPATH": "/usr/local/lib/notebook"}
    shown = output(client, image, ["/opt/jupyter/bin/python", "-c", code], environment=path, **PLAIN)
    return set(shown.splitlines()[-1].split())


@pytest.mark.slow
def test_minimal_notebook_has_its_tools(client: docker.DockerClient, minimal_notebook_image: str) -> None:
    tools = "emacs gcc make pandoc xelatex"
    assert len(output(client, minimal_notebook_image, ["bash", "-lc", f"command -v {tools}"], **PLAIN).split()) == len(
        tools.split()
    )


# Stand-ins for an installer without a kernel and for one with it; the second needs no package index.
STAND_IN = b"""#!/bin/bash
[ "$1 $2" = "-b -p" ] || exit 9
/usr/bin/python3 -m venv --without-pip "$3" && touch "$3/made-by-the-stand-in"
"""
WITH_KERNEL = STAND_IN + b'cd "$3"/lib/python3*/site-packages && touch ipykernel.py ipywidgets.py nbformat.py\n'
PINNED = "Anaconda3-2025.12-2-Linux-x86_64.sh"


def install(
    client: docker.DockerClient,
    image: str,
    installers: dict[str, bytes],
    distribution: str = "anaconda",
    after: str = "true",
) -> tuple[int, str]:
    """Runs the anaconda3 image's own step with these files in anaconda3/installers, into an empty prefix."""
    folder = ROOT / "anaconda3"
    files = {
        f"step/{name}": (folder / name).read_bytes() for name in ("install-distribution.sh", "uv.lock", "kernel.lock")
    }
    files |= {f"step/installers/{name}": content for name, content in installers.items()}
    command = [
        "bash",
        "-ec",
        f"uname() {{ echo x86_64; }}; export -f uname; /step/install-distribution.sh {distribution} /fresh; {after}",
    ]
    return run(client, image, command, files=files, user="0")


def sums(**listed: bytes) -> dict[str, bytes]:
    """Installers, and a SHA256SUMS that lists them."""
    names = {name.replace("_", ".") if name.endswith("_sh") else name: content for name, content in listed.items()}
    lines = "".join(f"{sha256(content).hexdigest()}  {name}\n" for name, content in names.items())
    return {**names, "SHA256SUMS": b"# a comment\n" + lines.encode(), "README": b"words\n"}


@pytest.mark.parametrize(("distribution", "stand_in"), [("anaconda", STAND_IN), ("miniforge", WITH_KERNEL)])
def test_listed_installer_is_used_and_has_a_kernel(
    client: docker.DockerClient, notebook_image: str, distribution: str, stand_in: bytes
) -> None:
    after = "test -e /fresh/made-by-the-stand-in; /fresh/bin/python -c 'import ipykernel, ipywidgets, nbformat'"
    status, text = install(client, notebook_image, sums(stand_in_sh=stand_in), distribution, after)
    assert status == 0, text


@pytest.mark.parametrize(
    ("installers", "message"),
    [
        pytest.param(
            {**sums(a_sh=STAND_IN), "a.sh": STAND_IN + b"#"}, "a.sh with the SHA-256", id="changed since it was listed"
        ),
        pytest.param({"a.sh": STAND_IN}, "(none: not in SHA256SUMS)", id="not listed"),
        pytest.param(
            {PINNED: STAND_IN}, f"{PINNED} with the SHA-256 57b2b48c", id="the pinned name with other content"
        ),
        pytest.param(sums(a_sh=STAND_IN, b_sh=STAND_IN), "one installer in anaconda3/installers", id="two"),
    ],
)
def test_installer_that_cannot_be_trusted_stops_the_build(
    client: docker.DockerClient, notebook_image: str, installers: dict[str, bytes], message: str
) -> None:
    status, text = install(client, notebook_image, installers, after="test ! -e /fresh")
    assert status == 1
    assert len(text.splitlines()) == 1, text
    assert text.startswith("ERROR: wanted ")
    assert message in text
    if "one installer" not in message:
        (name,) = installers.keys() - {"SHA256SUMS", "README"}
        assert sha256(installers[name]).hexdigest() in text


def test_pinned_installer_may_be_replaced_by_a_listed_one(client: docker.DockerClient, notebook_image: str) -> None:
    listed = {PINNED: WITH_KERNEL, "SHA256SUMS": f"{sha256(WITH_KERNEL).hexdigest()} *{PINNED}\n".encode()}
    status, text = install(client, notebook_image, listed, after="test -e /fresh/made-by-the-stand-in")
    assert status == 0, text


def test_base_with_an_older_python_is_refused(client: docker.DockerClient, notebook_image: str) -> None:
    older = b"#!/bin/sh\n[ $1 = --version ] && echo Python 3.10.12\n"
    files = {"usr/bin/python3": older, "step": (ROOT / "anaconda3" / "install-distribution.sh").read_bytes()}
    status, text = run(client, notebook_image, ["/step", "wheels", "/fresh"], files=files, user="0")
    assert (status, len(text.splitlines())) == (1, 1)
    assert text.startswith("ERROR: wanted Python 3.11 or newer in the base image; found Python 3.10.12; set BASE_IMAGE")


def make_user(client: docker.DockerClient, image: str, user: str, uid: int) -> tuple[int, str]:
    """Runs the step that makes the image's user, with this user (NB_USER, NB_UID) in the base already."""
    folder = f"/home/{user}/notes/deep"
    look = f"cd {folder} && stat -c '%U:%G %n' /home/* .. . && getent passwd {uid} {user} && id -Gn {user}"
    steps = f"/usr/local/lib/notebook/create-user.sh {user} {uid} {folder} && {look}"
    return run(client, image, ["bash", "-ec", steps], user="0")


def test_person_of_the_base_makes_room_for_nb_user(client: docker.DockerClient, notebook_image: str) -> None:
    uid = int(image_environment(client, notebook_image)["NB_UID"])
    status, text = make_user(client, notebook_image, "ann", uid)
    entry = f"ann:x:{uid}:100::/home/ann:/bin/bash"
    assert (status, text.splitlines()) == (
        0,
        ["ann:users /home/ann", "ann:users ..", "ann:users .", entry, entry, "users"],
    ), text


@pytest.mark.parametrize(("user", "uid"), [("daemon", 1234), ("ann", 33)])
def test_system_account_of_the_base_is_never_replaced(
    client: docker.DockerClient, notebook_image: str, user: str, uid: int
) -> None:
    status, text = make_user(client, notebook_image, user, uid)
    assert (status, len(text.splitlines())) == (1, 1)
    assert "system account" in text


def test_unknown_distribution_is_refused(client: docker.DockerClient, notebook_image: str) -> None:
    status, text = install(client, notebook_image, {}, "snake")
    assert (status, text.splitlines()) == (
        1,
        ["ERROR: wanted anaconda, miniforge or wheels as PYTHON_DISTRIBUTION; found 'snake'; set it in .env"],
    )
