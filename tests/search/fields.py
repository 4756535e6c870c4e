"""What a person may write for a field of a kind of servers, or of a shared folder; its own reader decides. What stands for
a setting comes from the declarations; any other new field needs a drawing here.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable
from typing import Any

from hypothesis import strategies as st

from hubdeploy.settings import kinds, readers
from hubdeploy.settings.kinds import Kind
from tests.search.texts import CANARY, texts
from tests.search.userlists import BAD_NAMES, GROUPS, NAMES
from tests.search.yaml_styles import Value

_VARIABLES = ("OMP_NUM_THREADS", "HTTP_PROXY", "lower", "_X", "COURSE", "A", "LANG")
_BAD_VARIABLES = (
    "a-b",
    "1A",
    "NVIDIA_VISIBLE_DEVICES",
    "NB_UID",
    "GRANT_SUDO",
    "JUPYTERHUB_API_TOKEN",
    "HOME",
    "MEM_LIMIT",
    "",
    "ü",
)
_CARDS, _BAD_CARDS = ("1", "1", "2", "01", "64"), ("", "0", "65", "1.5", "-1", "none", "0, 1", "GPU-1", "x")
NAMED = ("OPENAI_API_KEY", "HF_TOKEN", "GITLAB_TOKEN", "A1", "DATA_PASSWORD")
_BAD_NAMED = ("lower", "A-B", "", "1A", "NB_UID", "GRANT_SUDO", "PATH", "HUB_TITLE", "USER_PASSWORD", "X" * 101)
_SAID = (
    "Large",
    "16 GB, for the thesis",
    "x" * 60,
    "a: b #c",
    'it\'s "so"',
    "ü",
    "- a",
    "yes",
    "12:30",
    "{a}",
    "*",
    "&",
    "%",
)
_UNSAID = ("", "x" * 201, "a\nb", "a\x00", "a\x1b[31m", "a\tb", "\u202eb")
_VALUES = (
    "",
    "1",
    "no",
    "1e3",
    "http://proxy.example.org:3128",
    "a=b",
    "a b",
    " a ",
    "ü",
    "'",
    '"',
    "\\n",
    "$HOME",
    "#",
    "a\nb",
    "\t",
)
_SPELT_GROUPS = (*GROUPS, "@physics", "Staff", "@C")
_NETWORKS = (
    "10.1.2.0/24",
    "10.1.2.9/24",
    "db.example.org:5432",
    "DB.example.org:05432",
    "files",
    "0.0.0.0/0",
    "192.168.1.7",
)
_BAD_NETWORKS = (
    "",
    "10.1.2.0/33",
    "10.1.2",
    "169.254.169.254",
    "db:0",
    "db:",
    "fd00::/8",
    "a b",
    "10.1.2.0/24, db",
    "ü",
    "-a",
)
KINDS = ("small", "large", "a", "0", "gpu-2", "x" * 32, "default")
# Volumes, folders of the host, and folders of other machines.
_SOURCES = (
    "climate-2024", "lab-data", "lab-shared-physics", "lab-user-ada", "crypticlabs-jupyterhub-hub", "A_b.c", "x" * 255,
    "/srv/data", "/srv/ü", "/data", "nas.example.org:/export/data", "[2001:db8::7]:/x", "nas:/", "//nas.example.org/data",
    "//192.0.2.7/a/b", "a", "-a", "../x", "a b", "x" * 256, "/", "/var", "/etc/ssl", "/srv/../etc", "srv", "/srv/a,b",
    "/srv/a:b", "nas", "nas:x", "nas:/x,rw", ":/x", "//nas", "//nas/", "//nas/a b", "ü", "a\nb", "a\x1b[31m", "",
)  # fmt: skip
_SIZES = ("64M", "50G", "1.5T", "2g", "63M", "0", "none", "", "much", "-1G", "1e3", "9999999T")
_OF_PROVIDER = ("students", "lab 3", "org:team", "ü")


def _said(read: Callable[[str], Any], *, legal: bool) -> st.SearchStrategy[Value]:
    return st.sampled_from(_SAID if legal else [one for one in _UNSAID if not fits(read, one)])


def _users(read: Callable[[Any], Any], *, legal: bool) -> st.SearchStrategy[Value]:
    some: st.SearchStrategy[Value] = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map(list)
    wrong = st.sampled_from([one for one in BAD_NAMES if "\x00" not in one])
    return some if legal else st.one_of(st.just(list[Any]()), st.tuples(wrong, st.sampled_from(NAMES)).map(list))


def _environment(read: Callable[[Any], Any], *, legal: bool) -> st.SearchStrategy[Value]:
    names = st.sampled_from(_VARIABLES if legal else _BAD_VARIABLES)
    return st.dictionaries(names, st.sampled_from(_VALUES), min_size=0 if legal else 1, max_size=3 if legal else 1)


def _secrets(read: Callable[[Any], Any], *, legal: bool) -> st.SearchStrategy[Value]:
    some: st.SearchStrategy[Value] = st.lists(st.sampled_from(NAMED), min_size=1, max_size=3).map(list)
    return some if legal else st.one_of(st.just(list[Any]()), st.sampled_from(_BAD_NAMED).map(lambda one: [one]))


def _groups(read: Callable[[Any], Any], *, legal: bool) -> st.SearchStrategy[Value]:
    spelt: st.SearchStrategy[Value] = st.lists(st.sampled_from(_SPELT_GROUPS), min_size=1, max_size=2).map(list)
    wrong = st.sampled_from(("-a", "a.b", "", "x" * 33, "@@a")).map(lambda one: [one])
    return spelt if legal else st.one_of(st.just(list[Any]()), wrong)


def _provider_groups(read: Callable[[Any], Any], *, legal: bool) -> st.SearchStrategy[Value]:
    some: st.SearchStrategy[Value] = st.lists(st.sampled_from(_OF_PROVIDER), min_size=1, max_size=2).map(list)
    wrong = st.sampled_from(("", "x" * 201, "a\x1b", "a\nb")).map(lambda one: [one])
    return some if legal else st.one_of(st.just(list[Any]()), wrong)


def _networks(read: Callable[[Any], Any], *, legal: bool) -> st.SearchStrategy[Value]:
    some: st.SearchStrategy[Value] = st.lists(st.sampled_from(_NETWORKS), min_size=1, max_size=3).map(list)
    wrong = st.tuples(st.sampled_from(_NETWORKS), st.sampled_from(_BAD_NETWORKS)).map(list)
    return some if legal else st.one_of(st.just(list[Any]()), wrong)


def _gpus(read: Callable[[Any], Any], *, legal: bool) -> st.SearchStrategy[Value]:
    return st.sampled_from(_CARDS if legal else _BAD_CARDS)


def _kinds(read: Callable[[Any], Any], *, legal: bool) -> st.SearchStrategy[Value]:
    some: st.SearchStrategy[Value] = st.lists(st.sampled_from(KINDS), min_size=1, max_size=2).map(list)
    return some if legal else st.just(list[Any]())


def _one_of(pool: Iterable[str]) -> Callable[..., st.SearchStrategy[Value]]:
    """A drawing of what the reader takes of these, or refuses."""

    def drawn(read: Callable[[str], Any], *, legal: bool) -> st.SearchStrategy[Value]:
        return st.sampled_from([one for one in pool if fits(read, one) == legal])

    return drawn


# The reader of a field that stands for no setting -> its drawing.
_DRAWINGS = {
    "_text": _said,
    "names_of_users": _users,
    "names_of_groups": _groups,
    "_groups_of_the_login": _provider_groups,
    "_variables": _environment,
    "_secrets": _secrets,
    "_networks": _networks,
    "number_of_cards": _gpus,
    "words": _kinds,
    "_fitting": _one_of(_SOURCES),
    "_path": _one_of(_SOURCES),
    "disk_size": _one_of(_SIZES),
}


def fits(read: Callable[[str], Any], text: str) -> bool:
    """Whether a reader takes a text."""
    try:
        read(text)
    except readers.Unfit:
        return False
    return True


def values(name: str, *, legal: bool, entry: type[Any] = Kind) -> st.SearchStrategy[Value]:
    """Values of a field of a kind, or of another entry, that its reader takes, or refuses."""
    declared = kinds.declarations(entry)[name]
    if declared["instead_of"]:
        fitting = texts(declared["instead_of"], legal=legal).filter(lambda text: fits(declared["read"], text) == legal)
        return fitting if legal else st.one_of(st.just(""), fitting)
    reader = declared["read"].__qualname__.partition(".")[0]
    assert reader in _DRAWINGS, f"{name}: write a drawing for {reader} in tests/search/fields.py"
    return _DRAWINGS[reader](declared["read"], legal=legal)


def secret_values(*, legal: bool) -> st.SearchStrategy[str]:
    """Values of a secret of servers, as .env.local has them."""
    ends = (
        ("-of-servers", " with a blank", "=#'\"$x", "ü-日本", "x" * 300)
        if legal
        else ("", "1", "\n-in-two-lines", "\x1b-red-red", "x" * 32_000)
    )
    return st.sampled_from([f"{CANARY}{end}" for end in ends])


def users_meant(spelt: Iterable[str]) -> tuple[str, ...]:
    """What a list of users comes to."""
    return tuple(dict.fromkeys(unicodedata.normalize("NFC", one.lower()) for one in spelt))


def groups_meant(spelt: Iterable[str]) -> tuple[str, ...]:
    """What a list of groups comes to."""
    return tuple(dict.fromkeys(one.lower().removeprefix("@") for one in spelt))
