"""Mends what `check-files` finds and a program may mend: secrets that stand in .env move to .env.local. Loses nothing."""

from __future__ import annotations

import os
from pathlib import Path

from hubdeploy import dotenv, localfile
from hubdeploy.errors import InputError, Problem, read_text
from hubdeploy.settings import LOCAL, SHARED, declarations


def move_secrets(root: Path) -> None:
    """Moves every secret of .env to .env.local, leaves a comment in its place, and says which keys moved."""
    path = root / SHARED
    text = read_text(path, SHARED, "settings") if path.exists() else ""
    entries, _ = dotenv.parse(text, source=SHARED, environ=os.environ)
    secret = {key for key, (_, declaration) in declarations().items() if declaration.secret}
    moving = {key: entry for key, entry in entries.items() if key in secret and not dotenv.is_unset(entry.value)}
    if not moving:
        return
    _refuse_conflicts(root, moving)
    values = {key: entry.value for key, entry in moving.items()}
    localfile.remember(root / LOCAL, values, "moved here from .env, which is committed")
    lines = text.split("\n")
    for key, entry in reversed(moving.items()):
        lines[entry.line - 1 : entry.last_line] = [f"#{key} is in {LOCAL}"]
    localfile.replace(path, "\n".join(lines).encode(), mode=0o644)
    print(f"moved from {SHARED} to {LOCAL}: {', '.join(moving)}")


def _refuse_conflicts(root: Path, moving: dict[str, dotenv.Entry]) -> None:
    path = root / LOCAL
    text = read_text(path, LOCAL, "settings") if path.exists() else ""
    there, _ = dotenv.parse(text, source=LOCAL, environ=os.environ)
    problems = [
        Problem(
            f"{SHARED}:{entry.line}",
            key,
            f"differs from the value on {LOCAL}:{there[key].line}",
            "one value",
            "delete one",
        )
        for key, entry in moving.items()
        if key in there and not dotenv.is_unset(there[key].value) and there[key].value != entry.value
    ]
    if problems:
        raise InputError(problems)
