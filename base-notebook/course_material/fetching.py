"""Brings a repository into its folder, or joins what is new there with what its user changed, by nbgitpuller's own rules:
`python fetching.py` with a Job as JSON on standard input.

Lines of its output are the log. It ends with 0, or with one of the codes below. It is a process of its own, so that git gets an
environment of its own. Git follows no redirect, speaks no protocol but the address's, and runs nothing that a home or a
repository configures. A new folder is there as a whole or not at all; nothing of its user's is removed or written over.
"""

import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import chain, count
from pathlib import Path
from typing import Any

NO_BRANCH, UNREACHABLE, CONFLICT, BUSY = 3, 4, 5, 6
# A folder in the making lies beside its place, under such a name.
_IN_THE_MAKING = ".nbgitpuller-in-the-making-"
# What a network may ask for. Of the rest of the server's environment git sees nothing.
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
_OF_THE_NETWORK = frozenset(("SSL_CERT_FILE", "SSL_CERT_DIR", *_PROXIES, *(one.upper() for one in _PROXIES)))
_CONFIGURATION = {
    # A repository that has moved may have moved to anybody.
    "http.followRedirects": "false",
    # Bytes a second, and seconds: a connection that is slower for so long is none.
    "http.lowSpeedLimit": "100",
    "http.lowSpeedTime": "60",
    "credential.helper": "",
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "commit.gpgSign": "false",
    "fetch.recurseSubmodules": "false",
    "submodule.recurse": "false",
    # Git LFS, where a user has installed it: what it is asked to fetch may lie with anybody.
    "filter.lfs.process": "",
    "filter.lfs.smudge": "",
    "filter.lfs.clean": "",
    "filter.lfs.required": "false",
    # nbgitpuller reads lists of names: one name a line, as it is, and each new name as new.
    "core.quotePath": "false",
    "diff.renames": "false",
    "merge.renames": "true",
}


@dataclass(frozen=True)
class Job:
    """`address` is the repository's, `folder` an absolute path. `is_new`: nothing is there yet, or an empty folder. Without
    `branch` it is the repository's own default."""

    address: str
    branch: str | None
    folder: str
    is_new: bool

    def to_json(self) -> bytes:
        return json.dumps(asdict(self)).encode()


def environment(environ: Mapping[str, str], scheme: str) -> dict[str, str]:
    """What git gets: the network's variables of `environ`, one protocol, and our configuration before any other."""
    configuration: dict[str, str] = {}
    for number, (key, value) in enumerate(_CONFIGURATION.items()):
        configuration |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return {
        **{name: value for name, value in environ.items() if name in _OF_THE_NETWORK},
        **configuration,
        "PATH": "/usr/bin:/bin",
        # No login of the user's: nothing is fetched that not everybody may read.
        "HOME": "/nonexistent",
        "LANG": "C",
        "GIT_CONFIG_COUNT": str(len(_CONFIGURATION)),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_ALLOW_PROTOCOL": scheme,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_MERGE_AUTOEDIT": "no",
    }


def puller(job: Job, address: str, folder: Path) -> Any:
    """nbgitpuller's own, with more care for what lies where a new file shall be. It asks the repository for its branch."""
    from nbgitpuller.pull import GitPuller

    class Puller(GitPuller):  # type: ignore[misc]  # its package is in the image only
        def update(self) -> Iterator[str]:
            if _has(folder, f"refs/tags/{job.branch}") and not _has(folder, f"refs/remotes/origin/{job.branch}"):
                yield f"{job.branch} is a tag: there is nothing new\n"
                return
            yield from super().update()

        def rename_local_untracked(self) -> Iterator[str]:
            """nbgitpuller's own follows links, and sees neither a folder in a file's place nor a file in a folder's."""
            yield from make_room(folder, f"origin/{self.branch_name}")

    return Puller(address, str(folder), branch=job.branch)


