"""Which passwords a user may choose: long enough, and none that somebody would try early.

zxcvbn guesses as an attacker does: lists of common passwords, names and words, with digits and signs added, dates, rows of
keys, and the user's own name. A list alone would let `Password2024!` through. It is loaded when somebody chooses a password.
"""

from __future__ import annotations

import unicodedata

SHORTEST, LONGEST = 10, 200
# As zxcvbn counts: below 3 it takes fewer than 10^8 guesses.
_SCORE = 3
# What is left without the user's name; characters.
_BESIDE_NAME = 6
_OUR_WORDS = ["jupyter", "jupyterhub", "jupyterlab", "notebook"]
# zxcvbn takes quadratic time, and refuses more.
_LOOKED_AT = 72


def prepared(password: str) -> str:
    """In the one spelling that is hashed: the keyboards of two systems may write an accent differently. Nobody has a password
    as long as what is cut off, and a login form may bring megabytes."""
    return unicodedata.normalize("NFKC", password[: 5 * LONGEST])


def fault(password: str, name: str) -> str:
    """Why `name` cannot take this password, in sentences for them; empty if they can."""
    if len(password) < SHORTEST:
        return f"This password is too short. Take at least {SHORTEST} characters; a few words are easy to remember."
    if len(password) > LONGEST:
        return f"This password is too long. Take at most {LONGEST} characters."
    if not any(character.isprintable() and not character.isspace() for character in password):
        return "This password has no character that can be seen. Take letters, digits or signs."
    if name and len(password.lower().replace(name.lower(), "")) < min(_BESIDE_NAME, len(password)):
        return "This password is little more than your name. Take words that have nothing to do with you."
    from zxcvbn import zxcvbn  # type: ignore[import-untyped]

    found = zxcvbn(password[:_LOOKED_AT], user_inputs=[name, *_OUR_WORDS])
    if found["score"] >= _SCORE:
        return ""
    hints = [one for one in (found["feedback"]["warning"], *found["feedback"]["suggestions"]) if one]
    whole = [one if one.endswith((".", "!", "?")) else f"{one}." for one in hints]
    return " ".join(["This password is too easy to guess.", *whole])
