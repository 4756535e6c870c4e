"""Whole inputs that a person may leave behind: `.env` and `.env.local` to the byte, a shell, a userlist, and servers.yml."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import strategies as st

from hubdeploy.settings.declarations import LOCAL, SHARED, SHELL, Settings, declarations
from hubdeploy.settings.kinds import FILE
from tests.search import servers, styles
from tests.search.deployments import Texts, contradictions, deployments, settings_of
from tests.search.fields import secret_values
from tests.search.servers import Servers
from tests.search.texts import CANARY, texts
from tests.search.userlists import Userlist, userlists

# A variable in every shell, for values that are written as a reference.
HELD = "SEARCH_HELD"
_VALUE_FLAWS = ("against", "against", "illegal", "illegal", "illegal", "empty", "slipped")
_LINE_FLAWS = (
    "again",
    "unknown",
    "committed",
    "broken",
    "open",
    "nonsense",
    "bare",
    "no text",
    "mode",
    "userlist",
    "shell",
    "servers",
    "servers",
    "servers",
    "servers",
)
_PLACEHOLDERS = ("<client ID for your GitHub OAuth application>", "<>", "<a>b>", "<'>")
# The last two are half of a secret that was broken into two lines.
_UNKNOWN = ("PATH", "COMPOSE_PROJECT_NAME", "GOOGLE_CLIENT_SECRET", "POSTGRES_DB", "X", "canary", f"{CANARY}9")
_OPEN_TO_OTHERS = (0o644, 0o640, 0o604, 0o660, 0o611)


@dataclass(frozen=True)
class Line:
    """A line, or the lines of one statement. If it `is_statement`, it sets `key` to `value`; `value` is None if it cannot be
    read, and `key` is empty if that cannot be read either."""

    text: str
    is_statement: bool = False
    key: str = ""
    value: str | None = None


@dataclass(frozen=True)
class File:
    """One of the two files; `is_text` is False where its bytes are not UTF-8."""

    lines: tuple[Line, ...]
    line_end: str = "\n"
    start: bytes = b""
    ends: bool = True
    is_text: bool = True

    @property
    def encoded(self) -> bytes:
        # A value over several lines has the file's own line ends.
        text = "\n".join(line.text for line in self.lines) + ("\n" if self.ends else "")
        return self.start + text.replace("\n", self.line_end).encode() + (b"" if self.is_text else b"# \xff\xfe\n")


@dataclass(frozen=True)
class Written:
    """One input: the files (SHARED, LOCAL) that are there, the mode of `.env.local`, the shell, the userlist, and servers.yml."""

    files: Mapping[str, File]
    mode: int
    shell: Mapping[str, str]
    userlist: Userlist
    servers: Servers

    def lay(self, root: Path) -> None:
        """Puts the files into `root`, and removes the files of another input."""
        encoded = {name: file.encoded for name, file in self.files.items()}
        if self.userlist.content is not None:
            encoded["userlist"] = self.userlist.content
        if self.servers.content is not None:
            encoded[FILE] = self.servers.content
        for name in (SHARED, LOCAL, "userlist", FILE):
            (root / name).unlink(missing_ok=True)
            if name in encoded:
                (root / name).write_bytes(encoded[name])
                (root / name).chmod(self.mode if name == LOCAL else 0o644)


@dataclass
class _Draft:
    """A half-drawn input: the texts in each source, by key, and lines that are no plain `KEY=value`."""

    sources: dict[str, Texts] = field(default_factory=lambda: {SHELL: {}, LOCAL: {}, SHARED: {}})
    lines: dict[str, list[Line]] = field(default_factory=lambda: {LOCAL: [], SHARED: []})
    last: dict[str, Line] = field(default_factory=dict)
    not_text: set[str] = field(default_factory=set)
    slipped: set[str] = field(default_factory=set)
    named: Texts = field(default_factory=dict)
    mode: int = 0o600


@st.composite
def written(draw: st.DrawFn, *, with_servers: bool = True) -> Written:
    """About half of the inputs are correct; the others have up to three mistakes."""
    flaws = draw(st.sampled_from([0] * 6 + [1, 1, 1, 2, 3]))
    kinds = [draw(st.sampled_from(_VALUE_FLAWS if draw(st.booleans()) else _LINE_FLAWS)) for _ in range(flaws)]
    found = draw(deployments())
    fitting = settings_of(found)
    if "against" in kinds:
        found |= draw(contradictions(found))
    draft = _Draft()
    listed = draw(userlists(damaged="userlist" in kinds))
    of_servers = Servers()
    if with_servers:
        of_servers = _servers(draw, draft, fitting, found, listed.groups, "servers" in kinds)
    # A text in another setting counts as a secret only while its own setting has it too.
    for kind in sorted(kinds, key="slipped".__eq__):
        if kind in ("illegal", "empty"):
            key = draw(st.sampled_from([key for key in declarations() if key not in draft.slipped]))
            found[key] = "" if kind == "empty" else draw(texts(key, legal=False))
        elif kind == "slipped":
            secret, key = (draw(st.sampled_from(keys)) for keys in (secret_keys(), list(declarations())))
            if key not in draft.slipped:
                found.setdefault(secret, draw(texts(secret, legal=True)))
                found[key] = draw(st.sampled_from(["", "/home/cryptic/", "x"])) + found[secret]
                draft.slipped.add(secret)
    _place(draw, draft, found)
    draft.sources[SHELL][HELD] = draw(st.sampled_from([*found.values(), "x"])).replace("\x00", "")
    for kind in kinds:
        if kind in _LINE_FLAWS:
            _damage(draw, draft, kind)
    files = {name: _file(draw, draft, name) for name in (SHARED, LOCAL)}
    there = {name: file for name, file in files.items() if file.lines or not file.is_text or draw(st.booleans())}
    return Written(there, draft.mode, draft.sources[SHELL], listed, of_servers)


def _servers(
    draw: st.DrawFn, draft: _Draft, fitting: Settings, found: Texts, groups: Collection[str], damaged: bool
) -> Servers:
    """servers.yml; the secrets that it names get their values."""
    flaw = draw(st.sampled_from(servers.FLAWS)) if damaged else ""
    slips: tuple[str, ...] = ()
    if flaw == "slip":
        secret = draw(st.sampled_from(secret_keys()))
        found.setdefault(secret, draw(texts(secret, legal=True)))
        draft.slipped.add(secret)
        slips = (found[secret],) if found[secret] else ()
    made = draw(servers.servers(fitting, groups, flaw, slips))
    draft.named = {name: value for name, value in made.named.items() if value is not None}
    return made


def _place(draw: st.DrawFn, draft: _Draft, found: Texts) -> None:
    """Puts each text into a source that may hold it, sometimes with another text in a weaker source."""
    order = (SHARED, LOCAL, SHELL)
    for key, text in {**found, **draft.named}.items():
        secret = key in draft.named or declarations()[key][1].secret
        fit = [
            name
            for name in order
            if not (name == SHELL and "\x00" in text) and not (name == SHARED and secret and text)
        ]
        at = draw(st.sampled_from([fit[0], *fit]))
        draft.sources[at][key] = text
        below = [name for name in order[: order.index(at)] if name in fit]
        if below and draw(st.integers(0, 2)) == 0:
            draft.sources[draw(st.sampled_from(below))][key] = _any_text(draw, draft, key)
    for key in draw(st.lists(st.sampled_from(list(declarations())), max_size=3)):
        name = draw(st.sampled_from(order))
        draft.sources[name].setdefault(key, draw(st.sampled_from(_PLACEHOLDERS)))


def _any_text(draw: st.DrawFn, draft: _Draft, key: str) -> str:
    legal = draw(st.booleans())
    return draw(secret_values(legal=legal) if key in draft.named else texts(key, legal=legal))


def _damage(draw: st.DrawFn, draft: _Draft, kind: str) -> None:
    name = draw(st.sampled_from([SHARED, LOCAL]))
    key = draw(st.sampled_from(list(declarations())))
    lines = draft.lines[name]
    if key in draft.slipped:
        return
    if kind == "again":
        key = draw(st.sampled_from(sorted(draft.sources[name]) or [key]))
        value = draft.sources[name].setdefault(key, draw(st.sampled_from(_PLACEHOLDERS)))
        again = draw(st.sampled_from([value, _any_text(draw, draft, key)]))
        lines.append(_statement(draw, draft, key, again))
    elif kind == "unknown":
        unknown = draw(st.sampled_from([*_UNKNOWN, *_misspelt(key)]))
        lines.append(_statement(draw, draft, unknown, draw(st.sampled_from(["", "x", "<x>", "a b"]))))
    elif kind == "committed":
        of_servers = bool(draft.named) and draw(st.booleans())
        key = draw(st.sampled_from(list(draft.named) if of_servers else secret_keys()))
        draft.sources[SHARED].setdefault(key, _any_text(draw, draft, key))
    elif kind == "broken":
        lines.append(_without(draft, name, key, draw(st.sampled_from(styles.BROKEN))))
    elif kind == "open":
        draft.last[name] = _without(draft, name, key, draw(st.sampled_from(styles.OPEN)))
    elif kind == "nonsense":
        lines.append(Line(draw(st.sampled_from(styles.NONSENSE)), is_statement=True))
    elif kind == "bare":
        lines.append(Line(key, is_statement=True, key=key, value=draft.sources[SHELL].get(key)))
        draft.sources[name].pop(key, None)
    elif kind == "no text":
        draft.not_text.add(name)
    elif kind == "shell":
        # As Python reads a variable that is not UTF-8.
        draft.sources[SHELL][key] = draw(texts(key, legal=True)).replace("\x00", "") + "\udcff"
    elif kind == "mode":
        draft.mode = draw(st.sampled_from(_OPEN_TO_OTHERS))


def secret_keys() -> list[str]:
    return [key for key, (_, declaration) in declarations().items() if declaration.secret]


def _without(draft: _Draft, name: str, key: str, text: str) -> Line:
    """A statement that cannot be read; the key's other text goes."""
    draft.sources[name].pop(key, None)
    return Line(text.format(key), is_statement=True, key=key)


