"""Reads a deployment's files and the shell into Settings. Everything that is wrong is reported at once, each with its
place and its fix, and never with a secret's value. Reads files and nothing else. The module is a little long: each step
needs to know which lines could not be read, as these decide what a later message may show.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

from hubdeploy.contract.documents import Secret, User
from hubdeploy.errors import InputError, Problem, read_text
from hubdeploy.settings import dotenv, folders, kinds, readers, rules, unknown_keys, userlist
from hubdeploy.settings.declarations import DERIVED, LOCAL, NAME, SHARED, SHELL, Declaration, Settings, declarations


def load(root: Path, environ: Mapping[str, str]) -> Settings:
    """Settings of the deployment in `root`; raises InputError with every problem of its files."""
    found, _, noticed = _read(root, environ)
    if noticed.problems:
        raise InputError(noticed.problems)
    return found


def load_name(root: Path, environ: Mapping[str, str]) -> tuple[str, Settings | None, tuple[Problem, ...]]:
    """The deployment's name, its settings (None if its files have problems), and these problems. Raises InputError if
    they leave the name in doubt: the name that was read could be another deployment's."""
    found, sources, noticed = _read(root, environ)
    if not noticed.problems:
        return found.name, found, ()
    setter = _setter(NAME, sources)
    # A line that cannot be read may set the name, and would win over a weaker source.
    stronger = (SHELL, LOCAL, SHARED, DERIVED)
    unread = {
        one for one in noticed.unread_files if stronger.index(one) < stronger.index(setter[0] if setter else DERIVED)
    }
    if NAME in noticed.doubtful or unread:
        raise InputError(noticed.problems)
    return found.name, None, tuple(noticed.problems)


def _read(root: Path, environ: Mapping[str, str]) -> tuple[Settings, _Sources, _Noticed]:
    noticed = _Noticed()
    text, listed = _servers_text(root, noticed.problems)
    entries = {name: _read_file(root, name, environ, noticed, listed) for name in (SHARED, LOCAL)}
    users, of_users = _read_userlist(root)
    noticed.problems += of_users
    sources = _sources(environ, entries)
    keys = _secret_keys(entries, listed)
    secrets = _secrets(keys, environ, entries.values())
    show = _hidden if noticed.local_unread else partial(_shown, secrets=secrets, keys=keys)
    values = _resolve(root, sources, secrets, show, noticed)
    # Names of secrets may stand there.
    show = _hidden if noticed.local_unread else partial(_shown, secrets=secrets, keys=())
    servers, shared, of_servers = _servers(text, secrets, show)
    noticed.problems += of_servers
    if not of_users and not of_servers:
        noticed.problems += kinds.strangers(servers, users)
        noticed.problems += folders.strangers(shared, (kind.name for kind in servers), users)
    given = _server_secrets(listed or {}, sources, noticed)
    found = Settings(
        **values, users=users, kinds=servers, folders=shared, server_secrets=given,
        origins=_origins((*declarations(), *given), sources), root=root,
    )  # fmt: skip
    if not noticed.unread_files:
        noticed.problems += rules.contradictions(found, _whereabouts(sources), noticed.doubtful)
        noticed.problems += kinds.contradictions(found.kinds, found)
        noticed.problems += folders.contradictions(found.folders, found)
        noticed.problems += rules.contradictions_of_kinds(found, noticed.doubtful)
    return found, sources, noticed


@dataclass
class _Noticed:
    """What was wrong. `doubtful`: keys whose value could not be read; their default stands in for it. `unread_files`: files
    with a part that could not be read and may set any key. `local_unread`: any value may be a secret."""

    problems: list[Problem] = field(default_factory=list)
    doubtful: set[str] = field(default_factory=set)
    unread_files: set[str] = field(default_factory=set)
    local_unread: bool = False

    def unread(self, problem: Problem, file: str = "") -> None:
        self.problems.append(problem)
        if problem.key:
            self.doubtful.add(problem.key)
        else:
            self.unread_files.add(file)


def listed_secrets(root: Path) -> Collection[str]:
    """The names of secrets that servers.yml lists."""
    return _servers_text(root, [])[1] or ()


