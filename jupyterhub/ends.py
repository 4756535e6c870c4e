"""How a server ended: what its user reads on the hub's pages, and what the operator reads in the hub's log.

It judges by what the engine recorded: the container's state, and the events around its end. It asks nobody and changes
nothing. The user's text never holds a command or a setting: a user can use neither.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

# Exit code of a process that SIGKILL ended: 128 + 9.
KILLED = 137
# Exit code of start-singleuser.sh if the user could not save a file.
NOT_WRITABLE = 73
# Seconds from the kernel's kill to the end of the container; the engine may write the two the other way round.
MEMORY_WITHIN = 3.0
# Seconds from the engine's first signal to the end; the engine's own patience is 10 s, and a host that shuts down has more.
STOPPED_WITHIN = 60.0
LOG_LINES = 15

# `[I 2026-11-27 13:00:00.123 ServerApp] 200 GET /api/kernels …`; of an answer of 500 and more, the headers follow as JSON.
_REQUEST = re.compile(r"\[[A-Z] [^\]]*\] [1-5]\d\d [A-Z]+ /")
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
# Nanoseconds: datetime reads at most microseconds.
_FRACTION = re.compile(r"(\.\d{6})\d+")


@dataclass(frozen=True)
class End:
    """`reason` is one sentence for everybody. `user` and `operator` say what each of them can do; `last_words` is the end
    of the server's log. Any but the reason may be empty. `by_home`: something in the user's home may be the cause."""

    reason: str
    user: str = ""
    operator: str = ""
    last_words: str = ""
    by_home: bool = False

    @property
    def for_user(self) -> str:
        """The text of the user's page."""
        return _lines(f"{self.reason} {self.user}", self._words)

    @property
    def for_operator(self) -> str:
        """The text of the hub's log, which `./invoke logs --user` prints."""
        return _lines(f"{self.reason} {self.operator}", self._words)

    @property
    def _words(self) -> str:
        return f"Its last words:\n{self.last_words}" if self.last_words else ""


@dataclass(frozen=True)
class Events:
    """When the engine recorded what about one container, as seconds since the epoch: signals that it sent, and
    processes that the kernel killed for want of memory. `complete`: the end itself is among what the engine still knew."""

    signals: tuple[float, ...] = ()
    out_of_memory: tuple[float, ...] = ()
    complete: bool = False


def events_of(recorded: Iterable[Mapping[str, Any]]) -> Events:
    """The engine's own events of one container, sorted."""
    times: dict[str, list[float]] = {}
    for event in recorded:
        times.setdefault(event["Action"], []).append(event["timeNano"] / 1e9)
    return Events(tuple(times.get("kill", ())), tuple(times.get("oom", ())), "die" in times)


def is_doubtful(state: Mapping[str, Any]) -> bool:
    """True if only the events can say why it ended: the engine's flag OOMKilled stays after the death of any process."""
    return bool(state["ExitCode"] == KILLED)


def seconds(time: str) -> float:
    """The engine's time, such as 2026-11-27T13:00:00.123456789Z, as seconds since the epoch."""
    return datetime.fromisoformat(_FRACTION.sub(r"\1", time).replace("Z", "+00:00")).timestamp()


def is_out_of_memory(state: Mapping[str, Any], events: Events) -> bool:
    """True if want of memory ended the container itself, and not merely a kernel in it at some time before."""
    ended = seconds(state["FinishedAt"])
    return state["ExitCode"] == KILLED and any(abs(ended - time) < MEMORY_WITHIN for time in events.out_of_memory)


def is_stopped(state: Mapping[str, Any], events: Events) -> bool:
    """True if the engine ended it, as somebody asked the engine to."""
    ended = seconds(state["FinishedAt"])
    return any(-MEMORY_WITHIN < ended - time < STOPPED_WITHIN for time in events.signals)


def end(
    state: Mapping[str, Any], events: Events, log: str, *, starting: bool, memory: int | None, chown: str | None
) -> End:
    """`state` is the engine's, `memory` the limit in bytes; `chown` is the operator's command for a volume that is not
    the user's, None if the image cannot say that it is not."""
    when = " while it started" if starting else ""
    code, words = state["ExitCode"], last_words(log)
    again = "Start it again. If that happens again, show this page to the operator."
    if is_stopped(state, events):
        operator = f"Somebody ended the container through the engine; its exit code is {code}."
        return End(f"The server was stopped from outside{when}.", "Start it again.", operator)
    if is_out_of_memory(state, events):
        limit = f" Its limit is {memory // 1024**2} MiB." if memory else ""
        user = "Start it again and load less at once, or ask the operator for more memory."
        operator = "Servers get more with USER_MEMORY_LIMIT, then `./invoke up`."
        return End(f"The server ran out of memory{when}.{limit}", user, operator, words)
    if code == KILLED and state["OOMKilled"] and not events.complete:
        operator = (
            "The engine no longer knows whether the server or only a kernel ran out of memory (USER_MEMORY_LIMIT)."
        )
        return End(f"The server was killed{when}, perhaps as it ran out of memory.", again, operator, words)
    if code == KILLED:
        operator = "Something in the container or on the host killed it; it was within its memory limit."
        return End(f"The server was killed{when}.", again, operator, words)
    if code == NOT_WRITABLE and chown:
        operator = f"This command makes the volume the user's: `{chown}`"
        return End(
            f"The server could not write to your files{when}.", "Show this page to the operator.", operator, words
        )
    if code == 0 and not starting:
        return End("The server was shut down.", "Start it again when you need it.")
    return End(f"The server ended with exit code {code}{when}.", again, "", words, by_home=True)


def last_words(log: str) -> str:
    """The last lines of a server's log; lines about requests say nothing about its end, so they are left out."""
    kept: list[str] = []
    in_headers = after_request = False
    for line in _COLOURS.sub("", log).splitlines():
        in_headers = in_headers or (after_request and line == "{")
        after_request = bool(_REQUEST.match(line))
        if not in_headers and not after_request:
            kept.append(line)
        in_headers = in_headers and line != "}"
    return "\n".join(kept[-LOG_LINES:]).strip()


def _lines(*parts: str) -> str:
    return "\n".join(part.strip() for part in parts if part.strip())
