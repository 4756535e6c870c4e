"""Reads `servers.yml`: the kinds of servers that users choose from. Without the file there is one kind, as `.env` says.

It never guesses: what cannot be read is a problem with its line. A value's text goes through the reader of the setting that it
stands for. No message has a text of the file in it that holds a secret.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from typing import Any, TypeVar

import yaml

from hubdeploy.contract import mac_addresses, names, servers
from hubdeploy.contract.documents import User
from hubdeploy.errors import Problem
from hubdeploy.settings import readers

FILE = "servers.yml"
_LONGEST_TITLE, _LONGEST_DESCRIPTION, _MOST = 60, 200, 32
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECRET = re.compile(r"[A-Z][A-Z0-9_]{0,99}")
# What start scripts, servers and the engine read: who the user is, and what they may do and have.
_RESERVED = re.compile(
    r"(NB|JUPYTER|JUPYTERHUB|JPY|NOTEBOOK|CHOWN|GRANT|RESTARTABLE|CONDA)_.*|(NVIDIA|AMD)_VISIBLE_DEVICES|HOME|USER|LOGNAME|SHELL|PATH|PWD|TZ|UID|GID"
)


_Folder = TypeVar("_Folder")


class _Unfit(readers.Unfit):
    """`found` ends before `text`, which stands in the file: whoever knows the secrets says how it may be shown."""

    def __init__(self, found: str, text: str, wanted: str, fix: str) -> None:
        super().__init__(found, wanted, fix)
        self.text = text


class _UnfitEntry(readers.Unfit):
    """What is wrong with one entry of a list, which has a line of its own."""

    def __init__(self, unfit: readers.Unfit, node: yaml.Node) -> None:
        super().__init__(unfit.found, unfit.wanted, unfit.fix)
        self.node = node


class _Unset:
    """A field that says nothing: the setting in `.env` does."""

    def __repr__(self) -> str:
        return "as .env says"


UNSET = _Unset()


def declared(
    meaning: str, read: Callable[[Any], Any], *, instead_of: str = "", example: str, default: Any = UNSET
) -> Any:
    """A field of a kind. `read` gets a value's text, or its node where that is a list or a table. `instead_of` is the key of the
    setting whose place it takes."""
    metadata = {"meaning": meaning, "read": read, "instead_of": instead_of, "example": example}
    return field(default=default, metadata=metadata)


def _text(longest: int) -> Callable[[str], str]:
    def read(text: str) -> str:
        if not 0 < len(text) <= longest or not text.isprintable():
            raise readers.Unfit(
                "is no such text", f"1 to {longest} characters that can be printed", "write such a text"
            )
        return text

    return read


def names_of_users(node: yaml.Node) -> tuple[str, ...]:
    found = [names.normalized(one.value) for one in _items(node, "a list of users, such as [ada, bob]")]
    wrong = [one for one in found if not names.is_spelled(one) or not names.is_short(one)]
    if wrong:
        raise _Unfit("names", wrong[0], "names of users as userlist has them", "correct it")
    if not found:
        raise readers.Unfit(
            "names nobody", "a list of users", "name one, or delete the line: the kind is for everybody then"
        )
    return tuple(dict.fromkeys(found))


def names_of_groups(node: yaml.Node) -> tuple[str, ...]:
    found = [one.value.lower().removeprefix("@") for one in _items(node, "a list of groups, such as [physics, staff]")]
    if not found or not all(re.fullmatch(names.GROUP, one) for one in found):
        wanted = f"groups as userlist has them: {names.OF_GROUPS}"
        raise readers.Unfit("names something that is no group, or nothing", wanted, "correct it, or delete the line")
    return tuple(dict.fromkeys(found))


def _groups_of_the_login(node: yaml.Node) -> tuple[str, ...]:
    wanted = "a list of groups as the login names them, such as [students, 'org:team']"
    found = [one.value for one in _items(node, wanted)]
    if not found or not all(0 < len(one) <= _LONGEST_DESCRIPTION and one.isprintable() for one in found):
        raise readers.Unfit("names no group, or one that cannot be printed", wanted, "correct it, or delete the line")
    return tuple(dict.fromkeys(found))


def words(node: yaml.Node) -> tuple[str, ...]:
    """Names of kinds, which another rule looks up."""
    found = tuple(dict.fromkeys(one.value for one in _items(node, "a list of names, such as [large]")))
    if not found:
        raise readers.Unfit("names nothing", "a list of names", "name one, or delete the line")
    return found


def _items(node: yaml.Node, wanted: str) -> list[yaml.ScalarNode]:
    if not isinstance(node, yaml.SequenceNode) or not all(isinstance(one, yaml.ScalarNode) for one in node.value):
        raise readers.Unfit("is no list", wanted, "write it as a list")
    return list(node.value)


def _variables(node: yaml.Node) -> dict[str, str]:
    wanted = "a table of variables, such as {OMP_NUM_THREADS: 4}"
    if not isinstance(node, yaml.MappingNode):
        raise readers.Unfit("is no table", wanted, "write a line NAME: value for each variable")
    found: dict[str, str] = {}
    for name, value in node.value:
        if not isinstance(value, yaml.ScalarNode) or _VARIABLE.fullmatch(str(name.value)) is None:
            raise _Unfit("has the variable", str(name.value), wanted, "correct its name, or write one value")
        _refuse_reserved(name.value)
        if name.value in found or "\0" in value.value:
            raise _Unfit("has no text, or two, for", name.value, wanted, "delete one, or correct it")
        found[name.value] = value.value
    return found


def _is_reserved(name: str) -> bool:
    return _RESERVED.fullmatch(name) is not None or servers.is_hubs(name)


def _refuse_reserved(name: str) -> None:
    if _is_reserved(name):
        raise _Unfit("sets", name, "variables that no start script or server reads", "take it out")


def _secrets(node: yaml.Node) -> tuple[str, ...]:
    found = [one.value for one in _items(node, "a list of names, such as [OPENAI_API_KEY]")]
    wanted = "names in capital letters, digits and _; the values stand in .env.local"
    for number, name in enumerate(found, start=1):
        # It may be the value itself, so it is not shown.
        if _SECRET.fullmatch(name) is None:
            raise readers.Unfit(f"has no name as entry {number}", wanted, "write the variable's name there")
        _refuse_reserved(name)
    if not found:
        raise readers.Unfit("names nothing", wanted, "name one, or delete the line")
    return tuple(dict.fromkeys(found))


def _networks(node: yaml.Node) -> tuple[str, ...]:
    wanted = "a list of networks, addresses and host names, such as [10.1.2.0/24, db.example.org:5432]"
    found = []
    for number, one in enumerate(_items(node, wanted), start=1):
        try:
            found.append(readers.network_or_name(one.value, number))
        except readers.Unfit as unfit:
            raise _UnfitEntry(unfit, one) from None
    if not found:
        raise readers.Unfit("names nothing", wanted, "name one, or delete the line")
    return tuple(sorted({*found}))


# What gets a list or a table as it stands there.
_OF_NODES = (names_of_users, names_of_groups, _groups_of_the_login, words, _variables, _secrets, _networks)


@dataclass(frozen=True)
class Kind:
    """A kind of servers. A field that is UNSET takes its setting's value. `lines`: field -> its line, of those that stand in the
    file."""

    name: str
    line: int = field(compare=False)
    title: str = declared("what users read of it", _text(_LONGEST_TITLE), example="Large")
    description: str = declared(
        "what it is for", _text(_LONGEST_DESCRIPTION), example="16 GB, for the thesis", default=""
    )
    users: tuple[str, ...] | None = declared(
        "who may have it; everybody if neither this nor groups are there",
        names_of_users,
        example="[ada, bob]",
        default=None,
    )
    groups: tuple[str, ...] | None = declared(
        "groups of `userlist` whose members may have it too", names_of_groups, example="[physics]", default=None
    )
    provider_groups: tuple[str, ...] | None = declared(
        "groups that GitHub or an OpenID Connect provider names, whose members may have it too",
        _groups_of_the_login,
        example="[students]",
        default=None,
    )
    image: str | _Unset = declared(
        "image of its servers: one of ours, or one of others",
        readers.notebook_image,
        instead_of="DOCKER_NOTEBOOK_IMAGE",
        example="minimal-notebook",
    )
    command: tuple[str, ...] | _Unset = declared(
        "command that starts a server", readers.command, instead_of="DOCKER_SPAWN_CMD", example="jupyterhub-singleuser"
    )
    memory: int | _Unset = declared("memory of one server", readers.size, instead_of="USER_MEMORY_LIMIT", example="16G")
    guarantee: int | _Unset | None = declared(
        "memory that a server is sure to get",
        readers.guarantee_or_none,
        instead_of="USER_MEMORY_GUARANTEE",
        example="2G",
    )
    cpus: float | _Unset = declared("CPUs of one server", readers.cpus, instead_of="USER_CPU_LIMIT", example="4")
    idle_timeout: int | _Unset | None = declared(
        "a server in which nothing ran for so long is stopped",
        readers.length_or_none,
        instead_of="IDLE_TIMEOUT",
        example="2h",
    )
    max_age: int | _Unset | None = declared(
        "a server of this age is stopped", readers.length_or_none, instead_of="MAX_AGE", example="7d"
    )
    gpus: int = declared(
        "cards (GPUs) that each of its servers has, of those in `GPUS`", readers.number_of_cards, example="1", default=0
    )
    environment: tuple[tuple[str, str], ...] = declared(
        "variables of its servers, on top of what all kinds have",
        _variables,
        example="{OMP_NUM_THREADS: 4}",
        default=(),
    )
    secrets: tuple[str, ...] = declared(
        "variables of its servers whose values stand in `.env.local`, on top of what all kinds have",
        _secrets,
        example="[OPENAI_API_KEY]",
        default=(),
    )
    networks: tuple[str, ...] = declared(
        "private networks, addresses and names that its servers may reach, beside `ALLOWED_NETWORKS`",
        _networks,
        example="[10.1.2.0/24, db.example.org:5432]",
        default=(),
    )
    lines: Mapping[str, int] = field(default_factory=dict, compare=False, repr=False)

    def where(self, attribute: str = "") -> str:
        """Where it stands, or one of its fields if that is in the file."""
        return f"{FILE}:{self.lines.get(attribute, self.line)}"

    @property
    def is_for_everybody(self) -> bool:
        return self.users is None and self.groups is None and self.provider_groups is None

    def takers(self, users: Iterable[User]) -> tuple[str, ...] | None:
        """The names of who may have it, whom `groups` names by their members among `users`; None for everybody. Members of a
        login's groups come on top."""
        if self.is_for_everybody:
            return None
        members = [user.name for user in users if set(user.groups) & set(self.groups or ())]
        return tuple(dict.fromkeys((*(self.users or ()), *sorted(members))))

    def taking(self, attribute: str, setting: Any) -> Any:
        """Its value, or the setting's where it says nothing."""
        own = getattr(self, attribute)
        return setting if own is UNSET else own


