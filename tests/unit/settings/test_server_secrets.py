"""Secrets in the environment of users' servers: servers.yml names them, .env.local has their values, and nothing else does."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

from hubdeploy.blueprint import documents, throwaway
from hubdeploy.blueprint.component import Facts
from hubdeploy.blueprint.components import filter
from hubdeploy.contract.documents import SERVER_SECRETS_FILE, Secret, ServerSecrets, to_bytes
from hubdeploy.errors import InputError
from hubdeploy.settings import loading
from hubdeploy.settings.declarations import Settings

KEY = "canary-of-a-model"
TOKEN = "canary-of-all-kinds"
KINDS = """\
secrets: [DATA_TOKEN]
kinds:
  small: {title: Small}
  large:
    title: Large
    secrets: [OPENAI_API_KEY]
"""
LOCAL = f"OPENAI_API_KEY={KEY}\nDATA_TOKEN={TOKEN}\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "userlist").write_text("kaben admin\n")
    return tmp_path


def load(root: Path, servers: str = KINDS, local: str = LOCAL, env: str = "", **shell: str) -> Settings:
    for name, text in (("servers.yml", servers), (".env.local", local), (".env", env)):
        (root / name).write_text(text)
        (root / name).chmod(0o600)
    return loading.load(root, shell)


def refused(root: Path, **given: str) -> dict[str, str]:
    """Where and which key -> all words, of each problem; no secret is in any."""
    with pytest.raises(InputError) as found:
        load(root, **given)
    assert "canary" not in str(found.value) + repr(found.value.problems)
    words = defaultdict[str, str](str)
    for one in found.value.problems:
        words[f"{one.where} {one.key}".strip()] += f"{one}\n"
    return words


def drawn(found: Settings) -> tuple[bytes, bytes, str]:
    """The contract, what the filter alone has, and the filter's environment."""
    facts = Facts(2**33, None, {}, None, Secret("password"))
    container = filter.container(found, facts)
    contract = documents.contract(found, facts.engine_memory)
    secret = container.all_files[SERVER_SECRETS_FILE].reveal()
    return to_bytes(contract), secret, str(container.environment) + str(container.all_labels)


def test_a_kind_gets_its_own_secrets_and_those_of_all(root: Path) -> None:
    found = load(root)
    assert documents.server_secrets(found) == ServerSecrets(
        {
            "small": {"DATA_TOKEN": Secret(TOKEN)},
            "large": {"DATA_TOKEN": Secret(TOKEN), "OPENAI_API_KEY": Secret(KEY)},
        }
    )
    assert found.origins["OPENAI_API_KEY"] == ".env.local"


def test_no_value_is_in_what_the_hub_reads_or_the_engine_shows(root: Path) -> None:
    contract, secret, shown = drawn(load(root))
    assert KEY.encode() in secret
    assert b"canary" not in contract
    assert "canary" not in shown
    assert "canary" not in repr(load(root))


def test_another_value_changes_no_fingerprint_and_another_name_does(root: Path) -> None:
    one, other, renamed = (
        documents.contract(load(root, servers, local), 2**33).kinds[1].fingerprint
        for servers, local in (
            (KINDS, LOCAL),
            (KINDS, LOCAL.replace(KEY, "canary-of-another")),
            (KINDS.replace("OPENAI_API_KEY", "HF_TOKEN"), LOCAL.replace("OPENAI_API_KEY", "HF_TOKEN")),
        )
    )
    assert one == other != renamed


def test_the_shell_wins_as_for_each_setting(root: Path) -> None:
    found = load(root, OPENAI_API_KEY="canary-of-the-shell")
    assert found.server_secrets["OPENAI_API_KEY"] == Secret("canary-of-the-shell")
    assert found.origins["OPENAI_API_KEY"] == "shell"


def test_a_throw_away_deployment_has_no_secret(root: Path) -> None:
    for kind in throwaway.KINDS:
        made = throwaway.settings_of(load(root), kind, "visitor")
        assert b"canary-of" not in b"".join(drawn(made)[:2])


def test_a_name_is_known_only_where_servers_yml_lists_it(root: Path) -> None:
    found = refused(root, servers="kinds: {a: {title: A}}", local=LOCAL)
    assert found.keys() == {".env.local:1 OPENAI_API_KEY", ".env.local:2 DATA_TOKEN"}
    assert all("is not a setting" in words for words in found.values())


@pytest.mark.parametrize("form", ["plain", "quoted", "bare"])
def test_a_listed_secret_in_the_committed_file_is_refused(root: Path, form: str) -> None:
    line = {"plain": f"DATA_TOKEN={TOKEN}", "quoted": f"DATA_TOKEN='{TOKEN}'", "bare": "DATA_TOKEN"}[form]
    local = f"OPENAI_API_KEY={KEY}\n"
    if form == "bare":
        assert load(root, local=local, env=line, DATA_TOKEN=TOKEN).server_secrets["DATA_TOKEN"] == Secret(TOKEN)
    else:
        words = refused(root, local=local, env=f"\n{line}\n")[".env:2 DATA_TOKEN"]
        assert "is a secret in a file that is committed" in words


