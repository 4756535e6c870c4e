"""Rules of all our Dockerfiles and lock files; read from the files, without an engine.

The classic builder of Engine 28.5 accepts a heredoc and drops its body without a word: hence the refusals.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hubdeploy import family
from hubdeploy.blueprint.components import proxy
from hubdeploy.family import FAMILY, Member

ROOT = Path(__file__).parents[3]
DOCKERFILES = sorted(ROOT.glob("*/Dockerfile"))
NOTEBOOK_CHAIN = family.with_ancestors(member.name for member in FAMILY.values() if member.serves_users)
BASED = sorted(member.folder for member in family.FAMILY.values() if member.parent is None)
LOCKS = sorted([*ROOT.glob("*.lock"), *ROOT.glob("*/*.lock")])

BUILDKIT_ONLY = {
    "heredoc": re.compile(r"^\s*(RUN|COPY|ADD)\b.*<<"),
    "--mount": re.compile(r"--mount\b"),
    "--chmod": re.compile(r"--chmod\b"),
    "--link": re.compile(r"^\s*(COPY|ADD)\b.*--link\b"),
}


def folder_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def code_lines(path: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.strip() and not line.lstrip().startswith("#")]


def refused(lines: list[str]) -> list[str]:
    return [name for name, pattern in BUILDKIT_ONLY.items() if any(pattern.search(line) for line in lines)]


def requirements(lock: Path) -> list[str]:
    """Each requirement of a lock file with its hashes, on one line."""
    return [
        line
        for line in lock.read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
        if re.match(r"[A-Za-z0-9]", line)
    ]


def pinned(path: Path, package: str) -> set[str]:
    return set(re.findall(rf"^{package}==(\S+)", path.read_text(encoding="utf-8"), re.MULTILINE))


def test_every_image_of_the_family_has_a_dockerfile() -> None:
    assert [path.parent.name for path in DOCKERFILES] == sorted(member.folder for member in family.FAMILY.values())


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("RUN <<EOF", "heredoc"),
        ("COPY <<-END /etc/file", "heredoc"),
        ("RUN --mount=type=cache,target=/var/cache true", "--mount"),
        ("COPY --chmod=755 a /a", "--chmod"),
        ("COPY --link a /a", "--link"),
    ],
)
def test_what_only_buildkit_understands_is_noticed(line: str, name: str) -> None:
    assert refused([line]) == [name]


@pytest.mark.parametrize("path", DOCKERFILES, ids=folder_of)
def test_both_builders_understand_it(path: Path) -> None:
    assert refused(code_lines(path)) == []


@pytest.mark.parametrize("path", DOCKERFILES, ids=folder_of)
def test_it_starts_from_the_parent_given(path: Path) -> None:
    assert code_lines(path)[:2] == ["ARG PARENT", "FROM ${PARENT}"]


@pytest.mark.parametrize("name", NOTEBOOK_CHAIN)
def test_it_takes_no_argument_that_the_build_does_not_give(name: str) -> None:
    member = family.FAMILY[name]
    declared = [line.split()[1] for line in code_lines(ROOT / member.folder / "Dockerfile") if line.startswith("ARG ")]
    assert set(declared[1:]) <= set(member.arguments)


@pytest.mark.parametrize("name", NOTEBOOK_CHAIN)
def test_notebook_images_have_no_health_check(name: str) -> None:
    assert not any("HEALTHCHECK" in line for line in code_lines(ROOT / family.FAMILY[name].folder / "Dockerfile"))


@pytest.mark.parametrize("name", NOTEBOOK_CHAIN)
def test_no_notebook_image_is_built_with_a_sudoers_rule(name: str) -> None:
    folder = ROOT / family.FAMILY[name].folder
    at_build = [path for path in folder.rglob("*") if path.is_file() and path.name != "start-singleuser.sh"]
    assert not [path for path in at_build if "NOPASSWD" in path.read_text(encoding="utf-8", errors="replace")]
    assert not [path for path in at_build if "sudoers" in path.parts or "sudoers.d" in path.parts]


@pytest.mark.parametrize("name", NOTEBOOK_CHAIN)
def test_notebook_images_end_as_the_user(name: str) -> None:
    users = [
        line.split()[1]
        for line in code_lines(ROOT / family.FAMILY[name].folder / "Dockerfile")
        if line.startswith("USER ")
    ]
    assert users[-1:] == ([] if name == "anaconda3" else ["${NB_UID}"])


@pytest.mark.parametrize("folder", BASED)
def test_an_image_on_the_base_trusts_the_extra_authorities(folder: str) -> None:
    text = (ROOT / folder / "Dockerfile").read_text(encoding="utf-8")
    assert "COPY ca/ /usr/local/share/ca-certificates/" in text
    assert "update-ca-certificates" in text
    for variable in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT", "CURL_CA_BUNDLE"):
        assert f"{variable}=/etc/ssl/certs/ca-certificates.crt" in text
    assert [path.name for path in (ROOT / folder / "ca").iterdir()] == ["README"]


@pytest.mark.parametrize("lock", LOCKS, ids=folder_of)
def test_every_requirement_is_pinned_with_hashes(lock: Path) -> None:
    found = requirements(lock)
    assert found
    assert [line for line in found if "==" not in line or "--hash=sha256:" not in line] == []


@pytest.mark.parametrize("lock", LOCKS, ids=folder_of)
def test_lock_files_name_no_index(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8")
    assert "://" not in text
    assert not re.search(r"^(-i|--\w*index|--find-links|-f)\b", text, re.MULTILINE)


@pytest.mark.parametrize("lock", LOCKS, ids=folder_of)
def test_a_lock_has_the_versions_that_its_source_pins(lock: Path) -> None:
    for package, version in re.findall(
        r"^([\w.-]+)==([\w.]+)$", lock.with_suffix(".in").read_text(encoding="utf-8"), re.MULTILINE
    ):
        assert pinned(lock, package) == {version}


def test_hub_and_notebooks_have_the_same_jupyterhub() -> None:
    hub, notebook = (
        pinned(ROOT / folder / "requirements.in", "jupyterhub") for folder in ("jupyterhub", "base-notebook")
    )
    assert len(hub) == 1
    assert hub == notebook


def test_all_images_are_made_by_the_same_installer() -> None:
    assert len({path.read_bytes() for path in ROOT.glob("*/uv.lock")}) == 1


def test_a_build_needs_only_the_kernel_of_the_distribution() -> None:
    # An installer from the folder must bring Python. A kernel is added if it brings none, and pip is not needed.
    text = "\n".join(code_lines(ROOT / "base-notebook" / "Dockerfile"))
    assert set(re.findall(r"/opt/conda/bin/\S+(?: -m \S+)?", text)) == {
        "/opt/conda/bin/python -m ipykernel",
        '/opt/conda/bin/python"|"/usr/local/lib/notebook/kernel-python"|\'',
    }


@pytest.mark.parametrize("member", FAMILY.values(), ids=lambda member: member.name)
def test_what_a_context_gets_from_elsewhere_is_there_and_hides_no_file_of_the_folder(member: Member) -> None:
    for name, path in member.shared.items():
        assert (ROOT / path).exists()
        assert not (ROOT / member.folder / name).exists()


def test_start_script_names_every_command_that_runs_as_root_in_full() -> None:
    lines = code_lines(ROOT / "base-notebook" / "start-singleuser.sh")
    assert not [line for line in lines if re.match(r"\s*(drop=\()?(chown|setpriv|env|install|chmod)\b", line)]


def test_the_proxy_collects_its_memory_before_it_has_all_that_it_may_take() -> None:
    (line,) = (one for one in code_lines(ROOT / "proxy" / "Dockerfile") if one.startswith("ENV GOGC"))
    (mib,) = re.findall(r"GOMEMLIMIT=(\d+)MiB", line)
    limit = proxy.LIMITS.memory
    assert limit is not None
    assert 0.6 * limit < int(mib) * 1024**2 < 0.8 * limit