# What all servers are where nobody wrote kinds.
ONLY = Kind("default", 0, "")


def declarations(entry: type[Any] = Kind) -> dict[str, Mapping[str, Any]]:
    """What may stand in an entry, such as a kind: key -> what it means, how it is read, what it stands for."""
    return {one.name: one.metadata for one in fields(entry) if one.metadata}


def secret_names(text: str, settings: Collection[str] = ()) -> dict[str, int] | None:
    """What a file's text lists as secrets -> its line, also where the list itself is wrong; no key of `settings`, and nothing
    that start scripts or servers read. None where the text cannot be read."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError):
        return None
    tables = [root, *(table for key, node in _pairs(root) if key.value == "kinds" for _, table in _pairs(node))]
    lists = [node for table in tables for key, node in _pairs(table) if key.value == "secrets"]
    named = [one for node in lists for one in _scalars(node) if _may_be_secret(one.value, settings)]
    return {one.value: _line(one) for one in reversed(named)}


def _may_be_secret(name: str, settings: Collection[str]) -> bool:
    return _SECRET.fullmatch(name) is not None and not _is_reserved(name) and name not in settings


def _line(node: yaml.Node) -> int:
    """The line on which it begins, counted from 1."""
    return int(node.start_mark.line) + 1


def _pairs(node: yaml.Node | None) -> list[tuple[yaml.ScalarNode, yaml.Node]]:
    pairs = node.value if isinstance(node, yaml.MappingNode) else ()
    return [(key, value) for key, value in pairs if isinstance(key, yaml.ScalarNode)]


def _scalars(node: yaml.Node) -> list[yaml.ScalarNode]:
    """Of a list its entries, of a table its keys."""
    if isinstance(node, yaml.ScalarNode):
        return [node]
    return [key for key, _ in _pairs(node)] or [one for one in node.value if isinstance(one, yaml.ScalarNode)]


def parse(
    text: str,
    *,
    show: Callable[[str], str] = repr,
    secrets: Mapping[str, str] | None = None,
    settings: Collection[str] = (),
) -> tuple[tuple[Kind, ...], list[Problem]]:
    """The kinds of a file's text in its order, and what is wrong with it.

    `show` is a text of the file as a message may show it, `secrets` are value -> name of all that the file must not hold, and
    `settings` the keys that are settings.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        return (), [
            Problem(f"{FILE}:{line}", "", f"is no YAML: {show(error.problem or '')}", "YAML", "correct that line")
        ]
    except yaml.YAMLError:
        return (), [Problem(FILE, "", "holds characters that YAML has not", "a text in YAML", "take them out")]
    except RecursionError:
        return (), [Problem(FILE, "", "holds lists in lists without end", "a table of kinds", "see docs/servers.md")]
    reading = Reading(show, secrets or {}, settings)
    found = reading.file(root)
    return found, reading.problems


