"""What the part `shared` of servers.yml may say, who sees what by it, and where each mistake in it is found."""

from __future__ import annotations

from pathlib import Path

import pytest

from hubdeploy.blueprint import documents
from hubdeploy.contract.documents import Servers
from hubdeploy.errors import InputError
from hubdeploy.settings import folders, kinds, loading
from tests import documents as documents_of

USERS = "kaben admin @staff\nada @physics @course:read\nbob @physics @course\neve\n"


def servers(root: Path, text: str, users: str = USERS, env: str = "") -> Servers:
    for name, content in (("userlist", users), ("servers.yml", text), (".env", f"DOCKER_MACHINE_NAME=lab\n{env}")):
        (root / name).write_text(content)
    return documents.contract(loading.load(root, {}), 8 * 1024**3).servers


def seen(found: Servers, user: str, kind: str = "default") -> dict[str, str]:
    """Folder -> r or rw."""
    return {folder.name: "r" if reads else "rw" for folder, reads in found.folders_of(user, kind)}


def test_members_write_others_see_nothing_and_some_only_read(tmp_path: Path) -> None:
    found = servers(tmp_path, "shared:\n  physics:\n  course: {groups: [course, staff]}\n  team: {users: [eve]}\n")
    assert {user: seen(found, user) for user in ("kaben", "ada", "bob", "eve", "zoe")} == {
        "kaben": {"course": "rw"},
        "ada": {"physics": "rw", "course": "r"},
        "bob": {"physics": "rw", "course": "rw"},
        "eve": {"team": "rw"},
        "zoe": {},
    }
    assert {one.volume for one in found.folders if one.ours} == {
        "lab-shared-physics",
        "lab-shared-course",
        "lab-shared-team",
    }


def test_who_reads_by_one_group_and_writes_by_another_writes(tmp_path: Path) -> None:
    found = servers(
        tmp_path, "shared:\n  c: {groups: [course, staff]}\n", "ada @course @staff\nbob @course\n@course read\n"
    )
    assert (seen(found, "ada"), seen(found, "bob")) == ({"c": "rw"}, {"c": "r"})


def test_a_data_set_is_read_by_everybody_unless_it_says_who_and_in_which_kinds(tmp_path: Path) -> None:
    text = (
        "kinds: {small: {title: S}, large: {title: L}}\n"
        "shared:\n  a: {volume: climate-2024}\n  b: {path: /srv/b, groups: [physics]}\n"
        "  c: {nfs: 'nas:/export/c', users: [eve], kinds: [large]}\n  d: {cifs: //nas.example.org/d}\n"
    )
    found = servers(tmp_path, text)
    assert seen(found, "zoe", "small") == {"a": "r", "d": "r"}
    assert seen(found, "bob", "small") == {"a": "r", "b": "r", "d": "r"}
    assert (seen(found, "eve", "small"), seen(found, "eve", "large")["c"]) == ({"a": "r", "d": "r"}, "r")
    a, b, c, d = found.folders
    assert (a.volume, b.path, b.volume) == ("climate-2024", "/srv/b", "")
    assert dict(c.options) == {"type": "nfs", "o": "addr=nas,nfsvers=4,ro", "device": ":/export/c"}
    assert dict(d.options) == {"type": "cifs", "o": "addr=nas.example.org,guest,ro", "device": "//nas.example.org/d"}
    # A volume keeps its options, so another address is another volume.
    assert c.volume.startswith("lab-shared-c-")
    assert servers(tmp_path, text.replace("nas:/export", "other:/export")).folders[2].volume != c.volume


