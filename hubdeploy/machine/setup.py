"""Makes a bare machine ready: `./invoke setup`.

Finds out what this machine lacks, fixes what the distribution's own packages can fix, and writes each decision with its
reason to .env.local. Never overrides a value that a person set, and on a machine that needs nothing it changes nothing.
"""

from __future__ import annotations

import os
import platform
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hubdeploy.contract import labels
from hubdeploy.engine import Engine
from hubdeploy.errors import DeployError, EngineError, EngineUnavailable
from hubdeploy.machine import debian, internet
from hubdeploy.settings import env_local
from hubdeploy.settings.declarations import Settings
from hubdeploy.settings.loading import load

# Repository of the base images that are made here; `up` builds on one as on any other.
_MADE_HERE = "hubdeploy/base"
_LOCAL_SOCKET = Path("/var/run/docker.sock")


@dataclass(frozen=True)
class Facts:
    """What was found out about this machine and its network; None where no decision depends on it."""

    release: str | None
    base_refusal: str | None = None
    """Why BASE_IMAGE cannot be pulled, in the engine's words; None if it is on the engine."""
    unreachable_installer: str | None = None
    """The URL of the distribution's installer, if it cannot be reached and no installer is in the folder."""
    interceptors_bundle: Path | None = None
    """The file with the authority that intercepts TLS here."""


@dataclass(frozen=True)
class Decision:
    """A setting that this machine needs, and why."""

    key: str
    value: str
    reason: str


def prepare(root: Path, environ: Mapping[str, str]) -> None:
    """Make this machine ready for the deployment in `root`; prints a line for each thing done or decided."""
    settings = load(root, environ)
    engine = Engine(environ)
    started = _ensure_engine(engine, environ)
    facts = find_out(settings, environ, engine)
    decisions = decide(facts, settings)
    # The base image takes longest. Decisions are made before it, so that a refusal comes early, and are written after it.
    made = _ensure_base_image(engine, facts, settings, decisions)
    for decision in decisions:
        env_local.remember(settings.local_path, {decision.key: decision.value}, decision.reason)
        _say(f"{decision.key}={decision.value} (written to {settings.local_path.name}): {decision.reason}")
    if not (started or made or decisions):
        _say("this machine has all that is needed, nothing was changed")


def find_out(settings: Settings, environ: Mapping[str, str], engine: Engine) -> Facts:
    """Ask the engine and the network; pulls BASE_IMAGE if it is not on the engine, which is the only way to know."""
    bundle = settings.extra_ca_bundle
    if bundle is None:
        bundle = internet.interceptors_bundle(internet.package_index(), internet.bundles(environ))
    return Facts(
        release=debian.release(),
        base_refusal=_refusal(engine, settings),
        unreachable_installer=_unreachable_installer(settings, bundle),
        interceptors_bundle=bundle,
    )


def decide(facts: Facts, settings: Settings) -> list[Decision]:
    """The settings that must be written for this machine; raises DeployError where a person set one that cannot work."""
    decisions = []
    if facts.interceptors_bundle is not None and not settings.is_set("EXTRA_CA_BUNDLE"):
        reason = "this network intercepts TLS: images must trust the authorities that this machine trusts"
        decisions.append(Decision("EXTRA_CA_BUNDLE", str(facts.interceptors_bundle), reason))
    if facts.base_refusal is not None and not settings.is_set("BASE_IMAGE"):
        why = f"{settings.base_image} cannot be pulled here ({facts.base_refusal})"
        reason = f"{why}: made from the distribution's packages instead"
        decisions.append(Decision("BASE_IMAGE", _own_base(facts, settings), reason))
    if facts.unreachable_installer is not None and not settings.is_set("PYTHON_DISTRIBUTION"):
        why = f"{facts.unreachable_installer} cannot be reached and no installer lies in anaconda3/installers"
        reason = f"{why}: the same stack is installed from Python wheels instead"
        decisions.append(Decision("PYTHON_DISTRIBUTION", "wheels", reason))
    return decisions


def _own_base(facts: Facts, settings: Settings) -> str:
    if facts.release is None:
        raise DeployError(
            wanted=f"the base image {settings.base_image}",
            found=f"it cannot be pulled ({facts.base_refusal}), and only on Debian and Ubuntu can one be made",
            fix="load it from a file (docker load), or set BASE_IMAGE to an apt-based image that this engine has or can pull",
        )
    return f"{_MADE_HERE}:{facts.release}"


