"""Where course material lies, and whether it may go there. It looks, and changes nothing.

No link is followed, and no folder of another repository or of the user's own is touched. Each look is made again before
anything is fetched.
"""

import os
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

from course_material.links import COURSES, Link, Refused, repository

_GIT_WITHIN = 10


@dataclass(frozen=True)
class Place:
    """`path` is the link's folder. `is_new`: nothing is there yet, or an empty folder."""

    path: Path
    is_new: bool


def place(notebooks: Path, link: Link) -> Place:
    """Where the link's folder is. Raises Refused where course material must not go."""
    path, shown = notebooks, ""
    for number, segment in enumerate((COURSES, *link.folder)):
        # A folder of some other material would get this one into it.
        if number > 1 and os.path.lexists(path / ".git"):
            raise Refused(f"The link's folder is inside of {shown}, which holds other material.")
        path, shown = path / segment, f"{shown}/{segment}".lstrip("/")
        kind = _kind(path)
        if kind is None:
            return Place(notebooks.joinpath(COURSES, *link.folder), is_new=True)
        if kind != stat.S_IFDIR:
            what = "is a link" if kind == stat.S_IFLNK else "is no folder"
            raise Refused(f"{shown} {what}. Rename it in JupyterLab, then open the address again.")
    if not any(path.iterdir()):
        return Place(path, is_new=True)
    _check_is_of(path, shown, link)
    return Place(path, is_new=False)


def _kind(path: Path) -> int | None:
    """What is there, as stat has it, without following a link; None if nothing is."""
    try:
        return stat.S_IFMT(path.lstat().st_mode)
    except FileNotFoundError:
        return None


def _check_is_of(path: Path, shown: str, link: Link) -> None:
    """Raises Refused unless the folder holds the link's repository, and its branch where it holds one alone."""
    rename = "Rename that folder in JupyterLab, then open the address again."
    if _kind(path / ".git") != stat.S_IFDIR:
        raise Refused(f"{shown} is there already and did not come from this repository. {rename}")
    held = _config(path, "remote.origin.url")
    try:
        is_same = len(held) == 1 and repository(held[0]).is_same(link.repository)
    except Refused:
        is_same = False
    if not is_same:
        raise Refused(f"{shown} is there already and holds another repository. {rename}")
    branches = _config(path, "remote.origin.fetch")
    if link.branch and not any(_brings(one, link.branch) for one in branches):
        raise Refused(f"{shown} is there already and holds another branch than {link.branch}. {rename}")


def _brings(refspec: str, branch: str) -> bool:
    return refspec.split(":")[0].endswith(("refs/heads/*", f"refs/heads/{branch}", f"refs/tags/{branch}"))


def _config(path: Path, key: str) -> list[str]:
    """What a repository's own file says; nothing of what it includes, or of what the user set elsewhere."""
    asked = ["git", "config", "--file", str(path / ".git" / "config"), "--no-includes", "--get-all", key]
    environ = {"PATH": "/usr/bin:/bin"}
    found = subprocess.run(
        asked, env=environ, cwd="/", capture_output=True, text=True, timeout=_GIT_WITHIN, check=False
    )
    return found.stdout.splitlines()
