"""The result that an input must lead to: the value of every setting, or what a refusal must name. It follows from what was
meant when the input was drawn; the product's own reading is compared with it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import SequenceMatcher

from hubdeploy.settings import readers
from hubdeploy.settings.declarations import DERIVED, LOCAL, SHARED, SHELL, Settings, declarations
from tests.search import relations
from tests.search.deployments import nothing, with_text
from tests.search.relations import RELATIONS, Relation
from tests.search.texts import means_nothing
from tests.search.written import Line, Written


@dataclass
class Meaning:
    """`bad` are the keys, files, names of users, places and paths in servers.yml that a refusal must name, `maybe` those that it
    may name; `broken` are the rules that it must report, and `possible` the rules that it may report. `committed` are bad keys
    whose values are known: secrets in `.env`. If `doubtful`, an unreadable line may have fixed a broken rule. `hidden`: no text
    of servers.yml may be shown. `secrets` are those of users' servers. `settings` are right if nothing is bad."""

    settings: Settings
    origins: dict[str, str] = field(default_factory=dict)
    bad: set[str] = field(default_factory=set)
    committed: set[str] = field(default_factory=set)
    broken: list[Relation] = field(default_factory=list)
    possible: list[Relation] = field(default_factory=list)
    doubtful: bool = False
    maybe: set[str] = field(default_factory=set)
    hidden: bool = False
    secrets: dict[str, str] = field(default_factory=dict)

    @property
    def is_fine(self) -> bool:
        return not self.bad and not self.broken


def meaning(one: Written) -> Meaning:
    made = Meaning(nothing())
    sources: list[tuple[str, Mapping[str, str]]] = [(SHELL, one.shell)]
    sources += [(name, _read(one, name, made)) for name in (LOCAL, SHARED)]
    if LOCAL in one.files and one.mode & 0o077:
        made.bad.add(LOCAL)
    for key, (_, declaration) in declarations().items():
        setters = [(name, values[key]) for name, values in sources if not _is_placeholder(values.get(key, "<>"))]
        origin, text = setters[0] if setters else (DERIVED, None)
        if text == "" and (declaration.secret or not declaration.optional):
            _is_unknown(key, made)
        try:
            made.settings = with_text(made.settings, key, text)
        except readers.Unfit:
            _is_unknown(key, made)
            made.settings = with_text(made.settings, key, None)
        made.origins[key] = DERIVED if text == "" else origin
    _secrets_of_servers(one, sources, made)
    _hold_a_secret(one, sources, made)
    made.bad |= one.userlist.bad | one.servers.bad
    made.settings = dataclasses.replace(made.settings, origins=made.origins)
    spoilt = bool(one.servers.bad) or any(path in made.bad for path, _ in one.servers.texts)
    of_folders = relations.of_folders(
        one.servers.folders, one.servers.kinds, strangers=not one.userlist.bad and not spoilt
    )
    for rule in (*RELATIONS, *relations.of_servers(one.servers.kinds), *of_folders):
        if not rule.agrees(made.settings, one.userlist.users) and not rule.named & (made.bad - made.committed):
            is_of_servers = rule.keys & relations.MEMORY or any(key.startswith("kinds.") for key in rule.named)
            may_be_fine = rule.keys & made.bad or (spoilt and is_of_servers)
            (made.possible if may_be_fine else made.broken).append(rule)
    return made


def _secrets_of_servers(one: Written, sources: list[tuple[str, Mapping[str, str]]], made: Meaning) -> None:
    """What servers.yml names, and what is wrong with the values."""
    for name in one.servers.named if one.servers.readable else ():
        setters = [(source, texts[name]) for source, texts in sources if not _is_placeholder(texts.get(name, "<>"))]
        origin, text = setters[0] if setters else (DERIVED, "")
        if 8 <= len(text) <= 32_000 and text.isprintable():
            made.secrets[name] = text
            made.origins[name] = origin
        elif text or not made.hidden:
            made.bad.add(name)
        else:
            made.maybe.add(name)


def _is_unknown(key: str, made: Meaning) -> None:
    made.bad.add(key)
    made.committed.discard(key)


def _hold_a_secret(one: Written, sources: list[tuple[str, Mapping[str, str]]], made: Meaning) -> None:
    """Marks what is printed, or committed, and holds a secret."""
    secret = [key for key, (_, declaration) in declarations().items() if declaration.secret]
    local = dict(sources)[LOCAL].keys() - declarations().keys()
    named = one.servers.named if one.servers.readable else local
    written = {values[key] for key in (*secret, *named) for _, values in sources if len(values.get(key, "")) >= 8}
    secrets = {text for text in written if not means_nothing(text)}
    for key in declarations().keys() - secret:
        text = next((values[key] for _, values in sources if not _is_placeholder(values.get(key, "<>"))), "")
        if any(one in text for one in secrets):
            _is_unknown(key, made)
    if one.servers.readable:
        made.bad |= {path for path, text in one.servers.texts if any(one in text for one in secrets)}


def _is_placeholder(text: str) -> bool:
    return text != "" and means_nothing(text)


def _read(one: Written, name: str, made: Meaning) -> dict[str, str]:
    """Key -> value of a file; its mistakes go into `made`."""
    if name not in one.files:
        return {}
    if not one.files[name].is_text:
        made.bad.add(name)
        made.doubtful = True
        made.hidden |= name == LOCAL
        return {}
    values: dict[str, str] = {}
    unreadable: set[str] = set()
    for number, line in numbered(one, name):
        if not line.is_statement:
            continue
        known = declarations().get(line.key)
        is_known = bool(known) or (one.servers.readable and line.key in one.servers.named)
        if not is_known:
            made.doubtful = True
        made.hidden |= name == LOCAL and line.value is None
        # A word that is no key may be half of a secret, so the refusal names the line.
        named = line.key if line.key.isupper() or _is_like_a_key(line.key) else f"{name}:{number}"
        holds = not means_nothing(line.value or "") and line.text != line.key
        secret_is_committed = name == SHARED and is_known and (known is None or known[1].secret) and holds
        if not is_known and name == LOCAL and not one.servers.readable and line.value is not None:
            # It may be a secret of servers.
            made.maybe.add(named)
        elif not is_known or line.value is None or line.key in values:
            unreadable.add(named)
        elif secret_is_committed:
            made.committed.add(named)
        if line.value is not None and (is_known or (name == LOCAL and not one.servers.readable)):
            values.setdefault(line.key, line.value)
    made.committed -= unreadable
    made.bad |= unreadable | made.committed
    return values


def _is_like_a_key(key: str) -> bool:
    return any(SequenceMatcher(None, key.upper(), known).ratio() >= 0.6 for known in declarations())


def numbered(one: Written, name: str) -> Iterator[tuple[int, Line]]:
    """The lines with the number of their first one."""
    number = 1
    for line in one.files[name].lines:
        yield number, line
        number += line.text.count("\n") + 1
