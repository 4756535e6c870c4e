"""What an operator reads when something is wrong: one message, exit code 1, no traceback.

DeployError (an invoke.Exit, so Invoke prints it and nothing else)
 |- Refused              problems that were found before anything was changed
 |   `- InputError           in files or settings that a person wrote
 |- EngineError          the Docker engine refused or failed
 |   |- EngineUnavailable    it does not answer, or refuses permission
 |   `- BuildError           an image's build failed
 |- NotReady             a container that we started does not become healthy
 `- Interrupted          Ctrl-C while steps were carried out: exit code 130
A programming error is none of these and keeps its traceback. Declined, which is no error, ends a command as well: somebody
was asked and answered no. Its exit code is 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from invoke.exceptions import Exit


class DeployError(Exit):
    """One message: what was found, what was wanted, what to do next."""

    message: str

    def __init__(self, *, wanted: str, found: str, fix: str) -> None:
        self.wanted, self.found, self.fix = wanted, found, fix
        super().__init__(f"error: {found}\n  wanted: {wanted}\n  do:     {fix}", code=1)

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, and how to fix it. In a file that a person wrote: where (`.env:12`) and which key.

    `found` never holds the value of a secret. `instead` are the lines that may replace the key's statement in .env (no
    line: the setting derives); None if only a person can decide.
    """

    where: str
    key: str
    found: str
    wanted: str
    fix: str
    instead: tuple[str, ...] | None = None

    @classmethod
    def of_no_file(cls, *, found: str, wanted: str, fix: str) -> Problem:
        """A problem that stands in no file: the engine's, or this machine's."""
        return cls("", "", found, wanted, fix)

    def __str__(self) -> str:
        subject = f"{self.where}: {self.key}" if self.where and self.key else self.where or self.key
        start = f"{subject}: {self.found}" if subject else self.found
        return f"{start}\n  wanted: {self.wanted}\n  do:     {self.fix}"


@dataclass(frozen=True)
class Caution:
    """One thing that goes on as it is, and that an operator should know; `fix` is what can be done."""

    found: str
    fix: str

    def __str__(self) -> str:
        return f"{self.found}\n  do:     {self.fix}"


class Refused(DeployError):
    """All problems that were found, reported at once; `done` says what was changed before."""

    def __init__(self, problems: Sequence[Problem], done: str = "nothing was changed") -> None:
        self.problems = tuple(problems)
        first, *others = self.problems
        count = f"{len(self.problems)} problems" if others else "1 problem"
        text = "\n".join(str(problem) for problem in self.problems)
        super().__init__(wanted=first.wanted, found=first.found, fix=first.fix)
        self.message = f"error: {count}, {done}\n{text}"


class InputError(Refused):
    """Problems in the operator's files."""


class EngineError(DeployError):
    """The engine refused or failed; its own words are quoted."""


class EngineUnavailable(EngineError):
    """No engine answers, or it refuses permission."""


class BuildError(EngineError):
    """An image could not be built; the message has the Dockerfile line and the end of the log."""


class NotReady(DeployError):
    """A container exited or did not become healthy in time; the message has its last log lines."""


class Interrupted(DeployError):
    """Somebody pressed Ctrl-C; what was done stays done. `again` is what the same command does then."""

    def __init__(self, done: str, under_way: str = "", again: str = "goes on from here") -> None:
        super().__init__(wanted="all steps", found=done, fix=f"run the same command again: it {again}")
        doing = f"\n  under way: {under_way}" if under_way else ""
        # Below the ^C that the terminal shows.
        self.message = f"\nstopped by Ctrl-C: {done}{doing}\n  do:        {self.fix}"
        # As a shell counts it: 128 and SIGINT.
        self._code = 130


class Declined(Exit):
    """Somebody was asked and answered no."""

    def __init__(self) -> None:
        super().__init__("nothing of this plan was done", code=0)


def indented(text: str) -> str:
    """Lines of a log, indented to stand below a message."""
    return "\n".join(f"    {line}" for line in text.splitlines())


def read_file(path: Path, name: str, wanted: str) -> bytes:
    """The content of a file that a person wrote; raises InputError if it is missing, no file, or not readable."""
    try:
        return path.read_bytes()
    except OSError as error:
        found = "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
        raise InputError(
            [Problem(name, "", found, wanted, f"fix or restore {name}; see who owns it: ls -l {name}")]
        ) from None


def read_text(path: Path, name: str, wanted: str) -> str:
    """Like read_file, as text; raises InputError also if it is not UTF-8."""
    try:
        return read_file(path, name, wanted).decode("utf-8")
    except UnicodeDecodeError:
        raise InputError([Problem(name, "", "is not UTF-8 text", wanted, "save the file as UTF-8")]) from None
