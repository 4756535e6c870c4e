"""All parts of a deployment agree on every fact: for the committed settings, for named examples, and for each setting's
own example.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from hubdeploy.settings import declarations as declared
from hubdeploy.settings import loading
from hubdeploy.settings.declarations import Settings, declarations
from tests.agreement import border, discovery, facts
from tests.agreement.discovery import with_values
from tests.agreement.places import render
from tests.agreement.reading import kind_of

CHECKOUT = Path(__file__).parents[2]
GITHUB = "GITHUB_CLIENT_ID=client\n"
OIDC = "OIDC_ISSUER=https://id.example.org\nOIDC_CLIENT_ID=client\n"
SHELLS = {
    GITHUB: {"GITHUB_CLIENT_SECRET": "secret-of-github"},
    OIDC: {"OIDC_CLIENT_SECRET": "secret-of-provider"},
}
EXAMPLES = {
    "nothing is set": "",
    "another name": "DOCKER_MACHINE_NAME=lab",
    "every name is set": "DOCKER_MACHINE_NAME=lab\nDOCKER_NETWORK_NAME=net\nDATA_VOLUME_HOST=Old_data.1\nIMAGE_NAMESPACE=a/b",
    "another user": "NB_USER=ada\nNB_UID=1500",
    "another directory": "DOCKER_NOTEBOOK_DIR=/home/cryptic/a/b/c",
    "a foreign image": "DOCKER_NOTEBOOK_IMAGE=jupyter/scipy-notebook:18e5563b7486\nNB_USER=ada",
    "a foreign image by digest": f"DOCKER_NOTEBOOK_IMAGE=quay.io/jupyter/base-notebook@sha256:{'0' * 64}",
    "the image with editors": "DOCKER_NOTEBOOK_IMAGE=crypticlabs-jupyterhub/minimal-notebook",
    "images of a registry with a port": "IMAGE_NAMESPACE=registry.example.org:5000/lab\nIMAGE_TAG=2026-11",
    "the other builder": "BUILDER=buildx\nDOCKER_NOTEBOOK_IMAGE=crypticlabs-jupyterhub/minimal-notebook",
    "an address of version 6": "HUB_HOST=::1\nHUB_PORT=8443",
    "sudo for everybody": "GRANT_SUDO=yes",
    "limits": "USER_MEMORY_LIMIT=1500M\nUSER_CPU_LIMIT=0.29\nUSER_PIDS_LIMIT=64\nUSER_DISK_LIMIT=20G",
    "seats": "USER_MEMORY_GUARANTEE=1G\nHOST_MEMORY=12G",
    "servers without a seat of their own": "USER_MEMORY_GUARANTEE=none",
    "servers that end by themselves": "IDLE_TIMEOUT=90m\nMAX_AGE=7d\nKERNEL_IDLE_TIMEOUT=1h",
    "servers that run for ever": "IDLE_TIMEOUT=none",
    "course material": "COURSE_REPOSITORIES='https://GitHub.com:443/physics/*, https://git.example.org:8443/maths/algebra.git'",
    "cards": "GPUS='/dev/dri/renderD128+/dev/kfd, /dev/dri/renderD129+/dev/kfd'",
    "a command with arguments": "DOCKER_SPAWN_CMD=\"start-singleuser.sh --debug '--x=a b'\"",
    "another data directory": "DATA_VOLUME_CONTAINER=/srv/hub-data",
    "a certificate that is brought": "SECRETS_VOLUME=lab-secrets",
    "a signed certificate": f"{GITHUB}HUB_HOST=hub.example.org\nACME_EMAIL=admin@example.org\nACME_DAYS=45",
    "a redirect": "HTTP_PORT=8080",
    "a router in front": f"{GITHUB}HUB_HOST=hub.example.org\nLISTEN_PORT=8443",
    "another proxy in front": f"{GITHUB}TLS=outside\nHUB_HOST=www.example.org\nHUB_PATH=/lab/",
    "another proxy elsewhere": f"{GITHUB}TLS=outside\nHUB_HOST=2001:db8::1\nBIND_ADDRESS=::\nTRUSTED_PROXIES=192.0.2.7",
    "GitHub": f"{GITHUB}HUB_HOST=hub.example.org\nHUB_PORT=8443",
    "GitHub Enterprise": f"{GITHUB}GITHUB_URL=https://github.example.org/",
    "organizations": f"{GITHUB}ALLOWED_ORGANIZATIONS=cryptic-labs, other:data-team\nADMIN_ORGANIZATIONS=Cryptic-Labs:staff",
    "a provider with groups": f"{OIDC}HUB_HOST=hub.example.org\nALLOWED_GROUPS=students, lab 3\nADMIN_GROUPS=teachers",
    "accounts of its own": "AUTHENTICATOR=accounts\nHUB_HOST=hub.example.org\n",
    "a daily backup": "BACKUP_AT=3:05\n",
    "a callback URL with its port": f"{GITHUB}OAUTH_CALLBACK_URL=https://localhost:443/hub/oauth_callback",
}  # fmt: skip
LOGINS = {"passwords": "", "github": GITHUB, "oidc": OIDC, "accounts": "AUTHENTICATOR=accounts\n"}
# Places that only count others, and the file of the passwords: they show no fact of their own.
COUNTING = re.compile(
    r"contract\.fingerprint|remembered\.|hub\.(authenticator_class|db_url)"
    r"|build\[.*\]\.labels\.hubdeploy\.(content|inputs\.(its parent|.*/))"
)


def accepted(folder: Path, text: str, users: str = "kaben admin\nann\nbob sudo\n") -> Settings:
    (folder / "userlist").write_text(users)
    (folder / ".env").write_text(text)
    return loading.load(folder, next((shell for login, shell in SHELLS.items() if login in text), {}))


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Every kind of place that some reading reads."""
    folder = tmp_path_factory.mktemp("read")
    found = [
        accepted(folder, text)
        for text in (
            *LOGINS.values(),
            *(
                EXAMPLES[one]
                for one in ("a foreign image", "a signed certificate", "a provider with groups", "a daily backup")
            ),
        )
    ]
    return {reading.kind for one in found for reading in facts.readings(one, render(one))}


