"""Fills empty volumes from a snapshot. A run that is cut leaves a mark in each that is half there; the next fills these anew."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from backup.names import GOING, OURS
from backup.restic import Restic

# In our folder: what lies beside it is half of a snapshot.
_MARK = "straight"


def tidy(root: Path) -> None:
    """Removes what a run left of our folder while it removed it, and what a user made under its name."""
    ours = root / OURS
    remove(root / GOING)
    if os.path.lexists(ours) and (ours.is_symlink() or ours.stat().st_uid != os.getuid()):
        remove(ours)


def may_be_filled(root: Path) -> bool:
    """Whether nothing is in the volume but what an earlier run left half."""
    inside = os.listdir(root)
    return (root / OURS / _MARK).exists() if OURS in inside else not inside


def fill(
    restic: Restic,
    snapshot: str,
    wanted: Mapping[Path, Iterable[str]],
    *,
    verify: bool = False,
    finish: Callable[[Path], None] = lambda root: None,
) -> None:
    """Each volume gets its paths of the snapshot, all of them in one run of restic; `verify` as there. `finish` is called with
    a volume's root before it counts as filled. Raises Failed."""
    for root in wanted:
        (root / OURS).mkdir(mode=0o700, exist_ok=True)
        (root / OURS / _MARK).touch()
        for name in os.listdir(root):
            if name != OURS:
                remove(root / name)
    if wanted:
        restic.restore(snapshot, [path for paths in wanted.values() for path in paths], "/", verify=verify)
    for root in wanted:
        finish(root)
        looks = root.stat()
        remove_ours(root)
        os.utime(root, ns=(looks.st_atime_ns, looks.st_mtime_ns))


def remove_ours(root: Path) -> None:
    """By a rename first: a folder that is half removed would say something else."""
    (root / OURS).rename(root / GOING)
    shutil.rmtree(root / GOING)


def remove(path: Path) -> None:
    """Whatever it is, or nothing; no symbolic link is followed."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