def test_a_server_is_out_of_date_when_its_user_sees_something_else(tmp_path: Path) -> None:
    before, after = (
        servers(tmp_path, "shared:\n  physics:\n", users) for users in (USERS, USERS.replace("bob @physics", "bob"))
    )
    stays = [
        before.fingerprint(user, before.kinds[0]) == after.fingerprint(user, after.kinds[0])
        for user in ("ada", "bob", "eve")
    ]
    assert stays == [True, False, True]
    assert after.fingerprint("eve", after.kinds[0]) == after.kinds[0].fingerprint


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("shared: {}", 1, "names no folder"),
        ("shared: 7", 1, "names no folder"),
        ("shared:\n  A b:", 2, "is not a folder's name"),
        ("shared:\n  a: 7", 2, "holds no table"),
        ("shared:\n  a: {volme: x}", 2, "did you mean volume?"),
        ("shared:\n  a:\n  a:", 3, "stands there twice"),
        ("shared:\n  a: {volume: xy, path: /srv/x}", 2, "is several data sets at once"),
        ("shared:\n  a:\n    path: srv", 3, "is not a path"),
        ("shared:\n  a: {path: /}", 2, "which users must not read"),
        ("shared:\n  a: {path: /var}", 2, "which users must not read"),
        ("shared:\n  a: {path: /etc/ssl}", 2, "which users must not read"),
        ("shared:\n  a: {path: /var/run/docker.sock}", 2, "which users must not read"),
        ("shared:\n  a: {path: /srv/../etc}", 2, "is not a plain path"),
        ("shared:\n  a: {nfs: nas}", 2, "is no folder of an NFS server"),
        ("shared:\n  a: {nfs: 'nas:/x,rw'}", 2, "is no folder of an NFS server"),
        ("shared:\n  a: {cifs: //nas}", 2, "is no share of a CIFS server"),
        ("shared:\n  a: {volume: ../x}", 2, "is not a volume's name"),
        ("shared:\n  a: {groups: []}", 2, "no group, or nothing"),
        ("shared:\n  a: {kinds: []}", 2, "names nothing"),
        ("shared:\n" + "".join(f"  a{number}:\n" for number in range(33)), 0, "names 33 folders"),
    ],
)
def test_a_mistake_is_named_with_its_line(text: str, line: int, words: str) -> None:
    _, problems = folders.parse(text)
    assert [one.where for one in problems] == [f"servers.yml:{line}" if line else "servers.yml"]
    assert words in str(problems[0])
    # What kinds.py finds in the same file is the rest of it.
    assert kinds.parse(text) == ((), [])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("shared:\n  chemistry:\n", "names chemistry, a group that nobody is in"),
        ("shared:\n  a: {volume: xy, groups: [chemistry]}\n", "names chemistry, a group that nobody is in"),
        ("shared:\n  a: {volume: xy, kinds: [large]}\n", "names large, which is no kind of servers"),
        ("shared:\n  a: {volume: lab-data}\n", "is lab-data, which is the hub's data"),
        ("shared:\n  a: {volume: lab-proxy}\n", "is lab-proxy, which is the proxy's own"),
        ("shared:\n  a: {volume: lab-user-ada}\n", "is lab-user-ada, which is the name of a user's volume"),
        ("shared:\n  a: {volume: brought}\n", "is brought, which is SECRETS_VOLUME"),
    ],
)
def test_what_does_not_fit_the_other_files_is_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InputError) as refused:
        servers(tmp_path, text, env="SECRETS_VOLUME=brought\n")
    assert [one.where for one in refused.value.problems] == ["servers.yml:2"]
    assert words in str(refused.value)


def test_a_folder_of_the_engines_host_takes_no_volume_that_could_be_a_users(tmp_path: Path) -> None:
    env = "USER_VOLUME=lab-shared-{username}\n"
    assert servers(tmp_path, "shared:\n  a: {path: /srv/a}\n", env=env).folders[0].volume == ""
    with pytest.raises(InputError, match="is lab-shared-a, which is the name of a user's volume"):
        servers(tmp_path, "shared:\n  a: {users: [eve]}\n", env=env)


def test_the_document_lists_what_a_folder_may_have_and_its_example_is_one() -> None:
    text = (documents_of.DOCS / "servers.md").read_text()
    for key, one in kinds.declarations(folders.Folder).items():
        assert f"| `{key}` | {one['meaning']} | `{one['example']}` |" in text, key
    block = text.split("    shared:\n")[1].split("\n\n")[0]
    found, problems = folders.parse("    shared:\n" + block)
    assert (problems, [one.name for one in found]) == ([], ["physics", "course", "climate", "scans"])
