"""What setup decides for a machine; it changes nothing where there is nothing to do."""

from __future__ import annotations

import dataclasses
import socket
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path

import certifi
import pytest
import requests

from hubdeploy.errors import DeployError, EngineError, EngineUnavailable
from hubdeploy.machine import debian, internet, setup
from hubdeploy.machine.setup import Decision, Facts, decide
from hubdeploy.settings import env_local
from hubdeploy.settings.declarations import Settings
from hubdeploy.settings.loading import load

CHECKOUT = Path(__file__).resolve().parents[3]
READY = Facts(release="bookworm")
BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
INSTALLER = "https://example.org/Anaconda3.sh"


def saying(words: str) -> Callable[[DeployError], bool]:
    return lambda error: words in (error.message or "")


def settings_of(root: Path, environ: Mapping[str, str] | None = None, env: str = "", local: str = "") -> Settings:
    (root / ".env").write_text(env)
    (root / "userlist").write_text("ann admin\n")
    if local:
        (root / ".env.local").write_text(local)
        (root / ".env.local").chmod(0o600)
    return load(root, environ or {})


def chosen(facts: Facts, settings: Settings) -> dict[str, str]:
    return {decision.key: decision.value for decision in decide(facts, settings)}


# -- deciding ---------------------------------------------------------------------------------------------------------


def test_a_ready_machine_needs_no_decision(tmp_path: Path) -> None:
    assert decide(READY, settings_of(tmp_path)) == []


def test_without_a_registry_the_base_is_the_machines_own_release(tmp_path: Path) -> None:
    facts = dataclasses.replace(READY, base_refusal="no such host")
    [decision] = decide(facts, settings_of(tmp_path))
    assert decision == Decision("BASE_IMAGE", "hubdeploy/base:bookworm", decision.reason)
    assert "ubuntu:24.04" in decision.reason
    assert "no such host" in decision.reason


def test_without_a_registry_the_message_says_what_to_do_on_another_system(tmp_path: Path) -> None:
    with pytest.raises(DeployError, check=saying("docker load")):
        decide(Facts(release=None, base_refusal="no such host"), settings_of(tmp_path))


def test_without_an_installer_the_same_stack_comes_from_wheels(tmp_path: Path) -> None:
    facts = dataclasses.replace(READY, unreachable_installer=INSTALLER)
    [decision] = decide(facts, settings_of(tmp_path))
    assert (decision.key, decision.value) == ("PYTHON_DISTRIBUTION", "wheels")
    assert INSTALLER in decision.reason


def test_where_tls_is_intercepted_the_machines_bundle_is_trusted(tmp_path: Path) -> None:
    facts = dataclasses.replace(READY, interceptors_bundle=BUNDLE)
    assert chosen(facts, settings_of(tmp_path)) == {"EXTRA_CA_BUNDLE": str(BUNDLE)}


@pytest.mark.parametrize("where", ["shell", ".env.local", ".env"])
def test_a_value_that_a_person_set_is_never_overridden(tmp_path: Path, where: str) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_text("")
    values = {"BASE_IMAGE": "mine:1", "PYTHON_DISTRIBUTION": "miniforge", "EXTRA_CA_BUNDLE": str(bundle)}
    text = "".join(f"{key}={value}\n" for key, value in values.items())
    settings = settings_of(
        tmp_path,
        values if where == "shell" else {},
        text if where == ".env" else "",
        text if where == ".env.local" else "",
    )
    assert decide(Facts("bookworm", "no such host", INSTALLER, BUNDLE), settings) == []


# -- preparing, with the outside world played -------------------------------------------------------------------------


class PlayedEngine:
    """An engine on this machine that has some images and reaches some registry."""

    def __init__(self, images: set[str], registry: set[str]) -> None:
        self.images, self.registry = images, registry
        self.imported: list[tuple[str, dict[str, str]]] = []

    def ping(self) -> None:
        pass

    def image_id(self, reference: str) -> str | None:
        return "sha256:1" if reference in self.images else None

    def pull_image(self, reference: str) -> None:
        if reference not in self.registry:
            raise EngineError(wanted="x", found=f"{reference} cannot be pulled: no such host", fix="x")
        self.images.add(reference)

    def import_image(self, archive: Path, reference: str, image_labels: Mapping[str, str]) -> None:
        self.imported.append((reference, dict(image_labels)))
        self.images.add(reference)


class PlayedWorld:
    """Where prepare() runs: the checkout's folder, its engine, and what the network gives."""

    def __init__(self, root: Path, patch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.engine = PlayedEngine(set(), {"ubuntu:24.04"})
        self.reachable = True
        settings_of(root)
        (root / "anaconda3").mkdir()
        script = CHECKOUT / "anaconda3/install-distribution.sh"
        (root / "anaconda3/install-distribution.sh").write_text(script.read_text())
        patch.setattr(setup, "Engine", lambda environ: self.engine)
        patch.setattr(debian, "can_install", lambda: True)
        patch.setattr(debian, "release", lambda: "bookworm")
        patch.setattr(debian, "make_root_files", lambda codename, archive, say: None)
        patch.setattr(internet, "answers", lambda url, trusted: self.reachable)
        patch.setattr(internet, "interceptors_bundle", lambda url, candidates: None)

    def prepare(self) -> None:
        setup.prepare(self.root, {})

    def files(self) -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in self.root.rglob("*") if path.is_file()}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PlayedWorld:
    return PlayedWorld(tmp_path, monkeypatch)