@pytest.mark.parametrize("text", EXAMPLES.values(), ids=EXAMPLES)
def test_the_parts_of_an_example_agree(tmp_path: Path, text: str) -> None:
    assert facts.disagreements(accepted(tmp_path, text)) == []


SHARED = """
shared:
  staff:
  course: {groups: [course, staff], users: [bob]}
  climate: {volume: climate-2024}
  scans: {path: /srv/scans, groups: [course]}
  nas: {nfs: "nas:/x", users: [bob]}
"""
KINDS = """
environment: {COURSE: physics}
kinds:
  staff: {title: Staff, users: [bob], groups: [staff], memory: 8G, guarantee: 1G, cpus: 2, idle_timeout: none,
    environment: {OMP_NUM_THREADS: 2}, networks: [db:5432, 10.1.2.0/24]}
  small: {title: Small, description: For all, max_age: 7d}
"""


# Kind -> its image, and whose servers have it: bob's of the first kind, all others' of the last.
IMAGES = """
kinds:
  staff: {title: Staff, users: [bob], image: jupyter/scipy-notebook:18e5563b7486, command: jupyterhub-singleuser --debug}
  tex: {title: TeX, users: [eve], image: minimal-notebook}
  again: {title: Again, users: [eve], image: "jupyter/scipy-notebook:18e5563b7486"}
  other: {title: Other, image: "quay.io/lab/notebook:1"}
"""


@pytest.mark.parametrize("text", ["", "IMAGE_TAG=autumn\nIMAGE_NAMESPACE=acme/lab", EXAMPLES["sudo for everybody"]])
@pytest.mark.parametrize("kinds", [IMAGES, IMAGES.replace("quay.io/lab/notebook:1", "base-notebook")])
def test_the_parts_agree_on_the_images_of_kinds(tmp_path: Path, text: str, kinds: str) -> None:
    (tmp_path / "servers.yml").write_text(kinds)
    assert facts.disagreements(accepted(tmp_path, text)) == []


