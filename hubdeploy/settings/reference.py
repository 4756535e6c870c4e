"""The reference of all settings, made from their declarations: as a page for docs/, and one setting for the terminal."""

from __future__ import annotations

from difflib import get_close_matches

from hubdeploy.errors import DeployError
from hubdeploy.settings.declarations import Declaration, declarations

# docs/settings.md says by itself how it is made anew; a test compares the two.
COMMAND = "./invoke config --reference > docs/settings.md"


def page() -> str:
    """docs/settings.md as it must read."""
    sections = "\n".join(_section(declaration) for _, declaration in declarations().values())
    return (
        "# Settings\n\n"
        "Every setting of `.env` and `.env.local`, in the order in which they derive from one another. NAME is the value of\n"
        "`DOCKER_MACHINE_NAME`. This page is made from the declarations in `hubdeploy/settings.py`:\n"
        f"`{COMMAND}`. `./invoke config --explain KEY` shows one of them.\n\n{sections}"
    )


def explanation(key: str) -> str:
    """One setting in words; raises DeployError for a key that is none."""
    declared = declarations()
    if key not in declared:
        close = get_close_matches(key.upper(), declared, n=1)
        raise DeployError(
            wanted="a setting's key",
            found=f"{key} is not a setting",
            fix=f"did you mean {close[0]}?" if close else "./invoke config lists every setting",
        )
    declaration = declared[key][1]
    rows = [("meaning", declaration.meaning), *_facts(declaration)]
    return "\n".join([key, *(f"  {name + ':':9} {value}" for name, value in rows)])


def _section(declaration: Declaration) -> str:
    rows = "\n".join(f"- {name}: {value}" for name, value in _facts(declaration))
    meaning = declaration.meaning[0].upper() + declaration.meaning[1:]
    return f"## {declaration.key}\n\n{meaning}.\n\n{rows}\n"


def _facts(declaration: Declaration) -> list[tuple[str, str]]:
    where = [("where", ".env.local or the shell, never .env: it is a secret")] if declaration.secret else []
    return [
        ("default", declaration.derivation),
        ("example", f"{declaration.key}={declaration.example}"),
        *where,
        ("since", declaration.since),
    ]
