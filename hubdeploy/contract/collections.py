"""What `class close` and its helper share. Pure."""

from __future__ import annotations

# In the helper: the user's volume, read-only, and a volume of its own for the archive.
VOLUME, COLLECTED = "/volume", "/collected"
SUFFIX = ".tar.gz"
# Of one folder: how many files it may have, and how deep folders may lie in it.
MOST_FILES, DEEPEST = 20_000, 100
NO_FOLDER = "there is no such folder"
