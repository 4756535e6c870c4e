"""`check-files --fix`: writes the mended `.env` beside the old one, moves secrets to `.env.local`, shows what differs.

`.env` itself is never written: moving the mended file over it is a person's step, so that nothing changes unread, and a
run that is killed anywhere has lost nothing.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from hubdeploy import files
from hubdeploy.errors import DeployError, InputError, Problem, read_file, read_text
from hubdeploy.settings import dotenv, env_local, fix, loading
from hubdeploy.settings.declarations import LOCAL, SHARED
from hubdeploy.settings.fix import MENDED


def mend(root: Path, environ: Mapping[str, str]) -> bool:
    """True if there was something in `.env` that a program can mend, and the mended file is there; raises InputError then
    if something else is left to a person."""
    path = root / SHARED
    text = read_text(path, SHARED, "settings") if path.exists() else ""
    mended = fix.mend(text, _problems(root, environ), environ)
    if not mended.replacements:
        print(f"there is nothing in {SHARED} that a program can mend")
        return False
    _refuse_conflicts(root, mended.secrets)
    _refuse_another(root / MENDED, mended.text)
    secrets = {key: entry.value for key, entry in mended.secrets.items()}
    if secrets:
        env_local.remember(root / LOCAL, secrets, f"moved here from {SHARED}, which is committed")
    files.replace(root / MENDED, mended.text.encode(), mode=stat.S_IMODE(path.stat().st_mode))
    print("\n".join(fix.difference(text, mended)))
    print(_next_steps(secrets))
    # What is wrong with .env.local as a whole is its mode, which remembering a secret has mended.
    left = [problem for problem in mended.left if not (secrets and problem.where == LOCAL)]
    if left:
        raise InputError(left, done="left to you, as no program can tell the right value")
    return True


def _problems(root: Path, environ: Mapping[str, str]) -> tuple[Problem, ...]:
    try:
        loading.load(root, environ)
    except InputError as refused:
        return refused.problems
    return ()


def _refuse_conflicts(root: Path, moving: Mapping[str, dotenv.Entry]) -> None:
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


def _refuse_another(path: Path, text: str) -> None:
    """What somebody wrote into an earlier mended file must not be lost."""
    if path.exists() and read_file(path, MENDED, f"no {MENDED}, or one to read") != text.encode():
        raise DeployError(
            wanted=f"no {MENDED}, or the one that would be written now",
            found=f"{MENDED} is another one",
            mend=f"move it into place (mv {MENDED} {SHARED}) or delete it, then run this again",
        )


def _next_steps(secrets: Mapping[str, str]) -> str:
    moved = f"\nnow in {LOCAL}: {', '.join(secrets)}. Where a commit holds them, renew them" if secrets else ""
    return f"""{moved}
{MENDED} is {SHARED} with these lines changed; {SHARED} itself is as it was. Read it, then

    mv {MENDED} {SHARED}
    ./invoke plan"""
