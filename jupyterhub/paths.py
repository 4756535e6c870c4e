"""One user's address in all its spellings: rules for Traefik that know `@` and `%40`, `+` and `%2B` for the same.

Traefik decodes a path before it compares, except for the reserved characters of RFC 3986. JupyterHub and a user's server
know one spelling only, `canonical` here. A path of letters, digits and `-._~` has no other spelling.
"""

import re
from urllib.parse import quote, unquote

# Those that Traefik leaves as they were sent, and those of them that can stand in a path unencoded.
RESERVED = frozenset(":/?#[]@!$&'()*+,;=%")
LITERAL = RESERVED - frozenset("/?#%")
PLAIN = re.compile(r"[A-Za-z0-9/._~-]*")


def is_plain(canonical: str) -> bool:
    """True if the path has one spelling only."""
    return PLAIN.fullmatch(canonical) is not None


def spellings_for_a_rule(canonical: str) -> str:
    """A regular expression of Go for the path in a rule, where Traefik has decoded all but the reserved characters."""
    return "".join(_either(one, decoded=True) for one in unquote(canonical))


def spellings_as_sent(canonical: str) -> str:
    """A regular expression of Go for the path as it was sent, with upper-case codes, as Traefik makes them."""
    return "".join(_either(one, decoded=False) for one in unquote(canonical))


def _either(character: str, *, decoded: bool) -> str:
    if is_plain(character):
        return "[.]" if character == "." else character
    # In octal, as a backtick would end the text of a rule, and the package writes a backslash before x wrongly.
    literal = rf"\{ord(character):03o}" if character.isascii() else character
    encoded = quote(character, safe="")
    if character in RESERVED:
        return f"(?:{literal}|{encoded})" if character in LITERAL else encoded
    return literal if decoded else encoded