def test_a_ready_machine_is_left_as_it_is_and_setup_says_so(
    world: PlayedWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    before = world.files()
    world.prepare()
    assert world.files() == before
    assert capsys.readouterr().out.splitlines()[-1] == "setup: this machine has all that is needed, nothing was changed"


def test_setup_twice_changes_nothing_the_second_time(world: PlayedWorld, capsys: pytest.CaptureFixture[str]) -> None:
    world.engine.registry.clear()
    world.reachable = False
    world.prepare()
    assert world.engine.imported == [("hubdeploy/base:bookworm", {"hubdeploy.role": "base"})]
    settings = load(world.root, {})
    assert (settings.base_image, settings.python_distribution) == ("hubdeploy/base:bookworm", "wheels")
    before = world.files()
    capsys.readouterr()
    world.prepare()
    assert world.files() == before
    assert capsys.readouterr().out == "setup: this machine has all that is needed, nothing was changed\n"


def test_a_base_that_setup_made_is_made_again_on_a_new_engine(world: PlayedWorld) -> None:
    env_local.remember(world.root / ".env.local", {"BASE_IMAGE": "hubdeploy/base:bookworm"}, "made here")
    world.prepare()
    assert [reference for reference, _ in world.engine.imported] == ["hubdeploy/base:bookworm"]


def test_a_base_that_a_person_named_and_nobody_has_is_an_error(world: PlayedWorld) -> None:
    (world.root / ".env").write_text("BASE_IMAGE=mine:1\n")
    with pytest.raises(EngineError, check=saying("mine:1 cannot be pulled")):
        world.prepare()
    assert not (world.root / ".env.local").exists()


def test_a_failure_on_the_way_leaves_no_decision_behind(world: PlayedWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(codename: str, archive: Path, say: object) -> None:
        raise DeployError(wanted="x", found="no space", fix="x")

    world.engine.registry.clear()
    monkeypatch.setattr(debian, "make_root_files", fail)
    with pytest.raises(DeployError, check=saying("no space")):
        world.prepare()
    assert not (world.root / ".env.local").exists()


def test_broken_settings_stop_setup_before_it_does_anything(world: PlayedWorld) -> None:
    (world.root / ".env").write_text("NB_UID=many\n")
    world.engine.ping = None  # type: ignore[assignment,method-assign]  # calling it would raise TypeError
    with pytest.raises(DeployError, check=saying("NB_UID")):
        world.prepare()


@pytest.fixture
def no_engine(world: PlayedWorld, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> PlayedWorld:
    def refuse() -> None:
        raise EngineUnavailable(wanted="an engine", found="none answers", fix="as the engine says")

    monkeypatch.setattr(world.engine, "ping", refuse)
    monkeypatch.setattr(setup, "_LOCAL_SOCKET", tmp_path / "docker.sock")
    monkeypatch.setattr(debian, "start_engine", lambda answers, say: pytest.fail("must not be called"))
    return world


def test_an_engine_elsewhere_is_never_replaced_by_one_here(no_engine: PlayedWorld) -> None:
    with pytest.raises(EngineUnavailable, check=saying("as the engine says")):
        setup.prepare(no_engine.root, {"DOCKER_HOST": "tcp://192.0.2.1:1"})


def test_an_engine_that_refuses_permission_is_not_installed_over(
    no_engine: PlayedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(setup._LOCAL_SOCKET))
        monkeypatch.setattr("os.access", lambda path, mode: False)
        with pytest.raises(EngineUnavailable, check=saying("as the engine says")):
            no_engine.prepare()


@pytest.mark.parametrize(
    ("release", "fix"), [("bookworm", "sudo ./invoke setup"), (None, "by your system's own means")]
)
def test_without_root_or_debian_the_message_says_how_to_get_an_engine(
    no_engine: PlayedWorld, monkeypatch: pytest.MonkeyPatch, release: str | None, fix: str
) -> None:
    monkeypatch.setattr(debian, "can_install", lambda: False)
    monkeypatch.setattr(debian, "release", lambda: release)
    with pytest.raises(EngineUnavailable, check=saying(fix)):
        no_engine.prepare()


# -- the installer ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("distribution", ["anaconda", "miniforge"])
@pytest.mark.parametrize("processor", ["x86_64", "aarch64"])
def test_the_installers_url_is_read_from_the_images_own_script(distribution: str, processor: str) -> None:
    script = (CHECKOUT / "anaconda3/install-distribution.sh").read_text()
    url = setup.installer_url(script, distribution, processor)
    assert url is not None
    assert url.startswith("https://")
    assert url.endswith(f"Linux-{processor}.sh")
    assert url.lower().rpartition("/")[2].startswith(distribution)


def test_an_unknown_processor_has_no_installer() -> None:
    assert (
        setup.installer_url((CHECKOUT / "anaconda3/install-distribution.sh").read_text(), "anaconda", "riscv64") is None
    )


@pytest.mark.parametrize("listed", [True, False])
def test_an_installer_that_was_laid_in_and_listed_counts_as_reachable(world: PlayedWorld, listed: bool) -> None:
    world.reachable = False
    folder = world.root / "anaconda3/installers"
    folder.mkdir()
    (folder / "Own.sh").write_text("")
    (folder / "SHA256SUMS").write_text("# sums\n" + ("0" * 64 + " *Own.sh\n" if listed else ""))
    world.prepare()
    assert load(world.root, {}).python_distribution == ("anaconda" if listed else "wheels")


def test_a_foreign_notebook_image_needs_no_distribution(world: PlayedWorld) -> None:
    world.reachable = False
    (world.root / ".env").write_text("DOCKER_NOTEBOOK_IMAGE=quay.io/jupyter/scipy-notebook\n")
    world.prepare()
    assert not (world.root / ".env.local").exists()


# -- TLS --------------------------------------------------------------------------------------------------------------

WELL_KNOWN = Path(certifi.where())
URL = "https://index.example/"


def test_a_certificate_of_a_well_known_authority_means_no_interception() -> None:
    assert internet.interceptors_bundle(URL, [BUNDLE], lambda url, bundle: "trusted") is None


def test_no_network_is_no_interception() -> None:
    assert internet.interceptors_bundle(URL, [BUNDLE], lambda url, bundle: "unreachable") is None
    assert internet.interceptors_bundle(None, [BUNDLE]) is None


def test_the_first_bundle_that_knows_the_interceptor_is_taken() -> None:
    knows = {Path("/b"), Path("/c")}
    found = internet.interceptors_bundle(
        URL, [Path("/a"), Path("/b"), Path("/c")], lambda url, bundle: "trusted" if bundle in knows else "distrusted"
    )
    assert found == Path("/b")


def test_an_interceptor_that_nobody_knows_is_an_error_that_says_where_its_authority_goes() -> None:
    with pytest.raises(DeployError, check=saying("update-ca-certificates")):
        internet.interceptors_bundle(URL, [BUNDLE], lambda url, bundle: "distrusted")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ssl.SSLCertVerificationError(1, "certificate verify failed"), "distrusted"),
        (ssl.SSLEOFError(8, "closed by a firewall"), "unreachable"),
        (OSError("no route"), "unreachable"),
    ],
)
def test_only_a_refused_certificate_counts_as_distrust(
    monkeypatch: pytest.MonkeyPatch, error: OSError, expected: str
) -> None:
    def head(*_: object, **__: object) -> None:
        try:
            raise error
        except OSError:
            raise requests.exceptions.SSLError("wrapped") from None

    monkeypatch.setattr(requests, "head", head)
    assert internet.verdict(URL, BUNDLE) == expected


