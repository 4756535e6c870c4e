"""The ways to write one value in the syntax of `.env`; each must be read back as the same value. Follows the description of
the syntax, never the code that reads it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from hypothesis import strategies as st

# The first is never set; the second is set in the shell of every input.
UNSET = "SEARCH_UNSET"
# What a backslash in front of a quote, or of the end, would change.
_HALF_ESCAPE = re.compile(r"(?<!\\)\\(?:\\\\)*(?='|\Z)")
_SEPARATORS = ("=", "=", "=", " = ", "= ", "\t=\t", ": ", ":")
_STARTS = ("", "", "", "export ", "export\t", "  ", "\t")
_ENDS = ("", "", "", " ", "\t", " # and why", " #", ' # it\'s "so" $far')


def ways(value: str, shell: Mapping[str, str]) -> list[str]:
    """Every text behind `KEY=` that gives the value; always at least one. `shell` are variables that it may use."""
    found = [_double(value)]
    # The line end of a file may be two characters, the first of which would join an escaped one.
    if "\\" not in value and "\r" not in value:
        found.append(_double(value).replace("\\n", "\n").replace("\\t", "\t"))
    if "\r" not in value and not _HALF_ESCAPE.search(value):
        found.append("'" + value.replace("'", "\\'") + "'")
    if _is_plain(value):
        found += [value.replace("$", "$$")] * 3
        if not re.search(r"[{}$\\'\"]", value) and value:
            found += [f"${{{UNSET}:-{value}}}", f'"${{{UNSET}-{value}}}"']
    if "$" not in value and "\\" not in value and '"' not in value and "\r" not in value:
        found.append(f'"{value}"')
    for name, held in shell.items():
        if held == value:
            found += [f"${name}", f"${{{name}}}", f'"${{{name}-other}}"', *([f"${{{name}:-other}}"] if held else [])]
        elif held and value.endswith(held) and _is_plain(start := value[: -len(held)]) and "$" not in start:
            found.append(f"{start}${{{name}}}")
    return found


def _is_plain(value: str) -> bool:
    return value == value.strip() and "\n" not in value and not value.startswith(("'", '"')) and " #" not in value


def _double(value: str) -> str:
    for character, escape in (("\\", "\\\\"), ('"', '\\"'), ("$", "\\$"), ("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t")):
        value = value.replace(character, escape)
    return f'"{value}"'


@st.composite
def statements(draw: st.DrawFn, key: str, value: str, shell: Mapping[str, str]) -> str:
    """A statement that gives the key this value."""
    way = draw(st.sampled_from(ways(value, shell)))
    # Behind an empty value a comment would become the value.
    end = draw(st.sampled_from(_ENDS if way else ("", " ", "\t")))
    return f"{draw(st.sampled_from(_STARTS))}{key}{draw(st.sampled_from(_SEPARATORS))}{way}{end}"


# Unreadable statements that begin with the key. The last ones swallow all text up to the same quote.
BROKEN = (
    "{}='a'b", '{}="a" b', "{}=a${{" + UNSET + "}}b", "{}=$" + UNSET, "{}=${{", '{}="${{1}}"', "{}=${{" + UNSET + ":?why}}",
    '{}="a$' + UNSET + '"',
)  # fmt: skip
OPEN = ("{}='a", '{}="a', '{}="a\\"', "{}='a\\'")
# Lines that are no statement.
NONSENSE = ("= a", "NB_USER ada", "'a'=b", '"a"=b', "1a=b", "ü=a", "===", "a b = c", "- a", "NB_USER 'ada'", ": a")
FILLERS = ("", "", "  ", "# a comment", '\t# it\'s "one" too', "#NB_USER=ada", "# ${", "\u00a0")
