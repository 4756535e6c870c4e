"""The messages that this server's pages show, and whether they were read.

Messages of the server itself live as long as the server. The hub keeps its own. Nothing here asks anybody
or touches a file.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Notice:
    """A message in plain text. `kernel` is the id of the kernel that it is about. `until`: a message stays until its user
    has `read` it, or is closed for this `page` and back on the next one. `button` is what the user presses then."""

    id: str
    text: str
    level: Literal["info", "warning"] = "info"
    kernel: str = ""
    until: Literal["read", "page"] = "read"
    button: str = "Dismiss"


class Board:
    """`changed` is called after each change."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._own: dict[str, Notice] = {}
        self._of_hub: dict[str, Notice] = {}
        # Messages of the hub that were read, until the hub knows.
        self.unconfirmed: set[str] = set()

    def post(self, notice: Notice) -> None:
        """Shows a message of this server; one with the same id is replaced."""
        self._own[notice.id] = notice
        self._changed()

    def take_from_hub(self, notices: Iterable[Mapping[str, Any]]) -> None:
        """All messages that the hub has for this user now."""
        levels: dict[Any, Literal["info", "warning"]] = {"warning": "warning"}
        taken = {
            str(one["id"]): Notice(
                str(one["id"]),
                str(one["text"]),
                levels.get(one.get("level"), "info"),
                button=str(one.get("button", Notice.button)),
            )
            for one in notices
        }
        if taken != self._of_hub:
            self._of_hub = taken
            self._changed()

    def mark_read(self, notice: str) -> None:
        """Takes the message away; one that stays for each page is left, and an unknown id changes nothing."""
        own = self._own.get(notice)
        if own is not None and own.until == "read":
            del self._own[notice]
        elif notice in self._of_hub:
            self.unconfirmed.add(notice)
        else:
            return
        self._changed()

    def shown(self) -> list[dict[str, Any]]:
        """What a page shows, as JSON's own types: the oldest first, this server's before the hub's."""
        of_hub = [one for one in self._of_hub.values() if one.id not in self.unconfirmed]
        return [asdict(one) for one in (*self._own.values(), *of_hub)]
