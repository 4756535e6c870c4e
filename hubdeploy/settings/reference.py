"""The words about settings, made from their declarations: docs/settings.md, the committed `.env`, and one setting for the
terminal. Reads no file and writes none.
"""

from __future__ import annotations

import re
import shlex
from textwrap import fill
from typing import Any

from hubdeploy.errors import DeployError
from hubdeploy.settings import readers, unknown_keys
from hubdeploy.settings.declarations import Declaration, declarations, defaults

# How each of the two files is made anew; tests compare them.
PAGE_COMMAND = "./invoke config --reference > docs/settings.md"
ENV_COMMAND = "./invoke config --template > .env"
_WIDTH = 120

_PAGE_HEAD = f"""\
# Settings

A variable of the shell wins over `.env.local`, `.env.local` over `.env`, and `.env` over the default. `.env` is
committed and holds no secret. `.env.local` is ignored by git, must have mode 0600, and holds secrets and what concerns
this machine alone. Both have the syntax of Docker Compose's `.env`; a repeated key and an unknown key are errors here. The
secrets of users' servers, which [servers.yml](servers.md#secrets) names, stand in `.env.local` as well. A value such as
`<client ID for your GitHub OAuth application>` counts as not set.

`./invoke config` prints what every setting comes to and where it comes from, with secrets masked.
`./invoke config --explain KEY` prints one part of this page. NAME is the value of `DOCKER_MACHINE_NAME`.

This page is made from `hubdeploy/settings/declarations.py`: `{PAGE_COMMAND}`.
"""

_ENV_HEAD = """\
# The settings of this deployment, in the syntax of Docker Compose's .env.
#
# A variable of the shell wins over .env.local, and .env.local over this file. Secrets belong into .env.local, never
# here. A commented line shows a setting's default, or an example if it has none: leave it so unless you want
# something else. docs/settings.md says more about each setting, and ./invoke config prints the values in use.
"""


def page() -> str:
    """docs/settings.md as it must read."""
    groups = _groups()
    contents = [
        f"- {name}: {' · '.join(f'[{key}](#{key.lower()})' for key in group)}" for name, group in groups.items()
    ]
    sections = [f"## {name}\n\n" + "\n".join(map(_section, declared.values())) for name, declared in groups.items()]
    return "\n".join([_PAGE_HEAD, "\n".join(contents), "", "\n".join(sections)])


def env() -> str:
    """The committed .env as it must read: the few settings that are written, and all others as comments."""
    found = defaults()
    lines = [_ENV_HEAD]
    for name, group in _groups().items():
        lines.append(f"## {name}\n")
        for key, declared in group.items():
            value = getattr(found, declarations()[key][0])
            lines.append(f"{_env_comment(declared, value)}\n{_env_line(declared, value)}\n")
    return "\n".join(lines)


def explanation(key: str) -> str:
    """One setting in words; raises DeployError for an unknown key."""
    declared = declarations()
    if key not in declared:
        unknown = unknown_keys.problem("", key, declared)
        raise DeployError(wanted="a setting's key", found=f"{key} {unknown.found}", fix=unknown.fix)
    declaration = declared[key][1]
    rows = [("meaning", _meaning(declaration)), *_facts(declaration)]
    return "\n".join([key, *(f"  {name + ':':9} {value}" for name, value in rows)])


def _groups() -> dict[str, dict[str, Declaration]]:
    """Group -> key -> declaration, in the order of declaration."""
    groups: dict[str, dict[str, Declaration]] = {}
    for key, (_, declaration) in declarations().items():
        name = declaration.group or next(reversed(groups))
        groups.setdefault(name, {})[key] = declaration
    return groups


def _meaning(declaration: Declaration) -> str:
    """Whole sentences."""
    first = f"{declaration.meaning[0].upper()}{declaration.meaning[1:]}."
    return f"{first} {declaration.more}".rstrip()


def _section(declaration: Declaration) -> str:
    linked = re.sub(r"docs/(\w+\.md)", r"[\1](\1)", _meaning(declaration)).replace(
        "README.md", "[README](../README.md)"
    )
    rows = "\n".join(f"- {name}: {value}" for name, value in _facts(declaration))
    return f"### {declaration.key}\n\n{fill(linked, _WIDTH, break_on_hyphens=False)}\n\n{rows}\n"


def _facts(declaration: Declaration) -> list[tuple[str, str]]:
    where = [("where", ".env.local or the shell, never .env: it is a secret")] if declaration.secret else []
    return [
        ("default", declaration.derivation),
        ("example", f"{declaration.key}={declaration.example}"),
        *where,
        ("since", declaration.since),
    ]


def _env_comment(declaration: Declaration, value: Any) -> str:
    meaning = f"{declaration.meaning[0].upper()}{declaration.meaning[1:]}."
    # The line below then shows an example, not the default.
    if value is None and not declaration.secret and declaration.derivation != "not set":
        meaning += f" Not set: {declaration.derivation}."
    return fill(meaning, _WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)


def _env_line(declaration: Declaration, value: Any) -> str:
    key = declaration.key
    if declaration.secret:
        return f"#{key} goes into .env.local"
    if declaration.written:
        return f"{key}={f'<{declaration.meaning}>' if value is None else _text(value)}"
    # A list reads back as it is explained, with commas between.
    is_list = isinstance(value, tuple) and declaration.read is not readers.command
    return f"#{key}={declaration.example if value is None else declaration.derivation if is_list else _text(value)}"


def _text(value: Any) -> str:
    """A value as its reader reads it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return shlex.join(value) if isinstance(value, tuple) else str(value)