# -- Debian -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ID=debian\nVERSION_CODENAME=bookworm\n", "bookworm"),
        ('NAME="Ubuntu"\nID=ubuntu\nVERSION_CODENAME="noble"\n', "noble"),
        ("ID=fedora\nVERSION_CODENAME=\n", None),
        ("ID=debian\n", None),
    ],
)
def test_the_release_is_read_from_os_release(tmp_path: Path, text: str, expected: str | None) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").write_text(text)
    assert debian.release(tmp_path) == expected


def test_package_sources_of_the_release_are_kept_and_others_left_out() -> None:
    texts = {
        "sources.list": "# comment\ndeb [arch=amd64 signed-by=/k.gpg] http://mirror/debian bookworm main contrib # end\n"
        "deb-src http://mirror/debian bookworm main\ndeb http://vendor/debian nodistro main\n",
        "debian.sources": "Types: deb deb-src\n# pinned\nURIs: http://mirror/security\nSuites: bookworm-security other\n"
        "Components: main\nSigned-By: /k.gpg\n\nTypes: deb\nEnabled: no\nURIs: http://off\nSuites: bookworm\nComponents: main\n",
    }
    assert debian.sources("bookworm", texts).splitlines() == [
        "deb [signed-by=/k.gpg] http://mirror/security bookworm-security main",
        "deb [signed-by=/k.gpg] http://mirror/debian bookworm main contrib",
    ]


def test_a_daemon_that_ends_at_once_is_reported_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "dockerd"
    program.write_text("#!/bin/sh\necho 'failed to start: no such thing'\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.setattr(debian, "ENGINE_LOG", tmp_path / "log")
    monkeypatch.setattr(debian, "_engine_process", lambda: False)
    monkeypatch.setattr(debian, "_systemd_runs", lambda: False)
    with pytest.raises(DeployError, check=saying("no such thing")):
        debian.start_engine(lambda: False, lambda line: None)
