"""What servers.yml may say, and where each mistake in it is found."""

from __future__ import annotations

import dataclasses
from itertools import count
from pathlib import Path

import pytest

from hubdeploy.blueprint import documents, images
from hubdeploy.contract import mac_addresses
from hubdeploy.contract.documents import ServerKind
from hubdeploy.errors import InputError
from hubdeploy.settings import kinds, loading
from hubdeploy.settings.declarations import Settings, defaults
from tests import documents as documents_of

GB = 1024**3
TWO = """
environment: {HTTP_PROXY: http://proxy.example:3128, LANG: C}
kinds:
  small:
    title: Small
  large:
    title: Large
    description: 16 GB, for the thesis
    users: [ada, Bob, ada]
    memory: 16G
    guarantee: 2G
    cpus: 4
    idle_timeout: none
    max_age: 7d
    environment: {OMP_NUM_THREADS: 4, LANG: de_DE.UTF-8}
"""


def drawn(text: str, **settings: object) -> tuple[ServerKind, ...]:
    found, problems = kinds.parse(text)
    assert problems == []
    return documents.contract(dataclasses.replace(defaults(**settings), kinds=found), 8 * GB).kinds


def test_a_kind_says_what_differs_and_takes_the_rest_from_the_settings() -> None:
    small, large = drawn(TWO, memory_limit=4 * GB, idle_timeout=3600)
    assert (small.name, small.title, small.users, small.memory_limit, small.cpu_limit) == (
        "small",
        "Small",
        None,
        4 * GB,
        None,
    )
    assert (small.memory_guarantee, small.idle_timeout, small.max_age) == (256 * 1024**2, 3600, None)
    assert small.environment == {"HTTP_PROXY": "http://proxy.example:3128", "LANG": "C"}
    assert (large.description, large.users, large.memory_limit, large.cpu_limit) == (
        "16 GB, for the thesis", ("ada", "bob"), 16 * GB, 4.0
    )  # fmt: skip
    assert (large.memory_guarantee, large.idle_timeout, large.max_age) == (2 * GB, None, 7 * 86_400)
    assert large.environment == {
        "HTTP_PROXY": "http://proxy.example:3128",
        "LANG": "de_DE.UTF-8",
        "OMP_NUM_THREADS": "4",
    }
    assert large.image == small.image


def test_each_kind_has_its_image_and_the_deployment_all_of_them() -> None:
    text = """
kinds:
  plain: {title: Plain}
  tex: {title: TeX, image: minimal-notebook}
  stacks: {title: Stacks, image: quay.io/jupyter/scipy-notebook, command: start-notebook.py --debug}
  again: {title: Again, image: lab/minimal-notebook:autumn}
"""
    named = {"image_namespace": "lab", "image_tag": "autumn", "notebook_image": "lab/base-notebook:autumn"}
    plain, tex, stacks, again = drawn(text, **named)
    assert (plain.image, plain.ours) == ("lab/base-notebook:autumn", True)
    assert (tex.image, tex.ours) == (again.image, again.ours) == ("lab/minimal-notebook:autumn", True)
    assert (stacks.image, stacks.ours) == ("quay.io/jupyter/scipy-notebook:latest", False)
    assert stacks.spawn_command == ("start-notebook.py", "--debug")
    assert plain.spawn_command == tex.spawn_command == ("start-singleuser.sh",)
    settings = dataclasses.replace(defaults(**named), kinds=kinds.parse(text)[0])
    assert settings.server_images == (plain.image, tex.image, stacks.image)
    assert settings.notebook_members == ("base-notebook", "minimal-notebook")
    assert {"base-notebook", "minimal-notebook"} <= {*images.needed(settings)}
    assert images.foreign(settings) == (settings.base_image, stacks.image)


def test_an_image_that_no_kind_has_is_neither_built_nor_pulled() -> None:
    text = "kinds:\n  tex: {title: TeX, image: minimal-notebook}"
    for image in ("a/b:1", "jupyterhub/base-notebook:latest"):
        settings = dataclasses.replace(defaults(notebook_image=image), kinds=kinds.parse(text)[0])
        assert "base-notebook" not in images.needed(settings)
        assert images.foreign(settings) == (settings.base_image,)


