"""Settings: where a value comes from, what derives, and each refusal with its key and fix."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from hubdeploy.contract.documents import Secret
from hubdeploy.errors import InputError
from hubdeploy.settings import declarations, loading
from hubdeploy.settings.declarations import Settings


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "userlist").write_text("kaben admin\n")
    return tmp_path


def load(root: Path, env: str = "", local: str = "", **shell: str) -> Settings:
    (root / ".env").write_text(env)
    path = root / ".env.local"
    path.write_text(local)
    path.chmod(0o600)
    return loading.load(root, shell)


def refusal(root: Path, env: str = "", local: str = "", **shell: str) -> str:
    with pytest.raises(InputError) as refused:
        load(root, env, local, **shell)
    assert refused.value.code == 1
    for problem in refused.value.problems:
        assert problem.wanted
        assert problem.fix
    return refused.value.message


def test_nothing_set_gives_a_whole_deployment(root: Path) -> None:
    found = load(root)
    assert found.name == "crypticlabs-jupyterhub"
    assert found.network_name == "crypticlabs-jupyterhub-network"
    assert found.data_volume == "crypticlabs-jupyterhub-data"
    assert found.notebook_dir == "/home/cryptic/work"
    assert found.notebook_image == "crypticlabs-jupyterhub/base-notebook:latest"
    assert found.bind_address == "127.0.0.1"
    assert found.callback_url == "https://localhost/hub/oauth_callback"
    assert found.authenticator == "shared-password"
    assert {found.origins[key] for key in declarations.declarations()} == {"derived"}


@pytest.mark.parametrize("text", ["/physics/lab-2/", "/physics/lab-2", "physics/lab-2/", "physics/lab-2"])
def test_the_path_is_part_of_every_url_however_its_ends_are_written(root: Path, text: str) -> None:
    found = load(root, f"HUB_PATH={text}\nHUB_PORT=8443")
    assert found.hub_path == "/physics/lab-2/"
    assert found.public_url == "https://localhost:8443/physics/lab-2"
    assert found.callback_url == "https://localhost:8443/physics/lab-2/hub/oauth_callback"


def test_everything_follows_the_deployments_name(root: Path) -> None:
    found = load(root, "DOCKER_MACHINE_NAME=lab")
    derived = [found.network_name, found.data_volume, found.image_namespace, found.notebook_image, found.hub_name]
    assert all(value.startswith("lab") for value in derived)


def test_everything_follows_the_user(root: Path) -> None:
    assert load(root, "NB_USER=ada").notebook_dir == "/home/ada/work"


def test_shell_wins_over_local_and_local_over_shared(root: Path) -> None:
    env, local = "HUB_PORT=1001\nNB_USER=a1\nNB_UID=1001", "HUB_PORT=1002\nNB_USER=a2"
    found = load(root, env, local, HUB_PORT="1003")
    assert (found.hub_port, found.nb_user, found.nb_uid) == (1003, "a2", 1001)
    assert [found.origins[key] for key in ("HUB_PORT", "NB_USER", "NB_UID")] == ["shell", ".env.local", ".env"]


def test_placeholders_count_as_not_set(root: Path) -> None:
    found = load(root, "GITHUB_CLIENT_ID=<client ID for your GitHub OAuth application>\nGITHUB_CLIENT_SECRET=<secret>")
    assert found.github_client_id is None
    assert found.authenticator == "shared-password"


def test_both_github_keys_choose_github(root: Path) -> None:
    found = load(root, "GITHUB_CLIENT_ID=abc\nHUB_HOST=hub.example.org", "GITHUB_CLIENT_SECRET=s3cret-of-github")
    assert (found.authenticator, found.bind_address) == ("github", "0.0.0.0")


@pytest.mark.parametrize(
    "issuer", ["https://id.example.org/", "https://id.example.org", "http://127.0.0.1:8000", "http://[::1]:1"]
)
def test_an_issuer_stays_as_it_is_written(root: Path, issuer: str) -> None:
    found = load(
        root, f"OIDC_ISSUER={issuer}\nOIDC_CLIENT_ID=a\nHUB_HOST=hub.example.org", "OIDC_CLIENT_SECRET=0123456789"
    )
    assert (found.authenticator, found.oidc_issuer) == ("oidc", issuer)


def test_groups_may_have_blanks_and_stand_once(root: Path) -> None:
    keys = "OIDC_ISSUER=https://id.example\nOIDC_CLIENT_ID=a\nALLOWED_GROUPS= lab 3 ,/lab/x,lab 3\nADMIN_GROUPS="
    found = load(root, keys, "OIDC_CLIENT_SECRET=0123456789")
    assert (found.allowed_groups, found.admin_groups) == (("lab 3", "/lab/x"), None)
    assert declarations.masked(found)["ALLOWED_GROUPS"] == "lab 3, /lab/x"


def test_organizations_and_teams_are_read_in_small_letters(root: Path) -> None:
    keys = "GITHUB_CLIENT_ID=a\nALLOWED_ORGANIZATIONS=Cryptic-Labs, other:Data_team,cryptic-labs\nADMIN_ORGANIZATIONS="
    found = load(root, keys, "GITHUB_CLIENT_SECRET=0123456789")
    assert (found.allowed_organizations, found.admin_organizations) == (("cryptic-labs", "other:data_team"), None)
    assert declarations.masked(found)["ALLOWED_ORGANIZATIONS"] == "cryptic-labs, other:data_team"


def test_name_servers_are_read_in_one_spelling(root: Path) -> None:
    found = load(root, "ACME_DNS='192.0.2.53, [2001:DB8::53]:5353 2001:db8::54,192.0.2.53:53'").acme_dns
    assert found == ("192.0.2.53:53", "[2001:db8::53]:5353", "[2001:db8::54]:53")
    assert load(root, "ACME_DNS=none").acme_dns == ("none",)
    for wrong in ("dns.example.org", "192.0.2.53:0", "192.0.2.53:65536", "[192.0.2.53]", "none, 192.0.2.53", ":53"):
        assert "has no address of a name server as entry" in refusal(root, f"ACME_DNS='{wrong}'")


def test_lengths_of_time_are_read_in_seconds_and_shown_as_they_are_written(root: Path) -> None:
    found = load(root, "IDLE_TIMEOUT=90m\nMAX_AGE='7 D'\nKERNEL_IDLE_TIMEOUT=120m")
    assert (found.idle_timeout, found.max_age, found.kernel_idle_timeout) == (5400, 604800, 7200)
    shown = declarations.masked(found)
    assert [shown[key] for key in ("IDLE_TIMEOUT", "MAX_AGE", "KERNEL_IDLE_TIMEOUT")] == ["90m", "7d", "2h"]
    assert load(root, "IDLE_TIMEOUT=none").idle_timeout is None
    for wrong in ("12", "0m", "1.5h", "12 hours", "never", "4000d"):
        assert "is not a length of time" in refusal(root, f"IDLE_TIMEOUT='{wrong}'")


def test_cards_are_read_each_once_and_in_one_form(root: Path) -> None:
    uuids = ", ".join(f"GPU-8f6d5c1e-0000-1111-2222-33334444555{number}" for number in range(2))
    for text in ("0, 1", uuids, "MIG-8f6d5c1e-0000-1111-2222-333344445555", "nvidia.com/gpu=0,nvidia.com/gpu=1:2",
                 "/dev/dri/renderD128+/dev/kfd, /dev/dri/renderD129+/dev/kfd", "/dev/accel/accel0"):  # fmt: skip
        assert load(root, f"GPUS='{text}'").cards == tuple(one.strip() for one in text.split(","))
    assert load(root, "").cards is load(root, "GPUS=").cards is None
    for wrong in ("all", "-1", "00", "0,", "GPU-8f6d", "nvidia.com/gpu", "nvidia.com/gpu=all", "/dev", "/dev/", "/etc/passwd",
                  "dri/card0", "0+1", "0 1", "/dev/a /dev/b", "/dev/a+", "/dev//a"):  # fmt: skip
        assert "has no card as entry" in refusal(root, f"GPUS='{wrong}'")
    for wrong in ("0, 1, 0", "/dev/kfd+/dev/a, /dev/kfd+/dev/b"):
        assert "has a card for the second time as entry" in refusal(root, f"GPUS='{wrong}'")
    assert "names cards by UUIDs and numbers" in refusal(root, f"GPUS='0, {uuids}'")
    assert "names 65 cards" in refusal(root, f"GPUS='{','.join(f'/dev/a{number}' for number in range(65))}'")


@pytest.mark.parametrize("path", ["/dev/../etc/x", "/dev/a/./b", "/dev/a+/dev/a", "/dev/a/.."])
def test_a_path_of_a_card_leads_straight_to_its_device(root: Path, path: str) -> None:
    assert "has paths that do not lead straight to devices as entry 1" in refusal(root, f"GPUS={path}")


@pytest.mark.parametrize(
    "path", ["sda", "nvme0n1", "mem", "dm-0", "mapper/home", "disk/by-id/x", "shm/x", "a+/dev/vda1"]
)
def test_no_disk_and_no_memory_of_the_host_is_a_card(root: Path, path: str) -> None:
    assert "has a disk, or memory of the host, as entry 1" in refusal(root, f"GPUS=/dev/{path}")


def test_networks_are_read_in_one_spelling(root: Path) -> None:
    found = load(root, "ALLOWED_NETWORKS=10.1.2.9/24, 10.1.2.3/32:0443 DB.example.org:5432,files,10.1.2.0/24")
    assert found.allowed_networks == ("10.1.2.0/24", "10.1.2.3:443", "db.example.org:5432", "files")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("169.254.169.254", "a link-local network as entry 2"),
        ("169.254.0.0/24:80", "a link-local network as entry 2"),
        ("10.1.2.300", "no network and no name as entry 2"),
        ("10.1.2.0/33", "no network and no name as entry 2"),
        ("db.example.org:0", "no port after the colon of entry 2"),
        ("db.example.org:", "no port after the colon of entry 2"),
        ("2001:db8::/32", "no port after the colon of entry 2"),
        ("postgres://db.example.org", "no port after the colon of entry 2"),
        ("-db", "no network and no name as entry 2"),
    ],
)
def test_what_is_no_network_is_refused(root: Path, text: str, words: str) -> None:
    with pytest.raises(InputError, match="ALLOWED_NETWORKS") as refused:
        load(root, f"ALLOWED_NETWORKS=10.1.2.0/24,{text}")
    assert words in str(refused.value)


def test_a_secret_shows_in_no_repr_and_no_report(root: Path) -> None:
    found = load(root, "", "USER_PASSWORD=canary-12345\nADMIN_PASSWORD=canary-1234567890-1234567890-1234567")
    assert "canary" not in repr(found)
    assert "canary" not in repr(declarations.masked(found))


def test_the_committed_files_are_fine() -> None:
    checkout = Path(__file__).resolve().parents[3]
    entries = (checkout / ".env").read_text()
    assert "GITHUB_CLIENT_SECRET=" not in entries
    loading.load(_only_committed(checkout), {})


def _only_committed(checkout: Path) -> Path:
    import shutil
    import tempfile

    folder = Path(tempfile.mkdtemp())
    for name in (".env", "userlist"):
        shutil.copy(checkout / name, folder / name)
    return folder


REFUSED = {
    "a network of the engine": ("DOCKER_NETWORK_NAME=bridge", "", "network of the engine itself"),
    "the data volume is a user's": ("DATA_VOLUME_HOST=crypticlabs-jupyterhub-user-kaben", "", "a user's volume"),
    "the default registry's own namespace": ("IMAGE_NAMESPACE=library", "", "IMAGE_NAMESPACE"),
    "no home": ("EXTRA_CA_BUNDLE=~nosuchuser/ca.pem", "", "EXTRA_CA_BUNDLE"),
    "cannot be parsed": ("this is no line", "", ".env:1"),
    "unknown key": ("DOCKER_NOTEBOOK_DIRS=/home/cryptic/work", "", "did you mean DOCKER_NOTEBOOK_DIR?"),
    "repeated key": ("NB_USER=a1\nNB_USER=a2", "", ".env:2: NB_USER"),
    "empty required value": ("NB_USER=", "", ".env:1: NB_USER: is empty"),
    "a secret in .env": ("USER_PASSWORD=canary-123", "", "check-files --fix"),
    "a name Docker refuses": ("DOCKER_NETWORK_NAME=-net", "", "DOCKER_NETWORK_NAME"),
    "a deployment's name with a capital": ("DOCKER_MACHINE_NAME=Lab", "", "DOCKER_MACHINE_NAME"),
    "NB_USER is root": ("NB_USER=root", "", "account of the system"),
    "NB_USER is no user name": ("NB_USER=9lives!", "", "NB_USER"),
    "NB_UID is no number": ("NB_UID=ten", "", "NB_UID"),
    "NB_UID is 0": ("NB_UID=0", "", "NB_UID"),
    "notebook directory outside the home": ("DOCKER_NOTEBOOK_DIR=/data/work", "", "lies outside the home"),
    "the old wart": ("NB_USER=ada\nDOCKER_NOTEBOOK_DIR=/home/cryptic/work", "", "NB_USER=ada"),
    "data volume is a path": ("DATA_VOLUME_HOST=/srv/data", "", "is a path"),
    "the data mount hides the hub": ("DATA_VOLUME_CONTAINER=/srv", "", "hides files"),
    "callback of another port": (
        "HUB_PORT=8443\nOAUTH_CALLBACK_URL=https://localhost/hub/oauth_callback",
        "",
        "HUB_PORT",
    ),
    "callback of another path": (
        "HUB_PATH=/physics\nOAUTH_CALLBACK_URL=https://localhost/hub/oauth_callback",
        "",
        "HUB_PATH=/physics/",
    ),
    "a URL for a path": ("HUB_PATH=https://localhost/physics", "", "is not the path of a URL"),
    "a path that climbs": ("HUB_PATH=/physics/../x", "", "or a path such as /physics/"),
    "a path with two slashes": ("HUB_PATH=//physics", "", "or a path such as /physics/"),
    "a path with a blank": ("HUB_PATH='/solid state/'", "", "or a path such as /physics/"),
    "a path with a sign": ("HUB_PATH=/a%20b/", "", "or a path such as /physics/"),
    "a path that is too long": (f"HUB_PATH=/{'x' * 100}", "", "at most 100 characters"),
    "one GitHub key": ("GITHUB_CLIENT_ID=abc", "", "GITHUB_CLIENT_SECRET is not"),
    "the other GitHub key": ("", "GITHUB_CLIENT_SECRET=0123456789abcdef", "GITHUB_CLIENT_ID is not"),
    "github without keys": ("AUTHENTICATOR=github", "", "GITHUB_CLIENT_ID and GITHUB_CLIENT_SECRET"),
    "a provider without its secret": (
        "OIDC_ISSUER=https://id.example\nOIDC_CLIENT_ID=a",
        "",
        "OIDC_CLIENT_SECRET is not",
    ),
    "a provider's secret alone": ("", "OIDC_CLIENT_SECRET=0123456789", "OIDC_ISSUER and OIDC_CLIENT_ID is not"),
    "oidc without keys": ("AUTHENTICATOR=oidc", "", "OIDC_ISSUER and OIDC_CLIENT_ID and OIDC_CLIENT_SECRET"),
    "a provider without TLS": ("OIDC_ISSUER=http://id.example", "", "has no TLS"),
    "a provider's description": (
        "OIDC_ISSUER=https://id.example/.well-known/openid-configuration",
        "",
        "leave out /.well-known/openid-configuration",
    ),
    "a provider with a query": ("OIDC_ISSUER=https://id.example?x", "", "is not a URL"),
    "groups without a provider": (
        "ALLOWED_GROUPS=students",
        "",
        "names who may log in by oidc, and AUTHENTICATOR is shared-password",
    ),
    "admins of GitHub's groups": (
        "GITHUB_CLIENT_ID=abc\nADMIN_GROUPS=a",
        "GITHUB_CLIENT_SECRET=0123456789",
        "names who may log in by oidc, and AUTHENTICATOR is github",
    ),
    "organizations without GitHub": (
        "ALLOWED_ORGANIZATIONS=a",
        "",
        "names who may log in by github, and AUTHENTICATOR is",
    ),
    "a team as GitHub mentions it": (
        "ALLOWED_ORGANIZATIONS=@a/b",
        "",
        "has no organization and no team as entry 1",
    ),
    "an organization without a name": (
        "ADMIN_ORGANIZATIONS=a,,b",
        "",
        "has no organization and no team as entry 2",
    ),
    "a team of a team": ("ADMIN_ORGANIZATIONS=a:b:c", "", "has no organization and no team as entry 1"),
    "a group without a name": ("ALLOWED_GROUPS=a,,b", "", "has a group without a name"),
    "two words for a claim": ("OIDC_GROUPS_CLAIM='a b'", "", "is not the name of a claim"),
    "shared password in public": ("HUB_HOST=hub.example.org", "", "shared-password"),
    "short password": ("", "USER_PASSWORD=short", "8 characters"),
    "no port": ("HUB_PORT=70000", "", "from 1 to 65535"),
    "a title of two lines": ('HUB_TITLE="Lab\\n3"', "", "is not a title"),
    "a long announcement": (f"HUB_ANNOUNCEMENT={'a' * 1001}", "", "is not an announcement"),
    "an announcement that steers a terminal": ("HUB_ANNOUNCEMENT='a\x1b[31m'", "", "is not an announcement"),
    "help that is no page": ("HUB_HELP_URL=javascript:alert(1)", "", "is not a page's URL"),
    "help with a login in it": ("HUB_HELP_URL=https://me:secret@example.org", "", "is not a page's URL"),
    "a logo that is not named as a picture": ("HUB_LOGO=/etc/passwd", "", "is not named as a picture"),
    "no logo": ("HUB_LOGO=logo.svg", "", "is not a file"),
    "no file": ("EXTRA_CA_BUNDLE=/nowhere/ca.pem", "", "is not a file"),
    "tag of our image": ("DOCKER_NOTEBOOK_IMAGE=crypticlabs-jupyterhub/base-notebook:0.0.0", "", "IMAGE_TAG"),
    "the bare name of an image that serves nobody": (
        "DOCKER_NOTEBOOK_IMAGE=hub",
        "",
        "is not a notebook image of ours",
    ),
    "no notebook image of ours": ("DOCKER_NOTEBOOK_IMAGE=crypticlabs-jupyterhub/hub:latest", "", "minimal-notebook"),
}

# What the search of test_settings_search.py found: each was accepted, and failed or meant something else later.
FOUND = {
    "a name of one letter": ("DATA_VOLUME_HOST=a", "", "two or more letters"),
    "a registry that is none": ("IMAGE_NAMESPACE=Acme/lab", "", "cannot be the first part"),
    "a registry in capital letters": ("IMAGE_NAMESPACE=Registry.example.org/lab", "", "lower-case words"),
    "a registry without a repository": ("IMAGE_NAMESPACE=docker.io", "", "cannot be the first part"),
    "a namespace too long for the engine": (f"IMAGE_NAMESPACE={'x' * 201}", "", "at most 200 characters"),
    "an image's id": (f"BASE_IMAGE={'0' * 64}", "", "is not an image reference"),
    "an image of ours to build ours on": ("BASE_IMAGE=lab/hub\nIMAGE_NAMESPACE=lab", "", "is built here"),
    "what JupyterHub replaces": ("DOCKER_NOTEBOOK_DIR=/home/cryptic/%U", "", "is not a path in a container"),
    "what ends a URL's path": ("DATA_VOLUME_CONTAINER=/data?x", "", "is not a path in a container"),
    "two slashes in front": ("DATA_VOLUME_CONTAINER=//data", "", "is not a plain path"),
    "a name too long for a file": (f"DOCKER_NOTEBOOK_DIR=/home/cryptic/{'x' * 256}", "", "is too long for a path"),
    "a command nobody can read": ("DOCKER_SPAWN_CMD='a\x1b[31mb'", "", "characters that cannot be seen"),
    "every address as the browsers'": ("HUB_HOST=0.0.0.0", "", "stands for every address"),
    "an address with a zone": ("BIND_ADDRESS=fe80::1%eth0", "", "is not an address"),
    "a URL with a question mark": ("OAUTH_CALLBACK_URL=https://localhost/hub/oauth_callback?x", "", "is not a URL"),
    "a URL with another alphabet": ("GITHUB_URL=https://bücher.example", "", "is not a URL"),
    "a URL of no host": ("GITHUB_URL=https://a_b.example", "", "is not a URL"),
    "an address of GitHub without a login": ("GITHUB_URL=https://api.github.com", "", "delete the line"),
    "GitHub without TLS": ("GITHUB_URL=http://github.com", "", "is not how GitHub's own login is reached"),
    "digits of another alphabet": ("USER_MEMORY_LIMIT=２G", "", "is not an amount of memory"),
    "a number that is none": ("USER_CPU_LIMIT=1e3", "", "is not a number of CPUs"),
    "a file whose name steers a terminal": ("EXTRA_CA_BUNDLE='a\x1b[31m'", "", "is not a path that can be shown"),
    "the proxy's volume for data": (
        "DOCKER_MACHINE_NAME=lab\nDATA_VOLUME_HOST=lab-proxy", "", "DOCKER_MACHINE_NAME=lab",
    ),
    "the proxy's volume for certificates": ("SECRETS_VOLUME=crypticlabs-jupyterhub-proxy", "", "the proxy's own volume"),
    "the guard's volume for data": ("DATA_VOLUME_HOST=crypticlabs-jupyterhub-guard", "", "the guard's own volume"),
    "a secret where everybody reads": (
        "HUB_HOST=localhost", "USER_PASSWORD=canary-12345\nGITHUB_CLIENT_ID=x-canary-12345", "holds the value of USER_PASSWORD",
    ),
    "a secret that is an ordinary word": (
        "GITHUB_CLIENT_ID=abc\nHUB_HOST=hub.example.org", "GITHUB_CLIENT_SECRET=canary", "too short for a client secret",
    ),
    "half of a secret on a line of its own": ("", "USER_PASSWORD=eight-letters\ncanary9=", ".env.local:2"),
    "a key without a value": ("NB_USER\n", "", "has no value"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED | FOUND)
def test_bad_input_is_refused_with_its_place_and_fix(root: Path, case: str) -> None:
    env, local, words = (REFUSED | FOUND)[case]
    message = refusal(root, env, local)
    assert words in message
    assert "canary" not in message


def test_all_problems_are_reported_at_once(root: Path) -> None:
    (root / "userlist").write_text("kaben boss\n")
    message = refusal(root, "NB_UID=0\nHUB_PORT=x\nNOPE=1")
    for words in ("4 problems", ".env:1: NB_UID", ".env:2: HUB_PORT", ".env:3: NOPE", "userlist:1"):
        assert words in message


def test_no_value_is_shown_while_the_file_of_secrets_cannot_be_read(root: Path) -> None:
    refusal(root, "NB_USER=canary-12345!")
    (root / ".env.local").write_bytes(b"USER_PASSWORD=canary-12345!\n# \xff\n")
    with pytest.raises(InputError, match="NB_USER") as refused:
        loading.load(root, {})
    assert "canary" not in refused.value.message


def test_a_wrong_image_is_reported_beside_an_unreadable_tag(root: Path) -> None:
    message = refusal(root, "IMAGE_TAG=/x\nDOCKER_NOTEBOOK_IMAGE=lab/hub:latest\nIMAGE_NAMESPACE=lab")
    assert ".env:1: IMAGE_TAG" in message
    assert "lab/hub:latest is not a notebook image of ours" in message


def test_a_secret_of_the_shell_is_found_elsewhere_though_a_file_cannot_be_read(root: Path) -> None:
    (root / ".env").write_text("HUB_HOST=canary-12345\n")
    (root / ".env.local").write_bytes(b"# \xff\n")
    with pytest.raises(InputError, match=r"\.env:1: HUB_HOST: holds the value of USER_PASSWORD") as refused:
        loading.load(root, {"USER_PASSWORD": "canary-12345"})
    assert "canary" not in refused.value.message


def test_a_contradiction_is_reported_beside_an_unreadable_value(root: Path) -> None:
    message = refusal(root, "HUB_PORT=x\nNB_USER=ada\nDOCKER_NOTEBOOK_DIR=/home/cryptic/work")
    assert ".env:1: HUB_PORT" in message
    assert "lies outside the home of NB_USER=ada" in message


def test_a_default_that_stands_in_contradicts_nothing(root: Path) -> None:
    # If NB_USER cannot be read, or its key is misspelt, it may be ada.
    for user in ("NB_USER=Ada!", "NB_USR=ada"):
        assert "outside the home" not in refusal(root, f"{user}\nDOCKER_NOTEBOOK_DIR=/home/ada/work")


def test_an_address_that_cannot_be_read_may_be_this_machines_own(root: Path) -> None:
    message = refusal(root, "HUB_HOST=hub.example.org\nAUTHENTICATOR=shared-password\nBIND_ADDRESS='127.0.0.1'b")
    assert "1 problem" in message


def test_keys_that_cannot_be_read_may_be_githubs(root: Path) -> None:
    same = "USER_PASSWORD='x x x x x x x x x x x x x x x x x'\nADMIN_PASSWORD='x x x x x x x x x x x x x x x x x'\n"
    keys = "GITHUB_CLIENT_ID=id\nGITHUB_CLIENT_SECRET='a b'\n"
    assert "ADMIN_PASSWORD" not in refusal(root, "HUB_HOST=hub.example.org", same + keys)
    assert "ADMIN_PASSWORD" in refusal(root, "AUTHENTICATOR=shared-password", same + keys)


@pytest.mark.parametrize("name", ["base-notebook", "minimal-notebook"])
def test_the_bare_name_of_a_notebook_image_means_ours(root: Path, name: str) -> None:
    found = load(root, f"IMAGE_NAMESPACE=acme/lab\nIMAGE_TAG=autumn\nDOCKER_NOTEBOOK_IMAGE={name}")
    assert found.notebook_image == f"acme/lab/{name}:autumn"
    assert found.notebook_members == (name,)


@pytest.mark.parametrize("name", ["minimal-notebook:2026", "jupyter/minimal-notebook", "library/minimal-notebook"])
def test_the_same_name_with_more_to_it_is_an_image_of_others(root: Path, name: str) -> None:
    assert load(root, f"DOCKER_NOTEBOOK_IMAGE={name}").notebook_members == ()


def test_a_misspelt_key_is_suggested_once_only(root: Path) -> None:
    assert "did you mean" not in refusal(root, "NB_USER=ada\nNB_USERS=bob").replace("mean NB_UID", "")


def test_a_secret_may_be_passed_through_from_the_shell(root: Path) -> None:
    assert load(root, "USER_PASSWORD\n", USER_PASSWORD="long-enough").user_password == Secret("long-enough")


def test_a_missing_userlist_is_refused(root: Path) -> None:
    (root / "userlist").unlink()
    assert "userlist: is missing" in refusal(root)


def test_a_local_file_that_others_can_read_is_refused(root: Path) -> None:
    load(root)
    (root / ".env.local").chmod(0o644)
    with pytest.raises(InputError, match="chmod 600"):
        loading.load(root, {})


def test_a_bad_value_in_the_shell_is_named_as_such(root: Path) -> None:
    assert "shell environment: HUB_PORT" in refusal(root, HUB_PORT="x")


def test_a_default_port_may_be_written_out_in_the_callback(root: Path) -> None:
    load(root, "OAUTH_CALLBACK_URL=https://localhost:443/hub/oauth_callback")


@pytest.mark.parametrize(
    ("written", "listed"),
    [
        ("jupyter/scipy-notebook", "jupyter/scipy-notebook:latest"),
        ("docker.io/library/debian:12", "debian:12"),
        ("127.0.0.1:5000/a/b", "127.0.0.1:5000/a/b:latest"),
        (f"quay.io/a/b:c@sha256:{'0' * 64}", f"quay.io/a/b@sha256:{'0' * 64}"),
        ("library/a/b", "library/a/b:latest"),
    ],
)
def test_an_image_has_the_name_that_the_engine_lists_it_by(root: Path, written: str, listed: str) -> None:
    assert load(root, f"DOCKER_NOTEBOOK_IMAGE={written}").notebook_image == listed


@pytest.mark.parametrize("host", ["::1", "127.0.0.2", "127.0.0.1"])
def test_a_loopback_host_is_the_address_that_is_bound(root: Path, host: str) -> None:
    assert load(root, f"HUB_HOST={host}").bind_address == host


def test_an_empty_password_in_the_shell_is_refused(root: Path) -> None:
    assert "shell environment: USER_PASSWORD: is empty" in refusal(
        root, "", "USER_PASSWORD=long-enough", USER_PASSWORD=""
    )


def test_a_namespace_is_written_as_the_engine_lists_it(root: Path) -> None:
    assert load(root, "IMAGE_NAMESPACE=docker.io/acme").image_reference("hub") == "acme/hub:latest"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("https://GitHub.com/", "https://github.com"),
        ("https://github.com:443", "https://github.com"),
        ("HTTPS://Git.Example.org:8443/x/", "https://git.example.org:8443/x"),
        ("http://[::1]:80", "http://[::1]"),
    ],
)
def test_a_github_server_has_one_spelling(root: Path, written: str, read: str) -> None:
    # OAuthenticator compares it with https://github.com to the letter.
    assert load(root, f"GITHUB_URL={written}").github_url == read


@pytest.mark.parametrize("name", [".env", ".env.local", "userlist"])
def test_a_folder_instead_of_a_file_is_reported(root: Path, name: str) -> None:
    (root / name).unlink(missing_ok=True)
    (root / name).mkdir(mode=0o700)
    with pytest.raises(InputError, match=f"{name}: cannot be read"):
        loading.load(root, {})


@pytest.mark.parametrize("name", [".env", "userlist"])
def test_a_file_that_is_no_text_is_reported(root: Path, name: str) -> None:
    (root / name).write_bytes(b"\xff\xfe\n")
    with pytest.raises(InputError, match=f"{name}: is not UTF-8"):
        loading.load(root, {})


@pytest.mark.parametrize(
    "local",
    [
        "DOCKER_MACHINE_NAME='\nUSER_PASSWORD=canary-12345\nNB_USER=ada'",
        "HUB_HOST=localhost USER_PASSWORD=canary-12345",
        "USER_PASSWORD=canary-12345\nHUB_HOST=$USER_PASSWORD!",
        "USER_PASSWORD=canary-12345\nEXTRA_CA_BUNDLE=/$USER_PASSWORD",
        "USER_PASSWORD=long-enough\nUSER_PASSWORD=canary/12345\nNB_USER=canary/12345",
    ],
)
def test_a_secret_that_slipped_into_another_value_is_not_shown(root: Path, local: str) -> None:
    assert "canary" not in refusal(root, "", local)


@pytest.mark.parametrize("key", declarations.declarations())
@pytest.mark.parametrize("secret", ["canary-" + 32 * "1", "Canary/:?@#,;=" + 32 * "1", "canary " + 2000 * "1"])
def test_a_secret_on_the_line_of_another_setting_is_not_shown(root: Path, key: str, secret: str) -> None:
    local = "" if key == "GITHUB_CLIENT_SECRET" else f"GITHUB_CLIENT_SECRET='{secret}'"
    with suppress(InputError):
        load(root, "", f"{key}='{secret}'\n{local}")
        return
    assert "canary" not in refusal(root, "", f"{key}='{secret}'\n{local}").lower()


@pytest.mark.parametrize(
    ("env", "local", "shell"),
    [
        ("DOCKER_MACHINE_NAME=lab\nHUB_PORT=none\n", "", {}),
        ("DOCKER_MACHINE_NAME=lab\nthis line cannot be read\n", "", {}),
        ("DOCKER_MACHINE_NAME=lab\n", "'half a quote\n", {"DOCKER_MACHINE_NAME": "lab"}),
        ("HUB_PORT=1\nHUB_PORT=2\n", "DOCKER_MACHINE_NAME=lab\n", {}),
    ],
)
def test_the_name_is_known_though_something_else_is_wrong(
    root: Path, env: str, local: str, shell: dict[str, str]
) -> None:
    (root / ".env").write_text(env)
    (root / ".env.local").write_text(local)
    name, found, problems = loading.load_name(root, shell)
    assert (name, found) == ("lab", None)
    assert problems


@pytest.mark.parametrize(
    ("env", "local"),
    [
        ("this line cannot be read\n", ""),
        ("DOCKER_MACHINE_NAME=lab\n", "this line cannot be read\n"),
        ("DOCKER_MACHINE_NAME=lab\nDOCKER_MACHINE_NAME=other\n", ""),
        ("DOCKER_MACHIN_NAME=lab\n", ""),
        ("DOCKER_MACHINE_NAME=No Name\n", ""),
    ],
)
def test_a_deployment_name_in_doubt_is_refused(root: Path, env: str, local: str) -> None:
    (root / ".env").write_text(env)
    (root / ".env.local").write_text(local)
    with pytest.raises(InputError):
        loading.load_name(root, {})


def test_without_a_mistake_the_settings_come_with_the_name(root: Path) -> None:
    (root / ".env").write_text("DOCKER_MACHINE_NAME=lab\n")
    name, found, problems = loading.load_name(root, {})
    assert found is not None
    assert (name, found.name, problems) == ("lab", "lab", ())
