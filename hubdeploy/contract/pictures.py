"""The kinds of pictures that a browser shows, known by how a file begins. Pure."""

from __future__ import annotations

import re

_SIGNATURES = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"GIF8[79]a"), "image/gif"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "image/webp"),
    # XML's declaration, comments and document type may stand in front of the element.
    (
        re.compile(rb"(?:\xef\xbb\xbf)?(?:\s|<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^>]*>)*<svg[\s>]", re.DOTALL),
        "image/svg+xml",
    ),
)


def kind(content: bytes) -> str | None:
    """The media type of a picture; None for anything else."""
    return next((name for signature, name in _SIGNATURES if signature.match(content)), None)