@pytest.mark.parametrize("text", ["", EXAMPLES["limits"], EXAMPLES["a foreign image"], EXAMPLES["sudo for everybody"]])
def test_the_parts_agree_on_kinds_of_servers(tmp_path: Path, text: str) -> None:
    (tmp_path / "servers.yml").write_text(KINDS)
    for users in ("kaben admin @staff\nbob\n", "kaben\nbob sudo\nada @staff @course:read\n@staff keep\n"):
        assert facts.disagreements(accepted(tmp_path, text, users)) == []


def test_the_parts_agree_on_cards_of_kinds(tmp_path: Path) -> None:
    (tmp_path / "servers.yml").write_text("kinds:\n  plain: {title: Plain}\n  gpu: {title: GPU, gpus: 2}\n")
    for text in (EXAMPLES["cards"], "GPUS=0,1,2"):
        assert facts.disagreements(accepted(tmp_path, text)) == []


@pytest.mark.parametrize(
    "text", ["", EXAMPLES["a foreign image"], EXAMPLES["sudo for everybody"], EXAMPLES["a daily backup"]]
)
def test_the_parts_agree_on_what_users_share(tmp_path: Path, text: str) -> None:
    (tmp_path / "servers.yml").write_text(SHARED)
    for users in ("kaben admin @staff @course:read\nbob\n", "bob sudo @staff\nada @staff @course\n@staff read\n"):
        assert facts.disagreements(accepted(tmp_path, text, users)) == []


def test_the_parts_agree_on_kinds_for_groups_of_a_login(tmp_path: Path) -> None:
    kind = "  gpu: {title: GPU, provider_groups: [cards, 'org:team']}\n"
    (tmp_path / "servers.yml").write_text(f"kinds:\n{kind}  small: {{title: Small}}\n")
    for text in (EXAMPLES["a provider with groups"], LOGINS["github"]):
        assert facts.disagreements(accepted(tmp_path, text)) == []


def test_the_parts_of_the_committed_settings_agree(tmp_path: Path) -> None:
    text, users = ((CHECKOUT / name).read_text() for name in (".env", "userlist"))
    assert facts.disagreements(accepted(tmp_path, text, users)) == []


@pytest.mark.parametrize("users", ["a\n", "a admin sudo\n", "a sudo\nB admin\n", "dot.ted@example.org sudo\n"])
def test_the_parts_agree_on_every_kind_of_user(tmp_path: Path, users: str) -> None:
    assert facts.disagreements(accepted(tmp_path, "", users)) == []


@pytest.mark.parametrize("login", LOGINS.values(), ids=LOGINS)
@pytest.mark.parametrize("key", declarations())
def test_the_parts_agree_on_each_settings_example(tmp_path: Path, key: str, login: str) -> None:
    declaration = declarations()[key][1]
    value = declaration.read(declaration.example.strip("'"))
    value = border.file_like(value) if isinstance(value, Path) else value
    assert facts.disagreements(with_values(accepted(tmp_path, login), {key: value})) == []


@pytest.mark.parametrize("key", declarations())
def test_every_setting_shows_and_every_place_that_shows_it_is_read(tmp_path: Path, read: set[str], key: str) -> None:
    found = accepted(tmp_path, "")
    places, _ = discovery.shows(found, key)
    assert places
    assert {place for place in places if not COUNTING.match(place) and kind_of(place) not in read} == set()


def test_what_a_setting_changes_is_reported_part_by_part(tmp_path: Path) -> None:
    found = accepted(tmp_path, "")
    reported = {
        key: discovery.dependencies(found, key) for key in ("HUB_PORT", "DATA_VOLUME_HOST", "NB_UID", "USER_PASSWORD")
    }
    assert reported == {
        "HUB_PORT": {"container clock", "container filter", "container proxy"},
        "DATA_VOLUME_HOST": {"container hub", "volume data"},
        "NB_UID": {"container filter", "container hub", "image base-notebook", "servers"},
        "USER_PASSWORD": {"container hub", "passwords"},
    }


def test_a_setting_that_does_nothing_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    motto: Any = declared.setting("MOTTO", "what the login page says", str, default="welcome", example="hello")
    extended = dataclasses.make_dataclass("Settings", [("motto", str, motto)], bases=(Settings,), frozen=True)
    for module in (declared, loading):
        monkeypatch.setattr(module, "Settings", extended)
    assert facts.disagreements(accepted(tmp_path, "")) == ["MOTTO: shows nowhere, so it does nothing"]
