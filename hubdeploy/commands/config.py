"""`config`: every setting, where it comes from, and what it means. It changes nothing; secrets print as ***."""

from __future__ import annotations

import yaml

from hubdeploy.settings import reference
from hubdeploy.settings.declarations import DERIVED, Settings, masked


def show(settings: Settings) -> None:
    """Every setting as YAML: its value, and whether it comes from shell, .env.local, .env or derives."""
    shown = {
        key: {"value": value, "from": settings.origins.get(key, DERIVED)} for key, value in masked(settings).items()
    }
    print(yaml.safe_dump(shown, sort_keys=False, allow_unicode=True), end="")


def explain(key: str, *, template: bool = False) -> None:
    """What one setting means; without a key docs/settings.md, or the .env of a fresh clone."""
    text = reference.explanation(key) if key else reference.env() if template else reference.page()
    print(text, end="\n" if key else "")