def _read_file(
    root: Path, name: str, environ: Mapping[str, str], noticed: _Noticed, listed: Collection[str] | None
) -> dict[str, dotenv.Entry]:
    """Key -> entry. `listed` are the secrets of servers.yml, None while they cannot be read: then each key of .env.local that is
    no slip of a setting may be one."""
    path = root / name
    if not path.exists():
        return {}
    try:
        text = read_text(path, name, "settings, one KEY=value a line")
    except InputError as refused:
        for problem in refused.problems:
            noticed.unread(problem, name)
        noticed.local_unread |= name == LOCAL
        return {}
    entries, found = dotenv.parse(text, source=name, environ=environ)
    for problem in found:
        noticed.unread(_nameable(problem), name)
    # A value that was lost there may be a secret that stands elsewhere, too.
    noticed.local_unread |= name == LOCAL and any(problem.key not in entries for problem in found)
    if name == LOCAL and stat.S_IMODE(path.stat().st_mode) & 0o077:
        noticed.problems.append(
            Problem(name, "", "can be read by others", "mode 0600, as it holds secrets", f"chmod 600 {name}")
        )
    known = declarations()
    for key, entry in list(entries.items()):
        where = f"{name}:{entry.line}"
        # A key that the file sets already cannot be the one that was meant.
        free = known.keys() - entries.keys()
        if key not in known and listed is None and name == LOCAL and unknown_keys.meant(key, free) is None:
            continue
        if key not in known and key not in (listed or ()):
            free |= {*(listed or ())} - entries.keys()
            noticed.problems.append(_nameable(unknown_keys.problem(where, key, free)))
            noticed.doubtful.update(filter(None, [unknown_keys.meant(key, free)]))
            del entries[key]
        elif name == SHARED and _is_secret(key, listed) and not entry.bare and not dotenv.is_unset(entry.value):
            message = "is a secret in a file that is committed"
            fix = "./invoke check-files --fix moves it; or move the line by hand"
            instead = (f"#{key} is in {LOCAL}",)
            noticed.problems.append(Problem(where, key, message, "secrets in .env.local", fix, instead))
    return entries


def _nameable(problem: Problem) -> Problem:
    """The problem, without its key unless that looks like one: it may be half of a secret that was broken into two lines."""
    looks_like_a_key = re.fullmatch(r"[A-Z][A-Z0-9_]*", problem.key) or unknown_keys.is_like_one(problem.key)
    return problem if looks_like_a_key else replace(problem, key="")


def _read_userlist(root: Path) -> tuple[tuple[User, ...], Sequence[Problem]]:
    wanted = "the users who may log in, one a line, then flags and groups: `kaben admin`"
    try:
        text = read_text(root / "userlist", "userlist", wanted)
    except InputError as refused:
        return (), refused.problems
    return userlist.parse(text, source="userlist")


def _servers_text(root: Path, problems: list[Problem]) -> tuple[str | None, dict[str, int] | None]:
    """servers.yml, None where there is no text; what it lists as secrets, None where that cannot be read."""
    path = root / kinds.FILE
    if not path.exists():
        return None, {}
    try:
        text = read_text(path, kinds.FILE, "kinds of servers and shared folders in YAML")
    except InputError as refused:
        problems += refused.problems
        return None, None
    return text, kinds.secret_names(text, declarations())


def _servers(
    text: str | None, secrets: Mapping[str, str], show: Callable[[str], str]
) -> tuple[tuple[kinds.Kind, ...], tuple[folders.Folder, ...], Sequence[Problem]]:
    if text is None:
        return (), (), ()
    servers, of_kinds = kinds.parse(text, show=show, secrets=secrets, settings=declarations())
    shared, of_folders = folders.parse(text, show=show)
    return servers, shared, [*of_kinds, *of_folders]


def _server_secrets(listed: Mapping[str, int], sources: _Sources, noticed: _Noticed) -> dict[str, Secret[str]]:
    """Name -> value, of what servers.yml lists as secrets."""
    found: dict[str, Secret[str]] = {}
    for name, line in listed.items():
        setter = _setter(name, sources)
        if setter is None or setter[2] == "":
            if not noticed.local_unread and name not in noticed.doubtful:
                where = setter[1] if setter else f"{kinds.FILE}:{line}"
                fix = f"write {name}=... into {LOCAL}, or take it out of secrets in {kinds.FILE}"
                noticed.problems.append(Problem(where, name, "has no value", f"a secret in {LOCAL}", fix))
            continue
        try:
            found[name] = Secret(readers.variable(setter[2]))
        except readers.Unfit as unfit:
            noticed.problems.append(Problem(setter[1], name, f"*** (a secret) {unfit.found}", unfit.wanted, unfit.fix))
    return found


_Sources = list[tuple[str, Callable[[str], str], Mapping[str, str]]]


def _sources(environ: Mapping[str, str], entries: Mapping[str, Mapping[str, dotenv.Entry]]) -> _Sources:
    """(source, key -> where it stands, key -> text), highest precedence first."""

    def line(name: str) -> Callable[[str], str]:
        return lambda key: f"{name}:{entries[name][key].line}"

    files = [(name, line(name), {key: entry.value for key, entry in entries[name].items()}) for name in (LOCAL, SHARED)]
    return [(SHELL, lambda _: "shell environment", environ), *files]


