"""Texts that a person could write for a setting, legal and illegal; the setting's own reader decides. They come from the
declarations alone, so a new setting has texts without an edit here.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from hubdeploy.settings import readers
from hubdeploy.settings.declarations import declarations
from tests.agreement import border
from tests.agreement.discovery import bare

# In every secret's value, so that one shows wherever it leaks.
CANARY = "canary"
AUTHORITY = "authority of ours.pem"
_PLAIN = (
    "lab", "ada", "a", "a-b", "a_b", "a.b", "Lab", "x" * 31, "x" * 40, "x" * 41, "x" * 128, "x" * 300, "-x", "x-", "_x",
    "0", "00", "1", "-1", "007", "80", "1000", "65534", "65535", "65536", "4294967296", "1.5", "0.01", "1e3", "nan", "inf",
    "2G", "256M", "255M", "1500 MiB", "1t", "yes", "no", "True", "0b1", "none", "null", "localhost", "127.0.0.1",
    "127.1.2.3", "0.0.0.0", "::1", "::", "192.0.2.7", "2001:db8::7", "fe80::1%eth0", "hub.example.org", "HUB.Example.ORG",
    "xn--bcher-kva.example", f"{'a' * 63}.{'b' * 63}.example", "bücher.example", "1.2.3", "https://hub.example.org",
    "https://hub.example.org:8443/x/", "http://[::1]:80", "ftp://x", "https://", "https://a b", "https://x?y#z",
    "https://GitHub.com", "https://github.com:443/", "HTTP://www.github.com", "https://[::1]:443/x", "/data?x", "/d%20x",
    "/", "/data", "//data", "/data/", "/a/../b", "/a/./b", "/home", "/home/ada/work",
    "/home/cryptic/%U", "/srv/x", "/etc/x", "~", "~/x", "./x",
    "../x", "debian:12", "docker.io/library/debian:12", "docker.io", "index.docker.io/acme", "library", "Acme/lab",
    "acme/lab", "127.0.0.1:5000/acme", "a//b", "a/b:c@sha256:" + "0" * 64, "a@sha256:0", "bridge", "host", "root", "users",
    "lab-{username}", "lab-{raw_username}-x", "{username}", "{", "}", "%U", "start.sh --x='a b'", "jupyter lab {} %s",
    'a "b', "$", "$HOME", "${HOME}", "$$", "100%$", "a#b", "a #b", "#a", "a=b", "=", "a:b", "a,b", "a b", " a", "a ", "it's",
    '"a"', "a\\b", "a\\", "\\n", "a\tb", "a\nb", "a\r\nb", "\x00", "a\x00b", "a\x1b[31mb", "a\x7f", "a\u202eb", "a\u2028b",
    "a\xa0b", "ü", "日本語", "🚀", "e\u0301", "<a", "a>", "*", "?", "!", "`id`", "$(id)", ";", "|", "&",
)  # fmt: skip
_ODD = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
# Pieces that are put into a legal text.
_PIECES = (
    "",
    " ",
    "-",
    "_",
    ".",
    "/",
    ":",
    "#",
    "'",
    '"',
    "\\",
    "$",
    "=",
    "\t",
    "\n",
    "\x00",
    "\x1b",
    "é",
    "A",
    "0",
    "%",
    "{",
    "}",
)


@cache
def folder() -> Path:
    """The folder of every input; it holds a bundle of authorities and a logo, for settings that name a file."""
    made = border.new_folder()
    (made / AUTHORITY).write_bytes(border.authority().read_bytes())
    (made / border.picture().name).write_bytes(border.picture().read_bytes())
    return made


def read(key: str, text: str) -> Any:
    """The value of a text for a setting; raises readers.Unfit. A file's path is taken from the folder of `.env`."""
    value = declarations()[key][1].read(text)
    if isinstance(value, Path):
        value = folder() / value
        if not is_file(value):
            raise readers.Unfit("is no file", "a file", "")
    return value


def is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False


def is_legal(key: str, text: str) -> bool:
    try:
        read(key, text)
    except readers.Unfit:
        return False
    return True


def means_nothing(text: str) -> bool:
    """Whether a text leaves a setting derived: it is empty, or a placeholder."""
    return text == "" or (text[0] == "<" and text[-1] == ">")


@cache
def texts(key: str, *, legal: bool) -> st.SearchStrategy[str]:
    """Texts that the setting's reader takes, or refuses. Only those that it always takes may be left of the latter."""
    pool = _pool(key, legal) or _pool(key, True)
    return st.one_of(st.sampled_from(pool), _fixed(key, legal, pool))


@st.composite
def _fixed(draw: st.DrawFn, key: str, legal: bool, pool: tuple[str, ...]) -> str:
    """A text with a piece put into it, or any text; one of the pool if it is not of the wanted kind."""
    if draw(st.integers(0, 2)):
        near = draw(st.sampled_from(_pool(key, True)))
        at = draw(st.integers(0, len(near)))
        text = near[:at] + draw(st.sampled_from(_PIECES)) + near[at + draw(st.integers(0, 1)) :]
    else:
        text = draw(_ODD)
    text = _marked(key, text)
    fits = not means_nothing(text) and is_legal(key, text) == legal
    return text if fits else draw(st.sampled_from(pool))


@cache
def _pool(key: str, legal: bool) -> tuple[str, ...]:
    declaration = declarations()[key][1]
    examples = [one.example.strip("'") for _, one in declarations().values()]
    derived = declaration.derive(bare())
    near = [str(derived), f"{derived}2"] if isinstance(derived, str | int) else []
    all_texts = [declaration.example.strip("'"), *near, *examples, *_PLAIN, AUTHORITY, f"./{AUTHORITY}"]
    marked = dict.fromkeys(_marked(key, text) for text in all_texts)
    return tuple(text for text in marked if not means_nothing(text) and is_legal(key, text) == legal)


def _marked(key: str, text: str) -> str:
    return CANARY + text if declarations()[key][1].secret else text
