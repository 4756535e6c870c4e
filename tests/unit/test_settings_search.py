"""Whatever a person writes into `.env`, `.env.local`, the shell and `userlist` is refused with its key and a mend, or
gives a deployment that can be drawn; never a traceback, and never a secret in a message.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st

from hubdeploy import blueprint, contract, loading
from hubdeploy.certificates import Pair
from hubdeploy.errors import InputError
from hubdeploy.settings import Settings, declarations

SECRET = "canary"
_DECLARED = declarations()
_ODD = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_NUMBERS = st.integers(-5, 2**33).map(str)
_PATHS = st.sampled_from(
    ["/", "/data", "/home/cryptic", "/home/cryptic/work/a", "/home/ada/x", "work", "/a/../b", "/srv/x"]
)
_NAMES = st.sampled_from(
    ["lab", "Lab", "a" * 41, "a-b", "a_b", "root", "ada", "-x", "x.y", "localhost", "hub.example.org", "::1"]
)


def values(key: str) -> st.SearchStrategy[str]:
    """Legal, unusual and illegal texts for one setting."""
    declaration = _DECLARED[key][1]
    likely = st.sampled_from([declaration.example.strip("'"), "", "yes", "<placeholder>"])
    if declaration.secret:
        return st.one_of(likely, _ODD.map(lambda text: SECRET + text))
    return st.one_of(likely, likely, _NUMBERS, _PATHS, _NAMES, _ODD)


def quoted(value: str) -> st.SearchStrategy[str]:
    """The value in each of the ways that a person quotes it, fitting or not."""
    return st.sampled_from([value, f"'{value}'", f'"{value}"', f" {value} # comment", value + "'"])


@st.composite
def files(draw: st.DrawFn) -> str:
    keys = draw(st.lists(st.sampled_from([*_DECLARED, "NB_USR", "PATH"]), max_size=6))
    lines = []
    for key in keys:
        value = draw(values(key)) if key in _DECLARED else "x"
        lines.append(
            draw(st.sampled_from(["", "export "])) + key + draw(st.sampled_from(["=", " = "])) + draw(quoted(value))
        )
    text = draw(st.sampled_from(["\n", "\r\n"])).join(lines)
    return draw(st.sampled_from(["", "\ufeff"])) + text + draw(st.sampled_from(["", "\n"]))


USERLISTS = st.one_of(
    st.sampled_from(["kaben admin\n", "kaben admin\ndana sudo # x\n", "", "kaben boss\n", "ka ben\n"]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
)
SHELLS = st.dictionaries(
    st.sampled_from(["HUB_PORT", "NB_USER", "USER_PASSWORD"]), _ODD.filter(lambda text: "\0" not in text)
)


# The same examples each time: what a longer search finds becomes a named example in test_settings.py.
@profile(max_examples=300, deadline=None, derandomize=True, database=None)
@given(shared=files(), local=files(), shell=SHELLS, users=USERLISTS)
def test_every_input_is_refused_with_its_place_or_gives_a_deployment(
    shared: str, local: str, shell: dict[str, str], users: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name, text in ((".env", shared), (".env.local", local), ("userlist", users)):
            (root / name).write_bytes(text.encode())
        (root / ".env.local").chmod(0o600)
        refused, found = load(root, shell)
    if refused is None:
        assert_agreement(found)
        return
    assert refused.problems
    assert all(problem.where and problem.wanted and problem.mend for problem in refused.problems)
    assert SECRET not in refused.message


def load(root: Path, shell: dict[str, str]) -> tuple[InputError, None] | tuple[None, Settings]:
    try:
        return None, loading.load(root, shell)
    except InputError as refused:
        return refused, None


def assert_agreement(found: Settings) -> None:
    """The parts that are drawn from the settings can be drawn, and say the same."""
    hub = contract.hub_contract(found, 8 * 1024**3)
    assert contract.to_bytes(hub)
    pair = Pair(b"certificate", b"key")
    specs = blueprint.containers(found, engine_memory=8 * 1024**3, api_password="p", pair=pair)
    assert [spec.role for spec in specs] == ["proxy", "hub"]
    assert SECRET not in repr(found) + repr(specs)
    assert hub["server"]["notebook_dir"].startswith(f"/home/{found.nb_user}/")
