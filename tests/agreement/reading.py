"""One reading: a fact, the place where it shows, and what it must say there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

ABSENT = "(nothing)"


@dataclass(frozen=True)
class Reading:
    """`fact` names the settings' keys that decide it, or the derived fact in words; `wanted` is the place's value."""

    fact: str
    place: str
    wanted: Any

    @property
    def kind(self) -> str:
        """The place without its image, user or kind of user: readings of one kind come from the same code."""
        return kind_of(self.place)


def kind_of(place: str) -> str:
    return re.sub(r"^(build|spawner|contract\.users)\[[^]]*\]", r"\1[*]", place)


Readings = Iterator[Reading]