@pytest.mark.parametrize(
    ("servers", "where", "words"),
    [
        (KINDS.replace("OPENAI_API_KEY", "HUB_TITLE"), "servers.yml:6 kinds.large.secrets", "which is a setting"),
        (KINDS.replace("OPENAI_API_KEY", "GRANT_SUDO"), "servers.yml:6 kinds.large.secrets", "sets 'GRANT_SUDO'"),
        (KINDS.replace("OPENAI_API_KEY", "JUPYTERHUB_X"), "servers.yml:6 kinds.large.secrets", "sets 'JUPYTERHUB_X'"),
        (KINDS.replace("[OPENAI_API_KEY]", "OPENAI_API_KEY"), "servers.yml:6 kinds.large.secrets", "is no list"),
        (KINDS.replace("[OPENAI_API_KEY]", "[]"), "servers.yml:6 kinds.large.secrets", "names nothing"),
        (KINDS.replace("OPENAI_API_KEY", "lower"), "servers.yml:6 kinds.large.secrets", "has no name as entry 1"),
        (KINDS.replace("[OPENAI_API_KEY]", f"{{OPENAI_API_KEY: {KEY}}}"), "servers.yml:6 kinds.large.secrets", "is no list"),
        (
            KINDS + "    environment: {OPENAI_API_KEY: x}\n",
            "servers.yml:6 kinds.large",
            "has OPENAI_API_KEY in secrets and in environment",
        ),
        (
            f"environment: {{DATA_TOKEN: x}}\n{KINDS}",
            "servers.yml:2 secrets",
            "has DATA_TOKEN in secrets and in environment",
        ),
        (
            f"environment: {{OPENAI_API_KEY: x}}\n{KINDS}",
            "servers.yml:7 kinds.large",
            "has OPENAI_API_KEY in secrets and in environment",
        ),
        (
            KINDS.replace("title: Small", f"title: Small, environment: {{A: x{KEY}}}"),
            "servers.yml:3 kinds.small.environment.A",
            "holds the value of OPENAI_API_KEY",
        ),
        (KINDS.replace("title: Small", f"title: {KEY}"), "servers.yml:3 kinds.small.title", "holds the value of OPENAI"),
        (KINDS.replace("title: Small", f"title: Small, {KEY}: 1"), "servers.yml:3 kinds.small", "holds the value of OPENAI"),
        (KINDS.replace("small:", f"{KEY}:"), "servers.yml:3 kinds", "holds the value of OPENAI_API_KEY"),
        (KINDS.replace("title: Small", f"title: Small, users: [a, {KEY}]"), "servers.yml:3 kinds.small.users", "holds the"),
        (KINDS.replace("title: Small", f"title: Small, secrets: [{KEY}]"), "servers.yml:3 kinds.small.secrets", "holds the"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_list_is_named_and_shows_no_value(root: Path, servers: str, where: str, words: str) -> None:
    found = refused(root, servers=servers)
    assert where in found, found
    assert words in found[where]


@pytest.mark.parametrize(
    ("local", "where", "words"),
    [
        (f"OPENAI_API_KEY={KEY}\n", "servers.yml:1 DATA_TOKEN", "has no value"),
        (f"OPENAI_API_KEY={KEY}\nDATA_TOKEN=<the token>\n", "servers.yml:1 DATA_TOKEN", "has no value"),
        (f"OPENAI_API_KEY={KEY}\nDATA_TOKEN=\n", ".env.local:2 DATA_TOKEN", "has no value"),
        (f"OPENAI_API_KEY={KEY}\nDATA_TOKEN=canary1\n", ".env.local:2 DATA_TOKEN", "cannot be a secret of servers"),
        (f'OPENAI_API_KEY={KEY}\nDATA_TOKEN="canary\\nin two"\n', ".env.local:2 DATA_TOKEN", "cannot be a secret"),
        (f"{LOCAL}HUB_TITLE=x{KEY}\n", ".env.local:3 HUB_TITLE", "holds the value of OPENAI_API_KEY"),
        (f"{LOCAL}NB_UID={KEY}\n", ".env.local:3 NB_UID", "*** (it holds a secret)"),
        (f"OPENAI_API_KEY={KEY}\nDATA_TOKN={TOKEN}\n", ".env.local:2 DATA_TOKN", "did you mean DATA_TOKEN?"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_value_is_named_and_shows_no_value(root: Path, local: str, where: str, words: str) -> None:
    assert words in refused(root, local=local)[where]


@pytest.mark.parametrize("servers", ["kinds: [", "kinds: {a: {title: A}}\n---\n{}", "a: *x", "\0", "[" * 5000])
def test_while_servers_yml_cannot_be_read_any_key_of_env_local_may_be_a_secret(root: Path, servers: str) -> None:
    found = refused(root, servers=servers, local=f"{LOCAL}NB_UID={KEY}\nHUB_PRT=8443\n")
    assert {where.partition(":")[0] for where in found} == {"servers.yml", ".env.local"}
    assert found.keys() >= {".env.local:3 NB_UID", ".env.local:4 HUB_PRT"}
    assert not any("OPENAI_API_KEY" in where for where in found)


def test_no_text_of_servers_yml_is_shown_while_the_file_of_secrets_cannot_be_read(root: Path) -> None:
    servers = KINDS.replace("title: Small", "title: Small, users: [a/canary-b], canary-c: 1")
    found = refused(root, servers=servers, local=f"{LOCAL}HUB_TITLE='open\n")
    assert "servers.yml:3 kinds.***.***" in found
    assert "servers.yml:1 DATA_TOKEN" not in found


def test_a_servers_yml_that_is_no_text_leaves_secrets_alone(root: Path) -> None:
    load(root)
    (root / "servers.yml").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError) as found:
        loading.load(root, {})
    assert [one.where for one in found.value.problems] == ["servers.yml"]


def test_one_that_lies_in_itself_is_looked_at_once(root: Path) -> None:
    assert "servers.yml:8 kinds.all" in refused(
        root, servers=f"{KINDS}  all: &a [*a, *a]\n".replace("  all", "\n  all")
    )
