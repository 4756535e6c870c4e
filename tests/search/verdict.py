"""Tries one input: it must be refused with everything that is wrong in it, or give a deployment whose parts agree."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any

from hubdeploy.errors import InputError, Problem
from hubdeploy.settings import kinds, loading
from hubdeploy.settings.declarations import Settings, declarations, masked
from hubdeploy.settings.folders import Folder
from hubdeploy.settings.kinds import FILE, Kind
from tests.agreement import facts
from tests.search.meaning import Meaning, meaning
from tests.search.relations import Relation
from tests.search.servers import DOTTED
from tests.search.texts import CANARY, folder
from tests.search.userlists import FLAGS
from tests.search.written import Written

_IN_THE_SHELL = "shell environment"


class Verdict(Enum):
    ACCEPTED = "accepted"
    REFUSED = "refused"


def loaded(one: Written) -> Settings | InputError:
    """The settings, or the refusal; anything else that is raised is a mistake of the product."""
    one.lay(folder())
    return _load(one.shell)


def _load(shell: Mapping[str, str]) -> Settings | InputError:
    try:
        return loading.load(folder(), shell)
    except InputError as refused:
        return refused


def judge(one: Written) -> Verdict:
    """Raises AssertionError if the input is neither refused as it must be, nor accepted as it must be."""
    found, wanted = loaded(one), meaning(one)
    if isinstance(found, InputError):
        _assert_refused(found, wanted, one)
        return Verdict.REFUSED
    _assert_accepted(found, wanted, one)
    return Verdict.ACCEPTED


def judge_spoilt(one: Written, name: str, spoil: Callable[[bytes], bytes]) -> None:
    """The same for an input without a known meaning: the bytes of one of its files were changed."""
    one.lay(folder())
    path = folder() / name
    path.write_bytes(spoil(path.read_bytes() if path.exists() else b""))
    path.chmod(0o600)
    found = _load(one.shell)
    if isinstance(found, InputError):
        # A secret in another setting is known for one only while its own setting has it, unspoilt.
        _assert_readable(found, hides_secrets=not _slips_a_secret(one))
    else:
        assert facts.disagreements(found) == []


def _assert_accepted(found: Settings, wanted: Meaning, one: Written) -> None:
    assert not wanted.bad, f"accepted, though these are wrong: {wanted.bad}"
    assert not wanted.broken, f"accepted, though these contradict: {[sorted(rule.named) for rule in wanted.broken]}"
    for key, (attribute, _) in declarations().items():
        assert getattr(found, attribute) == getattr(wanted.settings, attribute), key
    assert found.origins == wanted.origins
    assert {name: secret.reveal() for name, secret in found.server_secrets.items()} == wanted.secrets
    _assert_entries(found.kinds, one.servers.kinds)
    _assert_entries(found.folders, one.servers.folders)
    assert {user.name: user for user in found.users}.keys() == one.userlist.users.keys()
    for user in found.users:
        groups = {f"@{name}:read" if name in user.reads else f"@{name}" for name in user.groups}
        assert {flag for flag in FLAGS if getattr(user, flag)} | groups == one.userlist.users[user.name]
    assert CANARY not in repr(found)
    assert CANARY not in repr(masked(found))
    assert facts.disagreements(found) == []


def _assert_entries(found: Sequence[Kind] | Sequence[Folder], wanted: Mapping[str, Mapping[str, Any]]) -> None:
    """What servers.yml has, in its order."""
    assert [one.name for one in found] == [*wanted]
    for entry in found:
        for name in kinds.declarations(type(entry)):
            unsaid = next(field.default for field in dataclasses.fields(entry) if field.name == name)
            assert getattr(entry, name) == wanted[entry.name].get(name, unsaid), (entry.name, name)


def _assert_refused(refused: InputError, wanted: Meaning, one: Written) -> None:
    assert not wanted.is_fine, f"refused, though all is fine: {refused}"
    _assert_readable(refused)
    problems = refused.problems
    for problem in problems:
        _assert_place(problem, one)
    named = {_subject(problem) for problem in problems}
    missing = {key for key in wanted.bad if not any(_is_called(name, key, wanted) for name in named)}
    assert not missing, f"not named: {missing}"
    expected = wanted.bad | wanted.maybe
    of_rules = [
        problem for problem in problems if not any(_is_called(_subject(problem), key, wanted) for key in expected)
    ]
    for rule in wanted.broken:
        reported = [problem for problem in of_rules if problem.key in rule.named and _names_all(problem, rule, wanted)]
        assert reported or wanted.doubtful, f"{sorted(rule.named)} contradict, and no problem names all of them"
    allowed = {key for rule in (*wanted.broken, *wanted.possible) for key in rule.named}
    assert {problem.key for problem in of_rules} <= allowed, f"fine, but named: {named - expected - allowed}"


def _subject(problem: Problem) -> str:
    """What a problem is about; all of servers.yml where it is no YAML."""
    return problem.key or (FILE if problem.where.startswith(FILE) else problem.where)


def _is_called(name: str, key: str, wanted: Meaning) -> bool:
    """Whether a problem calls a key so: a word of servers.yml that may not be shown is ***."""
    words, others = name.split("."), (key.replace(DOTTED, "***") if wanted.hidden else key).split(".")
    fits = len(words) == len(others) and all(
        one == other or (wanted.hidden and one == "***") for one, other in zip(words, others, strict=True)
    )
    return name == key or fits


def _slips_a_secret(one: Written) -> bool:
    texts = [(line.key, line.value) for file in one.files.values() for line in file.lines] + list(one.shell.items())
    known = declarations()
    in_servers = any(CANARY in text for _, text in one.servers.texts)
    return in_servers or any(
        CANARY in (value or "") and key in known and not known[key][1].secret for key, value in texts
    )


def _assert_readable(refused: InputError, *, hides_secrets: bool = True) -> None:
    """Each problem has its place and its fix, and can be printed on any terminal."""
    assert refused.code == 1
    assert not hides_secrets or CANARY not in str(refused) + repr(refused) + repr(refused.problems)
    assert refused.problems
    for problem in refused.problems:
        texts = [problem.where, problem.found, problem.wanted, problem.fix]
        assert all(texts)
        assert all(text.isprintable() for text in [*texts, problem.key]), texts


def _names_all(problem: Problem, rule: Relation, wanted: Meaning) -> bool:
    words = set(re.findall(r"[A-Z][A-Z_]+", str(problem)))
    return {key for key in rule.keys & rule.named if wanted.origins[key] != "derived"} <= words


def _assert_place(problem: Problem, one: Written) -> None:
    """The place is a whole file, a line of it in which the key stands, or the shell."""
    name, colon, number = problem.where.partition(":")
    files = {**{name: file.encoded for name, file in one.files.items()}, "userlist": one.userlist.content or b""}
    if name == FILE:
        _assert_in_servers(problem, number, one)
        return
    if name == _IN_THE_SHELL:
        assert problem.key in one.shell
    elif not colon:
        assert name in files
        assert not problem.key
    else:
        line = files[name].decode().split("\n")[int(number) - 1].lower()
        assert problem.key.lower() in (line if line.isprintable() else f"{line} {line!a}")


def _assert_in_servers(problem: Problem, number: str, one: Written) -> None:
    """The place is a line of the file, and one on which what is named stands, where anybody knows which that is."""
    content = one.servers.content
    assert content is not None
    assert not number or 0 < int(number) <= content.count(b"\n") + 1
    first, last = one.servers.lines.get(problem.key, (1, content.count(b"\n") + 1))
    assert not number or first <= int(number) <= last or b"*a" in content, f"{problem} is on lines {first} to {last}"
