"""What a restoration makes in a volume: its folder, and what that is called while it is removed. Neither is a user's."""

from __future__ import annotations

NAMES = OURS, GOING = (".restoring", ".restored")
