"""Names of time zones: which there are, and the one of this machine. The names come from the package tzdata, so they are
the same on every machine. It reads files below /etc and never the clock.
"""

from __future__ import annotations

import contextlib
import difflib
from functools import cache
from importlib import resources
from pathlib import Path

from hubdeploy.settings.readers import Unfit

UTC = "Etc/UTC"


@cache
def names() -> frozenset[str]:
    """Every name of the IANA database, old ones such as US/Pacific included."""
    return frozenset((resources.files("tzdata") / "zones").read_text().split())


def name(text: str) -> str:
    """A time zone's name; raises Unfit with the name that is nearest to the text."""
    if text in names():
        return text
    spelt = {one.lower(): one for one in sorted(names())} | {
        one.rpartition("/")[2].lower(): one for one in sorted(names())
    }
    near = difflib.get_close_matches(text.lower().replace(" ", "_"), spelt, n=1)
    fix = f"write {spelt[near[0]]}, if that is meant" if near else "delete the line: it derives"
    raise Unfit("is not the name of a time zone", "a name such as Europe/Berlin", fix)


def of_this_machine(etc: Path = Path("/etc")) -> str:
    """The zone that the machine's clock shows: where `localtime` links to, else what `timezone` names, else UTC."""
    linked = etc / "localtime"
    places = [linked.readlink(), linked.resolve()] if linked.is_symlink() else []
    found = [str(place).partition("zoneinfo/")[2] for place in places]
    with contextlib.suppress(OSError, UnicodeDecodeError):
        found.append((etc / "timezone").read_text().strip())
    return next((one for one in found if one in names()), UTC)