def _misspelt(key: str) -> list[str]:
    spelt = [key + "S", key[:-1], key.replace("_", ""), key.lower(), key[0] + key[2:]]
    return [one for one in spelt if one not in declarations()]


def _statement(draw: st.DrawFn, draft: _Draft, key: str, value: str) -> Line:
    held = {HELD: draft.sources[SHELL].get(HELD, "")}
    return Line(draw(styles.statements(key, value, held)), is_statement=True, key=key, value=value)


def _file(draw: st.DrawFn, draft: _Draft, name: str) -> File:
    lines = [_statement(draw, draft, key, text) for key, text in draft.sources[name].items()] + draft.lines[name]
    for _ in range(draw(st.integers(0, 2))):
        lines.insert(draw(st.integers(0, len(lines))), Line(draw(st.sampled_from(styles.FILLERS))))
    if draw(st.integers(0, 3)) == 0:
        lines = draw(st.permutations(lines))
    if name in draft.last:
        lines = [*lines, draft.last[name]]
    return File(
        tuple(lines),
        line_end=draw(st.sampled_from(["\n", "\n", "\r\n"])),
        start=draw(st.sampled_from([b"", b"", b"\xef\xbb\xbf"])),
        ends=draw(st.booleans()),
        is_text=name not in draft.not_text,
    )
