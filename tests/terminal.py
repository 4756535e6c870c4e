"""A command on a real pseudo-terminal of 80 columns, answered by keys as a person types them."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping
from pathlib import Path

COLUMNS = 80
_WITHIN = 120
_STYLE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def run(root: Path, environ: Mapping[str, str], *words: str, at: str = "", keys: str = "") -> tuple[int, list[str]]:
    """Exit code and lines of a command of the checkout `root`; once `at` is on the screen, `keys` are typed."""
    here, there = pty.openpty()
    fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
    command = [sys.executable, "-m", "hubdeploy.commands.commandline", *words]
    # As the terminal's own session: Ctrl-C reaches it as a signal.
    started = subprocess.Popen(
        command, cwd=root, stdin=there, stdout=there, stderr=there, preexec_fn=_own_terminal,
        env={**environ, "PYTHONDONTWRITEBYTECODE": "1", "TERM": "xterm-256color"},
    )  # fmt: skip
    os.close(there)
    screen, deadline = "", time.monotonic() + _WITHIN
    while time.monotonic() < deadline:
        try:
            screen += os.read(here, 65536).decode(errors="replace")
        except OSError:
            # The command has closed the terminal.
            break
        if keys and at in _STYLE.sub("", screen):
            os.write(here, keys.encode())
            keys = ""
    os.close(here)
    return started.wait(timeout=_WITHIN), _STYLE.sub("", screen).replace("\r\n", "\n").split("\n")


def _own_terminal() -> None:
    # A shell ignores the signal for what it starts in the background, and this run may be one of these.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
