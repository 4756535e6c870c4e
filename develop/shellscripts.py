"""Finds the checkout's shell scripts: files whose first line names a shell. Reads them only, and changes nothing."""

from __future__ import annotations

import re
from pathlib import Path

from develop import checkout
from hubdeploy.errors import DeployError

_SHEBANG = re.compile(rb"#! ?/(?:usr/)?bin/(?:env )?(?:sh|bash|dash)\b")
# Made here and ignored by git. Where git cannot be asked, say in a copy of the checkout, nothing else is.
_IGNORED = frozenset((".git", ".venv"))


def find(root: Path) -> list[str]:
    """Their names, from the checkout's root, sorted: what git tracks or would track."""
    try:
        names = checkout.files(root)
    except DeployError:
        inside = (path.relative_to(root) for path in root.rglob("*"))
        names = sorted(str(path) for path in inside if not _IGNORED.intersection(path.parts))
    return [name for name in names if _is_script(root / name)]


def _is_script(path: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return _SHEBANG.match(file.readline(80)) is not None