def _refusal(engine: Engine, settings: Settings) -> str | None:
    """Why BASE_IMAGE cannot be pulled; None if the engine has it in the end."""
    if engine.image_id(settings.base_image) is not None:
        return None
    if settings.base_image.startswith(_MADE_HERE + ":"):
        return "it is made here"
    _say(f"pulling {settings.base_image}")
    try:
        engine.pull_image(settings.base_image)
    except EngineUnavailable:
        raise
    except EngineError as error:
        if settings.is_set("BASE_IMAGE"):
            raise
        return _first_line(error.found)
    return None


def _first_line(text: str) -> str:
    return text.splitlines()[0].rpartition("cannot be pulled: ")[2][:200]


def _unreachable_installer(settings: Settings, bundle: Path | None) -> str | None:
    if settings.python_distribution == "wheels" or settings.is_set("PYTHON_DISTRIBUTION"):
        return None
    if not settings.notebook_members:
        return None
    folder = settings.root / "anaconda3"
    url = installer_url((folder / "install-distribution.sh").read_text(encoding="utf-8"), settings.python_distribution)
    if url is None or _is_laid_in(folder / "installers", url.rpartition("/")[2]) or internet.answers(url, bundle):
        return None
    return url


def installer_url(script: str, distribution: str, processor: str | None = None) -> str | None:
    """Where the anaconda3 image's install script downloads the distribution from; None for a processor it does not know."""
    processor = {"arm64": "aarch64", "amd64": "x86_64"}.get(found := processor or platform.machine(), found)
    name = re.search(rf"^\s*{distribution}-{processor}\)\s*installer=(\S+)", script, re.MULTILINE)
    origin = re.search(rf"^\s*{distribution}\)\s*origin=([^\s;]+)", script, re.MULTILINE)
    return f"{origin[1]}/{name[1]}" if name and origin else None


def _is_laid_in(folder: Path, pinned: str) -> bool:
    """True if the folder holds the pinned installer, or one that SHA256SUMS lists; the build checks its sum."""
    sums = folder / "SHA256SUMS"
    lines = sums.read_text(encoding="utf-8").splitlines() if sums.is_file() else []
    listed = {line.split()[-1].lstrip("*") for line in lines if line.strip() and not line.startswith("#")}
    return any((folder / name).is_file() for name in {pinned, *listed})


def _ensure_engine(engine: Engine, environ: Mapping[str, str]) -> bool:
    """Starts the engine if none answers; True if it did. Only this machine's own engine is ever installed or started."""
    try:
        engine.ping()
        return False
    except EngineUnavailable as error:
        if environ.get("DOCKER_HOST") or (_LOCAL_SOCKET.is_socket() and not os.access(_LOCAL_SOCKET, os.W_OK)):
            raise
        if not debian.can_install():
            raise _engine_to_be_installed(error) from None
    debian.start_engine(lambda: _answers(engine), _say)
    return True


def _engine_to_be_installed(error: EngineUnavailable) -> EngineUnavailable:
    by_setup = "run ./invoke setup as root (sudo ./invoke setup): it installs and starts Docker"
    by_hand = "install Docker by your system's own means and start it, then run this again"
    return EngineUnavailable(
        wanted=error.wanted, found=error.found, fix=by_setup if debian.release() is not None else by_hand
    )


def _answers(engine: Engine) -> bool:
    try:
        engine.ping()
    except EngineUnavailable:
        return False
    return True


def _ensure_base_image(engine: Engine, facts: Facts, settings: Settings, decisions: list[Decision]) -> bool:
    """Makes the base image if it is one that is made here and the engine lacks it; True if it was made."""
    decided = {decision.key: decision.value for decision in decisions}
    reference = decided.get("BASE_IMAGE", settings.base_image)
    if not reference.startswith(_MADE_HERE + ":") or engine.image_id(reference) is not None:
        return False
    if not debian.can_install():
        raise DeployError(
            wanted=f"the base image {reference}, made from the distribution's packages",
            found="that takes root on a Debian or Ubuntu",
            fix="run ./invoke setup as root once, or set BASE_IMAGE to an image that this engine has or can pull",
        )
    with tempfile.TemporaryDirectory(prefix="hubdeploy-") as folder:
        archive = Path(folder) / "base.tar"
        debian.make_root_files(reference.rpartition(":")[2], archive, _say)
        engine.import_image(archive, reference, {labels.ROLE: "base"})
    _say(f"made the base image {reference}")
    return True


def _say(line: str) -> None:
    print(f"setup: {line}", flush=True)
