"""What a link of nbgitpuller may say: repository, branch, folder, file to open. Pure.

Whoever wrote the link is a stranger. What is not spelled plainly is refused: no escaped character, no login in an address,
no word that git could take for an option, no path that leads out of its folder.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

# The folder of the notebook directory that holds all course material.
COURSES = "courses"
_DEFAULT_PORTS = {"https": 443, "http": 80}
_SEGMENT = r"[A-Za-z0-9_~][A-Za-z0-9._~-]*"
_ADDRESS = re.compile(rf"(https?)://([A-Za-z0-9.-]+)(?::([0-9]{{1,5}}))?((?:/{_SEGMENT})+)/?", re.ASCII)
_BRANCH = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._/+-]{0,198}[A-Za-z0-9_+-])?", re.ASCII)
_LONGEST_ADDRESS, _DEEPEST = 500, 5
# Bytes; file systems have 255 for a name, of which the time takes some where a file is renamed.
_LONGEST_SEGMENT, _LONGEST_PATH = 200, 2000
# Behind these JupyterLab and the classic notebook have a file's path.
_BEFORE_PATH = re.compile(r"(?:lab(?:/workspaces/[^/]+)?/tree|doc/tree|tree|notebooks|edit)/")
# Beside letters and digits, in a folder's name.
_IN_A_NAME = frozenset(" ._+-()")
EVERY = "*"


class Refused(ValueError):
    """The link cannot be followed; the text says why, for its user."""


@dataclass(frozen=True)
class Repository:
    """`host` is in lower case, with its port where that is not the scheme's own; `path` has at least one segment. As an entry
    of COURSE_REPOSITORIES the last one may be `*`: any one segment."""

    scheme: str
    host: str
    path: tuple[str, ...]

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}/{'/'.join(self.path)}"

    @property
    def name(self) -> str:
        """What its folder is called where the link names none."""
        return _without_git(self.path[-1])

    def is_same(self, other: "Repository") -> bool:
        """With `.git` at its end or without, it is one repository."""
        return self._plain == other._plain

    def fits(self, entry: "Repository") -> bool:
        scheme, host, path = self._plain
        return (scheme, host) == (entry.scheme, entry.host) and (
            path == entry._plain[2] or (entry.path[-1] == EVERY and path[:-1] == entry.path[:-1])
        )

    @property
    def _plain(self) -> tuple[str, str, tuple[str, ...]]:
        return self.scheme, self.host, (*self.path[:-1], self.name)


@dataclass(frozen=True)
class Link:
    """`folder` is below COURSES; `file` is in it, and empty where the link names none. Without `branch` it is the repository's
    own default."""

    repository: Repository
    branch: str | None
    folder: tuple[str, ...]
    file: tuple[str, ...]


def repository(address: str) -> Repository:
    found = _ADDRESS.fullmatch(address) if len(address) <= _LONGEST_ADDRESS else None
    if found is None:
        raise Refused(
            "The link's address of a repository is none that can be followed. It must begin with https:// and have no name,"
            " password, or special character in it."
        )
    scheme, host, port = found[1], found[2].lower(), int(found[3] or 0)
    path = tuple(found[4].strip("/").split("/"))
    if not _without_git(path[-1]):
        raise Refused("The link's address of a repository has no name at its end.")
    return Repository(scheme, host if port in (0, _DEFAULT_PORTS[scheme]) else f"{host}:{port}", path)


def entries(text: str) -> tuple[Repository, ...]:
    """COURSE_REPOSITORIES as the server gets it: entries with spaces between. One that cannot be read fits nothing."""
    found = []
    for entry in text.split():
        plain, is_open = entry.removesuffix("/*"), entry.endswith("/*")
        # An entry may be a host with `/*` behind it; an address has one segment at least.
        whole = repository(f"{plain}/x" if is_open else plain)
        found.append(Repository(whole.scheme, whole.host, (*whole.path[:-1], EVERY)) if is_open else whole)
    return tuple(found)


def fitting(address: str, allowed: Iterable[Repository]) -> Repository:
    """The repository of this address. Raises Refused if it fits none of the entries."""
    found = repository(address)
    if not any(found.fits(entry) for entry in allowed):
        raise Refused(f"{found.url} is none of the repositories that this hub fetches course material from.")
    return found


def branch(text: str) -> str | None:
    if not text:
        return None
    if _BRANCH.fullmatch(text) is None or ".." in text or "//" in text or "/." in text or text.endswith(".lock"):
        raise Refused("The link's branch has a name that cannot be used.")
    return text


def folder(text: str, repository: Repository) -> tuple[str, ...]:
    """Segments below COURSES, of the link's target, or else of the repository's name. A target that names COURSES first means
    the same folder."""
    segments = text.rstrip("/").split("/") if text else [repository.name]
    if segments[0] == COURSES and len(segments) > 1:
        segments = segments[1:]
    if len(segments) > _DEEPEST or not all(is_plain(one) for one in segments):
        raise Refused(
            f"The link's folder has a name that cannot be used. Course material goes below {COURSES}, into folders of letters,"
            " digits, spaces and . _ + - ( )."
        )
    return tuple(segments)


def is_plain(segment: str) -> bool:
    """A name that means the same to everybody: no dot in front, no space at an end, no letter that looks composed."""
    return (
        0 < len(segment.encode()) <= _LONGEST_SEGMENT
        and (segment[0].isalnum() or segment[0] == "_")
        and segment[-1] != " "
        and unicodedata.is_normalized("NFKC", segment)
        and all(one.isalnum() or one in _IN_A_NAME for one in segment)
    )


def file_in(page: str, beside: str, folder: tuple[str, ...], repository: Repository) -> tuple[str, ...]:
    """What the link opens, below its folder: `page` is its urlpath, `beside` its subPath. Empty where it opens none in there:
    a link leads nowhere else."""
    if not page:
        return _safe(beside)
    path = page.partition("?")[0].partition("#")[0].strip("/")
    found = _BEFORE_PATH.match(path)
    segments = _safe(path[found.end() :]) if found else ()
    if segments[:1] == (COURSES,):
        segments = segments[1:]
    for start in (folder, (repository.name,), (repository.path[-1],)):
        if segments[: len(start)] == start:
            return segments[len(start) :]
    return ()


def _safe(path: str) -> tuple[str, ...]:
    segments = tuple(one for one in path.split("/") if one not in ("", "."))
    is_safe = all(
        not one.startswith(".") and "\\" not in one and one.isprintable() and len(one.encode()) <= _LONGEST_SEGMENT
        for one in segments
    )
    return segments if is_safe and len(path) <= _LONGEST_PATH else ()


def _without_git(segment: str) -> str:
    return segment.removesuffix(".git")
