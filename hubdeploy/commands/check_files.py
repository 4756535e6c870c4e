"""`check-files`: everything that can be known before `up`, at once. With `--fix` it writes the fixed `.env` beside the old
one, moves secrets to `.env.local`, and shows what differs.

`.env` itself is never written: moving the fixed file over it is a person's step, so that nothing changes unread, and a
run that is killed anywhere has lost nothing.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Mapping
from pathlib import Path

from hubdeploy import files
from hubdeploy.commands import authority
from hubdeploy.commands.deployment import Deployment
from hubdeploy.errors import Caution, DeployError, EngineUnavailable, InputError, Problem, read_file, read_text
from hubdeploy.family import FAMILY
from hubdeploy.plan import checks
from hubdeploy.settings import dotenv, env_local, fix, loading
from hubdeploy.settings.declarations import LOCAL, SHARED
from hubdeploy.settings.fix import FIXED
from hubdeploy.tls import selection


def check(deployment: Deployment) -> None:
    """Raises Refused with all that stands against `up`; prints what is fine. Without an engine only the files are checked."""
    settings, display = deployment.settings, deployment.display
    signed = None
    deployment.contexts(tuple(FAMILY))
    try:
        drawn = deployment.draw()
        display.cautions(deployment.check(drawn))
        signed = authority.state(deployment.engine, settings, drawn.snapshot)
    except EngineUnavailable as error:
        unasked = Caution(f"the engine was not asked: {error.found}", error.fix)
        no_admin = checks.no_admin(
            settings.users, named_by_groups=bool(settings.admin_groups or settings.admin_organizations)
        )
        display.cautions((unasked, *no_admin))
    current = None if settings.behind else selection.current(settings, deployment.engine.read_volume)
    display.checked(settings, current)
    if signed:
        display.line(signed)


def fix_env(root: Path, environ: Mapping[str, str]) -> bool:
    """True if there was something in `.env` that a program can fix, and the fixed file is there; raises InputError then
    if something else is left to a person."""
    path = root / SHARED
    text = read_text(path, SHARED, "settings") if path.exists() else ""
    fixed = fix.propose(text, _problems(root, environ), environ, loading.listed_secrets(root))
    if not fixed.replacements:
        print(f"there is nothing in {SHARED} that a program can fix")
        return False
    _refuse_conflicts(root, fixed.secrets)
    _refuse_another(root / FIXED, fixed.text)
    secrets = {key: entry.value for key, entry in fixed.secrets.items()}
    if secrets:
        env_local.remember(root / LOCAL, secrets, f"moved here from {SHARED}, which is committed")
    files.replace(root / FIXED, fixed.text.encode(), mode=stat.S_IMODE(path.stat().st_mode))
    print("\n".join(fix.difference(text, fixed)))
    print(_next_steps(secrets, fixed.left_out))
    # What is wrong with .env.local as a whole is its mode, which remembering a secret has fixed.
    left = [problem for problem in fixed.left if not (secrets and problem.where == LOCAL)]
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
    """What somebody wrote into an earlier fixed file must not be lost."""
    if path.exists() and read_file(path, FIXED, f"no {FIXED}, or one to read") != text.encode():
        raise DeployError(
            wanted=f"no {FIXED}, or the one that would be written now",
            found=f"{FIXED} is another one",
            fix=f"move it into place (mv {FIXED} {SHARED}) or delete it, then run this again",
        )


def _next_steps(secrets: Mapping[str, str], left_out: Collection[str]) -> str:
    moved = f"\nnow in {LOCAL}: {', '.join(secrets)}. Where a commit holds them, renew them" if secrets else ""
    if left_out:
        moved += f"\nleft out, as nothing here reads them: {', '.join(left_out)}. {SHARED} alone holds them: keep what you need"
    return f"""{moved}
{FIXED} is {SHARED} with these lines changed; {SHARED} itself is as it was. Read it, then

    mv {FIXED} {SHARED}
    ./invoke plan"""