class Reading:
    """One pass over a file; it goes on after a problem, so that all are found at once."""

    def __init__(self, show: Callable[[str], str], secrets: Mapping[str, str], settings: Collection[str]) -> None:
        self.problems: list[Problem] = []
        self._show, self._held, self._settings = show, secrets, settings
        # The beginning of MAC addresses -> the kind that has it first, and its networks.
        self._addresses: dict[str, tuple[str, tuple[str, ...]]] = {}

    def file(self, root: yaml.Node | None) -> tuple[Kind, ...]:
        wanted = "kinds: and below it a kind of servers with a title"
        if not isinstance(root, yaml.MappingNode):
            self._problem(root, "", "holds no table", wanted, "see docs/servers.md, or delete the file")
            return ()
        self._refuse_held(root, "", set())
        holds = bool(self.problems)
        parts = self._table(root, "", ("kinds", "environment", "secrets", "shared"))
        if parts.keys() == {"shared"}:
            return ()
        shared = self._value(parts["environment"], "environment", _variables, {}) if "environment" in parts else {}
        secrets = self._value(parts["secrets"], "secrets", _secrets, ()) if "secrets" in parts else ()
        self._refuse_both(parts.get("secrets", root), "secrets", {*shared} & {*secrets})
        node = parts.get("kinds")
        if not isinstance(node, yaml.MappingNode) or not node.value:
            self._problem(node or root, "kinds", "names no kind of servers", wanted, "add one, or delete the file")
            return ()
        found = [self._kind(key, body, shared, secrets) for key, body in self._entries(node, "kinds")]
        kinds = tuple(one for one in found if one is not None)
        if len(found) > _MOST:
            self._problem(node, "kinds", f"names {len(found)} kinds", f"at most {_MOST}", "take some out")
        if kinds and len(kinds) == len(found) and not any(one.is_for_everybody for one in kinds):
            wanted, fix = (
                "one kind without users and groups, for everybody",
                "delete the lines users and groups of one kind",
            )
            self._problem(node, "kinds", "leaves some users without any kind", wanted, fix)
        return () if holds else kinds

    def _kind(
        self, key: yaml.ScalarNode, node: yaml.Node, shared: Mapping[str, str], secrets: Collection[str]
    ) -> Kind | None:
        name = str(key.value)
        at, before = f"kinds.{self._shown(name)}", len(self.problems)
        if _NAME.fullmatch(name) is None:
            self._problem(key, at, "is not a kind's name", "a to z, digits and -, at most 32", "write such a name")
        if not isinstance(node, yaml.MappingNode):
            self._problem(key, at, "holds no table", "title: and what else the kind has", "add a title below it")
            return None
        known = declarations()
        parts = self._table(node, f"{at}.", tuple(known))
        values = self._values(parts, at, known)
        if "title" not in parts:
            self._problem(key, at, "has no title", "what users read of it", "add a line such as title: Large")
        environment = {**shared, **(values.pop("environment", None) or {})}
        names = {*secrets, *(values.pop("secrets", None) or ())}
        own = parts.get("secrets") or parts.get("environment") or key
        self._refuse_both(own, at, {*environment} & names - ({*shared} & {*secrets}))
        if len(self.problems) > before:
            return None
        if "networks" in parts:
            self._refuse_same_addresses(parts["networks"], name, values["networks"])
        return Kind(
            name,
            _line(key),
            **values,
            environment=tuple(sorted(environment.items())),
            secrets=tuple(sorted(names)),
            lines={attribute: _line(one) for attribute, one in parts.items()},
        )

    def _refuse_same_addresses(self, node: yaml.Node, kind: str, networks: tuple[str, ...]) -> None:
        """One in 65,536 pairs of lists: the guard could not tell these servers apart."""
        first, theirs = self._addresses.setdefault(mac_addresses.of_networks(networks), (kind, networks))
        if theirs != networks:
            found = f"gives its servers the same MAC addresses as the networks of {first}"
            fix = "add to it what it opens already, such as one address in it"
            self._problem(node, f"kinds.{kind}.networks", found, "networks that can be told apart", fix)

    def _refuse_both(self, node: yaml.Node, at: str, names: Collection[str]) -> None:
        for name in sorted(names):
            fix = f"take {name} out of one of the two"
            self._problem(node, at, f"has {name} in secrets and in environment", "a variable once", fix)

    def _refuse_held(self, node: yaml.Node, at: str, seen: set[int]) -> None:
        """Names each text that holds the value of a secret. `seen` are the nodes that were looked at: one may lie in itself."""
        if id(node) in seen:
            return
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                self._refuse_held(key, at, seen)
                below = self._shown(key.value) if isinstance(key, yaml.ScalarNode) else ""
                self._refuse_held(value, ".".join(filter(None, (at, below))), seen)
        elif isinstance(node, yaml.SequenceNode):
            for one in node.value:
                self._refuse_held(one, at, seen)
        for name in dict.fromkeys(self._held_in(node.value) if isinstance(node, yaml.ScalarNode) else ()):
            fix = f"take it out, and list {name} in secrets if servers need it"
            self._problem(node, at, f"holds the value of {name}", "no secret: the file is committed", fix)

    def _held_in(self, text: str) -> Iterator[str]:
        long_enough = (one for one in self._held if len(one) >= readers.SHORTEST_SECRET)
        return (self._held[one] for one in long_enough if one in text)

    def _shown(self, key: str) -> str:
        """A key as a message may show it."""
        can_be_shown = key.isprintable() and self._show(key) == repr(key)
        return key[:_LONGEST_TITLE] if can_be_shown else "***"

    def folders(self, text: str, made: Callable[..., _Folder], known: Mapping[str, Mapping[str, Any]]) -> list[_Folder]:
        """The entries of the part `shared`, those with a problem left out. What is wrong with the rest of the file is found by
        `parse`. `made` takes name, line and fields; `known` declares these."""
        with suppress(yaml.YAMLError, RecursionError):
            root = yaml.compose(text, Loader=yaml.SafeLoader)
            parts = root.value if isinstance(root, yaml.MappingNode) else []
            node = next((value for key, value in parts if key.value == "shared"), None)
            if isinstance(node, yaml.MappingNode) and node.value:
                found = [self._folder(key, body, made, known) for key, body in self._entries(node, "shared")]
                return [one for one in found if one is not None]
            if node is not None:
                wanted, fix = "a folder's name, and what it has", "see docs/servers.md, or delete the line"
                self._problem(node, "shared", "names no folder", wanted, fix)
        return []

    def _folder(
        self,
        key: yaml.ScalarNode,
        node: yaml.Node,
        made: Callable[..., _Folder],
        known: Mapping[str, Mapping[str, Any]],
    ) -> _Folder | None:
        at, before = f"shared.{self._shown(str(key.value))}", len(self.problems)
        if re.fullmatch(names.GROUP, key.value) is None:
            self._problem(key, at, "is not a folder's name", names.OF_GROUPS, "write such a name")
        # `physics:` alone is a folder that has nothing of its own.
        is_empty = isinstance(node, yaml.ScalarNode) and node.value in ("", "null", "~") and not node.style
        if not is_empty and not isinstance(node, yaml.MappingNode):
            self._problem(key, at, "holds no table", ", ".join(known), "write what it has below it, or nothing")
            return None
        parts = self._table(node, f"{at}.", tuple(known)) if isinstance(node, yaml.MappingNode) else {}
        values = self._values(parts, at, known)
        return made(key.value, _line(key), **values) if len(self.problems) == before else None

    def _values(
        self, parts: Mapping[str, yaml.Node], at: str, known: Mapping[str, Mapping[str, Any]]
    ) -> dict[str, Any]:
        return {key: self._value(part, f"{at}.{key}", known[key]["read"], None) for key, part in parts.items()}

    def _table(self, node: yaml.MappingNode, at: str, known: tuple[str, ...]) -> dict[str, yaml.Node]:
        found: dict[str, yaml.Node] = {}
        for key, value in self._entries(node, at.removesuffix(".")):
            if key.value in known:
                found[key.value] = value
                continue
            close = get_close_matches(key.value, known, n=1)
            fix = f"did you mean {close[0]}?" if close else "take it out"
            self._problem(key, f"{at}{self._shown(key.value)}", "is not known here", ", ".join(known), fix)
        return found

    def _entries(self, node: yaml.MappingNode, at: str) -> Iterator[tuple[yaml.ScalarNode, yaml.Node]]:
        seen: set[str] = set()
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode) or not key.value.isprintable():
                self._problem(key, at, "has a key that is no word", "a word, then a colon", "correct it")
            elif key.value in seen:
                twice = f"{at}.{self._shown(key.value)}".lstrip(".")
                self._problem(key, twice, "stands there twice", "each key once", "delete one")
            else:
                seen.add(key.value)
                yield key, value

    def _value(self, node: yaml.Node, key: str, read: Callable[[Any], Any], default: Any) -> Any:
        wants_node = read in _OF_NODES
        try:
            if not wants_node and not isinstance(node, yaml.ScalarNode):
                raise readers.Unfit("is no single value", "one value", "write one value behind the colon")
            value = read(node if wants_node else node.value)
            settings = [name for name in value if name in self._settings] if read is _secrets else ()
            if settings:
                raise readers.Unfit(f"names {settings[0]}, which is a setting", "variables of servers", "take it out")
            return value
        except readers.Unfit as unfit:
            found = f"{unfit.found} {self._show(unfit.text)[:200]}" if isinstance(unfit, _Unfit) else unfit.found
            place = unfit.node if isinstance(unfit, _UnfitEntry) else node
            self._problem(place, key, found, unfit.wanted, unfit.fix)
            return default

    def _problem(self, node: yaml.Node | None, key: str, found: str, wanted: str, fix: str) -> None:
        where = f"{FILE}:{_line(node)}" if node is not None else FILE
        self.problems.append(Problem(where, key, found, wanted, fix))


def strangers(kinds: Iterable[Kind], users: Iterable[User]) -> list[Problem]:
    """Groups that kinds name and nobody is in."""
    known = {group for user in users for group in user.groups}
    return [
        Problem(
            one.where("groups"),
            f"kinds.{one.name}.groups",
            f"names {group}, a group that nobody is in",
            f"{', '.join(sorted(known)) or 'no group'}, as userlist has it",
            f"correct it, or write @{group} behind a user's name in userlist",
        )
        for one in kinds
        for group in one.groups or ()
        if group not in known
    ]


def contradictions(kinds: tuple[Kind, ...], settings: Any) -> list[Problem]:
    """Groups of a login that names none. `settings` are what `.env` says."""
    found: list[Problem] = []
    for one in kinds:
        if one.provider_groups and not settings.login.groups:
            named = f"names groups of a login, and AUTHENTICATOR is {settings.authenticator}"
            wanted, fix = "github or oidc", "use groups of userlist instead: groups: [NAME]"
            at = f"kinds.{one.name}.provider_groups"
            found.append(Problem(one.where("provider_groups"), at, named, wanted, fix))
    return found
