"""Runs Debian's and Ubuntu's own tools for `setup`: installs packages, starts the Docker engine, makes the files of a base
image. Acts only as root and says what it does before it does it; it never adds a package source.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from hubdeploy.errors import DeployError

ENGINE_LOG = Path("/var/log/hubdeploy-dockerd.log")
# The engine answered after 3 s on a machine and 15 s nested; a slow disk's first start takes longer.
_ENGINE_WITHIN = 90.0
# Settings of apt that a machine's network may need; the base image's own apt needs them as well.
_NETWORK_OPTIONS = (
    "Acquire::http::Proxy",
    "Acquire::https::Proxy",
    "Acquire::Check-Valid-Until",
    "Acquire::Check-Date",
)

# `su` without a dash leaves these out of PATH. Another vendor's dockerd would not be found, and Docker be installed over it.
_SYSTEM_FOLDERS = "/usr/local/sbin:/usr/sbin:/sbin"

Say = Callable[[str], None]


def release(root: Path = Path("/")) -> str | None:
    """The codename of the Debian or Ubuntu release that runs here (`bookworm`), None on any other system."""
    try:
        lines = (root / "etc/os-release").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    facts = {key: value.strip("\"'") for key, _, value in (line.partition("=") for line in lines)}
    if facts.get("ID") not in ("debian", "ubuntu"):
        return None
    return facts.get("VERSION_CODENAME") or None


def can_install() -> bool:
    """True if packages can be installed: root, on a Debian or Ubuntu."""
    return os.geteuid() == 0 and release() is not None and _has("apt-get")


def install(packages: Sequence[str], say: Say) -> None:
    """Installs the packages by apt, from the sources that the machine has."""
    say(f"installing {', '.join(packages)} by apt")
    # Some packages ask questions while they are installed, and nobody is there to answer.
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    apt = ("apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=300")
    _run([*apt, "update"], "apt's package lists brought up to date", quiet)
    _run([*apt, "install", "--no-install-recommends", *packages], f"{', '.join(packages)} installed", quiet)


def start_engine(answers: Callable[[], bool], say: Say) -> None:
    """Installs and starts the distribution's Docker engine; returns when `answers()` is true, else raises DeployError."""
    if not _has("dockerd"):
        # Without iptables the engine comes up and then cannot publish a port.
        install(["docker.io", "iptables"], say)
    daemon = None
    if _systemd_runs():
        say("starting the Docker engine by systemd")
        _run(["systemctl", "enable", "--now", "docker"], "the Docker engine started", {})
    elif not _engine_process():
        say(f"starting the Docker engine (dockerd, no systemd here; its log is {ENGINE_LOG})")
        daemon = _start_detached()
    _wait_for_engine(answers, daemon)
    say("the Docker engine answers")


