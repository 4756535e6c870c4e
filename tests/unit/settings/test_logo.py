"""The picture of HUB_LOGO: what is taken, and what is refused with one message."""

from __future__ import annotations

from pathlib import Path

import pytest

from hubdeploy.contract import pictures
from hubdeploy.errors import InputError
from hubdeploy.settings import logo

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0JFIF", "image/jpeg"),
        (b"GIF89a" + bytes(9), "image/gif"),
        (b"RIFF\x00\x01\x02\x03WEBPVP8 ", "image/webp"),
        (b'\xef\xbb\xbf<?xml version="1.0"?>\n<!-- a > b --><!DOCTYPE svg>\n<svg width="1"/>', "image/svg+xml"),
        (b"<html><svg/></html>", None),
        (b"<svgs/>", None),
        (b"", None),
    ],
)
def test_a_picture_is_known_by_its_content(content: bytes, kind: str | None) -> None:
    assert pictures.kind(content) == kind


def test_a_picture_is_read_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "logo.png").write_bytes(PNG)
    assert logo.read(tmp_path / "logo.png") == PNG


@pytest.mark.parametrize(
    ("content", "found"), [(b"no picture", "is no picture"), (PNG + bytes(logo.LARGEST), "257 KiB")]
)
def test_anything_else_is_refused_with_one_message(tmp_path: Path, content: bytes, found: str) -> None:
    (tmp_path / "logo.png").write_bytes(content)
    with pytest.raises(InputError, match=found) as refused:
        logo.read(tmp_path / "logo.png")
    (problem,) = refused.value.problems
    assert "at most 256 KiB" in problem.wanted