def test_without_the_file_there_is_one_kind_for_everybody() -> None:
    (only,) = documents.contract(defaults(), 8 * GB).kinds
    assert (only.name, only.users, only.environment) == ("default", None, {})


def test_who_may_have_a_kind_changes_no_running_server() -> None:
    one, other = (drawn(TWO.replace("[ada, Bob, ada]", users))[1] for users in ("[ada]", "[eve]"))
    assert one != other
    assert one.fingerprint == other.fingerprint
    assert one.fingerprint != drawn(TWO.replace("cpus: 4", "cpus: 2"))[1].fingerprint


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", 0, "holds no table"),
        ("- kinds", 1, "holds no table"),
        ("kinds: [", 1, "is no YAML"),
        ("kinds: {}", 1, "names no kind of servers"),
        ("kind:\n  a: {title: A}", 1, "did you mean kinds?"),
        ("kinds:\n  A b: {title: A}", 2, "is not a kind's name"),
        ("kinds:\n  a: 7", 2, "holds no table"),
        ("kinds:\n  a:\n    memory: 2G", 2, "has no title"),
        ("kinds:\n  a:\n    title: A\n    memry: 2G", 4, "did you mean memory?"),
        ("kinds:\n  a:\n    title: A\n    title: B", 4, "stands there twice"),
        ("kinds:\n  a: {title: A}\n  a: {title: B}", 3, "stands there twice"),
        ("kinds:\n  a:\n    title: A\n    memory: lots", 4, "is not an amount of memory"),
        ("kinds:\n  a:\n    title: A\n    memory: [2G]", 4, "is no single value"),
        ("kinds:\n  a:\n    title: A\n    cpus: 0", 4, "is not a number of CPUs"),
        ("kinds:\n  a:\n    title: A\n    image: A/b", 4, "is not an image reference"),
        ("kinds:\n  a:\n    title: A\n    image: [minimal-notebook]", 4, "is no single value"),
        ("kinds:\n  a:\n    title: A\n    command: '\"a'", 4, "has an open quote"),
        ("kinds:\n  a:\n    title: A\n    users: ada", 4, "is no list"),
        ("kinds:\n  a:\n    title: A\n    users: []", 4, "names nobody"),
        ("kinds:\n  a:\n    title: A\n    users: [a/b]", 4, "names 'a/b'"),
        ("kinds:\n  a:\n    title: A\n    users: [ada]", 2, "leaves some users without any kind"),
        ("kinds:\n  a:\n    title: A\n    groups: [staff]", 2, "leaves some users without any kind"),
        ("kinds:\n  a:\n    title: A\n    groups: [st.ff]", 4, "no group, or nothing"),
        ("kinds:\n  a:\n    title: A\n    groups: []", 4, "no group, or nothing"),
        ("kinds:\n  a:\n    title: A\n    groups: staff", 4, "is no list"),
        ("kinds:\n  a:\n    title: A\n    provider_groups: []", 4, "names no group"),
        ("kinds:\n  a:\n    title: A\n    environment: {a-b: 1}", 4, "has the variable 'a-b'"),
        ("kinds:\n  a:\n    title: A\n    environment: {A: [1]}", 4, "has the variable 'A'"),
        ("environment: {GRANT_SUDO: yes}\nkinds:\n  a: {title: A}", 1, "sets 'GRANT_SUDO'"),
        ("kinds:\n  a:\n    title: A\n    environment: {NB_UID: 0}", 4, "sets 'NB_UID'"),
        ("kinds:\n  a:\n    title: A\n    environment: {JUPYTERHUB_API_TOKEN: x}", 4, "sets 'JUPYTERHUB_API_TOKEN'"),
        ("kinds:\n  a:\n    title: ''", 3, "is no such text"),
        ("kinds:\n  a:\n    title: A\n    networks: 10.1.2.0/24", 4, "is no list"),
        ("kinds:\n  a:\n    title: A\n    networks: []", 4, "names nothing"),
        ("kinds:\n  a:\n    title: A\n    networks:\n    - 10.1.2.0/24\n    - 10.1.2.0/33", 6, "no name as entry 2"),
        ("kinds:\n  a:\n    title: A\n    networks:\n    - db\n    - db:0", 6, "has no port after the colon of entry 2"),
        ("kinds:\n  a:\n    title: A\n    networks: [169.254.169.254]", 4, "has a link-local network as entry 1"),
        ("kinds:\n  a:\n    title: A\n    networks: ['10.1.2.0/24, db']", 4, "no name as entry 1"),
        ("kinds: {a: {title: A}}\n\x00", 0, "holds characters that YAML has not"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_line(text: str, line: int, words: str) -> None:
    found, problems = kinds.parse(text)
    problem = next(one for one in problems if words in str(one))
    assert problem.where == (f"servers.yml:{line}" if line else "servers.yml")
    assert found == () or len(problems) == 1


def test_all_mistakes_are_found_at_once_and_amounts_must_fit(tmp_path: Path) -> None:
    for name, text in (("userlist", "kaben admin\n"), (".env", "USER_MEMORY_LIMIT=1G\nHOST_MEMORY=2G\n")):
        (tmp_path / name).write_text(text)
    (tmp_path / "servers.yml").write_text("kinds:\n  a: {title: A, guarantee: 2G}\n  b: {memory: x, users: [b]}\n")
    with pytest.raises(InputError) as refused:
        loading.load(tmp_path, {})
    assert {one.where for one in refused.value.problems} == {"servers.yml:2", "servers.yml:3"}
    assert "servers.yml:2: kinds.a: guarantee is 2G, and USER_MEMORY_LIMIT is 1G" in str(refused.value)
    assert "kinds.a: HOST_MEMORY is 2G, of which 512M are for the deployment, and guarantee is 2G" in str(refused.value)
    (tmp_path / "servers.yml").write_text("kinds:\n  a: {title: A, guarantee: 1G}\n")
    found: Settings = loading.load(tmp_path, {})
    assert [one.title for one in found.kinds] == ["A"]


def test_a_group_of_the_list_may_have_a_kind_and_one_without_members_is_refused(tmp_path: Path) -> None:
    (tmp_path / "userlist").write_text("ada @staff\nbob @physics\neve\nkaben admin\n")
    text = "kinds:\n  a: {title: A}\n  b: {title: B, users: [eve], groups: [Staff, physics]}\n"
    (tmp_path / "servers.yml").write_text(text)
    servers = documents.contract(loading.load(tmp_path, {}), 8 * GB).servers
    assert [one.users for one in servers.kinds] == [None, ("eve", "ada", "bob")]
    assert [one.name for one in servers.kinds_of("ada")] == ["a", "b"]
    assert [one.name for one in servers.kinds_of("kaben")] == ["a"]
    (tmp_path / "servers.yml").write_text(text.replace("Staff", "staf"))
    with pytest.raises(InputError, match=r"servers.yml:3: kinds.b.groups: names staf, a group that nobody is in"):
        loading.load(tmp_path, {})
    # Of a list that cannot be read nobody knows who is in which group.
    (tmp_path / "userlist").write_text("ada stff\n")
    with pytest.raises(InputError) as refused:
        loading.load(tmp_path, {})
    assert {one.where for one in refused.value.problems} == {"userlist:1"}


def test_groups_of_a_login_need_a_login_that_names_some(tmp_path: Path) -> None:
    (tmp_path / "userlist").write_text("kaben admin\n")
    (tmp_path / "servers.yml").write_text("kinds:\n  a: {title: A}\n  b: {title: B, provider_groups: [students]}\n")
    with pytest.raises(InputError, match="names groups of a login, and AUTHENTICATOR is shared-password"):
        loading.load(tmp_path, {})
    (tmp_path / ".env").write_text("GITHUB_CLIENT_ID=a\nHUB_HOST=hub.example.org\n")
    found = documents.contract(loading.load(tmp_path, {"GITHUB_CLIENT_SECRET": "0123456789abcdef"}), 8 * GB).servers
    assert [one.users for one in found.kinds] == [None, ()]
    # The hub knows the groups, the filter does not.
    assert [[one.name for one in found.kinds_of("ada", named)] for named in ((), ("students",), None)] == [
        ["a"], ["a", "b"], ["a", "b"]
    ]  # fmt: skip
    for named in ((), ("students",), None):
        assert found.kind_for("ada", "", named) is found.kinds[0]


@pytest.mark.parametrize(
    ("env", "gpus", "problems"),
    [
        ("", "1", ["servers.yml:3 kinds.b gpus is 1, and GPUS names none: no server of this kind could start"]),
        ("GPUS=0, 1\n", "3", ["servers.yml:3 kinds.b gpus is 3, and GPUS names 2: no server of this kind could start"]),
        ("GPUS=0, 1\n", "2", []),
        ("GPUS=0, 1\n", "0", ["servers.yml:3 kinds.b.gpus is not a number of cards"]),
        # What could not be read may name enough.
        ("GPUS=0, 0\n", "2", [".env:1 GPUS '0, 0' has a card for the second time as entry 2"]),
    ],
)
def test_a_kind_has_no_more_cards_than_there_are(tmp_path: Path, env: str, gpus: str, problems: list[str]) -> None:
    (tmp_path / "userlist").write_text("kaben admin\n")
    (tmp_path / ".env").write_text(env)
    (tmp_path / "servers.yml").write_text(f"kinds:\n  a: {{title: A}}\n  b: {{title: B, gpus: {gpus}}}\n")
    if problems:
        with pytest.raises(InputError) as refused:
            loading.load(tmp_path, {})
        assert [f"{one.where} {one.key} {one.found}" for one in refused.value.problems] == problems
        return
    found = documents.contract(loading.load(tmp_path, {}), 8 * GB).servers
    assert ([one.gpus for one in found.kinds], found.cards) == ([0, 2], ("0", "1"))


@pytest.mark.parametrize("variable", ["NVIDIA_VISIBLE_DEVICES", "AMD_VISIBLE_DEVICES"])
def test_no_variable_gives_a_kind_cards_past_the_engine(tmp_path: Path, variable: str) -> None:
    _, problems = kinds.parse(f"kinds:\n  a: {{title: A, environment: {{{variable}: all}}}}\n")
    assert [one.key for one in problems] == ["kinds.a.environment"]


@pytest.mark.parametrize(
    ("env", "servers", "problems"),
    [
        ("USER_MEMORY_LIMIT=1G\nUSER_MEMORY_GUARANTEE=2G\n", "", [".env:2 USER_MEMORY_GUARANTEE"]),
        # Said once, though two kinds take both.
        (
            "USER_MEMORY_LIMIT=1G\nUSER_MEMORY_GUARANTEE=2G\n",
            "kinds:\n  a: {title: A}\n  b: {title: B}",
            [".env:2 USER_MEMORY_GUARANTEE"],
        ),
        ("USER_MEMORY_LIMIT=1G\nUSER_MEMORY_GUARANTEE=2G\n", "kinds:\n  a: {title: A, memory: 4G}", []),
        (
            "USER_MEMORY_LIMIT=1G\n",
            "kinds:\n  a: {title: A}\n  b: {title: B, guarantee: 2G}",
            ["servers.yml:3 kinds.b"],
        ),
        ("HOST_MEMORY=1G\nUSER_MEMORY_GUARANTEE=768M\n", "", [".env:1 HOST_MEMORY"]),
        ("HOST_MEMORY=1G\n", "kinds:\n  a: {title: A, guarantee: 768M}", ["servers.yml:2 kinds.a"]),
        # What could not be read may be right.
        ("USER_MEMORY_LIMIT=lots\n", "kinds:\n  a: {title: A, guarantee: 2G}", [".env:1 USER_MEMORY_LIMIT"]),
    ],
)
def test_memory_must_fit_in_each_kind_wherever_it_is_said(
    tmp_path: Path, env: str, servers: str, problems: list[str]
) -> None:
    (tmp_path / "userlist").write_text("kaben admin\n")
    (tmp_path / ".env").write_text(env)
    if servers:
        (tmp_path / "servers.yml").write_text(servers)
    try:
        loading.load(tmp_path, {})
        found = []
    except InputError as refused:
        found = [f"{one.where} {one.key}" for one in refused.problems]
    assert found == problems


@pytest.mark.parametrize(
    ("env", "image", "words"),
    [
        ("", "hub", "jupyterhub/hub:latest is not a notebook image of ours"),
        ("", "jupyterhub/base-notebook:autumn", "has the tag autumn but IMAGE_TAG is latest"),
        ("", "crypticlabs/minimal-notebook:0.0.0", "an image that the older layout built"),
        # What the name of ours is, is not known then.
        ("IMAGE_TAG=/x\n", "jupyterhub/base-notebook:autumn", ""),
    ],
)
def test_an_image_that_is_none_for_servers_is_refused_as_in_the_settings(
    tmp_path: Path, env: str, image: str, words: str
) -> None:
    (tmp_path / "userlist").write_text("kaben admin\n")
    (tmp_path / ".env").write_text(f"DOCKER_MACHINE_NAME=jupyterhub\n{env}")
    (tmp_path / "servers.yml").write_text(f"kinds:\n  a: {{title: A}}\n  b: {{title: B, image: '{image}'}}\n")
    with pytest.raises(InputError) as refused:
        loading.load(tmp_path, {})
    found = {one.where: one for one in refused.value.problems}
    assert found.keys() == ({"servers.yml:3"} if words else {".env:2"})
    if words:
        assert (found["servers.yml:3"].key, words in found["servers.yml:3"].found) == ("kinds.b.image", True)


@pytest.mark.parametrize(
    "line",
    ["image: crypticlabs-jupyterhub/base-notebook:autumn", "groups: [staf]", "provider_groups: [students]"],
)
def test_a_field_that_fits_no_setting_or_group_is_named_with_its_own_line(tmp_path: Path, line: str) -> None:
    (tmp_path / "userlist").write_text("kaben admin\n")
    (tmp_path / "servers.yml").write_text(f"kinds:\n  a: {{title: A}}\n  b:\n    title: B\n    {line}\n    cpus: 2\n")
    with pytest.raises(InputError) as refused:
        loading.load(tmp_path, {})
    (problem,) = refused.value.problems
    assert (problem.where, problem.key) == ("servers.yml:5", f"kinds.b.{line.partition(':')[0]}")


def test_the_document_lists_what_a_kind_may_have_and_its_example_is_one() -> None:
    text = (documents_of.DOCS / "servers.md").read_text()
    for key, one in kinds.declarations().items():
        instead = f"`{one['instead_of']}`" if one["instead_of"] else ""
        assert f"| `{key}` | {one['meaning']} | {instead} | `{one['example']}` |" in text, key
    block = text.split(":\n\n    environment:")[1].split("\n\nThen")[0]
    found, problems = kinds.parse("    environment:" + block)
    assert (problems, [one.name for one in found]) == ([], ["small", "large"])


def test_networks_are_spelt_and_ordered_in_one_way_and_only_in_that_kind() -> None:
    text = "kinds:\n  a: {title: A}\n  b: {title: B, networks: [DB.example:0443, 10.1.2.9/24, 10.1.2.7/32, db.example:443]}"
    first, second = drawn(text, allowed_networks=("10.9.0.0/16",))
    assert (first.networks, second.networks) == ((), ("10.1.2.0/24", "10.1.2.7", "db.example:443"))


def test_lists_that_the_guard_could_not_tell_apart_are_refused() -> None:
    """One pair in 65,536 is such."""
    wanted = mac_addresses.of_networks(("10.0.0.1",))
    alike = next(one for number in count(2) if mac_addresses.of_networks((one := f"db{number}",)) == wanted)

    def problems(*lists: str) -> list[str]:
        text = "kinds:\n" + "".join(f"  k{at}:\n    title: A\n    networks: [{one}]\n" for at, one in enumerate(lists))
        return [f"{one.where} {one.key}" for one in kinds.parse(text)[1]]

    assert problems("10.0.0.1", alike) == ["servers.yml:7 kinds.k1.networks"]
    assert problems("10.0.0.1", f"{alike}, {alike}:443") == problems("10.0.0.1", "10.0.0.1") == []