def _start_detached() -> subprocess.Popen[bytes]:
    """Starts dockerd in its own session, without our streams: they would keep a caller's pipe open for ever."""
    with ENGINE_LOG.open("ab") as log:
        return subprocess.Popen(
            ["dockerd"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",
            env=_environ(),
        )


def _systemd_runs() -> bool:
    return Path("/run/systemd/system").is_dir()


def _engine_process() -> bool:
    """True if a dockerd runs already: a package's own script may have started it a moment ago."""
    try:
        pid = int(Path("/var/run/docker.pid").read_text(encoding="ascii"))
        return Path(f"/proc/{pid}/comm").read_text(encoding="ascii").strip() == "dockerd"
    except (OSError, ValueError):
        return False


def _wait_for_engine(answers: Callable[[], bool], daemon: subprocess.Popen[bytes] | None) -> None:
    deadline = time.monotonic() + _ENGINE_WITHIN
    while not answers():
        exited = daemon is not None and daemon.poll() is not None
        if exited or time.monotonic() > deadline:
            log = ENGINE_LOG if daemon else "`journalctl -u docker` or /var/log/docker.log"
            tail = _tail(ENGINE_LOG.read_text(errors="replace")) if daemon else ""
            raise DeployError(
                wanted="the Docker engine running",
                found="dockerd exited" if exited else f"it does not answer after {_ENGINE_WITHIN:.0f} s",
                fix=f"see {log}; fix that, then run ./invoke setup again" + (f"\n{tail}" if tail else ""),
            )
        time.sleep(0.2)


def make_root_files(codename: str, archive: Path, say: Say) -> None:
    """Writes a minimal root file system of `codename` as a tar, from the package sources of this machine."""
    if not _has("mmdebstrap"):
        install(["mmdebstrap"], say)
    say(f"making a base image of {codename} from the distribution's packages (about half a minute)")
    # Half of what `apt-get update` downloads in each build are translated descriptions, which nobody reads there.
    options = [f"--aptopt={option}" for option in ('Acquire::Languages "none"', *_network_options())]
    _run(
        [
            "mmdebstrap",
            "--quiet",
            "--variant=minbase",
            "--include=ca-certificates",
            *options,
            codename,
            str(archive),
            "-",
        ],
        f"the files of a {codename} system",
        {},
        given=sources(codename, _source_texts()),
    )


def sources(codename: str, texts: Mapping[str, str]) -> str:
    """The entries of apt's source files (name -> text) that belong to the release itself, one a line.

    Other sources of the machine (a vendor's, backports) are left out: the base image is the plain distribution.
    """
    suites = (codename, f"{codename}-updates", f"{codename}-security")
    entries: dict[str, None] = {}
    for name, text in sorted(texts.items()):
        read = _stanzas if name.endswith(".sources") else _one_liners
        for option, uri, suite, components in read(text):
            if suite in suites:
                entries.setdefault(" ".join(filter(None, ("deb", option, uri, suite, components))))
    return "".join(entry + "\n" for entry in entries)


_Entry = tuple[str, str, str, str]  # [signed-by=KEYRING] or empty, URI, suite, components


def _one_liners(text: str) -> list[_Entry]:
    found = []
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if words[:1] != ["deb"]:
            continue
        option = ""
        if words[1].startswith("["):
            end = next((number for number, word in enumerate(words) if word.endswith("]")), 1)
            keyring = [word.strip("[]") for word in words[1 : end + 1] if word.strip("[]").startswith("signed-by=")]
            option = f"[{keyring[0]}]" if keyring else ""
            words = [words[0], *words[end + 1 :]]
        if len(words) > 3:
            found.append((option, words[1], words[2], " ".join(words[3:])))
    return found


def _stanzas(text: str) -> list[_Entry]:
    found = []
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    for stanza in "\n".join(lines).split("\n\n"):
        parts = (line.partition(":") for line in stanza.splitlines())
        fields = {key.strip().lower(): value.strip() for key, colon, value in parts if colon}
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() == "no":
            continue
        keyring = fields.get("signed-by", "")
        # The stanza may hold the key itself; then the machine's trusted keys are used.
        option = f"[signed-by={keyring}]" if keyring.startswith("/") else ""
        found += [
            (option, uri, suite, fields.get("components", ""))
            for uri in fields.get("uris", "").split()
            for suite in fields.get("suites", "").split()
        ]
    return found


def _source_texts(apt: Path = Path("/etc/apt")) -> dict[str, str]:
    folder = apt / "sources.list.d"
    paths = [apt / "sources.list", *folder.glob("*.list"), *folder.glob("*.sources")]
    return {path.name: path.read_text(encoding="utf-8", errors="replace") for path in paths if path.is_file()}


def _network_options() -> list[str]:
    dumped = subprocess.run(
        ["apt-config", "dump"], capture_output=True, text=True, env=_environ(), check=False
    ).stdout.splitlines()
    return [
        line.rstrip(";") for line in dumped if line.partition(" ")[0] in _NETWORK_OPTIONS and not line.endswith('"";')
    ]


def _environ() -> dict[str, str]:
    return {**os.environ, "PATH": f"{os.environ.get('PATH', os.defpath)}:{_SYSTEM_FOLDERS}"}


def _has(program: str) -> bool:
    return shutil.which(program, path=_environ()["PATH"]) is not None


def _run(command: Sequence[str], wanted: str, more: Mapping[str, str], given: str = "") -> None:
    """Runs the command silently; raises DeployError with its last lines if it fails."""
    done = subprocess.run(
        command, input=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        env={**_environ(), **more}, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise DeployError(
            wanted=wanted,
            found=f"`{' '.join(command[:6])}` ended with exit code {done.returncode}",
            fix=f"fix what its last lines say, then run ./invoke setup again\n{_tail(done.stdout)}",
        )


def _tail(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.strip().splitlines()[-15:])
