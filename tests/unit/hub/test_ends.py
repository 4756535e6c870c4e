"""How a server ended, judged by the engine's record. The states and events are those of a real engine (20.10), with
their distances in time; times here are seconds before the end."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.hub import hub_image

ends = hub_image.load("ends")

ENDED_AT = 1_795_784_400.0
REQUEST = "[I 2026-11-27 13:00:00.123 ServerApp] 200 GET /user/ann/api/kernels (ann@172.18.0.1) 1.20ms"


def told(code: int, oom_flag: bool, *recorded: tuple[str, float], log: str = "", **more: Any) -> Any:
    """The end of a server with this exit code, the engine's flag OOMKilled, and these events (kind, seconds before)."""
    state = {"ExitCode": code, "OOMKilled": oom_flag, "FinishedAt": "2026-11-27T13:00:00.000000000Z"}
    events = [{"Action": kind, "timeNano": (ENDED_AT - before) * 1e9} for kind, before in recorded]
    details = {"starting": False, "memory": 512 * 1024**2, "chown": None, **more}
    return ends.end(state, ends.events_of(events), log, **details)


DIES = ("die", -0.1)


def test_the_engines_time_is_read_with_its_nanoseconds() -> None:
    assert ends.seconds("2026-11-27T13:00:00.123456789Z") == pytest.approx(ENDED_AT + 0.123456)
    assert ends.seconds("2026-11-27T13:00:00Z") == ENDED_AT


@pytest.mark.parametrize("seen", [0.06, -0.05])
def test_a_server_that_the_kernel_killed_for_memory_ran_out_of_memory(seen: float) -> None:
    end = told(137, True, ("oom", 900), ("oom", seen), DIES)
    assert end.for_user.startswith("The server ran out of memory. Its limit is 512 MiB. Start it again and load less")
    assert "USER_MEMORY_LIMIT" in end.for_operator


@pytest.mark.parametrize(
    ("code", "recorded", "reason"),
    [
        (0, [("oom", 900), DIES], "The server was shut down."),
        (0, [("oom", 1.0), DIES], "The server was shut down."),
        (1, [("oom", 0.2), DIES], "The server ended with exit code 1."),
        (137, [("oom", 900), DIES], "The server was killed."),
        (137, [("oom", 1.0), ("kill", 0.1), DIES], "The server was stopped from outside."),
        (0, [("oom", 900), ("kill", 1.5), DIES], "The server was stopped from outside."),
    ],
)
def test_a_kernel_that_ran_out_of_memory_before_is_no_reason(
    code: int, recorded: list[tuple[str, float]], reason: str
) -> None:
    end = told(code, True, *recorded)
    assert end.reason == reason
    assert "memory" not in end.for_user


def test_a_signal_long_before_the_end_is_no_reason() -> None:
    assert told(1, False, ("kill", 600), DIES).reason == "The server ended with exit code 1."


def test_an_end_that_the_engine_has_forgotten_is_doubtful() -> None:
    assert told(137, True).reason == "The server was killed, perhaps as it ran out of memory."
    assert told(137, False).reason == "The server was killed."


def test_a_user_never_reads_a_command_or_a_setting() -> None:
    every = [
        told(137, True, ("oom", 0.1), DIES),
        told(137, True),
        told(137, False, DIES),
        told(137, False, ("kill", 0.1), DIES),
        told(73, False, DIES, starting=True, chown="docker run --rm IMAGE chown"),
        told(0, False, DIES),
        told(1, False, DIES),
    ]
    assert len({end.reason for end in every}) == 7
    for end in every:
        assert "invoke" not in end.for_user
        assert "docker" not in end.for_user
        assert "_LIMIT" not in end.for_user
        assert end.user


def test_lines_about_requests_are_no_last_words() -> None:
    headers = '{\n  "Host": "localhost",\n  "Accept": "*/*"\n}'
    failed = "[E 2026-11-27 13:00:01.000 ServerApp] 500 GET /user/ann/api/status?1 (ann@172.18.0.1) 3.1ms"
    words = "[C 2026-11-27 13:00:00.000 ServerApp] no space left"
    log = f"{words}\n{REQUEST}\n\x1b[32m{REQUEST}\x1b[0m\n{failed}\n{headers}\n{{\nbye\n"
    assert told(1, False, DIES, log=log).last_words == f"{words}\n{{\nbye"
    assert told(1, False, DIES, log=REQUEST).for_user.count("\n") == 0


def test_last_words_are_few() -> None:
    log = "\n".join(str(number) for number in range(100))
    assert told(1, False, DIES, log=log).last_words.splitlines() == [str(number) for number in range(85, 100)]


def test_an_ordinary_shutdown_has_no_last_words() -> None:
    assert told(0, False, DIES, log="Shutting down 5 extensions").last_words == ""