def _setter(key: str, sources: _Sources) -> tuple[str, str, str] | None:
    """(source, where, text) of the source that decides `key`; None if it derives."""
    for source, where, values in sources:
        if key in values and not (values[key].startswith("<") and dotenv.is_unset(values[key])):
            return source, where(key), values[key]
    return None


def _is_secret(key: str, listed: Collection[str] | None) -> bool:
    return key in (listed or ()) or (key in declarations() and declarations()[key][1].secret)


def _secret_keys(entries: Mapping[str, Mapping[str, dotenv.Entry]], listed: Collection[str] | None) -> tuple[str, ...]:
    """The keys of secrets: of settings, of servers.yml, and of .env.local where servers.yml cannot be read."""
    of_settings = [key for key in declarations() if _is_secret(key, ())]
    others = [key for key in entries[LOCAL] if key not in declarations()] if listed is None else listed
    return (*of_settings, *others)


def _secrets(
    keys: Iterable[str], environ: Mapping[str, str], entries: Iterable[Mapping[str, dotenv.Entry]]
) -> dict[str, str]:
    """Value -> key, for every value that was written for one of the keys, overridden ones too."""
    found: dict[str, str] = {}
    for key in keys:
        written = [file[key] for file in entries if key in file]
        values = [environ.get(key, ""), *(value.reveal() for one in written for value in (one.given, *one.given_again))]
        found |= {value: key for value in values if not dotenv.is_unset(value)}
    return found


def _shown(text: str, secrets: Collection[str], keys: Collection[str]) -> str:
    """A value as a message may show it. It is hidden if it holds a secret or a secret's key: an open quote takes in the
    lines below it."""
    # A copy of a secret with a character in it that nobody sees is still one to a reader.
    seen = "".join(character for character in text if character.isprintable())
    return "*** (it holds a secret)" if any(one in seen for one in (*secrets, *keys)) else repr(text)


def _hidden(_text: str) -> str:
    """A value while .env.local cannot be read: any value may be a secret."""
    return f"*** (hidden as long as {LOCAL} cannot be read)"


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False


def _origins(keys: Iterable[str], sources: _Sources) -> dict[str, str]:
    origins = {}
    for key in keys:
        setter = _setter(key, sources)
        absent = setter is None or (setter[2] == "" and declarations()[key][1].optional)
        origins[key] = DERIVED if absent or setter is None else setter[0]
    return origins


def _whereabouts(sources: _Sources) -> Callable[[str], str]:
    def where(key: str) -> str:
        setter = _setter(key, sources)
        return "settings" if setter is None else setter[1]

    return where


def _resolve(
    root: Path, sources: _Sources, secrets: Mapping[str, str], show: Callable[[str], str], noticed: _Noticed
) -> dict[str, Any]:
    """Field -> value; a value that cannot be read becomes a problem, and the derived value stands in for it."""
    values: dict[str, Any] = {}
    for key, (attribute, declaration) in declarations().items():
        setter = _setter(key, sources)
        so_far = Settings(**{**dict.fromkeys(_FIELDS), **values})
        values[attribute] = declaration.derive(so_far)
        if setter is None:
            continue
        _, where, text = setter
        try:
            value = _value(root, text, declaration, secrets, show)
        except readers.Unfit as unfit:
            noticed.unread(Problem(where, key, unfit.found, unfit.wanted, unfit.fix))
        else:
            values[attribute] = values[attribute] if text == "" else declaration.complete(so_far, value)
    return values


def _value(
    root: Path, text: str, declaration: Declaration, secrets: Mapping[str, str], show: Callable[[str], str]
) -> Any:
    """The value of a text; None if it is empty and the setting derives. Raises Unfit with words that may be shown."""
    if text == "":
        # An empty password would be generated anew at each run and never kept.
        if declaration.optional and not declaration.secret:
            return None
        fix = f"give it a value, or delete the line: it derives then ({declaration.derivation})"
        raise readers.Unfit("is empty", declaration.meaning, fix)
    shown = "*** (a secret)" if declaration.secret else show(text)
    try:
        value = declaration.read(text)
    except readers.Unfit as unfit:
        raise readers.Unfit(f"{shown} {unfit.found}", unfit.wanted, unfit.fix) from None
    known = {} if declaration.secret else secrets
    held = [key for secret, key in known.items() if len(secret) >= readers.SHORTEST_SECRET and secret in text]
    if held:
        fix = f"take it out, or choose another value for {held[0]}"
        raise readers.Unfit(f"holds the value of {held[0]}", "a value without a secret: it is printed", fix)
    if isinstance(value, Path) and not _is_file(root / value):
        raise readers.Unfit(f"{shown} is not a file", declaration.meaning, "correct the path")
    return root / value if isinstance(value, Path) else value


_FIELDS = tuple(one.name for one in fields(Settings) if "declaration" in one.metadata)