def make_room(folder: Path, coming: str) -> Iterator[str]:
    """Renames what its user put where the repository has something else, or will have; `coming` is the revision that comes."""
    ours, theirs = _files(folder, "HEAD"), _files(folder, coming)
    our_folders, their_folders = _folders(ours), _folders(theirs)
    # A folder comes before what is in it, so a link that is renamed leads nowhere any more.
    for path in sorted(ours | theirs | our_folders | their_folders):
        here = folder / path
        if not os.path.lexists(here) or _is_behind_a_link(folder, path):
            continue
        if path in ours or path in our_folders:
            is_in_the_way = path in (ours & theirs if _is_folder(here) else our_folders)
        else:
            is_in_the_way = path in theirs or not _is_folder(here)
        if is_in_the_way:
            aside = _free_name(here)
            here.rename(aside)
            yield f"Renamed {path} to {aside.name}: the new material has a file or folder of this name\n"


def _free_name(path: Path) -> Path:
    """As nbgitpuller names it: the time before the ending."""
    at = datetime.now().strftime("%Y%m%d%H%M%S")
    endings = chain([at], (f"{at}_{number}" for number in count(2)))
    names = (path.with_name(f"{path.stem}__{ending}{path.suffix}") for ending in endings)
    return next(one for one in names if not os.path.lexists(one))


def _files(folder: Path, revision: str) -> set[str]:
    """Files and links of a revision; what other repositories have in it is none of them."""
    listed = ["git", "ls-tree", "-r", "-z", "--full-tree", revision]
    found = subprocess.run(listed, cwd=folder, capture_output=True, check=True).stdout
    lines = [os.fsdecode(one).split("\t", 1) for one in found.split(b"\0") if one]
    return {path for what, path in lines if what.split()[1] == "blob"}


def _folders(files: set[str]) -> set[str]:
    return {str(above) for file in files for above in Path(file).parents if above != Path()}


def _has(folder: Path, reference: str) -> bool:
    asked = ["git", "show-ref", "--verify", "--quiet", reference]
    return subprocess.run(asked, cwd=folder, check=False).returncode == 0


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _is_behind_a_link(folder: Path, path: str) -> bool:
    return any((folder / above).is_symlink() for above in Path(path).parents if above != Path())


def fetch(job: Job) -> Iterator[str]:
    """Does the job; gives the lines of its log."""
    folder = Path(job.folder)
    if not job.is_new:
        yield from _as_it_answers(job, folder).pull()
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    for left in folder.parent.glob(f"{_IN_THE_MAKING}*"):
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=_IN_THE_MAKING, ignore_cleanup_errors=True) as beside:
        made = Path(beside) / folder.name
        yield from _as_it_answers(job, made).pull()
        # An empty folder gives its place away; any other one keeps it.
        made.rename(folder)


def _as_it_answers(job: Job, folder: Path) -> Any:
    """A puller for the address, or for the same one with `.git`: GitLab leads from the first to the second."""
    from nbgitpuller.errors import BranchExistError

    addresses = [job.address, *([] if job.address.endswith(".git") else [f"{job.address}.git"])]
    failures: list[Exception] = []
    for address in addresses:
        try:
            return puller(job, address, folder)
        except BranchExistError:
            raise
        except Exception as failure:
            failures.append(failure)
    # What the address itself answers is what its user can make sense of.
    raise failures[0]


def main() -> int:
    """Exit code."""
    from nbgitpuller.errors import BranchExistError, GitPullerError

    logging.disable()
    job = Job(**json.load(sys.stdin))
    try:
        for line in fetch(job):
            print(line, end="" if line.endswith("\n") else "\n", flush=True)
    except BranchExistError:
        return NO_BRANCH
    except subprocess.CalledProcessError as error:
        _say(error)
        if "merge" in error.cmd:
            subprocess.run(["git", "merge", "--abort"], cwd=job.folder, check=False)
            return CONFLICT
        return UNREACHABLE if {"ls-remote", "clone", "fetch"} & set(error.cmd) else 1
    except GitPullerError as error:
        # Without a cause the repository answered, and has no branch at all.
        _say(error.__context__)
        return UNREACHABLE if error.__context__ else NO_BRANCH
    except Exception as error:
        print(error, flush=True)
        return BUSY if ".git/index.lock" in str(error) else 1
    return 0


def _say(error: BaseException | None) -> None:
    """What git printed, where nbgitpuller kept it to itself."""
    print(getattr(error, "stderr", None) or "", end="", flush=True)


if __name__ == "__main__":
    sys.exit(main())
