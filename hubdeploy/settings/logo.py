"""Reads the picture that HUB_LOGO names, and refuses what a browser would not show. Reads that file and nothing else."""

from __future__ import annotations

from pathlib import Path

from hubdeploy.contract import pictures
from hubdeploy.errors import InputError, Problem, read_file

# Each page of the hub asks for it; the largest logos of well-known sites have a tenth.
LARGEST = 256 * 1024
_WANTED = f"a PNG, JPEG, GIF, WebP or SVG picture of at most {LARGEST // 1024} KiB"


def read(path: Path) -> bytes:
    """The file's content; raises InputError if it is no picture, or a large one."""
    content = read_file(path, str(path), _WANTED)
    if len(content) > LARGEST:
        found = f"{path} has {-(-len(content) // 1024)} KiB"
        raise InputError([Problem("HUB_LOGO", "", found, _WANTED, "make the picture smaller, or save it as SVG")])
    if pictures.kind(content) is None:
        raise InputError([Problem("HUB_LOGO", "", f"{path} is no picture", _WANTED, "correct the path")])
    return content
