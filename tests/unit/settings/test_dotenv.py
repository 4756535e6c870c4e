"""The syntax of `.env`: what docker compose reads, and what is refused because silence would hide a mistake."""

from __future__ import annotations

import pytest

from hubdeploy.settings import dotenv


def values(text: str, **environ: str) -> dict[str, str]:
    entries, problems = dotenv.parse(text, source=".env", environ=environ)
    assert problems == []
    return {key: entry.value for key, entry in entries.items()}


def problem(text: str, **environ: str) -> str:
    _, problems = dotenv.parse(text, source=".env", environ=environ)
    assert len(problems) == 1, problems
    return str(problems[0])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("A=b", "b"),
        ("export A=b", "b"),
        ("A = b ", "b"),
        ("A: b", "b"),
        ("A=b # comment", "b"),
        ("A=b#c", "b#c"),
        ("A=", ""),
        ("A= # no comment", "# no comment"),
        ("A=#b", "#b"),
        ('A="b\\0101c"', "bAc"),
        ('A="${B:-\\"c\\"}"', '"c"'),
        ("A='b $C \\n # d'", "b $C \\n # d"),
        ('A="b\\nc"', "b\nc"),
        ('A="b \\"c\\" d"', 'b "c" d'),
        ("A='it\\'s'", "it's"),
        ('A="b" # comment', "b"),
        ("A='two\nlines'", "two\nlines"),
        ("A=b=c", "b=c"),
        ("A=$$b", "$b"),
        ('A="\\$b"', "$b"),
        ("A=100%$", "100%$"),
        ("A=${B:-default}", "default"),
        ("A=${B-default}", "default"),
        ("A=x${B:+alt}y", "xy"),
        ("A=${B:-${C:-c}d}", "cd"),
        ("A=${B:-$${c}", "${c"),
        ("A=\u00a0b\u00a0", "b"),
        ("A=\u2003b\u2003", "\u2003b"),
        ('A="b\r\nc"', "b\r\nc"),
        ('A="\\09"', "\\9"),
        ("\ufeffA=b", "b"),
        ("A=b\r\n", "b"),
        ("\n\n# only\nA=b", "b"),
    ],
)
def test_a_value_reads_as_compose_reads_it(text: str, value: str) -> None:
    assert values(text)["A"] == value


def test_variables_come_from_the_environment_first_and_then_from_above() -> None:
    assert values("B=file\nA=$B/${B}") == {"B": "file", "A": "file/file"}
    assert values("B=file\nA=$B", B="shell")["A"] == "shell"


def test_a_bare_key_takes_its_value_from_the_environment() -> None:
    assert values("A\nB=c", A="shell") == {"A": "shell", "B": "c"}


def test_lines_are_counted_over_quoted_values() -> None:
    entries, _ = dotenv.parse("A='two\nlines'\nB=c", source=".env", environ={})
    assert [entry.line for entry in entries.values()] == [1, 3]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("A=b\nA=c", ".env:2: A: is set again (first on line 1)"),
        ("A='b", "the quote ' is not closed"),
        ('A="b', 'the quote " is not closed'),
        ('A="b"c', "text behind the closing quote"),
        ("A=b$Half0fAPassword", "refers to a variable that is not set"),
        ("A=${B", "has ${ without a variable"),
        ("A='b'\nC=\"${B:-\n}\"", "has ${ without a variable"),
        ("A=${B:?say why}", "refers to a variable that is not set"),
        ("this is no setting", "cannot be read"),
        ("=b", "cannot be read"),
        ("A", "has no value"),
    ],
)
def test_what_hides_a_mistake_is_refused_with_line_and_fix(text: str, words: str) -> None:
    message = problem(text)
    assert words in message
    assert message.startswith(".env:")
    assert "Half0fAPassword" not in message
    assert "do:" in message


def test_one_bad_line_does_not_hide_the_next() -> None:
    _, problems = dotenv.parse("A='b\nC=$D\nE=f\nE=g", source=".env", environ={})
    assert [problem.where for problem in problems] == [".env:1", ".env:2", ".env:4"]
