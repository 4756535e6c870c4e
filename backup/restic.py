"""Runs restic, and reads what it says. Its password and its keys come from files, never from arguments.

An end that is asked for (SIGTERM) reaches restic as SIGINT, upon which it takes its lock away.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from contract import backups

# Exit code: a snapshot exists, and some files could not be read.
SOME_UNREAD = 3
# Characters of its last words in a message.
_LAST_WORDS = 600
_Said = Mapping[str, Any]


class Failed(Exception):
    """Restic ended badly; the words are its own."""


@dataclass(frozen=True)
class Ended:
    """`said` is standard output without its lines of JSON, `errors` is standard error."""

    code: int
    said: str
    errors: str

    @property
    def words(self) -> str:
        return (self.errors.strip() or self.said.strip() or f"restic ended with code {self.code}")[-_LAST_WORDS:]


class Restic:
    """Restic on one repository, in the name of one deployment; without a name, for all whose snapshots lie there. `address` is
    as restic writes it; empty, the repository is a volume."""

    def __init__(
        self, deployment: str, address: str, folder: Path = Path(backups.DOCUMENTS), program: str = "restic"
    ) -> None:
        self.host, self._program = deployment, program
        self._environment = {
            **os.environ,
            **_access(folder / backups.VARIABLES),
            "RESTIC_REPOSITORY": address or backups.REPOSITORY,
            "RESTIC_PASSWORD_FILE": str(folder / backups.PASSWORD),
            # One that is beside the files needs no copy of its index.
            "RESTIC_CACHE_DIR": str(folder / "cache"),
            "RESTIC_PROGRESS_FPS": "1",
            "TMPDIR": "/tmp",
            # Half of what Go would take before it looks for what it can free.
            "GOGC": "50",
        }
        self._general = ["--no-cache"] if not address else ["--cleanup-cache"]
        self._running: subprocess.Popen[bytes] | None = None

    def run(self, *arguments: str, hear: Callable[[_Said], None] | None = None) -> Ended:
        """Runs to the end. `hear` gets each object that restic prints with --json."""
        command = [self._program, *self._general, *arguments]
        process = subprocess.Popen(
            command, env=self._environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self._running = process
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            errors: list[str] = []
            thread = threading.Thread(target=_listen, args=(process.stderr, hear, errors))
            thread.start()
            said: list[str] = []
            _listen(process.stdout, hear, said)
            thread.join()
            return Ended(process.wait(), "\n".join(said), "\n".join(errors))
        finally:
            self._running = None

    def must(self, *arguments: str) -> str:
        """What it prints. Raises Failed."""
        ended = self.run(*arguments)
        if ended.code != 0:
            raise Failed(f"restic {arguments[0]}: {ended.words}")
        return ended.said

    def end(self) -> None:
        """Lets what runs end in peace."""
        if self._running is not None:
            self._running.send_signal(signal.SIGINT)

    # -- the repository -----------------------------------------------------------------------------------------------

    def opened(self, known: str | None) -> str:
        """The repository's id; it is made unless one is there. Raises Failed, also if `known`, the id of an earlier run,
        is not there any more: an empty place instead of it may be a disk that is not mounted."""
        found = self.run("cat", "config", "--no-lock")
        if found.code == 0:
            return str(json.loads(found.said)["id"])
        if "wrong password" in found.errors:
            raise Failed("BACKUP_PASSWORD does not open the repository: somebody made it with another one")
        if known is not None:
            raise Failed(
                f"the repository {known[:8]} that earlier backups went to is not there: {found.words}\n"
                "Put it back. If it is lost for good, ./invoke backup --new begins another one."
            )
        made = self.run("init")
        if made.code != 0:
            raise Failed(f"the repository cannot be opened, nor made: {made.words}")
        return str(json.loads(self.must("cat", "config", "--no-lock"))["id"])

    def unlock(self) -> bool:
        """Removes locks that runs of this deployment left, which nobody else can hold: the helper's name is taken by one
        at a time. True if there was one. Locks of others stay until restic itself calls them stale."""
        left = [json.loads(self.must("cat", "lock", one, "--no-lock")) for one in self._locks()]
        hosts = {one["hostname"] for one in left}
        if hosts:
            self.must("unlock", *(["--remove-all"] if hosts == {self.host} else []))
        return self.host in hosts

    def _locks(self) -> list[str]:
        return self.must("list", "locks", "--no-lock").split()

    def snapshots(self, tag: str = backups.WHOLE) -> list[dict[str, Any]]:
        """The snapshots with a tag, the oldest first."""
        whose = ["--host", self.host] if self.host else []
        found: list[dict[str, Any]] = (
            json.loads(self.must("snapshots", "--json", "--no-lock", "--tag", tag, *whose)) or []
        )
        return sorted(found, key=lambda one: datetime.fromisoformat(one["time"]))

    def restore(self, snapshot: str, paths: Iterable[str], target: str, *, verify: bool = False) -> None:
        """Puts these paths of a snapshot below `target`, with all that is below them; with `verify` each file is read again and
        compared. Raises Failed."""
        included = [f"--include={escaped(path)}" for path in paths]
        self.must("restore", snapshot, "--no-lock", "--target", target, *(["--verify"] if verify else []), *included)

    def nodes(self, snapshot: str) -> list[dict[str, Any]]:
        """Each file of a snapshot: path, type, uid, gid, mode (as Go has it; none is 0), mtime, size. Raises Failed."""
        found: list[dict[str, Any]] = []
        ended = self.run("ls", "--json", "--no-lock", snapshot, hear=lambda said: found.append(dict(said)))
        if ended.code != 0:
            raise Failed(f"restic ls: {ended.words}")
        return [one for one in found if one["struct_type"] == "node"]


def escaped(path: str) -> str:
    """A path as a pattern of restic's."""
    return "".join(f"\\{one}" if one in "*?[\\" else one for one in path).replace("$", "$$")


def _listen(stream: IO[bytes], hear: Callable[[_Said], None] | None, rest: list[str]) -> None:
    for said, line in _lines(stream):
        if said is not None and hear is not None:
            hear(said)
        else:
            rest.append(line)


def _lines(stream: IO[bytes]) -> Iterator[tuple[dict[str, Any] | None, str]]:
    """Each line, and the object in it if it tells something."""
    for raw in stream:
        line = raw.decode(errors="replace").rstrip("\n")
        try:
            found = json.loads(line)
        except ValueError:
            found = None
        yield found if isinstance(found, dict) and {"message_type", "struct_type"} & found.keys() else None, line


def _access(file: Path) -> dict[str, str]:
    """The variables in the operator's file, a KEY=value a line: keys of an object store."""
    lines = file.read_text().splitlines() if file.exists() else []
    pairs = (line.split("=", 1) for line in lines if "=" in line and not line.lstrip().startswith("#"))
    return {key.strip(): value.strip() for key, value in pairs}
