"""Follows a document on a deployment: runs its commands there, and answers what they ask as the document says."""

from __future__ import annotations

import re
import subprocess
import sys

from tests import documents, terminal
from tests.documents import Command
from tests.hub.clone import Clone

# At the end of such a line stands what is typed.
_QUESTION = re.compile(r"(.*(?:Type \S+ to go on: |\[y/N\] ))(\S+)")
# Seconds for one command.
_WITHIN = 300


def follow(clone: Clone, command: Command) -> str:
    """What it printed. Raises AssertionError if it failed, or did not print what stands below it."""
    code, printed = _run(clone, command)
    assert code == 0, f"{command.line}\n{printed}"
    missing = command.missing_in(printed)
    assert missing is None, f"{command.line} does not print {missing}:\n{printed}"
    return printed


def _run(clone: Clone, command: Command) -> tuple[int, str]:
    words = command.words
    if words[0] != "./invoke":
        return _piped(clone, ["sh", "-c", command.line])
    if answers := [found for line in command.prints if (found := _QUESTION.fullmatch(line))]:
        (answer,) = answers
        code, lines = terminal.run(
            clone.root,
            clone.environ,
            *words[1:],
            at=answer[1].rpartition(documents.DIFFERS)[2].strip(),
            keys=f"{answer[2]}\n",
        )
        return code, "\n".join(lines)
    return _piped(clone, [sys.executable, "-m", "hubdeploy.commands.commandline", *words[1:]])


def _piped(clone: Clone, command: list[str]) -> tuple[int, str]:
    done = subprocess.run(
        command, cwd=clone.root, env=clone.environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, timeout=_WITHIN, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout
